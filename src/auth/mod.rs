//! Who calls, and how they prove it: the engines behind the filters that ask. They own no clock and open no socket; what
//! they ask of others goes through [`Fetch`](crate::http::fetch::Fetch).

mod answers;
pub mod client_cert;
pub mod discovery;
pub mod forward;
mod found;
mod freshness;
pub mod issuer;
pub mod jose;
pub mod keys;
pub mod keyset;
pub mod memory;
pub mod oauth;
pub mod oidc;
pub mod replay;
pub mod signature;

pub use answers::{Answers, digest};
pub use issuer::{Issuer, Issuers};
pub use memory::Memory;
