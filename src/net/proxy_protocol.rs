//! The PROXY protocol, versions 1 and 2, read from the first bytes of a connection.
//!
//! Source: `proxy-protocol.txt` of the `HAProxy` project. The parser is incremental and strict: one spelling
//! per header, nothing guessed, at most 107 bytes in version 1 and 4,112 in version 2. Believe a header only
//! from a trusted network; that check belongs to the caller. Nothing is copied: the header borrows from the
//! buffer.

mod v1;
mod v2;

use std::net::SocketAddr;

pub use v2::{Tlv, Tlvs};

/// The longest version 1 header, CRLF included.
pub const V1_MAX_BYTES: usize = 107;
/// The longest version 2 header accepted: the fixed part and 4 KiB of addresses and TLVs.
pub const V2_MAX_BYTES: usize = v2::FIXED_BYTES + v2::MAX_BLOCK_BYTES;

/// The outcome of looking at what has come so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A whole header; the bytes after `consumed` belong to the protocol behind it.
    Complete { header: Header<'a>, consumed: usize },
    /// More is needed: the whole header, counted from its first byte, has no fewer than `at_least` bytes. A
    /// reader that never holds more than that many bytes eats nothing of what follows the header.
    Incomplete { at_least: usize },
    /// No PROXY header, whatever follows. Close the connection; the text is a stable `snake_case` reason.
    Invalid(&'static str),
}

/// A header: who is at the two ends, and what else the sender said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// 1 or 2.
    pub version: u8,
    /// The connection that is being relayed.
    pub origin: Origin<'a>,
    /// Version 2's extra fields; empty for version 1, `LOCAL` and unspecified families.
    pub tlvs: Tlvs<'a>,
}

/// The two ends of the connection that is being relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    /// Version 2 `LOCAL`: the sender speaks for itself (a health check). Use the real peer's address.
    Local,
    /// Version 1 `UNKNOWN` and version 2 `UNSPEC`: relayed, addresses not told. Use the real peer's address.
    Unknown,
    /// TCP or UDP over IPv4 or IPv6; both ends are of one family.
    Inet { source: SocketAddr, destination: SocketAddr },
    /// Unix sockets: the paths up to their first NUL, up to 108 bytes, possibly empty.
    Unix { source: &'a [u8], destination: &'a [u8] },
}

impl Header<'_> {
    /// The client's address, if the header tells one.
    #[must_use]
    pub fn source(&self) -> Option<SocketAddr> {
        match self.origin {
            Origin::Inet { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Reads the header at the start of `buffer`, which holds everything that came on the connection so far.
///
/// Version 2 checks its checksum where one is present. Costs tens of nanoseconds; allocates nothing.
#[must_use]
pub fn parse(buffer: &[u8]) -> Parsed<'_> {
    if buffer.is_empty() {
        return Parsed::Incomplete { at_least: v1::SHORTEST };
    }
    if shares_prefix(buffer, v2::SIGNATURE) {
        return v2::parse(buffer);
    }
    if shares_prefix(buffer, v1::SIGNATURE) {
        return v1::parse(buffer);
    }
    Parsed::Invalid("proxy_signature")
}

/// Whether one is the beginning of the other.
fn shares_prefix(buffer: &[u8], signature: &[u8]) -> bool {
    buffer.iter().zip(signature).all(|(one, other)| one == other)
}

#[cfg(test)]
mod tests;
