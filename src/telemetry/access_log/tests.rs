use std::collections::BTreeSet;
use std::time::Duration;

use http::HeaderValue;
use serde_json::{Value, json};

use super::*;
use crate::telemetry::writer::{Destination, Settings};

/// A compiled log whose writer nobody looks at.
fn log(selection: &Selection) -> AccessLog {
    let writer = LineWriter::open(&Settings::new(Destination::File("/dev/null".into()))).unwrap();
    AccessLog::compile(selection, Arc::new(writer)).unwrap()
}

fn everything() -> Selection {
    Selection { fields: Field::ALL.to_vec(), ..Selection::default() }
}

fn headers(request: &[&str], response: &[&str]) -> Selection {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Selection { fields: vec![], request_headers: owned(request), response_headers: owned(response) }
}

fn text(selection: &Selection, record: &AccessRecord<'_>) -> String {
    let mut out = Vec::new();
    log(selection).render(record, &mut out);
    String::from_utf8(out).expect("lines are UTF-8")
}

fn parsed(selection: &Selection, record: &AccessRecord<'_>) -> Value {
    serde_json::from_str(&text(selection, record)).expect("lines are JSON")
}

fn misselected(selection: &Selection) -> Vec<Misselected> {
    let writer = LineWriter::open(&Settings::new(Destination::File("/dev/null".into()))).unwrap();
    AccessLog::compile(selection, Arc::new(writer)).err().unwrap_or_default()
}

fn errors(selection: &Selection) -> Vec<SelectionError> {
    misselected(selection).into_iter().map(|wrong| wrong.error).collect()
}

fn full_record() -> AccessRecord<'static> {
    AccessRecord {
        time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_323_045_678),
        request_id: "01J",
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
        client_ip: Some("192.0.2.7".parse().unwrap()),
        peer_ip: Some("2001:db8::1".parse().unwrap()),
        method: "GET",
        scheme: "https",
        host: b"api.example.com",
        path: b"/orders/7",
        query: b"page=2",
        protocol: "HTTP/2",
        tls_version: "TLSv1.3",
        tls_cipher: "TLS_AES_128_GCM_SHA256",
        tls_sni: "api.example.com",
        route: "orders",
        upstream: "orders",
        backend: "10.0.0.1:8080",
        status: 403,
        reason: Some("ip_access"),
        filter: "ip_access",
        why: "deny_file",
        findings: "card 2",
        shadow_refusals: &[ShadowRefusal { filter: "waf", reason: "score" }],
        bytes_in: 10,
        bytes_out: 2000,
        duration_us: 12_345,
        upstream_duration_us: Some(7),
        retries: 1,
        upstream_status: Some(502),
        user_agent: b"curl/8",
        referer: b"https://example.com/a?token=secret",
        cache: Some("miss"),
        consumer: "alice",
        consumer_key: "k3v9x0q2ab",
        request_headers: None,
        response_headers: None,
    }
}

#[test]
fn writes_every_field_under_its_name() {
    assert_eq!(
        parsed(&everything(), &full_record()),
        json!({
            "time": "2026-01-02T03:04:05.678Z", "request_id": "01J", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "client_ip": "192.0.2.7", "peer_ip": "2001:db8::1", "method": "GET", "scheme": "https",
            "host": "api.example.com", "path": "/orders/7", "query": "page=2", "protocol": "HTTP/2",
            "tls_version": "TLSv1.3", "tls_cipher": "TLS_AES_128_GCM_SHA256", "tls_sni": "api.example.com",
            "route": "orders", "upstream": "orders", "backend": "10.0.0.1:8080", "status": 403,
            "reason": "ip_access", "filter": "ip_access", "why": "deny_file", "findings": "card 2", "shadow_refusals": ["waf:score"], "bytes_in": 10,
            "bytes_out": 2000, "duration_ms": 12.345, "upstream_duration_ms": 0.007, "retries": 1,
            "upstream_status": 502, "user_agent": "curl/8", "referer": "https://example.com/a", "cache": "miss",
            "consumer": "alice", "consumer_key": "k3v9x0q2ab"
        })
    );
}

#[test]
fn writes_selected_fields_alone_in_their_order() {
    let selection =
        Selection { fields: vec![Field::Status, Field::Path, Field::Method], ..Selection::default() };
    assert_eq!(text(&selection, &full_record()), r#"{"status":403,"path":"/orders/7","method":"GET"}"#);
}

#[test]
fn leaves_out_what_is_not_known() {
    assert_eq!(
        text(&everything(), &AccessRecord::default()),
        r#"{"time":"1970-01-01T00:00:00.000Z","status":0,"bytes_in":0,"bytes_out":0,"duration_ms":0.000}"#
    );
}

#[test]
fn writes_no_query_referer_or_header_by_default() {
    let mut sent = HeaderMap::new();
    sent.insert("x-tenant", HeaderValue::from_static("secret"));
    let record = AccessRecord { query: b"secret", request_headers: Some(&sent), ..full_record() };
    let line = text(&Selection::default(), &record);
    assert!(line.contains("/orders/7") && !line.contains("secret"), "{line}");
}

#[test]
fn names_fields_in_a_policy_as_in_the_line() {
    let keys: Vec<&str> = Field::ALL.iter().map(|field| field.key()).collect();
    assert_eq!(serde_json::to_value(Field::ALL).unwrap(), json!(keys));
    assert_eq!(serde_json::from_value::<Vec<Field>>(json!(keys)).unwrap(), Field::ALL);
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
    let schema = serde_json::to_string(&schemars::schema_for!(Field)).unwrap();
    assert!(keys.iter().all(|key| schema.contains(&format!("\"{key}\""))), "{schema}");
}

#[test]
fn reads_a_selection_and_refuses_unknown_keys() {
    let read = |value| serde_json::from_value::<Selection>(value);
    assert_eq!(read(json!({})).unwrap(), Selection::default());
    let selection = read(json!({"fields": ["status"], "request_headers": ["x-tenant"]})).unwrap();
    assert_eq!(selection.fields, [Field::Status]);
    assert_eq!(selection.request_headers, ["x-tenant"]);
    assert!(read(json!({"fields": ["statsu"]})).is_err());
    assert!(read(json!({"feilds": []})).is_err());
}

#[test]
fn writes_headers_that_are_named() {
    let mut sent = HeaderMap::new();
    sent.insert("x-tenant", HeaderValue::from_bytes(b"a\xffb\"").unwrap());
    for part in ["one", "two", "three"] {
        sent.append("x-many", HeaderValue::from_static(part));
    }
    sent.insert("x-other", HeaderValue::from_static("not named"));
    let record = AccessRecord {
        request_headers: Some(&sent),
        response_headers: Some(&sent),
        ..AccessRecord::default()
    };
    assert_eq!(
        parsed(&headers(&["X-Tenant", "x-absent", "x-many"], &["x-tenant"]), &record),
        json!({
            "request_header.x-tenant": "a\u{fffd}b\"", "request_header.x-many": "one, two, three",
            "response_header.x-tenant": "a\u{fffd}b\""
        })
    );
    assert_eq!(text(&headers(&["x-tenant"], &[]), &AccessRecord::default()), "{}", "no headers are at hand");
}

#[test]
fn refuses_headers_that_carry_credentials_in_any_spelling() {
    for name in [
        "authorization",
        "Proxy-Authorization",
        "COOKIE",
        "Set-Cookie",
        "X-API-Key",
        "X-Auth-Token",
        "x-amz-security-token",
        "cf-access-jwt-assertion",
        "DPoP",
        "apikey",
    ] {
        assert_eq!(errors(&headers(&[name], &[])), [SelectionError::SecretHeader(name.into())]);
        assert_eq!(errors(&headers(&[], &[name])), [SelectionError::SecretHeader(name.into())]);
    }
    assert_eq!(errors(&headers(&["x-api-version"], &["content-type"])), []);
}

#[test]
fn tells_everything_that_is_wrong_at_once() {
    let selection = Selection {
        fields: vec![Field::Status, Field::Path, Field::Status],
        ..headers(&["x-a", "X-A", "no name", "cookie"], &vec!["x"; 33])
    };
    assert_eq!(
        errors(&selection),
        [
            SelectionError::RepeatedField("status"),
            SelectionError::RepeatedHeader("X-A".into()),
            SelectionError::NoHeaderName("no name".into()),
            SelectionError::SecretHeader("cookie".into()),
            SelectionError::TooManyHeaders(33),
        ]
    );
    let places: Vec<_> = misselected(&selection).into_iter().map(|wrong| wrong.at).collect();
    let expected =
        ["fields[2]", "request_headers[1]", "request_headers[2]", "request_headers[3]", "response_headers"];
    assert_eq!(places, expected);
}

#[test]
fn bounds_every_value_a_client_can_choose() {
    let long = "é".repeat(100_000);
    let mut sent = HeaderMap::new();
    for _ in 0..100 {
        sent.append("x-long", HeaderValue::from_bytes(&long.as_bytes()[..5000]).unwrap());
    }
    let refusals = [ShadowRefusal { filter: &long, reason: "r" }; 100];
    let record = AccessRecord {
        request_id: &long,
        trace_id: &long,
        method: &long,
        host: long.as_bytes(),
        path: long.as_bytes(),
        query: long.as_bytes(),
        tls_sni: &long,
        user_agent: long.as_bytes(),
        referer: long.as_bytes(),
        consumer: &long,
        consumer_key: &long,
        shadow_refusals: &refusals,
        request_headers: Some(&sent),
        ..full_record()
    };
    let selection = Selection { request_headers: vec!["x-long".into()], ..everything() };
    let value = parsed(&selection, &record);
    assert_eq!(value["user_agent"], json!("é".repeat(256)));
    assert_eq!(value["path"], json!("é".repeat(2048)));
    assert_eq!(value["request_header.x-long"], json!("é".repeat(256)));
    assert_eq!(value["shadow_refusals"].as_array().unwrap().len(), SHADOW_LIMIT);
    assert!(text(&selection, &record).len() < 20_000);
}

#[test]
fn hands_whole_lines_to_its_writer() {
    let path = std::env::temp_dir().join(format!("edgeward-access-{}", std::process::id()));
    let writer = Arc::new(LineWriter::open(&Settings::new(Destination::File(path.clone()))).unwrap());
    let selection = Selection { fields: vec![Field::Status, Field::Route], ..Selection::default() };
    let log = AccessLog::compile(&selection, writer).unwrap();
    log.write(&full_record());
    log.write(&AccessRecord { status: 200, ..full_record() });
    log.writer().flush(Duration::from_secs(20)).unwrap();
    let written = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(written, "{\"status\":403,\"route\":\"orders\"}\n{\"status\":200,\"route\":\"orders\"}\n");
}
