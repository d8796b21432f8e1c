use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::*;
use crate::auth::keys::{Digest, Directory, Document, Source, Usage};
use crate::filters::exchange::Sample;
use crate::filters::testing::Ground;
use crate::filters::{Spec as _, Verdict};

/// 2026-01-01T00:00:00Z.
const NOW: Duration = Duration::from_secs(1_767_225_600);

/// Partner a has the keys `one` and, deprecated, `old`; 2 requests an hour. Partner b has `two`.
fn ring(complete: bool) -> Arc<Keyring> {
    let digest = |text: &str| Digest::of(text.as_bytes()).to_string();
    let document: Document = serde_json::from_value(json!({ "consumers": [
        { "name": "partner-a", "tags": ["eu"], "scopes": ["r", "w"], "limits": { "rate": "2/1h" }, "keys": [
            { "id": "k1", "sha256": digest("one"), "tags": ["batch"] },
            { "id": "k0", "sha256": digest("old"), "expires": "2026-02-01", "deprecated": { "since": "2025-12-31" } },
        ] },
        { "name": "partner-b", "scopes": ["r"], "keys": [{ "id": "k2", "sha256": digest("two") }] },
    ] }))
    .unwrap();
    let source = Source { label: "the policy", document: &document };
    let directory = Directory::compile(&[source], &Usage::default()).unwrap();
    Arc::new(Keyring::new(directory, None, complete))
}

fn try_compile(spec: Value, ring: Option<&Arc<Keyring>>) -> Result<Box<dyn Filter>, String> {
    let spec: Spec = serde_json::from_value(spec).map_err(|error| error.to_string())?;
    let ground = Ground::new();
    let site = Site { ring, ..ground.site() };
    spec.compile(&site).map_err(|problem| problem.to_string())
}

fn sample(key: &str) -> Sample {
    let mut sample = Sample::get("/", &[("x-api-key", key)]);
    sample.facts.time = UNIX_EPOCH + NOW;
    sample
}

fn decide(filter: &dyn Filter, sample: &mut Sample) -> Option<(u16, &'static str)> {
    match filter.on_request(&mut sample.exchange()) {
        Step::Now(Verdict::Next) => None,
        Step::Now(Verdict::Refuse(refusal)) => Some((refusal.status.as_u16(), refusal.reason)),
        _ => panic!("it decides at once"),
    }
}

#[test]
fn everyone_after_it_knows_who_calls() {
    let (ring, mut sample) = (ring(true), sample("one"));
    let filter = try_compile(json!({}), Some(&ring)).unwrap();
    assert_eq!(decide(&*filter, &mut sample), None);
    let [caller] = sample.slots.callers() else { panic!("one caller") };
    assert_eq!(
        (caller.method, &*caller.subject, caller.key().unwrap().id.as_str()),
        ("api_key", "partner-a", "k1")
    );
    assert_eq!(sample.slots.key_id(), "k1");
}

#[test]
fn only_what_passes_counts_as_a_use() {
    let ring = ring(true);
    let filter = try_compile(json!({ "scopes": ["w"] }), Some(&ring)).unwrap();
    let uses = |id: &str| {
        let directory = ring.load();
        let key = directory.keys().iter().find(|key| key.id.as_str() == id).unwrap().clone();
        (key.tally.uses(), key.tally.deprecated_uses())
    };
    assert_eq!(decide(&*filter, &mut sample("two")), Some((403, "key_scope")));
    assert_eq!(decide(&*filter, &mut sample("three")), Some((401, "key_unknown")));
    assert_eq!(decide(&*filter, &mut sample("one")), None);
    assert_eq!(decide(&*filter, &mut sample("old")), None);
    assert_eq!(decide(&*filter, &mut sample("one")), Some((429, "rate_limit")));
    assert_eq!((uses("k1"), uses("k0"), uses("k2")), ((1, 0), (1, 1), (0, 0)));
}

#[test]
fn a_change_of_the_ring_holds_for_the_next_request() {
    let ring = ring(true);
    let filter = try_compile(json!({}), Some(&ring)).unwrap();
    assert_eq!(decide(&*filter, &mut sample("two")), None);
    ring.replace(Directory::default());
    assert_eq!(decide(&*filter, &mut sample("two")), Some((401, "key_unknown")));
}

#[test]
fn answers_to_old_keys_say_so_whatever_the_upstream_says() {
    let ring = ring(true);
    let filter = try_compile(json!({}), Some(&ring)).unwrap();
    let told = |key: &str| {
        let mut sample = sample(key);
        assert_eq!(decide(&*filter, &mut sample), None);
        let mut response = ResponseHeader::build(200, None).unwrap();
        response.append_header("deprecation", "@1").unwrap();
        filter.on_response(&mut sample.exchange(), &mut response).unwrap();
        let all = |name: &str| -> Vec<String> {
            response.headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
        };
        (all("deprecation"), all("sunset"))
    };
    let sunset = "Sun, 01 Feb 2026 00:00:00 GMT".to_owned();
    assert_eq!(told("old"), (vec!["@1767139200".to_owned()], vec![sunset]));
    assert_eq!(told("two"), (vec!["@1".to_owned()], vec![]));
}

#[test]
fn refuses_specs_that_let_in_nobody_or_tell_nothing() {
    let wrong = |spec: Value| try_compile(spec, Some(&ring(true))).err().unwrap();
    assert!(try_compile(json!({}), None).err().unwrap().starts_with("nobody has a key"));
    assert!(wrong(json!({ "consumers": [] })).starts_with("consumers: is empty"));
    assert_eq!(
        wrong(json!({ "consumers": ["partner-b", "partner-c"] })),
        "consumers[1]: no consumer of this name has a key"
    );
    assert!(
        try_compile(json!({ "consumers": ["partner-c"] }), Some(&ring(false))).is_ok(),
        "a store may name it later"
    );
    assert!(wrong(json!({ "scopes": ["r", "a b"] })).starts_with("scopes[1]: expected one scope"));
    assert!(wrong(json!({ "tags": [""] })).starts_with("tags[0]: expected a tag"));
    assert!(wrong(json!({ "realm": "" })).starts_with("realm: "));
    assert!(wrong(json!({ "forward": { "consumer": "host" } })).starts_with("forward.consumer: host"));
    assert!(wrong(json!({ "forward": { "key": "X-Api-Key" } })).contains("holds the key itself"));
    assert!(
        wrong(json!({ "forward": { "key": "x-a", "tags": "x-a" } })).starts_with("forward.tags: x-a tells")
    );
}
