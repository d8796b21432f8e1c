use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::*;
use crate::auth::Issuer;
use crate::auth::issuer::{Keys, Reach};
use crate::auth::jose::{Algorithm, Rules, SigningKey, Verifier, mint};
use crate::filters::Spec as _;
use crate::filters::exchange::Sample;
use crate::filters::testing::Ground;
use crate::http::fetch::Response;
use crate::http::fetch::testing::{Scripted, answer};
use crate::values::Problem;

const NAVIGATION: (&str, &str) = ("sec-fetch-mode", "navigate");

/// An issuer that gives whatever token the test says, and a file with the operator's secrets.
struct World {
    ground: Ground,
    signer: SigningKey,
    fetch: Arc<Scripted>,
    folder: std::path::PathBuf,
}

impl World {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("edgeward-oidc-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("secret"), "a secret of the operator with 32 letters").unwrap();
        std::fs::write(folder.join("short"), "short").unwrap();
        let signer = mint::signer(Algorithm::Es256, Some("k"));
        let fetch = Arc::new(Scripted::new(|_| Ok(metadata())));
        let mut ground = Ground::new();
        let issuers = &mut ground.issuers;
        for (name, url, danger_http, is_reached) in [
            ("corp", mint::ISSUER, false, true),
            ("plain", "http://id.example.com", false, true),
            ("danger", "http://id.example.com", true, true),
            ("local", "http://127.0.0.1:1", false, true),
            ("text", "corp", false, true),
            ("query", "https://id.example.com?a", false, true),
            ("secret", mint::ISSUER, false, false),
        ] {
            let verifier = Verifier::new(Rules::new(url, "orders-api"));
            let keys = Keys::Fixed(mint::keys([&signer]));
            let issuer = Issuer::new(name, verifier, keys, Arc::clone(issuers.memory()));
            let reach = Reach { fetch: fetch.clone(), danger_http };
            issuers.add(if is_reached { issuer.reached_by(reach) } else { issuer });
        }
        Self { ground, signer, fetch, folder }
    }

    fn try_compile(&self, changes: Value) -> Result<Box<dyn Filter>, Problem> {
        let mut spec = json!({
            "issuer": "corp", "client": { "id": "edge" }, "session": { "secrets": [{ "file": "secret" }] },
        });
        spec.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let spec: Spec = serde_json::from_value(spec).unwrap();
        spec.compile(&crate::filters::Site { base: &self.folder, ..self.ground.site() })
    }

    fn filter(&self, changes: Value) -> Box<dyn Filter> {
        self.try_compile(changes).unwrap_or_else(|problem| panic!("{problem}"))
    }

    fn problem(&self, changes: Value) -> (String, String) {
        let problem = self.try_compile(changes).err().unwrap();
        (problem.at, problem.message)
    }

    /// The issuer says where its endpoints are.
    fn is_up(&self) {
        self.fetch.answers(|_| Ok(metadata()));
    }

    /// Somebody's cookies after a login.
    async fn logged_in(&self, filter: &dyn Filter, claims: Value) -> String {
        let sent = reply(decide(filter, &mut get("/orders", &[NAVIGATION])).await);
        let asked = parameters(&sent.1);
        let mut all = json!({ "aud": "edge", "nonce": asked["nonce"], "scope": null });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let id_token = self.signer.sign(None, &mint::claims(all)).unwrap();
        let tokens = json!({
            "access_token": "the-access-token", "token_type": "Bearer", "expires_in": 300, "id_token": id_token,
        });
        self.fetch.answers(move |_| Ok(answer(200, &[], &tokens.to_string())));
        let back = format!("/oauth2/callback?code=c&state={}", asked["state"]);
        let welcome = reply(decide(filter, &mut get(&back, &[("cookie", &kept(&sent.2))])).await);
        assert_eq!(welcome.1, "/orders");
        kept(&welcome.2)
    }
}

fn metadata() -> Response {
    let metadata = json!({
        "issuer": mint::ISSUER,
        "authorization_endpoint": "https://id.example.com/authorize",
        "token_endpoint": "https://id.example.com/token",
        "end_session_endpoint": "https://id.example.com/end",
    });
    answer(200, &[], &metadata.to_string())
}

impl Drop for World {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn get(path: &str, headers: &[(&'static str, &str)]) -> Sample {
    request("GET", path, headers)
}

fn request(method: &str, path: &str, headers: &[(&'static str, &str)]) -> Sample {
    let mut sample = Sample::new(method, path, headers);
    if !sample.request.headers.contains_key("host") {
        sample.request.insert_header("host", "app.example.com").unwrap();
    }
    sample.facts.time = UNIX_EPOCH + Duration::from_secs(mint::NOW);
    sample
}

async fn decide(filter: &dyn Filter, sample: &mut Sample) -> Verdict {
    match filter.on_request(&mut sample.exchange()) {
        Step::Now(verdict) => verdict,
        Step::Later(verdict) => verdict.await,
    }
}

/// Status, location and cookies of a redirect.
fn reply(verdict: Verdict) -> (u16, String, Vec<String>) {
    let Verdict::Respond(reply) = verdict else { panic!("no redirect") };
    let header = |name: &str| reply.head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("cache-control").as_deref(), Some("no-store"));
    let cookies = reply.head.headers.get_all("set-cookie").iter();
    let cookies = cookies.map(|cookie| cookie.to_str().unwrap().to_owned()).collect();
    (reply.head.status.as_u16(), header("location").unwrap(), cookies)
}

fn refusal(verdict: Verdict) -> Refusal {
    let Verdict::Refuse(refusal) = verdict else { panic!("not refused") };
    *refusal
}

fn told(refusal: &Refusal) -> (u16, &'static str) {
    (refusal.status.as_u16(), refusal.reason)
}

/// The `Cookie` of a browser that took these.
fn kept(cookies: &[String]) -> String {
    let kept = cookies.iter().filter(|cookie| !cookie.contains("Max-Age=0"));
    kept.map(|cookie| cookie.split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
}

fn parameters(url: &str) -> BTreeMap<String, String> {
    let (_, query) = url.split_once('?').unwrap();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| {
            let value = percent_encoding::percent_decode_str(value).decode_utf8().unwrap();
            (name.to_owned(), value.into_owned())
        })
        .collect()
}

#[tokio::test]
async fn pages_lead_to_the_issuer_and_everything_else_to_401() {
    let world = World::new("pages");
    let filter = world.filter(json!({}));
    let html = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
    let pages: [(&str, &[(&str, &str)]); 4] = [
        ("GET", &[NAVIGATION]),
        ("HEAD", &[NAVIGATION]),
        ("GET", &[html]),
        ("GET", &[("accept", "Text/HTML;level=1")]),
    ];
    for (method, headers) in pages {
        let (status, location, cookies) = reply(decide(&*filter, &mut request(method, "/a", headers)).await);
        assert!(location.starts_with("https://id.example.com/authorize?"), "{location}");
        assert_eq!((status, cookies.len()), (302, 1));
        assert!(cookies[0].starts_with("__Host-edgeward.login."));
        let asked = parameters(&location);
        assert_eq!(asked["redirect_uri"], "https://app.example.com/oauth2/callback");
        assert_eq!(asked["scope"], "openid profile email");
    }
    let others: [(&str, &[(&str, &str)]); 7] = [
        ("GET", &[]),
        ("GET", &[("accept", "*/*")]),
        ("GET", &[("accept", "application/json")]),
        ("GET", &[html, ("sec-fetch-mode", "cors")]),
        ("GET", &[html, ("sec-fetch-mode", "no-cors")]),
        ("GET", &[html, ("x-requested-with", "XMLHttpRequest")]),
        ("POST", &[html, NAVIGATION]),
    ];
    for (method, headers) in others {
        let refusal = refusal(decide(&*filter, &mut request(method, "/a", headers)).await);
        assert_eq!(told(&refusal), (401, "oidc_login_required"), "{method} {headers:?}");
        let challenge = refusal.headers.iter().find(|(name, _)| name == WWW_AUTHENTICATE).unwrap();
        assert_eq!(challenge.1, "Cookie realm=\"orders\", cookie-name=\"__Host-edgeward\"");
    }
}

#[tokio::test]
async fn who_is_logged_in_passes_and_upstreams_are_told_who_it_is() {
    let world = World::new("passes");
    let filter = world.filter(json!({ "to_headers": { "x-user": "sub", "x-groups": "groups" } }));
    assert_eq!(filter.vouches_for(), ["x-groups", "x-user"]);
    let cookies = world.logged_in(&*filter, json!({ "groups": ["a", "b"] })).await;
    let mut sample =
        get("/orders", &[("cookie", &format!("a=1; {cookies}; b=2")), ("authorization", "Bearer own")]);
    assert!(matches!(decide(&*filter, &mut sample).await, Verdict::Next));
    let header = |name: &str| sample.request.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("x-user"), Some("user-1"));
    assert_eq!(header("x-groups"), Some("a,b"));
    assert_eq!(header("cookie"), Some("a=1; b=2"));
    assert_eq!(header("authorization"), Some("Bearer own"));
    let [caller] = sample.slots.callers() else { panic!("nobody is known") };
    assert_eq!((caller.method, &*caller.subject), ("oidc_login", "user-1"));
    assert!(caller.claims().unwrap().all().contains_key("groups"));
}

#[tokio::test]
async fn upstreams_get_the_access_token_only_where_the_policy_says_so() {
    let world = World::new("forwards");
    let filter = world.filter(json!({ "forward_access_token": true }));
    let cookies = world.logged_in(&*filter, json!({})).await;
    let mut sample = get("/orders", &[("cookie", &cookies), ("authorization", "Bearer own")]);
    assert!(matches!(decide(&*filter, &mut sample).await, Verdict::Next));
    assert_eq!(sample.request.headers["authorization"], "Bearer the-access-token");
    assert!(!sample.request.headers.contains_key("cookie"));
}

#[tokio::test]
async fn a_browser_is_told_when_its_session_goes_on() {
    let world = World::new("tells");
    let filter = world.filter(json!({ "session": { "secrets": [{ "file": "secret" }], "idle": "10m" } }));
    let cookies = world.logged_in(&*filter, json!({})).await;
    for (later, is_told) in [(59, false), (60, true)] {
        let mut sample = get("/orders", &[("cookie", &cookies)]);
        sample.facts.time += Duration::from_secs(later);
        assert!(matches!(decide(&*filter, &mut sample).await, Verdict::Next));
        let mut response = ResponseHeader::build(200, None).unwrap();
        response.insert_header("cache-control", "public, max-age=60").unwrap();
        filter.on_response(&mut sample.exchange(), &mut response).unwrap();
        assert_eq!(response.headers.contains_key("set-cookie"), is_told, "after {later} s");
        let cached = response.headers["cache-control"] != "no-store";
        assert_eq!(cached, !is_told, "a shared cache must not keep a session");
    }
    let mut sample = get("/orders", &[("cookie", &cookies)]);
    sample.facts.time += Duration::from_secs(600);
    let refusal = refusal(decide(&*filter, &mut sample).await);
    assert_eq!(told(&refusal), (401, "oidc_login_required"));
    assert!(
        refusal
            .headers
            .iter()
            .any(|(name, value)| name == SET_COOKIE
                && value.to_str().unwrap().starts_with("__Host-edgeward=; "))
    );
}

#[tokio::test]
async fn logging_out_is_for_the_user_alone() {
    let world = World::new("logout");
    let filter = world.filter(json!({ "after_logout": "/bye" }));
    let cookies = world.logged_in(&*filter, json!({})).await;
    let out = async |method: &str, site: Option<&str>| {
        let mut headers = vec![("cookie", cookies.as_str())];
        headers.extend(site.map(|site| ("sec-fetch-site", site)));
        decide(&*filter, &mut request(method, "/logout", &headers)).await
    };
    assert_eq!(told(&refusal(out("GET", Some("cross-site")).await)), (403, "oidc_logout_cross_site"));
    assert_eq!(told(&refusal(out("DELETE", None).await)), (405, "oidc_method"));
    assert!(matches!(decide(&*filter, &mut get("/a", &[("cookie", &cookies)])).await, Verdict::Next));
    let (status, location, gone) = reply(out("POST", Some("same-origin")).await);
    assert_eq!((status, gone.len()), (302, 1));
    let asked = parameters(&location);
    assert_eq!(asked["post_logout_redirect_uri"], "https://app.example.com/bye");
    let again = decide(&*filter, &mut get("/a", &[("cookie", &cookies)])).await;
    assert_eq!(told(&refusal(again)), (401, "oidc_login_required"));
    let local = world.filter(json!({ "logout_at_issuer": false }));
    let (_, location, _) = reply(decide(&*local, &mut get("/logout", &[("cookie", &cookies)])).await);
    assert_eq!(location, "/");
}

#[tokio::test]
async fn a_login_after_a_logout_leads_to_the_front_page() {
    let world = World::new("after");
    let filter = world.filter(json!({ "logout_path": "/out", "redirect_path": "/back" }));
    assert_eq!(filter.answers().iter().map(|path| &**path).collect::<Vec<_>>(), ["/back", "/out"]);
    let (_, location, _) = reply(decide(&*filter, &mut get("/out", &[])).await);
    assert_eq!(location, "/");
    let verdict = decide(&*filter, &mut get("/logout", &[NAVIGATION])).await;
    assert!(reply(verdict).1.starts_with("https://id.example.com/authorize?"));
}

#[tokio::test]
async fn the_way_back_is_a_get_that_this_browser_expects() {
    let world = World::new("back");
    let filter = world.filter(json!({}));
    let back = async |method: &str, path: &str| {
        refusal(decide(&*filter, &mut request(method, path, &[NAVIGATION])).await)
    };
    assert_eq!(told(&back("GET", "/oauth2/callback").await), (400, "oidc_callback_malformed"));
    let unknown = back("GET", "/oauth2/callback?code=c&state=abcdefghijklmnopqrstuvwxyz").await;
    assert_eq!(told(&unknown), (400, "oidc_attempt_unknown"));
    assert!(unknown.detail.is_some());
    assert_eq!(told(&back("POST", "/oauth2/callback?code=c&state=s").await), (405, "oidc_method"));
    assert_eq!(filter.secret_parameters(), ["code"]);
    assert_eq!(filter.secret_cookie(), Some("__Host-edgeward"));
}

#[tokio::test]
async fn while_the_issuer_is_down_pages_get_503() {
    let world = World::new("down");
    world.fetch.answers(|_| Ok(answer(500, &[], "")));
    let filter = world.filter(json!({}));
    let refusal = refusal(decide(&*filter, &mut get("/a", &[NAVIGATION])).await);
    assert_eq!(told(&refusal), (503, "oidc_unavailable"));
    assert!(refusal.headers.iter().any(|(name, _)| name == RETRY_AFTER));
}

#[tokio::test]
async fn browsers_are_known_to_speak_https_unless_they_are_on_this_machine() {
    let world = World::new("origin");
    let filter = world.filter(json!({}));
    let uri = async |filter: &dyn Filter, scheme: &'static str, host: &str| {
        let mut sample = get("/a", &[NAVIGATION, ("host", host)]);
        sample.facts.scheme = scheme;
        match decide(filter, &mut sample).await {
            Verdict::Refuse(refusal) => refusal.reason.to_owned(),
            verdict => parameters(&reply(verdict).1)["redirect_uri"].clone(),
        }
    };
    for (scheme, host, expected) in [
        ("https", "app.example.com:8443", "https://app.example.com:8443/oauth2/callback"),
        ("http", "APP.example.com", "https://app.example.com/oauth2/callback"),
        ("http", "localhost:8080", "http://localhost:8080/oauth2/callback"),
        ("http", "127.0.0.1", "http://127.0.0.1/oauth2/callback"),
        ("https", "localhost", "https://localhost/oauth2/callback"),
        ("https", "a/b", "missing_host"),
        ("https", "a?b", "missing_host"),
        ("https", "u@a", "missing_host"),
        ("https", "", "missing_host"),
    ] {
        assert_eq!(uri(&*filter, scheme, host).await, expected, "{scheme} {host}");
    }
    let filter = world.filter(json!({ "origin": "https://www.example.com" }));
    assert_eq!(uri(&*filter, "http", "10.0.0.1").await, "https://www.example.com/oauth2/callback");
}

#[tokio::test]
async fn the_client_shows_its_secret_as_the_policy_says() {
    let world = World::new("client");
    for (place, is_header) in [(json!(null), true), (json!("header"), true), (json!("body"), false)] {
        let client = json!({ "id": "edge", "secret": { "file": "secret" }, "secret_in": place });
        let filter = world.filter(json!({ "client": client }));
        world.is_up();
        world.logged_in(&*filter, json!({})).await;
        let asked = world.fetch.asked().pop().unwrap();
        assert_eq!(asked.headers.contains_key(AUTHORIZATION), is_header);
        let body = String::from_utf8(asked.body.to_vec()).unwrap();
        assert_eq!(body.contains("client_secret="), !is_header);
    }
}

#[tokio::test]
async fn what_is_asked_for_is_what_the_policy_says() {
    let world = World::new("asked");
    let filter = world.filter(json!({
        "scopes": ["groups", "openid"], "max_age": "5m", "parameters": { "prompt": "login" },
        "session": { "secrets": [{ "file": "secret" }], "cookie": "app" },
    }));
    let (_, location, cookies) = reply(decide(&*filter, &mut get("/a", &[NAVIGATION])).await);
    let asked = parameters(&location);
    assert_eq!((&*asked["scope"], &*asked["max_age"], &*asked["prompt"]), ("openid groups", "300", "login"));
    assert!(cookies[0].starts_with("__Host-app.login."));
}

#[test]
fn says_what_is_wrong_with_a_policy() {
    let world = World::new("wrong");
    let secrets = json!([{ "file": "secret" }]);
    for (changes, at) in [
        (json!({ "issuer": "crop" }), "issuer"),
        (json!({ "issuer": "plain" }), "issuer"),
        (json!({ "issuer": "text" }), "issuer"),
        (json!({ "issuer": "query" }), "issuer"),
        (json!({ "issuer": "secret" }), "issuer"),
        (json!({ "client": { "id": "" } }), "client.id"),
        (json!({ "client": { "id": "a", "secret_in": "body" } }), "client.secret_in"),
        (json!({ "client": { "id": "a", "secret": { "file": "none" } } }), "client.secret"),
        (json!({ "session": { "secrets": [] } }), "session.secrets"),
        (json!({ "session": { "secrets": [{ "file": "short" }] } }), "session.secrets[0]"),
        (json!({ "session": { "secrets": [{ "file": "none" }] } }), "session.secrets[0]"),
        (json!({ "session": { "secrets": secrets, "idle": "13h" } }), "session.idle"),
        (json!({ "session": { "secrets": secrets, "idle": "5ms" } }), "session.idle"),
        (json!({ "session": { "secrets": secrets, "cookie": "a.b" } }), "session.cookie"),
        (json!({ "session": { "secrets": secrets, "cookie": "__Host-a" } }), "session.cookie"),
        (json!({ "redirect_path": "callback" }), "redirect_path"),
        (json!({ "redirect_path": "/a/../b" }), "redirect_path"),
        (json!({ "redirect_path": "/a?b" }), "redirect_path"),
        (json!({ "redirect_path": "/" }), "redirect_path"),
        (json!({ "logout_path": "/oauth2/callback" }), "logout_path"),
        (json!({ "after_logout": "//evil.example" }), "after_logout"),
        (json!({ "after_logout": "https://evil.example" }), "after_logout"),
        (json!({ "scopes": ["a b"] }), "scopes[0]"),
        (json!({ "parameters": { "state": "x" } }), "parameters[\"state\"]"),
        (json!({ "origin": "app.example.com" }), "origin"),
        (json!({ "origin": "https://app.example.com/" }), "origin"),
        (json!({ "origin": "http://app.example.com" }), "origin"),
        (json!({ "to_headers": { "cookie": "sub" } }), "to_headers[\"cookie\"]"),
    ] {
        assert_eq!(world.problem(changes.clone()).0, at, "{changes}");
    }
    for issuer in ["danger", "local"] {
        world.filter(json!({ "issuer": issuer }));
    }
}
