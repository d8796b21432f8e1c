//! Tokens that are bound to their client: by a key (DPoP) or a certificate.

use edgeward::auth::jose::{Algorithm, Thumbprint};
use serde_json::{Value, json};

use super::{Site, origin, told};
use crate::harness::issuer::now;
use crate::harness::{Authority, Client, Edge, Leaf, Response, Signer, TokenIssuer, Visitor};

const ORDERS: &str = "audience: orders-api";

/// A request with a bound token and a proof with these changes.
fn prove(site: &Site, holder: &Signer, token: &str, changes: Value) -> Response {
    let url = format!("http://{}/orders/7", site.edge.address("listen"));
    send(site, token, &[&holder.proof("GET", &url, token, changes)])
}

fn send(site: &Site, token: &str, proofs: &[&str]) -> Response {
    let host = site.edge.address("listen").to_string();
    let authorization = format!("DPoP {token}");
    let mut headers = vec![("Host", host.as_str()), ("Authorization", &authorization)];
    headers.extend(proofs.iter().map(|proof| ("DPoP", *proof)));
    site.edge.client("listen").allow(&["dpop-nonce"]).request("GET", "/orders/7", &headers, b"")
}

#[test]
fn a_token_bound_to_a_key_opens_with_a_proof_and_only_once_with_each() {
    let site = Site::new(ORDERS, "{ jwt: { issuer: corp, bound: dpop } }");
    let (holder, thief) = (Signer::es256("h"), Signer::new(Algorithm::EdDsa, "t"));
    let token = site.token(holder.binding());
    assert_eq!(told(&prove(&site, &holder, &token, json!({}))), (200, String::new()));
    let seen = site.origin.only();
    assert_eq!((seen.header("authorization"), seen.header("dpop")), (None, None));

    let url = format!("http://{}/orders/7", site.edge.address("listen"));
    let proof = holder.proof("GET", &url, &token, json!({}));
    assert_eq!(send(&site, &token, &[&proof]).status, 200);
    assert_eq!(told(&send(&site, &token, &[&proof])), (401, "dpop_replayed".to_owned()));
    assert_eq!(told(&send(&site, &token, &[])), (401, "dpop_proof_missing".to_owned()));
    assert_eq!(told(&send(&site, &token, &[&proof, &proof])), (401, "dpop_proof_repeated".to_owned()));
    assert_eq!(told(&prove(&site, &thief, &token, json!({}))), (401, "dpop_key_not_of_token".to_owned()));

    let other = site.token(json!({ "cnf": holder.binding()["cnf"], "jti": "t2" }));
    let ath = Thumbprint::of(other.as_bytes()).to_string();
    for (changes, reason) in [
        (json!({ "htm": "POST" }), "dpop_method"),
        (json!({ "htu": "http://other.example/orders/7" }), "dpop_target"),
        (json!({ "htu": url.replace("/7", "/8") }), "dpop_target"),
        (json!({ "iat": now() - 120 }), "dpop_too_old"),
        (json!({ "iat": now() + 120 }), "dpop_issued_in_future"),
        (json!({ "ath": ath }), "dpop_token_hash"),
        (json!({ "jti": "" }), "dpop_id"),
    ] {
        let answer = prove(&site, &holder, &token, changes);
        assert_eq!(told(&answer), (401, reason.to_owned()));
        let challenge = answer.header("www-authenticate").unwrap().to_owned();
        assert!(
            challenge.starts_with("DPoP ") && challenge.contains("error=\"invalid_dpop_proof\""),
            "{challenge}"
        );
    }
    let stolen = site.bearer(&token);
    assert_eq!(told(&stolen), (401, "dpop_scheme_missing".to_owned()));
    assert_eq!(told(&site.bearer(&site.token(json!({})))), (401, "token_not_bound".to_owned()));
    assert_eq!(site.origin.count(), 2);
}

#[test]
fn bound_tokens_are_checked_where_nothing_demands_them() {
    let site = Site::new(ORDERS, "{ jwt: { issuer: corp } }");
    let holder = Signer::es256("h");
    let token = site.token(holder.binding());
    assert_eq!(site.bearer(&site.token(json!({}))).status, 200);
    assert_eq!(told(&site.bearer(&token)), (401, "dpop_scheme_missing".to_owned()));
    assert_eq!(prove(&site, &holder, &token, json!({})).status, 200);
}

#[test]
fn a_nonce_is_demanded_given_out_and_good() {
    let site = Site::new(ORDERS, "{ jwt: { issuer: corp, dpop: { nonce: true, algorithms: [ES256] } } }");
    let holder = Signer::es256("h");
    let token = site.token(holder.binding());
    let first = prove(&site, &holder, &token, json!({}));
    assert_eq!(told(&first), (401, "dpop_nonce".to_owned()));
    let challenge = first.header("www-authenticate").unwrap();
    assert!(
        challenge.contains("error=\"use_dpop_nonce\"") && challenge.ends_with("algs=\"ES256\""),
        "{challenge}"
    );
    let nonce = first.header("dpop-nonce").unwrap();
    assert_eq!(told(&prove(&site, &holder, &token, json!({ "nonce": nonce }))), (200, String::new()));
    let made_up = prove(&site, &holder, &token, json!({ "nonce": "A".repeat(32) }));
    assert_eq!(told(&made_up), (401, "dpop_nonce".to_owned()));
    let other = Signer::new(Algorithm::EdDsa, "o");
    let bound = site.token(other.binding());
    assert_eq!(
        told(&prove(&site, &other, &bound, json!({ "nonce": nonce }))),
        (401, "dpop_algorithm".to_owned())
    );
}

#[test]
fn a_nonce_is_renewed_before_it_is_over() {
    let filter = "{ jwt: { issuer: corp, dpop: { nonce: true, nonce_lifetime: 4s, nonce_secret: { file: secret } } } }";
    let signer = Signer::es256("k1");
    let (issuer, origin) = (TokenIssuer::start([&signer]), origin());
    let corp = "corp: { issuer: '{iss}', jwks: '{iss}/jwks', audience: orders-api }";
    let setup = super::policy(corp, filter).file("secret", [b's'; 32]);
    let edge = setup.with("iss", issuer.name()).with("origin", origin.address()).start();
    let site = Site { signer, issuer, origin, edge };
    let holder = Signer::es256("h");
    let token = site.token(holder.binding());
    let first = prove(&site, &holder, &token, json!({}));
    let nonce = first.header("dpop-nonce").unwrap().to_owned();
    let renewed = crate::harness::eventually("a new nonce", || {
        let answer = prove(&site, &holder, &token, json!({ "nonce": nonce }));
        assert_eq!(told(&answer), (200, String::new()));
        answer.header("dpop-nonce").map(str::to_owned)
    });
    assert_ne!(renewed, nonce);
    assert_eq!(prove(&site, &holder, &token, json!({ "nonce": renewed })).status, 200);
}

#[test]
fn proofs_name_what_clients_ask_for_where_somebody_else_speaks_tls() {
    let site = Site::new(
        ORDERS,
        "{ jwt: { issuer: corp, dpop: { origin: 'https://api.example.com', max_age: 5m } } }",
    );
    let holder = Signer::es256("h");
    let token = site.token(holder.binding());
    let with = |url: &str, changes: Value| send(&site, &token, &[&holder.proof("GET", url, &token, changes)]);
    let public = "https://api.example.com/orders/7";
    assert_eq!(told(&with(public, json!({}))), (200, String::new()));
    assert_eq!(with(public, json!({ "iat": now() - 200 })).status, 200, "within its max_age");
    let own = format!("http://{}/orders/7", site.edge.address("listen"));
    assert_eq!(told(&with(&own, json!({}))), (401, "dpop_target".to_owned()));
}

#[test]
fn a_token_bound_to_a_certificate_opens_with_it_alone() {
    let ours = Authority::new("ours");
    let (server, holder, thief) = (
        ours.server(&["a.example.com"]),
        ours.issue(&Leaf::client(&["me"])),
        ours.issue(&Leaf::client(&["thief"])),
    );
    let signer = Signer::es256("k1");
    let (issuer, origin) = (TokenIssuer::start([&signer]), origin());
    let edge = Edge::policy(
        "listeners: [{ address: '{tls}', tls: { certificates: [{ cert: a.crt, key: a.key }], client: { mode: optional, ca: ca.crt } } }]
upstreams: { app: { backends: ['{origin}'] } }
issuers: { corp: { issuer: '{iss}', jwks: '{iss}/jwks', audience: orders-api } }
routes: [{ name: app, match: { path: /** }, upstream: app, filters: [{ jwt: { issuer: corp, bound: certificate } }] }]
",
    )
    .with("iss", issuer.name())
    .with("origin", origin.address())
    .file("a.crt", server.cert_pem())
    .file("a.key", server.key_pem())
    .file("ca.crt", ours.pem())
    .start();
    let thumbprint = Thumbprint::of(&holder.certificate.to_der().unwrap()).to_string();
    let token = signer.token(&issuer.name(), json!({ "cnf": { "x5t#S256": thumbprint } }));
    let ask = |identity, token: &str| {
        let visitor = Visitor { identity, ..Visitor::named("a.example.com") };
        let headers = [("Host", "a.example.com"), ("Authorization", &*format!("Bearer {token}"))];
        told(&Client::tls(edge.address("tls"), &visitor).request("GET", "/", &headers, b""))
    };
    assert_eq!(ask(Some(&holder), &token), (200, String::new()));
    assert_eq!(ask(Some(&thief), &token), (401, "certificate_not_of_token".to_owned()));
    assert_eq!(ask(None, &token), (401, "certificate_missing".to_owned()));
    let unbound = signer.token(&issuer.name(), json!({}));
    assert_eq!(ask(Some(&holder), &unbound), (401, "token_not_bound".to_owned()));
    assert_eq!(origin.count(), 1);
}
