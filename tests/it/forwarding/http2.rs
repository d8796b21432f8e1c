//! HTTP/2 on either side, and gRPC over it.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Request};

use super::before_h2;
use crate::harness::{H2Client, H2Origin, H2Reply, Origin, Reply, Visitor};

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
fn the_end_of_a_body_is_written_once() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = before_h2(origin.address(), "protocol: http1");
    let client = H2Client::tls(edge.address("tls"), &Visitor::named("localhost"));
    let (mut sender, runtime) = client.sender();
    for _ in 0..3 {
        let request = Request::post("https://localhost/").body(()).unwrap();
        let status = runtime.block_on(async {
            let (response, mut stream) = sender.send_request(request, false).unwrap();
            stream.send_data("hello".into(), false).unwrap();
            // What ends the stream comes by itself, after what it ends has gone.
            tokio::time::sleep(Duration::from_millis(50)).await;
            stream.send_data(bytes::Bytes::new(), true).unwrap();
            response.await.unwrap().status()
        });
        assert_eq!(
            (status.as_u16(), origin.last().raw_body.as_slice()),
            (200, &b"5\r\nhello\r\n0\r\n\r\n"[..])
        );
    }
    // Whatever came after the first end would be read as the next request.
    assert_eq!((origin.connections(), origin.count()), (1, 3));
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
    let start = Instant::now();
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
