//! Where clients connect, and for whom they speak.

use std::time::Duration;

use crate::harness::{Client, Edge, Fault, H2Client, Origin, Reply, Setup};

fn with_echo(listener: &str, server: &str) -> (Edge, Origin) {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = setup(listener, server).with("origin", origin.address()).start();
    (edge, origin)
}

fn setup(listener: &str, server: &str) -> Setup {
    Edge::policy(&format!(
        "server: {{ drain: 200ms{server} }}
listeners: [{listener}]
access_log: {{ to: access.log, fields: [path, client_ip, peer_ip, protocol, scheme] }}
upstreams: {{ app: {{ backends: ['{{origin}}'] }} }}
routes: [{{ name: app, match: {{ path: /** }}, upstream: app }}]
"
    ))
}

/// The client's address as the access log has it.
fn client_of(edge: &Edge, path: &str) -> String {
    edge.logged(path, |line| line["path"] == path)["client_ip"].as_str().unwrap().to_owned()
}

#[test]
fn a_listener_sends_everyone_to_https() {
    let edge = Edge::policy(
        "listeners:
  - { address: '{listen}', redirect: https }
  - { address: '{tls}', tls: { self_signed: [localhost] } }
routes: [{ name: a, match: { path: /** }, respond: { body: a } }]
",
    )
    .start();
    let port = edge.address("tls").port();
    let answer =
        edge.client("listen").request("POST", "/a/../b?c=d", &[("Host", "api.example.com:80")], b"x");
    assert_eq!(answer.status, 308);
    assert_eq!(answer.header("location"), Some(&*format!("https://api.example.com:{port}/b?c=d")));
    let answer = edge.client("listen").request("OPTIONS", "*", &[("Host", "h")], b"");
    assert_eq!(answer.header("location"), Some(&*format!("https://h:{port}/")));
    let mut nameless = edge.client("listen");
    nameless.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(nameless.response().reason(), "missing_host", "there is nowhere to send it to");
}

#[test]
fn several_listeners_serve_the_same_routes() {
    let (edge, _origin) = with_echo("{ address: '{listen}' }, { address: '{listen2}' }", "");
    assert_eq!(edge.client("listen").get("/").text(), "ok");
    assert_eq!(edge.client("listen2").get("/").text(), "ok");
}

#[test]
fn a_unix_socket_is_served_and_goes_away_with_the_process() {
    let (edge, _origin) = with_echo("{ address: 'unix:{dir}/api.sock' }", "");
    let path = edge.folder.path().join("api.sock");
    assert_eq!(Client::unix(&path).get("/").text(), "ok");
    let folder = edge.stop();
    assert!(!folder.path().join("api.sock").exists());
}

#[test]
fn http2_without_tls_is_spoken_only_where_the_listener_says_so() {
    let (edge, origin) = with_echo("{ address: '{h2c}', h2c: true }, { address: '{listen}' }", "");
    let client = H2Client::cleartext(edge.address("h2c"));
    assert_eq!((client.get("/a").text(), client.get("/b").status), ("ok".to_owned(), 200));
    assert_eq!(edge.logged("/b", |line| line["path"] == "/b")["protocol"], "HTTP/2");
    assert_eq!(origin.last().header("host"), Some("localhost"));
    assert_eq!(edge.client("h2c").get("/c").text(), "ok");
    let mut plain = edge.client("listen");
    plain.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    let answer = plain.try_response("GET").unwrap();
    assert!(matches!(answer.status, 400 | 505), "{answer:?}");
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[0x20 | command, family], &length, body].concat()
}

#[test]
fn a_trusted_balancer_tells_the_clients_address() {
    let (edge, origin) = with_echo("{ address: '{listen}', proxy_protocol: { trusted: [127.0.0.0/8] } }", "");
    let ask = |preamble: &[u8], path: &str| {
        let mut client = edge.client("listen");
        client.send(preamble);
        assert_eq!(client.get(path).status, 200, "{path}");
        client_of(&edge, path)
    };
    assert_eq!(ask(b"PROXY TCP4 192.0.2.7 198.51.100.1 1234 443\r\n", "/v1"), "192.0.2.7");
    assert_eq!(ask(b"PROXY TCP6 2001:db8::7 2001:db8::1 1234 443\r\n", "/v1-6"), "2001:db8::7");
    assert_eq!(ask(b"PROXY UNKNOWN\r\n", "/unknown"), "127.0.0.1");
    let addresses = [192, 0, 2, 9, 198, 51, 100, 1, 0x04, 0xd2, 0x01, 0xbb];
    assert_eq!(ask(&v2(1, 0x11, &addresses), "/v2"), "192.0.2.9");
    assert_eq!(ask(&v2(0, 0, b""), "/local"), "127.0.0.1");
    assert_eq!(origin.requests()[0].header("x-forwarded-for"), Some("192.0.2.7"));
}

#[test]
fn the_proxy_header_may_share_a_packet_with_the_request_or_come_in_pieces() {
    let (edge, _origin) =
        with_echo("{ address: '{listen}', proxy_protocol: { trusted: [127.0.0.0/8] } }", "");
    let mut client = edge.client("listen");
    client.send(b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\nGET /one HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let mut client = edge.client("listen");
    for piece in ["PROX", "Y TCP4 192.0.2.8 198.51.", "100.1 1 2\r", "\nGET /two HTTP/1.1\r\nHost: a\r\n\r\n"]
    {
        client.send(piece);
    }
    assert_eq!(client.response().status, 200);
    assert_eq!(client_of(&edge, "/two"), "192.0.2.8");
}

#[test]
fn without_a_good_proxy_header_there_is_no_request() {
    let (edge, origin) = with_echo(
        "{ address: '{listen}', proxy_protocol: { trusted: [127.0.0.0/8] }, limits: { handshake_timeout: 300ms } }, \
         { address: '{listen2}', proxy_protocol: { trusted: [192.0.2.0/24] } }",
        "",
    );
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for preamble in ["", "PROXY TCP4 192.0.2.7\r\n", "PROXY TCP4 x y 1 2\r\n"] {
        let mut client = edge.client("listen");
        client.send(format!("{preamble}{request}"));
        assert_eq!(client.try_response("GET").unwrap_err(), Fault::Closed, "{preamble:?}");
    }
    let mut silent = edge.client("listen").patience(Duration::from_secs(5));
    silent.send("PROXY TC");
    assert!(silent.is_closed());
    let mut stranger = edge.client("listen2");
    // It may be gone before it has said anything.
    let _sent = stranger.try_send(format!("PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n{request}"));
    assert_eq!(stranger.try_response("GET").unwrap_err(), Fault::Closed);
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_client_cannot_choose_its_address() {
    let (edge, origin) = with_echo("{ address: '{listen}' }", "");
    let forged =
        [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1"), ("X-Real-IP", "192.0.2.1")];
    assert_eq!(edge.client("listen").request("GET", "/a", &forged, b"").status, 200);
    assert_eq!(client_of(&edge, "/a"), "127.0.0.1");
    let seen = origin.only();
    assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!((seen.all("forwarded").len(), seen.all("x-real-ip").len()), (0, 0));
}

#[test]
fn trusted_hops_are_counted_from_the_right() {
    let (edge, origin) = with_echo("{ address: '{listen}' }", ", trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]");
    let ask = |path: &str, value: &str| {
        let headers = [("X-Forwarded-For", value), ("X-Forwarded-Proto", "https")];
        assert_eq!(edge.client("listen").request("GET", path, &headers, b"").status, 200);
        client_of(&edge, path)
    };
    assert_eq!(ask("/one", "192.0.2.1"), "192.0.2.1");
    assert_eq!(ask("/forged", "6.6.6.6, 192.0.2.1, 10.1.1.1"), "192.0.2.1");
    assert_eq!(ask("/hops", "10.0.0.2, 10.1.1.1"), "10.0.0.2");
    let seen = origin.requests().remove(1);
    assert_eq!(seen.header("x-forwarded-for"), Some("6.6.6.6, 192.0.2.1, 10.1.1.1, 127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
}

#[test]
fn forwarded_is_believed_where_the_policy_says_so() {
    let (edge, origin) =
        with_echo("{ address: '{listen}' }", ", trusted_proxies: [127.0.0.0/8], forwarded_header: forwarded");
    let headers = [("Forwarded", "for=\"[2001:db8::9]:4711\";proto=https"), ("X-Forwarded-For", "6.6.6.6")];
    assert_eq!(edge.client("listen").request("GET", "/a", &headers, b"").status, 200);
    assert_eq!(client_of(&edge, "/a"), "2001:db8::9");
    let seen = origin.only();
    let elements = seen.all("forwarded").join(", ");
    assert!(elements.starts_with("for=\"[2001:db8::9]:4711\";proto=https, "), "{elements}");
    assert!(elements.contains("for=127.0.0.1") && elements.contains("proto=http"), "{elements}");
}

#[test]
fn no_more_connections_are_open_than_the_policy_says() {
    let (edge, _origin) = with_echo("{ address: '{listen}' }", ", max_connections: 2");
    let (mut one, mut two) = (edge.client("listen"), edge.client("listen"));
    assert_eq!((one.get("/").status, two.get("/").status), (200, 200));
    let mut three = edge.client("listen");
    let _sent = three.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(three.try_response("GET").unwrap_err(), Fault::Closed);
    drop(one);
    crate::harness::soon("a place", || {
        let mut next = edge.client("listen");
        let sent = next.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        sent.is_ok() && next.try_response("GET").is_ok()
    });
}
