//! A real `OpenID` provider (npm `oidc-provider`), and a real browser (Chromium) before it.

use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};

use super::*;
use crate::harness::provider::{Provider, modules};
use crate::harness::{Authority, tools};

/// A port that nobody has at the moment.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What the provider answers to a GET, with its cookies, up to the redirect to another host.
fn follow(provider: &Provider, url: &str) -> String {
    let mut jar = BTreeMap::new();
    let mut next = target(url).to_owned();
    for _ in 0..8 {
        let line: Vec<_> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let line = line.join("; ");
        let headers: &[(&str, &str)] = if line.is_empty() { &[] } else { &[("Cookie", line.as_str())] };
        let answer = provider.ask("GET", &next, headers, "");
        for cookie in answer.head.lines().filter_map(|line| line.split_once(':')) {
            if cookie.0.eq_ignore_ascii_case("set-cookie")
                && let Some((name, value)) = cookie.1.trim().split(';').next().unwrap().split_once('=')
            {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        let location =
            answer.header("location").unwrap_or_else(|| panic!("no redirect: {answer:?}")).to_owned();
        if location.starts_with('/') {
            next = location;
        } else if let Some(rest) = location.strip_prefix(provider.issuer()) {
            rest.clone_into(&mut next);
        } else {
            return location;
        }
    }
    panic!("redirects without an end");
}

#[test]
fn a_real_provider_lets_somebody_in_and_renews_their_session() {
    let settings = json!({
        "redirect_uris": ["http://localhost/oauth2/callback"], "logout_uris": ["http://localhost/"], "lifetime": 2,
    });
    let Some(provider) = Provider::start(&settings) else { return };
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = Edge::policy(
        "listeners: [{ address: '{listen}' }]
upstreams: { app: { backends: ['{origin}'] } }
issuers: { corp: { issuer: '{iss}', audience: app } }
routes:
  - name: app
    upstream: app
    filters:
      - oidc_login:
          issuer: corp
          client: { id: app, secret: { file: client } }
          scopes: [profile, email, offline_access]
          parameters: { prompt: consent }
          session: { secrets: [{ file: session }] }
          to_headers: { x-user: sub, x-email: email, x-groups: groups }
",
    )
    .with("iss", provider.issuer())
    .with("origin", origin.address())
    .file("client", "app-secret")
    .file("session", SECRET)
    .start();
    let mut jar = Jar::default();
    let begun = visit(&edge, &mut jar, "/orders/7");
    let back = follow(&provider, begun.header("location").unwrap());
    assert!(back.contains("&iss="), "it names itself (RFC 9207): {back}");
    let welcome = visit(&edge, &mut jar, target(&back));
    assert_eq!((welcome.status, welcome.header("location")), (302, Some("/orders/7")), "{}", welcome.text());
    assert_eq!(visit(&edge, &mut jar, "/orders/7").status, 200);
    let seen = origin.only();
    assert_eq!((seen.header("x-user"), seen.header("x-email")), (Some("alice"), Some("alice@example.com")));
    assert_eq!(seen.header("x-groups"), Some("users,staff"));
    // Access tokens are good for two seconds, so the session is renewed again and again.
    let first = jar.line();
    crate::harness::soon("two renewals", || {
        let answer = visit(&edge, &mut jar, "/orders/7");
        assert_eq!(answer.status, 200, "{}", answer.text());
        provider.control("counts")["/token"].as_u64().unwrap() >= 3
    });
    assert_ne!(jar.line(), first);
    let out = visit(&edge, &mut jar, "/logout");
    let location = out.header("location").unwrap();
    let end = provider.ask("GET", target(location), &[], "");
    assert_eq!(end.status, 200, "it takes the hint and the way back: {end:?}");
    assert!(jar.0.is_empty());
}

const BROWSED: &str = "listeners: [{ address: '{tls}', tls: { certificates: [{ cert: '{certs}/edge.crt', key: '{certs}/edge.key' }] } }]
upstreams: { app: { backends: ['{origin}'] } }
issuers: { corp: { issuer: '{iss}', audience: app } }
routes:
  - name: app
    upstream: app
    filters:
      - oidc_login:
          issuer: corp
          client: { id: app, secret: { file: '{certs}/client' } }
          session: { secrets: [{ file: '{certs}/session' }] }
          to_headers: { x-user: sub }
          after_logout: /bye
  - { name: bye, match: { path: /bye }, respond: { body: goodbye } }
";

#[test]
fn a_real_browser_clicks_through_the_login() {
    if !tools::has("node") || !tools::has("chromium") {
        return;
    }
    let port = free_port();
    let origin = Origin::start(|seen| {
        let user = seen.header("x-user").unwrap_or("nobody");
        let page = format!("<!doctype html><title>{}</title><p id=user>{user}</p>", seen.target());
        Reply::status(200, &[("content-type", "text/html")], page)
    });
    let folder = secrets();
    folder.write("client", "app-secret");
    Authority::new("here").server(&["localhost"]).store(&folder, "edge");
    let edge = Edge::policy(BROWSED)
        .with("iss", format!("http://127.0.0.1:{port}"))
        .with("origin", origin.address())
        .with("certs", folder.path().display())
        .start();
    let here = format!("https://localhost:{}", edge.address("tls").port());
    let settings = json!({
        "port": port, "login_page": true,
        "redirect_uris": [format!("{here}/oauth2/callback")], "logout_uris": [format!("{here}/bye")],
    });
    let Some(_provider) = Provider::start(&settings) else { return };
    let asked = json!({
        "here": here, "issuer": format!("http://127.0.0.1:{port}"), "profile": folder.path().join("profile"),
    });
    let output = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/provider/browser.js"))
        .arg(asked.to_string())
        .env("PROVIDER_MODULES", modules())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{told}"));
    assert_eq!(seen["asked"], format!("http://127.0.0.1:{port}"), "{seen}");
    assert_eq!((&seen["page"], &seen["user"]), (&"/orders/7?a=b".into(), &"alice".into()), "{seen}");
    assert_eq!(seen["script_sees"], "", "scripts see no cookie");
    assert_eq!(seen["fetch"], json!([200, "alice"]), "a page's own requests carry the session");
    let cookies = seen["cookies"].as_array().unwrap();
    assert_eq!(cookies.len(), 1, "{seen}");
    assert_kept_safely(&cookies[0]);
    assert_eq!(seen["tabs"], json!(["/tab/1", "/tab/2", "/tab/3"]), "three tabs log in at once");
    assert_eq!(seen["after_logout"], json!(["/bye", "goodbye"]));
    assert_eq!(seen["fetch_after"], 401);
    assert_eq!(seen["login_again"], format!("http://127.0.0.1:{port}"), "the issuer's session ended, too");
    assert!(origin.requests().iter().all(|seen| seen.header("cookie").is_none()));
}

fn assert_kept_safely(cookie: &Value) {
    let marks = ["name", "sameSite", "secure", "httpOnly", "path"].map(|mark| cookie[mark].clone());
    assert_eq!(json!(marks), json!(["__Host-edgeward", "Lax", true, true, "/"]));
}
