//! Bodies that came compressed: `Content-Encoding` undone piece by piece, within bounds (RFC 9110 section 8.4).
//!
//! A bomb is stopped where it has grown past what the caller allows, not after. Of a request, one stream a coding: what
//! follows its end (a second gzip member, a second zstd frame) some decoders read and some do not, so it is a fault. A
//! response is whole with all of them (RFC 1952 section 2.2, RFC 8878 section 3.1). A decoder has at most 16 MiB of window
//! (br; zstd 8 MiB, gzip and deflate 32 KiB) and decodes through 16 KiB of its own.

mod stage;

use thiserror::Error;

use self::stage::Stage;
use crate::http::fields::list;

/// How much a decoder does before it stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Bytes of the decoded body; with several codings, of what is between them, too.
    pub output_bytes: usize,
    /// Decoded bytes for each encoded one, so far: a body that starts by growing too much is not read on. The first
    /// [`FREE_BYTES`] are not counted: short texts compress well.
    pub ratio: usize,
    /// Codings one after another; nobody honest sends more than one.
    pub codings: usize,
    /// Whether a further gzip member or zstd frame may follow.
    pub members: bool,
}

/// Decoded bytes for each encoded one of what somebody reads; what compresses better than that is no text.
const TEXT_RATIO: usize = 256;
/// Codings of what somebody reads.
const TEXT_CODINGS: usize = 2;

impl DecodeLimits {
    /// For the text of a request, of at most so many bytes.
    #[must_use]
    pub const fn of_request(output_bytes: usize) -> Self {
        Self { output_bytes, ratio: TEXT_RATIO, codings: TEXT_CODINGS, members: false }
    }

    /// For that of a response.
    #[must_use]
    pub const fn of_response(output_bytes: usize) -> Self {
        Self { members: true, ..Self::of_request(output_bytes) }
    }
}

/// Decoded bytes that no ratio forbids: 64 KiB.
pub const FREE_BYTES: usize = 64 << 10;

/// Why a body cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum DecodeFault {
    /// A coding that we do not know.
    #[error("unknown content coding")]
    Unknown,
    /// [`DecodeLimits::codings`].
    #[error("too many content codings")]
    Codings,
    /// Not what the coding should give.
    #[error("malformed compressed body")]
    Malformed,
    /// Something after the end of the compressed stream.
    #[error("data after the compressed body")]
    Trailing,
    /// The body ended before the compressed stream did.
    #[error("the compressed body is cut short")]
    Truncated,
    /// [`DecodeLimits::output_bytes`].
    #[error("the body is too long once decompressed")]
    OutputBytes,
    /// [`DecodeLimits::ratio`].
    #[error("the body grows too much when decompressed")]
    Ratio,
}

/// A body on its way out of its codings.
pub struct Decoder {
    /// In the order in which they are undone: the last one applied first.
    stages: Vec<Stage>,
    limits: DecodeLimits,
    taken_bytes: usize,
    /// What goes from one stage to the next.
    between: [Vec<u8>; 2],
}

impl Decoder {
    /// A decoder for the `Content-Encoding` lines of a message, in their order. `None` if they name no coding, or
    /// `identity` alone.
    pub fn new<'a>(
        lines: impl IntoIterator<Item = &'a [u8]>,
        limits: DecodeLimits,
    ) -> Result<Option<Self>, DecodeFault> {
        let mut stages = Vec::new();
        for name in lines.into_iter().flat_map(list) {
            if name.eq_ignore_ascii_case(b"identity") {
                continue;
            }
            if stages.len() >= limits.codings {
                return Err(DecodeFault::Codings);
            }
            stages.push(Stage::new(name)?);
        }
        stages.reverse();
        let decoder = Self { stages, limits, taken_bytes: 0, between: [Vec::new(), Vec::new()] };
        Ok(if decoder.stages.is_empty() { None } else { Some(decoder) })
    }

    /// Takes a piece of the body and appends what it decodes to. After an error, what was appended before it stays.
    pub fn write(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeFault> {
        let Self { stages, limits, taken_bytes, between: [from, to] } = self;
        *taken_bytes = taken_bytes.saturating_add(piece.len());
        let by_ratio = taken_bytes.saturating_mul(limits.ratio).max(FREE_BYTES);
        let (most, fault) = if by_ratio < limits.output_bytes {
            (by_ratio, DecodeFault::Ratio)
        } else {
            (limits.output_bytes, DecodeFault::OutputBytes)
        };
        let members = limits.members;
        let Some((last, others)) = stages.split_last_mut() else { return Ok(()) };
        from.clear();
        from.extend_from_slice(piece);
        for stage in others {
            to.clear();
            stage.run(from, to, most, fault, members)?;
            std::mem::swap(from, to);
        }
        last.run(from, out, most, fault, members)
    }

    /// Says that the body has ended. A body without any bytes is complete, whatever its coding.
    pub fn finish(self) -> Result<(), DecodeFault> {
        if self.taken_bytes == 0 || self.stages.iter().all(Stage::has_ended) {
            Ok(())
        } else {
            Err(DecodeFault::Truncated)
        }
    }
}

#[cfg(test)]
mod tests;
