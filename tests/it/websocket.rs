//! WebSockets: the handshake passes, and after it every byte, in both directions and untouched.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::harness::{Client, Edge, Origin, Reply, eventually};

const POLICY: &str = r#"
listeners:
  - address: "{listen}"
    h2c: true
    limits: { idle_timeout: 300ms, stall: 300ms, body: 100B }
upstreams:
  origin: { backends: ["{origin}"] }
routes:
  - { name: closed, match: { path: /closed }, websocket: false, upstream: origin }
  - { name: all, upstream: origin }
access_log: { to: off }
"#;
const HANDSHAKE: [(&str, &str); 6] = [
    ("Connection", "keep-alive, Upgrade"),
    ("Upgrade", "WebSocket"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Protocol", "chat, superchat"),
    ("Sec-WebSocket-Extensions", "permessage-deflate"),
];
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";

/// A backend that upgrades one connection, says `greeting` in the same breath, and echoes until it is told to stop.
fn echo(greeting: &'static str) -> (SocketAddr, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        socket.write_all(format!("{SWITCH}{greeting}").as_bytes()).unwrap();
        echoes(&mut socket);
        String::from_utf8(head).unwrap()
    });
    (address, thread)
}

/// Echoes up to and with a close frame, as a WebSocket server does, or to the end of the stream.
fn echoes(socket: &mut TcpStream) {
    let mut piece = vec![0; 65_536];
    while let Ok(count @ 1..) = socket.read(&mut piece) {
        if socket.write_all(&piece[..count]).is_err() {
            return;
        }
        if piece[..count].ends_with(CLOSE) {
            break;
        }
    }
    let _gone = socket.shutdown(Shutdown::Write);
    let _end = std::io::copy(socket, &mut std::io::sink());
}

/// A masked close frame, status 1000.
const CLOSE: &[u8] = b"\x88\x82\x01\x02\x03\x04\x02\xea";

fn connect(address: SocketAddr) -> (Edge, Client) {
    let edge = Edge::policy(POLICY).with("origin", address).start();
    let mut client =
        edge.client("listen").allow(&["upgrade", "sec-websocket-accept", "sec-websocket-protocol"]);
    let response = client.request("GET", "/chat?room=1", &HANDSHAKE, b"");
    assert_eq!(response.status, 101);
    assert_eq!(response.header("upgrade"), Some("websocket"));
    assert!(response.header("connection").unwrap().eq_ignore_ascii_case("upgrade"));
    assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(response.header("sec-websocket-protocol"), Some("chat"));
    (edge, client)
}

#[test]
fn the_handshake_and_every_byte_after_it_pass() {
    let (address, backend) = echo("hello");
    let (_edge, mut client) = connect(address);
    assert_eq!(client.take(5).unwrap(), b"hello", "what came with the 101");
    // Frames of all kinds, and what would be a request: nobody looks.
    let pieces: [Vec<u8>; 6] = [
        b"\x81\x85abcd\x09\x07\x0f\x08\x0e".to_vec(),
        b"\x01\x83abcdxyz\x80\x83abcdxyz".to_vec(),
        b"\x89\x80abcd\x8a\x80abcd".to_vec(),
        b"GET / HTTP/1.1\nHost: h\r\n\r\n\0\xff".to_vec(),
        (0..=255).collect(),
        (0..300_000_u32).flat_map(u32::to_be_bytes).collect(),
    ];
    for piece in pieces {
        let mut writer = client.socket().try_clone().unwrap();
        let sent = piece.clone();
        let sending = std::thread::spawn(move || writer.write_all(&sent).unwrap());
        assert!(client.take(piece.len()).unwrap() == piece, "{} bytes came back altered", piece.len());
        sending.join().unwrap();
    }
    client.send(CLOSE);
    assert_eq!(client.take(CLOSE.len()).unwrap(), CLOSE);
    assert!(client.is_closed());
    let head = backend.join().unwrap();
    assert!(head.starts_with("GET /chat?room=1 HTTP/1.1\r\n"));
    let head = head.to_ascii_lowercase();
    for line in [
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-key: dghlihnhbxbszsbub25jzq==",
        "sec-websocket-version: 13",
        "sec-websocket-protocol: chat, superchat",
        "sec-websocket-extensions: permessage-deflate",
    ] {
        assert_eq!(head.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line} in {head}");
    }
}

#[test]
fn an_idle_websocket_stays_open_and_bytes_sent_with_the_request_arrive() {
    let (address, _backend) = echo("");
    let edge = Edge::policy(POLICY).with("origin", address).start();
    let mut client =
        edge.client("listen").allow(&["upgrade", "sec-websocket-accept", "sec-websocket-protocol"]);
    let fields: String = HANDSHAKE.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    client.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\nsoon"));
    assert_eq!(client.response().status, 101);
    assert_eq!(client.take(4).unwrap(), b"soon");
    // Twice as long as an idle connection of HTTP, or a stalled body, may last.
    std::thread::park_timeout(Duration::from_millis(700));
    client.send("again");
    assert_eq!(client.take(5).unwrap(), b"again");
}

#[test]
fn the_last_words_after_a_client_has_finished_arrive() {
    let (address, _backend) = echo("");
    let (_edge, mut client) = connect(address);
    client.send([&vec![b'x'; 200_000][..], CLOSE].concat());
    client.finish();
    assert_eq!(client.rest().unwrap().len(), 200_000 + CLOSE.len());
}

#[test]
fn a_client_that_is_gone_ends_the_connection_to_the_backend() {
    let (address, backend) = echo("");
    let (_edge, client) = connect(address);
    drop(client);
    eventually("the backend to see the end", || backend.is_finished().then_some(()));
}

#[test]
fn an_upgrade_refused_is_an_answer_like_any_other() {
    let origin = Origin::start(|seen| match seen.target() {
        "/old" => Reply::status(426, &[("upgrade", "websocket"), ("sec-websocket-version", "13")], "no"),
        "/other" => {
            Reply::raw("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nPRI")
                .close()
        }
        _ => Reply::text("no"),
    });
    let edge = Edge::policy(POLICY).with("origin", origin.address()).start();
    let mut client = edge.client("listen").allow(&["upgrade", "sec-websocket-version"]);
    for path in ["/", "/old", "/"] {
        client.request("GET", path, &HANDSHAKE, b"");
        assert_eq!(client.get("/next").text(), "no", "the connection goes on");
    }
    assert_eq!(client.request("GET", "/other", &HANDSHAKE, b"").status, 502, "not the protocol asked for");
    let before = origin.count();
    let mut client = edge.client("listen");
    assert_eq!(client.request("GET", "/closed", &HANDSHAKE, b"").status, 403);
    assert_eq!(origin.count(), before);
}

#[test]
fn what_is_pipelined_behind_an_upgrade_that_failed_is_a_request() {
    let origin = Origin::start(|seen| Reply::text(seen.target()));
    let edge = Edge::policy(POLICY).with("origin", origin.address()).start();
    let fields: String = HANDSHAKE.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let mut client = edge.client("listen");
    client.send(format!("GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n{fields}\r\nGET /c HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_eq!(
        [client.response().text(), client.response().text(), client.response().text()],
        ["/a", "/b", "/c"]
    );
    let mut client = edge.client("listen");
    client.send(format!("GET /b HTTP/1.1\r\nHost: h\r\n{fields}\r\nGET /c HTTP/1.1\nHost: h\r\n\r\n"));
    assert_eq!((client.response().text(), client.response().status), ("/b".to_owned(), 400));
}
