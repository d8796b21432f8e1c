//! The request as the upstream sees it.

use super::{ROUTE, before, sent};
use crate::harness::{Client, Edge, Origin, Reply};

#[test]
fn a_plain_request_gets_these_fields_and_no_others() {
    let seen = sent("GET /a?b HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n");
    assert_eq!(seen.line(), "GET /a?b HTTP/1.1");
    let expected =
        ["accept", "host", "traceparent", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
    assert_eq!(seen.names(), [&expected[..], &["x-request-id"]].concat());
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-host"), Some("localhost"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
}

#[test]
fn hop_by_hop_fields_stay_on_their_hop() {
    let seen = sent(
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, X-Hop, x-other\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\nTE: trailers\r\nTrailer: x\r\nX-Hop: 1\r\nX-Other: 2\r\nX-Kept: 3\r\n\
         Proxy-Authorization: Basic eA==\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    );
    let gone = ["keep-alive", "proxy-connection", "te", "x-hop", "x-other", "upgrade", "http2-settings"];
    for name in gone.into_iter().chain(["proxy-authorization", "connection", "trailer"]) {
        assert_eq!(seen.all(name), Vec::<&str>::new(), "{name}");
    }
    assert_eq!(seen.header("x-kept"), Some("3"));
}

#[test]
fn a_client_cannot_have_a_field_of_ours_taken_away() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = before(&origin);
    for name in
        ["host", "x-forwarded-for", "X-Forwarded-Proto", "content-length", "authorization", "traceparent"]
    {
        let answer = edge.client("listen").request("GET", "/", &[("Connection", name)], b"");
        assert_eq!((answer.status, answer.reason()), (400, "guarded_field_nominated".to_owned()), "{name}");
    }
    assert_eq!(origin.count(), 0);
    assert_eq!(edge.client("listen").request("GET", "/", &[("Connection", "x-request-id")], b"").status, 200);
    assert!(origin.only().header("x-request-id").is_some());
}

#[test]
fn claims_that_only_a_proxy_may_make_are_replaced() {
    let claims = [
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "Forwarded",
        "X-Real-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
        "X-Client-IP",
        "X-Cluster-Client-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "Client-Cert",
        "Client-Cert-Chain",
        "X-Request-ID",
        // The same to CGI and WSGI.
        "X_Client_IP",
        "X-Client_IP",
        "X_Host",
        "X_HTTP_Method",
    ];
    let lines: String = claims.iter().map(|name| format!("{name}: forged\r\n")).collect();
    let seen = sent(&format!("GET / HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n"));
    assert!(!seen.head.contains("forged"), "{}", seen.head);
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
}

#[test]
fn what_a_filter_says_by_such_a_name_reaches_the_upstream() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = Edge::policy(
        "listeners: [{ address: '{listen}' }]
upstreams: { app: { backends: ['{origin}'] } }
filters: [{ request_headers: { set: { x-real-ip: '{ip.src}', x-client-ip: 'by {ip.src}' } } }]
routes: [{ name: a, upstream: app }]
",
    )
    .with("origin", origin.address())
    .start();
    let forged = [("X-Real-IP", "6.6.6.6"), ("X-Forwarded-Port", "7")];
    assert_eq!(edge.client("listen").request("GET", "/", &forged, b"").status, 200);
    let seen = origin.last();
    assert_eq!((seen.all("x-real-ip"), seen.all("x-client-ip")), (vec!["127.0.0.1"], vec!["by 127.0.0.1"]));
    assert_eq!(seen.header("x-forwarded-port"), None);
}

#[test]
fn a_trace_is_continued_and_a_broken_one_begun_anew() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let seen =
        sent(&format!("GET / HTTP/1.1\r\nHost: a\r\ntraceparent: {parent}\r\ntracestate: a=1\r\n\r\n"));
    let passed = seen.header("traceparent").unwrap();
    assert_eq!((&passed[..36], &passed[52..]), (&parent[..36], "-01"));
    assert_ne!(&passed[36..52], &parent[36..52]);
    assert_eq!(seen.header("tracestate"), Some("a=1"));
    let seen = sent("GET / HTTP/1.1\r\nHost: a\r\ntraceparent: 00-xyz\r\ntracestate: a=1\r\n\r\n");
    assert!(seen.header("traceparent").unwrap().starts_with("00-") && !seen.head.contains("xyz"));
    assert_eq!(seen.header("tracestate"), None, "the state of a trace that is not continued");
}

#[test]
fn the_request_id_is_the_same_upstream_and_in_the_log_and_differs_for_each_request() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let text = format!(
        "listeners: [{{ address: '{{listen}}' }}]\naccess_log: {{ to: access.log }}\nupstreams: {{ app: {{ backends: ['{{origin}}'] }} }}\n{ROUTE}"
    );
    let edge = Edge::policy(&text).with("origin", origin.address()).start();
    let mut client = edge.client("listen");
    client.get("/one");
    client.get("/two");
    let ids: Vec<_> =
        origin.requests().iter().map(|seen| seen.header("x-request-id").unwrap().to_owned()).collect();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(edge.logged("/two", |line| line["path"] == "/two")["request_id"], ids[1].as_str());
}

#[test]
fn the_host_and_an_absolute_target_reach_the_upstream_as_one() {
    let seen = sent("GET http://api.example.com/a HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    assert_eq!((seen.line(), seen.header("host")), ("GET /a HTTP/1.1", Some("api.example.com")));
}

#[test]
fn a_request_that_names_no_host_reaches_the_upstream_by_the_name_of_the_backend() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = before(&origin);
    let mut client = edge.client("listen");
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let seen = origin.only();
    assert_eq!(seen.line(), "GET / HTTP/1.1");
    assert_eq!(
        (seen.all("host"), seen.all("x-forwarded-host")),
        (vec![&*origin.address().to_string()], vec![])
    );
}

#[test]
fn bodies_pass_with_their_framing() {
    let seen = sent("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!((seen.header("content-length"), seen.body.as_slice()), (Some("5"), &b"hello"[..]));
    assert_eq!(seen.header("transfer-encoding"), None);
    let seen = sent(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    );
    assert_eq!((seen.header("transfer-encoding"), seen.body.as_slice()), (Some("chunked"), &b"abcde"[..]));
    assert_eq!(seen.header("content-length"), None);
    let raw = String::from_utf8(seen.raw_body).unwrap();
    assert!(!raw.contains("x=y"), "chunk extensions end at this hop: {raw:?}");
    let seen = sent("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((seen.header("content-length"), seen.body.len()), (Some("0"), 0));
}

#[test]
fn expect_100_continue_is_answered_and_the_body_arrives() {
    let origin = Origin::start(|seen| Reply::text(&seen.body.len().to_string()));
    let edge = before(&origin);
    let mut client = edge.client("listen");
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    let interim = client.next_response("POST").unwrap();
    assert_eq!(interim.status, 100);
    client.send("hello");
    let answer = client.response();
    assert_eq!((answer.status, answer.text()), (200, "5".to_owned()));
    assert_eq!(origin.only().body, b"hello");
}

#[test]
fn only_a_body_is_waited_for_and_once() {
    let post = "Expect: 100-Continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello";
    for (request, expected) in [
        (format!("POST / HTTP/1.1\r\nHost: a\r\n{post}"), vec!["100-continue"]),
        (format!("POST / HTTP/1.0\r\nHost: a\r\n{post}"), vec![]),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n".to_owned(), vec![]),
    ] {
        let origin = Origin::start(|_| Reply::text("ok"));
        let edge = before(&origin);
        let mut client = edge.client("listen");
        client.send(&request);
        while client.next_response("POST").unwrap().status == 100 {}
        assert_eq!(origin.only().all("expect"), expected, "{request}");
    }
}

#[test]
fn an_unknown_expectation_is_417() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = before(&origin);
    let answer = edge.client("listen").request("GET", "/", &[("Expect", "a-miracle")], b"");
    assert_eq!(answer.status, 417);
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_trailer_that_would_frame_the_message_is_refused() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = before(&origin);
    let mut client = edge.client("listen");
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nContent-Length: 9\r\n\r\n");
    assert_eq!(client.response().status, 400);
    assert!(client.is_closed());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::start(|seen| Reply::text(seen.target()));
    let edge = before(&origin);
    let mut client = edge.client("listen");
    let all: String = (0..20).map(|at| format!("GET /{at} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    client.send(all);
    for at in 0..20 {
        assert_eq!(client.response().text(), format!("/{at}"));
    }
}

#[test]
fn connections_to_the_upstream_are_used_again() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let text = format!(
        "server: {{ drain: 200ms, workers: 1 }}\nlisteners: [{{ address: '{{listen}}' }}]\nupstreams: {{ app: {{ backends: ['{{origin}}'] }} }}\n{ROUTE}"
    );
    let edge = Edge::policy(&text).with("origin", origin.address()).start();
    for _ in 0..5 {
        assert_eq!(Client::connect(edge.address("listen")).get("/").text(), "ok");
    }
    assert_eq!(origin.connections(), 1);
}
