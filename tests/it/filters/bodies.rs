//! `request_limits`, `compress` and `error_pages`: filters that look at bodies.

use std::io::Read;

use super::{client, running, with_filters};
use crate::harness::{Edge, Origin, Reply, Response};

fn post(edge: &Edge, target: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
    let answer = edge.client("listen").request("POST", target, headers, body);
    let reason = if answer.status == 200 { String::new() } else { answer.reason() };
    (answer.status, reason)
}

fn passed() -> (u16, String) {
    (200, String::new())
}

fn refused(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

#[test]
fn request_limits_bound_the_body() {
    let (edge, _origin) = running("{ request_limits: { max_body: 8B } }");
    assert_eq!(post(&edge, "/", &[], b"12345678"), passed());
    assert_eq!(post(&edge, "/", &[], b"123456789"), refused(413, "body_too_large"));
    let mut chunked = edge.client("listen");
    chunked
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n");
    assert_eq!(chunked.response().status, 413);
}

#[test]
fn request_limits_bound_the_head() {
    let (edge, _origin) = running(
        "{ request_limits: { max_uri: 20B, max_query_args: 2, max_headers: 6, max_header_bytes: 300B } }",
    );
    let ask = |target: &str, headers: &[(&str, &str)]| post(&edge, target, headers, b"");
    assert_eq!(ask("/?a=1&b=2", &[("a", "1"), ("b", "2"), ("c", "3")]), passed());
    assert_eq!(ask("/123456789012345678901", &[]), refused(414, "uri_too_long"));
    assert_eq!(ask("/?a=1&b=2&c=3", &[]), refused(400, "too_many_query_args"));
    let many: Vec<_> = ["a", "b", "c", "d", "e", "f", "g"].into_iter().map(|name| (name, "1")).collect();
    assert_eq!(ask("/", &many), refused(431, "too_many_headers"));
    assert_eq!(ask("/", &[("a", &"x".repeat(300))]), refused(431, "header_bytes"));
}

#[test]
fn request_limits_say_what_a_body_may_be() {
    let (edge, _origin) = running(
        "{ request_limits: { content_types: [application/json, 'application/*+json'], require_content_length: true, body_methods: [POST] } }",
    );
    let json = [("Content-Type", "application/json; charset=utf-8")];
    assert_eq!(post(&edge, "/", &json, b"{}"), passed());
    assert_eq!(post(&edge, "/", &[("Content-Type", "application/problem+json")], b"{}"), passed());
    assert_eq!(post(&edge, "/", &[("Content-Type", "text/plain")], b"{}"), refused(415, "content_type"));
    assert_eq!(post(&edge, "/", &[], b"{}"), refused(415, "content_type"));
    let put = edge.client("listen").request("PUT", "/", &json, b"{}");
    assert_eq!((put.status, put.reason()), (400, "body_not_allowed".to_owned()));
    let mut chunked = edge.client("listen");
    chunked.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(chunked.response().status, 411);
}

const TEXT: &str = "the quick brown fox jumps over the lazy dog and does it again; ";

/// A backend with a compressible body, and one path for each reason not to compress.
fn compressible() -> Origin {
    Origin::start(|seen| {
        let body = TEXT.repeat(100);
        let kind = ("content-type", "text/plain");
        match seen.target() {
            "/small" => Reply::status(200, &[kind], "short"),
            "/image" => Reply::status(200, &[("content-type", "image/png")], body),
            "/untouched" => Reply::status(200, &[kind, ("cache-control", "no-transform")], body),
            "/encoded" => Reply::status(200, &[kind, ("content-encoding", "x")], body),
            "/tagged" => Reply::status(200, &[kind, ("etag", "\"v1\"")], body),
            "/chunked" => Reply::chunked(&[kind], &[body.as_bytes(), body.as_bytes()], &[]),
            _ => Reply::status(200, &[kind], body),
        }
    })
}

fn compressing(spec: &str) -> (Edge, Origin) {
    let origin = compressible();
    (with_filters(&format!("{{ compress: {spec} }}")).with("origin", origin.address()).start(), origin)
}

fn accepting(edge: &Edge, path: &str, codings: &str) -> Response {
    client(edge, &["content-encoding", "etag"]).request("GET", path, &[("Accept-Encoding", codings)], b"")
}

fn decoded(answer: &Response) -> String {
    let mut text = String::new();
    match answer.header("content-encoding") {
        Some("gzip") => drop(flate2::read::GzDecoder::new(&*answer.body).read_to_string(&mut text).unwrap()),
        Some("br") => drop(brotli::Decompressor::new(&*answer.body, 4096).read_to_string(&mut text).unwrap()),
        Some("zstd") => text = String::from_utf8(zstd::decode_all(&*answer.body).unwrap()).unwrap(),
        other => panic!("{other:?}"),
    }
    text
}

#[test]
fn compress_speaks_what_the_client_reads() {
    let (edge, _origin) = compressing("{}");
    for coding in ["gzip", "br", "zstd"] {
        let answer = accepting(&edge, "/", coding);
        assert_eq!(answer.header("content-encoding"), Some(coding));
        assert_eq!(decoded(&answer), TEXT.repeat(100));
        assert!(answer.body.len() < 500, "{coding}: {}", answer.body.len());
        assert!(answer.header("vary").unwrap().eq_ignore_ascii_case("accept-encoding"));
    }
    assert_eq!(decoded(&accepting(&edge, "/chunked", "gzip")), TEXT.repeat(200));
    assert_eq!(accepting(&edge, "/", "gzip, br, zstd").header("content-encoding"), Some("zstd"));
    assert_eq!(accepting(&edge, "/", "gzip;q=1, br;q=0.5").header("content-encoding"), Some("gzip"));
    assert_eq!(accepting(&edge, "/tagged", "gzip").header("etag"), Some("W/\"v1\""));
    let plain = accepting(&edge, "/", "identity");
    assert_eq!((plain.header("content-encoding"), plain.text()), (None, TEXT.repeat(100)));
}

#[test]
fn compress_leaves_alone_what_it_should() {
    let (edge, _origin) = compressing("{}");
    for path in ["/small", "/image", "/untouched"] {
        assert_eq!(accepting(&edge, path, "gzip").header("content-encoding"), None, "{path}");
    }
    assert_eq!(accepting(&edge, "/encoded", "gzip").header("content-encoding"), Some("x"));
    let head = client(&edge, &["content-encoding"]).request("HEAD", "/", &[("Accept-Encoding", "gzip")], b"");
    assert_eq!(head.body.len(), 0);
}

#[test]
fn compress_can_be_told_what_and_how() {
    let (edge, _origin) = compressing("{ algorithms: [gzip, br], min_size: 1B, types: [image/*] }");
    assert_eq!(accepting(&edge, "/image", "br, gzip, zstd").header("content-encoding"), Some("gzip"));
    assert_eq!(accepting(&edge, "/image", "zstd").header("content-encoding"), None);
    assert_eq!(accepting(&edge, "/", "gzip").header("content-encoding"), None);
    let (edge, _origin) = compressing("{ min_size: 1B }");
    assert_eq!(decoded(&accepting(&edge, "/small", "gzip")), "short");
    let size = |level: u8| {
        let (edge, _origin) = compressing(&format!("{{ level: {{ gzip: {level} }} }}"));
        accepting(&edge, "/", "gzip").body.len()
    };
    assert_ne!(size(1), size(9));
}

/// A backend that fails in words that nobody should read.
fn failing() -> Origin {
    Origin::start(|seen| {
        let status = seen.target()[1..].parse().unwrap();
        Reply::status(
            status,
            &[("content-type", "text/html"), ("retry-after", "7"), ("x-test-kept", "1")],
            "Traceback: secret",
        )
    })
}

fn pages(spec: &str) -> (Edge, Origin) {
    let origin = failing();
    let setup = with_filters(&format!("{{ error_pages: {spec} }}")).with("origin", origin.address());
    (setup.file("errors/404.html", "<h1>nothing</h1>").start(), origin)
}

#[test]
fn error_pages_mask_what_backends_say() {
    let (edge, _origin) = pages("{}");
    let masked = edge.client("listen").get("/500");
    assert_eq!((masked.status, masked.reason()), (500, "upstream_error".to_owned()));
    assert!(!masked.text().contains("Traceback"));
    assert_eq!((masked.header("retry-after"), masked.header("x-test-kept")), (Some("7"), Some("1")));
    assert_eq!(edge.client("listen").get("/404").text(), "Traceback: secret", "4xx pass by default");
    assert_eq!(edge.client("listen").get("/200").text(), "Traceback: secret");
    let (edge, _origin) = pages("{ mask: [404, 502] }");
    let text = |path: &str| edge.client("listen").get(path).text();
    assert!(!text("/404").contains("Traceback") && !text("/502").contains("Traceback"));
    assert_eq!(
        (text("/500"), text("/403")),
        ("Traceback: secret".to_owned(), "Traceback: secret".to_owned())
    );
    let (edge, _origin) = pages("{ mask: [] }");
    assert_eq!(edge.client("listen").get("/500").text(), "Traceback: secret");
}

#[test]
fn error_pages_come_from_the_policy_or_a_file() {
    let (edge, _origin) = pages(
        "{ mask: [404, 5xx], pages: { 404: { file: errors/404.html }, 5xx: { body: sorry, content_type: text/x-sorry }, 503: { body: full } } }",
    );
    let page = |path: &str| {
        let answer = edge.client("listen").get(path);
        (answer.text(), answer.header("content-type").unwrap().to_owned())
    };
    assert_eq!(page("/404"), ("<h1>nothing</h1>".to_owned(), "text/html; charset=utf-8".to_owned()));
    assert_eq!(page("/502"), ("sorry".to_owned(), "text/x-sorry".to_owned()));
    assert_eq!(page("/503").0, "full");
}

#[test]
fn error_pages_can_be_for_people() {
    for (format, kind) in [("html", "text/html; charset=utf-8"), ("text", "text/plain; charset=utf-8")] {
        let (edge, origin) = pages(
            &format!("{{ format: {format} }}, ip_access: {{ deny: [192.0.2.1] }}")
                .replace("}, ip_access", "} }, { ip_access"),
        );
        let masked = edge.client("listen").get("/500");
        assert_eq!(masked.header("content-type"), Some(kind));
        let id = origin.last().header("x-request-id").unwrap().to_owned();
        assert!(masked.text().contains("500") && masked.text().contains(&id), "{}", masked.text());
        let own = edge.client("listen").request("GET", "/200", &[("X-Forwarded-For", "192.0.2.1")], b"");
        assert_eq!((own.status, own.header("content-type")), (403, Some(kind)), "our own errors too");
    }
}
