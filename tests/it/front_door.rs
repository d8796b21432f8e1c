//! What the door does with requests that are well-formed: limits, half-closed clients, upgrades that are not served,
//! expectations, and that nothing is held back.

use std::time::Duration;

use crate::harness::{Client, Edge, Fault, H2Client, Origin, Reply};

const POLICY: &str = r#"
listeners:
  - address: "{listen}"
    limits:
      { uri: 100B, headers: 10, header_bytes: 600B, body: 1000B, methods: [PROPFIND], requests_per_connection: 3 }
  - { address: "{h2c}", h2c: true }
upstreams:
  origin: { backends: ["{origin}"] }
routes: [{ name: all, upstream: origin }]
access_log: { to: "{dir}/access.log" }
"#;

fn start() -> (Origin, Edge) {
    serving(|_| Reply::text("ok"))
}

fn serving(script: impl Fn(&crate::harness::Seen) -> Reply + Send + Sync + 'static) -> (Origin, Edge) {
    let origin = Origin::start(script);
    let edge = Edge::policy(POLICY).with("origin", origin.address()).start();
    (origin, edge)
}

fn status(edge: &Edge, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> u16 {
    edge.client("listen").request(method, target, headers, body).status
}

#[test]
fn quotes_angles_and_backticks_in_a_target_reach_the_backend_escaped() {
    let (origin, edge) = start();
    let mut client = edge.client("listen");
    for _ in 0..2 {
        let answer = client.request("POST", "/`a?q=<b>\"c\"", &[], b"<body>");
        assert_eq!(answer.status, 200);
        assert_eq!(
            (origin.last().target(), &origin.last().body[..]),
            ("/%60a?q=%3Cb%3E%22c%22", &b"<body>"[..])
        );
    }
    assert_eq!(status(&edge, "GET", "/< >", &[], b""), 400);
    assert_eq!(origin.count(), 2);
}

#[test]
fn each_limit_has_its_status() {
    let (origin, edge) = start();
    let path = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
    let many = |count| vec![("X-A", "b"); count];
    let wide = |bytes| "v".repeat(bytes);
    for (method, target, headers, body, expected) in [
        ("GET", path(100), vec![], 0, 200),
        ("GET", path(101), vec![], 0, 414),
        ("GET", path(9), many(9), 0, 200),
        ("GET", path(9), many(10), 0, 431),
        ("GET", path(9), vec![("X", &*wide(500))], 0, 200),
        ("GET", path(9), vec![("X", &*wide(600))], 0, 431),
        ("POST", path(9), vec![], 1000, 200),
        ("POST", path(9), vec![], 1001, 413),
        ("PROPFIND", path(9), vec![], 0, 200),
        ("PROPPATCH", path(9), vec![], 0, 501),
        ("CONNECT", "h:443".into(), vec![("Host", "h:443")], 0, 501),
        ("POST", path(9), vec![("Expect", "tea")], 1, 417),
    ] {
        let sent = vec![b'x'; body];
        assert_eq!(
            status(&edge, method, &target, &headers, &sent),
            expected,
            "{method} {target} {headers:?} {body}"
        );
    }
    assert_eq!(origin.count(), 5);
    let line = edge.logged("the refusal of CONNECT", |line| line["reason"] == "connect");
    assert_eq!(line["status"], 501);
    let line = edge.logged("a refused head", |line| line["reason"] == "target_too_long");
    assert_eq!(line["client_ip"], "127.0.0.1", "also whom the parser never saw is told by its address");
}

#[test]
fn a_chunked_body_is_cut_at_its_limit() {
    let (origin, edge) = start();
    let send = |chunks: usize| {
        let mut client = edge.client("listen");
        let body = format!("64\r\n{}\r\n", "x".repeat(100)).repeat(chunks);
        client
            .send(format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}0\r\n\r\n"));
        client.response().status
    };
    assert_eq!(send(10), 200);
    assert_eq!(send(11), 413);
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_client_in_the_middle_of_its_upload_still_reads_why_it_was_refused() {
    let (_origin, edge) = start();
    let mut client = edge.client("listen");
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50000000\r\n\r\n");
    let piece = vec![b'x'; 65_536];
    for _ in 0..100 {
        client.try_send(&piece).expect("the connection is not reset while there is an answer to read");
    }
    assert_eq!(client.response().status, 413);
}

#[test]
fn the_log_tells_what_was_refused_unread() {
    let (_origin, edge) = start();
    for (request, expected) in [
        ("BREW /pot?secret HTTP/1.1\r\nHost: Tea:80\r\n\r\n", ["BREW", "/pot", "tea"]),
        ("GET /a%00 HTTP/1.1\r\nHost: h\r\n\r\n", ["GET", "/a%00", "h"]),
        ("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", ["POST", "/b", "h"]),
        ("OPTIONS * HTTP/1.1\r\nHost: stars\r\n\r\n", ["OPTIONS", "*", "stars"]),
    ] {
        edge.client("listen").send(request);
        let line = edge.logged(request, |line| line["path"] == expected[1]);
        assert_eq!([&line["method"], &line["path"], &line["host"]], expected, "{line}");
        assert!(!line.to_string().contains("secret"));
    }
    let h2 = H2Client::cleartext(edge.address("h2c"));
    assert_eq!(
        h2.request(
            http::Request::builder().method("BREW").uri("http://coffee/two").body(()).unwrap(),
            b"",
            None
        )
        .status,
        501
    );
    assert_eq!(edge.logged("over HTTP/2", |line| line["path"] == "/two")["host"], "coffee");
}

#[test]
fn the_last_request_that_a_connection_may_carry_ends_it() {
    let (_origin, edge) = start();
    let mut client = edge.client("listen");
    for expected in ["keep-alive", "keep-alive", "close"] {
        assert_eq!(client.get("/").header("connection"), Some(expected));
    }
    assert!(client.is_closed());
}

#[test]
fn a_client_that_says_no_more_still_gets_its_answers() {
    let (origin, edge) = serving(|_| Reply::text("ok").after(Duration::from_millis(100)));
    for requests in
        ["GET / HTTP/1.1\r\nHost: h\r\n\r\n", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"]
    {
        let mut client = edge.client("listen");
        client.send(requests.repeat(2));
        client.finish();
        assert_eq!((client.response().text(), client.response().text()), ("ok".into(), "ok".into()));
        assert!(client.is_closed());
    }
    assert_eq!(origin.count(), 4);
}

#[test]
fn half_a_request_is_never_taken_for_a_whole_one() {
    let (origin, edge) = start();
    for (half, reason) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n", "incomplete_head"),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhello", "incomplete_body"),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "incomplete_body"),
    ] {
        let mut client = edge.client("listen");
        client.send(half);
        client.finish();
        let response = client.response();
        assert_eq!((response.status, response.reason()), (400, reason.to_owned()));
        assert!(client.is_closed());
    }
    assert_eq!(origin.count(), 0, "the origin counts whole requests");
}

#[test]
fn upgrades_that_are_not_served_are_not_offered_to_the_backend() {
    let (origin, edge) = start();
    for (method, upgrade, connection, expected) in [
        ("GET", "websocket", "Upgrade", Some("websocket")),
        ("GET", "WebSocket", "keep-alive, upgrade", Some("websocket")),
        ("GET", "websocket", "keep-alive", None),
        ("POST", "websocket", "upgrade", None),
        ("GET", "websocket, h2c", "upgrade", None),
        ("GET", "h2c", "upgrade, http2-settings", None),
        ("GET", "TLS/1.2", "upgrade", None),
    ] {
        let headers = [("Upgrade", upgrade), ("Connection", connection), ("HTTP2-Settings", "AAMAAABk")];
        let mut client = edge.client("listen");
        // Not answered by 101, it is a request like any other, and others may follow.
        assert_eq!(client.request(method, "/", &headers, b"").status, 200);
        assert_eq!(origin.last().header("upgrade"), expected, "{method} {upgrade} {connection}");
        assert_eq!(origin.last().header("http2-settings"), None);
        assert_eq!(client.get("/").status, 200);
    }
}

#[test]
fn more_than_one_trace_parent_counts_as_none() {
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (origin, edge) = start();
    let trace = |headers: &[(&str, &str)]| {
        edge.client("listen").request("GET", "/", headers, b"");
        let seen = origin.last();
        (seen.header("traceparent").unwrap()[3..35].to_owned(), seen.header("tracestate").map(str::to_owned))
    };
    let (id, state) = trace(&[("traceparent", PARENT), ("tracestate", "a=b")]);
    assert_eq!((&*id, state.as_deref()), (&PARENT[3..35], Some("a=b")));
    let (id, state) = trace(&[("traceparent", PARENT), ("traceparent", PARENT), ("tracestate", "a=b")]);
    assert_ne!(id, PARENT[3..35]);
    assert_eq!(state, None);
}

#[test]
fn a_client_that_waits_for_100_gets_it_before_its_body_is_there() {
    let (origin, edge) = start();
    let mut client = edge.client("listen");
    client.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.next_response("POST").unwrap().status, 100);
    client.send("hello");
    assert_eq!(client.response().status, 200);
    assert_eq!(origin.only().body, b"hello");
}

#[test]
fn what_a_backend_streams_is_passed_on_at_once() {
    const HEAD: &str =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (_origin, edge) = serving(|seen| match seen.target() {
        "/head" => Reply::raw(HEAD).hold(),
        "/event" => Reply::raw(HEAD).then("6\r\ndata:a\r\n").hold(),
        _ => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ndata:a").hold(),
    });
    // The backend says no more, so only what is not held back can arrive.
    for (path, last) in [("/head", "\r\n\r\n"), ("/event", "data:a\r\n"), ("/sized", "data:a")] {
        let mut client = edge.client("listen");
        client.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert!(client.take_to(last.as_bytes()).is_ok(), "{path}");
    }
}

#[test]
fn bodies_of_every_size_around_a_record_pass_whole() {
    let (_origin, edge) = serving(|seen| Reply::text(&"x".repeat(seen.target()[1..].parse().unwrap())));
    let mut client: Client = edge.client("listen");
    for (place, size) in
        [0, 1, 4_000, 16_200, 16_384, 16_385, 65_536, 65_537, 1_000_000].into_iter().enumerate()
    {
        if place % 3 == 0 {
            client = edge.client("listen");
        }
        assert_eq!(client.get(&format!("/{size}")).body.len(), size);
    }
}

#[test]
fn a_client_that_is_gone_stops_the_request_after_a_while() {
    // The backend would never answer. A client that merely says no more is given some time to listen.
    let (origin, edge) = serving(|_| Reply::nothing().hold());
    let mut client = edge.client("listen").patience(Duration::from_millis(300));
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    client.finish();
    assert!(matches!(client.try_response("GET"), Err(Fault::Silence(_))), "too early");
    assert_eq!(origin.count(), 1);
}
