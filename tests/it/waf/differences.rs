//! What backends read differently: each of these reached one unseen, or nearly. Beside each attack the same request with
//! something harmless in it, which passes unless nobody honest sends its form.
//!
//! Django 5, Flask 3 (Werkzeug), Express with multer and formidable, Fastify, Rack 2 and PHP 8 were asked.

use std::io::Write as _;
use std::path::Path;

use super::{FORM, JSON, UPLOAD, blocked, crs, passed, running, send};
use crate::harness::{Edge, Origin, Reply};

const ATTACK: &str = "1' union select password from users-- -";
const HARMLESS: &str = "hello world";

/// As JSON may write it.
fn escaped(text: &str) -> String {
    text.chars().map(|character| format!("\\u{:04x}", u32::from(character))).collect()
}

fn references(text: &str) -> String {
    text.chars().map(|character| format!("&#x{:x};", u32::from(character))).collect()
}

fn part(headers: &str, content: &str) -> String {
    format!("--XbX\r\nContent-Disposition: form-data; name=\"a\"{headers}\r\n\r\n{content}\r\n--XbX--\r\n")
}

/// Type and body with this text, and whether honest clients send such.
fn bodies(text: &str) -> Vec<(&'static str, String, bool)> {
    let json = format!("{{\"a\":\"{}\"}}", escaped(text));
    let octal: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    vec![
        ("text/plain", json.clone(), true),
        ("", json.clone(), true),
        ("application/octet-stream", json.clone(), true),
        (FORM, json.clone(), true),
        (FORM, format!("a={}", json.replace('\\', "%5c")), true),
        (JSON, format!("{{\"a\":\"{}\"}}", json.replace('\\', "\\\\").replace('"', "\\\"")), true),
        (UPLOAD, part("", &json), true),
        ("application/octet-stream", format!("<a b=\"{}\"/>", references(text)), true),
        ("application/octet-stream", format!("<a>{}</a>", references(text)), true),
        (FORM, format!("a={octal}"), true),
        ("application/x-ndjson", format!("{{}}\n{json}\n"), true),
        ("application/x-www-form-urlencoded-2", format!("a={octal}"), true),
        (UPLOAD, part("; filename*=utf-8''x", text), true),
        (UPLOAD, part("; filename=\"x\"", text), true),
        (UPLOAD, part("; filename=\"x\"", &format!("a--XbX\r\nb: c\r\n\r\n{text}")), false),
        (UPLOAD, part("; filename=\"x\"", &format!("a\r--XbX\r\nb: c\r\n\r\n{text}")), false),
        ("multipart/mixed; boundary=XbX", part("", text), false),
        ("multipart/related; boundary=XbX", part("", text), false),
        ("multipart/form-data-x; boundary=XbX", part("", text), false),
    ]
}

#[test]
fn what_any_backend_reads_is_judged() {
    let (edge, origin) = running("{ max_time: 1m }", Path::new("/nowhere"));
    for (kind, body, _) in bodies(ATTACK) {
        assert_eq!(send(&edge, "POST", "/", kind, &body), blocked(), "{kind} {body}");
    }
    assert_eq!(origin.connections(), 0);
    for (kind, body, is_honest) in bodies(HARMLESS) {
        let expected = if is_honest { passed() } else { blocked() };
        assert_eq!(send(&edge, "POST", "/", kind, &body), expected, "{kind} {body}");
    }
    let cookie = |text: &str| {
        let octal: String = text.bytes().map(|byte| format!("\\{byte:03o}")).collect();
        edge.client("listen").request("GET", "/", &[("Cookie", &format!("a=\"{octal}\""))], b"").status
    };
    assert_eq!((cookie(ATTACK), cookie(HARMLESS)), (403, 200));
    let two = [("Content-Type", FORM), ("Content-Type", JSON)];
    assert_eq!(edge.client("listen").request("POST", "/", &two, b"{}").status, 403);
}

fn zip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_core_rule_set_judges_what_is_compressed() {
    let Some(crs) = crs() else { return };
    let error = "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version";
    let origin = Origin::start(move |request| {
        let text = zip(if request.target() == "/wrong" { error } else { "all is well" });
        Reply::status(200, &[("Content-Type", "text/html"), ("Content-Encoding", "gzip")], text)
    });
    let edge = Edge::policy(&super::policy("{ rules: [crs], max_time: 1m }"))
        .with("origin", origin.address())
        .with("crs", crs.canonicalize().unwrap().display())
        .start();
    let headers =
        [("User-Agent", "a"), ("Accept", "*/*"), ("Content-Type", JSON), ("Content-Encoding", "gzip")];
    let client = || edge.client("listen").allow(&["content-encoding"]);
    let post = |body: &[u8]| client().request("POST", "/", &headers, body).status;
    assert_eq!(post(&zip(&format!("{{\"a\":\"{HARMLESS}\"}}"))), 200);
    assert_eq!(post(&zip(&format!("{{\"a\":\"{ATTACK}\"}}"))), 403);
    assert_eq!(post(b"no gzip"), 415);
    let mut client = client();
    client
        .send("GET /wrong HTTP/1.1\r\nHost: a\r\nUser-Agent: a\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    let came = client.rest().unwrap_or_default();
    assert!(!came.windows(2).any(|bytes| bytes == [0x1f, 0x8b]), "the body has left");
    edge.logged("the refusal", |line| line["path"] == "/wrong" && line["reason"] == "waf_blocked");
}

#[test]
fn with_the_core_rule_set_a_client_that_waits_to_be_asked_may_send_its_body() {
    let Some(crs) = crs() else { return };
    let (edge, _origin) = running("{ rules: [crs], max_time: 1m }", &crs.canonicalize().unwrap());
    for (text, status) in [(HARMLESS, 200), (ATTACK, 403)] {
        let body = format!("{{\"a\":\"{text}\"}}");
        let mut client = edge.client("listen");
        let length = body.len();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nUser-Agent: a\r\nAccept: */*\r\nContent-Type: {JSON}\r\n\
             Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        ));
        assert_eq!(client.next_response("POST").unwrap().status, 100);
        client.send(body);
        assert_eq!(client.response_to("POST").status, status, "{text}");
    }
}
