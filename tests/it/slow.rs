//! Clients that take their time. Attackers are cut by every route there is; who keeps to the least rate is served.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::harness::{Client, Edge, Origin, Reply};

const POLICY: &str = r#"
listeners:
  - address: "{listen}"
    h2c: true
    limits: { head_timeout: 300ms, idle_timeout: 400ms, stall: 400ms, min_rate: 500B }
upstreams:
  origin: { backends: ["{origin}"] }
routes: [{ name: all, upstream: origin }]
access_log: { to: "{dir}/access.log" }
"#;
/// By then every attack is over; far more than the limits above.
const OVER: Duration = Duration::from_secs(4);

fn start() -> (Origin, Edge) {
    let origin = Origin::start(|seen| match seen.target() {
        "/large" => Reply::text(&"x".repeat(20_000_000)),
        "/late" => Reply::text("late").after(Duration::from_millis(1200)),
        _ => Reply::text("ok"),
    });
    let edge = Edge::policy(POLICY).with("origin", origin.address()).start();
    (origin, edge)
}

/// Sends a piece every so often until the other end has had enough; what it said.
fn drip(client: &mut Client, mut piece: impl FnMut() -> Vec<u8>) -> Vec<u8> {
    let begun = Instant::now();
    let socket = client.socket().try_clone().unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
    while begun.elapsed() < OVER {
        match (&socket).read(&mut buffer) {
            Ok(0) => return said,
            Ok(count) => said.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => {}
            Err(_) => return said,
        }
        drop(client.try_send(piece()));
    }
    panic!("still open, after saying {:?}", String::from_utf8_lossy(&said));
}

fn says(said: &[u8], status: &str) {
    assert!(said.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{}", String::from_utf8_lossy(said));
}

#[test]
fn a_head_that_drips_in_is_cut_with_408() {
    let (origin, edge) = start();
    for start in ["", "GET / HTTP/1.1\r\nHost: h\r\nX: ", "PRI"] {
        let mut client = edge.client("listen");
        client.send(start);
        says(&drip(&mut client, || b"G".to_vec()), "408");
    }
    let mut second = edge.client("listen");
    assert_eq!(second.get("/").status, 200);
    says(&drip(&mut second, || b"G".to_vec()), "408");
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_body_that_drips_in_is_cut_with_408() {
    let (origin, edge) = start();
    for (framing, piece) in [("Content-Length: 999", "x"), ("Transfer-Encoding: chunked", "1\r\nx\r\n")] {
        for nothing in [false, true] {
            let mut client = edge.client("listen");
            client.send(format!("POST / HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n"));
            says(&drip(&mut client, || if nothing { Vec::new() } else { piece.into() }), "408");
        }
    }
    assert_eq!(origin.count(), 0);
    edge.logged("a slow body", |line| line["reason"] == "body_too_slow");
}

#[test]
fn a_connection_that_idles_is_closed_without_a_word() {
    let (_origin, edge) = start();
    let mut client = edge.client("listen").patience(OVER);
    assert!(client.is_closed());
    let mut client = edge.client("listen").patience(OVER);
    assert_eq!(client.get("/").status, 200);
    assert!(client.is_closed());
}

#[test]
fn a_response_that_nobody_takes_is_cut() {
    let (_origin, edge) = start();
    let mut client = edge.client("listen");
    client.send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
    let line = edge.logged("a slow reader", |line| line["reason"] == "client_too_slow");
    assert!(line["bytes_out"].as_u64().unwrap() < 20_000_000);
    // What the kernel held for the client is gone, too: the connection was reset.
    let mut taken = 0;
    while let Ok(piece) = client.take(1_000) {
        taken += piece.len();
    }
    assert!(taken < 20_000_000);
}

#[test]
fn honest_clients_may_be_slow() {
    let (origin, edge) = start();
    // About three times the least rate.
    let mut client = edge.client("listen");
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1600\r\n\r\n");
    for _ in 0..16 {
        std::thread::park_timeout(Duration::from_millis(65));
        client.send([b'x'; 100]);
    }
    assert_eq!(client.response().status, 200);
    assert_eq!(origin.last().body.len(), 1600);
    // The backend takes longer than any client might.
    let mut client = edge.client("listen");
    assert_eq!(client.get("/late").text(), "late");
    // Within the idle timeout the connection is there for the next request.
    for _ in 0..3 {
        std::thread::park_timeout(Duration::from_millis(200));
        assert_eq!(client.get("/").status, 200);
    }
    // A reader that takes what there is, in small pieces.
    let mut client = edge.client("listen");
    client.send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
    client.take_to(b"\r\n\r\n").unwrap();
    for _ in 0..1000 {
        client.take(20_000).unwrap();
    }
}
