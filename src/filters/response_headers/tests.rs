use super::*;
use crate::filters::Origin;
use crate::filters::exchange::Sample;
use crate::filters::testing::EXPRESSIONS;

fn compile(yaml: &str) -> Result<ResponseHeaders, Problem> {
    serde_yaml::from_str::<Spec>(yaml).unwrap().build(EXPRESSIONS)
}

/// The response with `headers` after the filter saw it.
fn edited(yaml: &str, sample: &mut Sample, headers: &[(&'static str, &str)]) -> ResponseHeader {
    let mut response = ResponseHeader::build(200, None).unwrap();
    for (name, value) in headers {
        response.append_header(*name, *value).unwrap();
    }
    compile(yaml).unwrap().on_response(&mut sample.exchange(), &mut response).unwrap();
    response
}

fn values<'r>(response: &'r ResponseHeader, name: &str) -> Vec<&'r str> {
    response.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

#[test]
fn removes_sets_and_adds_in_that_order() {
    let yaml = "{ remove: [x-*], set: { x-a: set }, add: { x-a: '{route.name}' } }";
    let response =
        edited(yaml, &mut Sample::get("/", &[]), &[("x-a", "sent"), ("x-b", "sent"), ("y", "sent")]);
    assert_eq!(values(&response, "x-a"), ["set", "orders"]);
    assert!(values(&response, "x-b").is_empty());
    assert_eq!(values(&response, "y"), ["sent"]);
}

#[test]
fn fills_templates_in_from_the_request() {
    let mut sample = Sample::get("/", &[("x-tenant", "blue")]);
    let response = edited(
        "set: { x-echo: '{http.request.headers[\"x-tenant\"][0]}@{request.id}' }",
        &mut sample,
        &[("x-tenant", "red")],
    );
    assert_eq!(values(&response, "x-echo"), ["blue@0123456789abcdef"]);
}

#[test]
fn fills_templates_in_from_the_response_as_it_came() {
    let yaml =
        "{ remove: [x-old], set: { x-new: '{http.response.headers[\"x-old\"][0]} {http.response.code}' } }";
    let response = edited(yaml, &mut Sample::get("/", &[]), &[("x-old", "kept")]);
    assert_eq!((values(&response, "x-new"), values(&response, "x-old")), (vec!["kept 200"], vec![]));
}

#[test]
fn strict_sets_the_headers_an_api_needs() {
    let response = edited("security: strict", &mut Sample::get("/", &[]), &[]);
    for (name, value) in [
        ("strict-transport-security", "max-age=63072000; includeSubDomains"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ] {
        assert_eq!(values(&response, name), [value], "{name}");
    }
    assert_eq!(response.headers.len(), 6, "and nothing else");
}

#[test]
fn strict_wins_over_the_upstream_except_for_its_content_policy() {
    let sent = [
        ("x-frame-options", "SAMEORIGIN"),
        ("x-frame-options", "ALLOWALL"),
        ("referrer-policy", "unsafe-url"),
        ("strict-transport-security", "max-age=0"),
        ("content-security-policy", "default-src 'self'"),
    ];
    let response = edited("security: strict", &mut Sample::get("/", &[]), &sent);
    assert_eq!(values(&response, "x-frame-options"), ["DENY"]);
    assert_eq!(values(&response, "referrer-policy"), ["no-referrer"]);
    assert_eq!(values(&response, "strict-transport-security"), ["max-age=63072000; includeSubDomains"]);
    assert_eq!(values(&response, "content-security-policy"), ["default-src 'self'"]);
}

#[test]
fn strict_sends_no_transport_security_over_http() {
    let mut sample = Sample::get("/", &[]);
    sample.facts.scheme = "http";
    let response = edited("security: strict", &mut sample, &[("strict-transport-security", "max-age=1")]);
    assert!(values(&response, "strict-transport-security").is_empty());
    assert_eq!(values(&response, "x-content-type-options"), ["nosniff"]);
}

#[test]
fn strict_removes_what_tells_the_software_behind() {
    let sent: Vec<(&str, &str)> = TELLTALE.iter().map(|name| (name.as_str(), "PHP/5.2")).collect();
    let mut response = ResponseHeader::build(200, None).unwrap();
    for (name, value) in &sent {
        response.append_header((*name).to_owned(), *value).unwrap();
    }
    let mut kept = response.clone();
    let mut sample = Sample::get("/", &[]);
    compile("security: strict").unwrap().on_response(&mut sample.exchange(), &mut response).unwrap();
    compile("{ security: off, add: { x-a: b } }")
        .unwrap()
        .on_response(&mut sample.exchange(), &mut kept)
        .unwrap();
    for (name, _) in sent {
        assert!(values(&response, name).is_empty(), "{name}");
        assert_eq!(values(&kept, name), ["PHP/5.2"], "{name}");
    }
}

#[test]
fn lets_set_and_add_win_over_the_preset_and_the_preset_over_remove() {
    let yaml = "{ security: strict, remove: [x-content-type-options, content-security-policy],
                  set: { x-frame-options: SAMEORIGIN, server: edge }, add: { referrer-policy: same-origin } }";
    let response =
        edited(yaml, &mut Sample::get("/", &[]), &[("content-security-policy", "default-src 'self'")]);
    assert_eq!(values(&response, "x-frame-options"), ["SAMEORIGIN"]);
    assert_eq!(values(&response, "server"), ["edge"]);
    assert_eq!(values(&response, "x-content-type-options"), ["nosniff"]);
    assert_eq!(values(&response, "referrer-policy"), ["no-referrer", "same-origin"]);
    assert_eq!(values(&response, "content-security-policy"), ["default-src 'none'; frame-ancestors 'none'"]);
}

#[test]
fn edits_answers_of_edgeward_too() {
    let mut sample = Sample::get("/", &[]);
    let mut exchange = sample.exchange();
    exchange.origin = Origin::Edgeward;
    let mut response = ResponseHeader::build(403, None).unwrap();
    compile("security: strict").unwrap().on_response(&mut exchange, &mut response).unwrap();
    assert_eq!(values(&response, "x-content-type-options"), ["nosniff"]);
}

#[test]
fn refuses_names_that_frame_the_message() {
    for (yaml, at) in [
        ("set: { Content-Length: '1' }", "set[\"Content-Length\"]"),
        ("add: { transfer-encoding: chunked }", "add[\"transfer-encoding\"]"),
        ("remove: [x-a, trailer]", "remove[1]"),
    ] {
        assert_eq!(compile(yaml).err().unwrap().at, at);
    }
}

#[test]
fn refuses_a_spec_that_edits_nothing() {
    assert_eq!(compile("security: off").err().unwrap().at, "");
    assert!(serde_yaml::from_str::<Spec>("security: lax").is_err());
    assert!(serde_yaml::from_str::<Spec>("sets: {}").is_err());
}

#[test]
fn only_what_is_named_goes_out_of_what_upstreams_say() {
    let yaml = "{ only: [etag, x-public-*], set: { x-set: ours } }";
    let sent = [
        ("etag", "a"),
        ("x-public-a", "1"),
        ("x-internal", "1"),
        ("set-cookie", "a=b"),
        ("content-type", "text/plain"),
        ("content-length", "3"),
        ("cache-control", "private"),
        ("transfer-encoding", "chunked"),
    ];
    let response = edited(yaml, &mut Sample::get("/", &[]), &sent);
    let mut names: Vec<_> = response.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let expected = [
        "cache-control",
        "content-length",
        "content-type",
        "etag",
        "transfer-encoding",
        "x-public-a",
        "x-set",
    ];
    assert_eq!(names, expected);
    let response = edited("only: []", &mut Sample::get("/", &[]), &sent);
    assert_eq!((response.headers.len(), values(&response, "etag")), (4, vec![]));

    let mut sample = Sample::get("/", &[]);
    let mut exchange = sample.exchange();
    exchange.origin = Origin::Edgeward;
    let mut own = ResponseHeader::build(429, None).unwrap();
    own.append_header("retry-after", "1").unwrap();
    compile(yaml).unwrap().on_response(&mut exchange, &mut own).unwrap();
    assert_eq!(values(&own, "retry-after"), ["1"], "Edgeward's own answers keep theirs");
    assert!(compile("only: [a b]").err().unwrap().to_string().starts_with("only[0]: expected a header name"));
}
