use super::*;
use crate::auth::keys::fixtures::{compile, document, try_compile};

fn faults(json: &str) -> Vec<String> {
    let told = |fault: Fault| fault.problem.to_string();
    let found = try_compile(&document(json), &Usage::default()).err().unwrap_or_default();
    found.into_iter().map(told).collect()
}

fn of_key(fields: &str) -> Vec<String> {
    faults(&format!(
        r##"{{ "consumers": [{{ "name": "a", "scopes": ["r", "w"], "keys": [{{ "id": "k", "sha256": "#k", {fields} }}] }}] }}"##
    ))
}

#[test]
fn a_key_has_the_limit_and_tags_of_its_consumer_and_all_or_some_of_its_scopes() {
    let document = document(
        r##"{ "consumers": [{ "name": "a", "tags": ["gold"], "scopes": ["w", "r"], "limits": { "rate": "5/1s" }, "keys": [
            { "id": "all", "sha256": "#1" },
            { "id": "some", "sha256": "#2", "scopes": ["w"], "tags": ["batch"] },
            { "id": "none", "sha256": "#3", "scopes": [] } ] }] }"##,
    );
    let directory = compile(&document, &Usage::default());
    let [all, some, none] = directory.keys() else { panic!("{directory:?}") };
    let limit = all.consumer.limit.unwrap();
    assert_eq!((limit.rate().get(), limit.period().as_secs(), limit.burst().get()), (5, 1, 5));
    assert!(all.has_scope("r") && all.has_scope("w") && !all.has_scope("rw") && !all.has_scope(""));
    assert!(some.has_scope("w") && !some.has_scope("r"));
    assert!(!none.has_scope("r") && !none.has_scope("w"));
    assert!(some.has_tag("gold") && some.has_tag("batch") && !all.has_tag("batch") && !all.has_tag("gol"));
}

#[test]
fn tells_everything_that_is_wrong_at_once_and_where() {
    let found = faults(
        r##"{ "consumers": [
            { "name": "a", "tags": ["x", "x", "a b"], "scopes": ["r", "two words"], "keys": [
                { "id": "k1", "sha256": "#1", "not_before": "2027-01-01", "expires": "2026-01-01" },
                { "id": "k1", "sha256": "#1", "scopes": ["w", "r", "r"] } ] },
            { "name": "b" },
            { "name": "a", "keys": [
                { "id": "k2", "sha256": "#" },
                { "id": "k3", "sha256": "#1", "expires": "2026-01-01",
                  "deprecated": { "since": "2026-01-02", "replaced_by": "k3" } } ] } ] }"##,
    );
    let expected = [
        r#"consumers[0].tags[1]: "x" is in the list already"#,
        r#"consumers[0].tags[2]: expected a tag of 1 to 64 letters, digits, `.`, `_`, `-`, `@`, `:`, `/` or `+`, found "a b""#,
        r#"consumers[0].scopes[1]: expected one scope of 1 to 128 printable characters such as orders:read, found "two words""#,
        "consumers[0].keys[0].expires: expected a time after not_before, 2027-01-01T00:00:00Z, found 2026-01-01T00:00:00Z",
        "consumers[0].keys[1].id: consumers[0].keys[0] has this id too",
        "consumers[0].keys[1].sha256: consumers[0].keys[0] is the same key",
        r#"consumers[0].keys[1].scopes[0]: consumer a does not have scope "w""#,
        r#"consumers[0].keys[1].scopes[2]: "r" is in the list already"#,
        "consumers[2].name: consumers[0] has this name too",
        "consumers[2].keys[0].sha256: this is the digest of an empty text, so of no key",
        "consumers[2].keys[1].sha256: consumers[0].keys[0] is the same key",
        "consumers[2].keys[1].deprecated.since: expected a time no later than expires, 2026-01-01T00:00:00Z, found 2026-01-02T00:00:00Z",
        "consumers[2].keys[1].deprecated.replaced_by: a key cannot replace itself",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_key_must_be_valid_at_some_time() {
    assert_eq!(of_key(r#""not_before": "2026-01-01", "expires": "2026-01-01T00:00:01Z""#), [""; 0]);
    assert_eq!(of_key(r#""not_before": "2026-01-01", "expires": "2026-01-01""#).len(), 1);
    assert_eq!(of_key(r#""expires": "2026-01-01", "deprecated": { "since": "2026-01-01" }"#), [""; 0]);
    assert_eq!(
        of_key(r#""expires": "2026-01-01", "deprecated": { "since": "2026-01-01T00:00:01Z" }"#).len(),
        1
    );
}

#[test]
fn names_ids_and_keys_are_unique_over_all_sources() {
    let policy = document(r##"{ "consumers": [{ "name": "a", "keys": [{ "id": "k", "sha256": "#1" }] }] }"##);
    let store = document(
        r##"{ "consumers": [{ "name": "b" }, { "name": "a", "keys": [{ "id": "k", "sha256": "#1" }] }] }"##,
    );
    let other = document(r##"{ "consumers": [{ "name": "c", "keys": [{ "id": "l", "sha256": "#2" }] }] }"##);
    let policy = Source { label: "the policy", document: &policy };
    let with = |label, document| [policy, Source { label, document }];
    assert_eq!(Directory::compile(&with("other.yaml", &other), &Usage::default()).unwrap().keys().len(), 2);
    let found = Directory::compile(&with("keys.yaml", &store), &Usage::default()).unwrap_err();
    let told: Vec<_> = found.iter().map(|fault| (fault.source, fault.problem.to_string())).collect();
    let expected = [
        (1, "consumers[1].name: consumers[0] of the policy has this name too".to_owned()),
        (1, "consumers[1].keys[0].id: consumers[0].keys[0] of the policy has this id too".to_owned()),
        (1, "consumers[1].keys[0].sha256: consumers[0].keys[0] of the policy is the same key".to_owned()),
    ];
    assert_eq!(told, expected);
}

#[test]
fn lists_are_bounded() {
    let words =
        |count: usize| (0..count).map(|number| format!("\"w{number}\"")).collect::<Vec<_>>().join(",");
    let keys = |count: usize| {
        let key = |number| format!(r##"{{ "id": "k{number}", "sha256": "#{number}" }}"##);
        (0..count).map(key).collect::<Vec<_>>().join(",")
    };
    let consumer = |tags, scopes, count| {
        let (tags, scopes, keys) = (words(tags), words(scopes), keys(count));
        faults(&format!(
            r#"{{ "consumers": [{{ "name": "a", "tags": [{tags}], "scopes": [{scopes}], "keys": [{keys}] }}] }}"#
        ))
    };
    assert_eq!(consumer(32, 64, 64), [""; 0]);
    assert_eq!(consumer(33, 64, 64), ["consumers[0].tags: expected at most 32, found 33"]);
    assert_eq!(consumer(32, 65, 64), ["consumers[0].scopes: expected at most 64, found 65"]);
    assert_eq!(consumer(32, 64, 65), ["consumers[0].keys: expected at most 64 keys, found 65"]);
}

#[test]
fn consumers_and_faults_are_bounded() {
    let one = document(r#"{ "consumers": [{ "name": "a" }] }"#);
    let many = |count| Document { consumers: vec![one.consumers[0].clone(); count] };
    assert_eq!(try_compile(&many(1000), &Usage::default()).unwrap_err().len(), 100);
    let found = try_compile(&many(100_001), &Usage::default()).unwrap_err();
    assert_eq!(found[0].problem.to_string(), "consumers: more than 100000 consumers, found 100001");
}

#[test]
fn two_directories_count_the_same_key_together() {
    let document =
        document(r##"{ "consumers": [{ "name": "a", "keys": [{ "id": "k", "sha256": "#1" }] }] }"##);
    let usage = Usage::default();
    let (before, after) = (compile(&document, &usage), compile(&document, &usage));
    before.keys()[0].tally.record(Moment::from_unix(1));
    assert_eq!(after.keys()[0].tally.uses(), 1);
}
