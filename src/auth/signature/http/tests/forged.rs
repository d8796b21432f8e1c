//! What someone in between may try: each case starts from a request that is accepted.

use super::super::{Refusal, Signed};
use super::{CREATED, ED25519, Request, requiring, rfc_request, seen, verify};

const COVERED: [&str; 5] = ["@method", "@authority", "@path", "@query", "content-digest"];

fn signed() -> Request {
    let request = rfc_request().signed(&COVERED);
    assert_eq!(request.refusal(&requiring(&COVERED)), None);
    request
}

/// The request with its signature's parameters rewritten.
fn rewritten(from: &str, to: &str) -> Request {
    let request = signed();
    let input = request.fields["signature-input"].to_str().unwrap().to_owned();
    assert!(input.contains(from), "{input}");
    request.replaced("signature-input", &input.replace(from, to))
}

fn refusal(request: &Request) -> Option<Refusal> {
    request.refusal(&requiring(&COVERED))
}

#[test]
fn changing_what_is_covered_is_noticed() {
    let changes: [fn(&mut Request); 9] = [
        |request| request.method = "PUT",
        |request| request.authority = "example.org",
        |request| request.authority = "example.com:8443",
        |request| request.path = "/foo/".to_owned(),
        |request| request.path = "/f%6fo".to_owned(),
        |request| request.query = None,
        |request| request.query = Some("param=Value&Pet=dog&".to_owned()),
        |request| request.query = Some("Pet=dog&param=Value".to_owned()),
        |request| request.append("content-digest", "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut request = signed();
        change(&mut request);
        assert_eq!(refusal(&request), Some(Refusal::Invalid), "{at}");
    }
}

#[test]
fn a_covered_field_cannot_be_added_to_or_emptied() {
    let covered = ["@method", "x-role"];
    let request = rfc_request().with("x-role", "user").signed(&covered);
    assert_eq!(request.refusal(&requiring(&covered)), None);
    for name in ["x-role", "X-Role"] {
        let more = request.clone().with(name, "admin");
        assert_eq!(more.refusal(&requiring(&covered)), Some(Refusal::Invalid));
    }
    let empty = request.clone().with("x-role", "");
    assert_eq!(empty.refusal(&requiring(&covered)), Some(Refusal::Invalid));
    let none = request.clone().without("x-role");
    assert_eq!(none.refusal(&requiring(&covered)), Some(Refusal::AbsentComponent));
    for same in [" user", "user\t", "  user  "] {
        assert_eq!(request.clone().replaced("x-role", same).refusal(&requiring(&covered)), None, "{same:?}");
    }
    for other in ["us er", "User", "user,"] {
        let other = request.clone().replaced("x-role", other);
        assert_eq!(other.refusal(&requiring(&covered)), Some(Refusal::Invalid));
    }
}

#[test]
fn lines_may_be_joined_but_not_swapped() {
    let covered = ["@method", "x-list"];
    let request = rfc_request().with("x-list", "a").with("x-list", "b").signed(&covered);
    assert_eq!(request.refusal(&requiring(&covered)), None);
    assert_eq!(request.clone().replaced("x-list", "a, b").refusal(&requiring(&covered)), None);
    for other in ["b, a", "a,b", "a,  b", "a, , b"] {
        let other = request.clone().replaced("x-list", other);
        assert_eq!(other.refusal(&requiring(&covered)), Some(Refusal::Invalid));
    }
    let wrapped = ["@method", "x-list;bs"];
    let request = rfc_request().with("x-list", "a").with("x-list", "b").signed(&wrapped);
    assert_eq!(request.refusal(&requiring(&covered)), None);
    assert_eq!(request.replaced("x-list", "a, b").refusal(&requiring(&covered)), Some(Refusal::Invalid));
}

#[test]
fn the_list_of_components_cannot_be_changed() {
    assert_eq!(refusal(&rewritten(" \"@query\"", "")), Some(Refusal::Uncovered));
    assert_eq!(refusal(&rewritten("(\"@method\"", "(")), Some(Refusal::Uncovered));
    assert_eq!(
        refusal(&rewritten("\"@method\" \"@authority\"", "\"@authority\" \"@method\"")),
        Some(Refusal::Invalid)
    );
    assert_eq!(refusal(&rewritten("\"@path\"", "\"@path\" \"date\"")), Some(Refusal::Invalid));
    assert_eq!(refusal(&rewritten("\"content-digest\"", "\"content-digest\";bs")), Some(Refusal::Invalid));
    assert_eq!(
        refusal(&rewritten("\"content-digest\"", "\"content-digest\";key=\"sha-512\"")),
        Some(Refusal::Uncovered)
    );
    assert_eq!(
        refusal(&rewritten("\"content-digest\"", "\"content-digest\";tr")),
        Some(Refusal::UnsupportedComponent)
    );
    assert_eq!(refusal(&rewritten("\"@path\"", "\"@path\";req")), Some(Refusal::UnsupportedComponent));
    assert_eq!(
        refusal(&rewritten("\"@path\"", "\"@signature-params\"")),
        Some(Refusal::UnsupportedComponent)
    );
    assert_eq!(refusal(&rewritten("\"@path\"", "@path")), Some(Refusal::Malformed));
}

#[test]
fn a_component_counts_once() {
    assert_eq!(refusal(&rewritten("\"@path\"", "\"@path\" \"@path\"")), Some(Refusal::DuplicateComponent));
    let same = "\"content-digest\";sf;key=\"a\" \"content-digest\";key=\"a\";sf";
    assert_eq!(refusal(&rewritten("\"content-digest\"", same)), Some(Refusal::DuplicateComponent));
    let both =
        rfc_request().signed(&["content-digest", "content-digest;bs", "content-digest;key=\"sha-512\""]);
    assert_eq!(both.refusal(&requiring(&["content-digest"])), None);
}

#[test]
fn white_space_in_the_fields_of_the_signature_means_nothing() {
    let spaced = rewritten("(\"@method\" \"@authority\"", "(  \"@method\"   \"@authority\"");
    assert_eq!(refusal(&spaced), None);
    assert_eq!(refusal(&rewritten(";created", ";  created")), None);
    assert_eq!(refusal(&rewritten(";created", " ;created")), Some(Refusal::Malformed));
    assert_eq!(refusal(&rewritten("sig=", "sig =")), Some(Refusal::Malformed));
}

#[test]
fn parameters_cannot_be_changed() {
    let created = format!("created={CREATED}");
    assert_eq!(refusal(&rewritten(&created, &format!("created={}", CREATED + 1))), Some(Refusal::Invalid));
    assert_eq!(
        refusal(&rewritten(&created, &format!("{created};expires={}", CREATED + 9))),
        Some(Refusal::Invalid)
    );
    assert_eq!(refusal(&rewritten(&created, &format!("{created};nonce=\"n\""))), Some(Refusal::Invalid));
    assert_eq!(refusal(&rewritten(&created, &format!("{created};unknown"))), Some(Refusal::Invalid));
    assert_eq!(refusal(&rewritten(&format!(";{created}"), "")), Some(Refusal::CreatedMissing));
    for wrong in [
        format!("created=\"{CREATED}\""),
        format!("created={CREATED}.0"),
        "created=@1".to_owned(),
        "created".to_owned(),
    ] {
        assert_eq!(refusal(&rewritten(&created, &wrong)), Some(Refusal::Malformed), "{wrong}");
    }
    assert_eq!(refusal(&rewritten(ED25519, "nobody")), Some(Refusal::UnknownKey));
    assert_eq!(refusal(&rewritten(&format!(";keyid=\"{ED25519}\""), "")), Some(Refusal::UnknownKey));
    assert_eq!(refusal(&rewritten(&format!("\"{ED25519}\""), "1")), Some(Refusal::Malformed));
}

#[test]
fn neither_another_key_nor_another_algorithm_can_be_talked_into() {
    for other in ["test-key-rsa", "test-key-rsa-pss", "test-key-ecc-p256", "test-shared-secret"] {
        assert_eq!(refusal(&rewritten(ED25519, other)), Some(Refusal::Invalid), "{other}");
    }
    let keyid = format!("keyid=\"{ED25519}\"");
    for algorithm in ["hmac-sha256", "rsa-v1_5-sha256", "ecdsa-p256-sha256", "Ed25519", "none", ""] {
        let named = rewritten(&keyid, &format!("{keyid};alg=\"{algorithm}\""));
        assert_eq!(refusal(&named), Some(Refusal::WrongAlgorithm), "{algorithm}");
    }
    assert_eq!(refusal(&rewritten(&keyid, &format!("{keyid};alg=ed25519"))), Some(Refusal::Malformed));
    // The right name, but not signed.
    assert_eq!(refusal(&rewritten(&keyid, &format!("{keyid};alg=\"ed25519\""))), Some(Refusal::Invalid));
}

/// The classic: a public key, which everybody has, taken for a shared secret.
#[test]
fn a_public_key_is_no_shared_secret() {
    use crate::auth::signature::key::SigningKey;
    use crate::auth::signature::rfc::ED25519_PUBLIC;
    let forger = SigningKey::from_secret(ED25519_PUBLIC.as_bytes());
    let signer = super::Signer::new("sig", forger, ED25519, super::parsed(&COVERED), None, None).unwrap();
    let Signed { input, signature } = signer.sign(&rfc_request().message(), CREATED, None).unwrap();
    let request = rfc_request().with("signature-input", &input).with("signature", &signature);
    assert_eq!(refusal(&request), Some(Refusal::Invalid));
    let named = request.replaced("signature-input", &format!("{input};alg=\"hmac-sha256\""));
    assert_eq!(refusal(&named), Some(Refusal::WrongAlgorithm));
}

#[test]
fn the_two_fields_must_be_there_and_fit_together() {
    for name in ["signature", "signature-input"] {
        assert_eq!(refusal(&signed().without(name)), Some(Refusal::Missing), "{name}");
        assert_eq!(refusal(&signed().replaced(name, "")), Some(Refusal::Missing), "{name}");
        for wrong in ["sig", "sig=1", "sig=\"a\"", "sig=:!:", "sig=(", "=", "other=:AAAA:", "é"] {
            assert_eq!(refusal(&signed().replaced(name, wrong)), Some(Refusal::Malformed), "{name}: {wrong}");
        }
        let long = format!("a=\"{}\"", "x".repeat(4 * 1024));
        assert_eq!(refusal(&signed().with(name, &long)), Some(Refusal::TooLarge), "{name}");
    }
    assert_eq!(refusal(&signed().replaced("signature", "sig=::")), Some(Refusal::Invalid));
}

#[test]
fn of_two_signatures_of_one_name_the_last_counts() {
    let junk = "sig=:AAAA:";
    let request = signed();
    let good = request.fields["signature"].to_str().unwrap().to_owned();
    let last = request.clone().replaced("signature", &format!("{junk}, {good}"));
    assert_eq!(refusal(&last), None);
    assert_eq!(refusal(&request.with("signature", junk)), Some(Refusal::Invalid));
}

#[test]
fn the_work_is_bounded() {
    let names: Vec<String> = (0..33).map(|at| format!("x-{at}")).collect();
    let covered = names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" ");
    assert_eq!(refusal(&rewritten("\"@method\"", &covered)), Some(Refusal::TooLarge));
    // One long field, again and again.
    let keys: Vec<String> = (0..20).map(|at| format!("\"x-long\";key=\"k{at}\"")).collect();
    let members: Vec<String> = (0..60).map(|at| format!("k{at}=123")).collect();
    let request = rewritten("\"@method\"", &format!("\"@method\" {}", keys.join(" ")));
    let request = request.with("x-long", &members.join(", "));
    assert_eq!(refusal(&request), Some(Refusal::TooLarge));
    let long = format!("nonce=\"{}\";created", "n".repeat(257));
    assert_eq!(refusal(&rewritten("created", &long)), Some(Refusal::TooLarge));
}

#[test]
fn a_signature_is_found_among_a_few_others() {
    let good = signed();
    let input = good.fields["signature-input"].to_str().unwrap().to_owned();
    let signature = good.fields["signature"].to_str().unwrap().to_owned();
    let with_junk = |junk: usize, key_id: &str| {
        let (mut inputs, mut signatures) = (Vec::new(), Vec::new());
        for at in 0..junk {
            inputs.push(input.replace("sig=", &format!("junk{at}=")).replace(ED25519, key_id));
            signatures.push(format!("junk{at}=:AAAA:"));
        }
        inputs.push(input.clone());
        signatures.push(signature.clone());
        good.clone()
            .replaced("signature-input", &inputs.join(", "))
            .replaced("signature", &signatures.join(", "))
    };
    for junk in 0..4 {
        assert_eq!(refusal(&with_junk(junk, ED25519)), None, "{junk}");
    }
    assert_eq!(refusal(&with_junk(4, ED25519)), Some(Refusal::Invalid));
    // Those of unknown keys cost nothing.
    assert_eq!(refusal(&with_junk(10, "nobody")), None);
    let verified = verify(&with_junk(3, ED25519), &requiring(&COVERED), &seen(), CREATED).unwrap();
    assert_eq!(verified.label, "sig");
}
