//! The cache in the proxy: what is answered from it, for whom, and what never is.

mod basics;
mod collapsing;
mod disk;
mod fleet;
mod identity;
mod parents;
mod poisoning;
mod purge;
mod stale;
mod table;
mod validation;

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{Client, Edge, Origin, Reply, Response, Seen};

/// Fields of origins that these tests look at.
const ALLOWED: [&str; 11] = [
    "etag",
    "last-modified",
    "expires",
    "content-range",
    "content-encoding",
    "content-language",
    "set-cookie",
    "surrogate-key",
    "cdn-cache-control",
    "accept-ranges",
    "link",
];

fn policy(filter: &str) -> String {
    format!(
        "server: {{ drain: 200ms }}
limits: {{ stall: 1s, methods: [PURGE] }}
access_log: {{ to: access.log }}
admin: {{ address: '{{admin}}' }}
listeners: [{{ address: '{{listen}}' }}, {{ address: '{{h2c}}', h2c: true }}]
upstreams: {{ app: {{ backends: ['{{origin}}'], retries: {{ attempts: 0 }} }} }}
routes: [{{ name: app, match: {{ path: /** }}, upstream: app, filters: [{{ cache: {filter} }}] }}]
"
    )
}

/// An Edgeward with a cache before an origin.
fn cached(filter: &str, script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Edge, Origin) {
    let origin = Origin::start(script);
    let edge = Edge::policy(&policy(filter)).with("origin", origin.address()).start();
    (edge, origin)
}

/// An origin that numbers its answers, with these fields.
fn numbered(headers: &'static [(&'static str, &'static str)]) -> impl Fn(&Seen) -> Reply + Send + Sync {
    let count = AtomicUsize::new(0);
    move |_| {
        let number = count.fetch_add(1, Ordering::AcqRel) + 1;
        Reply::status(200, headers, format!("answer {number}"))
    }
}

fn client(edge: &Edge) -> Client {
    edge.client("listen").allow(&ALLOWED)
}

fn get(edge: &Edge, path: &str) -> Response {
    client(edge).get(path)
}

fn get_with(edge: &Edge, path: &str, headers: &[(&str, &str)]) -> Response {
    client(edge).request("GET", path, headers, b"")
}

/// What the cache says it did.
fn told(response: &Response) -> &str {
    response.header("cache-status").unwrap_or("nothing")
}

fn is_hit(response: &Response) -> bool {
    told(response).starts_with("\"edgeward\"; hit")
}
