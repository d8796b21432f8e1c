//! What an upstream sees of a request, and a client of a response: byte for byte where bytes matter.

mod http2;
mod requests;
mod responses;

use crate::harness::{Edge, Origin, Reply, Seen};

const ROUTE: &str = "routes: [{ name: app, match: { path: /** }, upstream: app }]\n";

fn before(origin: &Origin) -> Edge {
    let listeners = "listeners: [{ address: '{listen}' }]";
    let text = format!("{listeners}\nupstreams: {{ app: {{ backends: ['{{origin}}'] }} }}\n{ROUTE}");
    Edge::policy(&text).with("origin", origin.address()).start()
}

/// A listener for each kind of client, before an upstream that speaks `protocol`.
fn before_h2(origin: impl ToString, upstream: &str) -> Edge {
    let text = format!(
        "listeners:\n  - {{ address: '{{listen}}', h2c: true }}\n  - {{ address: '{{tls}}', tls: {{ self_signed: [localhost] }} }}\n\
         upstreams: {{ app: {{ backends: ['{{origin}}'], {upstream} }} }}\n{ROUTE}"
    );
    Edge::policy(&text).with("origin", origin).start()
}

/// What the origin got for these bytes.
fn sent(request: &str) -> Seen {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = before(&origin);
    let mut client = edge.client("listen");
    client.send(request);
    assert_eq!(client.response().status, 200);
    origin.only()
}
