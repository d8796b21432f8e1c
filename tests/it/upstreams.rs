//! Choosing a backend: who gets how much, who is left out, and what becomes of a request when its backend fails.

mod balance;
mod connections;
mod failures;
mod health;

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

use crate::harness::{Edge, Origin, Reply, Response};

/// Backends that answer with their own numbers.
fn backends(count: usize) -> Vec<Origin> {
    (0..count).map(|at| Origin::start(move |_| Reply::text(&at.to_string()))).collect()
}

fn listed(origins: &[Origin]) -> String {
    let all: Vec<_> = origins.iter().map(|origin| format!("'{}'", origin.address())).collect();
    all.join(", ")
}

/// An edge with one worker, so that whoever decides by turns decides for all.
fn before(backends: &str, more: &str) -> Edge {
    Edge::policy(&format!(
        "server: {{ drain: 200ms, workers: 1, trusted_proxies: [127.0.0.0/8] }}
admin: {{ address: '{{admin}}' }}
listeners: [{{ address: '{{listen}}' }}]
upstreams: {{ app: {{ backends: [{backends}] {more} }} }}
routes: [{{ name: app, match: {{ path: /** }}, upstream: app }}]
"
    ))
    .start()
}

/// How often each backend answers `count` requests.
fn shares(edge: &Edge, backends: usize, count: usize) -> Vec<usize> {
    let mut client = edge.client("listen");
    let mut shares = vec![0; backends];
    for _ in 0..count {
        let answer = client.get("/");
        assert_eq!(answer.status, 200, "{}", answer.text());
        shares[answer.text().parse::<usize>().unwrap()] += 1;
    }
    shares
}

fn error_of(answer: &Response) -> (u16, String, String) {
    let told = answer.header("proxy-status").unwrap_or_default().to_owned();
    (answer.status, answer.reason(), told)
}

/// What is answered for an upstream's failure, in `Proxy-Status` too, which knows the types of RFC 9209 alone.
fn failure(status: u16, reason: &str) -> (u16, String, String) {
    let kind = if reason == "no_healthy_backend" { "destination_unavailable" } else { reason };
    (status, reason.to_owned(), format!("edgeward; error={kind}"))
}

fn up(backend: SocketAddr) -> String {
    format!("edgeward_upstream_backend_up{{backend=\"{backend}\",upstream=\"app\"}}")
}

/// An address at which nobody listens.
fn nobody() -> SocketAddr {
    // Bound and thus nobody else's, but not listening: connections are refused. Left open until the process ends.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    address
}

/// bcrypt of `wonderland`.
const WONDERLAND: &str = "$2y$05$ttWXLy8gW7v43jFpvsxPMeomR6hpAvTkiwULa0xcDFqDsaeZAKnfK";
