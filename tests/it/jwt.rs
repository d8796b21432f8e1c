//! `jwt` and `issuers`: tokens that open routes and tokens that do not, the life of an issuer's keys, and proof of possession.

mod keys;
mod places;
mod possession;
mod rights;
mod tokens;

use serde_json::Value;

use crate::harness::{Edge, Origin, Reply, Response, Setup, Signer, TokenIssuer};

/// A route `app` with these filters, and one without any below `/open/`. `issuers` is what stands under that key.
fn policy(issuers: &str, filters: &str) -> Setup {
    Edge::policy(&format!(
        "admin: {{ address: '{{admin}}' }}
access_log: {{ to: access.log, fields: [path, query, status, reason, filter, consumer] }}
listeners: [{{ address: '{{listen}}' }}]
upstreams: {{ app: {{ backends: ['{{origin}}'] }} }}
issuers: {{ {issuers} }}
routes:
  - {{ name: app, match: {{ path: /orders/** }}, upstream: app, filters: [{filters}] }}
  - {{ name: open, match: {{ path: /open/** }}, upstream: app }}
"
    ))
}

fn origin() -> Origin {
    Origin::start(|_| Reply::text("ok"))
}

/// An issuer with one key, a backend, and an Edgeward that lets in with tokens of it.
struct Site {
    signer: Signer,
    issuer: TokenIssuer,
    origin: Origin,
    edge: Edge,
}

impl Site {
    /// With these keys beside those of the issuer, and this filter.
    fn new(more: &str, filters: &str) -> Self {
        let signer = Signer::es256("k1");
        let (issuer, origin) = (TokenIssuer::start([&signer]), origin());
        let corp = format!("corp: {{ issuer: '{{iss}}', jwks: '{{iss}}/jwks', {more} }}");
        let edge = policy(&corp, filters).with("iss", issuer.name()).with("origin", origin.address()).start();
        Self { signer, issuer, origin, edge }
    }

    fn token(&self, changes: Value) -> String {
        self.signer.token(&self.issuer.name(), changes)
    }

    /// What a request with a bearer token is answered.
    fn bearer(&self, token: &str) -> Response {
        bearer(&self.edge, token)
    }
}

fn bearer(edge: &Edge, token: &str) -> Response {
    ask(edge, "/orders/7", &[("Authorization", &format!("Bearer {token}"))])
}

fn ask(edge: &Edge, target: &str, headers: &[(&str, &str)]) -> Response {
    edge.client("listen").request("GET", target, headers, b"")
}

/// The status, and the reason where it is a refusal.
fn told(answer: &Response) -> (u16, String) {
    (answer.status, if answer.status == 200 { String::new() } else { answer.reason() })
}
