//! `oauth2_introspection`: a token passes while its server calls it active.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{
    Authority, Client, Edge, Leaf, Origin, Provider, Reply, Response, Seen, Setup, Signer, Visitor,
    eventually,
};

const SECRET: &str = "a-secret-that-nobody-sees";

fn policy(more: &str) -> Setup {
    let text = "admin: { address: '{admin}' }
access_log: { to: access.log }
listeners: [{ address: '{listen}' }]
upstreams: { app: { backends: ['{origin}'] } }
routes:
  - name: app
    match: { path: /** }
    upstream: app
    filters:
      - oauth2_introspection: { url: 'http://{auth}/introspect', client: { id: edge, secret: { file: secret } }MORE }
";
    let more = if more.is_empty() { String::new() } else { format!(", {more}") };
    Edge::policy(&text.replace("MORE", &more)).file("secret", SECRET)
}

/// What a server says of the token it is asked about.
fn server(worth: impl Fn(&str) -> Value + Send + Sync + 'static) -> Origin {
    Origin::start(move |seen| says(&worth(&token(seen))))
}

fn says(worth: &Value) -> Reply {
    Reply::status(200, &[("content-type", "application/json")], worth.to_string())
}

/// The token that is asked about.
fn token(seen: &Seen) -> String {
    let body = String::from_utf8(seen.body.clone()).unwrap();
    let pair = body.split('&').find_map(|pair| pair.strip_prefix("token="));
    pair.unwrap().to_owned()
}

fn alice(token: &str) -> Value {
    match token {
        "good" => {
            json!({ "active": true, "sub": "alice", "scope": "orders:read orders:write", "tenant": "blue" })
        }
        _ => json!({ "active": false }),
    }
}

fn started(more: &str, auth: &Origin) -> (Edge, Origin) {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = policy(more).with("auth", auth.address()).with("origin", origin.address()).start();
    (edge, origin)
}

fn running(more: &str, worth: impl Fn(&str) -> Value + Send + Sync + 'static) -> (Edge, Origin, Origin) {
    let auth = server(worth);
    let (edge, origin) = started(more, &auth);
    (edge, auth, origin)
}

fn with(edge: &Edge, headers: &[(&str, &str)]) -> Response {
    edge.client("listen").request("GET", "/", headers, b"")
}

fn bearer(edge: &Edge, token: &str) -> Response {
    with(edge, &[("Authorization", &format!("Bearer {token}"))])
}

#[test]
fn an_active_token_lets_in_and_the_upstream_is_told_whose_it_is() {
    let (edge, auth, origin) = running("to_headers: { x-user: sub, x-tenant: tenant }", alice);
    let headers = [("Authorization", "bearer good"), ("X-User", "root")];
    assert_eq!(with(&edge, &headers).text(), "ok");
    let asked = auth.only();
    assert_eq!(asked.line(), "POST /introspect HTTP/1.1");
    assert_eq!(asked.body, b"token=good&token_type_hint=access_token");
    assert_eq!(asked.header("authorization"), Some("Basic ZWRnZTphLXNlY3JldC10aGF0LW5vYm9keS1zZWVz"));
    let seen = origin.only();
    assert_eq!((seen.header("x-user"), seen.header("x-tenant")), (Some("alice"), Some("blue")));
    assert_eq!(seen.header("authorization"), None, "hidden by default");
    edge.logged("who called", |line| line["consumer"] == "alice");
}

#[test]
fn a_token_that_is_worth_nothing_is_refused_with_a_challenge() {
    let (edge, _auth, origin) = running("realm: Orders", alice);
    let missing = with(&edge, &[]);
    assert_eq!((missing.status, missing.reason()), (401, "token_missing".to_owned()));
    assert_eq!(missing.header("www-authenticate"), Some("Bearer realm=\"Orders\""));
    let inactive = bearer(&edge, "bad");
    assert_eq!((inactive.status, inactive.reason()), (401, "token_inactive".to_owned()));
    let challenge = "Bearer realm=\"Orders\", error=\"invalid_token\", error_description=\"token inactive\"";
    assert_eq!(inactive.header("www-authenticate"), Some(challenge));
    let twice = with(&edge, &[("Authorization", "Bearer good"), ("Authorization", "Bearer good")]);
    assert_eq!(twice.status, 400);
    assert_eq!(origin.count(), 0);
}

#[test]
fn what_is_no_token_is_not_asked_about() {
    let (edge, auth, _origin) = running("", alice);
    for token in ["", "a b", "a,b", "a%20b", "\"good\"", "good=x"] {
        let refused = bearer(&edge, token);
        assert_eq!((refused.status, refused.reason()), (401, "token_malformed".to_owned()), "{token}");
    }
    assert_eq!(bearer(&edge, &"a".repeat(16 * 1024 + 1)).reason(), "token_too_large");
    assert_eq!(with(&edge, &[("Authorization", "Basic Z29vZDpnb29k")]).reason(), "token_missing");
    assert_eq!(auth.count(), 0);
}

#[test]
fn a_good_token_that_lacks_a_scope_or_a_claim_is_403() {
    for (more, status, reason) in [
        ("scopes: [orders:read]", 200, ""),
        ("scopes: [orders:read, orders:admin]", 403, "scope_missing"),
        ("scopes: [orders:rea]", 403, "scope_missing"),
        ("claims: { tenant: [green, blue] }", 200, ""),
        ("claims: { tenant: green }", 403, "claim_mismatch"),
    ] {
        let (edge, _auth, _origin) = running(more, alice);
        let answer = bearer(&edge, "good");
        assert_eq!(answer.status, status, "{more}");
        if status == 403 {
            assert_eq!(answer.reason(), reason);
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
        }
    }
}

#[test]
fn a_token_is_for_the_audience_that_is_named() {
    let (edge, _auth, _origin) = running("audience: [orders, stock]", |token| match token {
        "none" => json!({ "active": true }),
        audience => json!({ "active": true, "aud": [audience, "other"] }),
    });
    assert_eq!(bearer(&edge, "stock").status, 200);
    assert_eq!(bearer(&edge, "orders-v2").reason(), "audience_not_accepted");
    assert_eq!(bearer(&edge, "none").reason(), "audience_missing");
}

#[test]
fn the_token_is_where_the_policy_says_and_goes_on_if_it_says_so() {
    let (edge, _auth, origin) = running("from: { cookie: sid }", alice);
    assert_eq!(bearer(&edge, "good").reason(), "token_missing");
    assert_eq!(with(&edge, &[("Cookie", "a=b; sid=good")]).status, 200);
    assert_eq!(origin.only().header("cookie"), Some("a=b"));
    let (edge, _auth, origin) = running("from: { header: x-token }, hide_credentials: false", alice);
    assert_eq!(with(&edge, &[("X-Token", "good")]).status, 200);
    assert_eq!(origin.only().header("x-token"), Some("good"));
}

#[test]
fn the_endpoint_is_where_the_issuer_says() {
    let auth = Origin::start(|seen| {
        let issuer = format!("http://{}", seen.header("host").unwrap());
        match seen.target() {
            "/.well-known/openid-configuration" => {
                says(&json!({ "issuer": issuer, "introspection_endpoint": format!("{issuer}/worth") }))
            }
            "/worth" => says(
                &json!({ "active": true, "iss": if token(seen) == "good" { &issuer } else { "http://other" } }),
            ),
            _ => Reply::status(404, &[], ""),
        }
    });
    let origin = Origin::start(|_| Reply::text("ok"));
    let text = "listeners: [{ address: '{listen}' }]
upstreams: { app: { backends: ['{origin}'] } }
routes:
  - { name: app, match: { path: /** }, upstream: app, filters: [{ oauth2_introspection: { issuer: 'http://{auth}', client: { id: edge, secret: { file: secret }, secret_in: body } } }] }
";
    let setup = Edge::policy(text).file("secret", SECRET);
    let edge = setup.with("auth", auth.address()).with("origin", origin.address()).start();
    assert_eq!(bearer(&edge, "good").status, 200);
    assert!(
        String::from_utf8(auth.last().body)
            .unwrap()
            .ends_with(&format!("client_id=edge&client_secret={SECRET}"))
    );
    assert_eq!(bearer(&edge, "others").reason(), "issuer_not_accepted");
    assert_eq!(auth.count(), 3, "discovery once");
}

#[test]
fn an_answer_is_used_for_its_time() {
    let (edge, auth, _origin) = running("ttl: 1h", alice);
    for _ in 0..3 {
        assert_eq!((bearer(&edge, "good").status, auth.count()), (200, 1));
    }
    assert_eq!((bearer(&edge, "bad").status, bearer(&edge, "bad").status, auth.count()), (401, 401, 2));
    edge.reload().unwrap();
    assert_eq!((bearer(&edge, "good").status, auth.count()), (200, 2), "known beyond a reload");
    let (edge, auth, _origin) = running("ttl: 0s", alice);
    for asked in 1..4 {
        assert_eq!((bearer(&edge, "good").status, auth.count()), (200, asked));
    }
}

#[test]
fn a_token_that_is_revoked_is_refused_after_the_time_of_an_answer() {
    static REVOKED: Mutex<bool> = Mutex::new(false);
    let (edge, _auth, _origin) = running("ttl: 50ms", |_| json!({ "active": !*REVOKED.lock().unwrap() }));
    assert_eq!(bearer(&edge, "good").status, 200);
    *REVOKED.lock().unwrap() = true;
    eventually("the token to be refused", || (bearer(&edge, "good").status == 401).then_some(()));
}

#[test]
fn what_is_remembered_is_judged_by_each_routes_own_rules() {
    let auth = server(alice);
    let origin = Origin::start(|_| Reply::text("ok"));
    let text = "listeners: [{ address: '{listen}' }]
upstreams: { app: { backends: ['{origin}'] } }
routes:
  - { name: a, match: { path: /a }, upstream: app, filters: [{ oauth2_introspection: { url: 'http://{auth}/', client: { id: edge, secret: { file: secret } } } }] }
  - { name: b, match: { path: /b }, upstream: app, filters: [{ oauth2_introspection: { url: 'http://{auth}/', client: { id: edge, secret: { file: secret } }, scopes: [admin] } }] }
  - { name: c, match: { path: /c }, upstream: app, filters: [{ oauth2_introspection: { url: 'http://{auth}/', client: { id: other, secret: { file: secret } } } }] }
";
    let setup = Edge::policy(text).file("secret", SECRET);
    let edge = setup.with("auth", auth.address()).with("origin", origin.address()).start();
    let get =
        |path| edge.client("listen").request("GET", path, &[("Authorization", "Bearer good")], b"").status;
    assert_eq!((get("/a"), get("/b"), auth.count()), (200, 403, 1));
    assert_eq!((get("/c"), auth.count()), (200, 2), "another client may be told otherwise");
}

#[test]
fn a_hundred_requests_with_a_token_that_nobody_knows_ask_once() {
    let auth = Origin::start(|seen| says(&alice(&token(seen))).after(Duration::from_millis(300)));
    let (edge, origin) = started("", &auth);
    let passed = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..100).map(|_| scope.spawn(|| bearer(&edge, "good").status == 200)).collect();
        asked.into_iter().map(|one| one.join().unwrap()).filter(|passed| *passed).count()
    });
    assert_eq!((passed, auth.count(), origin.count()), (100, 1, 100));
}

#[test]
fn without_an_answer_nobody_gets_in() {
    let auth = Origin::start(|seen| match token(seen).as_str() {
        "garbage" => Reply::raw("SSH-2.0-OpenSSH\r\n\r\n").close(),
        "html" => Reply::status(200, &[], "<html>"),
        "odd" => says(&json!({ "active": "true" })),
        "twice" => Reply::status(200, &[], "{\"active\":false,\"active\":true}"),
        "denied" => Reply::status(401, &[], "{\"error\":\"invalid_client\"}"),
        "moved" => Reply::status(302, &[("location", "/elsewhere")], ""),
        "cut" => Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"active\":true}").close(),
        "huge" => Reply::status(200, &[], vec![b' '; 70_000]),
        "silent" => Reply::nothing().hold(),
        _ => Reply::nothing().close(),
    });
    let (edge, origin) = started("timeout: 300ms", &auth);
    for token in ["garbage", "html", "odd", "twice", "denied", "moved", "cut", "huge", "silent", "gone"] {
        let began = Instant::now();
        let refused = bearer(&edge, token);
        assert_eq!(
            (refused.status, refused.reason()),
            (503, "introspection_unavailable".to_owned()),
            "{token}"
        );
        assert!(began.elapsed() < Duration::from_secs(3), "{token}: {:?}", began.elapsed());
    }
    assert!(auth.requests().iter().all(|seen| seen.target() == "/introspect"), "no redirect is followed");
    auth.kill();
    assert_eq!(bearer(&edge, "down").reason(), "introspection_unavailable");
    assert_eq!(origin.count(), 0);
}

#[test]
fn known_tokens_pass_while_the_server_is_down() {
    let (edge, auth, _origin) = running("ttl: 1h", alice);
    assert_eq!(bearer(&edge, "good").status, 200);
    auth.kill();
    assert_eq!((bearer(&edge, "good").status, bearer(&edge, "new").status), (200, 503));
}

#[test]
fn claims_that_no_header_holds_are_not_told() {
    let (edge, _auth, origin) = running(
        "to_headers: { x-user: sub }",
        |token| json!({ "active": true, "sub": format!("{token}\r\nx-admin: 1") }),
    );
    assert_eq!(bearer(&edge, "a").status, 200);
    let seen = origin.only();
    assert_eq!((seen.header("x-user"), seen.header("x-admin")), (None, None));
}

#[test]
fn a_token_bound_to_a_certificate_needs_it() {
    let authority = Authority::new("clients");
    let (hers, other) =
        (authority.issue(&Leaf::client(&["hers"])), authority.issue(&Leaf::client(&["other"])));
    let digest = boring::sha::sha256(&hers.certificate.to_der().unwrap());
    let thumbprint = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, digest);
    let auth = server(move |token| match token {
        "bound" => json!({ "active": true, "cnf": { "x5t#S256": thumbprint } }),
        "key" => json!({ "active": true, "cnf": { "jkt": thumbprint } }),
        "odd" => json!({ "active": true, "cnf": { "kid": "k" } }),
        _ => json!({ "active": true }),
    });
    let origin = Origin::start(|_| Reply::text("ok"));
    let text = "listeners: [{ address: '{tls}', tls: { self_signed: [localhost], client: { mode: optional, ca: ca.pem } } }]
upstreams: { app: { backends: ['{origin}'] } }
routes:
  - { name: app, match: { path: /** }, upstream: app, filters: [{ oauth2_introspection: { url: 'http://{auth}/', client: { id: edge, secret: { file: secret } } } }] }
";
    let setup = Edge::policy(text).file("secret", SECRET).file("ca.pem", authority.pem());
    let edge = setup.with("auth", auth.address()).with("origin", origin.address()).start();
    let ask = |token: &str, identity| {
        let visitor = Visitor { identity, ..Visitor::named("localhost") };
        let mut client = Client::tls(edge.address("tls"), &visitor);
        let answer = client.request("GET", "/", &[("Authorization", &format!("Bearer {token}"))], b"");
        if answer.status == 200 { "ok".to_owned() } else { answer.reason() }
    };
    assert_eq!(ask("bound", Some(&hers)), "ok");
    assert_eq!(ask("bound", Some(&other)), "certificate_not_of_token");
    assert_eq!(ask("bound", None), "certificate_missing");
    assert_eq!(ask("plain", None), "ok");
    assert_eq!(ask("key", None), "dpop_scheme_missing");
    assert_eq!(ask("odd", None), "confirmation_unknown");
}

#[test]
fn neither_tokens_nor_secrets_are_shown() {
    let (edge, auth, _origin) = running("", alice);
    bearer(&edge, "good");
    bearer(&edge, "bad-token-of-mallory");
    auth.kill();
    bearer(&edge, "unlucky-token-of-bob");
    edge.logged("the last refusal", |line| line["status"] == 503);
    let admin = |path| edge.client("admin").get(path).text();
    let shown = [edge.folder.read("access.log"), admin("/config"), admin("/metrics")].concat();
    for hidden in [SECRET, "good\"", "of-mallory", "of-bob", "Basic "] {
        assert!(!shown.contains(hidden), "{hidden}: {shown}");
    }
}

#[test]
fn a_token_bound_to_a_key_needs_a_proof_and_each_is_good_once() {
    let holder = Signer::es256("h");
    let mut said = holder.binding();
    said["active"] = json!(true);
    let (edge, auth, _origin) = running("dpop: { max_age: 1m }", move |_| said.clone());
    let host = edge.address("listen").to_string();
    let ask = |scheme: &str, proofs: &[&str]| {
        let authorization = format!("{scheme} opaque");
        let mut headers = vec![("Host", host.as_str()), ("Authorization", &authorization)];
        headers.extend(proofs.iter().map(|proof| ("DPoP", *proof)));
        let answer = with(&edge, &headers);
        if answer.status == 200 { "ok".to_owned() } else { answer.reason() }
    };
    let proof = |url: &str| holder.proof("GET", url, "opaque", json!({}));
    let good = proof(&format!("http://{host}/"));
    assert_eq!(ask("DPoP", &[&good]), "ok");
    assert_eq!(ask("DPoP", &[&good]), "dpop_replayed");
    assert_eq!(ask("Bearer", &[&good]), "dpop_scheme_missing");
    assert_eq!(ask("DPoP", &[]), "dpop_proof_missing");
    assert_eq!(ask("DPoP", &[&proof("http://other.example/")]), "dpop_target");
    assert_eq!(auth.count(), 1, "what is remembered is bound all the same");
    let missing = edge.client("listen").request("GET", "/", &[], b"");
    assert!(missing.all("www-authenticate").iter().any(|challenge| challenge.starts_with("DPoP ")));
}

#[test]
fn a_nonce_is_asked_for_and_given() {
    let holder = Signer::es256("h");
    let mut said = holder.binding();
    said["active"] = json!(true);
    let (edge, _auth, _origin) = running("dpop: { nonce: true }", move |_| said.clone());
    let host = edge.address("listen").to_string();
    let ask = |changes: Value| {
        let proof = holder.proof("GET", &format!("http://{host}/"), "opaque", changes);
        let headers = [("Host", host.as_str()), ("Authorization", "DPoP opaque"), ("DPoP", &proof)];
        edge.client("listen").allow(&["dpop-nonce"]).request("GET", "/", &headers, b"")
    };
    let first = ask(json!({}));
    assert_eq!((first.status, first.reason()), (401, "dpop_nonce".to_owned()));
    assert_eq!(ask(json!({ "nonce": first.header("dpop-nonce").unwrap() })).status, 200);
}

#[test]
fn a_token_from_the_query_goes_no_further() {
    let (edge, _auth, origin) =
        running("from: { danger_query: access_token }, hide_credentials: false", alice);
    assert_eq!(edge.client("listen").get("/a?x=1&access_token=good&y=2").status, 200);
    assert_eq!(origin.only().target(), "/a?x=1&y=2");
}

/// Edgeward as the client `edge` of a real provider, which it finds by discovery.
fn before(provider: &Provider, client: &str, more: &str) -> Edge {
    let origin = Box::leak(Box::new(Origin::start(|_| Reply::text("ok"))));
    let text = format!(
        "listeners: [{{ address: '{{listen}}' }}]
upstreams: {{ app: {{ backends: ['{{origin}}'] }} }}
routes:
  - {{ name: app, match: {{ path: /** }}, upstream: app, filters: [{{ oauth2_introspection: {{ issuer: '{{iss}}', client: {client}, audience: [orders-api], scopes: [orders:read]{more} }} }}] }}
"
    );
    let setup = Edge::policy(&text).with("iss", provider.issuer()).with("origin", origin.address());
    setup.file("secret", "service-secret").start()
}

#[test]
fn opaque_tokens_of_a_real_provider_open_until_they_are_revoked() {
    let Some(provider) = Provider::start(&json!({ "opaque": true })) else { return };
    let edge = before(&provider, "{ id: service, secret: { file: secret } }", ", ttl: 0s");
    let token = provider.token("orders:read");
    assert!(!token.contains('.'), "opaque: {token}");
    assert_eq!(bearer(&edge, &token).status, 200);
    assert_eq!(bearer(&edge, &provider.token("orders:write")).reason(), "scope_missing");
    assert_eq!(bearer(&edge, "made-up").reason(), "token_inactive");
    let revoked = provider.grant_at("/token/revocation", "service", &format!("token={token}"));
    assert_eq!(revoked.status, 200, "{revoked:?}");
    assert_eq!(bearer(&edge, &token).reason(), "token_inactive");
    provider.control("down");
    assert_eq!(bearer(&edge, &token).reason(), "introspection_unavailable");
}

#[test]
fn a_real_provider_knows_us_by_our_key() {
    let group = boring::ec::EcGroup::from_curve_name(boring::nid::Nid::X9_62_PRIME256V1).unwrap();
    let key = boring::pkey::PKey::from_ec_key(boring::ec::EcKey::generate(&group).unwrap()).unwrap();
    let coordinate = |number: &boring::bn::BigNum| {
        base64::Engine::encode(
            &base64::engine::general_purpose::URL_SAFE_NO_PAD,
            number.to_vec_padded(32).unwrap(),
        )
    };
    let (mut x, mut y, mut context) = (
        boring::bn::BigNum::new().unwrap(),
        boring::bn::BigNum::new().unwrap(),
        boring::bn::BigNumContext::new().unwrap(),
    );
    let point = key.ec_key().unwrap();
    point.public_key().affine_coordinates_gfp(&group, &mut x, &mut y, &mut context).unwrap();
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": coordinate(&x), "y": coordinate(&y), "use": "sig", "alg": "ES256" });
    let by_key = json!({
        "client_id": "edge", "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [jwk] },
        "grant_types": ["client_credentials"], "response_types": [], "redirect_uris": [],
    });
    let service = json!({
        "client_id": "service", "client_secret": "service-secret", "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["client_credentials"], "response_types": [], "redirect_uris": [],
    });
    let settings = json!({ "opaque": true, "clients": [by_key, service] });
    let Some(provider) = Provider::start(&settings) else { return };
    let folder = crate::harness::Folder::new();
    let path = folder.write("client.pem", key.private_key_to_pem_pkcs8().unwrap());
    let client = format!("{{ id: edge, private_key: {{ file: '{}' }}, algorithm: ES256 }}", path.display());
    let edge = before(&provider, &client, "");
    assert_eq!(bearer(&edge, &provider.token("orders:read")).status, 200);
}
