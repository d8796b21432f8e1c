//! Where backends are, how long they are waited for, and how long connections to them are kept.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::{before, error_of, failure};
use crate::harness::{Client, Edge, Folder, H2Origin, H2Reply, Origin, Reply, soon};

#[test]
fn a_connection_is_not_waited_for_longer_than_the_policy_says() {
    // A listener that does not accept, with its queue full: the kernel drops what asks for more.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let queue: Vec<_> = (0..4)
        .map_while(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok())
        .collect();
    assert!(queue.len() < 4, "the queue takes all");
    let edge = before(&format!("'{address}'"), ", timeouts: { connect: 200ms }, retries: { attempts: 0 }");
    let start = Instant::now();
    assert_eq!(error_of(&edge.client("listen").get("/")), failure(504, "connection_timeout"));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn a_backend_that_takes_nothing_is_given_up() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // Or the kernel would take all of it.
    listener.set_recv_buffer_size(4096).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    listener.listen(8).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let held = std::thread::spawn(move || listener.accept().unwrap());
    let edge = before(
        &format!("'{address}'"),
        ", timeouts: { write: 300ms, read: 500ms }, retries: { attempts: 0 }",
    );
    let mut client = edge.client("listen");
    let mut sender = client.socket().try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        let _head = sender.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 16000000\r\n\r\n");
        // Stops when the connection is closed.
        let _body = sender.write_all(&vec![b'x'; 16_000_000]);
    });
    let answer = client.response();
    assert_eq!(error_of(&answer), failure(504, "connection_write_timeout"));
    drop(client);
    sending.join().unwrap();
    drop(held.join().unwrap());
}

#[test]
fn a_route_may_wait_longer_or_shorter_than_the_upstream() {
    let origin = Origin::start(|_| Reply::text("late").after(Duration::from_millis(500)));
    let edge = Edge::policy(&format!(
        "listeners: [{{ address: '{{listen}}' }}]
upstreams:
  patient: {{ backends: ['{0}'], retries: {{ attempts: 0 }} }}
  hasty: {{ backends: ['{0}'], retries: {{ attempts: 0 }}, timeouts: {{ read: 100ms }} }}
routes:
  - {{ name: a, match: {{ path: /patient }}, upstream: patient }}
  - {{ name: b, match: {{ path: /patient/short }}, upstream: patient, timeout: 100ms }}
  - {{ name: c, match: {{ path: /hasty }}, upstream: hasty }}
  - {{ name: d, match: {{ path: /hasty/long }}, upstream: hasty, timeout: 5s }}
",
        origin.address()
    ))
    .start();
    let status = |path: &str| edge.client("listen").get(path).status;
    assert_eq!((status("/patient"), status("/patient/short")), (200, 504));
    assert_eq!((status("/hasty"), status("/hasty/long")), (504, 200));
}

#[test]
fn an_idle_connection_is_kept_no_longer_than_the_policy_says() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let connections = |timeouts: &str| {
        let before_count = origin.connections();
        let edge = before(&format!("'{}'", origin.address()), timeouts);
        assert_eq!(edge.client("listen").get("/").status, 200);
        let start = Instant::now();
        soon("the idle time to pass", || start.elapsed() > Duration::from_millis(700));
        assert_eq!(edge.client("listen").get("/").status, 200);
        origin.connections() - before_count
    };
    assert_eq!(connections(", timeouts: { idle: 200ms }"), 2);
    assert_eq!(connections(", timeouts: { idle: 20s }"), 1);
}

#[test]
fn a_name_stands_for_its_addresses() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = before(&format!("'localhost:{}'", origin.address().port()), "");
    for _ in 0..4 {
        assert_eq!(edge.client("listen").get("/").text(), "ok");
    }
    let edge = before("'nobody.invalid:80'", "");
    assert_eq!(error_of(&edge.client("listen").get("/")), failure(503, "no_healthy_backend"));
}

#[test]
fn a_backend_may_be_a_unix_socket() {
    let folder = Folder::new();
    let path = folder.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let serving = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        let count = socket.read(&mut head).unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        String::from_utf8_lossy(&head[..count]).into_owned()
    });
    let edge = before(&format!("'unix:{}'", path.display()), "");
    assert_eq!(edge.client("listen").get("/a").text(), "ok");
    assert!(serving.join().unwrap().starts_with("GET /a HTTP/1.1\r\n"));
}

#[test]
fn streams_of_one_connection_are_as_many_as_the_policy_says() {
    let connections = |most: usize| {
        let origin = H2Origin::cleartext(|_| H2Reply::text("ok").after(Duration::from_millis(300)));
        let more = format!(", protocol: http2, connections: {{ max_h2_streams: {most} }}");
        let edge = before(&format!("'{}'", origin.address()), &more);
        let address = edge.address("listen");
        // The connection is there before the requests that share it.
        assert_eq!(Client::connect(address).get("/").status, 200);
        let asking: Vec<_> =
            (0..4).map(|_| std::thread::spawn(move || Client::connect(address).get("/").status)).collect();
        for asked in asking {
            assert_eq!(asked.join().unwrap(), 200);
        }
        origin.connections()
    };
    assert_eq!(connections(1), 4);
    assert_eq!(connections(100), 1);
}
