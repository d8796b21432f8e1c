use super::*;
use crate::auth::keys::fixtures::{at, compile, document, random};
use crate::auth::keys::{KeyText, Usage};

fn directory() -> Directory {
    let document = document(
        r##"{ "consumers": [{ "name": "a", "keys": [
            { "id": "plain", "sha256": "#one" },
            { "id": "window", "sha256": "#two", "not_before": "2026-02-01", "expires": "2026-03-01" },
            { "id": "gone", "sha256": "#three", "retired": "2026-01-01", "expires": "2026-01-01" },
            { "id": "old", "sha256": "#four", "expires": "2026-03-01", "deprecated": { "since": "2026-01-15" } },
            { "id": "older", "sha256": "#five", "deprecated": { "since": "2026-01-15" } }
        ] }] }"##,
    );
    compile(&document, &Usage::default())
}

fn reason<'a>(directory: &'a Directory, text: &'a [u8], now: &str) -> Result<&'a str, &'static str> {
    match directory.check(Some(text), at(now)) {
        Ok(admitted) => Ok(admitted.key.id.as_str()),
        Err(refusal) => Err(refusal.reason.as_str()),
    }
}

#[test]
fn admits_a_key_and_names_it() {
    let directory = directory();
    let admitted = directory.check(Some(b"one"), at("2026-02-01")).unwrap();
    assert_eq!((admitted.key.id.as_str(), admitted.key.consumer.name.as_str()), ("plain", "a"));
    assert_eq!(admitted.standing, Standing::Current);
}

#[test]
fn a_key_is_valid_from_not_before_until_it_expires() {
    let directory = directory();
    for (now, expected) in [
        ("2026-01-31T23:59:59Z", Err("key_not_yet_valid")),
        ("2026-02-01T00:00:00Z", Ok("window")),
        ("2026-02-28T23:59:59Z", Ok("window")),
        ("2026-03-01T00:00:00Z", Err("key_expired")),
    ] {
        assert_eq!(reason(&directory, b"two", now), expected, "{now}");
    }
}

#[test]
fn a_retired_key_is_refused_as_such_whatever_the_time() {
    let directory = directory();
    for now in ["2025-01-01", "2026-06-01"] {
        assert_eq!(reason(&directory, b"three", now), Err("key_retired"));
    }
}

#[test]
fn an_old_key_is_admitted_with_its_end() {
    let directory = directory();
    let standing = |text: &'static [u8]| directory.check(Some(text), at("2026-02-01")).unwrap().standing;
    let since = at("2026-01-15");
    assert_eq!(standing(b"four"), Standing::Deprecated { since, sunset: Some(at("2026-03-01")) });
    assert_eq!(standing(b"five"), Standing::Deprecated { since, sunset: None });
    assert_eq!(reason(&directory, b"four", "2026-03-01"), Err("key_expired"));
}

#[test]
fn a_request_without_a_key_is_told_from_one_with_a_wrong_key() {
    let directory = directory();
    let now = at("2026-02-01");
    let refused = |presented: Option<&'static [u8]>| directory.check(presented, now).unwrap_err().reason;
    assert_eq!(refused(None), Reason::Missing);
    assert_eq!(refused(Some(b"")), Reason::Missing);
    assert_eq!(refused(Some(b"six")), Reason::Unknown);
    assert_eq!(refused(Some(b"One")), Reason::Unknown);
    assert_eq!(refused(Some(b"one ")), Reason::Unknown);
    assert_eq!(refused(Some(b"o\nne")), Reason::Malformed);
    assert_eq!(refused(Some(&[b'x'; 513])), Reason::Malformed);
    assert_eq!(refused(Some(b"ew_abcdefghij_0")), Reason::Malformed);
}

#[test]
fn a_digest_is_not_a_key() {
    let directory = directory();
    let digest = crate::auth::keys::digest::Digest::of(b"one").to_string();
    assert_eq!(reason(&directory, digest.as_bytes(), "2026-02-01"), Err("key_unknown"));
}

#[test]
fn an_unknown_key_of_ours_is_logged_by_the_id_it_claims_and_no_other_text_is() {
    let directory = directory();
    let key = KeyText::generate(&mut random(1)).unwrap();
    let refusal = directory.check(Some(key.expose().as_bytes()), at("2026-02-01")).unwrap_err();
    assert_eq!(refusal, Refusal { reason: Reason::Unknown, id: Some(key.id().as_str()) });
    let refusal = directory.check(Some(b"secret"), at("2026-02-01")).unwrap_err();
    assert_eq!(refusal, Refusal { reason: Reason::Unknown, id: None });
}

#[test]
fn judging_does_not_count() {
    let directory = directory();
    let admitted = directory.check(Some(b"one"), at("2026-02-01")).unwrap();
    assert_eq!(admitted.key.tally.uses(), 0);
    admitted.key.tally.record(at("2026-02-01"));
    assert_eq!((admitted.key.tally.uses(), admitted.key.tally.last_used()), (1, Some(at("2026-02-01"))));
}
