use super::*;
use crate::auth::keys::document::Encoding;
use crate::auth::keys::fixtures::{START, at, days, document, id, random};

const WEEK: Duration = days(7);

fn consumer() -> ConsumerName {
    "partner-a".parse().unwrap()
}

fn make(document: &Document, wanted: NewKey, now: Moment, seed: u64) -> Made {
    new(document, &consumer(), wanted, now, &mut random(seed)).unwrap()
}

fn rotate_all(
    document: &Document,
    overlap: Duration,
    now: Moment,
    seed: u64,
) -> Result<Rotated, LifecycleError> {
    let rotation = Rotation { only: None, overlap, expires: None };
    rotate(document, &consumer(), rotation, now, &mut random(seed))
}

fn key<'a>(document: &'a Document, id: &KeyId) -> &'a KeySpec {
    document.consumers.iter().flat_map(|consumer| &consumer.keys).find(|key| key.id == *id).unwrap()
}

fn records(key: &str, uses: u64, last_used: Moment) -> Records {
    Records::parse(&format!(
        r#"{{ "keys": {{ "{key}": {{ "uses": {uses}, "last_used": "{last_used}" }} }} }}"#
    ))
    .unwrap()
}

fn message<T>(result: Result<T, LifecycleError>) -> String {
    result.err().expect("it must be refused").to_string()
}

#[test]
fn a_new_key_is_in_the_store_by_its_digest_alone() {
    let wanted = NewKey {
        not_before: Some(START.plus(days(1))),
        expires: Some(START.plus(days(90))),
        scopes: Some(vec!["orders:read".to_owned()]),
        tags: vec!["batch".to_owned()],
    };
    let Made { document, text, id, expires } = make(&Document::default(), wanted.clone(), START, 1);
    let key = key(&document, &id);
    assert_eq!((key.sha256, &key.id), (text.digest(), text.id()));
    assert_eq!((key.created, key.not_before), (Some(START), wanted.not_before));
    assert_eq!((key.expires, expires), (wanted.expires, wanted.expires));
    assert_eq!((&key.scopes, &key.tags), (&None, &wanted.tags));
    assert_eq!(
        Some(&document.consumers[0].scopes),
        wanted.scopes.as_ref(),
        "a consumer that is added has them"
    );
    assert_eq!((&key.deprecated, key.retired), (&None, None));
    for encoding in [Encoding::Json, Encoding::Yaml] {
        let written = document.encode(encoding).unwrap();
        assert!(written.contains(id.as_str()) && !written.contains(&text.expose()[14..46]));
    }
}

#[test]
fn a_consumer_is_added_when_there_is_none_and_gets_more_keys_afterwards() {
    let first = make(&Document::default(), NewKey::default(), START, 1);
    let second = make(&first.document, NewKey::default(), START, 2);
    assert_eq!(second.document.consumers.len(), 1);
    assert_eq!(second.document.consumers[0].keys.len(), 2);
}

#[test]
fn refuses_a_new_key_that_the_proxy_would_refuse() {
    let make =
        |wanted: NewKey| message(new(&Document::default(), &consumer(), wanted, START, &mut random(1)));
    let scopes = Some(vec!["orders:read".to_owned()]);
    let known = new(&Document::default(), &consumer(), NewKey::default(), START, &mut random(1)).unwrap();
    let wanted = NewKey { scopes, ..NewKey::default() };
    let told = message(new(&known.document, &consumer(), wanted, START, &mut random(2)));
    assert!(told.contains("keys[1].scopes[0]: consumer partner-a does not have scope"), "{told}");
    let told = make(NewKey { expires: Some(START), ..NewKey::default() });
    assert_eq!(told, "a key that expires 2026-01-01T00:00:00Z would never be valid");
    let (not_before, expires) = (Some(START.plus(days(2))), Some(START.plus(days(1))));
    let told = make(NewKey { not_before, expires, ..NewKey::default() });
    assert!(told.contains("keys[0].expires: expected a time after not_before"), "{told}");
}

#[test]
fn refuses_to_make_a_key_without_randomness() {
    let mut broken = |_: &mut [u8]| Err(io::Error::other("no entropy"));
    let told = message(new(&Document::default(), &consumer(), NewKey::default(), START, &mut broken));
    assert_eq!(told, "no randomness to be had");
}

#[test]
fn a_rotation_lets_old_keys_end_with_the_overlap_and_never_later_than_they_would() {
    let document = make(&Document::default(), NewKey::default(), START, 1);
    let soon = NewKey { expires: Some(START.plus(days(10))), ..NewKey::default() };
    let soon = make(&document.document, soon, START, 2);
    let now = START.plus(days(5));
    let Rotated { made, replaced } = rotate_all(&soon.document, days(30), now, 3).unwrap();
    assert_eq!(replaced, [(document.id, now.plus(days(30))), (soon.id, START.plus(days(10)))]);
    for (old, end) in replaced {
        let old = key(&made.document, &old);
        assert_eq!(old.expires, Some(end));
        let deprecated = old.deprecated.as_ref().unwrap();
        assert_eq!((deprecated.since, deprecated.replaced_by.as_ref()), (now, Some(&made.id)));
    }
    assert_eq!(key(&made.document, &made.id).deprecated, None);
}

#[test]
fn a_second_rotation_leaves_the_end_and_the_age_of_the_first() {
    let first = make(&Document::default(), NewKey::default(), START, 1);
    let second = rotate_all(&first.document, days(30), START, 2).unwrap().made;
    let later = START.plus(days(10));
    let third = rotate_all(&second.document, days(30), later, 3).unwrap().made;
    let oldest = key(&third.document, &first.id);
    assert_eq!(oldest.expires, Some(START.plus(days(30))));
    assert_eq!(oldest.deprecated, Some(Deprecation { since: START, replaced_by: Some(second.id.clone()) }));
    assert_eq!(key(&third.document, &second.id).expires, Some(later.plus(days(30))));
}

#[test]
fn a_new_key_lives_as_long_as_the_one_it_replaces_unless_told_otherwise() {
    let yearly = NewKey { expires: Some(START.plus(days(365))), ..NewKey::default() };
    let document = make(&Document::default(), yearly, START, 1).document;
    let now = START.plus(days(300));
    let made = rotate_all(&document, WEEK, now, 2).unwrap().made;
    assert_eq!(made.expires, Some(now.plus(days(365))));
    let rotation = Rotation { only: None, overlap: WEEK, expires: Some(now.plus(days(1))) };
    let made = rotate(&document, &consumer(), rotation, now, &mut random(2)).unwrap().made;
    assert_eq!(made.expires, Some(now.plus(days(1))));
    let for_ever = make(&Document::default(), NewKey::default(), START, 1).document;
    assert_eq!(rotate_all(&for_ever, WEEK, now, 2).unwrap().made.expires, None);
}

fn scoped() -> Document {
    document(
        r##"{ "consumers": [{ "name": "partner-a", "scopes": ["r", "w"], "keys": [
            { "id": "reader", "sha256": "#1", "scopes": ["r"], "tags": ["batch"] },
            { "id": "writer", "sha256": "#2" },
            { "id": "gone", "sha256": "#3", "retired": "2025-01-01" },
            { "id": "over", "sha256": "#4", "expires": "2025-01-01" },
            { "id": "next", "sha256": "#5", "not_before": "2027-01-01", "expires": "2028-01-01" } ] }] }"##,
    )
}

#[test]
fn a_rotation_widens_no_scope() {
    let told = message(rotate_all(&scoped(), WEEK, START, 1));
    assert!(told.contains("differ in their scopes"), "{told}");
    let reader = id("reader");
    let rotation = Rotation { only: Some(&reader), overlap: WEEK, expires: None };
    let made = rotate(&scoped(), &consumer(), rotation, START, &mut random(1)).unwrap().made;
    let new = key(&made.document, &made.id);
    assert_eq!((new.scopes.as_deref(), &new.tags), (Some(&["r".to_owned()][..]), &vec!["batch".to_owned()]));
    assert_eq!(key(&made.document, &id("writer")).deprecated, None, "it was not named");
}

#[test]
fn a_rotation_leaves_keys_alone_that_are_not_valid_now() {
    let mut document = scoped();
    document.consumers[0].keys.remove(0);
    let Rotated { made, replaced } = rotate_all(&document, WEEK, START, 1).unwrap();
    assert_eq!(replaced, [(id("writer"), START.plus(WEEK))]);
    for other in ["gone", "over", "next"] {
        assert_eq!(key(&made.document, &id(other)), key(&document, &id(other)));
    }
}

#[test]
fn refuses_to_rotate_what_is_not_there_or_not_valid() {
    let rotated = |consumer: &str, only: Option<&str>| {
        let only = only.map(id);
        let rotation = Rotation { only: only.as_ref(), overlap: WEEK, expires: None };
        message(rotate(&scoped(), &consumer.parse().unwrap(), rotation, START, &mut random(1)))
    };
    assert_eq!(rotated("nobody", None), "no consumer is called nobody");
    assert_eq!(rotated("partner-a", Some("nothing")), "no key has the id nothing");
    assert_eq!(
        rotated("partner-a", Some("gone")),
        "key gone is not valid now (key_retired), so it is not rotated"
    );
    assert_eq!(
        rotated("partner-a", Some("over")),
        "key over is not valid now (key_expired), so it is not rotated"
    );
    let empty = document(r#"{ "consumers": [{ "name": "partner-a" }] }"#);
    assert!(message(rotate_all(&empty, WEEK, START, 1)).contains("none to rotate"));
}

fn retire_unused(key: &str, records: Option<&Records>) -> Result<Document, LifecycleError> {
    let caution = Caution::Unused { within: IN_USE_WITHIN, records };
    retire(&scoped(), &id(key), caution, START)
}

#[test]
fn a_key_in_use_is_not_retired_unless_forced() {
    let just = records("writer", 12, START.minus(days(7)).plus(Duration::from_secs(1)));
    assert_eq!(
        message(retire_unused("writer", Some(&just))),
        "key writer was used 2025-12-25T00:00:01Z (uses in all: 12): whoever uses it would be refused"
    );
    let long_ago = records("writer", 12, START.minus(days(7)));
    let retired = retire_unused("writer", Some(&long_ago)).unwrap();
    assert_eq!(key(&retired, &id("writer")).retired, Some(START));
    assert!(retire_unused("reader", Some(&just)).is_ok(), "another key is in use");
    let forced = retire(&scoped(), &id("writer"), Caution::Forced, START).unwrap();
    assert_eq!(key(&forced, &id("writer")).retired, Some(START));
}

#[test]
fn a_use_in_the_future_of_this_clock_is_a_use() {
    let ahead = records("writer", 1, START.plus(days(1)));
    assert!(retire_unused("writer", Some(&ahead)).is_err());
}

#[test]
fn without_records_a_key_counts_as_in_use_unless_it_cannot_be() {
    assert!(message(retire_unused("writer", None)).contains("nobody knows"));
    assert!(retire_unused("over", None).is_ok() && retire_unused("next", None).is_ok());
    assert_eq!(message(retire_unused("gone", None)), "key gone is retired already");
    assert_eq!(message(retire_unused("nothing", None)), "no key has the id nothing");
}

#[test]
fn prunes_what_ended_long_enough_ago() {
    let document = document(
        r##"{ "consumers": [{ "name": "a", "keys": [
            { "id": "valid", "sha256": "#1" },
            { "id": "ends", "sha256": "#2", "expires": "2026-06-01" },
            { "id": "ended", "sha256": "#3", "expires": "2025-12-03" },
            { "id": "long-ended", "sha256": "#4", "expires": "2025-12-02" },
            { "id": "retired", "sha256": "#5", "retired": "2025-12-03", "expires": "2026-06-01" },
            { "id": "long-retired", "sha256": "#6", "retired": "2025-12-02", "expires": "2026-06-01" } ] }] }"##,
    );
    let (left, pruned) = prune(&document, KEPT_FOR, at("2026-01-01")).unwrap();
    assert_eq!(pruned, [id("long-ended"), id("long-retired")]);
    let left: Vec<_> = left.consumers[0].keys.iter().map(|key| key.id.as_str()).collect();
    assert_eq!(left, ["valid", "ends", "ended", "retired"]);
}

#[test]
fn lists_every_key_with_its_state_and_use() {
    let mut document = scoped();
    document.consumers[0].keys[0].deprecated = Some(Deprecation { since: START, replaced_by: None });
    let rows = list(&document, &records("writer", 3, START), START);
    let told: Vec<_> = rows.iter().map(|row| (row.id.as_str(), row.state, row.uses)).collect();
    let expected = [
        ("reader", State::Deprecated, 0),
        ("writer", State::Current, 3),
        ("gone", State::Retired, 0),
        ("over", State::Expired, 0),
        ("next", State::NotYetValid, 0),
    ];
    assert_eq!(told, expected);
    assert_eq!(Row::HEADS.len(), rows[1].cells().len());
    assert_eq!(rows[1].cells(), ["partner-a", "writer", "current", "-", "-", "2026-01-01T00:00:00Z", "3"]);
}
