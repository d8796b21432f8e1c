//! `waf` on responses whose head comes before their body: what is refused is still answered.

use std::path::Path;
use std::time::Duration;

use http::Request;

use super::{RULES, policy};
use crate::harness::{Edge, Fault, H2Client, H2Origin, H2Reply, Origin, Reply, Setup};

const SECRET: &str = "-----BEGIN RSA PRIVATE KEY-----";
const PAUSE: Duration = Duration::from_millis(30);

fn rules(policy: &str) -> Setup {
    Edge::policy(policy).with("crs", Path::new("/nowhere").display()).file("waf.conf", RULES)
}

fn edge(origin: &Origin) -> Edge {
    rules(&policy("{ rules: [waf.conf], max_time: 1m }")).with("origin", origin.address()).start()
}

/// The head alone, and the body in two pieces.
fn slow(framing: &str, front: &str, back: &str) -> Reply {
    Reply::raw(format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n{framing}\r\n\r\n"))
        .wait(PAUSE)
        .then(front)
        .wait(PAUSE)
        .then(back)
}

fn get(target: &str) -> Request<()> {
    Request::get(format!("http://localhost{target}")).body(()).unwrap()
}

#[test]
fn a_head_that_came_alone_waits_for_the_verdict() {
    let origin = Origin::start(|seen| match seen.target() {
        "/length" => slow("content-length: 33", "a\n", SECRET),
        "/chunked" => {
            slow("transfer-encoding: chunked", "1\r\na\r\n", &format!("1f\r\n{SECRET}\r\n0\r\n\r\n"))
        }
        "/close" => slow("connection: close", "a\n", SECRET).close(),
        "/good/length" => slow("content-length: 4", "go", "od"),
        "/good/chunked" => slow("transfer-encoding: chunked", "2\r\ngo\r\n", "2\r\nod\r\n0\r\n\r\n"),
        _ => slow("connection: close", "go", "od").close(),
    });
    let edge = edge(&origin);
    let h2 = H2Client::cleartext(edge.address("listen"));
    for framing in ["length", "chunked", "close"] {
        let refused = edge.client("listen").get(&format!("/{framing}"));
        assert_eq!((refused.status, refused.reason()), (403, "waf_blocked".to_owned()), "{framing}");
        let refused = h2.request(get(&format!("/{framing}")), b"", None);
        assert_eq!((refused.status, refused.header("content-type")), (403, Some("application/problem+json")));
        let good = edge.client("listen").get(&format!("/good/{framing}"));
        assert_eq!((good.status, good.text()), (200, "good".to_owned()), "{framing}");
        let good = h2.request(get(&format!("/good/{framing}")), b"", None);
        assert_eq!((good.status, &*good.body), (200, &b"good"[..]), "{framing}");
        let line = edge.logged("the refusal", |line| line["path"] == format!("/{framing}"));
        assert_eq!((&line["status"], &line["upstream_status"]), (&403.into(), &200.into()), "{line}");
    }
}

#[test]
fn a_connection_goes_on_after_responses_that_waited() {
    let origin = Origin::start(|_| {
        Reply::raw("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\n")
            .wait(PAUSE)
            .then("good")
    });
    let edge = edge(&origin);
    let mut client = edge.client("listen");
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "good");
        assert_eq!(client.request("HEAD", "/", &[], b"").status, 200);
    }
}

#[test]
fn what_breaks_while_the_head_waits_is_an_error_of_the_upstream() {
    let origin = Origin::start(|seen| match seen.target() {
        "/long" => slow("content-length: 2000000", &"a line of text\n".repeat(70_000), "").close(),
        _ => slow("content-length: 100", "half", "").close(),
    });
    let edge = edge(&origin);
    let broken = edge.client("listen").allow(&["proxy-status"]).get("/");
    assert_eq!((broken.status, broken.reason()), (502, "connection_terminated".to_owned()));
    assert_eq!(origin.count(), 1, "what has begun to answer is not asked again");
    // Beyond what is examined the body goes, and its head with it.
    let mut client = edge.client("listen");
    client.send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(matches!(client.try_response("GET"), Err(Fault::Cut(_))));
}

#[test]
fn a_head_too_long_to_wait_goes_at_once_and_its_body_does_not() {
    let origin = Origin::start(|_| {
        let framing = format!("content-length: 33\r\nx-test-long: {}", "x".repeat(20_000));
        slow(&framing, "a\n", SECRET)
    });
    let edge = edge(&origin);
    let mut client = edge.client("listen");
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let Err(Fault::Cut(told)) = client.try_response("GET") else { panic!("it was not cut") };
    let told = String::from_utf8(told).unwrap();
    assert!(told.starts_with("HTTP/1.1 200 ") && !told.contains("PRIVATE"), "{told}");
}

#[test]
fn trailers_end_a_body_that_was_held() {
    let origin = H2Origin::cleartext(|seen| {
        let body = match seen.head.uri.path() {
            "/bad" => SECRET,
            "/empty" | "/nothing" => "",
            _ => "good",
        };
        let mut reply = H2Reply::text(body);
        if seen.head.uri.path() != "/nothing" {
            reply.trailers = vec![("x-test-sum", "1".into())];
        }
        reply
    });
    let policy =
        policy("{ rules: [waf.conf], max_time: 1m }").replace("backends:", "protocol: http2, backends:");
    let edge = rules(&policy).with("origin", origin.address()).start();
    let h2 = H2Client::cleartext(edge.address("listen"));
    for (path, body) in [("/", "good"), ("/empty", ""), ("/nothing", "")] {
        let answer = edge.client("listen").get(path);
        assert_eq!((answer.status, answer.text()), (200, body.to_owned()), "{path}");
        let answer = h2.request(get(path), b"", None);
        assert_eq!((answer.status, &*answer.body), (200, body.as_bytes()), "{path}");
    }
    assert_eq!(edge.client("listen").get("/bad").status, 403);
    assert_eq!(h2.request(get("/bad"), b"", None).status, 403);
}
