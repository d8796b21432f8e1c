//! What an edge must know of the network below HTTP: addresses and sets of them, the PROXY protocol,
//! forwarded addresses.
//!
//! Everything here is pure: bytes and addresses in, values out, no sockets, no clock. What a stranger sends
//! is bounded in each module and never believed past its first fault.

pub mod address;
pub mod forwarded;
pub mod ip_set;
pub mod proxy_protocol;

pub use address::ListenAddress;
pub use ip_set::IpSet;
