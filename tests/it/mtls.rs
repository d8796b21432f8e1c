//! `mtls`: who calls by certificate, and what upstreams are told of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;

use crate::harness::{Authority, Client, Edge, H2Client, Issued, Leaf, Origin, Reply, Visitor};

/// A listener that asks for certificates of `ours`, with these filters before a backend, and `/open/` without them.
fn edge(ours: &Authority, filter: &str) -> (Edge, Origin) {
    let origin = Origin::start(|_| Reply::text("ok"));
    let server = ours.server(&["localhost"]);
    let edge = Edge::policy(&format!(
        "access_log: {{ to: access.log }}
listeners: [{{ address: '{{tls}}', tls: {{ certificates: [{{ cert: a.crt, key: a.key }}], client: {{ mode: optional, ca: ca.crt }} }} }}]
upstreams: {{ app: {{ backends: ['{{origin}}'] }} }}
routes:
  - {{ name: closed, match: {{ path: / }}, upstream: app, filters: [{{ mtls: {filter} }}] }}
  - {{ name: open, match: {{ path: /open/** }}, upstream: app }}
"
    ));
    let edge = edge.with("origin", origin.address()).file("ca.crt", ours.pem());
    (edge.file("a.crt", server.cert_pem()).file("a.key", server.key_pem()).start(), origin)
}

fn visitor(identity: Option<&Issued>) -> Visitor<'_> {
    Visitor { identity, ..Visitor::named("localhost") }
}

fn connect(edge: &Edge, identity: Option<&Issued>) -> Client {
    Client::tls(edge.address("tls"), &visitor(identity))
}

#[test]
fn a_certificate_opens_the_route_to_its_owner() {
    let ours = Authority::new("ours");
    let allow = "allow: [{ san_dns: '*.internal.example' }, { san_uri: 'spiffe://example.com/billing/*' }]";
    let (edge, origin) = edge(&ours, &format!("{{ {allow} }}"));
    let issue = |names: &[&str]| ours.issue(&Leaf::client(names));
    for (name, named) in [
        (issue(&["orders.internal.example"]), "orders.internal.example"),
        (issue(&["x", "spiffe://example.com/billing/7"]), "spiffe://example.com/billing/7"),
    ] {
        assert_eq!(connect(&edge, Some(&name)).get("/").status, 200);
        assert_eq!(edge.logged(named, |line| line["consumer"] == named)["status"], 200);
    }
    assert_eq!(origin.count(), 2);
    for stranger in [issue(&["orders.example"]), issue(&["spiffe://example.com/billing"])] {
        let refused = connect(&edge, Some(&stranger)).get("/");
        assert_eq!((refused.status, refused.reason()), (403, "mtls_not_allowed".to_owned()));
    }
    let refused = connect(&edge, None).get("/");
    assert_eq!((refused.status, refused.reason()), (403, "mtls_missing".to_owned()));
    assert_eq!(connect(&edge, None).get("/open/").status, 200);
    assert_eq!(origin.count(), 3);
}

#[test]
fn a_resumed_session_has_the_same_owner() {
    let ours = Authority::new("ours");
    let (edge, origin) = edge(&ours, "{ subject_from: san_email, forward: { subject_as: x-client } }");
    let ann = ours.issue(&Leaf::client(&["ann", "ann@example.com"]));
    let mut client = connect(&edge, Some(&ann));
    assert_eq!((client.get("/").status, client.get("/").status), (200, 200), "on one connection");
    let spoofed =
        connect(&edge, Some(&ann)).request("GET", "/", &[("X-Client", "root"), ("X_Client", "root")], b"");
    assert_eq!(spoofed.status, 200);
    assert_eq!(
        (origin.last().all("x-client"), origin.last().header("x_client")),
        (vec!["ann@example.com"], None)
    );
    let nameless = ours.issue(&Leaf::client(&["bob"]));
    assert_eq!(connect(&edge, Some(&nameless)).get("/").reason(), "mtls_not_allowed");
}

#[test]
fn the_upstream_gets_the_certificate_and_no_copy_of_a_clients() {
    let ours = Authority::new("ours");
    let (edge, origin) = edge(&ours, "{ forward: { client_cert: true } }");
    let me = ours.issue(&Leaf::client(&["me"]));
    let expected = format!(":{}:", STANDARD.encode(me.certificate.to_der().unwrap()));
    let forged = [("Client-Cert", ":AAAA:"), ("Client_Cert", ":AAAA:"), ("Client-Cert-Chain", ":AAAA:")];
    for path in ["/", "/open/"] {
        assert_eq!(connect(&edge, Some(&me)).request("GET", path, &forged, b"").status, 200);
        let seen = origin.last();
        let wanted = if path == "/" { vec![&*expected] } else { Vec::new() };
        assert_eq!(seen.all("client-cert"), wanted, "{path}");
        assert_eq!((seen.header("client_cert"), seen.header("client-cert-chain")), (None, None), "{path}");
    }
    let h2 = H2Client::tls(edge.address("tls"), &visitor(Some(&me)));
    let request = Request::get("https://localhost/").header("client-cert", ":AAAA:").body(()).unwrap();
    assert_eq!(h2.request(request, b"", None).status, 200);
    assert_eq!(origin.last().all("client-cert"), [&*expected]);
}

#[test]
fn the_upstream_gets_the_chain_that_was_verified() {
    let ours = Authority::new("ours");
    let middle = ours.intermediate("middle");
    let (edge, origin) = edge(&ours, "{ forward: { client_cert: true, client_cert_chain: true } }");
    let mut me = middle.issue(&Leaf::client(&["me"]));
    me.above =
        vec![Authority::new("stranger").certificate, middle.certificate.clone(), ours.certificate.clone()];
    let expected = format!(":{}:", STANDARD.encode(middle.certificate.to_der().unwrap()));
    let forged = [("Client-Cert-Chain", ":AAAA:"), ("Client_Cert_Chain", ":AAAA:")];
    for (path, wanted) in [("/", vec![&*expected]), ("/open/", Vec::new())] {
        assert_eq!(connect(&edge, Some(&me)).request("GET", path, &forged, b"").status, 200);
        let seen = origin.last();
        assert_eq!(
            (seen.all("client-cert-chain"), seen.header("client_cert_chain")),
            (wanted, None),
            "{path}"
        );
    }
    let direct = ours.issue(&Leaf::client(&["me"]));
    assert_eq!(connect(&edge, Some(&direct)).request("GET", "/", &forged, b"").status, 200);
    assert_eq!(origin.last().header("client-cert-chain"), None, "there is nothing in between");
}

#[test]
fn the_issuer_counts_where_it_is_named() {
    let ours = Authority::new("ours");
    let me = ours.issue(&Leaf::client(&["me"]));
    for (issuer, status) in [("CN=ours", 200), ("CN=others", 403)] {
        let (edge, _origin) = edge(&ours, &format!("{{ issuer: {issuer} }}"));
        assert_eq!(connect(&edge, Some(&me)).get("/").status, status, "{issuer}");
    }
}
