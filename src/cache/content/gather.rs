//! Content that is kept while it passes by, without anybody following it.

use std::sync::Arc;

use bytes::Bytes;

use super::{Budget, Content};

/// What has come so far. Gives its room in the budget back when it is dropped.
#[derive(Debug)]
pub struct Gather {
    pieces: Vec<Bytes>,
    length: u64,
    limit: u64,
    budget: Arc<Budget>,
}

impl Gather {
    /// Of up to `limit` bytes, as far as the budget goes.
    #[must_use]
    pub const fn new(limit: u64, budget: Arc<Budget>) -> Self {
        Self { pieces: Vec::new(), length: 0, limit, budget }
    }

    /// Keeps a copy of this piece. Whether there was room: if not, nothing more is worth keeping.
    #[must_use]
    pub fn push(&mut self, piece: &[u8]) -> bool {
        let size = piece.len() as u64;
        let fits = self.length + size <= self.limit && self.budget.take(size);
        if fits && size > 0 {
            self.length += size;
            self.pieces.push(Bytes::copy_from_slice(piece));
        }
        fits
    }

    /// Bytes so far.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// All of it.
    #[must_use]
    pub fn finish(mut self) -> Content {
        Content::new(std::mem::take(&mut self.pieces))
    }
}

impl Drop for Gather {
    fn drop(&mut self) {
        self.budget.give_back(self.length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_there_is_room_for() {
        let budget = Arc::new(Budget::new(10));
        let mut gather = Gather::new(8, budget.clone());
        assert!(gather.push(b"abc") && gather.push(b"") && gather.push(b"de"));
        assert_eq!((gather.length(), budget.used()), (5, 5));
        assert!(!gather.push(b"more"), "beyond the limit");
        let mut other = Gather::new(8, budget.clone());
        assert!(!other.push(b"123456"), "beyond the budget");
        assert_eq!(gather.finish().pieces().concat(), b"abcde");
        assert!(other.push(b"123456"));
        drop(other);
        assert_eq!(budget.used(), 0);
    }
}
