use std::io::Read;

use http::Version;
use serde_json::{Value, json};

use super::*;
use crate::filters::Verdict;
use crate::filters::exchange::Sample;
use crate::filters::testing::{compile, compile_error};

const JSON: (&str, &str) = ("content-type", "application/json");

fn filter(spec: Value) -> Box<dyn Filter> {
    compile::<Spec>(spec)
}

fn client(accept_encoding: &str) -> Sample {
    let mut sample = Sample::get("/", &[("accept-encoding", accept_encoding)]);
    sample.request.set_version(Version::HTTP_11);
    sample
}

fn response(status: u16, headers: &[(&'static str, &str)]) -> ResponseHeader {
    let mut response = ResponseHeader::build(status, None).unwrap();
    for (name, value) in headers {
        response.append_header(*name, *value).unwrap();
    }
    response
}

/// Runs the head through the filter.
fn head(
    filter: &dyn Filter,
    sample: &mut Sample,
    status: u16,
    headers: &[(&'static str, &str)],
) -> ResponseHeader {
    let mut response = response(status, headers);
    let mut exchange = sample.exchange();
    assert!(matches!(filter.on_request(&mut exchange), Step::Now(Verdict::Next)));
    filter.on_response(&mut exchange, &mut response).unwrap();
    response
}

fn field<'a>(response: &'a ResponseHeader, name: &str) -> Option<&'a str> {
    response.headers.get(name).map(|value| value.to_str().unwrap())
}

/// Which coding a response of this kind gets.
fn coding(
    filter: &dyn Filter,
    accept: &str,
    status: u16,
    headers: &[(&'static str, &str)],
) -> Option<String> {
    field(&head(filter, &mut client(accept), status, headers), "content-encoding").map(str::to_owned)
}

/// Runs pieces of a body through the filter; the last one is the end.
fn body(filter: &dyn Filter, sample: &mut Sample, pieces: &[&str]) -> Vec<Option<Bytes>> {
    let mut exchange = sample.exchange();
    let one = |(index, piece): (usize, &&str)| {
        let mut body = (!piece.is_empty()).then(|| Bytes::copy_from_slice(piece.as_bytes()));
        filter.on_response_body(&mut exchange, &mut body, index + 1 == pieces.len()).unwrap();
        body
    };
    pieces.iter().enumerate().map(one).collect()
}

fn gunzip(pieces: &[Option<Bytes>]) -> String {
    let encoded: Vec<u8> = pieces.iter().flatten().flatten().copied().collect();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&encoded[..]).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn compresses_for_clients_that_ask_for_it() {
    for (accept, name) in [("gzip", "gzip"), ("br", "br"), ("zstd", "zstd")] {
        let (filter, mut sample) = (filter(json!({})), client(accept));
        let text = "{\"id\": 1049}, ".repeat(1000);
        let response = head(&*filter, &mut sample, 200, &[JSON, ("content-length", "14000")]);
        assert_eq!(field(&response, "content-encoding"), Some(name));
        assert_eq!(field(&response, "vary"), Some("Accept-Encoding"));
        assert_eq!(field(&response, "content-length"), None);
        assert_eq!(field(&response, "transfer-encoding"), Some("chunked"));
        let encoded: usize = body(&*filter, &mut sample, &[&text, ""]).iter().flatten().map(Bytes::len).sum();
        assert!((10..1000).contains(&encoded), "{encoded}");
    }
}

#[test]
fn leaves_clients_alone_that_do_not_ask() {
    let (filter, mut sample) = (filter(json!({})), client("identity"));
    let response = head(&*filter, &mut sample, 200, &[JSON, ("content-length", "5000"), ("etag", "\"a\"")]);
    assert_eq!(field(&response, "content-encoding"), None);
    assert_eq!(field(&response, "content-length"), Some("5000"));
    assert_eq!(field(&response, "etag"), Some("\"a\""));
    assert_eq!(field(&response, "vary"), Some("Accept-Encoding"), "another client gets something else");
    assert_eq!(body(&*filter, &mut sample, &["plain"]), [Some(Bytes::from("plain"))]);
}

#[test]
fn prefers_what_the_client_prefers_and_then_its_own_order() {
    let default = filter(json!({}));
    let headers = [JSON];
    assert_eq!(coding(&*default, "gzip, br, zstd", 200, &headers).unwrap(), "zstd");
    assert_eq!(coding(&*default, "gzip, br;q=0.9", 200, &headers).unwrap(), "gzip");
    assert_eq!(coding(&*default, "identity;q=0, *", 200, &headers).unwrap(), "zstd");
    assert_eq!(coding(&*default, "identity, gzip;q=0.5", 200, &headers), None);
    assert_eq!(coding(&*default, "gzip;q=0", 200, &headers), None);
    let ordered = filter(json!({ "algorithms": ["gzip", "br"] }));
    assert_eq!(coding(&*ordered, "gzip, br, zstd", 200, &headers).unwrap(), "gzip");
    assert_eq!(coding(&*ordered, "zstd", 200, &headers), None);
}

#[test]
fn goes_by_what_the_client_asked_before_later_filters_changed_it() {
    let filter = filter(json!({}));
    let mut sample = client("gzip");
    filter.on_request(&mut sample.exchange());
    sample.request.remove_header("accept-encoding");
    let mut compressed = response(200, &[JSON]);
    filter.on_response(&mut sample.exchange(), &mut compressed).unwrap();
    assert_eq!(field(&compressed, "content-encoding"), Some("gzip"));

    // A refusal of an earlier filter passes here without a request before it.
    let mut compressed = response(403, &[("content-type", "application/problem+json")]);
    filter.on_response(&mut client("gzip").exchange(), &mut compressed).unwrap();
    assert_eq!(field(&compressed, "content-encoding"), Some("gzip"));
}

#[test]
fn passes_each_piece_on_at_once_where_the_length_is_unknown() {
    let (filter, mut sample) = (filter(json!({ "algorithms": ["gzip"] })), client("gzip"));
    head(&*filter, &mut sample, 200, &[JSON]);
    let pieces = body(&*filter, &mut sample, &["{\"a\":", "", "1}", ""]);
    assert!(pieces[0].is_some() && pieces[1].is_none() && pieces[2].is_some() && pieces[3].is_some());
    assert_eq!(gunzip(&pieces), "{\"a\":1}");

    head(&*filter, &mut sample, 200, &[JSON, ("content-length", "2000")]);
    let pieces = body(&*filter, &mut sample, &["{\"a\":", "1}"]);
    assert!(pieces[0].as_ref().is_none_or(|piece| piece.len() <= 10), "a gzip header at most");
    assert_eq!(gunzip(&pieces), "{\"a\":1}");
}

#[test]
fn a_response_that_takes_the_place_of_another_starts_anew() {
    let (filter, mut sample) = (filter(json!({})), client("br"));
    head(&*filter, &mut sample, 200, &[JSON]);
    let mut second = response(500, &[("content-type", "image/png")]);
    filter.on_response(&mut sample.exchange(), &mut second).unwrap();
    assert_eq!(body(&*filter, &mut sample, &["plain"]), [Some(Bytes::from("plain"))]);

    let mut third = response(500, &[JSON]);
    filter.on_response(&mut sample.exchange(), &mut third).unwrap();
    assert_eq!(field(&third, "content-encoding"), Some("br"));
    assert_ne!(body(&*filter, &mut sample, &["plain"]), [Some(Bytes::from("plain"))]);
}

#[test]
fn writes_the_end_once() {
    let (filter, mut sample) = (filter(json!({})), client("br"));
    head(&*filter, &mut sample, 200, &[JSON]);
    assert!(body(&*filter, &mut sample, &["{}"])[0].is_some());
    assert_eq!(body(&*filter, &mut sample, &[""]), [None]);
}

#[test]
fn leaves_short_responses_alone() {
    let (default, large) = (filter(json!({})), filter(json!({ "min_size": "4KiB" })));
    let sized =
        |filter: &dyn Filter, length| coding(filter, "gzip", 200, &[JSON, ("content-length", length)]);
    assert_eq!(sized(&*default, "1024").as_deref(), Some("gzip"));
    assert_eq!(sized(&*default, "1023"), None);
    assert_eq!(sized(&*large, "4095"), None);
    assert_eq!(sized(&*large, "4096").as_deref(), Some("gzip"));
    assert_eq!(sized(&*filter(json!({ "min_size": "0B" })), "0"), None);
    let short = head(&*default, &mut client("gzip"), 200, &[JSON, ("content-length", "10")]);
    assert_eq!(field(&short, "vary"), None, "every client gets the same");
}

#[test]
fn compresses_only_the_types_named() {
    let of_type = |filter: &dyn Filter, name: &str| coding(filter, "gzip", 200, &[("content-type", name)]);
    let default = filter(json!({}));
    for name in ["text/html; charset=utf-8", "Application/JSON", "application/problem+json", "image/svg+xml"]
    {
        assert_eq!(of_type(&*default, name).as_deref(), Some("gzip"), "{name}");
    }
    for name in ["image/png", "application/grpc", "text/event-stream", "application/octet-stream", ""] {
        assert_eq!(of_type(&*default, name), None, "{name}");
    }
    assert_eq!(coding(&*default, "gzip", 200, &[]), None);

    let named = filter(json!({ "types": ["text/event-stream", "application/*"] }));
    assert_eq!(of_type(&*named, "text/event-stream").as_deref(), Some("gzip"));
    assert_eq!(of_type(&*named, "application/pdf").as_deref(), Some("gzip"));
    assert_eq!(of_type(&*named, "text/html"), None);
    assert_eq!(of_type(&*named, "application/grpc-web+proto"), None);
}

#[test]
fn leaves_alone_what_must_not_be_changed() {
    let filter = filter(json!({}));
    for status in [101, 204, 205, 206] {
        assert_eq!(coding(&*filter, "gzip", status, &[JSON]), None, "{status}");
    }
    for header in [
        ("content-encoding", "br"),
        ("content-range", "bytes 0-9/100"),
        ("cache-control", "max-age=5, No-Transform"),
    ] {
        let response = head(&*filter, &mut client("gzip"), 200, &[JSON, header]);
        assert_ne!(field(&response, "content-encoding"), Some("gzip"), "{header:?}");
        assert_eq!(field(&response, "vary"), None, "{header:?}");
    }
    let mut sample = client("gzip");
    sample.request.insert_header("cache-control", "no-transform").unwrap();
    assert_eq!(field(&head(&*filter, &mut sample, 200, &[JSON]), "content-encoding"), None);
    assert_eq!(coding(&*filter, "gzip", 404, &[JSON]).as_deref(), Some("gzip"));
}

#[test]
fn takes_away_what_described_the_old_bytes() {
    let filter = filter(json!({}));
    let old = [
        JSON,
        ("etag", "\"v1\""),
        ("accept-ranges", "bytes"),
        ("content-digest", "sha-256=:AA==:"),
        ("repr-digest", "sha-256=:AA==:"),
        ("digest", "sha-256=AA=="),
        ("content-md5", "AA=="),
        ("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ];
    let response = head(&*filter, &mut client("gzip"), 200, &old);
    assert_eq!(field(&response, "etag"), Some("W/\"v1\""));
    for name in ["accept-ranges", "content-digest", "repr-digest", "digest", "content-md5"] {
        assert_eq!(field(&response, name), None, "{name}");
    }
    assert!(field(&response, "last-modified").is_some());
    let weak = head(&*filter, &mut client("gzip"), 200, &[JSON, ("etag", "W/\"v1\"")]);
    assert_eq!(field(&weak, "etag"), Some("W/\"v1\""));
}

#[test]
fn names_accept_encoding_once_in_vary() {
    let filter = filter(json!({}));
    let vary = |value| {
        let response = head(&*filter, &mut client("gzip"), 200, &[JSON, ("vary", value)]);
        response
            .headers
            .get_all("vary")
            .iter()
            .map(|line| line.to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(vary("Origin"), ["Origin", "Accept-Encoding"]);
    assert_eq!(vary("Origin, accept-encoding"), ["Origin, accept-encoding"]);
    assert_eq!(vary("*"), ["*"]);
}

#[test]
fn gives_head_the_headers_of_get() {
    let filter = filter(json!({}));
    let mut sample = client("gzip");
    sample.request.set_method(Method::HEAD);
    let response = head(&*filter, &mut sample, 200, &[JSON, ("content-length", "5000")]);
    assert_eq!(field(&response, "content-encoding"), Some("gzip"));
    assert_eq!(field(&response, "content-length"), None);
    assert_eq!(body(&*filter, &mut sample, &[""]), [None]);
}

#[test]
fn gives_a_304_the_validator_and_vary_of_the_200() {
    let filter = filter(json!({}));
    let response = head(&*filter, &mut client("gzip"), 304, &[("etag", "\"v1\"")]);
    assert_eq!(field(&response, "etag"), Some("W/\"v1\""));
    assert_eq!(field(&response, "vary"), Some("Accept-Encoding"));
    assert_eq!(field(&response, "content-encoding"), None);
    let response = head(&*filter, &mut client("identity"), 304, &[("etag", "\"v1\"")]);
    assert_eq!(field(&response, "etag"), Some("\"v1\""));
    let image =
        head(&*filter, &mut client("gzip"), 304, &[("etag", "\"v1\""), ("content-type", "image/png")]);
    assert_eq!(field(&image, "etag"), Some("\"v1\""));
}

#[test]
fn chunks_only_for_clients_that_know_chunks() {
    let filter = filter(json!({}));
    for (version, expected) in
        [(Version::HTTP_10, None), (Version::HTTP_11, Some("chunked")), (Version::HTTP_2, None)]
    {
        let mut sample = client("gzip");
        sample.request.set_version(version);
        let response = head(&*filter, &mut sample, 200, &[JSON, ("content-length", "5000")]);
        assert_eq!(field(&response, "transfer-encoding"), expected, "{version:?}");
    }
}

#[test]
fn tries_as_hard_as_the_level_says() {
    let text: String = (0..20_000_u32).map(|n| format!("{} ", n.wrapping_mul(2_654_435_761) >> 20)).collect();
    let length = |name: &str, level: u8| {
        let filter = filter(json!({ "algorithms": [name], "level": { name: level } }));
        let mut sample = client(name);
        head(&*filter, &mut sample, 200, &[JSON]);
        body(&*filter, &mut sample, &[&text]).iter().flatten().map(Bytes::len).sum::<usize>()
    };
    for (name, most) in [("gzip", 9), ("br", 6), ("zstd", 12)] {
        assert!(length(name, most) < length(name, 1), "{name}");
    }
}

#[test]
fn says_what_is_wrong_with_a_spec() {
    let cases = [
        (json!({ "algorithms": [] }), "algorithms: is empty: expected some of zstd, br and gzip"),
        (json!({ "algorithms": ["br", "gzip", "br"] }), "algorithms[2]: is named twice"),
        (json!({ "types": [] }), "types: is empty: nothing would be compressed"),
        (json!({ "level": { "br": 11 } }), "level.br: expected 0 to 6, found 11"),
        (json!({ "level": { "gzip": 0 } }), "level.gzip: expected 1 to 9, found 0"),
        (json!({ "level": { "zstd": 19 } }), "level.zstd: expected 1 to 12, found 19"),
    ];
    for (spec, message) in cases {
        assert_eq!(compile_error::<Spec>(spec), message);
    }
}

#[test]
fn every_default_type_is_well_formed() {
    assert_eq!(Spec::default().types.len(), spec::TYPES.len());
}
