//! Who calls, and what proves it. Engines alone: filters wrap them, and what they ask of others goes through
//! [`Fetch`](crate::http::fetch::Fetch).

pub mod discovery;
mod freshness;
pub mod keyset;
