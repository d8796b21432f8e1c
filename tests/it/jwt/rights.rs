//! What the caller that a token names may do, how often, and what upstreams are told; tokens as one of several ways in.

use serde_json::json;

use super::{Site, ask, told};
use crate::harness::{Edge, Signer, TokenIssuer};

/// bcrypt of `wonderland`.
const WONDERLAND: &str = "$2y$05$ttWXLy8gW7v43jFpvsxPMeomR6hpAvTkiwULa0xcDFqDsaeZAKnfK";
/// `alice:wonderland`.
const ALICE: (&str, &str) = ("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==");

#[test]
fn a_token_reaches_what_is_its_subjects() {
    let signer = Signer::es256("k1");
    let (issuer, origin) = (TokenIssuer::start([&signer]), super::origin());
    let edge = Edge::policy(
        r#"
listeners: [{ address: "{listen}" }]
upstreams: { app: { backends: ["{origin}"] } }
issuers: { corp: { issuer: "{iss}", jwks: "{iss}/jwks", audience: orders-api } }
routes:
  - name: customers
    match: { path: "/customers/{owner}/orders/**" }
    filters:
      - jwt: { issuer: corp }
      - authorize:
          rules:
            - { deny: 'jwt.claims["suspended"] == true and exists(jwt.claims["suspended"])' }
            - { allow: '"admin" in jwt.claims["groups"]' }
            - { allow: 'path.owner == jwt.sub and "orders:read" in jwt.scopes' }
      - request_headers: { set: { x-caller: "{jwt.sub} of {jwt.iss}" } }
    upstream: app
"#,
    )
    .with("iss", issuer.name())
    .with("origin", origin.address())
    .start();
    let read = |claims: serde_json::Value| {
        let token = format!("Bearer {}", signer.token(&issuer.name(), claims));
        told(&ask(&edge, "/customers/carol/orders/7", &[("Authorization", &token)]))
    };
    let passes = (200, String::new());
    let refused = (403, "authorize_no_rule".to_owned());
    assert_eq!(read(json!({ "sub": "carol", "scope": "orders:read" })), passes);
    assert_eq!(origin.last().header("x-caller"), Some(&*format!("carol of {}", issuer.name())));
    assert_eq!(read(json!({ "sub": "dave", "groups": ["staff", "admin"], "scope": null })), passes);
    assert_eq!(read(json!({ "sub": "dave", "scope": "orders:read" })), refused);
    assert_eq!(read(json!({ "sub": "carol", "scope": "orders:readonly" })), refused);
    assert_eq!(read(json!({ "sub": "carol", "groups": "administrators", "scope": "other" })), refused);
    let suspended = json!({ "sub": "carol", "scope": "orders:read", "suspended": true });
    assert_eq!(read(suspended), (403, "authorize_denied".to_owned()));
    assert_eq!(told(&ask(&edge, "/customers/carol/orders/7", &[])), (401, "token_missing".to_owned()));
}

#[test]
fn tokens_are_counted_by_their_subject() {
    let site = Site::new(
        "audience: orders-api",
        "{ jwt: { issuer: corp } }, { rate_limit: { key: jwt.sub, limit: 1/1h } }",
    );
    let status = |subject: &str, id: u32| {
        site.bearer(&site.token(json!({ "sub": subject, "jti": id.to_string() }))).status
    };
    assert_eq!((status("carol", 1), status("carol", 2), status("dave", 3)), (200, 429, 200));
}

#[test]
fn a_token_is_one_of_several_ways_in() {
    let ways = format!(
        "{{ any_of: [{{ jwt: {{ issuer: corp, scopes: [orders:read] }} }}, \
         {{ basic_auth: {{ users: ['alice:{WONDERLAND}'], hide_credentials: false }} }}] }}"
    );
    let site = Site::new("audience: orders-api", &ways);
    let good = site.token(json!({ "scope": "orders:read" }));
    assert_eq!(site.bearer(&good).status, 200);
    assert_eq!(site.origin.last().header("authorization"), None);
    assert_eq!(ask(&site.edge, "/orders/7", &[ALICE]).status, 200);
    assert_eq!(site.origin.last().header("authorization"), Some(ALICE.1), "the other one took nothing away");
    let nothing = ask(&site.edge, "/orders/7", &[]);
    assert_eq!(told(&nothing), (401, "token_missing".to_owned()));
    let challenges = nothing.all("www-authenticate");
    assert!(challenges.len() == 2 && challenges[0].starts_with("Bearer "), "{challenges:?}");
    let weak = site.bearer(&site.token(json!({ "scope": "orders:write" })));
    assert_eq!(told(&weak), (403, "scope_missing".to_owned()), "there was a token");
    assert!(weak.header("www-authenticate").is_some_and(|told| told.contains("insufficient_scope")));
    assert_eq!(told(&site.bearer("a.b.c")).0, 401);
    assert_eq!(site.origin.count(), 2);
}
