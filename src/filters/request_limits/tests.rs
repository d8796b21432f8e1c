use serde_json::{Value, json};

use super::*;
use crate::filters::Verdict;
use crate::filters::exchange::Sample;
use crate::filters::testing::{compile, compile_error};

/// The status and reason with which the head is refused.
fn refused(filter: &dyn Filter, sample: &mut Sample) -> Option<(u16, &'static str)> {
    match filter.on_request(&mut sample.exchange()) {
        Step::Now(Verdict::Next) => None,
        Step::Now(Verdict::Refuse(refusal)) => Some((refusal.status.as_u16(), refusal.reason)),
        _ => panic!("neither passes nor refuses"),
    }
}

fn filter(spec: Value) -> Box<dyn Filter> {
    compile::<Spec>(spec)
}

/// How a body in these pieces fares, without asking about the head.
fn streamed(filter: &dyn Filter, sample: &mut Sample, pieces: &[&'static str]) -> Result<(), Refusal> {
    let mut exchange = sample.exchange();
    for piece in pieces {
        filter.on_request_body(&mut exchange, &mut Some(Bytes::from_static(piece.as_bytes())), false)?;
    }
    filter.on_request_body(&mut exchange, &mut None, true)
}

#[test]
fn refuses_a_target_longer_than_the_limit() {
    let filter = filter(json!({ "max_uri": "10B" }));
    assert_eq!(refused(&*filter, &mut Sample::get("/1234?6789", &[])), None);
    assert_eq!(refused(&*filter, &mut Sample::get("/1234?67890", &[])), Some((414, "uri_too_long")));
}

#[test]
fn refuses_more_query_parameters_than_the_limit() {
    let filter = filter(json!({ "max_query_args": 2 }));
    assert_eq!(refused(&*filter, &mut Sample::get("/?a=1&&b", &[])), None);
    assert_eq!(refused(&*filter, &mut Sample::get("/", &[])), None);
    let refusal = refused(&*filter, &mut Sample::get("/?a=1&b&a", &[]));
    assert_eq!(refusal, Some((400, "too_many_query_args")));
}

#[test]
fn refuses_more_headers_than_the_limit() {
    let filter = filter(json!({ "max_headers": 2 }));
    assert_eq!(refused(&*filter, &mut Sample::get("/", &[("a", "1"), ("a", "2")])), None);
    let refusal = refused(&*filter, &mut Sample::get("/", &[("a", "1"), ("a", "2"), ("b", "3")]));
    assert_eq!(refusal, Some((431, "too_many_headers")));
}

#[test]
fn refuses_more_header_bytes_than_the_limit() {
    let filter = filter(json!({ "max_header_bytes": "64B" }));
    let fits = "v".repeat(64 - 4 - 1);
    assert_eq!(refused(&*filter, &mut Sample::get("/", &[("a", &fits)])), None);
    let refusal = refused(&*filter, &mut Sample::get("/", &[("aa", &fits)]));
    assert_eq!(refusal, Some((431, "header_bytes")));
}

#[test]
fn refuses_a_body_that_is_declared_too_large() {
    let filter = filter(json!({ "max_body": "5B" }));
    let declared = |length| refused(&*filter, &mut Sample::new("POST", "/", &[("content-length", length)]));
    assert_eq!(declared("5"), None);
    assert_eq!(declared("6"), Some((413, "body_too_large")));
    assert_eq!(declared("18446744073709551616"), Some((413, "body_too_large")));
}

#[test]
fn refuses_a_body_that_grows_too_large() {
    let filter = filter(json!({ "max_body": "5B" }));
    let head = [("transfer-encoding", "chunked")];
    assert!(streamed(&*filter, &mut Sample::new("POST", "/", &head), &["abc", "", "de"]).is_ok());
    let refusal = streamed(&*filter, &mut Sample::new("POST", "/", &head), &["abc", "de", "f"]).unwrap_err();
    assert_eq!((refusal.status.as_u16(), refusal.reason), (413, "body_too_large"));
}

#[test]
fn zero_bytes_refuse_every_body_and_nothing_else() {
    let filter = filter(json!({ "max_body": "0B" }));
    assert_eq!(refused(&*filter, &mut Sample::new("POST", "/", &[("content-length", "0")])), None);
    assert!(streamed(&*filter, &mut Sample::get("/", &[]), &[]).is_ok());
    assert!(streamed(&*filter, &mut Sample::get("/", &[]), &["a"]).is_err());
}

#[test]
fn refuses_a_body_of_another_type() {
    let filter = filter(json!({ "content_types": ["application/json", "application/*+json"] }));
    let typed = |headers: &[_]| refused(&*filter, &mut Sample::new("POST", "/", headers));
    let length = ("content-length", "2");
    assert_eq!(typed(&[length, ("content-type", "application/json; charset=utf-8")]), None);
    assert_eq!(typed(&[length, ("content-type", "application/ld+json")]), None);
    assert_eq!(typed(&[("content-type", "text/html")]), None, "there is no body");
    let refusal = Some((415, "content_type"));
    assert_eq!(typed(&[length, ("content-type", "text/html")]), refusal);
    assert_eq!(typed(&[length]), refusal);
    assert_eq!(typed(&[("transfer-encoding", "chunked"), ("content-type", "text/html")]), refusal);
    let twice = [length, ("content-type", "application/json"), ("content-type", "text/html")];
    assert_eq!(typed(&twice), refusal);
}

#[test]
fn refuses_a_body_whose_length_is_not_declared() {
    let filter = filter(json!({ "require_content_length": true }));
    let chunked = [("transfer-encoding", "chunked")];
    assert_eq!(refused(&*filter, &mut Sample::new("POST", "/", &[("content-length", "2")])), None);
    assert_eq!(refused(&*filter, &mut Sample::new("POST", "/", &[])), None);
    let refusal = refused(&*filter, &mut Sample::new("POST", "/", &chunked));
    assert_eq!(refusal, Some((411, "length_required")));
}

#[test]
fn refuses_a_body_with_a_method_that_has_none() {
    let filter = filter(json!({ "body_methods": ["POST", "PUT"] }));
    let sent = |method| refused(&*filter, &mut Sample::new(method, "/", &[("content-length", "2")]));
    assert_eq!(sent("PUT"), None);
    assert_eq!(sent("GET"), Some((400, "body_not_allowed")));
    assert_eq!(refused(&*filter, &mut Sample::get("/", &[])), None);
}

/// An HTTP/2 head may announce nothing and a body come all the same.
#[test]
fn judges_an_unannounced_body_when_it_comes() {
    let reason = |spec, method, headers: &[_]| {
        let mut sample = Sample::new(method, "/", headers);
        let filter = filter(spec);
        assert_eq!(refused(&*filter, &mut sample), None);
        streamed(&*filter, &mut sample, &["", "{}"]).err().map(|refusal| refusal.reason)
    };
    let json_only = json!({ "content_types": ["application/json"] });
    assert_eq!(reason(json_only.clone(), "POST", &[("content-type", "application/json")]), None);
    assert_eq!(reason(json_only, "POST", &[("content-type", "text/html")]), Some("content_type"));
    assert_eq!(reason(json!({ "require_content_length": true }), "POST", &[]), Some("length_required"));
    assert_eq!(reason(json!({ "body_methods": ["POST"] }), "GET", &[]), Some("body_not_allowed"));
    assert_eq!(reason(json!({ "body_methods": ["POST"] }), "POST", &[]), None);
}

#[test]
fn takes_part_in_the_body_only_where_it_has_to() {
    assert_eq!(filter(json!({ "max_uri": "2KiB" })).phases(), Phases::REQUEST);
    let both = Phases::REQUEST.and(Phases::REQUEST_BODY);
    for spec in [
        json!({ "max_body": "1MiB" }),
        json!({ "content_types": ["text/plain"] }),
        json!({ "require_content_length": true }),
        json!({ "body_methods": ["POST"] }),
    ] {
        assert_eq!(filter(spec).phases(), both);
    }
}

#[test]
fn says_what_is_wrong_with_a_spec() {
    let cases = [
        (json!({}), "sets no limit: name at least one, e.g. max_body: 1MiB"),
        (json!({ "require_content_length": false }), "sets no limit: name at least one, e.g. max_body: 1MiB"),
        (json!({ "max_uri": "0B" }), "max_uri: no request fits into less than 1B"),
        (json!({ "max_header_bytes": "63B" }), "max_header_bytes: no request fits into less than 64B"),
        (json!({ "content_types": [] }), "content_types: is empty: to refuse every body, write max_body: 0B"),
        (json!({ "body_methods": [] }), "body_methods: is empty: to refuse every body, write max_body: 0B"),
        (
            json!({ "body_methods": ["POST", "put"] }),
            "body_methods[1]: expected a method such as POST, found \"put\"",
        ),
    ];
    for (spec, message) in cases {
        assert_eq!(compile_error::<Spec>(spec), message);
    }
}
