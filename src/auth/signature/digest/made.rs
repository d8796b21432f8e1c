//! Digests as senders make them, for tests.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha512};

/// The algorithms that count (RFC 9530 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Sha256,
    Sha512,
}

/// The value of a `Content-Digest` field for a whole body.
pub fn content_digest(algorithm: Algorithm, body: &[u8]) -> String {
    match algorithm {
        Algorithm::Sha256 => format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body))),
        Algorithm::Sha512 => format!("sha-512=:{}:", STANDARD.encode(Sha512::digest(body))),
    }
}
