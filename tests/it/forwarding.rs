//! What an upstream sees of a request, and a client of a response: byte for byte where bytes matter.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request};

use crate::harness::message::Framing;
use crate::harness::{Client, Edge, Fault, H2Client, H2Origin, H2Reply, Origin, Reply, Seen, Visitor};

const ROUTE: &str = "routes: [{ name: app, match: { path: /** }, upstream: app }]\n";

fn before(origin: &Origin) -> Edge {
    let listeners = "listeners: [{ address: '{listen}' }]";
    let text = format!("{listeners}\nupstreams: {{ app: {{ backends: ['{{origin}}'] }} }}\n{ROUTE}");
    Edge::policy(&text).with("origin", origin.address()).start()
}

/// A listener for each kind of client, before an upstream that speaks `protocol`.
fn before_h2(origin: impl ToString, upstream: &str) -> Edge {
    let text = format!(
        "listeners:\n  - {{ address: '{{listen}}', h2c: true }}\n  - {{ address: '{{tls}}', tls: {{ self_signed: [localhost] }} }}\n\
         upstreams: {{ app: {{ backends: ['{{origin}}'], {upstream} }} }}\n{ROUTE}"
    );
    Edge::policy(&text).with("origin", origin).start()
}

/// What the origin got for these bytes.
fn sent(request: &str) -> Seen {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = before(&origin);
    let mut client = edge.client("listen");
    client.send(request);
    assert_eq!(client.response().status, 200);
    origin.only()
}

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
    ];
    let lines: String = claims.iter().map(|name| format!("{name}: forged\r\n")).collect();
    let seen = sent(&format!("GET / HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n"));
    assert!(!seen.head.contains("forged"), "{}", seen.head);
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
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
fn an_unknown_expectation_is_417() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = before(&origin);
    let answer = edge.client("listen").request("GET", "/", &[("Expect", "a-miracle")], b"");
    assert_eq!(answer.status, 417);
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_head_request_has_the_headers_and_no_body() {
    let origin = Origin::start(|seen| match seen.method() {
        "HEAD" => Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-test-a: b\r\n\r\n"),
        _ => Reply::text("hello"),
    });
    let edge = before(&origin);
    let mut client = edge.client("listen");
    let head = client.request("HEAD", "/", &[], b"");
    assert_eq!(
        (head.header("content-length"), head.header("x-test-a"), head.body.len()),
        (Some("5"), Some("b"), 0)
    );
    assert_eq!(client.get("/").text(), "hello", "the connection goes on");
}

#[test]
fn statuses_without_bodies_have_none() {
    let origin = Origin::start(|seen| match seen.target() {
        "/204" => Reply::status(204, &[], ""),
        _ => Reply::raw("HTTP/1.1 304 Not Modified\r\nx-test-a: b\r\n\r\n"),
    });
    let edge = before(&origin);
    let mut client = edge.client("listen");
    for (path, status) in [("/204", 204), ("/304", 304), ("/204", 204)] {
        let answer = client.get(path);
        assert_eq!((answer.status, answer.body.len()), (status, 0));
        assert!(answer.header("transfer-encoding").is_none(), "{answer:?}");
    }
}

#[test]
fn interim_responses_pass_before_the_final_one() {
    let origin = Origin::start(|_| {
        Reply::raw("HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n")
            .then("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    });
    let edge = before(&origin);
    let mut client = edge.client("listen").allow(&["link"]);
    let answer = client.get("/");
    assert_eq!(answer.text(), "ok");
    assert_eq!(client.interim.len(), 1);
    assert_eq!(client.interim[0].header("link"), Some("</a.css>; rel=preload"));
}

/// Pingora reads trailers of HTTP/1 and drops them, as RFC 9110 section 6.5.1 lets a recipient do. What must not happen
/// is that they become header fields, or that the body suffers.
#[test]
fn trailers_of_http1_end_here_and_the_body_stays_whole() {
    let origin = Origin::start(|_| {
        let trailer = [("trailer", "x-test-sum")];
        Reply::chunked(&trailer, &[b"hello ", b"world"], &[("x-test-sum", "11")])
    });
    let edge = before(&origin);
    let mut client = edge.client("listen").allow(&["trailer"]);
    let request =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n";
    for _ in 0..2 {
        client.send(request);
        let answer = client.response();
        assert_eq!((answer.text(), answer.framing), ("hello world".to_owned(), Framing::Chunked));
        assert_eq!((answer.header("x-test-sum"), answer.trailers.len()), (None, 0));
        let seen = origin.last();
        assert_eq!((seen.header("x-sum"), seen.body.as_slice(), seen.trailers.len()), (None, &b"a"[..], 0));
    }
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
fn trailers_of_http2_do_not_disturb_a_client_of_http1() {
    let origin = H2Origin::cleartext(|_| H2Reply::grpc(b"data", 0));
    let edge = before_h2(origin.address(), "protocol: http2");
    let mut client = edge.client("listen").allow(&["trailer"]);
    for _ in 0..2 {
        let answer = client.get("/");
        assert_eq!((answer.status, &answer.body[5..]), (200, &b"data"[..]));
    }
}

#[test]
fn hop_by_hop_fields_of_responses_stay_on_their_hop() {
    let origin = Origin::start(|_| {
        let headers = [
            ("connection", "x-test-hop"),
            ("x-test-hop", "1"),
            ("keep-alive", "timeout=9"),
            ("x-test-kept", "2"),
        ];
        Reply::status(200, &headers, "ok")
    });
    let edge = before(&origin);
    let answer = edge.client("listen").get("/");
    assert_eq!((answer.header("x-test-hop"), answer.header("x-test-kept")), (None, Some("2")));
    assert_eq!(answer.header("keep-alive"), None);
}

#[test]
fn a_client_of_http_1_0_gets_no_chunks() {
    let origin = Origin::start(|_| Reply::chunked(&[], &[b"hello ", b"world"], &[]));
    let edge = before(&origin);
    let mut client = edge.client("listen");
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    let answer = client.response();
    assert_eq!((answer.text(), answer.framing), ("hello world".to_owned(), Framing::Close));
    assert_eq!(answer.header("transfer-encoding"), None);
}

#[test]
fn a_client_of_http_1_0_may_keep_its_connection() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = before(&origin);
    let mut client = edge.client("listen");
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().text(), "ok");
    assert!(client.is_closed());
    assert_eq!(origin.only().line(), "GET / HTTP/1.1");
}

#[test]
fn a_body_that_ends_with_the_connection_is_passed_on_whole() {
    let origin = Origin::start(|_| Reply::raw("HTTP/1.1 200 OK\r\n\r\nto the end").close());
    let edge = before(&origin);
    let mut client = edge.client("listen");
    let answer = client.get("/");
    assert_eq!((answer.text(), answer.framing), ("to the end".to_owned(), Framing::Chunked));
    assert_eq!(client.get("/").text(), "to the end");
}

#[test]
fn a_response_cut_short_is_cut_short_for_the_client_too() {
    let origin = Origin::start(|seen| match seen.target() {
        "/length" => Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").close(),
        _ => Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n").close(),
    });
    let edge = before(&origin);
    for path in ["/length", "/chunked"] {
        let mut client = edge.client("listen");
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let fault = client.try_response("GET").unwrap_err();
        assert!(matches!(fault, Fault::Cut(_) | Fault::Closed), "{path}: {fault:?}");
    }
}

#[test]
fn large_bodies_pass_both_ways() {
    let origin = Origin::start(|seen| Reply::status(200, &[], &seen.body));
    let edge = before(&origin);
    let body: Vec<u8> = (0..8_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut client = edge.client("listen");
    // Answers come only once the whole body has been read, so writing first and reading then cannot block.
    let answer = client.request("POST", "/", &[], &body);
    assert!(answer.body == body, "{} of {} bytes", answer.body.len(), body.len());
    let h2 = H2Client::tls(
        before_h2(origin.address(), "protocol: http1").address("tls"),
        &Visitor::named("localhost"),
    );
    drop(h2);
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
fn an_early_answer_reaches_the_client_that_is_still_sending() {
    let origin = Origin::start_eager(|_| Reply::status(401, &[("connection", "close")], "no").close());
    let edge = before(&origin);
    let mut client = edge.client("listen");
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nfirst");
    let answer = client.response();
    assert_eq!((answer.status, answer.text()), (401, "no".to_owned()));
}

#[test]
fn http2_clients_reach_http1_upstreams() {
    let origin = Origin::start(|seen| Reply::status(200, &[("x-test-a", "b")], &seen.body));
    let edge = before_h2(origin.address(), "protocol: http1");
    let client = H2Client::tls(edge.address("tls"), &Visitor::named("localhost"));
    let request = Request::post("https://localhost/a?b")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let body = vec![b'x'; 300_000];
    let answer = client.request(request, &body, None);
    assert_eq!((answer.status, answer.header("x-test-a")), (200, Some("b")));
    assert!(answer.body == body);
    let seen = origin.only();
    assert_eq!((seen.line(), seen.header("host")), ("POST /a?b HTTP/1.1", Some("localhost")));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("cookie"), Some("a=1; b=2"), "one field over HTTP/1 (RFC 9113 section 8.2.3)");
    assert_eq!(seen.header("te"), None);
}

#[test]
fn large_bodies_pass_both_ways_over_http2() {
    let origin = H2Origin::cleartext(|seen| H2Reply { body: seen.body.clone(), ..H2Reply::text("") });
    let edge = before_h2(origin.address(), "protocol: http2");
    let client = H2Client::tls(edge.address("tls"), &Visitor::named("localhost"));
    let body: Vec<u8> = (0..6_000_000_u32).map(|at| (at % 251) as u8).collect();
    let request = Request::post("https://localhost/").body(()).unwrap();
    let answer = client.request(request, &body, None);
    assert!(answer.body == body, "{} of {} bytes", answer.body.len(), body.len());
}

#[test]
fn many_streams_are_served_side_by_side() {
    let origin = Origin::start(|seen| Reply::text(seen.target()).after(Duration::from_millis(100)));
    let edge = before_h2(origin.address(), "protocol: http1");
    let client = H2Client::tls(edge.address("tls"), &Visitor::named("localhost"));
    let start = std::time::Instant::now();
    let requests = (0..30).map(|at| Request::get(format!("https://localhost/{at}")).body(()).unwrap());
    for (at, answer) in client.all(requests.collect()).into_iter().enumerate() {
        assert_eq!(answer.unwrap().text(), format!("/{at}"));
    }
    assert!(start.elapsed() < Duration::from_millis(2500), "one after the other: {:?}", start.elapsed());
}

#[test]
fn http1_clients_reach_http2_upstreams() {
    let origin = H2Origin::cleartext(|seen| H2Reply::text(&String::from_utf8_lossy(&seen.body)));
    let edge = before_h2(origin.address(), "protocol: http2");
    let mut client = edge.client("listen");
    let headers = [("Connection", "keep-alive, x-hop"), ("X-Hop", "1"), ("Keep-Alive", "5"), ("X-Kept", "2")];
    assert_eq!(client.request("POST", "/a?b", &headers, b"said").text(), "said");
    let seen = origin.only();
    assert_eq!(seen.head.uri.path_and_query().unwrap().as_str(), "/a?b");
    assert_eq!(seen.head.uri.authority().unwrap().as_str(), "localhost");
    assert_eq!(
        (seen.header("x-hop"), seen.header("keep-alive"), seen.header("connection")),
        (None, None, None)
    );
    assert_eq!(seen.header("x-kept"), Some("2"));
    assert_eq!(client.request("HEAD", "/", &[], b"").body.len(), 0);
}

#[test]
fn grpc_passes_with_its_trailers() {
    let origin = H2Origin::cleartext(|seen| H2Reply::grpc(seen.body.get(5..).unwrap_or_default(), 0));
    let edge = before_h2(origin.address(), "protocol: grpc");
    let client = H2Client::cleartext(edge.address("listen"));
    let call = |trailers: Option<HeaderMap>| {
        let request = Request::post("http://localhost/orders.v1.Orders/Get")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        client.request(request, b"\0\0\0\0\x04data", trailers)
    };
    let answer = call(None);
    assert_eq!((answer.status, &answer.body[5..]), (200, &b"data"[..]));
    assert_eq!(answer.trailers.unwrap().get("grpc-status").unwrap(), "0");
    assert_eq!(origin.only().header("te"), Some("trailers"));
    // Pingora passes no trailers of requests on, which a recipient may do (RFC 9110 section 6.5.1); gRPC has none.
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("4"))]);
    assert_eq!(call(Some(trailers)).status, 200);
    assert_eq!(&origin.requests().pop().unwrap().body[5..], b"data");
}

#[test]
fn slow_answers_are_waited_for() {
    let origin = Origin::start(|_| Reply::text("late").after(Duration::from_millis(300)));
    let edge = before(&origin);
    assert_eq!(edge.client("listen").get("/").text(), "late");
}

#[test]
fn pieces_of_a_stream_are_passed_on_as_they_come() {
    let origin = Origin::start(|_| {
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            .wait(Duration::from_millis(50))
            .then("8\r\ndata: 1\n\r\n")
            .hold()
    });
    let edge = before(&origin);
    let mut client = edge.client("listen");
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.take_to(b"\r\n\r\n").unwrap();
    client.take_to(b"8\r\ndata: 1\n\r\n").unwrap();
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
