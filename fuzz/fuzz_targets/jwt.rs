//! No token passes that our key did not sign, or that another reader might read otherwise; no key set, proof or target
//! breaks what reads it. The first byte says what the rest is.
#![no_main]

use std::sync::LazyLock;

use edgeward::auth::jose::dpop::{Proof, Request};
use edgeward::auth::jose::target::Target;
use edgeward::auth::jose::{
    Algorithm, Algorithms, Fault, KeySet, ProofRules, Rules, SigningKey, Source, Thumbprint, Verified,
    Verifier,
};
use edgeward::http::path;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const NOW: u64 = 1_800_000_000;
const HEADER: &[u8] = br#"{"alg":"HS256","kid":"k"}"#;
const CLAIMS: &[u8] = br#"{"iss":"i","aud":"a","exp":1800000600}"#;
/// RFC 8037 appendix A.1.
const CLIENT_KEY: &[u8] = br#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const PROOF_HEADER: &[u8] = br#"{"typ":"dpop+jwt","alg":"EdDSA","jwk":{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}"#;

static SIGNER: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::from_secret(&[0x5a; 32], Algorithm::Hs256, Some("k")).expect("a key"));
static CLIENT: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::from_jwk(CLIENT_KEY, Algorithm::EdDsa).expect("a key"));
static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let mut keys = KeySet::default();
    keys.add(SIGNER.verifying().clone()).expect("one key");
    keys
});
static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| Verifier {
    algorithms: Algorithm::ALL.into_iter().collect(),
    ..Verifier::new(Rules::new("i", "a"))
});

fuzz_target!(|data: &[u8]| {
    let Some((choice, input)) = data.split_first() else { return };
    match choice % 6 {
        0 => assert!(VERIFIER.verify(input, &KEYS, NOW).is_err(), "nobody but us can sign"),
        1 => check_claims(input),
        2 => check_header(input),
        3 => check_key_set(input),
        4 => assert!(check_proof(input, &Thumbprint::of(b"nobody's")).is_err(), "nobody has this key"),
        _ => check_signed_proof(input),
    }
});

fn signed(header: &[u8], claims: &[u8]) -> Vec<u8> {
    SIGNER.sign_parts(header, claims).expect("a signature").into_bytes()
}

/// Claims that we signed, whatever they are.
fn check_claims(claims: &[u8]) {
    let Ok(token) = VERIFIER.verify(&signed(HEADER, claims), &KEYS, NOW) else { return };
    let Verified { claims: read, .. } = &*token;
    let common: Value = serde_json::from_slice(claims).expect("JSON to any reader");
    assert_eq!(common.as_object(), Some(read.all()), "each member has one value");
    assert_eq!(common["iss"], "i");
    let audience = &common["aud"];
    assert!(audience == "a" || audience.as_array().is_some_and(|list| list.iter().any(|item| item == "a")));
    assert!(common["exp"].as_f64().is_some_and(|exp| exp > 1_799_999_969.0 && exp < 253_402_300_800.0));
    for name in ["nbf", "iat"] {
        assert!(
            common.get(name).is_none_or(|time| time.as_f64().is_some_and(|time| time <= 1_800_000_030.0))
        );
    }
    assert!(read.scopes().all(|scope| !scope.is_empty()));
}

/// A header that we signed, whatever it is.
fn check_header(header: &[u8]) {
    if VERIFIER.verify(&signed(header, CLAIMS), &KEYS, NOW).is_err() {
        return;
    }
    let common: Value = serde_json::from_slice(header).expect("JSON to any reader");
    assert_eq!(common["alg"], "HS256");
    assert!(common.get("kid").is_none_or(|id| id == "k"));
    for name in ["crit", "jku", "x5u", "x5c", "jwk", "zip", "b64", "enc"] {
        assert!(common.get(name).is_none(), "{name}");
    }
}

fn check_key_set(set: &[u8]) {
    let _ = KeySet::parse(set, Source::Secret);
    let Ok((keys, notes)) = KeySet::parse(set, Source::Public) else { return };
    assert!(keys.keys().len() <= 100 && notes.len() <= 100);
    for key in keys.keys() {
        assert!(!key.algorithms().is_empty() && key.algorithms().and(Algorithms::SYMMETRIC).is_empty());
        assert!(key.algorithms().and(Algorithms::ASYMMETRIC) == key.algorithms());
    }
    for note in notes {
        assert!(note.oddity.to_string().len() < 200);
    }
}

fn check_proof(proof: &[u8], key: &Thumbprint) -> Result<Proof, Fault> {
    let path_rules = path::Rules::default();
    let target = Target { scheme: "https", authority: "a.example", path: "/b", path_rules: &path_rules };
    let request = Request { method: "GET", target };
    ProofRules::default().check(proof, key, &Thumbprint::of(b"token"), &request, NOW)
}

/// Claims of a proof that its client signed, whatever they are.
fn check_signed_proof(claims: &[u8]) {
    let proof = CLIENT.sign_parts(PROOF_HEADER, claims).expect("a signature");
    if check_proof(proof.as_bytes(), &CLIENT.verifying().thumbprint()).is_err() {
        return;
    }
    let common: Value = serde_json::from_slice(claims).expect("JSON to any reader");
    assert_eq!(common["htm"], "GET");
    assert_eq!(common["ath"], Thumbprint::of(b"token").to_string());
    assert!(common["jti"].as_str().is_some_and(|id| (1..=256).contains(&id.len())));
    assert!(common["iat"].as_f64().is_some_and(|iat| (1_799_999_934.0..=1_800_000_005.0).contains(&iat)));
    let uri = common["htu"].as_str().expect("a string").to_ascii_lowercase();
    let after_host = uri.strip_prefix("https://a.example").expect("scheme and host");
    let (port, _) = after_host.split_once('/').expect("a path");
    let port = port.trim_start_matches(':').trim_start_matches('0');
    assert!(port.is_empty() || port == "443");
}
