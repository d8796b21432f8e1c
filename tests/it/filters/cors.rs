//! `cors`: which pages may read answers, after the Fetch standard.

use super::{WONDERLAND, client, with_filters};
use crate::harness::{Edge, Origin, Reply, Response};

const HEADERS: [&str; 7] = [
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-allow-credentials",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
];

fn start(filters: &str) -> (Edge, Origin) {
    // What the backend says of CORS must not count.
    let origin = Origin::start(|_| Reply::status(200, &[("access-control-allow-origin", "*")], "ok"));
    (with_filters(filters).with("origin", origin.address()).start(), origin)
}

fn preflight(edge: &Edge, origin: &str, method: &str, headers: &str) -> Response {
    let mut fields = vec![("Origin", origin), ("Access-Control-Request-Method", method)];
    if !headers.is_empty() {
        fields.push(("Access-Control-Request-Headers", headers));
    }
    client(edge, &HEADERS).request("OPTIONS", "/", &fields, b"")
}

fn simple(edge: &Edge, origin: &str) -> Response {
    client(edge, &HEADERS).request("GET", "/", &[("Origin", origin)], b"")
}

const APP: &str = "https://app.example.com";

#[test]
fn a_preflight_is_answered_here() {
    let (edge, origin) = start(
        "{ cors: { origins: ['https://app.example.com'], methods: [GET, PUT], headers: [content-type, x-key], max_age: 1h } }",
    );
    let answer = preflight(&edge, APP, "PUT", "content-type,x-key");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some(APP)));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("PUT"));
    let headers = answer.header("access-control-allow-headers").unwrap();
    assert!(headers.contains("content-type") && headers.contains("x-key"), "{headers}");
    assert_eq!(answer.header("access-control-max-age"), Some("3600"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    for (from, method, headers) in
        [("https://evil.example", "PUT", ""), (APP, "DELETE", ""), (APP, "PUT", "x-other")]
    {
        let refused = preflight(&edge, from, method, headers);
        assert_eq!(refused.status, 204);
        let allows =
            HEADERS.iter().filter(|name| name.contains("allow")).any(|name| refused.header(name).is_some());
        assert!(!allows, "{from} {method} {headers}: {refused:?}");
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn only_pages_of_allowed_origins_may_read_the_answer() {
    let (edge, origin) = start("{ cors: { origins: ['https://app.example.com', 'https://*.example.org'] } }");
    for (from, allowed) in [
        (APP, true),
        ("https://a.b.example.org", true),
        ("https://example.org", false),
        ("http://app.example.com", false),
        ("https://app.example.com:8443", false),
        ("https://app.example.com.evil.test", false),
        ("null", false),
    ] {
        let answer = simple(&edge, from);
        assert_eq!(answer.header("access-control-allow-origin"), allowed.then_some(from), "{from}");
        assert!(answer.header("vary").unwrap().eq_ignore_ascii_case("origin"), "{answer:?}");
    }
    assert_eq!(origin.count(), 7, "the browser enforces, not the proxy");
}

#[test]
fn every_origin_and_credentials_and_exposed_headers() {
    let (edge, _origin) = start("{ cors: { origins: ['*'], expose_headers: [x-request-id] } }");
    let answer = simple(&edge, APP);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-expose-headers"), Some("x-request-id"));
    let (edge, _origin) = start("{ cors: { origins: ['https://app.example.com'], credentials: true } }");
    assert_eq!(simple(&edge, APP).header("access-control-allow-credentials"), Some("true"));
    assert_eq!(simple(&edge, "https://evil.example").header("access-control-allow-credentials"), None);
}

#[test]
fn a_private_network_is_opened_only_where_the_policy_says() {
    for (key, expected) in [("", None), (", private_network: true", Some("true"))] {
        let (edge, _origin) = start(&format!("{{ cors: {{ origins: ['https://app.example.com'] {key} }} }}"));
        let fields = [
            ("Origin", APP),
            ("Access-Control-Request-Method", "GET"),
            ("Access-Control-Request-Private-Network", "true"),
        ];
        let answer = client(&edge, &HEADERS).request("OPTIONS", "/", &fields, b"");
        assert_eq!(answer.header("access-control-allow-private-network"), expected);
    }
}

#[test]
fn scripts_may_read_refusals_too() {
    let (edge, origin) = start(&format!(
        "{{ cors: {{ origins: ['{APP}'] }} }}, {{ basic_auth: {{ users: ['alice:{WONDERLAND}'] }} }}"
    ));
    let refused = simple(&edge, APP);
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, Some(APP)));
    assert_eq!(preflight(&edge, APP, "GET", "").status, 204, "browsers send no credentials with a preflight");
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_preflight_is_for_the_route_that_takes_the_method() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = Edge::policy(
        "listeners: [{ address: '{listen}' }]
upstreams: { app: { backends: ['{origin}'] } }
routes: [{ name: app, match: { path: /a, methods: [PUT] }, upstream: app, filters: [
  { cors: { origins: ['https://app.example.com'], methods: [PUT] } }] },
  { name: closed, match: { path: /b, methods: [PUT] }, upstream: app }]
",
    )
    .with("origin", origin.address())
    .start();
    let answer = |path: &str| {
        let fields = [("Origin", APP), ("Access-Control-Request-Method", "PUT")];
        client(&edge, &HEADERS).request("OPTIONS", path, &fields, b"")
    };
    assert_eq!((answer("/a").status, answer("/a").header("access-control-allow-origin")), (204, Some(APP)));
    assert_eq!(answer("/b").status, 405);
}
