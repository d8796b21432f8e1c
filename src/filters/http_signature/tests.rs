use std::path::Path;
use std::time::Duration as StdDuration;

use serde_json::{Value, json};

use super::*;
use crate::auth::signature::digest::{Algorithm, content_digest};
use crate::auth::signature::http::Signer;
use crate::auth::signature::key::SigningKey;
use crate::filters::Verdict;
use crate::filters::exchange::Sample;
use crate::filters::testing::{Ground, compile, compile_error};

const NOW: u64 = 1_700_000_000;
const ED25519_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----
";
const ED25519_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----
";

fn spec(more: Value) -> Value {
    let mut spec = json!({ "keys": { "k": { "algorithm": "ed25519", "public_key": ED25519_PUBLIC, "subject": "billing" } } });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

/// A request that is signed as the defaults want it.
struct Signed {
    sample: Sample,
    components: Vec<&'static str>,
    nonce: Option<&'static str>,
    target: &'static str,
    scheme: &'static str,
}

fn get() -> Signed {
    of("GET", b"")
}

fn of(method: &str, body: &[u8]) -> Signed {
    let mut sample = Sample::new(method, "/a?b=c", &[("host", "api.example.com")]);
    sample.facts.time = UNIX_EPOCH + StdDuration::from_secs(NOW);
    sample.facts.has_body = !body.is_empty();
    let mut components = vec!["@method", "@target-uri"];
    if !body.is_empty() {
        sample.request.insert_header("content-digest", content_digest(Algorithm::Sha256, body)).unwrap();
        components.push("content-digest");
    }
    Signed { sample, components, nonce: None, target: "/a?b=c", scheme: "https" }
}

impl Signed {
    fn sign(mut self, created: u64, tag: Option<&str>, key_id: &str) -> Sample {
        let key =
            SigningKey::from_pem(crate::auth::signature::key::Algorithm::Ed25519, ED25519_PRIVATE.as_bytes());
        let components = self.components.iter().map(|text| text.parse().unwrap()).collect();
        let signer = Signer::new("sig", key.unwrap(), key_id, components, tag, None).unwrap();
        let (path, query) = self.target.split_once('?').unwrap();
        let request = &self.sample.request;
        let message = Message {
            method: request.method.as_str(),
            scheme: self.scheme,
            authority: "api.example.com",
            path,
            query: Some(query),
            fields: &request.headers,
            has_body: self.sample.facts.has_body,
        };
        let signed = signer.sign(&message, created.cast_signed(), self.nonce).unwrap();
        self.sample.request.insert_header("signature-input", signed.input).unwrap();
        self.sample.request.insert_header("signature", signed.signature).unwrap();
        self.sample
    }

    fn now(self) -> Sample {
        self.sign(NOW, None, "k")
    }
}

/// Who signed, or why that does not count.
fn asked(filter: &dyn Filter, sample: &mut Sample) -> Result<String, (u16, &'static str)> {
    let mut exchange = sample.exchange();
    match filter.on_request(&mut exchange) {
        Step::Now(Verdict::Next) => {}
        Step::Now(Verdict::Refuse(refusal)) => return Err((refusal.status.as_u16(), refusal.reason)),
        _ => panic!("neither let in nor refused"),
    }
    Ok(exchange.callers()[0].subject.to_string())
}

fn once(more: Value, mut sample: Sample) -> Result<String, (u16, &'static str)> {
    asked(&*compile::<Spec>(spec(more)), &mut sample)
}

fn refused(reason: &'static str) -> Result<String, (u16, &'static str)> {
    Err((401, reason))
}

#[expect(clippy::unnecessary_wraps, reason = "compared with a result")]
fn passed() -> Result<String, (u16, &'static str)> {
    Ok("billing".to_owned())
}

#[test]
fn lets_in_who_signs() {
    let filter = compile::<Spec>(spec(json!({})));
    let mut sample = get().now();
    assert_eq!(asked(&*filter, &mut sample), passed());
    assert!(!sample.request.headers.contains_key("signature"), "hidden by default");
    assert!(!sample.request.headers.contains_key("signature-input"));
    assert_eq!(sample.slots.hold(), Hold::default(), "there is no body to wait for");
    let mut shown = get().now();
    let filter = compile::<Spec>(spec(json!({ "hide_credentials": false })));
    assert_eq!(asked(&*filter, &mut shown), passed());
    assert!(shown.request.headers.contains_key("signature"));
}

#[test]
fn refuses_with_a_challenge_that_says_what_to_sign() {
    let filter = compile::<Spec>(spec(json!({ "required": ["@method", "date"], "tag": "t" })));
    let mut sample = Sample::get("/", &[]);
    let mut exchange = sample.exchange();
    let Step::Now(Verdict::Refuse(refusal)) = filter.on_request(&mut exchange) else { panic!("not refused") };
    assert_eq!((refusal.status.as_u16(), refusal.reason), (401, "signature_missing"));
    let headers: Vec<_> =
        refusal.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let accept = "sig=(\"@method\" \"date\" \"content-digest\");created;keyid;tag=\"t\"";
    assert_eq!(headers, [("www-authenticate", "Signature"), ("accept-signature", accept)]);
}

#[test]
fn what_is_verified_is_what_the_client_sent() {
    let mut changed = get().now();
    changed.request.set_uri("/other?b=c".try_into().unwrap());
    assert_eq!(once(json!({}), changed), refused("signature_invalid"));
    let mut normalised = Signed { target: "/x/../%61?b=c", ..get() }.now();
    normalised.facts.sent_target = Some("/x/../%61?b=c".into());
    assert_eq!(once(json!({}), normalised), passed());
    let mut host = get().now();
    host.request.insert_header("host", "other.example.com").unwrap();
    assert_eq!(once(json!({}), host), refused("signature_invalid"));
}

#[test]
fn signers_may_see_another_scheme() {
    let signed = || Signed { scheme: "http", ..get() }.now();
    assert_eq!(once(json!({}), signed()), refused("signature_invalid"));
    assert_eq!(once(json!({ "scheme": "http" }), signed()), passed());
}

#[test]
fn a_signature_is_good_for_its_time() {
    let at = |created: u64, more: Value| once(more, get().sign(created, None, "k"));
    assert_eq!(at(NOW - 330, json!({})), passed());
    assert_eq!(at(NOW - 331, json!({})), refused("signature_too_old"));
    assert_eq!(at(NOW + 31, json!({})), refused("signature_created_in_future"));
    assert_eq!(at(NOW - 91, json!({ "max_age": "1m" })), refused("signature_too_old"));
    assert_eq!(at(NOW + 1, json!({ "clock_skew": "0s" })), refused("signature_created_in_future"));
}

#[test]
fn the_policy_says_what_is_covered_and_what_for() {
    assert_eq!(once(json!({ "required": ["@method", "date"] }), get().now()), refused("signature_uncovered"));
    let partly = || Signed { components: vec!["@method"], ..get() }.now();
    assert_eq!(once(json!({}), partly()), refused("signature_uncovered"));
    assert_eq!(once(json!({ "required": ["@method"] }), partly()), passed());
    let tagged = |tag| get().sign(NOW, tag, "k");
    assert_eq!(once(json!({ "tag": "orders" }), tagged(Some("orders"))), passed());
    assert_eq!(once(json!({ "tag": "orders" }), tagged(None)), refused("signature_wrong_tag"));
    assert_eq!(once(json!({}), get().sign(NOW, None, "other")), refused("signature_unknown_key"));
}

#[test]
fn a_nonce_is_good_once_also_over_a_reload() {
    let (ground, base) = (Ground::new(), Path::new("/"));
    let nonced = || Signed { nonce: Some("n"), ..get() }.now();
    let first = ground.try_compile::<Spec>(spec(json!({ "nonce": "required" })), base).unwrap();
    assert_eq!(asked(&*first, &mut get().now()), refused("signature_nonce_missing"));
    assert_eq!(asked(&*first, &mut nonced()), passed());
    let second = ground.try_compile::<Spec>(spec(json!({})), base).unwrap();
    drop(first);
    assert_eq!(asked(&*second, &mut nonced()), refused("signature_replayed"));
    assert_eq!(asked(&*second, &mut get().now()), passed());
}

#[test]
fn a_nonce_is_good_once_on_all_routes_that_take_its_key_for_as_long_as_any_does() {
    let ground = Ground::new();
    let filter = |route: &str, spec: Value| {
        let spec: Spec = serde_json::from_value(spec).unwrap();
        crate::filters::Spec::compile(spec, &Site { route, ..ground.site() }).ok().unwrap()
    };
    let at = |seconds: u64| {
        let mut sample = Signed { nonce: Some("n"), ..get() }.now();
        sample.facts.time += StdDuration::from_secs(seconds);
        sample
    };
    let short = filter("short", spec(json!({ "max_age": "1m", "clock_skew": "0s" })));
    let long = filter("long", spec(json!({ "max_age": "10m", "clock_skew": "0s" })));
    assert_eq!(asked(&*short, &mut at(0)), passed());
    for seconds in [0, 61, 600] {
        assert_eq!(asked(&*long, &mut at(seconds)), refused("signature_replayed"), "{seconds}");
    }
    // Another key of that name on a third route has nonces of its own.
    let other = json!({ "k": { "algorithm": "hmac-sha256", "secret": { "env": "PATH" } } });
    assert_eq!(asked(&*filter("other", json!({ "keys": other })), &mut at(0)), refused("signature_invalid"));
    let again = filter("again", spec(json!({})));
    assert_eq!(asked(&*again, &mut at(0)), refused("signature_replayed"));
}

#[test]
fn two_filters_may_look_at_one_signature_of_a_request() {
    let ground = Ground::new();
    let filter = |ordinal| {
        let spec: Spec = serde_json::from_value(spec(json!({ "hide_credentials": false }))).unwrap();
        crate::filters::Spec::compile(spec, &Site { ordinal, ..ground.site() }).ok().unwrap()
    };
    let (first, second) = (filter(0), filter(1));
    let mut sample = Signed { nonce: Some("n"), ..get() }.now();
    assert_eq!(asked(&*first, &mut sample), passed());
    assert_eq!(asked(&*second, &mut sample), passed());
    assert_eq!(
        asked(&*second, &mut Signed { nonce: Some("n"), ..get() }.now()),
        refused("signature_replayed")
    );
}

/// What becomes of a signed POST whose body comes in these pieces.
fn posted(more: Value, mut sample: Sample, pieces: &[&'static [u8]]) -> Result<(), (u16, &'static str)> {
    let filter = compile::<Spec>(spec(more));
    asked(&*filter, &mut sample)?;
    for (at, piece) in pieces.iter().enumerate() {
        let mut piece = Some(Bytes::from_static(piece));
        let result = filter.on_request_body(&mut sample.exchange(), &mut piece, at + 1 == pieces.len());
        result.map_err(|refusal| (refusal.status.as_u16(), refusal.reason))?;
    }
    Ok(())
}

#[test]
fn a_body_is_the_one_whose_digest_was_signed() {
    let signed = || of("POST", b"hello").now();
    assert_eq!(posted(json!({}), signed(), &[b"hello"]), Ok(()));
    assert_eq!(posted(json!({}), signed(), &[b"he", b"llo", b""]), Ok(()));
    for other in [&[&b"hellO"[..]][..], &[b"hello", b"!"], &[b""]] {
        assert_eq!(posted(json!({}), signed(), other), Err((400, "digest_mismatch")));
    }
}

#[test]
fn a_body_that_was_taken_away_is_missed() {
    let mut stripped = of("POST", b"hello").now();
    stripped.facts.has_body = false;
    assert_eq!(once(json!({}), stripped), Err((400, "digest_mismatch")));
}

#[test]
fn a_body_needs_a_digest_unless_the_policy_says_otherwise() {
    let without = || {
        let mut sample = get().now();
        sample.facts.has_body = true;
        sample
    };
    assert_eq!(once(json!({}), without()), refused("signature_uncovered"));
    assert_eq!(posted(json!({ "digest": "optional" }), without(), &[b"any"]), Ok(()));
    // One that is there counts, signed or not.
    let mut unsigned = without();
    unsigned.request.insert_header("content-digest", content_digest(Algorithm::Sha256, b"x")).unwrap();
    assert_eq!(posted(json!({ "digest": "optional" }), unsigned, &[b"y"]), Err((400, "digest_mismatch")));
    let mut strange = without();
    strange.request.insert_header("content-digest", "md5=:AAAA:").unwrap();
    assert_eq!(once(json!({ "digest": "optional" }), strange), Err((400, "digest_unsupported")));
}

#[test]
fn the_body_waits_as_long_as_the_policy_says() {
    let mut sample = of("POST", b"hello").now();
    assert!(asked(&*compile::<Spec>(spec(json!({ "buffer": "1MiB" }))), &mut sample).is_ok());
    assert_eq!(sample.slots.hold(), Hold { first: 1 << 20, last: true });
    let mut sample = of("POST", b"hello").now();
    assert!(asked(&*compile::<Spec>(spec(json!({}))), &mut sample).is_ok());
    assert_eq!(sample.slots.hold().first, 64 * 1024);
}

#[test]
fn says_what_is_wrong_with_a_spec() {
    let with_key = |key: Value| json!({ "keys": { "k": key } });
    for (wrong, told) in [
        (json!({ "keys": {} }), "keys: expected at least one key"),
        (
            with_key(json!({ "algorithm": "ed25519" })),
            "keys[\"k\"]: expected one of public_key, public_key_file, jwk and secret",
        ),
        (
            with_key(json!({ "algorithm": "ed25519", "public_key": "x" })),
            "keys[\"k\"].public_key: expected a PEM block",
        ),
        (
            with_key(json!({ "algorithm": "rsa-pss-sha512", "public_key": ED25519_PUBLIC })),
            "keys[\"k\"].public_key: the key is not one for rsa-pss-sha512",
        ),
        (
            with_key(json!({ "algorithm": "ed25519", "secret": { "env": "PATH" } })),
            "keys[\"k\"].secret: a secret is for hmac-sha256: name a public key",
        ),
        (
            with_key(json!({ "algorithm": "ed25519", "public_key_file": "/nowhere/k.pem" })),
            "keys[\"k\"].public_key_file: cannot read /nowhere/k.pem",
        ),
        (spec(json!({ "required": ["@method", "@nonsense"] })), "required[1]: expected a component"),
        (spec(json!({ "buffer": "17MiB" })), "buffer: expected at most 16MiB"),
        (spec(json!({ "tag": "a\"" })), "tag: expected printable ASCII"),
    ] {
        let error = compile_error::<Spec>(wrong);
        assert!(error.starts_with(told), "{error}");
    }
}

fn jwk(more: Value) -> Value {
    let mut jwk =
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs" });
    jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    jwk
}

/// Who signed, by a spec with these keys.
fn signer_by(spec: Value, key_id: &str) -> Option<String> {
    let filter = compile::<Spec>(spec);
    let mut sample = get().sign(NOW, None, key_id);
    let mut exchange = sample.exchange();
    let passes = matches!(filter.on_request(&mut exchange), Step::Now(Verdict::Next));
    passes.then(|| exchange.callers()[0].subject.to_string())
}

#[test]
fn keys_may_be_jwks() {
    let named = |jwk: Value| json!({ "keys": { "k": { "jwk": jwk, "subject": "billing" } } });
    for more in [json!({}), json!({ "kid": "k", "alg": "EdDSA", "use": "sig", "key_ops": ["verify"] })] {
        assert_eq!(signer_by(named(jwk(more)), "k").as_deref(), Some("billing"));
    }
}

#[test]
fn says_what_is_wrong_with_a_jwk() {
    let named = |jwk: Value| compile_error::<Spec>(json!({ "keys": { "k": { "jwk": jwk } } }));
    let oct = json!({ "kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" });
    for (jwk, at) in [
        (jwk(json!({ "kid": "other" })), "keys[\"k\"].jwk.kid: is \"other\""),
        (jwk(json!({ "d": "AA" })), "keys[\"k\"].jwk: a private key"),
        (jwk(json!({ "use": "enc" })), "keys[\"k\"].jwk: not a key for signatures"),
        (jwk(json!({ "alg": "ES256" })), "keys[\"k\"].jwk: the key cannot be used with ES256"),
        (jwk(json!({ "crv": "Ed448" })), "keys[\"k\"].jwk: unsupported curve `Ed448`"),
        (oct.clone(), "keys[\"k\"].jwk: a secret key"),
    ] {
        let error = named(jwk);
        assert!(error.starts_with(at), "{error}");
    }
    assert_eq!(
        compile_error::<Spec>(json!({ "issuer": "partners" })),
        "issuer: no issuer \"partners\" in `issuers`: there are none"
    );
    assert!(
        compile_error::<Spec>(json!({ "keys": { "k": { "public_key": ED25519_PUBLIC } } }))
            .contains("algorithm: is needed")
    );
    let mixed = json!({ "keys": { "k": { "jwk": jwk(json!({})), "algorithm": "ecdsa-p256-sha256" } } });
    assert!(compile_error::<Spec>(mixed).contains("is not one for ecdsa-p256-sha256"));
}
