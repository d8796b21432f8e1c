//! TLS on both sides: what clients meet at a listener ([`Acceptor`]) and what a backend must prove ([`Client`]).
//!
//! A listener's certificates are chosen by name and key type in one hash lookup, replaced from disk without a restart,
//! and never replaced by a pair that does not fit. Who the client is travels with the connection as [`TlsFacts`].
//! Verification is BoringSSL's; revocation lists, which its binding has no type for, are checked in its callback.

pub mod certificate;
pub mod client;
mod context;
mod der;
pub mod handshake;
pub mod identity;
mod key;
mod ocsp;
pub mod reload;
mod revocation;
mod self_signed;
pub mod server;
pub mod spec;
mod store;
mod tickets;
mod trust;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

pub use certificate::Certificate;
pub use client::Client;
pub use handshake::{HandshakeError, Reason};
pub use identity::{ClientIdentity, TlsFacts};
pub use reload::Reloaded;
pub use server::Acceptor;
pub use spec::{ClientSpec, Protocol, ServerSpec};

/// Seconds since 1970. A function so that tests can move time.
pub type Clock = fn() -> i64;

/// The [`Clock`] of everyone but tests.
pub fn system_clock() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
