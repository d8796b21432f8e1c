//! Attempts to have the cache keep for others what one client brought about, and to have it keep what is another's.
//!
//! The origin here is the careless one of the literature: it reflects whatever it is sent. What the key does not know must
//! not reach it, or must be part of what is told apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Request;

use super::{cached, get, get_with, is_hit, policy};
use crate::harness::{Edge, H2Client, Origin, Reply, Seen};

const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=60")];

/// Fields that applications are known to answer by, and that clients may send to anyone.
const FORGED: [(&str, &str); 18] = [
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "ftp"),
    ("x-forwarded-for", "203.0.113.9"),
    ("x-forwarded-port", "1337"),
    ("x-forwarded-prefix", "/evil"),
    ("x-forwarded-scheme", "nothttps"),
    ("x-forwarded-server", "evil.example"),
    ("x-host", "evil.example"),
    ("x-original-host", "evil.example"),
    ("x-http-host-override", "evil.example"),
    ("forwarded", "host=evil.example"),
    ("x-original-url", "/evil"),
    ("x-rewrite-url", "/evil"),
    ("x-http-method-override", "POST"),
    ("x-http-method", "POST"),
    ("x-method-override", "POST"),
    ("x-url-scheme", "nothttps"),
    ("x-real-ip", "203.0.113.9"),
];

#[test]
fn what_clients_claim_reaches_neither_the_origin_nor_other_clients() {
    // Reflects all it got, but for what Edgeward itself makes anew for each request.
    let (edge, _origin) = cached("{}", |request: &Seen| {
        let own = ["x-request-id", "traceparent", "user-agent"];
        let lines = request.head.lines().skip(1);
        let mut told: Vec<_> = lines
            .filter(|line| !own.iter().any(|name| line.to_ascii_lowercase().starts_with(name)))
            .collect();
        told.sort_unstable();
        Reply::status(200, FRESH, told.join("\n"))
    });
    for (number, forged) in FORGED.into_iter().enumerate() {
        let path = format!("/{number}");
        let honest = get(&edge, &format!("/honest{number}")).text();
        let poisoned = get_with(&edge, &path, &[forged]).text();
        assert_eq!(poisoned, honest, "{forged:?}");
    }
}

#[test]
fn another_host_or_port_is_another_resource() {
    let (edge, origin) =
        cached("{}", |request: &Seen| Reply::status(200, FRESH, request.header("host").unwrap_or_default()));
    for host in ["localhost", "localhost:1337", "other.example", "localhost:8080"] {
        assert_eq!(get_with(&edge, "/", &[("host", host)]).text(), host);
    }
    for same in ["LOCALHOST", "localhost:80", "localhost."] {
        assert!(is_hit(&get_with(&edge, "/", &[("host", same)])), "{same}");
    }
    assert_eq!(origin.count(), 4);
}

#[test]
fn the_path_is_keyed_as_the_origin_sees_it() {
    let (edge, _origin) = cached("{}", |request: &Seen| Reply::status(200, FRESH, request.target()));
    for (path, target) in [
        ("/a/../b", "/b"),
        ("/%62", "/b"),
        ("/b%3Fc", "/b%3Fc"),
        ("/b?c", "/b?c"),
        ("/b%23c", "/b%23c"),
        ("/b%253Fc", "/b%253Fc"),
        ("/b;c", "/b;c"),
        ("/b?", "/b?"),
        ("/B", "/B"),
        ("/b/", "/b/"),
    ] {
        let answer = get(&edge, path);
        assert_eq!((answer.status, answer.text().as_str()), (200, target), "{path}");
        assert_eq!(get(&edge, target).text(), target, "{path}");
    }
}

#[test]
fn pseudo_headers_say_what_they_say_to_the_key_and_to_the_origin() {
    let (edge, origin) = cached("{}", |request: &Seen| {
        let host = request.header("host").unwrap_or_default();
        Reply::status(200, FRESH, format!("{host}{}", request.target()))
    });
    let h2 = H2Client::cleartext(edge.address("h2c"));
    let ask = |uri: &str| h2.request(Request::get(uri).body(()).unwrap(), b"", None);
    assert_eq!(ask("http://a.example/x").text(), "a.example/x");
    assert_eq!(get_with(&edge, "/x", &[("host", "a.example")]).text(), "a.example/x");
    assert_eq!(origin.count(), 1);
    // The scheme that a client claims in cleartext is not the one that is spoken.
    assert_eq!(ask("https://a.example/x").text(), "a.example/x");
    assert_eq!(ask("http://b.example/x").text(), "b.example/x");
    let two = Request::get("http://a.example/x").header("host", "b.example").body(()).unwrap();
    assert_eq!(h2.request(two, b"", None).status, 400);
    assert_eq!(get_with(&edge, "/x", &[("host", "a.example")]).text(), "a.example/x");
}

/// Browsers send each cookie in a field of its own (RFC 9113 §8.2.3), and nobody else can send one that passes for two.
#[test]
fn cookies_apart_are_the_cookies_that_the_origin_sees() {
    let (edge, origin) = cached("{}", |request: &Seen| {
        let headers = [("cache-control", "max-age=60"), ("vary", "cookie")];
        Reply::status(200, &headers, request.header("cookie").unwrap_or_default())
    });
    assert_eq!(get_with(&edge, "/", &[("cookie", "a=1,b=2")]).text(), "a=1,b=2");
    let h2 = H2Client::cleartext(edge.address("h2c"));
    let apart = Request::get("http://localhost/").header("host", "localhost");
    let apart = apart.header("cookie", "a=1").header("cookie", "b=2").body(()).unwrap();
    assert_eq!(h2.request(apart, b"", None).text(), "a=1; b=2");
    let together = get_with(&edge, "/", &[("host", "localhost"), ("cookie", "a=1; b=2")]);
    assert_eq!((together.text().as_str(), is_hit(&together), origin.count()), ("a=1; b=2", true, 2));
}

#[test]
fn a_header_that_a_trusted_proxy_may_set_is_keyed() {
    let origin = Origin::start(|request: &Seen| {
        let proto = request.header("x-forwarded-proto").unwrap_or_default().to_owned();
        Reply::status(200, FRESH, proto)
    });
    let text = policy("{}").replace("drain: 200ms", "drain: 200ms, trusted_proxies: [127.0.0.0/8]");
    let edge = Edge::policy(&text).with("origin", origin.address()).start();
    for proto in ["https", "http"] {
        assert_eq!(get_with(&edge, "/", &[("x-forwarded-proto", proto)]).text(), proto);
    }
    assert_eq!(get_with(&edge, "/", &[("x-forwarded-proto", "https")]).text(), "https");
    assert_eq!(origin.count(), 2);
}

#[test]
fn two_routes_share_nothing() {
    let origin = Origin::start(|request: &Seen| {
        Reply::status(200, FRESH, request.header("x-test-route").unwrap_or_default())
    });
    let route = |name: &str, headers: &str| {
        format!(
            "{{ name: {name}, match: {{ {headers} }}, upstream: app, filters: [{{ request_headers: {{ set: {{ x-test-route: {name} }} }} }}, {{ cache: {{}} }}] }}"
        )
    };
    let text = policy("{}");
    let at = text.find("routes:").unwrap();
    let routes = format!(
        "routes: [{}, {}]",
        route("beta", "headers: { x-beta: { present: true } }"),
        route("all", "")
    );
    let edge = Edge::policy(&format!("{}{routes}\n", &text[..at])).with("origin", origin.address()).start();
    for _ in 0..2 {
        assert_eq!(get_with(&edge, "/", &[("x-beta", "1")]).text(), "beta");
        assert_eq!(get(&edge, "/").text(), "all");
    }
    assert_eq!(origin.count(), 2);
}

#[test]
fn a_stranger_cannot_crowd_out_other_variants_for_ever() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let (edge, _origin) = cached("{}", move |_: &Seen| {
        counted.fetch_add(1, Ordering::AcqRel);
        Reply::status(200, &[("cache-control", "max-age=60"), ("vary", "x-any")], "x")
    });
    for number in 0..200 {
        get_with(&edge, "/", &[("x-any", &number.to_string())]);
    }
    assert_eq!(count.load(Ordering::Acquire), 200);
    edge.wait_for_metric("edgeward_cache_entries", 1.0);
    get(&edge, "/");
    assert!(is_hit(&get(&edge, "/")));
}
