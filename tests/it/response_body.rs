//! `response_body`: what a backend says and should not, between it and a real client.

use std::io::{Read, Write};
use std::time::Duration;

use crate::harness::{Edge, Fault, H2Client, H2Origin, H2Reply, Origin, Reply};

const PAN: &str = "4111111111111111";
const SHORT: &str = "************1111";
const JSON: (&str, &str) = ("content-type", "application/json");
const TEXT: (&str, &str) = ("content-type", "text/plain");

/// A route with this filter before a backend.
fn edge(spec: &str, origin: &Origin) -> Edge {
    policy(&format!("{{ response_body: {spec} }}"), &origin.address().to_string(), "http1")
}

fn policy(filters: &str, origin: &str, protocol: &str) -> Edge {
    Edge::policy(&format!(
        "server: {{ drain: 200ms }}
admin: {{ address: '{{admin}}' }}
access_log: {{ to: access.log }}
listeners: [{{ address: '{{listen}}', h2c: true }}]
upstreams: {{ app: {{ backends: ['{origin}'], protocol: {protocol} }} }}
routes: [{{ name: app, match: {{ path: /** }}, upstream: app, filters: [{filters}] }}]
"
    ))
    .start()
}

fn saying(headers: &'static [(&'static str, &'static str)], body: &'static str) -> Origin {
    Origin::start(move |_| Reply::status(200, headers, body))
}

#[test]
fn what_is_found_is_masked_counted_and_logged() {
    let origin = saying(&[JSON], r#"{"pan":"4111111111111111","iban":"DE89370400440532013000","id":7}"#);
    let edge = edge("{}", &origin);
    let answer = edge.client("listen").request(
        "GET",
        "/",
        &[("Accept-Encoding", "gzip"), ("Range", "bytes=0-3")],
        b"",
    );
    assert_eq!(answer.text(), r#"{"pan":"************1111","iban":"DE****************3000","id":7}"#);
    assert_eq!(answer.header("content-length"), Some("65"));
    let seen = origin.only();
    assert_eq!((seen.header("accept-encoding"), seen.header("range")), (Some("identity"), None));
    let line = edge.logged("the request", |line| line["status"] == 200);
    assert_eq!(line["findings"], "card 1, iban 1");
    edge.wait_for_sum("edgeward_response_findings_total", &["app", "card", "mask"], 1.0);
}

#[test]
fn a_card_is_found_wherever_the_backend_cuts_it() {
    let origin = Origin::start(|seen| {
        let at: usize = seen.target()[1..].parse().unwrap();
        let text = format!("card {PAN}, please");
        let (front, back) = text.as_bytes().split_at(at);
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n")
            .then(chunk(front))
            .wait(Duration::from_millis(5))
            .then([chunk(back), b"0\r\n\r\n".to_vec()].concat())
    });
    let edge = edge("{}", &origin);
    let mut client = edge.client("listen");
    for at in 1..28 {
        assert_eq!(client.get(&format!("/{at}")).text(), format!("card {SHORT}, please"), "cut at {at}");
    }
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

#[test]
fn what_is_blocked_is_a_502_or_is_cut_off() {
    let origin = Origin::start(|seen| match seen.target() {
        "/short" => Reply::status(200, &[TEXT], format!("card {PAN}")),
        "/early" => Reply::raw("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 21\r\n\r\n")
            .wait(Duration::from_millis(50))
            .then(format!("card {PAN}")),
        _ => Reply::raw("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n")
            .then(chunk(b"a line\n"))
            .wait(Duration::from_millis(50))
            .then(chunk(format!("card {PAN}\n").as_bytes()))
            .then("0\r\n\r\n"),
    });
    let edge = edge("{ actions: { card: block } }", &origin);
    for path in ["/short", "/early"] {
        let refused = edge.client("listen").get(path);
        assert_eq!((refused.status, refused.reason()), (502, "response_blocked".to_owned()), "{path}");
    }
    let line = edge.logged("the refusal", |line| line["path"] == "/short");
    assert_eq!(
        (&line["reason"], &line["why"], &line["findings"]),
        (&"response_blocked".into(), &"card".into(), &"card 1".into())
    );
    let mut client = edge.client("listen");
    client.send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
    let Err(Fault::Cut(told)) = client.try_response("GET") else { panic!("it was not cut") };
    let told = String::from_utf8(told).unwrap();
    assert!(!told.contains("4111"), "{told}");
    let line = edge.logged("the cut", |line| line["path"] == "/long");
    assert_eq!(line["reason"], "response_blocked");
    edge.wait_for_sum("edgeward_refusals_total", &["response_blocked"], 3.0);
}

#[test]
fn trailers_end_what_is_looked_at_and_what_is_compressed() {
    let origin = H2Origin::cleartext(|_| {
        let mut reply = H2Reply::text(&format!("card {PAN}, {}", "and so on ".repeat(200)));
        reply.trailers = vec![("x-test-sum", "1".into())];
        reply
    });
    let edge = policy("{ compress: {} }, { response_body: {} }", &origin.address().to_string(), "http2");
    let expected = format!("card {SHORT}, {}", "and so on ".repeat(200));
    assert_eq!(edge.client("listen").allow(&["vary"]).get("/").text(), expected);
    let mut client = edge.client("listen").allow(&["content-encoding", "vary"]);
    let compressed = client.request("GET", "/", &[("Accept-Encoding", "gzip")], b"");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*compressed.body).read_to_string(&mut text).unwrap();
    assert_eq!(text, expected);
}

#[test]
fn fields_of_json_are_masked_removed_and_allowed() {
    let origin = saying(
        &[JSON, ("etag", "\"v1\"")],
        r#"{"id":7,"user":{"name":"Al","mail":"a@b"},"items":[{"sku":"x","cost":9}]}"#,
    );
    let spec = "{ json: { mask: [/user/mail], remove: ['/items/*/cost'], allow: [/id, /user, /items] } }";
    let edge = edge(spec, &origin);
    let answer = edge.client("listen").allow(&["etag"]).get("/");
    assert_eq!(answer.text(), r#"{"id":7,"user":{"name":"Al","mail":"***"},"items":[{"sku":"x"}]}"#);
    assert_eq!((answer.header("content-length"), answer.header("etag")), (None, Some("\"v1\"")));
    let head = edge.client("listen").allow(&["etag"]).request("HEAD", "/", &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, None));
    edge.wait_for_sum("edgeward_response_findings_total", &["field", "remove"], 1.0);
}

#[test]
fn errors_and_stack_traces_do_not_get_out() {
    let trace = "oops\n\tat com.example.Shop.sell(Shop.java:12)\n";
    let origin = Origin::start(move |seen| match seen.target() {
        "/500" => Reply::status(500, &[TEXT], trace),
        _ => Reply::status(400, &[TEXT], trace),
    });
    let edge = edge("{}", &origin);
    let error = edge.client("listen").get("/500");
    assert_eq!((error.status, error.reason()), (500, "upstream_error".to_owned()));
    let other = edge.client("listen").get("/400");
    assert_eq!(other.status, 400);
    assert!(other.text().starts_with("oops\n\t") && !other.text().contains("Shop"), "{}", other.text());
    edge.wait_for_sum("edgeward_response_findings_total", &["error", "replace"], 1.0);
}

#[test]
fn what_comes_compressed_is_decoded_and_may_be_compressed_again() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(format!("card {PAN}\n").repeat(50).as_bytes()).unwrap();
    let body = encoder.finish().unwrap();
    let origin = Origin::start(move |_| Reply::status(200, &[TEXT, ("content-encoding", "gzip")], &body));
    let edge = policy(
        "{ compress: { min_size: 1B } }, { response_body: {} }",
        &origin.address().to_string(),
        "http1",
    );
    let plain = edge.client("listen").get("/");
    assert_eq!(plain.text(), format!("card {SHORT}\n").repeat(50));
    let zipped = edge.client("listen").allow(&["content-encoding"]).request(
        "GET",
        "/",
        &[("Accept-Encoding", "gzip")],
        b"",
    );
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*zipped.body).read_to_string(&mut text).unwrap();
    assert_eq!(text, format!("card {SHORT}\n").repeat(50));
}

#[test]
fn events_do_not_wait() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let origin =
        Origin::start(move |_| Reply::raw(head).then(chunk(format!("data: {PAN}\n\n").as_bytes())).hold());
    let edge = edge("{}", &origin);
    let mut client = edge.client("listen");
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let told = client.take_to(b"1111\n\n").unwrap();
    assert!(String::from_utf8(told).unwrap().contains(&format!("data: {SHORT}\n\n")));
}

#[test]
fn in_shadow_all_goes_out_and_is_counted() {
    let origin = saying(&[JSON], r#"{"pan":"4111111111111111"}"#);
    let edge = edge("{ action: block, json: { remove: [/x] }, mode: shadow }", &origin);
    let answer = edge.client("listen").request("GET", "/", &[("Accept-Encoding", "br")], b"");
    assert_eq!((answer.text().contains(PAN), answer.header("content-length")), (true, Some("26")));
    assert_eq!(origin.only().header("accept-encoding"), Some("br"));
    let line = edge.logged("the request", |line| line["status"] == 200);
    assert_eq!(
        (&line["findings"], &line["shadow_refusals"][0]),
        (&"card 1".into(), &"response_body:response_blocked".into())
    );
    edge.wait_for_sum("edgeward_response_findings_total", &["card", "report"], 1.0);
    edge.wait_for_sum("edgeward_shadow_refusals_total", &["response_blocked"], 1.0);
}

#[test]
fn it_is_the_same_over_http2() {
    let origin = H2Origin::cleartext(|seen| match seen.head.uri.path() {
        "/ok" => H2Reply::text(&format!("card {PAN}")),
        _ => H2Reply::text("ghp_aB3dE5gH7jaB3dE5gH7jaB3dE5gH7jaB3dE5"),
    });
    let edge =
        policy("{ response_body: { actions: { github: block } } }", &origin.address().to_string(), "http2");
    let client = H2Client::cleartext(edge.address("listen"));
    assert_eq!(client.get("/ok").text(), format!("card {SHORT}"));
    let request = http::Request::get("http://a/token").body(()).unwrap();
    let refused = client.try_request(request, b"", None);
    assert!(refused.map_or(true, |answer| answer.status == 502 && !answer.text().contains("aB3")));
    edge.logged("the refusal", |line| line["reason"] == "response_blocked");
}

#[test]
fn a_long_answer_is_masked_whole() {
    let line =
        format!("{{\"id\": 1, \"text\": \"{}\", \"pan\": {PAN}}},\n", "the quick brown fox ".repeat(20));
    let body = format!("[{}null]", line.repeat(5000));
    let expected = body.replace(PAN, "1000000000001111");
    let origin = Origin::start(move |_| Reply::status(200, &[JSON], &body));
    let edge = edge("{}", &origin);
    let answer = edge.client("listen").get("/");
    assert!(answer.text() == expected, "{} bytes", answer.body.len());
    edge.wait_for_sum("edgeward_response_findings_total", &["card"], 5000.0);
}

#[test]
fn what_is_stored_is_looked_at_for_each_client() {
    let fresh = ("cache-control", "max-age=60");
    let origin = Origin::start(move |seen| match seen.target() {
        "/pan" => Reply::status(200, &[JSON, fresh], format!("{{\"pan\":\"{PAN}\"}}")),
        "/token" => Reply::status(200, &[JSON, fresh], "[\"ghp_aB3dE5gH7jaB3dE5gH7jaB3dE5gH7jaB3dE5\"]"),
        _ => Reply::status(200, &[TEXT, fresh], "no JSON"),
    });
    let spec =
        "{ response_body: { json: { allow: [/pan, /*] }, actions: { github: block } } }, { cache: {} }";
    let edge = policy(spec, &origin.address().to_string(), "http1");
    for _ in 0..2 {
        let mut client = edge.client("listen").allow(&["cache-status", "age", "cache-control"]);
        assert_eq!(client.get("/pan").text(), format!("{{\"pan\":\"{SHORT}\"}}"));
        // The first time, its head may have gone.
        let mut client = edge.client("listen").allow(&["cache-status", "age", "cache-control"]);
        client.send("GET /token HTTP/1.1\r\nHost: a\r\n\r\n");
        match client.try_response("GET") {
            Ok(answer) => assert_eq!((answer.status, answer.reason()), (502, "response_blocked".to_owned())),
            Err(fault) => assert!(matches!(fault, Fault::Cut(_)), "{fault:?}"),
        }
        let text = edge.client("listen").allow(&["cache-control"]).get("/text");
        assert_eq!((text.status, text.reason()), (502, "response_not_json".to_owned()));
    }
    assert_eq!(origin.requests().len(), 3, "the rest came from the cache");
}

#[test]
fn of_what_is_stored_no_part_is_cut_before_it_was_looked_at() {
    let headers = [TEXT, ("cache-control", "max-age=60"), ("etag", "\"a\"")];
    let origin = Origin::start(move |_| Reply::status(200, &headers, format!("card {PAN}.")));
    for (filters, status, text) in [
        ("{ cache: {} }, { response_body: {} }", 200, format!("card {SHORT}.")),
        ("{ response_body: {} }, { cache: {} }", 200, format!("card {SHORT}.")),
        ("{ cache: {} }, { response_body: { mode: shadow } }", 206, "card 41111111".to_owned()),
    ] {
        let edge = policy(filters, &origin.address().to_string(), "http1");
        let range = [("range", "bytes=0-12"), ("if-range", "\"a\"")];
        for _ in 0..2 {
            let mut client = edge.client("listen").allow(&[
                "cache-status",
                "age",
                "cache-control",
                "etag",
                "content-range",
            ]);
            let answer = client.request("GET", "/", &range, b"");
            assert_eq!((answer.status, answer.text()), (status, text.clone()), "{filters}");
        }
    }
    assert_eq!(origin.count(), 3, "the second time they came from the cache");
}

#[test]
fn rules_for_json_hold_where_an_answer_does_not_say_what_it_is() {
    let origin = Origin::start(|seen| {
        let body = match seen.target() {
            "/json" => r#"{"pw":"secret","cost":1}"#,
            "/broken" => r#"{"pw":"secret"} {"pw":"#,
            "/list" => "[INFO] all is well",
            _ => "tru story, 12 times",
        };
        Reply::status(200, &[], body)
    });
    let edge = edge("{ json: { mask: [/pw], remove: [/cost] } }", &origin);
    for (path, text) in [
        ("/json", r#"{"pw":"******"}"#),
        ("/broken", r#"{"pw":"******"} {"pw":"#),
        ("/list", "[INFO] all is well"),
        ("/text", "tru story, 12 times"),
    ] {
        let answer = edge.client("listen").get(path);
        assert_eq!((answer.status, answer.text().as_str()), (200, text), "{path}");
    }
    edge.wait_for_sum("edgeward_response_findings_total", &["field"], 3.0);
    assert_eq!(edge.metrics().sum("edgeward_response_findings_total", &["unreadable"]), 0.0);
}
