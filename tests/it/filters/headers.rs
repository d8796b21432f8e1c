//! `request_headers` and `response_headers`.

use super::{client, running, with_filters};
use crate::harness::{Client, Edge, Origin, Reply, STRICT, Visitor};

#[test]
fn request_headers_are_set_added_and_removed() {
    let (edge, origin) = running(
        "{ request_headers: { set: { x-edge: one, x-ip: '{ip.src}', x-all: '{route.name} {http.host} {http.request.scheme} {http.request.headers[\"x-a\"][0]} \
         {http.request.cookies[\"c\"][0]} {{braces}}', x-id: '{request.id}' }, add: { x-list: more }, remove: [x-debug, x-internal-*] } }",
    );
    let headers = [
        ("X-Edge", "forged"),
        ("X-List", "mine"),
        ("X-Debug", "1"),
        ("X-Internal-A", "1"),
        ("X-Internal-B", "2"),
        ("X-A", "a"),
        ("Cookie", "b=1; c=2"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Kept", "1"),
    ];
    assert_eq!(edge.client("listen").request("GET", "/", &headers, b"").status, 200);
    let seen = origin.only();
    assert_eq!((seen.all("x-edge"), seen.all("x-list")), (vec!["one"], vec!["mine", "more"]));
    assert_eq!(seen.header("x-ip"), Some("192.0.2.1"));
    assert_eq!(seen.header("x-all"), Some("app localhost http a 2 {braces}"));
    assert_eq!(seen.header("x-id"), seen.header("x-request-id"));
    for name in ["x-debug", "x-internal-a", "x-internal-b"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!(seen.header("x-kept"), Some("1"));
}

#[test]
fn response_headers_are_set_added_and_removed() {
    let origin = Origin::start(|_| {
        let headers =
            [("server", "Apache"), ("x-test-list", "theirs"), ("x-test-set", "theirs"), ("x-debug-a", "1")];
        Reply::status(200, &headers, "ok")
    });
    let edge = with_filters(
        "{ response_headers: { set: { x-test-set: 'ours {request.id} {http.response.code}' }, add: { x-test-list: ours }, remove: [server, x-debug-*] } }",
    )
    .with("origin", origin.address())
    .start();
    let answer = edge.client("listen").get("/");
    assert_eq!(answer.all("x-test-list"), ["theirs", "ours"]);
    let id = origin.only().header("x-request-id").unwrap().to_owned();
    assert_eq!(answer.header("x-test-set"), Some(&*format!("ours {id} 200")));
}

/// An origin that tells too much, behind `security: strict`, over both schemes.
fn strict() -> (Edge, Origin) {
    let origin = Origin::start(|seen| {
        let telltale = [
            ("server", "x"),
            ("x-powered-by", "x"),
            ("via", "x"),
            ("x-aspnet-version", "x"),
            ("x-runtime", "x"),
            ("x-xss-protection", "1"),
            ("x-frame-options", "ALLOWALL"),
            ("strict-transport-security", "max-age=1"),
        ];
        let policy = [("content-security-policy", "default-src 'self'")];
        let page = if seen.target() == "/page" { &policy[..] } else { &[] };
        Reply::status(200, &[&telltale[..], page].concat(), "ok")
    });
    let edge = Edge::policy(
        "listeners: [{ address: '{listen}' }, { address: '{tls}', tls: { self_signed: [localhost] } }]
upstreams: { app: { backends: ['{origin}'] } }
routes: [{ name: app, match: { path: [/, /page] }, upstream: app }]
filters: [{ response_headers: { security: strict } }]
",
    )
    .with("origin", origin.address())
    .start();
    (edge, origin)
}

#[test]
fn the_strict_preset_sets_and_removes() {
    let (edge, _origin) = strict();
    let answer = client(&edge, &STRICT).get("/");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
    assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'; frame-ancestors 'none'"));
    assert_eq!(answer.header("strict-transport-security"), None, "not over http");
    let page = client(&edge, &STRICT).get("/page");
    assert_eq!(page.header("content-security-policy"), Some("default-src 'self'"));
    let secure = Client::tls(edge.address("tls"), &Visitor::named("localhost")).allow(&STRICT).get("/");
    assert_eq!(secure.header("strict-transport-security"), Some("max-age=63072000; includeSubDomains"));
}

#[test]
fn the_strict_preset_holds_for_refusals_too() {
    let (edge, _origin) = strict();
    let refused = client(&edge, &STRICT).get("/nowhere");
    assert_eq!((refused.status, refused.header("x-content-type-options")), (404, Some("nosniff")));
}
