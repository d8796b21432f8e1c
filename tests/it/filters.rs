//! Filters end to end: what each changes or refuses between a real client and a real backend, one key at a time.

mod access;
mod authorize;
mod bodies;
mod chains;
mod cors;
mod groups;
mod headers;
mod rate_limit;

use crate::harness::{Client, Edge, Origin, Reply, Setup};

/// bcrypt of `wonderland`.
const WONDERLAND: &str = "$2y$05$ttWXLy8gW7v43jFpvsxPMeomR6hpAvTkiwULa0xcDFqDsaeZAKnfK";
/// `alice:wonderland`.
const ALICE: (&str, &str) = ("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==");

/// A route with these filters before a backend. The client's address is what `X-Forwarded-For` says.
fn with_filters(filters: &str) -> Setup {
    Edge::policy(&format!(
        "server: {{ drain: 200ms, trusted_proxies: [127.0.0.0/8] }}
admin: {{ address: '{{admin}}' }}
access_log: {{ to: access.log }}
listeners: [{{ address: '{{listen}}' }}]
upstreams: {{ app: {{ backends: ['{{origin}}'] }} }}
routes: [{{ name: app, match: {{ path: /** }}, upstream: app, filters: [{filters}] }}]
"
    ))
}

/// Such a route, and a backend that answers `ok`.
fn running(filters: &str) -> (Edge, Origin) {
    let origin = Origin::start(|_| Reply::text("ok"));
    (with_filters(filters).with("origin", origin.address()).start(), origin)
}

/// What a GET from this address is answered.
fn from(edge: &Edge, address: &str) -> u16 {
    edge.client("listen").request("GET", "/", &[("X-Forwarded-For", address)], b"").status
}

/// What a GET with this header is answered.
fn with(edge: &Edge, name: &str, value: &str) -> u16 {
    edge.client("listen").request("GET", "/", &[(name, value)], b"").status
}

fn client(edge: &Edge, also: &[&str]) -> Client {
    edge.client("listen").allow(also)
}
