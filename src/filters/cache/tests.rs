use http::Method;
use serde_json::json;

use super::spec::Spec;
use super::*;
use crate::cache::content::Content;
use crate::cache::fleet::Heard;
use crate::cache::memory::{Source, Stored};
use crate::cache::testing::{at, fields, received};
use crate::cache::{ResponseDirectives, key};
use crate::filters::exchange::Sample;
use crate::filters::testing::{Ground, compile_error, run};
use crate::filters::{Caller, Site, Spec as _};

/// What a step leads to.
fn now(step: Step<'_>) -> Verdict {
    match step {
        Step::Now(verdict) => verdict,
        Step::Later(verdict) => run(verdict).0,
    }
}

/// The filter on ground of its own.
struct Cached {
    filter: Cache,
    /// What is stored belongs to it.
    _ground: Ground,
}

impl Cached {
    fn new(spec: serde_json::Value) -> Self {
        let ground = Ground::new();
        let spec: Spec = serde_json::from_value(spec).unwrap();
        let filter = Cache::new(spec.settings(&Site { identifies: true, ..ground.site() }).unwrap());
        Self { filter, _ground: ground }
    }

    fn plan(&self, sample: &mut Sample) -> (&'static str, Box<Plan>) {
        let step = match self.filter.on_request(&mut sample.exchange()) {
            Step::Now(Verdict::Next) => "next",
            Step::Now(Verdict::Stored) => "stored",
            Step::Now(Verdict::Refuse(refusal)) => refusal.reason,
            Step::Now(Verdict::Respond(_)) => "respond",
            Step::Later(_) => "later",
        };
        (step, sample.slots.plan.take().unwrap())
    }

    fn key(&self, sample: &mut Sample) -> key::Key {
        self.plan(sample).1.place.unwrap().key
    }

    fn store(&self, sample: &mut Sample, response: &str) {
        let (_, plan) = self.plan(sample);
        let (place, response) = (plan.place.unwrap(), fields(response));
        let source = Source { url: &place.url, tags: &[], request: &place.fields, asked_in: plan.asked_in };
        let (directives, rules) = (ResponseDirectives::read(&response), &plan.settings.rules);
        let content = Content::default();
        let stored = Stored::new(&source, &received(200, &response), &directives, rules, content).unwrap();
        plan.settings.shared.store.put(place.key, stored);
    }
}

fn get(path: &str, headers: &[(&'static str, &str)]) -> Sample {
    let mut sample = Sample::get(path, headers);
    sample.request.insert_header("host", "api.example.com").unwrap();
    sample.facts.time = at(1);
    sample
}

#[test]
fn what_is_stored_and_fresh_answers() {
    let cached = Cached::new(json!({}));
    assert!(matches!(cached.plan(&mut get("/", &[])).1.course, Course::Ask(Forward::UriMiss, None)));
    cached.store(&mut get("/", &[]), "cache-control: max-age=60");
    assert_eq!(cached.plan(&mut get("/", &[])).0, "stored");
    let (step, plan) = cached.plan(&mut get("/", &[("cache-control", "no-cache")]));
    assert!(step == "next" && matches!(plan.course, Course::Ask(Forward::Request, Some(_))));
    let mut late = get("/", &[]);
    late.facts.time = at(61);
    assert!(matches!(cached.plan(&mut late).1.course, Course::Ask(Forward::Stale, Some(_))));
    let mut alone = get("/", &[("cache-control", "only-if-cached, max-age=0")]);
    assert_eq!(cached.plan(&mut alone).0, "only_if_cached");
}

#[test]
fn what_may_be_stale_for_a_while_is_refreshed() {
    let cached = Cached::new(json!({ "stale_while_revalidate": "10s" }));
    cached.store(&mut get("/", &[]), "cache-control: max-age=60");
    let mut late = get("/", &[]);
    late.facts.time = at(65);
    let (step, plan) = cached.plan(&mut late);
    assert!(step == "next" && matches!(plan.course, Course::Refresh(_)));
}

#[test]
fn what_is_not_for_the_cache_passes() {
    let cached = Cached::new(json!({}));
    let mut fat = get("/", &[]);
    fat.facts.has_body = true;
    assert!(matches!(cached.plan(&mut fat).1.course, Course::Pass(Forward::Bypass, Some("request_content"))));
    for condition in ["if-match", "if-unmodified-since", "upgrade"] {
        let (_, plan) = cached.plan(&mut get("/", &[(condition, "x")]));
        assert!(matches!(plan.course, Course::Pass(Forward::Bypass, _)) && plan.place.is_none());
    }
    for (method, is_write) in [("POST", true), ("DELETE", true), ("OPTIONS", false)] {
        let mut sample = get("/a?b", &[]);
        sample.request.set_method(Method::from_bytes(method.as_bytes()).unwrap());
        let (_, plan) = cached.plan(&mut sample);
        assert!(matches!(plan.course, Course::Pass(Forward::Method, None)));
        let url = plan.place.map(|place| place.url);
        assert_eq!(url, is_write.then(|| "https://api.example.com/a?b".to_owned()));
    }
}

#[test]
fn the_key_knows_host_port_path_and_query() {
    let cached = Cached::new(json!({}));
    let mut keys = vec![cached.key(&mut get("/", &[]))];
    for (path, host) in [("/", "api.example.com:8443"), ("/a", "api.example.com"), ("/?", "api.example.com")]
    {
        let mut sample = get(path, &[]);
        sample.request.insert_header("host", host).unwrap();
        keys.push(cached.key(&mut sample));
    }
    keys.push(cached.key(&mut get("/", &[("x-forwarded-proto", "http")])));
    keys.push(cached.key(&mut get("/", &[("x-forwarded-host", "http")])));
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 6);
    let mut own_port = get("/", &[]);
    own_port.request.insert_header("host", "api.example.com:443").unwrap();
    assert_eq!(cached.key(&mut own_port), cached.key(&mut get("/", &[("x-other", "y")])));
}

#[test]
fn headers_and_cookies_are_keyed_line_by_line() {
    let cached = Cached::new(json!({ "key": { "headers": ["x-a", "x-b"], "cookies": ["c"] } }));
    let of = |headers: &[(&'static str, &str)]| cached.key(&mut get("/", headers));
    let different = [
        of(&[]),
        of(&[("x-a", "1")]),
        of(&[("x-b", "1")]),
        of(&[("x-a", "1"), ("x-a", "1")]),
        of(&[("x-a", "")]),
        of(&[("cookie", "c=1")]),
        of(&[("cookie", "c=1; c=2")]),
        of(&[("x-a", "x-b")]),
    ];
    for (number, key) in different.iter().enumerate() {
        assert!(different.iter().skip(number + 1).all(|other| other != key), "{number}");
    }
    assert_eq!(of(&[("cookie", "a=1; c=1")]), of(&[("cookie", "c=1; b=2")]));
}

#[test]
fn subjects_are_told_apart_where_the_policy_says_so() {
    let caller = |method, name: &str| Caller::named(method, name);
    for (per_identity, apart) in [(false, 1), (true, 4)] {
        let cached = Cached::new(json!({ "per_identity": per_identity }));
        let mut keys: Vec<_> = [vec![], vec![("a", "x")], vec![("a", "y")], vec![("b", "x")]]
            .into_iter()
            .map(|callers| {
                let mut sample = get("/", &[]);
                for (method, name) in callers {
                    sample.exchange().identify(caller(method, name));
                }
                let (_, plan) = cached.plan(&mut sample);
                assert_eq!(plan.credentials, !sample.slots.callers().is_empty());
                assert_eq!(plan.audience == Audience::Subject, per_identity && plan.credentials);
                plan.place.unwrap().key
            })
            .collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), apart);
    }
}

#[test]
fn who_proves_who_asks_waits_with_others_who_do() {
    let cached = Cached::new(json!({}));
    let flight = |headers: &[(&'static str, &str)]| cached.plan(&mut get("/", headers)).1.flight().unwrap();
    assert_ne!(flight(&[]), flight(&[("authorization", "Basic eDp5")]));
    assert_eq!(flight(&[("authorization", "Basic eDp5")]), flight(&[("authorization", "Basic eDp6")]));
}

#[test]
fn the_origin_sees_the_query_that_is_keyed() {
    let cached = Cached::new(json!({ "key": { "query": { "except": ["utm_*"], "sort": true } } }));
    for (sent, seen) in
        [("/a?b=1&utm_x=2&a=3", "/a?a=3&b=1"), ("/a?utm_x=2", "/a"), ("/a?b", "/a?b"), ("/a", "/a")]
    {
        let mut sample = get(sent, &[]);
        cached.plan(&mut sample);
        assert_eq!(sample.request.uri.to_string(), seen, "{sent}");
    }
}

#[test]
fn purges_are_for_those_who_may() {
    let cached = Cached::new(json!({ "purge_from": ["192.0.2.0/24"] }));
    cached.store(&mut get("/", &[]), "cache-control: max-age=60");
    let purge = |address: [u8; 4]| {
        let mut sample = get("/", &[]);
        sample.request.set_method(Method::from_bytes(b"PURGE").unwrap());
        sample.facts.client_ip = address.into();
        match now(cached.filter.on_request(&mut sample.exchange())) {
            Verdict::Refuse(refusal) => (refusal.status.as_u16(), refusal.reason),
            Verdict::Respond(reply) => (reply.head.status.as_u16(), ""),
            _ => (0, ""),
        }
    };
    assert_eq!(purge([198, 51, 100, 1]), (403, "purge"));
    assert_eq!(cached.plan(&mut get("/", &[])).0, "stored");
    assert_eq!(purge([192, 0, 2, 1]), (204, ""));
    assert_eq!(cached.plan(&mut get("/", &[])).0, "next");
}

#[test]
fn clients_are_heard_unless_the_policy_says_no() {
    for (heard, step) in [(true, "next"), (false, "stored")] {
        let cached = Cached::new(json!({ "request_directives": heard }));
        cached.store(&mut get("/", &[]), "cache-control: max-age=60");
        let (found, plan) = cached.plan(&mut get("/", &[("cache-control", "no-cache, no-store")]));
        assert_eq!((found, plan.wants.no_store), (step, true));
    }
}

/// A request from a child.
fn from_child(key: &key::Key, more: &str) -> Sample {
    let child = Child { key: *key, scheme: "https", purged: None };
    get("/", &[("edgeward-child", &format!("{}{more}", child.to_value().to_str().unwrap()))])
}

#[test]
fn a_child_under_the_same_policy_shares_what_is_stored() {
    let cached = Cached::new(json!({}));
    let own = cached.key(&mut get("/", &[]));
    let mut told = from_child(&own, "");
    told.request.insert_header("x-forwarded-proto", "https").unwrap();
    told.facts.scheme = "http";
    let (_, plan) = cached.plan(&mut told);
    let place = plan.place.as_ref().unwrap();
    assert_eq!((place.key, &*place.url), (own, "https://api.example.com/"));
    assert_ne!(plan.flight(), Some(own), "it waits for nobody who may wait for a parent");
    assert!(plan.settings.hidden.is_empty() && plan.settings.parents.is_none());
    let other = key::Key::from_bytes([7; 32]);
    assert_ne!(cached.key(&mut from_child(&other, "")), own);
}

#[test]
fn what_proves_a_child_says_nothing_of_who_asks() {
    let cached = Cached::new(json!({}));
    let mut sample = from_child(&key::Key::from_bytes([7; 32]), "");
    sample.exchange().identify(Caller::named("mtls", "child-1"));
    assert!(!cached.plan(&mut sample).1.credentials);
    sample.request.insert_header("authorization", "Basic eDp5").unwrap();
    assert!(cached.plan(&mut sample).1.credentials);
}

#[test]
fn a_child_that_knows_of_later_purges_is_not_answered_from_here() {
    let cached = Cached::new(json!({}));
    let own = cached.key(&mut get("/", &[]));
    cached.store(&mut get("/", &[]), "cache-control: max-age=60");
    let fleet = &cached.filter.settings.shared.fleet;
    let ask = |more: &str| cached.plan(&mut from_child(&own, more)).0;
    assert_eq!((ask(""), ask(";5-0")), ("stored", "next"));
    fleet.hear(Heard::Nothing, "5-0".parse().unwrap());
    assert_eq!((ask(";5-0"), ask(";5-1")), ("stored", "next"));
}

#[test]
fn parents_are_upstreams_of_a_fleet_that_shares_its_purges() {
    let told = |spec| compile_error::<Spec>(spec);
    assert!(
        told(json!({ "parents": "parent" }))
            .starts_with("parents: no such upstream: \"parent\", did you mean")
    );
    assert!(
        told(json!({ "parents": "parents" })).starts_with("parents: what is purged here would come back")
    );
    let mut ground = Ground::new();
    ground.cache.purges = Some(Purges { redis: "fleet".into() });
    let spec: Spec = serde_json::from_value(json!({ "parents": "parents" })).unwrap();
    assert_eq!(spec.settings(&ground.site()).unwrap().parents.as_deref(), Some("parents"));
}

#[test]
fn refuses_what_means_nothing() {
    for (spec, told) in [
        (json!({ "ttl": { "99": "1m" } }), "ttl.99: expected a status from 200 to 599"),
        (json!({ "ttl": { "499-400": "1m" } }), "ttl.499-400: expected a status"),
        (json!({ "ttl": { "1xx": "1m" } }), "ttl.1xx: expected a status"),
        (json!({ "ttl": { "+200": "1m" } }), "ttl.+200: expected a status"),
        (json!({ "key": { "headers": ["a b"] } }), "key.headers[0]: expected the name of a header"),
        (json!({ "tags": ["a", ""] }), "tags[1]: expected the name of a header"),
        (json!({ "per_identity": true }), "per_identity: no filter before this one finds out who calls"),
        (json!({ "key": { "query": { "only": [], "except": ["a"] } } }), "key.query: expected at most one"),
    ] {
        let error = compile_error::<Spec>(spec.clone());
        assert!(error.starts_with(told), "{spec}: {error}");
    }
    let terms = |store: serde_json::Value| {
        let store: Store = serde_json::from_value(store).unwrap();
        store.terms(std::path::Path::new("/etc/edgeward"))
    };
    assert_eq!(terms(json!({ "memory": "64KiB" })).err().unwrap().at, "memory");
    assert!(terms(json!({})).unwrap().is_none());
    let disk = terms(json!({ "disk": { "path": "store", "size": "1GiB" } })).unwrap().unwrap();
    assert_eq!(
        (disk.path.to_str(), disk.capacity, disk.keys.is_none()),
        (Some("/etc/edgeward/store"), 1 << 30, true)
    );
    for (disk, at) in [
        (json!({ "path": "", "size": "1GiB" }), "disk.path"),
        (json!({ "path": "a", "size": "1MiB" }), "disk.size"),
        (json!({ "path": "a", "size": "1GiB", "encryption": { "keys": [] } }), "disk.encryption.keys"),
        (
            json!({ "path": "a", "size": "1GiB", "encryption": { "keys": [{ "file": "no" }] } }),
            "disk.encryption.keys[0]",
        ),
    ] {
        assert_eq!(terms(json!({ "disk": disk })).err().unwrap().at, at);
    }
}

#[test]
fn exact_statuses_go_before_classes() {
    let cached = Cached::new(json!({ "ttl": { "4xx": "1s", "404": "2s", "400-410": "3s" } }));
    let lifetime = |status: u16| {
        let mut rules = cached.filter.settings.rules.default_lifetimes.iter();
        rules.find(|(statuses, _)| statuses.contains(&status)).map(|(_, seconds)| *seconds)
    };
    assert_eq!([404, 405, 420, 500].map(lifetime), [Some(2), Some(3), Some(1), None]);
    const { assert!(!Spec::DECIDES) };
}
