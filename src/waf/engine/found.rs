//! What a rule looks at: values that stay where they are stored, and those that are put together for it.

use super::plan::Plan;
use super::tx::{Tx, TxRef};
use super::values::{ValueRef, Values};
use crate::waf::ir::Variable;

/// Bytes of `MATCHED_VARS` and of values put together for one rule.
pub(super) const PIECES_BYTES: usize = 4 << 20;

/// A value that a rule looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// Of which of the rule's targets.
    pub(super) variable: Variable,
    pub(super) at: At,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum At {
    Stored(ValueRef),
    Tx(TxRef),
    /// In the [`Pieces`] of the rule that runs.
    Piece(u32),
}

impl At {
    pub(super) fn value<'a>(self, values: &'a Values, tx: &'a Tx, pieces: &'a Pieces) -> &'a [u8] {
        match self {
            Self::Stored(at) => values.value(at).unwrap_or_default(),
            Self::Tx(at) => tx.value(at).unwrap_or_default(),
            Self::Piece(at) => pieces.value(at),
        }
    }

    /// The member's name, without the collection's.
    pub(super) fn member<'a>(
        self,
        plan: &'a Plan,
        values: &'a Values,
        tx: &'a Tx,
        pieces: &'a Pieces,
    ) -> &'a [u8] {
        match self {
            Self::Stored(at) => values.name(at),
            Self::Tx(at) => tx.name(plan, at),
            Self::Piece(at) => pieces.name(at),
        }
    }
}

/// A name and a value that are stored nowhere else.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    start: usize,
    name_end: usize,
    end: usize,
}

/// Names and values in one buffer.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    bytes: Vec<u8>,
    list: Vec<Piece>,
}

impl Pieces {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.list.clear();
    }

    pub(super) fn push(&mut self, name: &[u8], value: &[u8]) -> Option<u32> {
        if self.bytes.len() + name.len() + value.len() > PIECES_BYTES {
            return None;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        let name_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.list.push(Piece { start, name_end, end: self.bytes.len() });
        u32::try_from(self.list.len() - 1).ok()
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn name(&self, at: u32) -> &[u8] {
        let piece = self.list.get(at as usize);
        piece.and_then(|piece| self.bytes.get(piece.start..piece.name_end)).unwrap_or_default()
    }

    pub(super) fn value(&self, at: u32) -> &[u8] {
        let piece = self.list.get(at as usize);
        piece.and_then(|piece| self.bytes.get(piece.name_end..piece.end)).unwrap_or_default()
    }
}
