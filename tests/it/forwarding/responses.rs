//! The response as the client sees it.

use std::time::Duration;

use super::{before, before_h2};
use crate::harness::message::Framing;
use crate::harness::{Fault, H2Client, Origin, Reply, Visitor};

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
fn a_client_of_http_1_0_keeps_its_connection_only_if_it_asks() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = before(&origin);
    let mut client = edge.client("listen");
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().text(), "ok");
    assert!(client.is_closed());
    let mut client = edge.client("listen");
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(client.response().text(), "ok");
    }
    assert!(origin.requests().iter().all(|seen| seen.line() == "GET / HTTP/1.1"));
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
fn an_early_answer_reaches_the_client_that_is_still_sending() {
    let origin = Origin::start_eager(|_| Reply::status(401, &[("connection", "close")], "no").close());
    let edge = before(&origin);
    let mut client = edge.client("listen");
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nfirst");
    let answer = client.response();
    assert_eq!((answer.status, answer.text()), (401, "no".to_owned()));
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
fn a_body_of_known_length_is_passed_on_as_it_comes() {
    let origin = Origin::start(|_| {
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nab")
            .wait(Duration::from_millis(50))
            .then("c")
            .hold()
    });
    let edge = before(&origin);
    let mut client = edge.client("listen");
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.take_to(b"\r\n\r\nab").unwrap();
    client.take_to(b"c").unwrap();
}
