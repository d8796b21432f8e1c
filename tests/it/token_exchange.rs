//! `token_exchange`: the upstream gets a token that is for it, and never another.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::issuer::key_set;
use crate::harness::{Edge, Origin, Provider, Reply, Response, Seen, Signer};

const SECRET: &str = "a-secret-that-nobody-sees";

/// Edgeward with the filter behind one that verifies tokens, the server, and the upstream.
fn running(
    more: &str,
    answers: impl Fn(&Seen, &Form) -> Reply + Send + Sync + 'static,
) -> (Edge, Origin, Origin) {
    let text = "admin: { address: '{admin}' }
access_log: { to: access.log }
listeners: [{ address: '{listen}' }]
upstreams: { app: { backends: ['{origin}'] } }
routes:
  - name: app
    match: { path: /** }
    upstream: app
    filters:
      - oauth2_introspection: { url: 'http://{auth}/introspect', client: { id: edge, secret: { file: secret } }, when: 'http.request.uri.path ne \"/anonymous\"' }
      - token_exchange: { url: 'http://{auth}/token', client: { id: edge, secret: { file: secret } }MORE }
";
    let more = if more.is_empty() { String::new() } else { format!(", {more}") };
    let auth = Origin::start(move |seen| match seen.target() {
        "/introspect" => says(&json!({ "active": true, "sub": "alice" })),
        _ => answers(seen, &Form::of(seen)),
    });
    let origin = Origin::start(|_| Reply::text("ok"));
    let setup = Edge::policy(&text.replace("MORE", &more)).file("secret", SECRET);
    let edge = setup.with("auth", auth.address()).with("origin", origin.address()).start();
    (edge, auth, origin)
}

/// A form, decoded.
struct Form(Vec<(String, String)>);

impl Form {
    fn of(seen: &Seen) -> Self {
        let body = String::from_utf8(seen.body.clone()).unwrap();
        let decoded =
            |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let pairs = body.split('&').map(|pair| pair.split_once('=').unwrap());
        Self(pairs.map(|(name, value)| (decoded(name), decoded(value))).collect())
    }

    fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    fn one(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name}: {all:?}");
        all[0]
    }
}

fn says(answer: &Value) -> Reply {
    Reply::status(200, &[("content-type", "application/json")], answer.to_string())
}

fn gives(token: &str) -> Reply {
    says(&json!({
        "access_token": token, "token_type": "Bearer", "expires_in": 300,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }))
}

/// A token that tells for which it was given.
fn inner(_: &Seen, form: &Form) -> Reply {
    gives(&format!("inner-of-{}", form.one("subject_token")))
}

fn bearer(edge: &Edge, token: &str) -> Response {
    edge.client("listen").request("GET", "/", &[("Authorization", &format!("Bearer {token}"))], b"")
}

/// How often a token was asked for.
fn exchanges(auth: &Origin) -> usize {
    auth.requests().iter().filter(|seen| seen.target() == "/token").count()
}

#[test]
fn the_upstream_gets_a_token_of_its_own_for_the_callers() {
    let more = "audience: [orders, stock], resource: ['https://orders.internal/'], scopes: [a, b], \
                requested_type: 'urn:ietf:params:oauth:token-type:jwt'";
    let (edge, auth, origin) = running(more, inner);
    assert_eq!(bearer(&edge, "outer").status, 200);
    assert_eq!(origin.only().all("authorization"), ["Bearer inner-of-outer"]);
    let asked = auth.last();
    assert_eq!(asked.line(), "POST /token HTTP/1.1");
    let form = Form::of(&asked);
    assert_eq!(form.one("grant_type"), "urn:ietf:params:oauth:grant-type:token-exchange");
    assert_eq!(form.one("subject_token_type"), "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(form.one("requested_token_type"), "urn:ietf:params:oauth:token-type:jwt");
    assert_eq!(
        (form.all("audience"), form.one("resource"), form.one("scope")),
        (vec!["orders", "stock"], "https://orders.internal/", "a b")
    );
    assert!(asked.header("authorization").unwrap().starts_with("Basic "));
}

#[test]
fn what_the_callers_token_is_said_to_be_can_be_chosen() {
    let (edge, auth, _origin) = running("subject_type: 'urn:ietf:params:oauth:token-type:jwt'", inner);
    assert_eq!(bearer(&edge, "outer").status, 200);
    assert_eq!(Form::of(&auth.last()).one("subject_token_type"), "urn:ietf:params:oauth:token-type:jwt");
}

#[test]
fn only_a_token_that_was_verified_is_exchanged() {
    let (edge, auth, origin) = running("", inner);
    let headers = [("Authorization", "Bearer unverified")];
    let refused = edge.client("listen").request("GET", "/anonymous", &headers, b"");
    assert_eq!((refused.status, refused.reason()), (401, "token_exchange_missing".to_owned()));
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    assert_eq!((auth.count(), origin.count()), (0, 0));
}

#[test]
fn a_token_of_our_own_needs_no_caller() {
    let (edge, auth, origin) = running("grant: client_credentials, scopes: [orders]", |_, _| gives("ours"));
    for _ in 0..2 {
        let headers = [("Authorization", "Bearer unverified")];
        assert_eq!(edge.client("listen").request("GET", "/anonymous", &headers, b"").status, 200);
        assert_eq!(origin.last().all("authorization"), ["Bearer ours"]);
    }
    let form = Form::of(&auth.only());
    assert_eq!((form.one("grant_type"), form.one("scope")), ("client_credentials", "orders"));
    assert!(form.all("subject_token").is_empty());
}

#[test]
fn a_token_is_exchanged_once_and_for_its_caller_alone() {
    let (edge, auth, origin) = running("", inner);
    for (caller, asked) in [("alice", 1), ("alice", 1), ("bob", 2), ("alice", 2), ("bob", 2)] {
        assert_eq!((bearer(&edge, caller).status, exchanges(&auth)), (200, asked), "{caller}");
        assert_eq!(origin.last().header("authorization").unwrap(), format!("Bearer inner-of-{caller}"));
    }
    edge.reload().unwrap();
    assert_eq!((bearer(&edge, "alice").status, exchanges(&auth)), (200, 2), "known beyond a reload");
}

#[test]
fn a_token_is_used_no_longer_than_the_policy_and_the_server_say() {
    let (edge, auth, _origin) = running("ttl: 1ms", inner);
    for _ in 0..2 {
        assert_eq!(bearer(&edge, "a").status, 200);
        std::thread::park_timeout(Duration::from_millis(2));
    }
    assert_eq!(exchanges(&auth), 2);
    let answer = |kind: Value| {
        let said = json!({ "access_token": "t", "token_type": "bearer", "expires_in": 0, "issued_token_type": kind });
        move |_: &Seen, _: &Form| says(&said)
    };
    let (edge, auth, _origin) = running("", answer("urn:ietf:params:oauth:token-type:access_token".into()));
    for asked in 1..3 {
        assert_eq!((bearer(&edge, "a").status, exchanges(&auth)), (200, asked));
    }
    for kind in ["urn:ietf:params:oauth:token-type:refresh_token".into(), Value::Null] {
        let (edge, _auth, origin) = running("", answer(kind));
        let refused = bearer(&edge, "a");
        assert_eq!((refused.status, refused.reason().as_str()), (503, "token_exchange_unavailable"));
        assert_eq!(origin.connections(), 0);
    }
}

#[test]
fn a_hundred_requests_of_one_caller_exchange_once() {
    let (edge, auth, origin) = running("", |seen, form| inner(seen, form).after(Duration::from_millis(300)));
    let passed = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..100).map(|_| scope.spawn(|| bearer(&edge, "alice").status == 200)).collect();
        asked.into_iter().map(|one| one.join().unwrap()).filter(|passed| *passed).count()
    });
    assert_eq!((passed, exchanges(&auth), origin.count()), (100, 1, 100));
    assert!(
        origin.requests().iter().all(|seen| seen.header("authorization") == Some("Bearer inner-of-alice"))
    );
}

#[test]
fn refusals_of_the_server_are_told_apart() {
    let (edge, _auth, origin) = running("", |_, form| {
        let code = form.one("subject_token").replace('-', "_");
        let status = if code == "invalid_client" { 401 } else { 400 };
        Reply::status(
            status,
            &[],
            json!({ "error": code, "error_description": "internal words" }).to_string(),
        )
    });
    for (code, status, reason) in [
        ("invalid-grant", 401, "token_exchange_refused"),
        ("invalid-request", 401, "token_exchange_refused"),
        ("access-denied", 403, "token_exchange_denied"),
        ("invalid-target", 403, "token_exchange_denied"),
        ("invalid-scope", 403, "token_exchange_denied"),
        ("invalid-client", 503, "token_exchange_unavailable"),
        ("unsupported-grant-type", 503, "token_exchange_unavailable"),
    ] {
        let refused = bearer(&edge, code);
        assert_eq!((refused.status, refused.reason()), (status, reason.to_owned()), "{code}");
        assert!(!refused.text().contains("internal words"));
        let challenge = refused.header("www-authenticate");
        assert_eq!(challenge, (status == 401).then_some("Bearer error=\"invalid_token\""), "{code}");
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn without_a_token_the_request_goes_nowhere() {
    let (edge, auth, origin) = running("timeout: 300ms", |_, form| match form.one("subject_token") {
        "garbage" => Reply::raw("SSH-2.0-OpenSSH\r\n\r\n").close(),
        "html" => Reply::status(200, &[], "<html>"),
        "crlf" => gives("inner\r\nx-admin: 1"),
        "space" => gives("inner outer"),
        "empty" => gives(""),
        "mac" => says(&json!({ "access_token": "inner", "token_type": "mac" })),
        "moved" => Reply::status(307, &[("location", "/elsewhere")], ""),
        "huge" => gives(&"x".repeat(70_000)),
        "error" => Reply::status(500, &[], ""),
        "silent" => Reply::nothing().hold(),
        _ => Reply::nothing().close(),
    });
    for token in
        ["garbage", "html", "crlf", "space", "empty", "mac", "moved", "huge", "error", "silent", "gone"]
    {
        let began = Instant::now();
        let refused = bearer(&edge, token);
        assert_eq!(
            (refused.status, refused.reason()),
            (503, "token_exchange_unavailable".to_owned()),
            "{token}"
        );
        assert!(began.elapsed() < Duration::from_secs(3), "{token}: {:?}", began.elapsed());
    }
    assert!(auth.requests().iter().all(|seen| seen.target() != "/elsewhere"));
    assert_eq!(origin.count(), 0);
}

#[test]
fn neither_tokens_nor_secrets_are_shown() {
    let (edge, _auth, _origin) = running("", inner);
    bearer(&edge, "outer-token-of-alice");
    edge.logged("the request", |line| line["status"] == 200);
    let admin = |path| edge.client("admin").get(path).text();
    let shown = [edge.folder.read("access.log"), admin("/config"), admin("/metrics")].concat();
    for hidden in [SECRET, "of-alice", "Basic "] {
        assert!(!shown.contains(hidden), "{hidden}: {shown}");
    }
}

#[test]
fn a_token_that_was_verified_here_is_exchanged_though_it_goes_no_further() {
    let signer = Signer::es256("k");
    let auth = Origin::start(|seen| inner(seen, &Form::of(seen)));
    let origin = Origin::start(|_| Reply::text("ok"));
    let text = "listeners: [{ address: '{listen}' }]
upstreams: { app: { backends: ['{origin}'] } }
issuers: { corp: { issuer: 'https://id.example.com', audience: orders-api, jwks: { file: keys.json } } }
routes:
  - name: app
    match: { path: /** }
    upstream: app
    filters: [{ jwt: { issuer: corp } }, { token_exchange: { url: 'http://{auth}/token', client: { id: edge, secret: { file: secret } } } }]
";
    let setup = Edge::policy(text).file("secret", SECRET).file("keys.json", key_set([&signer]));
    let edge = setup.with("auth", auth.address()).with("origin", origin.address()).start();
    let token = signer.token("https://id.example.com", json!({}));
    assert_eq!(bearer(&edge, &token).status, 200);
    assert_eq!(origin.only().header("authorization").unwrap(), format!("Bearer inner-of-{token}"));
    assert_eq!(bearer(&edge, &format!("{token}x")).status, 401);
    assert_eq!((auth.count(), origin.count()), (1, 1));
}

#[test]
fn a_real_provider_gives_one_token_for_another() {
    let Some(provider) = Provider::start(&Value::Null) else { return };
    let origin = Origin::start(|_| Reply::text("ok"));
    let text = "listeners: [{ address: '{listen}' }]
upstreams: { app: { backends: ['{origin}'] } }
issuers: { corp: { issuer: '{iss}', audience: orders-api } }
routes:
  - name: exchanged
    match: { path: /exchanged }
    upstream: app
    filters: [{ jwt: { issuer: corp } }, { token_exchange: { issuer: '{iss}', client: { id: exchange, secret: { file: exchange } }, audience: [billing-api] } }]
  - name: ours
    match: { path: /ours }
    upstream: app
    filters: [{ token_exchange: { issuer: '{iss}', client: { id: service, secret: { file: service } }, grant: client_credentials, scopes: [orders:read] } }]
";
    let setup = Edge::policy(text).file("exchange", "exchange-secret").file("service", "service-secret");
    let edge = setup.with("iss", provider.issuer()).with("origin", origin.address()).start();
    let claims = |path: &str, token: &str| {
        let headers = [("Authorization", format!("Bearer {token}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let answer = edge.client("listen").request("GET", path, &headers, b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = origin.last();
        let token = seen.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
        let payload = token.split('.').nth(1).unwrap();
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        serde_json::from_slice::<Value>(&base64::Engine::decode(&engine, payload).unwrap()).unwrap()
    };
    let outer = provider.token("orders:read");
    let given = claims("/exchanged", &outer);
    assert_eq!((&given["aud"], &given["client_id"]), (&"billing-api".into(), &"exchange".into()));
    assert_eq!(claims("/exchanged", &outer)["jti"], given["jti"], "exchanged once");
    let ours = claims("/ours", "whatever");
    assert_eq!((&ours["client_id"], &ours["scope"]), (&"service".into(), &"orders:read".into()));
}

#[test]
fn the_server_is_told_who_acts_for_the_caller() {
    let told = |_: &Seen, form: &Form| {
        let kind = form.one("actor_token_type").rsplit(':').next().unwrap().to_owned();
        gives(&format!("{}-by-{}-{kind}", form.one("subject_token"), form.one("actor_token")))
    };
    let (edge, auth, origin) = running("actor: { token: { file: secret } }, ttl: 1s", told);
    assert_eq!(bearer(&edge, "t1").status, 200);
    let expected = format!("Bearer t1-by-{SECRET}-jwt");
    assert_eq!(origin.last().header("authorization"), Some(&*expected));
    edge.folder.write("secret", "replaced\n");
    assert_eq!(bearer(&edge, "t2").status, 200);
    assert_eq!(origin.last().header("authorization"), Some("Bearer t2-by-replaced-jwt"), "it is read anew");
    edge.folder.write("secret", "");
    let (asked, passed) = (auth.count(), origin.count());
    let refused = bearer(&edge, "t3");
    assert_eq!((refused.status, refused.reason()), (503, "token_exchange_unavailable".to_owned()));
    assert_eq!((auth.count(), origin.count()), (asked + 1, passed), "the token was introspected, no more");
}

#[test]
fn edgeward_acts_with_a_token_of_its_own() {
    let told = |_: &Seen, form: &Form| match form.one("grant_type") {
        "client_credentials" => gives(&format!("edge-for-{}", form.one("scope"))),
        _ => gives(&format!("{}-by-{}", form.one("subject_token"), form.one("actor_token"))),
    };
    let (edge, auth, origin) = running("actor: { client_credentials: { scopes: [act] } }", told);
    for token in ["t1", "t2"] {
        assert_eq!(bearer(&edge, token).status, 200);
        let expected = format!("Bearer {token}-by-edge-for-act");
        assert_eq!(origin.last().header("authorization"), Some(&*expected));
    }
    assert_eq!(auth.count(), 5, "two introspected, two exchanged, and one of its own");
}
