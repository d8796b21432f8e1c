//! What a token must be and hold.

use edgeward::auth::jose::{Algorithm, SigningKey};
use serde_json::{Value, json};

use super::{Site, bearer, origin, policy, told};
use crate::harness::issuer::{base64url, claims, now};
use crate::harness::{Edge, Origin, Signer, TokenIssuer};

const ORDERS: &str = "audience: orders-api";

#[test]
fn the_issuer_of_the_design_works_as_written() {
    let site = Site::new(ORDERS, "{ jwt: { issuer: corp, scopes: [orders:read] } }");
    let answer = site.bearer(&site.token(json!({})));
    assert_eq!(told(&answer), (200, String::new()));
    assert_eq!(site.origin.only().header("authorization"), None, "hidden by default");
    let missing = super::ask(&site.edge, "/orders/7", &[]);
    assert_eq!(told(&missing), (401, "token_missing".to_owned()));
    assert_eq!(missing.header("www-authenticate"), Some("Bearer realm=\"Restricted\""));
    let poor = site.bearer(&site.token(json!({ "scope": "orders:readonly orders" })));
    assert_eq!(told(&poor), (403, "scope_missing".to_owned()));
    assert_eq!(
        poor.header("www-authenticate"),
        Some(
            "Bearer realm=\"Restricted\", error=\"insufficient_scope\", error_description=\"scope missing\", \
             scope=\"orders:read\""
        )
    );
    assert_eq!(site.origin.count(), 1);
    let line = site.edge.logged("the caller", |line| line["consumer"] == "user-1");
    assert_eq!(line["status"], 200);
    site.edge.wait_for_sum("edgeward_refusals_total", &["filter=\"jwt\"", "reason=\"scope_missing\""], 1.0);
}

#[test]
fn every_kind_of_key_verifies() {
    let signers: Vec<_> = [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa]
        .map(|algorithm| Signer::new(algorithm, algorithm.name()))
        .into();
    let (issuer, origin) = (TokenIssuer::start(&signers), origin());
    let edge = policy(
        "corp: { issuer: '{iss}', jwks: '{iss}/jwks', audience: orders-api }",
        "{ jwt: { issuer: corp } }",
    )
    .with("iss", issuer.name())
    .with("origin", origin.address())
    .start();
    for signer in &signers {
        let token = signer.token(&issuer.name(), json!({}));
        for _ in 0..2 {
            assert_eq!(told(&bearer(&edge, &token)).0, 200, "{}", signer.key.algorithm().name());
        }
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let other = if signature.starts_with('A') { "B" } else { "A" };
        let forged = format!("{signed}.{other}{}", &signature[1..]);
        assert_eq!(told(&bearer(&edge, &forged)), (401, "signature_invalid".to_owned()));
    }
    assert_eq!(origin.count(), 8);
}

#[test]
fn a_shared_secret_verifies_hmac_and_nothing_else_does() {
    let secret = [b'x'; 48];
    let origin = origin();
    let setup = policy(
        "corp: { issuer: us, audience: orders-api, secret: { file: secret } },
         long: { issuer: us, audience: orders-api, secret: { file: secret }, algorithms: [HS384] }",
        "{ jwt: { issuer: corp } }",
    );
    let edge = setup.file("secret", secret).with("origin", origin.address()).start();
    let token = |algorithm, secret: &[u8]| {
        SigningKey::from_secret(secret, algorithm, None)
            .unwrap()
            .sign(None, &claims("us", json!({})))
            .unwrap()
    };
    assert_eq!(told(&bearer(&edge, &token(Algorithm::Hs256, &secret))).0, 200);
    let other = bearer(&edge, &token(Algorithm::Hs256, &[b'y'; 48]));
    assert_eq!(told(&other), (401, "signature_invalid".to_owned()));
    let wrong = bearer(&edge, &token(Algorithm::Hs384, &secret));
    assert_eq!(told(&wrong), (401, "algorithm_not_allowed".to_owned()));
    let public = Signer::es256("k").token("us", json!({}));
    assert_eq!(told(&bearer(&edge, &public)), (401, "algorithm_not_allowed".to_owned()));
}

#[test]
fn a_shared_secret_may_be_bytes_that_are_no_text() {
    let (secret, origin) = ([0xfe; 64], origin());
    let jwk = |more: &str| format!("{{ \"kty\": \"oct\", \"k\": \"{}\"{more} }}", base64url(secret));
    let issuers = "corp: { issuer: us, audience: orders-api, secret: { file: secret }, algorithms: [HS512] }";
    let setup = |text: String| {
        let setup = policy(issuers, "{ jwt: { issuer: corp } }").file("secret", text);
        setup.with("origin", origin.address())
    };
    let edge = setup(jwk(", \"alg\": \"HS512\", \"kid\": \"k\"")).start();
    let token = |secret: &[u8]| {
        let key = SigningKey::from_secret(secret, Algorithm::Hs512, Some("k")).unwrap();
        key.sign(None, &claims("us", json!({}))).unwrap()
    };
    assert_eq!(told(&bearer(&edge, &token(&secret))).0, 200);
    assert_eq!(told(&bearer(&edge, &token(&[0xff; 64]))), (401, "signature_invalid".to_owned()));
    let text = jwk("").into_bytes();
    assert_eq!(
        told(&bearer(&edge, &token(&text))),
        (401, "signature_invalid".to_owned()),
        "its text is no secret"
    );
    for (jwk, why) in [
        (jwk(", \"alg\": \"HS256\""), "the `alg` of the JWK"),
        (jwk(", \"use\": \"enc\""), "not a key for signatures"),
        ("{ \"kty\": \"RSA\" }".to_owned(), "unsupported key type"),
        ("{ not json, but long enough for a secret }".to_owned(), "not a JSON object"),
    ] {
        let error = setup(jwk).try_start().err().unwrap();
        assert!(error.contains(why), "{error}");
    }
}

/// A header, claims and a signature of whatever bytes.
fn assembled(header: &str, claims: impl AsRef<[u8]>, signature: &str) -> String {
    format!("{}.{}.{signature}", base64url(header), base64url(claims))
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table, one forgery a line or two")]
fn forged_tokens_are_refused_each_with_its_reason() {
    let rsa = Signer::new(Algorithm::Rs256, "k1");
    let (issuer, origin) = (TokenIssuer::start([&rsa]), origin());
    let iss = issuer.name();
    let edge = policy(
        "corp: { issuer: '{iss}', jwks: '{iss}/jwks', audience: orders-api }",
        "{ jwt: { issuer: corp } }",
    )
    .with("iss", &iss)
    .with("origin", origin.address())
    .start();
    let good = rsa.token(&iss, json!({}));
    assert_eq!(told(&bearer(&edge, &good)).0, 200);
    let body = serde_json::to_string(&claims(&iss, json!({}))).unwrap();
    let [head, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let signed = |header: Value, body: &str| {
        rsa.key.sign_parts(header.to_string().as_bytes(), body.as_bytes()).unwrap()
    };
    // The public key's text as a secret, the oldest trick (RFC 8725 section 2.1).
    let modulus = rsa.jwk["n"].as_str().unwrap();
    let confused = SigningKey::from_secret(modulus.as_bytes(), Algorithm::Hs256, Some("k1")).unwrap();
    let stranger = Signer::new(Algorithm::Es256, "k1");
    let cases: Vec<(&str, String, &str)> = vec![
        ("no algorithm", assembled(r#"{"alg":"none"}"#, &body, ""), "algorithm_none"),
        ("in other letters", assembled(r#"{"alg":"nOnE","kid":"k1"}"#, &body, signature), "algorithm_none"),
        ("key as secret", confused.sign(None, &claims(&iss, json!({}))).unwrap(), "algorithm_not_allowed"),
        ("key of its own", signed(json!({ "alg": "RS256", "jwk": stranger.jwk }), &body), "key_in_header"),
        (
            "key elsewhere",
            signed(json!({ "alg": "RS256", "kid": "k1", "jku": "https://evil.example" }), &body),
            "key_in_header",
        ),
        (
            "certificate elsewhere",
            signed(json!({ "alg": "RS256", "x5u": "https://evil.example" }), &body),
            "key_in_header",
        ),
        (
            "a path for a name",
            signed(json!({ "alg": "RS256", "kid": "../../../dev/null" }), &body),
            "key_unknown",
        ),
        (
            "a query for a name",
            signed(json!({ "alg": "RS256", "kid": "k1' or '1'='1" }), &body),
            "key_unknown",
        ),
        ("an algorithm of another key", stranger.token(&iss, json!({})), "algorithm_not_of_key"),
        (
            "an extension",
            signed(json!({ "alg": "RS256", "kid": "k1", "crit": ["exp"] }), &body),
            "critical_header_unknown",
        ),
        ("unencoded", signed(json!({ "alg": "RS256", "kid": "k1", "b64": false }), &body), "token_unencoded"),
        (
            "compressed",
            signed(json!({ "alg": "RS256", "kid": "k1", "zip": "DEF" }), &body),
            "token_compressed",
        ),
        ("nested", signed(json!({ "alg": "RS256", "kid": "k1", "cty": "JWT" }), &body), "token_nested"),
        (
            "a proof",
            signed(json!({ "alg": "RS256", "kid": "k1", "typ": "dpop+jwt" }), &body),
            "type_not_accepted",
        ),
        (
            "claims twice",
            signed(json!({ "alg": "RS256", "kid": "k1" }), &body.replacen('{', r#"{"iss":"x","#, 1)),
            "duplicate_claim",
        ),
        ("no claims", signed(json!({ "alg": "RS256", "kid": "k1" }), "[]"), "claims_malformed"),
        ("no signature", format!("{head}.{payload}."), "signature_missing"),
        ("half a signature", format!("{head}.{payload}.{}", &signature[..128]), "signature_invalid"),
        (
            "other claims",
            format!("{head}.{}.{signature}", base64url(body.replace("user-1", "root"))),
            "signature_invalid",
        ),
        ("padding", format!("{good}=="), "token_malformed"),
        ("two parts", format!("{head}.{payload}"), "token_malformed"),
        ("four parts", format!("{good}.x"), "token_malformed"),
        ("five parts", format!("{good}.x.y"), "token_encrypted"),
        ("nothing", String::new(), "token_malformed"),
        ("json", format!(r#"{{"payload":"{payload}"}}"#), "token_json_serialised"),
        ("too long", format!("{good}{}", "A".repeat(17 << 10)), "token_too_large"),
    ];
    for (what, token, reason) in cases {
        let answer = bearer(&edge, &token);
        assert_eq!(told(&answer), (401, reason.to_owned()), "{what}");
        assert!(answer.header("www-authenticate").unwrap().contains("error=\"invalid_token\""), "{what}");
    }
    assert_eq!(origin.count(), 1, "only the good one passed");
}

#[test]
fn claims_must_fit_the_issuer_as_the_policy_has_it() {
    let now = now();
    let cases: Vec<(&str, Value, &str)> = vec![
        (ORDERS, json!({ "aud": ["x", "orders-api"] }), ""),
        (ORDERS, json!({ "aud": "orders" }), "audience_not_accepted"),
        (ORDERS, json!({ "aud": null }), "audience_missing"),
        (ORDERS, json!({ "iss": "https://id.example.com" }), "issuer_not_accepted"),
        (ORDERS, json!({ "iss": null }), "issuer_missing"),
        (ORDERS, json!({ "exp": null }), "expiry_missing"),
        (ORDERS, json!({ "exp": now - 31 }), "token_expired"),
        (ORDERS, json!({ "exp": now - 20 }), ""),
        (ORDERS, json!({ "nbf": now + 90 }), "token_not_yet_valid"),
        (ORDERS, json!({ "iat": now + 90 }), "token_issued_in_future"),
        ("audience: orders-api, leeway: 0s", json!({ "exp": now - 20 }), "token_expired"),
        ("audience: orders-api, leeway: 2m", json!({ "exp": now - 90 }), ""),
        ("audience: orders-api, max_age: 1m", json!({ "iat": now - 50 }), ""),
        ("audience: orders-api, max_age: 1m", json!({ "iat": now - 200 }), "token_too_old"),
        ("audience: [a, b]", json!({ "aud": "b" }), ""),
        ("audience: [a, b]", json!({}), "audience_not_accepted"),
        ("danger_any_audience: true", json!({ "aud": "whoever" }), ""),
        ("audience: orders-api, algorithms: [EdDSA]", json!({}), "algorithm_not_allowed"),
        ("audience: orders-api, algorithms: [EdDSA, ES256]", json!({}), ""),
        ("audience: orders-api, max_size: 100B", json!({}), "token_too_large"),
        ("audience: orders-api, type: access", json!({}), ""),
    ];
    for (more, changes, reason) in cases {
        let site = Site::new(more, "{ jwt: { issuer: corp } }");
        let answer = site.bearer(&site.token(changes.clone()));
        assert_eq!(told(&answer).1, reason, "{more}, {changes}");
    }
}

#[test]
fn where_access_tokens_are_asked_for_others_are_refused() {
    let site = Site::new("audience: orders-api, type: access", "{ jwt: { issuer: corp } }");
    let claims = claims(&site.issuer.name(), json!({}));
    for kind in [None, Some("JWT"), Some("logout+jwt")] {
        let token = site.signer.key.sign(kind, &claims).unwrap();
        assert_eq!(told(&site.bearer(&token)), (401, "type_not_accepted".to_owned()), "{kind:?}");
    }
}

/// Two issuers with keys of the same name, and filters for either or both.
fn two_issuers() -> (Edge, Origin, [(Signer, TokenIssuer); 2]) {
    let signers = [Signer::es256("k"), Signer::es256("k")];
    let issuers = signers.map(|signer| {
        let issuer = TokenIssuer::start([&signer]);
        (signer, issuer)
    });
    let origin = origin();
    let edge = policy(
        "a: { issuer: '{a}', jwks: '{a}/jwks', audience: orders-api },
         b: { issuer: '{b}', jwks: '{b}/jwks', audience: orders-api }",
        "{ jwt: { issuer: [a, b], any_scope: [orders:admin, orders:read], claims: { tenant: [blue, green] } } }",
    )
    .with("a", issuers[0].1.name())
    .with("b", issuers[1].1.name())
    .with("origin", origin.address())
    .start();
    (edge, origin, issuers)
}

#[test]
fn of_several_issuers_each_signs_for_itself() {
    let (edge, origin, [a, b]) = two_issuers();
    let blue = || json!({ "tenant": "blue" });
    assert_eq!(bearer(&edge, &a.0.token(&a.1.name(), blue())).status, 200);
    assert_eq!(bearer(&edge, &b.0.token(&b.1.name(), blue())).status, 200);
    let crossed = bearer(&edge, &a.0.token(&b.1.name(), blue()));
    assert_eq!(told(&crossed), (401, "signature_invalid".to_owned()));
    let unknown = bearer(&edge, &a.0.token("https://c.example", blue()));
    assert_eq!(told(&unknown), (401, "issuer_not_accepted".to_owned()));
    assert_eq!(origin.count(), 2);
}

#[test]
fn scopes_and_claims_open_a_route_or_do_not() {
    let (edge, _origin, [a, _]) = two_issuers();
    let with = |changes: Value| told(&bearer(&edge, &a.0.token(&a.1.name(), changes)));
    assert_eq!(with(json!({ "tenant": "green", "scope": "orders:admin" })).0, 200);
    assert_eq!(with(json!({ "tenant": ["red", "green"] })).0, 200);
    assert_eq!(
        with(json!({ "tenant": "green", "scope": "orders:write" })),
        (403, "scope_missing".to_owned())
    );
    assert_eq!(with(json!({ "tenant": "red" })), (403, "claim_mismatch".to_owned()));
    assert_eq!(with(json!({})), (403, "claim_mismatch".to_owned()));
}

#[test]
fn expressions_after_the_filter_know_the_claims() {
    let site = Site::new(
        ORDERS,
        "{ jwt: { issuer: corp } },
         { ip_access: { deny: [0.0.0.0/0], when: 'jwt.sub == \"user-2\"' } }",
    );
    assert_eq!(site.bearer(&site.token(json!({}))).status, 200);
    assert_eq!(told(&site.bearer(&site.token(json!({ "sub": "user-2" })))), (403, "ip_access".to_owned()));
}

#[test]
fn shadow_lets_pass_and_counts() {
    let site = Site::new(ORDERS, "{ jwt: { issuer: corp, mode: shadow } }");
    assert_eq!(super::ask(&site.edge, "/orders/7", &[]).status, 200);
    site.edge.wait_for_sum("edgeward_shadow_refusals_total", &["reason=\"token_missing\""], 1.0);
}
