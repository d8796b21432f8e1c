use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Component, Message, Policy, Refusal, Signatory, Signed, Signer, Verified};
use crate::auth::replay::{Seen, Spent};
use crate::auth::signature::rfc::{signing_key, verifying_key};

mod components;
mod forged;
mod policy;
mod property;
mod rfc;

/// `created` of the RFC's examples.
const CREATED: i64 = 1_618_884_473;
const KEYS: [&str; 5] =
    ["test-key-rsa", "test-key-rsa-pss", "test-key-ecc-p256", "test-key-ed25519", "test-shared-secret"];

/// A request that tests can change.
#[derive(Debug, Clone)]
struct Request {
    method: &'static str,
    scheme: &'static str,
    authority: &'static str,
    path: String,
    query: Option<String>,
    fields: HeaderMap,
    has_body: bool,
}

impl Request {
    fn new(method: &'static str, authority: &'static str, target: &str) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (target.to_owned(), None),
        };
        Self { method, scheme: "https", authority, path, query, fields: HeaderMap::new(), has_body: false }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.append(name, value);
        self
    }

    fn append(&mut self, name: &str, value: &str) {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.fields.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }

    fn without(mut self, name: &str) -> Self {
        self.fields.remove(name).unwrap();
        self
    }

    fn replaced(self, name: &str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    fn message(&self) -> Message<'_> {
        Message {
            method: self.method,
            scheme: self.scheme,
            authority: self.authority,
            path: &self.path,
            query: self.query.as_deref(),
            fields: &self.fields,
            has_body: self.has_body,
        }
    }

    /// Signed as of [`CREATED`] with Ed25519 over these components.
    fn signed(self, components: &[&str]) -> Self {
        let Signed { input, signature } = self.signature("sig", components, None);
        self.with("signature-input", &input).with("signature", &signature)
    }

    fn signature(&self, label: &str, components: &[&str], nonce: Option<&str>) -> Signed {
        let signer =
            Signer::new(label, signing_key(ED25519), ED25519, parsed(components), None, None).unwrap();
        signer.sign(&self.message(), CREATED, nonce).unwrap()
    }

    fn verified(&self, policy: &Policy) -> Result<Verified, Refusal> {
        self.verified_at(policy, CREATED)
    }

    fn verified_at(&self, policy: &Policy, now: i64) -> Result<Verified, Refusal> {
        verify(self, policy, &seen(), now)
    }

    fn refusal(&self, policy: &Policy) -> Option<Refusal> {
        self.verified(policy).err()
    }
}

const ED25519: &str = "test-key-ed25519";

/// By the keys of the RFC, with these nonces used.
fn verify(request: &Request, policy: &Policy, seen: &Arc<Seen>, now: i64) -> Result<Verified, Refusal> {
    seen.accept_for(policy.lifetime());
    let named = |key_id: &str| {
        let key = KEYS.contains(&key_id).then(|| Arc::new(verifying_key(key_id)))?;
        Some(Signatory { key, seen: Arc::clone(seen) })
    };
    let keys = |key_id: Option<&str>| key_id.and_then(named).into_iter().collect();
    policy.verify(&request.message(), keys, &mut Spent::default(), now)
}

fn seen() -> Arc<Seen> {
    Arc::new(Seen::new(NonZeroUsize::new(4096).unwrap()))
}

fn parsed(components: &[&str]) -> Vec<Component> {
    components.iter().map(|component| component.parse().unwrap()).collect()
}

fn requiring(components: &[&str]) -> Policy {
    Policy {
        required: parsed(components),
        max_age: Duration::from_secs(300),
        clock_skew: Duration::from_secs(30),
        nonce_required: false,
        tag: None,
    }
}

/// The request of RFC 9421 §B.2.
fn rfc_request() -> Request {
    let mut request = Request::new("POST", "example.com", "/foo?param=Value&Pet=dog")
        .with("host", "example.com")
        .with("date", "Tue, 20 Apr 2021 02:07:55 GMT")
        .with("content-type", "application/json")
        .with(
            "content-digest",
            "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
        )
        .with("content-length", "18");
    request.has_body = true;
    request
}
