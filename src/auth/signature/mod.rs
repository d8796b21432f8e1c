//! Requests that prove who made them, and that nobody changed them on the way.
//!
//! * [`http`]: HTTP message signatures (RFC 9421).
//! * [`digest`]: digests of bodies (RFC 9530), which is how such a signature covers a body.
//! * [`webhook`]: plain HMACs over bodies, as the senders of webhooks make them.
//! * [`key`]: the keys and algorithms, pinned to each other.
//!
//! Everything here is pure: the time is an argument, bodies are fed in pieces, and keys are the caller's.

pub mod digest;
pub mod http;
pub mod key;
pub mod webhook;

#[cfg(test)]
mod rfc;
