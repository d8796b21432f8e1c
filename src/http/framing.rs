//! A strict watch over the body of an HTTP/1 request while its raw bytes come in.
//!
//! Two servers that disagree on where a body ends hand an attacker the requests in between. This validator
//! reads the bytes as they came, beside whatever lenient parser forwards them, and says which of them belong
//! to the body and whether they have one reading (RFC 9112 §6 and §7.1). It is incremental: how the bytes are
//! cut makes no difference. After a fault or the end it stays there. Data is skipped by length, never looked
//! at.
//!
//! Chunk extensions are checked against the grammar without its "bad" whitespace and then ignored, like any
//! recipient must; trailer fields are as strict as those of a head.

mod chunked;

pub use chunked::ChunkLimits;
use chunked::Chunked;

use super::head::Body;

/// Where a request's body ends.
#[derive(Debug)]
pub struct Framing(Kind);

#[derive(Debug)]
enum Kind {
    Length(u64),
    Chunked(Chunked),
    Failed(FramingFault),
}

/// A body that has no single reading: answer 400, close, and let nothing more of it through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramingFault {
    /// A stable `snake_case` reason for metrics and logs.
    pub reason: &'static str,
}

impl FramingFault {
    pub(super) const fn new(reason: &'static str) -> Self {
        Self { reason }
    }
}

impl std::fmt::Display for FramingFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.reason)
    }
}

impl std::error::Error for FramingFault {}

impl Framing {
    /// A body of exactly `bytes` bytes; 0 for none.
    #[must_use]
    pub const fn length(bytes: u64) -> Self {
        Self(Kind::Length(bytes))
    }

    /// A chunked body.
    #[must_use]
    pub fn chunked(limits: ChunkLimits) -> Self {
        Self(Kind::Chunked(Chunked::new(limits)))
    }

    /// What a checked head says about its body.
    #[must_use]
    pub fn of(body: Body, limits: ChunkLimits) -> Self {
        match body {
            Body::None => Self::length(0),
            Body::Length(bytes) => Self::length(bytes),
            Body::Chunked => Self::chunked(limits),
        }
    }

    /// Takes the next bytes of the connection and returns how many of them belong to this body: fewer than
    /// given once it is done, the rest being the next request's.
    ///
    /// # Errors
    /// The first fault, and the same at every later call.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, FramingFault> {
        let taken = match &mut self.0 {
            Kind::Length(left) => Ok(take(left, bytes.len())),
            Kind::Chunked(chunked) => chunked.feed(bytes),
            Kind::Failed(fault) => return Err(*fault),
        };
        if let Err(fault) = taken {
            self.0 = Kind::Failed(fault);
        }
        taken
    }

    /// Whether it is the body itself that says where it ends.
    #[must_use]
    pub fn is_chunked(&self) -> bool {
        matches!(self.0, Kind::Chunked(_))
    }

    /// Whether the body has come to its end.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match &self.0 {
            Kind::Length(left) => *left == 0,
            Kind::Chunked(chunked) => chunked.is_done(),
            Kind::Failed(_) => false,
        }
    }
}

/// Counts up to `available` bytes off what is left and returns how many.
fn take(left: &mut u64, available: usize) -> usize {
    let taken = usize::try_from(*left).map_or(available, |left| left.min(available));
    *left -= taken as u64;
    taken
}

#[cfg(test)]
mod tests;
