//! What becomes of a request whose backend fails: it is tried elsewhere where that is safe, or told apart.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{before, error_of, failure, listed, nobody, up};
use crate::harness::h2_origin::{H2Origin, H2Reply};
use crate::harness::{Client, Nginx, Origin, Reply, soon};

#[test]
fn an_idempotent_request_is_tried_elsewhere() {
    let broken = Origin::start(|_| Reply::nothing().close());
    let good = Origin::start(|seen| Reply::status(200, &[], &seen.body));
    let edge = before(&format!("'{}', '{}'", broken.address(), good.address()), ", eject: off");
    let mut client = edge.client("listen");
    for _ in 0..4 {
        assert_eq!(client.get("/").status, 200);
        assert_eq!(client.request("PUT", "/", &[], b"again").text(), "again");
    }
    assert!(broken.count() >= 3, "{}", broken.count());
    soon("retries to be counted", || {
        edge.metrics().sum("edgeward_upstream_retries_total", &["outcome=\"tried\""]) >= 3.0
    });
}

#[test]
fn a_post_is_never_sent_twice() {
    let broken = Origin::start(|_| Reply::nothing().close());
    let good = Origin::start(|_| Reply::text("ok"));
    let edge = before(&format!("'{}', '{}'", broken.address(), good.address()), ", eject: off");
    let answers: Vec<_> = (0..6).map(|_| edge.client("listen").request("POST", "/", &[], b"pay")).collect();
    let failed = answers.iter().filter(|answer| answer.status == 502).count();
    assert_eq!((failed, broken.count(), good.count()), (3, 3, 3));
    let told = answers.iter().find(|answer| answer.status == 502).map(error_of);
    assert_eq!(told, Some(failure(502, "connection_terminated")));
}

#[test]
fn a_post_goes_elsewhere_where_nothing_of_it_was_sent() {
    let good = Origin::start(|_| Reply::text("ok"));
    let edge = before(&format!("'{}', '{}'", nobody(), good.address()), ", eject: off");
    for _ in 0..6 {
        assert_eq!(edge.client("listen").request("POST", "/", &[], b"pay").status, 200);
    }
    assert_eq!(good.count(), 6);
}

#[test]
fn a_post_goes_elsewhere_where_its_stream_was_refused() {
    let refusals = AtomicUsize::new(1);
    let origin = H2Origin::cleartext(move |seen| {
        let refused = refusals.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
        H2Reply { refuse: refused.is_ok(), ..H2Reply::text(&String::from_utf8_lossy(&seen.body)) }
    });
    // A budget of none: what nobody has looked at costs nothing.
    let more = ", protocol: http2, retries: { budget: { percent: 0, min_per_second: 0 } }";
    let edge = before(&format!("'{}'", origin.address()), more);
    let answer = edge.client("listen").request("POST", "/", &[], b"pay");
    assert_eq!((answer.status, answer.text().as_str()), (200, "pay"));
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn streams_that_are_refused_again_and_again_are_given_up() {
    let origin = H2Origin::cleartext(|_| H2Reply { refuse: true, ..H2Reply::text("") });
    let asked = |retries: &str| {
        let before_count = origin.requests().len();
        let more = format!(", protocol: http2, eject: off, retries: {retries}");
        let edge = before(&format!("'{}'", origin.address()), &more);
        assert_eq!(edge.client("listen").get("/").status, 502);
        origin.requests().len() - before_count
    };
    assert_eq!(asked("{}"), 7);
    assert_eq!(asked("{ attempts: 0 }"), 1);
}

/// A frame of HTTP/2 on a stream of a small number.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    [&[0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Reads what an HTTP/2 client sends, up to the end of its first stream.
fn read_request(socket: &mut TcpStream) {
    let mut preface = [0; 24];
    socket.read_exact(&mut preface).unwrap();
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).unwrap();
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        socket.read_exact(&mut payload).unwrap();
        // HEADERS or DATA with END_STREAM.
        if head[3] <= 1 && head[4] & 1 == 1 {
            return;
        }
    }
}

#[test]
fn a_post_that_a_closing_connection_did_not_look_at_is_sent_on_another() {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut closing, _) = listener.accept().unwrap();
        read_request(&mut closing);
        // No stream was looked at, and nothing is wrong.
        closing.write_all(&[frame(SETTINGS, 0, 0, b""), frame(GOAWAY, 0, 0, &[0; 8])].concat()).unwrap();
        let (mut next, _) = listener.accept().unwrap();
        read_request(&mut next);
        // 0x88 is `:status: 200` (RFC 7541).
        next.write_all(&[frame(SETTINGS, 0, 0, b""), frame(HEADERS, 5, 1, &[0x88])].concat()).unwrap();
        drop(closing);
        next
    });
    let edge = before(&format!("'{address}'"), ", protocol: http2, eject: { failures: 1 }");
    assert_eq!(edge.client("listen").request("POST", "/", &[], b"pay").status, 200);
    drop(serving.join().unwrap());
    let broken = edge.metrics().sum("edgeward_upstream_requests_total", &["outcome=\"broken\""]);
    assert!(broken.abs() < f64::EPSILON, "it says nothing against the backend: {broken}");
}

#[test]
fn retries_are_as_many_as_the_policy_says() {
    let broken: Vec<_> = (0..3).map(|_| Origin::start(|_| Reply::nothing().close())).collect();
    let tries = |retries: &str| {
        let before_count: usize = broken.iter().map(Origin::count).sum();
        let edge = before(&listed(&broken), &format!(", eject: off, retries: {retries}"));
        assert_eq!(edge.client("listen").get("/").status, 502);
        let exhausted =
            edge.metrics().sum("edgeward_upstream_retries_total", &["outcome=\"budget_exhausted\""]);
        (broken.iter().map(Origin::count).sum::<usize>() - before_count, exhausted)
    };
    assert_eq!(tries("{}"), (3, 0.0), "two beside the first by default");
    assert_eq!(tries("{ attempts: 0 }"), (1, 0.0));
    assert_eq!(tries("{ attempts: 1 }"), (2, 0.0));
    assert_eq!(tries("{ attempts: 2, budget: { percent: 0, min_per_second: 1 } }").0, 3);
    assert_eq!(tries("{ attempts: 2, budget: { percent: 100, min_per_second: 0 } }"), (2, 1.0));
}

#[test]
fn who_was_too_slow_is_not_asked_again() {
    let silent: Vec<_> = (0..2).map(|_| Origin::start(|_| Reply::nothing().hold())).collect();
    let tries = |backends: &[Origin]| {
        let count = || silent.iter().map(Origin::count).sum::<usize>();
        let before_count = count();
        let edge = before(&listed(backends), ", eject: off, timeouts: { read: 200ms }");
        assert_eq!(error_of(&edge.client("listen").get("/")), failure(504, "http_response_timeout"));
        let exhausted =
            edge.metrics().sum("edgeward_upstream_retries_total", &["outcome=\"budget_exhausted\""]);
        assert!(exhausted.abs() < f64::EPSILON, "the budget was never asked: {exhausted}");
        count() - before_count
    };
    assert_eq!((tries(&silent[..1]), tries(&silent)), (1, 2));
}

#[test]
fn failures_are_told_apart() {
    let refused = before(&format!("'{}'", nobody()), "");
    assert_eq!(error_of(&refused.client("listen").get("/")), failure(502, "connection_refused"));
    let garbage = Origin::start(|_| Reply::raw("SSH-2.0-OpenSSH_9.2\r\n\r\n").close());
    let edge = before(&format!("'{}'", garbage.address()), ", retries: { attempts: 0 }");
    assert_eq!(error_of(&edge.client("listen").get("/")), failure(502, "http_protocol_error"));
    let closes = Origin::start(|_| Reply::nothing().close());
    let edge = before(&format!("'{}'", closes.address()), ", retries: { attempts: 0 }");
    assert_eq!(error_of(&edge.client("listen").get("/")), failure(502, "connection_terminated"));
    let silent = Origin::start(|_| Reply::nothing().hold());
    let edge =
        before(&format!("'{}'", silent.address()), ", timeouts: { read: 200ms }, retries: { attempts: 0 }");
    assert_eq!(error_of(&edge.client("listen").get("/")), failure(504, "http_response_timeout"));
    let own = Origin::start(|_| Reply::status(503, &[("x-test-own", "1")], "mine"));
    let edge = before(&format!("'{}'", own.address()), "");
    let answer = edge.client("listen").get("/");
    assert_eq!((answer.status, answer.text(), answer.header("proxy-status")), (503, "mine".to_owned(), None));
}

#[test]
fn no_request_fails_when_one_of_two_backends_is_killed_under_load() {
    const CLIENTS: usize = 8;
    const REQUESTS: usize = 700;
    let server = "location / { return 200 'hello'; }";
    let (Some(mut doomed), Some(other)) = (Nginx::start(server), Nginx::start(server)) else { return };
    let all = format!("'{}', '{}'", doomed.address(), other.address());
    let edge =
        before(&all, ", balance: p2c_ewma, health_check: { http: { path: / }, interval: 200ms, fall: 1 }");
    let (address, done) = (edge.address("listen"), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let done = done.clone();
            std::thread::spawn(move || {
                let mut failed = Vec::new();
                let mut client = Client::connect(address).allow(&["server"]);
                for _ in 0..REQUESTS {
                    let answer = client.get("/");
                    if (answer.status, answer.text().as_str()) != (200, "hello") {
                        failed.push((answer.status, answer.text()));
                    }
                    done.fetch_add(1, Ordering::AcqRel);
                }
                failed
            })
        })
        .collect();
    soon("a quarter of the load", || done.load(Ordering::Acquire) > CLIENTS * REQUESTS / 4);
    doomed.kill();
    let failed: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    assert_eq!(done.load(Ordering::Acquire), CLIENTS * REQUESTS);
    assert!(failed.is_empty(), "{} of {} failed: {:?}", failed.len(), CLIENTS * REQUESTS, failed.first());
    edge.wait_for_metric(&up(doomed.address()), 0.0);
    for _ in 0..50 {
        assert_eq!(Client::connect(address).allow(&["server"]).get("/").status, 200);
    }
}
