use std::time::{Duration, UNIX_EPOCH};

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use serde_json::json;

use super::*;
use crate::auth::issuer::Keys;
use crate::auth::jose::mint::{self, NOW, keys, signer};
use crate::auth::jose::{Algorithm, Rules, SigningKey, Thumbprint, Verifier};
use crate::filters::exchange::Sample;
use crate::filters::testing::Ground;
use crate::filters::{Refusal, Spec as _};
use crate::tls::{ClientIdentity, TlsFacts};

const PARTNERS: &str = "https://partners.example";

/// Two issuers, each with a key of its own.
struct World {
    ground: Ground,
    corp: SigningKey,
    partners: SigningKey,
}

impl World {
    fn new() -> Self {
        let (corp, partners) = (signer(Algorithm::Es256, Some("c")), signer(Algorithm::EdDsa, Some("p")));
        let mut ground = Ground::new();
        let issuers = &mut ground.issuers;
        for (name, iss, key) in
            [("corp", mint::ISSUER, &corp), ("same", mint::ISSUER, &corp), ("partners", PARTNERS, &partners)]
        {
            let verifier = Verifier::new(Rules::new(iss, mint::AUDIENCE));
            issuers.add(Issuer::new(name, verifier, Keys::Fixed(keys([key])), Arc::clone(issuers.memory())));
        }
        Self { ground, corp, partners }
    }

    fn try_compile(&self, spec: Value) -> Result<Box<dyn Filter>, Problem> {
        let spec: Spec = serde_json::from_value(spec).unwrap();
        spec.compile(&self.ground.site())
    }

    fn compile(&self, spec: Value) -> Box<dyn Filter> {
        self.try_compile(spec).unwrap_or_else(|problem| panic!("{problem}"))
    }

    fn wrong(&self, spec: Value) -> String {
        self.try_compile(spec).err().expect("compiled").to_string()
    }

    fn token(&self, changes: Value) -> String {
        mint::token(&self.corp, changes)
    }

    /// What the filter makes of a request with these headers.
    fn ask(&self, spec: Value, headers: &[(&'static str, &str)]) -> (Result<(), Refusal>, Sample) {
        let mut sample = Sample::get("/orders/7", headers);
        (judge(&*self.compile(spec), &mut sample), sample)
    }

    /// The same for a request with a bearer token.
    fn bearer(&self, spec: Value, token: &str) -> (Result<(), Refusal>, Sample) {
        self.ask(spec, &[("authorization", &format!("Bearer {token}"))])
    }
}

fn judge(filter: &dyn Filter, sample: &mut Sample) -> Result<(), Refusal> {
    judge_at(filter, sample, NOW)
}

fn judge_at(filter: &dyn Filter, sample: &mut Sample, now: u64) -> Result<(), Refusal> {
    sample.facts.time = UNIX_EPOCH + Duration::from_secs(now);
    match filter.on_request(&mut sample.exchange()) {
        Step::Now(Verdict::Next) => Ok(()),
        Step::Now(Verdict::Refuse(refusal)) => Err(*refusal),
        _ => panic!("neither"),
    }
}

fn told(refused: Result<(), Refusal>) -> (u16, &'static str, String) {
    let refusal = refused.unwrap_err();
    let challenges = refusal.headers.iter().filter(|(name, _)| name == WWW_AUTHENTICATE);
    let challenges: Vec<_> = challenges.map(|(_, value)| value.to_str().unwrap()).collect();
    (refusal.status.as_u16(), refusal.reason, challenges.join(" | "))
}

fn corp() -> Value {
    json!({ "issuer": "corp" })
}

#[test]
fn a_good_token_passes_is_hidden_and_tells_who_calls() {
    let world = World::new();
    let (passed, sample) = world.bearer(corp(), &world.token(json!({})));
    passed.unwrap();
    assert!(!sample.request.headers.contains_key("authorization"));
    let [caller] = sample.slots.callers() else { panic!("nobody") };
    assert_eq!((caller.method, &*caller.subject), ("jwt", "user-1"));
    assert_eq!(caller.claims().and_then(|claims| claims.client()), Some("shop"));
}

#[test]
fn the_token_stays_for_upstreams_that_verify_it_again() {
    let world = World::new();
    let token = world.token(json!({}));
    let (passed, sample) = world.bearer(json!({ "issuer": "corp", "hide_credentials": false }), &token);
    passed.unwrap();
    assert_eq!(sample.request.headers["authorization"], format!("Bearer {token}"));
}

#[test]
fn a_caller_without_a_subject_is_its_client() {
    let world = World::new();
    let (passed, sample) = world.bearer(corp(), &world.token(json!({ "sub": null })));
    passed.unwrap();
    assert_eq!(&*sample.slots.callers()[0].subject, "shop");
}

#[test]
fn without_a_token_there_is_a_challenge_and_no_error() {
    let world = World::new();
    let spec = json!({ "issuer": "corp", "realm": "a \"b\"" });
    for headers in [&[][..], &[("authorization", "Basic YTpi")], &[("cookie", "authorization=x")]] {
        let (refused, _) = world.ask(spec.clone(), headers);
        assert_eq!(told(refused), (401, "token_missing", "Bearer realm=\"a \\\"b\\\"\"".to_owned()));
    }
}

#[test]
fn a_bad_token_is_refused_with_what_is_wrong_and_says_nothing() {
    let world = World::new();
    let (refused, sample) = world.bearer(corp(), &world.token(json!({ "exp": NOW - 600 })));
    let challenge =
        "Bearer realm=\"Restricted\", error=\"invalid_token\", error_description=\"token expired\"";
    assert_eq!(told(refused), (401, "token_expired", challenge.to_owned()));
    assert!(sample.slots.callers().is_empty());
    for (changes, reason) in [
        (json!({ "aud": "other" }), "audience_not_accepted"),
        (json!({ "iss": "https://other" }), "issuer_not_accepted"),
        (json!({ "exp": null }), "expiry_missing"),
        (json!({ "nbf": NOW + 600 }), "token_not_yet_valid"),
    ] {
        let (refused, _) = world.bearer(corp(), &world.token(changes));
        assert_eq!(refused.unwrap_err().reason, reason);
    }
}

#[test]
fn several_tokens_are_refused_as_no_request_at_all() {
    let world = World::new();
    let token = format!("Bearer {}", world.token(json!({})));
    let (refused, _) = world.ask(corp(), &[("authorization", &token), ("authorization", &token)]);
    let (status, reason, challenge) = told(refused);
    assert_eq!((status, reason), (400, "token_repeated"));
    assert!(challenge.contains("error=\"invalid_request\""), "{challenge}");
}

#[test]
fn a_token_that_lacks_a_scope_is_told_which_are_needed() {
    let world = World::new();
    let spec = json!({ "issuer": "corp", "scopes": ["orders:read", "orders:delete"] });
    let (refused, sample) = world.bearer(spec.clone(), &world.token(json!({})));
    let challenge = "Bearer realm=\"Restricted\", error=\"insufficient_scope\", error_description=\"scope missing\", \
                     scope=\"orders:read orders:delete\"";
    assert_eq!(told(refused), (403, "scope_missing", challenge.to_owned()));
    assert!(sample.slots.callers().is_empty());
    world.bearer(spec, &world.token(json!({ "scope": "orders:delete orders:read" }))).0.unwrap();
}

#[test]
fn one_of_several_scopes_will_do_where_any_is_asked_for() {
    let world = World::new();
    let spec = json!({ "issuer": "corp", "any_scope": ["orders:admin", "orders:read"] });
    world.bearer(spec.clone(), &world.token(json!({}))).0.unwrap();
    let (refused, _) = world.bearer(spec, &world.token(json!({ "scope": "orders:readonly" })));
    assert_eq!(refused.unwrap_err().reason, "scope_missing");
}

#[test]
fn claims_must_have_one_of_the_values() {
    let world = World::new();
    let spec = json!({ "issuer": "corp", "claims": { "tenant": ["blue", "green"], "/acl/level": 7 } });
    let good = json!({ "tenant": "green", "acl": { "level": 7 } });
    world.bearer(spec.clone(), &world.token(good)).0.unwrap();
    for bad in [json!({ "tenant": "red", "acl": { "level": 7 } }), json!({ "tenant": "blue" })] {
        let (refused, _) = world.bearer(spec.clone(), &world.token(bad));
        let (status, reason, challenge) = told(refused);
        assert_eq!((status, reason), (403, "claim_mismatch"));
        assert!(!challenge.contains("scope=\""), "{challenge}");
    }
}

#[test]
fn of_several_issuers_the_one_counts_that_the_token_names() {
    let world = World::new();
    let spec = json!({ "issuer": ["corp", "partners"] });
    let of_partners = mint::token(&world.partners, json!({ "iss": PARTNERS }));
    world.bearer(spec.clone(), &world.token(json!({}))).0.unwrap();
    world.bearer(spec.clone(), &of_partners).0.unwrap();
    let (refused, _) = world.bearer(corp(), &of_partners);
    assert!(refused.is_err(), "not where its issuer is not named");
    // Each issuer's keys sign for itself alone.
    let borrowed = mint::token(&world.partners, json!({}));
    let (refused, _) = world.bearer(spec.clone(), &borrowed);
    assert_eq!(refused.unwrap_err().reason, "key_unknown");
    let (refused, _) = world.bearer(spec.clone(), &world.token(json!({ "iss": "https://other" })));
    assert_eq!(refused.unwrap_err().reason, "issuer_not_accepted");
    let (refused, _) = world.bearer(spec, "a.b");
    assert_eq!(refused.unwrap_err().reason, "token_malformed");
}

#[test]
fn where_a_token_is_optional_nobody_passes_as_nobody_and_a_bad_one_does_not() {
    let world = World::new();
    let spec = json!({ "issuer": "corp", "optional": true });
    let (passed, sample) = world.ask(spec.clone(), &[("authorization", "Basic YTpi")]);
    passed.unwrap();
    assert!(sample.slots.callers().is_empty() && sample.request.headers.contains_key("authorization"));
    assert!(world.bearer(spec, "a.b.c").0.is_err());
}

#[test]
fn upstreams_are_told_what_claims_say() {
    let world = World::new();
    let spec = json!({ "issuer": "corp", "to_headers": { "X-User": "sub", "x-groups": "/acl/groups", "x-none": "none" } });
    let token = format!("Bearer {}", world.token(json!({ "acl": { "groups": ["a", "b"] } })));
    let (passed, sample) = world.ask(spec.clone(), &[("authorization", &token), ("x-none", "mine")]);
    passed.unwrap();
    let headers = &sample.request.headers;
    assert_eq!(
        (&headers["x-user"], &headers["x-groups"]),
        (&"user-1".parse().unwrap(), &"a,b".parse().unwrap())
    );
    assert!(!headers.contains_key("x-none"));
    let names: Vec<_> = world.compile(spec).vouches_for().iter().map(HeaderName::to_string).collect();
    assert_eq!(names, ["x-user", "x-groups", "x-none"]);
}

#[test]
fn a_token_bound_to_a_certificate_needs_that_certificate() {
    let world = World::new();
    let thumbprint = Thumbprint::of(b"der").to_string();
    let token = format!("Bearer {}", world.token(json!({ "cnf": { "x5t#S256": thumbprint } })));
    let filter = world.compile(corp());
    for (der, reason) in [
        (None, Some("certificate_missing")),
        (Some(&b"other"[..]), Some("certificate_not_of_token")),
        (Some(b"der"), None),
    ] {
        let mut sample = Sample::get("/", &[("authorization", &token)]);
        sample.facts.tls = Some(Arc::new(tls(der)));
        assert_eq!(judge(&*filter, &mut sample).err().map(|refusal| refusal.reason), reason);
    }
}

fn tls(der: Option<&[u8]>) -> TlsFacts {
    let identity = |der: &[u8]| ClientIdentity {
        subject: "CN=me".to_owned(),
        issuer: "CN=ours".to_owned(),
        serial: "7".to_owned(),
        san_dns: Vec::new(),
        san_uri: Vec::new(),
        san_email: Vec::new(),
        fingerprint_sha256: String::new(),
        not_after: 0,
        der: der.to_owned(),
        above: Vec::new(),
    };
    TlsFacts {
        sni: None,
        version: "TLSv1.3",
        cipher: "",
        alpn: None,
        resumed: false,
        client: der.map(|der| Arc::new(identity(der))),
    }
}

#[test]
fn unbound_tokens_are_refused_where_bound_ones_are_demanded() {
    let world = World::new();
    for (bound, challenges) in [("any", "Bearer"), ("dpop", "DPoP"), ("certificate", "Bearer")] {
        let spec = json!({ "issuer": "corp", "bound": bound });
        let (refused, _) = world.bearer(spec.clone(), &world.token(json!({})));
        let (status, reason, challenge) = told(refused);
        assert_eq!((status, reason), (401, "token_not_bound"), "{bound}");
        assert!(challenge.starts_with(challenges), "{challenge}");
    }
}

#[test]
fn a_token_bound_to_a_key_needs_its_scheme_and_a_proof() {
    let world = World::new();
    let key = signer(Algorithm::Es256, None);
    let token = world.token(json!({ "cnf": { "jkt": key.verifying().thumbprint().to_string() } }));
    let (refused, _) = world.bearer(corp(), &token);
    let (status, reason, challenge) = told(refused);
    assert_eq!((status, reason), (401, "dpop_scheme_missing"));
    assert!(challenge.starts_with("DPoP realm=\"Restricted\", error=\"invalid_token\""), "{challenge}");
    assert!(challenge.contains("algs=\"RS256 ") && challenge.ends_with("EdDSA\""), "{challenge}");
    let with = |more: &[(&'static str, &str)]| {
        let dpop = format!("DPoP {token}");
        world.ask(corp(), &[&[("authorization", dpop.as_str())], more].concat()).0.unwrap_err().reason
    };
    assert_eq!(with(&[]), "dpop_proof_missing");
    assert_eq!(with(&[("dpop", "p"), ("dpop", "p")]), "dpop_proof_repeated");
    assert_eq!(with(&[("dpop", "p")]), "dpop_malformed");
}

#[test]
fn the_methods_of_a_challenge_are_those_that_let_in() {
    let world = World::new();
    let of = |spec: Value| told(world.ask(spec, &[]).0).2;
    assert!(
        of(json!({ "issuer": "corp", "bound": "dpop", "dpop": { "algorithms": ["ES256"] } }))
            .starts_with("DPoP realm=\"Restricted\", algs=\"ES256\"")
    );
    let both = of(json!({ "issuer": "corp", "bound": "any" }));
    assert!(both.starts_with("DPoP ") && both.ends_with(" | Bearer realm=\"Restricted\""), "{both}");
    assert!(of(json!({ "issuer": "corp", "dpop": {} })).contains(" | Bearer "));
    assert!(of(corp()).starts_with("Bearer "));
}

#[tokio::test]
async fn keys_that_cannot_be_had_are_no_fault_of_the_client() {
    let refusal = answer::unavailable("keys_unavailable");
    assert_eq!((refusal.status, refusal.reason), (StatusCode::SERVICE_UNAVAILABLE, "keys_unavailable"));
    assert_eq!(refusal.headers[0].0, RETRY_AFTER);
}

#[test]
fn refuses_specs_that_contradict_themselves() {
    let world = World::new();
    for (spec, problem) in [
        (json!({ "issuer": "crop" }), "issuer: no issuer \"crop\" in `issuers`: corp, partners, same"),
        (json!({ "issuer": [] }), "issuer: expected at least one issuer"),
        (
            json!({ "issuer": ["corp", "same"] }),
            "issuer[1]: has the same `issuer` as corp, so no token tells them apart",
        ),
        (
            json!({ "issuer": "corp", "scopes": ["a", "b c"] }),
            "scopes[1]: expected one scope such as orders:read, without spaces, quotes and backslashes",
        ),
        (
            json!({ "issuer": "corp", "claims": { "tenant": [] } }),
            "claims[\"tenant\"]: expected a string, a number, true, false, or a list of these that is not empty",
        ),
        (json!({ "issuer": "corp", "realm": "\u{e9}" }), "realm: expected printable ASCII characters"),
        (
            json!({ "issuer": "corp", "to_headers": { "Authorization": "sub" } }),
            "to_headers[\"Authorization\"]: holds credentials: name another header, such as x-user",
        ),
        (
            json!({ "issuer": "corp", "from": { "header": "x-t" }, "to_headers": { "x-t": "sub" } }),
            "to_headers[\"x-t\"]: holds credentials: name another header, such as x-user",
        ),
        (
            json!({ "issuer": "corp", "from": { "cookie": "t" }, "bound": "dpop" }),
            "bound: tokens bound to a key come in `Authorization: DPoP …` alone",
        ),
        (
            json!({ "issuer": "corp", "dpop": { "algorithms": ["HS256"] } }),
            "dpop.algorithms[0]: a proof is signed with a key pair",
        ),
        (
            json!({ "issuer": "corp", "dpop": { "max_age": "1h" } }),
            "dpop.max_age: at most 10m: until then every proof must be remembered",
        ),
        (
            json!({ "issuer": "corp", "dpop": { "nonce_lifetime": "1m" } }),
            "dpop.nonce: `nonce_lifetime` and `nonce_secret` mean nothing without `nonce: true`",
        ),
        (
            json!({ "issuer": "corp", "dpop": { "origin": "https://a/b" } }),
            "dpop.origin: expected no more than scheme, host and port: https://api.example.com",
        ),
    ] {
        assert_eq!(world.wrong(spec), problem);
    }
}

/// A proof for a GET of `/orders/7`, with these changes to its claims.
fn proof(key: &SigningKey, jwk: &Value, token: &str, changes: Value) -> String {
    let mut claims = json!({
        "jti": "1", "htm": "GET", "htu": "https://api.example.com/orders/7", "iat": NOW,
        "ath": Thumbprint::of(token.as_bytes()).to_string(),
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let header = json!({ "typ": "dpop+jwt", "alg": "HS256", "jwk": jwk });
    let header = header.to_string().replace("HS256", key.algorithm().name());
    key.sign_parts(header.as_bytes(), claims.to_string().as_bytes()).unwrap()
}

/// An Ed25519 pair of RFC 8037 appendix A.1, and its public JWK.
fn pair() -> (SigningKey, Value) {
    let public =
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let mut private = public.clone();
    private["d"] = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A".into();
    (SigningKey::from_jwk(private.to_string().as_bytes(), Algorithm::EdDsa).unwrap(), public)
}

#[test]
fn a_proof_lets_a_bound_token_in_once() {
    let world = World::new();
    let (key, jwk) = pair();
    let token = world.token(json!({ "cnf": { "jkt": key.verifying().thumbprint().to_string() } }));
    let filter = world.compile(json!({ "issuer": "corp", "bound": "dpop" }));
    let ask = |proof: &str, method: &str| {
        let headers = [("authorization", format!("DPoP {token}")), ("dpop", proof.to_owned())];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let mut sample = Sample::get("/orders/7", &[("host", "api.example.com"), headers[0], headers[1]]);
        sample.request.set_method(Method::from_bytes(method.as_bytes()).unwrap());
        let judged = judge(&*filter, &mut sample).map_err(|refusal| refusal.reason);
        (judged, sample.request.headers.contains_key("dpop"))
    };
    let good = proof(&key, &jwk, &token, json!({}));
    assert_eq!(ask(&good, "GET"), (Ok(()), false));
    assert_eq!(ask(&good, "GET").0, Err("dpop_replayed"));
    assert_eq!(ask(&proof(&key, &jwk, &token, json!({ "jti": "2" })), "POST").0, Err("dpop_method"));
    let elsewhere = json!({ "jti": "3", "htu": "https://api.example.com/orders/8" });
    assert_eq!(ask(&proof(&key, &jwk, &token, elsewhere), "GET").0, Err("dpop_target"));
    assert_eq!(
        ask(&proof(&key, &jwk, &token, json!({ "jti": "4", "iat": NOW - 90 })), "GET").0,
        Err("dpop_too_old")
    );
    assert_eq!(ask(&proof(&key, &jwk, &token, json!({ "jti": "5" })), "GET").0, Ok(()));
}

#[test]
fn a_proof_is_good_once_on_all_routes_for_as_long_as_any_takes_it() {
    let world = World::new();
    let (key, jwk) = pair();
    let token = world.token(json!({ "cnf": { "jkt": key.verifying().thumbprint().to_string() } }));
    let filter = |age: &str| world.compile(json!({ "issuer": "corp", "dpop": { "max_age": age } }));
    let (short, long) = (filter("10s"), filter("5m"));
    let made = |jti: &str| proof(&key, &jwk, &token, json!({ "jti": jti }));
    let ask = |filters: &[&dyn Filter], proof: &str, seconds: u64| {
        let authorization = format!("DPoP {token}");
        let headers = [("host", "api.example.com"), ("authorization", &*authorization), ("dpop", proof)];
        let mut sample = Sample::get("/orders/7", &headers);
        let request = sample.request.clone();
        for filter in filters {
            sample.request = request.clone();
            judge_at(*filter, &mut sample, NOW + seconds).map_err(|refusal| refusal.reason)?;
        }
        Ok(())
    };
    let first = made("1");
    assert_eq!(ask(&[&*short], &first, 0), Ok(()));
    for seconds in [0, 20, 290] {
        assert_eq!(ask(&[&*long], &first, seconds), Err("dpop_replayed"), "{seconds}");
    }
    assert_eq!(ask(&[&*short, &*long], &made("2"), 0), Ok(()), "both saw the same request");
    assert_eq!(ask(&[&*long], &made("2"), 0), Err("dpop_replayed"));
}

#[test]
fn a_nonce_is_given_out_and_demanded() {
    let world = World::new();
    let (key, jwk) = pair();
    let token = world.token(json!({ "cnf": { "jkt": key.verifying().thumbprint().to_string() } }));
    let filter = world.compile(json!({
        "issuer": "corp", "dpop": { "nonce": true, "origin": "https://public.example", "algorithms": ["EdDSA"] },
    }));
    let ask = |changes: Value| {
        let mut changes = changes;
        changes["htu"] = "https://public.example/orders/7".into();
        let proof = proof(&key, &jwk, &token, changes);
        let authorization = format!("DPoP {token}");
        let mut sample = Sample::get("/orders/7", &[("authorization", &authorization), ("dpop", &proof)]);
        judge(&*filter, &mut sample)
    };
    let refusal = ask(json!({})).unwrap_err();
    assert_eq!((refusal.status.as_u16(), refusal.reason), (401, "dpop_nonce"));
    let header = |name: &str| {
        let value = refusal.headers.iter().find(|(header, _)| header == name);
        value.unwrap().1.to_str().unwrap().to_owned()
    };
    assert!(header("www-authenticate").contains("error=\"use_dpop_nonce\""));
    assert_eq!(ask(json!({ "nonce": header("dpop-nonce") })).err().map(|refusal| refusal.reason), None);
}
