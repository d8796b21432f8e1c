use ::http::HeaderValue;

use super::*;

fn check(method: &str, uri: &str, fields: &[(&'static str, &str)]) -> Result<StreamHead, HeadFault> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    check_h2(&method.parse().unwrap(), &uri.parse().unwrap(), &headers, &HeadLimits::default())
}

fn get(fields: &[(&'static str, &str)]) -> Result<StreamHead, HeadFault> {
    check("GET", "https://api.example.com/orders", fields)
}

#[test]
fn reads_an_ordinary_request() {
    let fields =
        [("content-length", "12"), ("te", "trailers"), ("cookie", "a"), ("cookie", "b"), ("x_y", "z")];
    let head = check("POST", "https://api.example.com/orders?x", &fields).unwrap();
    assert_eq!(
        head,
        StreamHead { content_length: Some(12), expect_continue: false, underscored_names: true }
    );
    assert!(get(&[("expect", "100-continue")]).unwrap().expect_continue);
}

#[test]
fn refuses_fields_of_an_http_1_connection() {
    for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] {
        assert_eq!(get(&[(name, "x")]), Err(HeadFault::bad("connection_specific_field")), "{name}");
    }
    assert_eq!(get(&[("te", "trailers, gzip")]), Err(HeadFault::bad("te_not_trailers")));
}

#[test]
fn wants_one_host_in_either_place() {
    assert!(get(&[]).is_ok() && get(&[("host", "api.example.com")]).is_ok());
    assert!(check("GET", "/orders", &[("host", "api.example.com")]).is_ok());
    for (uri, hosts, reason) in [
        ("https://a/", &["b"][..], "host_differs_from_target"),
        ("https://a/", &["a:80"], "host_differs_from_target"),
        ("https://a/", &["A"], "host_differs_from_target"),
        ("https://a/", &["a:443"], "host_differs_from_target"),
        ("https://a/", &["a", "a"], "repeated_host"),
        ("https://a/", &[""], "empty_host"),
        ("https://a/", &["a b"], "bad_host"),
        ("https://u@a/", &[], "bad_host"),
        ("https://u@a/", &["a"], "bad_host"),
        ("/", &[], "missing_host"),
    ] {
        let fields: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        assert_eq!(check("GET", uri, &fields), Err(HeadFault::bad(reason)), "{uri} {hosts:?}");
    }
}

#[test]
fn takes_content_length_in_one_spelling() {
    for value in ["+5", "5, 5", "05", "", "0x5", "9223372036854775808"] {
        assert_eq!(get(&[("content-length", value)]), Err(HeadFault::bad("bad_content_length")), "{value}");
    }
    let twice = [("content-length", "5"), ("content-length", "5")];
    assert_eq!(get(&twice), Err(HeadFault::bad("repeated_content_length")));
    assert_eq!(get(&[("content-length", "5")]).unwrap().content_length, Some(5));
}

#[test]
fn refuses_what_would_be_read_twice_in_http_1() {
    assert_eq!(get(&[("content_length", "5")]), Err(HeadFault::bad("underscore_variant")));
    assert_eq!(get(&[("x_forwarded_for", "::1")]), Err(HeadFault::bad("underscore_variant")));
    assert_eq!(get(&[("x", " y")]), Err(HeadFault::bad("padded_value")));
    assert_eq!(get(&[("x", "y\t")]), Err(HeadFault::bad("padded_value")));
    assert_eq!(
        get(&[("authorization", "a"), ("authorization", "b")]),
        Err(HeadFault::bad("repeated_authorization"))
    );
    assert_eq!(get(&[("expect", "x")]), Err(HeadFault::new(417, "unknown_expectation")));
    let limits = HeadLimits { more_methods: vec!["TRACE".into()], ..HeadLimits::default() };
    let fields = [(header::CONTENT_LENGTH, "1".parse().unwrap())].into_iter().collect();
    let traced = check_h2(&Method::TRACE, &"https://a/".parse().unwrap(), &fields, &limits);
    assert_eq!(traced, Err(HeadFault::bad("trace_with_body")));
}

#[test]
fn knows_methods_and_their_targets() {
    for method in ["BREW", "TRACE"] {
        assert_eq!(check(method, "https://a/", &[]), Err(HeadFault::new(501, "unknown_method")));
    }
    assert!(check("CONNECT", "a:443", &[]).is_ok() && check("OPTIONS", "*", &[("host", "a")]).is_ok());
    assert_eq!(check("GET", "a:443", &[]), Err(HeadFault::bad("bad_target")));
    assert_eq!(check("GET", "ftp://a/", &[]), Err(HeadFault::bad("bad_target")));
    assert_eq!(check("GET", "*", &[("host", "a")]), Err(HeadFault::bad("asterisk_without_options")));
    assert_eq!(check("GET", "https://a/\"b\"", &[]), Err(HeadFault::bad("bad_target_byte")));
}

#[test]
fn holds_its_limits() {
    let limits = HeadLimits { target_bytes: 10, fields: 2, head_bytes: 90, more_methods: Vec::new() };
    let check = |uri: &str, values: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x", HeaderValue::from_static(value));
        }
        check_h2(&Method::GET, &uri.parse().unwrap(), &headers, &limits)
            .map(|_| ())
            .map_err(|fault| fault.status)
    };
    assert_eq!(check("https://a/23456789", &["1", "2"]), Ok(()));
    assert_eq!(check("https://a/2345678901", &[]), Err(414));
    assert_eq!(check("https://a/", &["1", "2", "3"]), Err(431));
    assert_eq!(check("https://a/", &["1", "2345678901234567890123456789"]), Err(431));
}
