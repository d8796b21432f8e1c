use super::*;
use crate::auth::keys::Usage;
use crate::auth::keys::fixtures::{at, compile, document};

fn directory() -> Directory {
    let document = document(
        r##"{ "consumers": [
            { "name": "b", "keys": [
                { "id": "b1", "sha256": "#1", "expires": "2026-03-01", "deprecated": { "since": "2026-01-10" } },
                { "id": "b2", "sha256": "#2" } ] },
            { "name": "a", "keys": [
                { "id": "a1", "sha256": "#3", "expires": "2026-01-31T12:00:00Z", "deprecated": { "since": "2026-01-10" } },
                { "id": "a2", "sha256": "#4", "expires": "2026-02-11", "deprecated": { "since": "2026-01-10" } },
                { "id": "a3", "sha256": "#5", "expires": "2026-02-05", "retired": "2026-01-01" } ] } ] }"##,
    );
    compile(&document, &Usage::default())
}

fn use_key(directory: &Directory, id: &str, when: &str) {
    directory.keys().iter().find(|key| key.id.as_str() == id).unwrap().tally.record(at(when));
}

#[test]
fn tells_days_to_expiry_soonest_first_and_no_more_than_asked() {
    let directory = directory();
    let told = |most| -> Vec<_> {
        let found = expiries(&directory, at("2026-02-01"), most);
        found.iter().map(|expiry| (expiry.key.id.as_str(), expiry.days)).collect()
    };
    assert_eq!(told(10), [("a1", -0.5), ("a2", 10.0), ("b1", 28.0)]);
    assert_eq!(told(2), [("a1", -0.5), ("a2", 10.0)]);
}

#[test]
fn tells_who_still_uses_old_keys() {
    let directory = directory();
    let now = at("2026-02-01");
    let told = |most| -> Vec<_> {
        let found = laggards(&directory, now, most);
        found.iter().map(|laggard| (laggard.consumer.as_str(), laggard.keys, laggard.last_used)).collect()
    };
    assert_eq!(told(10), []);
    use_key(&directory, "b2", "2026-01-20"); // a current key
    use_key(&directory, "a2", "2026-01-09"); // before its rotation
    use_key(&directory, "a1", "2026-01-30"); // expired since
    assert_eq!(told(10), []);
    use_key(&directory, "b1", "2026-01-20");
    use_key(&directory, "a2", "2026-01-21");
    assert_eq!(told(10), [("a", 1, at("2026-01-21")), ("b", 1, at("2026-01-20"))]);
    assert_eq!(told(1).len(), 1);
}
