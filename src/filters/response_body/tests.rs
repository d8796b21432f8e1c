use std::io::Write;
use std::path::Path;

use http::Version;
use serde_json::{Value, json};

use super::*;
use crate::filters::Verdict;
use crate::filters::exchange::Sample;
use crate::filters::testing::{Ground, compile, compile_error};

const JSON: (&str, &str) = ("content-type", "application/json");
const TEXT: (&str, &str) = ("content-type", "text/plain; charset=utf-8");

fn filter(spec: Value) -> Box<dyn Filter> {
    compile::<Spec>(spec)
}

fn client(method: &str) -> Sample {
    let mut sample =
        Sample::new(method, "/", &[("accept-encoding", "gzip"), ("range", "bytes=0-9"), ("if-range", "x")]);
    sample.request.set_version(Version::HTTP_11);
    sample
}

/// What a client gets of an answer: the head, and the body in pieces.
struct Answer {
    head: ResponseHeader,
    body: Result<String, Refusal>,
    findings: String,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn text(&self) -> &str {
        self.body.as_ref().unwrap()
    }

    fn refused(&self) -> (&'static str, u16, &str) {
        let refusal = self.body.as_ref().unwrap_err();
        (refusal.reason, refusal.status.as_u16(), refusal.why.as_deref().unwrap_or_default())
    }
}

fn answer(
    filter: &dyn Filter,
    sample: &mut Sample,
    (status, headers): (u16, &[(&'static str, &str)]),
    pieces: &[&[u8]],
) -> Answer {
    let mut head = ResponseHeader::build(status, None).unwrap();
    for (name, value) in headers {
        head.append_header(*name, *value).unwrap();
    }
    let mut exchange = sample.exchange();
    assert!(matches!(filter.on_request(&mut exchange), Step::Now(Verdict::Next)));
    let mut out = Vec::new();
    let mut outcome = filter.on_response(&mut exchange, &mut head);
    for (at, piece) in pieces.iter().enumerate() {
        let mut body = (!piece.is_empty()).then(|| Bytes::copy_from_slice(piece));
        outcome =
            outcome.and_then(|()| filter.on_response_body(&mut exchange, &mut body, at + 1 == pieces.len()));
        out.extend_from_slice(&body.filter(|_| outcome.is_ok()).unwrap_or_default());
    }
    let body = outcome.map(|()| String::from_utf8(out).unwrap());
    Answer { head, body, findings: sample.slots.findings() }
}

/// The same for a GET and 200.
fn good(spec: Value, headers: &[(&'static str, &str)], body: &str) -> Answer {
    answer(&*filter(spec), &mut client("GET"), (200, headers), &[body.as_bytes()])
}

#[test]
fn upstreams_are_asked_for_whole_answers_without_a_coding() {
    let mut sample = client("GET");
    answer(&*filter(json!({})), &mut sample, (200, &[TEXT]), &[b""]);
    let fields = ["accept-encoding", "range", "if-range"].map(|name| sample.request.headers.get(name));
    assert_eq!(fields, [Some(&HeaderValue::from_static("identity")), None, None]);
}

#[test]
fn what_is_found_is_masked_and_the_head_stays_true() {
    let headers = [
        TEXT,
        ("content-length", "24"),
        ("etag", "\"a\""),
        ("content-digest", "x"),
        ("accept-ranges", "bytes"),
    ];
    let answer = good(json!({}), &headers, "card 4111111111111111 ok");
    assert_eq!(answer.text(), "card ************1111 ok");
    assert_eq!(answer.field("content-length"), Some("24"));
    assert_eq!(answer.field("etag"), Some("\"a\""));
    assert_eq!((answer.field("content-digest"), answer.field("accept-ranges")), (None, None));
    assert_eq!(answer.findings, "card 1");
}

#[test]
fn each_kind_has_its_action() {
    let text = "4111111111111111 a@example.com ACC-0123456789";
    let spec = |actions: Value| json!({ "find": ["card", "email"], "patterns": { "account": "ACC-[0-9]{10}" }, "action": "report", "actions": actions });
    let all = good(spec(json!({})), &[TEXT], text);
    assert_eq!((all.text(), &*all.findings), (text, "card 1, email 1, account 1"));
    let one = good(spec(json!({ "account": "mask", "email": "mask" })), &[TEXT], text);
    assert_eq!(one.text(), "4111111111111111 *@example.com ***-**********");
    let none = good(spec(json!({ "account": "block" })), &[TEXT], text);
    assert_eq!(none.refused(), ("response_blocked", 502, "account"));
    assert_eq!(none.findings, "card 1, email 1, account 1");
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc";
    let secrets = json!({ "find": ["secrets"], "action": "block", "actions": { "jwt": "report" } });
    assert_eq!(good(secrets.clone(), &[TEXT], jwt).text(), jwt);
    assert_eq!(good(secrets, &[TEXT], &format!("ghp_{}", "a".repeat(36))).refused().2, "github");
}

#[test]
fn what_is_found_is_counted_by_kind_and_action() {
    let ground = Ground::new();
    let filter = ground
        .try_compile::<Spec>(json!({ "json": { "remove": ["/a"] } }), Path::new("/"))
        .unwrap_or_else(|_| panic!());
    answer(
        &*filter,
        &mut client("GET"),
        (200, &[JSON]),
        &[b"{\"a\":1,\"b\":[4111111111111111,", b"4111111111111111]}"],
    );
    answer(&*filter, &mut client("GET"), (500, &[JSON, ("content-length", "2")]), &[b"{}"]);
    let metrics = String::from_utf8(ground.metrics.encode()).unwrap();
    for (action, kind, count) in [("mask", "card", 2), ("remove", "field", 1), ("replace", "error", 1)] {
        let line = format!(
            "edgeward_response_findings_total{{action=\"{action}\",kind=\"{kind}\",route=\"orders\"}} {count}\n"
        );
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
}

#[test]
fn fields_are_masked_in_place_and_removed_with_the_length() {
    let spec = json!({ "find": [], "json": { "mask": ["/user/email"] } });
    let text = r#"{"user":{"email":"a@b"},"cost":1}"#;
    let masked = good(spec, &[JSON, ("content-length", "33")], text);
    assert_eq!(masked.text(), r#"{"user":{"email":"***"},"cost":1}"#);
    assert_eq!(masked.field("content-length"), Some("33"));
    let spec = json!({ "find": [], "json": { "remove": ["/cost"] } });
    let removed = good(spec.clone(), &[JSON, ("content-length", "33"), ("etag", "\"a\"")], text);
    assert_eq!(removed.text(), r#"{"user":{"email":"a@b"}}"#);
    assert_eq!(
        (removed.field("content-length"), removed.field("transfer-encoding")),
        (None, Some("chunked"))
    );
    assert_eq!((removed.field("etag"), &*removed.findings), (Some("\"a\""), "field 1"));
    let head = answer(&*filter(spec), &mut client("HEAD"), (200, &[JSON, ("content-length", "33")]), &[]);
    assert_eq!((head.field("content-length"), head.field("transfer-encoding")), (None, None));
}

#[test]
fn an_allow_list_is_for_good_answers_and_these_must_be_json() {
    let spec =
        |unreadable: &str| json!({ "find": [], "json": { "allow": ["/id"] }, "unreadable": unreadable });
    let text = r#"{"id":1,"secret":2}"#;
    assert_eq!(good(spec("block"), &[JSON], text).text(), r#"{"id":1}"#);
    assert_eq!(good(spec("block"), &[], text).text(), r#"{"id":1}"#, "it need not say what it is");
    let problem = [("content-type", "application/problem+json")];
    let refused =
        answer(&*filter(spec("block")), &mut client("GET"), (404, &problem), &[b"{\"title\":\"x\"}"]);
    assert_eq!(refused.text(), "{\"title\":\"x\"}");
    assert_eq!(good(spec("block"), &[TEXT], "plain").refused().0, "response_not_json");
    assert_eq!(good(spec("block"), &[TEXT, ("content-length", "0")], "").text(), "");
    let passed = good(spec("pass"), &[TEXT], "plain");
    assert_eq!((passed.text(), &*passed.findings), ("plain", "unreadable 1"));
}

#[test]
fn what_is_no_json_is_blocked_or_passes_as_it_came() {
    let spec = |unreadable: &str| json!({ "json": { "mask": ["/a"] }, "unreadable": unreadable });
    for text in ["{\"a\": oops 4111111111111111", "{\"a\":\"bc"] {
        assert_eq!(good(spec("block"), &[JSON], text).refused().0, "response_not_json");
    }
    let passed = good(spec("pass"), &[JSON], "{\"b\": oops 4111111111111111");
    assert_eq!(passed.text(), "{\"b\": oops ************1111", "it is searched all the same");
    assert_eq!(passed.findings, "unreadable 1, card 1");
    assert_eq!(good(spec("block"), &[TEXT], "{oops").text(), "{oops", "other types need not be JSON");
}

#[test]
fn errors_are_replaced_unless_they_may_pass() {
    let stack = b"\tat com.example.Shop.sell(Shop.java:12)";
    let headers = [TEXT, ("content-length", "39"), ("etag", "\"a\"")];
    let replaced = answer(&*filter(json!({})), &mut client("GET"), (500, &headers), &[stack]);
    let problem: Value = serde_json::from_str(replaced.text()).unwrap();
    assert_eq!(
        (&problem["status"], &problem["type"]),
        (&json!(500), &json!("urn:edgeward:reason:upstream_error"))
    );
    assert_eq!(replaced.field("content-type"), Some("application/problem+json"));
    assert_eq!(replaced.field("content-length"), Some(&*replaced.text().len().to_string()));
    let passed = answer(&*filter(json!({ "errors": "pass" })), &mut client("GET"), (500, &headers), &[stack]);
    assert!(passed.text().contains("\t** ***.") || passed.text().starts_with("\t**"), "{}", passed.text());
    assert_eq!(passed.findings, "stack_trace 1");
    let mild = answer(&*filter(json!({})), &mut client("GET"), (404, &headers), &[stack]);
    assert!(!mild.text().contains("Shop"), "{}", mild.text());
}

#[test]
fn what_edgeward_says_itself_is_not_looked_at() {
    let (filter, mut sample) = (filter(json!({})), client("GET"));
    let mut exchange = sample.exchange();
    exchange.origin = Origin::Edgeward;
    let mut head = ResponseHeader::build(500, None).unwrap();
    filter.on_response(&mut exchange, &mut head).unwrap();
    let mut body = Some(Bytes::from("4111111111111111"));
    filter.on_response_body(&mut exchange, &mut body, true).unwrap();
    assert_eq!(body.unwrap(), "4111111111111111");
}

#[test]
fn codings_are_undone() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"card 4111111111111111").unwrap();
    let zipped = encoder.finish().unwrap();
    let headers = [TEXT, ("content-encoding", "gzip"), ("content-length", "41")];
    let (front, back) = zipped.split_at(12);
    let pieces: &[&[u8]] = &[front, back, b""];
    let decoded = answer(&*filter(json!({})), &mut client("GET"), (200, &headers), pieces);
    assert_eq!(decoded.text(), "card ************1111");
    let fields = ["content-encoding", "content-length", "transfer-encoding"].map(|name| decoded.field(name));
    assert_eq!(fields, [None, None, Some("chunked")]);
    let cut = answer(&*filter(json!({})), &mut client("GET"), (200, &headers), &[front, b""]);
    assert_eq!(cut.refused().0, "response_unreadable");
    let unknown = [TEXT, ("content-encoding", "rot13")];
    assert_eq!(good(json!({}), &unknown, "x").refused().0, "response_unreadable");
    let passed = good(json!({ "unreadable": "pass" }), &unknown, "x");
    assert_eq!((passed.text(), passed.field("content-encoding")), ("x", Some("rot13")));
}

#[test]
fn parts_and_wide_characters_cannot_be_read() {
    let part = |spec| answer(&*filter(spec), &mut client("GET"), (206, &[TEXT]), &[b"4111"]);
    assert_eq!(part(json!({})).refused().0, "response_unreadable");
    assert_eq!(part(json!({ "unreadable": "pass" })).text(), "4111");
    assert_eq!(part(json!({ "types": ["text/html"] })).text(), "4111");
    let wide = [("content-type", "text/plain; charset=\"UTF-16LE\"")];
    assert_eq!(good(json!({}), &wide, "x").refused().0, "response_unreadable");
    assert_eq!(good(json!({}), &[("content-type", "text/plain; charset=latin1")], "x").text(), "x");
}

#[test]
fn no_more_is_looked_at_than_the_limit() {
    let text = "4111111111111111 4111111111111111";
    let spec = |over: &str| json!({ "max_scan": "20B", "over_limit": over });
    assert_eq!(good(spec("block"), &[TEXT], text).refused().0, "response_too_long");
    assert_eq!(good(spec("block"), &[TEXT, ("content-length", "33")], "").refused().0, "response_too_long");
    assert_eq!(good(spec("block"), &[TEXT], &text[..20]).text(), "************1111 411");
    let pieces: &[&[u8]] = &[&text.as_bytes()[..10], &text.as_bytes()[10..25], &text.as_bytes()[25..], b""];
    let passed = answer(&*filter(spec("pass")), &mut client("GET"), (200, &[TEXT]), pieces);
    assert_eq!(
        (passed.text(), &*passed.findings),
        ("************1111 4111111111111111", "card 1, over_limit 1")
    );
    let events = good(spec("block"), &[("content-type", "text/event-stream")], text);
    assert_eq!(events.text(), "************1111 ************1111");
}

#[test]
fn other_types_pass_as_they_are() {
    let card = "4111111111111111";
    for name in ["image/png", "application/octet-stream", "application/grpc+json"] {
        assert_eq!(good(json!({}), &[("content-type", name)], card).text(), card);
    }
    assert_eq!(good(json!({}), &[], card).text(), "1000000000001111");
    assert_eq!(
        good(json!({ "types": ["image/*"] }), &[("content-type", "image/svg+xml")], card).text(),
        "************1111"
    );
    assert_eq!(good(json!({ "types": ["image/*"] }), &[TEXT], card).text(), card);
}

#[test]
fn a_policy_is_told_what_is_wrong_with_it() {
    for (spec, expected) in [
        (json!({ "find": ["card", "card"] }), "find[1]: is named twice"),
        (json!({ "patterns": { "A": "abcd" } }), "patterns[\"A\"]: expected a name"),
        (json!({ "patterns": { "card": "abcd" } }), "patterns[\"card\"]: is the name of something else"),
        (json!({ "patterns": { "a": "x+" } }), "patterns[\"a\"]: a match may be longer than 256 bytes"),
        (
            json!({ "actions": { "email": "block" } }),
            "actions[\"email\"]: expected a name from find or patterns",
        ),
        (json!({ "types": [] }), "types: is empty"),
        (json!({ "types": ["application/grpc"] }), "types[0]: gRPC cannot be looked at"),
        (json!({ "find": [], "errors": "pass" }), "does nothing"),
        (json!({ "json": { "mask": vec!["/a"; 65] } }), "json: at most 64 paths"),
    ] {
        let told = compile_error::<Spec>(spec);
        assert!(told.starts_with(expected), "{told}");
    }
}
