//! The content of a stored response: whole in memory, or on its way from the origin and read by many while it comes.
//!
//! What arrives is copied into pieces of its own, because a slice of a network buffer would keep all of that buffer for as
//! long as the response is stored.

mod fill;
mod gather;

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

pub use fill::{Broken, Budget, Fill, Reader, Writer};
pub use gather::Gather;

/// Content that is complete. Clones share it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    pieces: Pieces,
    length: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pieces {
    One(Bytes),
    Many(Arc<[Bytes]>),
}

impl Default for Pieces {
    fn default() -> Self {
        Self::One(Bytes::new())
    }
}

/// Pieces that come smaller than this on average are put together: each costs 64 bytes beside its own.
const SMALL_PIECE: usize = 16 * 1024;
/// How large they become then; small content becomes one piece of its own size.
const LARGE_PIECE: usize = 256 * 1024;

impl Content {
    /// From pieces in their order.
    #[must_use]
    pub fn new(mut pieces: Vec<Bytes>) -> Self {
        let length: usize = pieces.iter().map(Bytes::len).sum();
        if pieces.len() > 1 && length / pieces.len() < SMALL_PIECE {
            pieces = joined(&pieces, length);
        }
        let pieces = match pieces.len() {
            0 | 1 => Pieces::One(pieces.pop().unwrap_or_default()),
            _ => Pieces::Many(pieces.into()),
        };
        Self { pieces, length: length as u64 }
    }

    /// In bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.length
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// All of it, in order.
    #[must_use]
    pub fn pieces(&self) -> &[Bytes] {
        match &self.pieces {
            Pieces::One(piece) if piece.is_empty() => &[],
            Pieces::One(piece) => std::slice::from_ref(piece),
            Pieces::Many(pieces) => pieces,
        }
    }

    /// What lies in a range of bytes, in order and without copies.
    pub fn part(&self, range: &Range<u64>) -> impl Iterator<Item = Bytes> {
        let (start, end) = (range.start, range.end);
        let mut before = 0_u64;
        self.pieces().iter().filter_map(move |piece| {
            let at = before;
            before += piece.len() as u64;
            let within = |offset: u64| {
                usize::try_from(offset.saturating_sub(at))
                    .map_or(piece.len(), |offset| offset.min(piece.len()))
            };
            let (from, to) = (within(start), within(end));
            (from < to).then(|| piece.slice(from..to))
        })
    }
}

fn joined(pieces: &[Bytes], length: usize) -> Vec<Bytes> {
    let mut joined = Vec::with_capacity(length.div_ceil(LARGE_PIECE));
    let (mut rest, mut piece) = (length, BytesMut::with_capacity(length.min(LARGE_PIECE)));
    for mut bytes in pieces.iter().cloned() {
        while !bytes.is_empty() {
            let part = bytes.split_to(bytes.len().min(LARGE_PIECE - piece.len()));
            piece.extend_from_slice(&part);
            if piece.len() == LARGE_PIECE {
                rest -= LARGE_PIECE;
                let next = BytesMut::with_capacity(rest.min(LARGE_PIECE));
                joined.push(std::mem::replace(&mut piece, next).freeze());
            }
        }
    }
    if !piece.is_empty() {
        joined.push(piece.freeze());
    }
    joined
}

#[cfg(test)]
mod tests;
