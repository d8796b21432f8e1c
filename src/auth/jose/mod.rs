//! JSON Web Tokens (RFC 7519) from strangers: parsed strictly, verified by keys that say which algorithms they are for,
//! judged by rules that demand an issuer, an audience and an expiry, and bound to a key or a certificate of the client
//! (RFC 9449, RFC 8705). RFC 8725 is the checklist; `tests.rs` has a test for each of its rows.
//!
//! What always holds: a token is verified by the text that came, never by a rewritten one; the algorithm comes from the
//! key and the policy, the token may only agree; nothing of a token is believed before its signature is; what is
//! remembered of a token is that its signature was good, while the rules are asked anew each time. Every refusal is a
//! [`Fault`] with a reason of its own.
//!
//! All cryptography is BoringSSL's. The `jsonwebtoken` crate was weighed and left: it has no ES512, keeps its
//! cryptography in a process-global cell, boxes a verifier for each token, and overlooks what a header should not hold.

pub mod algorithm;
pub(in crate::auth) mod base64url;
pub mod claims;
pub mod compact;
mod curve;
pub mod demands;
pub mod dpop;
pub mod fault;
pub(super) mod json;
pub mod jwk;
pub mod jwks;
pub mod key;
pub mod nonce;
mod peek;
pub mod possession;
mod private_key;
pub mod remembered;
pub mod replay;
pub mod rules;
pub mod sign;
pub(in crate::auth) mod signature;
pub mod target;
pub mod thumbprint;
pub mod verify;

#[cfg(test)]
pub(crate) mod mint;
#[cfg(test)]
mod tests;

pub use algorithm::{Algorithm, Algorithms};
pub use claims::{ClaimPath, Claims};
pub use demands::Demands;
pub use dpop::ProofRules;
pub use fault::{Answer, Fault};
pub use jwks::{KeySet, Source};
pub use key::{Key, KeyError};
pub use nonce::Nonces;
pub use peek::unverified_issuer;
pub use possession::Possession;
pub use remembered::Remembered;
pub use replay::Replays;
pub use rules::Rules;
pub use sign::SigningKey;
pub use thumbprint::Thumbprint;
pub use verify::{Verified, Verifier};
