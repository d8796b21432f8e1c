//! What we ask authorisation servers as a client of theirs: what a token is worth (RFC 7662), and one token for another
//! (RFC 8693, RFC 6749 section 4.4).
//!
//! Always holds: nothing that a server says is believed unless it is well-formed to the letter; what it does not say, or
//! cannot say now, lets nobody in; neither secrets nor tokens are in any message.

pub mod client;
pub mod exchange;
pub(in crate::auth) mod form;
pub mod introspection;
pub mod server;
#[cfg(test)]
mod testing;

pub use client::{Client, ClientProof};
pub use exchange::Exchange;
pub use introspection::Introspection;
pub use server::{Place, Server, Trouble};
