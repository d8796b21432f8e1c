use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::filters::exchange::Sample;
use crate::filters::testing::{compile, compile_error, try_compile};

/// A response on its way through the filter: head, then pieces of its body.
struct Run {
    filter: Box<dyn Filter>,
    sample: Sample,
    origin: Origin,
}

impl Run {
    fn new(spec: Value, origin: Origin) -> Self {
        Self { filter: compile::<Spec>(spec), sample: Sample::get("/", &[]), origin }
    }

    fn upstream(spec: Value) -> Self {
        Self::new(spec, Origin::Upstream)
    }

    fn edgeward(spec: Value) -> Self {
        Self::new(spec, Origin::Edgeward)
    }

    fn head(&mut self, status: u16, headers: &[(&'static str, &str)]) -> ResponseHeader {
        let mut response = ResponseHeader::build(status, None).unwrap();
        for (name, value) in headers {
            response.append_header(*name, *value).unwrap();
        }
        let mut exchange = self.sample.exchange();
        exchange.origin = self.origin;
        self.filter.on_response(&mut exchange, &mut response).unwrap();
        response
    }

    fn body(&mut self, pieces: &[&'static str]) -> String {
        let mut exchange = self.sample.exchange();
        let mut sent = String::new();
        for (index, piece) in pieces.iter().enumerate() {
            let mut body = (!piece.is_empty()).then_some(Bytes::from_static(piece.as_bytes()));
            self.filter.on_response_body(&mut exchange, &mut body, index + 1 == pieces.len()).unwrap();
            sent.push_str(std::str::from_utf8(&body.unwrap_or_default()).unwrap());
        }
        sent
    }
}

const TRACE: [(&str, &str); 2] = [("content-type", "text/x-trace"), ("content-length", "300")];
const PROBLEM: [(&str, &str); 2] = [("content-type", "application/problem+json"), ("content-length", "90")];

fn field<'a>(response: &'a ResponseHeader, name: &str) -> Option<&'a str> {
    response.headers.get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn hides_what_an_upstream_says_when_it_fails() {
    let mut run = Run::upstream(json!({}));
    let head = run.head(500, &TRACE);
    assert_eq!(head.status, 500);
    assert_eq!(field(&head, "content-type"), Some("application/problem+json"));
    let body = run.body(&["at main.rs:1", "at lib.rs:2", ""]);
    assert_eq!(field(&head, "content-length"), Some(body.len().to_string().as_str()));
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(document["status"], 500);
    assert_eq!(document["type"], "urn:edgeward:reason:upstream_error");
    assert_eq!(document["request_id"], "0123456789abcdef");
}

#[test]
fn passes_on_what_is_not_masked() {
    for (spec, status) in
        [(json!({}), 404), (json!({ "mask": [] }), 500), (json!({ "mask": [503, "4xx"] }), 500)]
    {
        let mut run = Run::upstream(spec);
        let head = run.head(status, &TRACE);
        assert_eq!(field(&head, "content-type"), Some("text/x-trace"));
        assert_eq!(field(&head, "content-length"), Some("300"));
        assert_eq!(run.body(&["as", "", " it is", ""]), "as it is");
    }
    for status in [503, 404] {
        let head = Run::upstream(json!({ "mask": [503, "4xx"] })).head(status, &TRACE);
        assert_eq!(field(&head, "content-type"), Some("application/problem+json"), "{status}");
    }
}

#[test]
fn never_touches_a_response_that_is_no_error() {
    for status in [101, 200, 204, 206, 304] {
        let mut run = Run::upstream(json!({ "mask": ["4xx", "5xx"] }));
        assert_eq!(field(&run.head(status, &TRACE), "content-type"), Some("text/x-trace"));
        assert_eq!(run.body(&["ok"]), "ok");
    }
}

#[test]
fn prefers_the_page_of_the_status_to_that_of_its_class() {
    let spec = json!({ "mask": ["4xx", "5xx"], "pages": {
        "404": { "body": "gone fishing", "content_type": "text/plain" },
        "4xx": { "body": "<p>no</p>" },
    } });
    let mut run = Run::upstream(spec.clone());
    let head = run.head(404, &TRACE);
    assert_eq!(field(&head, "content-type"), Some("text/plain"));
    assert_eq!(field(&head, "content-length"), Some("12"));
    assert_eq!(run.body(&["secret", " secret", ""]), "gone fishing");

    let mut run = Run::upstream(spec.clone());
    assert_eq!(field(&run.head(403, &TRACE), "content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(run.body(&["secret"]), "<p>no</p>");

    let mut run = Run::upstream(spec);
    run.head(500, &TRACE);
    assert!(run.body(&["secret"]).starts_with("{\"type\""));
}

#[test]
fn shapes_edgewards_own_errors() {
    let mut run = Run::edgeward(json!({}));
    assert_eq!(run.head(429, &PROBLEM).headers.len(), 2, "problem+json it is already");
    assert_eq!(run.body(&["{}"]), "{}");

    let mut run = Run::edgeward(json!({ "format": "text" }));
    let head = run.head(429, &[PROBLEM[0], PROBLEM[1], ("retry-after", "3")]);
    assert_eq!(field(&head, "content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(field(&head, "retry-after"), Some("3"));
    assert_eq!(run.body(&["{}"]), "429 Too Many Requests\nRequest: 0123456789abcdef\n");

    let mut run = Run::edgeward(json!({ "format": "html" }));
    assert_eq!(field(&run.head(403, &PROBLEM), "content-type"), Some("text/html; charset=utf-8"));
    assert!(run.body(&["{}"]).contains("<h1>403 Forbidden</h1>"));

    let mut run = Run::edgeward(json!({ "pages": { "5xx": { "body": "soon" } } }));
    run.head(502, &PROBLEM);
    assert_eq!(run.body(&["{}"]), "soon");
}

#[test]
fn leaves_answers_of_a_route_alone() {
    let mut run = Run::edgeward(json!({ "format": "html", "pages": { "404": { "body": "no" } } }));
    assert_eq!(field(&run.head(404, &[("content-type", "text/plain")]), "content-type"), Some("text/plain"));
    assert_eq!(run.body(&["mine"]), "mine");
}

#[test]
fn drops_what_described_the_old_body_and_keeps_the_rest() {
    let old = [
        "content-encoding",
        "content-language",
        "content-disposition",
        "content-location",
        "content-range",
        "accept-ranges",
        "etag",
        "last-modified",
        "trailer",
        "content-digest",
        "repr-digest",
        "digest",
        "content-md5",
    ];
    let kept = ["retry-after", "www-authenticate", "set-cookie", "cache-control", "vary"];
    let headers: Vec<(&'static str, &str)> = old.into_iter().chain(kept).map(|name| (name, "x")).collect();
    let head = Run::upstream(json!({})).head(503, &headers);
    for name in old {
        assert_eq!(field(&head, name), None, "{name}");
    }
    for name in kept {
        assert_eq!(field(&head, name), Some("x"), "{name}");
    }
}

#[test]
fn hides_the_reason_phrase() {
    let mut response = ResponseHeader::build(500, None).unwrap();
    response.set_reason_phrase(Some("NullPointerException")).unwrap();
    let run = Run::upstream(json!({}));
    let mut sample = Sample::get("/", &[]);
    run.filter.on_response(&mut sample.exchange(), &mut response).unwrap();
    assert_eq!(response.get_reason_phrase(), Some("Internal Server Error"));
}

#[test]
fn promises_a_length_only_where_a_body_follows() {
    let page = json!({ "pages": { "5xx": { "body": "soon" } } });
    let head = Run::upstream(page.clone()).head(500, &[("transfer-encoding", "chunked")]);
    assert_eq!((field(&head, "content-length"), field(&head, "transfer-encoding")), (Some("4"), None));

    // An HTTP/2 head that may have been the end of it.
    let head = Run::upstream(page.clone()).head(500, &[]);
    assert_eq!(field(&head, "content-length"), None);
    assert_eq!(field(&head, "content-type"), Some("text/html; charset=utf-8"));

    let head = Run::upstream(page).head(500, &[("content-length", "0")]);
    assert_eq!((field(&head, "content-length"), field(&head, "content-type")), (Some("0"), None));
}

#[test]
fn a_response_that_takes_the_place_of_another_starts_anew() {
    let mut run = Run::upstream(json!({}));
    run.head(500, &TRACE);
    run.origin = Origin::Edgeward;
    run.head(502, &PROBLEM);
    assert_eq!(run.body(&["{}"]), "{}");
}

#[test]
fn sends_head_the_headers_alone() {
    let mut run = Run::upstream(json!({ "pages": { "5xx": { "body": "soon" } } }));
    run.sample.request.set_method(Method::HEAD);
    assert_eq!(field(&run.head(500, &TRACE), "content-length"), Some("4"));
    assert_eq!(run.body(&[""]), "");
}

#[test]
fn reads_a_page_from_a_file_beside_the_policy() {
    let directory = std::env::temp_dir().join(format!("edgeward-error-pages-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("404.json"), "{\"a\":1}").unwrap();
    std::fs::write(directory.join("large"), vec![b'x'; (1 << 20) + 1]).unwrap();
    let compile = |file: &str| {
        let spec = json!({ "mask": ["4xx"], "pages": { "4xx": { "file": file } } });
        try_compile::<Spec>(spec, &directory)
    };

    let mut run = Run { filter: compile("404.json").unwrap(), ..Run::upstream(json!({})) };
    let head = run.head(404, &TRACE);
    let large = compile("large").err().unwrap().to_string();
    std::fs::remove_dir_all(&directory).unwrap();

    assert_eq!(field(&head, "content-type"), Some("application/json"));
    assert_eq!(run.body(&["secret", ""]), "{\"a\":1}");
    assert_eq!(large, "pages.4xx.file: cannot read large: it is larger than 1MiB");
}

#[test]
fn says_what_is_wrong_with_a_spec() {
    let page = |page: Value| compile_error::<Spec>(json!({ "pages": { "404": page } }));
    assert_eq!(page(json!({})), "pages.404: expected one of body and file");
    assert_eq!(page(json!({ "body": "", "file": "a" })), "pages.404: expected one of body and file");
    let missing = page(json!({ "file": "no/such/page.html" }));
    assert!(missing.starts_with("pages.404.file: cannot read no/such/page.html: "), "{missing}");
    let wrong = page(json!({ "body": "", "content_type": "a\nb" }));
    assert_eq!(wrong, "pages.404.content_type: has characters that a header cannot have");
    assert!(try_compile::<Spec>(json!({}), Path::new("/")).is_ok());
}
