use http::HeaderValue;
use http::header::RETRY_AFTER;
use serde_json::{Value, json};

use super::*;
use crate::filters::exchange::Sample;
use crate::filters::testing::{Ground, compile, compile_error, read_error};
use crate::filters::{Caller, Spec as _, Verdict};

const SECOND: u64 = 1_000_000_000;

fn filter(spec: Value) -> Box<dyn Filter> {
    compile::<Spec>(spec)
}

fn from_ip(address: &str) -> Sample {
    let mut sample = Sample::get("/", &[]);
    sample.facts.client_ip = address.parse().unwrap();
    sample
}

fn with(headers: &[(&'static str, &str)]) -> Sample {
    Sample::get("/", headers)
}

fn refusal(filter: &dyn Filter, sample: &mut Sample) -> Option<Box<Refusal>> {
    match filter.on_request(&mut sample.exchange()) {
        Step::Now(Verdict::Next) => None,
        Step::Now(Verdict::Refuse(refusal)) => Some(refusal),
        _ => panic!("neither passes nor refuses"),
    }
}

fn passes(filter: &dyn Filter, mut sample: Sample) -> bool {
    refusal(filter, &mut sample).is_none()
}

fn passes_at(filter: &dyn Filter, seconds: u64) -> bool {
    let mut sample = Sample::get("/", &[]);
    sample.facts.received_ns = seconds * SECOND;
    passes(filter, sample)
}

/// Whether a filter that lets one request pass for each key counts these two together.
fn together(spec: Value, first: Sample, second: Sample) -> bool {
    let filter = filter(spec);
    assert!(passes(&*filter, first));
    !passes(&*filter, second)
}

fn header(name: &str) -> Value {
    json!(format!("http.request.headers[{name:?}][0]"))
}

fn cookie(name: &str) -> Value {
    json!(format!("http.request.cookies[{name:?}][0]"))
}

fn one(key: Value) -> Value {
    json!({ "limit": "1/1m", "key": key })
}

#[test]
fn lets_the_limit_pass_at_once_and_then_at_its_pace() {
    let filter = filter(json!({ "limit": "3/30s" }));
    for _ in 0..3 {
        assert!(passes_at(&*filter, 0));
    }
    assert!(!passes_at(&*filter, 9));
    assert!(passes_at(&*filter, 10));
    assert!(!passes_at(&*filter, 10));
}

#[test]
fn a_burst_may_be_smaller_or_larger_than_the_limit() {
    for burst in [1, 5] {
        let filter = filter(json!({ "limit": "3/30s", "burst": burst }));
        let passed = (0..10).filter(|_| passes_at(&*filter, 0)).count();
        assert_eq!(passed, burst);
    }
}

#[test]
fn says_when_to_come_back_in_whole_seconds() {
    let filter = filter(json!({ "limit": "2/3s", "burst": 1 }));
    assert!(passes_at(&*filter, 0));
    let refusal = refusal(&*filter, &mut Sample::get("/", &[])).unwrap();
    assert_eq!((refusal.status.as_u16(), refusal.reason), (429, "rate_limit"));
    assert_eq!(refusal.headers, [(RETRY_AFTER, HeaderValue::from_static("2"))]);
    assert!(!passes_at(&*filter, 1));
    assert!(passes_at(&*filter, 2));
}

#[test]
fn refuses_with_the_status_asked_for() {
    let filter = filter(json!({ "limit": "1/1m", "status": 503 }));
    assert!(passes_at(&*filter, 0));
    assert_eq!(refusal(&*filter, &mut Sample::get("/", &[])).unwrap().status, 503);
}

#[test]
fn counts_clients_by_address_unless_told_otherwise() {
    for spec in [json!({ "limit": "1/1m" }), one(json!("ip"))] {
        assert!(together(spec.clone(), from_ip("192.0.2.1"), from_ip("192.0.2.1")));
        assert!(!together(spec, from_ip("192.0.2.1"), from_ip("192.0.2.2")));
    }
}

#[test]
fn takes_a_network_of_ipv6_for_one_client() {
    let spec = one(json!("ip"));
    assert!(together(spec.clone(), from_ip("2001:db8::1"), from_ip("2001:db8::ffff:0:1")));
    assert!(!together(spec, from_ip("2001:db8::1"), from_ip("2001:db8:0:1::1")));
}

#[test]
fn tells_ipv4_clients_apart_that_come_by_ipv6() {
    let spec = one(json!("ip"));
    assert!(!together(spec.clone(), from_ip("::ffff:192.0.2.1"), from_ip("::ffff:192.0.2.2")));
    assert!(together(spec, from_ip("::ffff:192.0.2.1"), from_ip("192.0.2.1")));
}

#[test]
fn cuts_addresses_to_the_prefix_asked_for() {
    let spec = |prefix: Value| json!({ "limit": "1/1m", "ip_prefix": prefix });
    assert!(together(spec(json!({ "v4": 24 })), from_ip("192.0.2.1"), from_ip("192.0.2.255")));
    assert!(!together(spec(json!({ "v4": 24 })), from_ip("192.0.2.1"), from_ip("192.0.3.1")));
    assert!(together(spec(json!({ "v4": 1 })), from_ip("1.1.1.1"), from_ip("127.0.0.1")));
    assert!(!together(spec(json!({ "v6": 128 })), from_ip("2001:db8::1"), from_ip("2001:db8::2")));
    assert!(together(spec(json!({ "v6": 48 })), from_ip("2001:db8::1"), from_ip("2001:db8:0:ffff::1")));
    assert!(together(spec(json!({ "v4": 24 })), from_ip("2001:db8::1"), from_ip("2001:db8::2")));
}

#[test]
fn counts_all_requests_of_a_route_together() {
    assert!(together(one(json!("route")), from_ip("192.0.2.1"), from_ip("198.51.100.7")));
}

#[test]
fn counts_by_a_header() {
    let spec = one(header("X-API-Key"));
    assert!(!together(spec.clone(), with(&[("x-api-key", "a")]), with(&[("x-api-key", "b")])));
    let mut elsewhere = with(&[("x-api-key", "a")]);
    elsewhere.facts.client_ip = [198, 51, 100, 7].into();
    assert!(together(spec.clone(), with(&[("x-api-key", "a")]), elsewhere));
    let long = |end: &str| "k".repeat(400) + end;
    assert!(!together(spec.clone(), with(&[("x-api-key", &long("1"))]), with(&[("x-api-key", &long("2"))])));
    assert!(together(spec, with(&[("x-api-key", &long("1"))]), with(&[("x-api-key", &long("1"))])));
}

#[test]
fn counts_by_a_cookie() {
    let spec = one(cookie("sid"));
    assert!(together(spec.clone(), with(&[("cookie", "a=1; sid=x")]), with(&[("cookie", "sid=x; a=2")])));
    assert!(!together(spec, with(&[("cookie", "sid=x")]), with(&[("cookie", "sid=y")])));
}

#[test]
fn counts_by_a_combination() {
    let spec = one(json!([header("a"), header("b")]));
    let pair = |a, b| with(&[("a", a), ("b", b)]);
    assert!(together(spec.clone(), pair("1", "2"), pair("1", "2")));
    assert!(!together(spec.clone(), pair("1", "2"), pair("1", "3")));
    assert!(!together(spec.clone(), pair("1", "2"), pair("2", "1")));
    assert!(!together(spec, pair("12", "3"), pair("1", "23")));
    let spec = one(json!(["ip", "route"]));
    assert!(!together(spec, from_ip("192.0.2.1"), from_ip("192.0.2.2")));
}

#[test]
fn requests_that_lack_the_key_never_share_one_count() {
    for missing in [&[][..], &[("x-api-key", "")]] {
        let from = |address: &str| {
            let mut sample = with(missing);
            sample.facts.client_ip = address.parse().unwrap();
            sample
        };
        let spec = one(header("x-api-key"));
        assert!(!together(spec.clone(), from("192.0.2.1"), from("192.0.2.2")));
        assert!(together(spec.clone(), from("192.0.2.1"), from("192.0.2.1")));

        // A header that is there never counts for an address, whatever it says.
        let mut octets = with(&[]);
        octets
            .request
            .append_header("x-api-key", HeaderValue::from_bytes(&[192, 33, 34, 35]).unwrap())
            .unwrap();
        assert!(!together(spec, from("192.33.34.35"), octets));
    }
}

#[test]
fn what_is_missing_may_be_refused_or_let_through() {
    let spec = |on_missing| json!({ "limit": "1/1m", "key": cookie("sid"), "on_missing": on_missing });
    let filter_ip = filter(spec("ip"));
    assert!(passes(&*filter_ip, with(&[])) && !passes(&*filter_ip, with(&[])));

    let strict = filter(spec("refuse"));
    let refusal = refusal(&*strict, &mut with(&[("cookie", "sid=")])).unwrap();
    assert_eq!((refusal.status.as_u16(), refusal.reason), (400, "rate_limit_key"));
    assert!(passes(&*strict, with(&[("cookie", "sid=x")])));

    let open = filter(spec("danger_unlimited"));
    for _ in 0..3 {
        assert!(passes(&*open, with(&[])));
    }
    assert!(passes(&*open, with(&[("cookie", "sid=x")])) && !passes(&*open, with(&[("cookie", "sid=x")])));
}

#[test]
fn counts_go_on_over_a_reload_and_apart_from_other_filters() {
    let ground = Ground::new();
    let on = |route, ordinal, spec: Value| {
        let spec: Spec = serde_json::from_value(spec).unwrap();
        spec.compile(&Site { route, ordinal, ..ground.site() }).unwrap_or_else(|_| panic!())
    };
    let alone = json!({ "limit": "1/1m", "key": header("k") });
    let key = || with(&[("k", "v")]);
    assert!(passes(&*on("a", 0, alone.clone()), key()));
    assert!(!passes(&*on("a", 0, alone.clone()), key()), "compiled anew");
    assert!(passes(&*on("a", 1, alone.clone()), key()), "the second limit of the route");
    assert!(passes(&*on("b", 0, alone), key()), "another route");

    let named = json!({ "limit": "1/1m", "key": header("k"), "name": "shared" });
    assert!(passes(&*on("a", 0, named.clone()), key()));
    assert!(!passes(&*on("b", 3, named), key()), "the same name on another route");
}

/// The response's fields after one request, with the filter as the `ordinal`th of its kind.
fn told(spec: Value, ordinal: usize, response: &mut ResponseHeader) -> Vec<(String, String)> {
    let spec: Spec = serde_json::from_value(spec).unwrap();
    let ground = Ground::new();
    let site = Site { ordinal, ..ground.site() };
    let Ok(filter) = spec.compile(&site) else { panic!("not compiled") };
    let mut sample = Sample::get("/", &[]);
    let mut exchange = sample.exchange();
    filter.on_request(&mut exchange);
    if filter.phases().contains(Phases::RESPONSE) {
        filter.on_response(&mut exchange, response).unwrap();
    }
    let fields = response.headers.iter();
    fields.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

fn pairs(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn tells_what_is_left() {
    let mut response = ResponseHeader::build(200, None).unwrap();
    let fields = told(json!({ "limit": "100/1m", "burst": 20 }), 0, &mut response);
    assert_eq!(
        pairs(&fields),
        [("ratelimit", "\"default\";r=19;t=1"), ("ratelimit-policy", "\"default\";q=100;w=60")]
    );
    // A second limit of the route adds to the list.
    let fields = told(json!({ "limit": "4294967295/100ms" }), 1, &mut response);
    assert_eq!(
        pairs(&fields),
        [
            ("ratelimit", "\"default\";r=19;t=1"),
            ("ratelimit", "\"default-2\";r=4294967294;t=1"),
            ("ratelimit-policy", "\"default\";q=100;w=60"),
            ("ratelimit-policy", "\"default-2\";q=4294967295"),
        ]
    );
    let name = "n".repeat(64);
    let mut response = ResponseHeader::build(200, None).unwrap();
    let fields = told(json!({ "limit": "1/30d", "name": name }), 0, &mut response);
    assert_eq!(fields[0].1, format!("\"{name}\";r=0;t=2592000"));
}

#[test]
fn tells_nothing_where_it_is_told_not_to() {
    let mut response = ResponseHeader::build(200, None).unwrap();
    assert_eq!(told(json!({ "limit": "1/1m", "headers": false }), 0, &mut response), []);
}

#[test]
fn tells_nothing_of_a_request_it_never_saw() {
    let mut response = ResponseHeader::build(403, None).unwrap();
    filter(json!({ "limit": "1/1m" })).on_response(&mut with(&[]).exchange(), &mut response).unwrap();
    assert!(response.headers.is_empty());
}

#[test]
fn says_what_is_wrong_with_a_spec() {
    let cases = [
        (json!({ "limit": "1/31d" }), "limit: period is longer than 30 days"),
        (
            json!({ "limit": "1/30d", "burst": 4_294_967_295_u32 }),
            "burst: burst takes more than 100 years to come back at this rate",
        ),
        (json!({ "limit": "1/1m", "status": 200 }), "status: expected a status from 400 to 599, found 200"),
        (
            json!({ "limit": "1/1m", "name": "a\"b" }),
            "name: expected 1 to 64 letters, digits, `_`, `-`, `.` or `:`",
        ),
        (json!({ "limit": "1/1m", "key": [] }), "key: is empty: to count all requests together, write route"),
        (
            json!({ "limit": "1/1m", "key": ["ip", "jwt.subb"] }),
            "key[1]: unknown field \"jwt.subb\", did you mean \"jwt.sub\"?",
        ),
        (
            json!({ "limit": "1/1m", "key": "rout" }),
            "key: unknown field \"rout\"; expected ip, route or an expression: a header is http.request.headers[\"x-tenant\"][0]",
        ),
        (
            json!({ "limit": "1/1m", "key": "http.request.headers[\"x-api-key\"]" }),
            "key: an array of strings has many values: take one by [0], or ask all with \
             any(http.request.headers[\"x-api-key\"][*] …)",
        ),
        (
            json!({ "limit": "1/1m", "key": "http.response.code" }),
            "key: http.response.code is known only with the response",
        ),
        (
            json!({ "limit": "1/1m", "on_missing": "refuse" }),
            "on_missing: has no effect: what key names is never missing",
        ),
        (
            json!({ "limit": "1/1m", "key": "route", "ip_prefix": {} }),
            "ip_prefix: has no effect: nothing is counted by address",
        ),
        (
            json!({ "limit": "1/1m", "ip_prefix": { "v4": 0 } }),
            "ip_prefix.v4: expected 1 to 32 bits, found 0",
        ),
        (
            json!({ "limit": "1/1m", "ip_prefix": { "v6": 129 } }),
            "ip_prefix.v6: expected 1 to 128 bits, found 129",
        ),
    ];
    for (spec, message) in cases {
        assert_eq!(compile_error::<Spec>(spec), message);
    }
}

#[test]
fn says_what_a_key_may_be() {
    let error = |key: Value| read_error::<Spec>(one(key));
    for key in [json!(7), json!({ "header": "x-api-key" })] {
        let error = error(key);
        assert!(
            error.ends_with("expected ip, route, an expression such as jwt.sub, or a list of these"),
            "{error}"
        );
    }
    assert!(error(json!(["ip", 7])).contains("expected a string"));
}

#[test]
fn counts_by_who_was_found_to_call() {
    let caller = |name: &str, address: [u8; 4]| {
        let mut sample = Sample::get("/", &[]);
        sample.facts.client_ip = address.into();
        sample.exchange().identify(Caller::named("basic_auth", name));
        sample
    };
    for key in [json!("basic_auth.user"), json!(["auth.method", "lower(auth.subject)"])] {
        assert!(together(one(key.clone()), caller("alice", [192, 0, 2, 1]), caller("alice", [192, 0, 2, 2])));
        assert!(!together(one(key), caller("alice", [192, 0, 2, 1]), caller("bob", [192, 0, 2, 1])));
    }
    // The user of another filter is none of this one's.
    let missing = one(json!("basic_auth.user"));
    let mut other = from_ip("192.0.2.1");
    other.exchange().identify(Caller::named("mtls", "alice"));
    assert!(!together(missing, caller("alice", [192, 0, 2, 1]), other));
}

#[test]
fn an_address_that_an_expression_yields_is_cut_like_any_other() {
    let spec = |key: &str| json!({ "limit": "1/1m", "key": key, "ip_prefix": { "v4": 24, "v6": 48 } });
    for key in ["ip.src", "ip"] {
        assert!(together(spec(key), from_ip("192.0.2.1"), from_ip("192.0.2.255")));
        assert!(!together(spec(key), from_ip("192.0.2.1"), from_ip("192.0.3.1")));
        assert!(together(spec(key), from_ip("2001:db8::1"), from_ip("2001:db8:0:ffff::1")));
    }
    assert!(!together(spec("to_string(ip.src)"), from_ip("192.0.2.1"), from_ip("192.0.2.2")));
}

#[test]
fn a_number_and_its_text_are_counted_apart() {
    let spec = one(json!("http.request.timestamp.sec"));
    let at = |seconds: u64| {
        let mut sample = Sample::get("/", &[]);
        sample.facts.time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        sample
    };
    assert!(together(spec.clone(), at(7), at(7)) && !together(spec.clone(), at(7), at(8)));
    let ground = Ground::new();
    let named = |key: &str| {
        let spec = json!({ "limit": "1/1m", "key": key, "name": "shared", "on_missing": "refuse" });
        let spec: Spec = serde_json::from_value(spec).unwrap();
        spec.compile(&ground.site()).unwrap_or_else(|_| panic!())
    };
    assert!(passes(&*named("http.request.timestamp.sec"), at(7)));
    assert!(passes(&*named("to_string(http.request.timestamp.sec)"), at(7)));
    assert!(!passes(&*named("http.request.timestamp.sec"), at(7)));
}
