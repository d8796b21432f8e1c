//! What a policy demands.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::{Component, Policy, Refusal, SignError, Signatory, Signed, Signer};
use super::{CREATED, ED25519, Request, parsed, requiring, rfc_request, seen, signing_key, verify};
use crate::auth::replay::{Novelty, Seen, Spent};
use crate::auth::signature::rfc::verifying_key;

fn signed_by(signer: &Signer, nonce: Option<&str>) -> Request {
    let Signed { input, signature } = signer.sign(&rfc_request().message(), CREATED, nonce).unwrap();
    rfc_request().with("signature-input", &input).with("signature", &signature)
}

fn signer(tag: Option<&str>, lifetime: Option<Duration>) -> Signer {
    Signer::new("sig", signing_key(ED25519), ED25519, parsed(&["@method"]), tag, lifetime).unwrap()
}

#[test]
fn what_is_required_must_be_covered() {
    let request = rfc_request().signed(&["@method", "@path", "date"]);
    for (required, refusal) in [
        (&["@method"][..], None),
        (&["date", "@path"][..], None),
        (&["@authority"][..], Some(Refusal::Uncovered)),
        (&["@method", "@query"][..], Some(Refusal::Uncovered)),
        (&["content-digest"][..], Some(Refusal::Uncovered)),
        (&["content-type"][..], Some(Refusal::Uncovered)),
        (&["date;bs"][..], Some(Refusal::Uncovered)),
    ] {
        assert_eq!(request.refusal(&requiring(required)), refusal, "{required:?}");
    }
}

#[test]
fn a_larger_component_covers_its_parts() {
    for (covered, required) in [
        ("@target-uri", &["@authority", "@path", "@query", "@scheme", "@target-uri"][..]),
        ("@request-target", &["@path", "@query"][..]),
        ("date;bs", &["date"][..]),
        ("content-digest;sf", &["content-digest"][..]),
    ] {
        assert_eq!(rfc_request().signed(&[covered]).refusal(&requiring(required)), None, "{covered}");
    }
    for (covered, required) in [
        ("@request-target", "@authority"),
        ("@path", "@target-uri"),
        ("@query-param;name=\"Pet\"", "@query"),
        ("content-digest;key=\"sha-512\"", "content-digest"),
        ("date", "date;bs"),
    ] {
        let refusal = rfc_request().signed(&[covered]).refusal(&requiring(&[required]));
        assert_eq!(refusal, Some(Refusal::Uncovered), "{covered}");
    }
}

#[test]
fn a_query_and_a_body_must_be_covered_where_there_are_any() {
    let policy = requiring(&["@method", "@query", "content-digest"]);
    let mut bare = rfc_request();
    bare.query = None;
    bare.has_body = false;
    let request = bare.signed(&["@method"]);
    assert_eq!(request.refusal(&policy), None);
    let with_query = Request { query: Some(String::new()), ..request.clone() };
    assert_eq!(with_query.refusal(&policy), Some(Refusal::Uncovered));
    let with_body = Request { has_body: true, ..request };
    assert_eq!(with_body.refusal(&policy), Some(Refusal::Uncovered));
}

#[test]
fn says_whether_the_body_is_covered() {
    for (covered, says) in [
        ("content-digest", true),
        ("content-digest;sf", true),
        ("content-digest;bs", true),
        ("content-digest;key=\"sha-512\"", false),
        ("date", false),
    ] {
        let verified = rfc_request().signed(&[covered]).verified(&requiring(&[])).unwrap();
        assert_eq!(verified.covers_body(), says, "{covered}");
    }
}

#[test]
fn a_signature_has_its_time() {
    let request = rfc_request().signed(&["@method"]);
    let at = |seconds| request.verified_at(&requiring(&["@method"]), CREATED + seconds).err();
    assert_eq!(at(-31), Some(Refusal::CreatedInFuture));
    assert_eq!(at(-30), None);
    assert_eq!(at(330), None);
    assert_eq!(at(331), Some(Refusal::TooOld));
}

#[test]
fn an_expired_signature_is_refused() {
    let request = signed_by(&signer(None, Some(Duration::from_secs(60))), None);
    let at = |seconds| request.verified_at(&requiring(&["@method"]), CREATED + seconds).err();
    assert_eq!(at(90), None);
    assert_eq!(at(91), Some(Refusal::Expired));
}

#[test]
fn times_at_the_ends_of_their_range_overflow_nothing() {
    let policy = Policy { max_age: Duration::MAX, clock_skew: Duration::MAX, ..requiring(&[]) };
    for now in [i64::MIN, 0, i64::MAX] {
        let refusal = rfc_request().signed(&["@method"]).verified_at(&policy, now).err();
        assert_eq!(refusal, (now == i64::MIN).then_some(Refusal::CreatedInFuture), "{now}");
    }
}

#[test]
fn a_nonce_is_good_for_one_use_as_long_as_the_signature_is() {
    let policy = requiring(&["@method"]);
    let seen = seen();
    let request = signed_by(&signer(None, None), Some("n1"));
    assert!(verify(&request, &policy, &seen, CREATED).is_ok());
    for now in [CREATED, CREATED + 330] {
        assert_eq!(verify(&request, &policy, &seen, now), Err(Refusal::Replayed));
    }
    assert_eq!(verify(&request, &policy, &seen, CREATED + 331), Err(Refusal::TooOld));
    assert!(verify(&signed_by(&signer(None, None), Some("n2")), &policy, &seen, CREATED).is_ok());
}

#[test]
fn keys_of_one_name_are_tried_as_long_as_there_are_not_too_many() {
    let seen = seen();
    let verified = |others: usize, algorithm: Option<&str>| {
        let names = std::iter::repeat_n("test-shared-secret", others).chain([ED25519]);
        let of = |name| Signatory { key: Arc::new(verifying_key(name)), seen: Arc::clone(&seen) };
        let keys: Vec<_> = names.map(of).collect();
        let algorithm = algorithm.map(|name| format!(";alg=\"{name}\"")).unwrap_or_default();
        let parameters = format!("(\"@method\");created={CREATED};keyid=\"k\"{algorithm}");
        let base = format!("\"@method\": POST\n\"@signature-params\": {parameters}");
        let signature = STANDARD.encode(signing_key(ED25519).sign(base.as_bytes()).unwrap());
        let request = rfc_request().with("signature-input", &format!("sig={parameters}"));
        let request = request.with("signature", &format!("sig=:{signature}:"));
        let policy = requiring(&["@method"]);
        policy.verify(&request.message(), |_| keys.clone(), &mut Spent::default(), CREATED).map(drop)
    };
    assert_eq!((verified(0, None), verified(3, None)), (Ok(()), Ok(())));
    assert_eq!(verified(4, None), Err(Refusal::Invalid));
    assert_eq!(verified(9, Some("ed25519")), Ok(()), "only one of them fits");
    assert_eq!(verified(9, Some("rsa-v1_5-sha256")), Err(Refusal::WrongAlgorithm));
}

#[test]
fn a_nonce_is_demanded_where_the_policy_says_so() {
    let policy = Policy { nonce_required: true, ..requiring(&["@method"]) };
    assert_eq!(signed_by(&signer(None, None), None).refusal(&policy), Some(Refusal::NonceMissing));
    assert_eq!(signed_by(&signer(None, None), Some("n")).refusal(&policy), None);
}

#[test]
fn a_forger_uses_up_nobodys_nonce() {
    let policy = requiring(&["@method"]);
    let seen = seen();
    let request = signed_by(&signer(None, None), Some("n1"));
    let forged = request.clone().replaced("signature", "sig=:AAAA:");
    assert_eq!(verify(&forged, &policy, &seen, CREATED), Err(Refusal::Invalid));
    assert!(seen.is_empty());
    assert!(verify(&request, &policy, &seen, CREATED).is_ok());
}

#[test]
fn without_room_for_nonces_none_is_accepted() {
    let policy = requiring(&["@method"]);
    let seen = Arc::new(Seen::new(NonZeroUsize::new(1).unwrap()));
    let (key, spent) = (verifying_key(ED25519).thumbprint(), &mut Spent::default());
    assert_eq!(seen.remember(key.as_bytes(), b"n0", CREATED + 1000, CREATED, spent), Novelty::Fresh);
    let request = signed_by(&signer(None, None), Some("n1"));
    assert_eq!(verify(&request, &policy, &seen, CREATED), Err(Refusal::ReplayStoreFull));
}

#[test]
fn only_signatures_of_the_right_tag_count() {
    let policy = Policy { tag: Some("orders".to_owned()), ..requiring(&["@method"]) };
    assert_eq!(signed_by(&signer(Some("orders"), None), None).refusal(&policy), None);
    for tag in [None, Some("Orders"), Some("")] {
        assert_eq!(signed_by(&signer(tag, None), None).refusal(&policy), Some(Refusal::WrongTag));
    }
    assert_eq!(signed_by(&signer(Some("orders"), None), None).refusal(&requiring(&[])), None);
    // Others of other purposes do not stand in the way, and cost nothing.
    let mut request = signed_by(&signer(Some("orders"), None), None);
    for at in 0..6 {
        let other = rfc_request().signature(&format!("other{at}"), &["@method"], None);
        let (input, signature) =
            (request.fields["signature-input"].clone(), request.fields["signature"].clone());
        request = request
            .replaced("signature-input", &format!("{}, {}", other.input, input.to_str().unwrap()))
            .replaced("signature", &format!("{}, {}", other.signature, signature.to_str().unwrap()));
    }
    assert_eq!(request.verified(&policy).map(|verified| verified.label).as_deref(), Ok("sig"));
}

#[test]
fn signs_only_what_can_be_verified() {
    let new = |label: &str, key_id: &str, components: Vec<Component>| {
        Signer::new(label, signing_key(ED25519), key_id, components, None, None).err()
    };
    assert!(new("sig", "k", parsed(&["@method"])).is_none());
    assert!(matches!(new("Sig", "k", parsed(&["@method"])), Some(SignError::Unwritable)));
    assert!(matches!(new("sig", "k\u{e9}", parsed(&["@method"])), Some(SignError::Unwritable)));
    let many = (0..33).map(|at| format!("x-{at}").parse().unwrap()).collect();
    assert!(matches!(new("sig", "k", many), Some(SignError::Unwritable)));
    let absent = Signer::new("sig", signing_key(ED25519), "k", parsed(&["x-absent"]), None, None).unwrap();
    let signed = absent.sign(&rfc_request().message(), CREATED, None);
    assert!(matches!(signed, Err(SignError::Request(Refusal::AbsentComponent))));
    assert!(matches!(absent.sign(&rfc_request().message(), i64::MAX, None), Err(SignError::Unwritable)));
}

#[test]
fn every_refusal_has_a_reason_of_its_own() {
    let all = [
        Refusal::Missing,
        Refusal::Malformed,
        Refusal::TooLarge,
        Refusal::WrongTag,
        Refusal::UnknownKey,
        Refusal::WrongAlgorithm,
        Refusal::CreatedMissing,
        Refusal::CreatedInFuture,
        Refusal::TooOld,
        Refusal::Expired,
        Refusal::NonceMissing,
        Refusal::UnsupportedComponent,
        Refusal::DuplicateComponent,
        Refusal::AbsentComponent,
        Refusal::MalformedComponent,
        Refusal::Uncovered,
        Refusal::Invalid,
        Refusal::Replayed,
        Refusal::ReplayStoreFull,
    ];
    let reasons: std::collections::HashSet<_> = all.iter().map(|refusal| refusal.reason()).collect();
    assert_eq!(reasons.len(), all.len());
    assert!(reasons.iter().all(|reason| reason.starts_with("signature_")));
}
