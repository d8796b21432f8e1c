//! TLS to upstreams: verified unless the policy says, in so many words, that it should not be.

use std::io::{self, Write};
use std::net::TcpListener;

use crate::harness::{Authority, Edge, H2Origin, H2Reply, Issued, Leaf, Origin, Reply, Setup};

const H1_OR_H2: &[u8] = b"\x02h2\x08http/1.1";

fn origin(issued: &Issued, clients: Option<&Authority>) -> Origin {
    Origin::start_tls(issued.acceptor(clients, b"\x08http/1.1"), |_| Reply::text("ok"))
}

fn before(origin: impl ToString, tls: &str, more: &str) -> Setup {
    Edge::policy(&format!(
        "listeners: [{{ address: '{{listen}}' }}]
upstreams: {{ app: {{ backends: ['{{origin}}'], tls: {tls}, retries: {{ attempts: 0 }} {more} }} }}
routes: [{{ name: app, match: {{ path: /** }}, upstream: app }}]
"
    ))
    .with("origin", origin)
}

/// The status that a client gets, and the reason where it is a refusal.
fn asked(setup: Setup) -> (u16, String) {
    let answer = setup.start().client("listen").get("/");
    let reason = if answer.status == 200 { answer.text() } else { answer.reason() };
    (answer.status, reason)
}

fn good() -> (u16, String) {
    (200, "ok".to_owned())
}

fn untrusted() -> (u16, String) {
    (502, "tls_certificate_error".to_owned())
}

#[test]
fn a_certificate_from_an_authority_of_the_policy_is_good() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let origin = origin(&ours.server(&["app.internal"]), None);
    let trusting = |ca: &Authority| {
        let setup = before(origin.address(), "{ ca: ca.crt, sni: app.internal }", "");
        asked(setup.file("ca.crt", ca.pem()))
    };
    assert_eq!(trusting(&ours), good());
    assert_eq!(trusting(&other), untrusted());
    assert_eq!(origin.count(), 1, "an unverified backend sees no request");
}

#[test]
fn the_systems_authorities_do_not_know_a_stranger() {
    let origin = origin(&Authority::new("ours").server(&["localhost"]), None);
    let name = format!("localhost:{}", origin.address().port());
    assert_eq!(asked(before(&name, "{}", "")), untrusted());
    assert_eq!(asked(before(&name, "{ danger_accept_invalid_certificates: true }", "")), good());
}

#[test]
fn the_name_in_the_certificate_must_be_the_backends() {
    let ours = Authority::new("ours");
    let origin = origin(&ours.server(&["app.internal"]), None);
    let named = |tls: &str| asked(before(origin.address(), tls, "").file("ca.crt", ours.pem()));
    assert_eq!(named("{ ca: ca.crt, sni: app.internal }"), good());
    assert_eq!(named("{ ca: ca.crt, sni: other.internal }"), untrusted());
    assert_eq!(named("{ ca: ca.crt, sni: other.internal, alternative_name: app.internal }"), good());
}

#[test]
fn the_name_of_a_backend_is_the_one_to_verify() {
    let ours = Authority::new("ours");
    for (name, expected) in [("localhost", good()), ("app.internal", untrusted())] {
        let origin = origin(&ours.server(&[name]), None);
        let backend = format!("localhost:{}", origin.address().port());
        assert_eq!(
            asked(before(backend, "{ ca: ca.crt }", "").file("ca.crt", ours.pem())),
            expected,
            "{name}"
        );
    }
}

#[test]
fn an_expired_certificate_is_refused() {
    let ours = Authority::new("ours");
    let expired = Leaf { days: -1, ..Leaf::named(&["app.internal"]) };
    let origin = origin(&ours.issue(&expired), None);
    let setup = before(origin.address(), "{ ca: ca.crt, sni: app.internal }", "").file("ca.crt", ours.pem());
    assert_eq!(asked(setup), untrusted());
}

#[test]
fn a_backend_that_asks_for_a_certificate_gets_the_policys() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let origin = origin(&ours.server(&["app.internal"]), Some(&ours));
    let showing = |tls: &str, issuer: &Authority| {
        let client = issuer.issue(&Leaf::client(&["edge.internal"]));
        let setup = before(origin.address(), &format!("{{ ca: ca.crt, sni: app.internal {tls} }}"), "");
        client.cert_pem();
        asked(
            setup
                .file("ca.crt", ours.pem())
                .file("me.crt", client.cert_pem())
                .file("me.key", client.key_pem()),
        )
    };
    let pair = ", client_certificate: { cert: me.crt, key: me.key }";
    assert_eq!(showing(pair, &ours), good());
    assert_eq!(showing("", &ours).0, 502);
    assert_eq!(showing(pair, &other).0, 502);
    assert_eq!(origin.count(), 1);
}

#[test]
fn http2_is_agreed_on_where_the_policy_asks_for_it() {
    let ours = Authority::new("ours");
    let issued = ours.server(&["app.internal"]);
    let tls = "{ ca: ca.crt, sni: app.internal }";
    let ask = |address, protocol: &str| {
        let setup = before(address, tls, &format!(", protocol: {protocol}"));
        asked(setup.file("ca.crt", ours.pem()))
    };
    for protocol in ["http2", "grpc", "auto"] {
        let origin = H2Origin::tls(issued.acceptor(None, H1_OR_H2), |_| H2Reply::text("ok"));
        assert_eq!(ask(origin.address(), protocol), good(), "{protocol}");
        assert_eq!(origin.requests().len(), 1, "{protocol}");
    }
    for protocol in ["http1", "auto"] {
        let origin = origin(&issued, None);
        assert_eq!(ask(origin.address(), protocol), good(), "{protocol}");
        assert_eq!(origin.only().line(), "GET / HTTP/1.1");
    }
}

#[test]
fn a_backend_without_tls_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let plain = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").unwrap();
        // To the end, or the answer might be lost in a reset.
        let _rest = io::copy(&mut socket, &mut io::sink());
    });
    assert_eq!(asked(before(address, "{ sni: app.internal }", "")), (502, "tls_protocol_error".to_owned()));
    plain.join().unwrap();
}
