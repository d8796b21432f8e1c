//! Places in the log of a fleet's purges.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// A place in the log of a fleet's purges: the ID of an entry in a Redis stream. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    millis: u64,
    number: u64,
}

/// Some text is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected two numbers with `-` between them")]
pub struct PositionError;

impl From<ParseIntError> for PositionError {
    fn from(_: ParseIntError) -> Self {
        Self
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (millis, number) = text.split_once('-').ok_or(PositionError)?;
        Ok(Self { millis: millis.parse()?, number: number.parse()? })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.millis, self.number)
    }
}

/// A position, and the log that it is in: what a store that outlives the process notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bookmark {
    /// 64 bits of SHA-256 of the log's place; never zero.
    log: u64,
    position: Position,
}

impl Bookmark {
    #[must_use]
    pub fn new(place: &str, position: Position) -> Self {
        let digest = Sha256::digest(place.as_bytes());
        let log = u64::from_be_bytes(digest.first_chunk().copied().unwrap_or_default());
        Self { log: log.max(1), position }
    }

    /// The position, if it is in the log at this place.
    #[must_use]
    pub fn within(self, place: &str) -> Option<Position> {
        (Self::new(place, self.position) == self).then_some(self.position)
    }

    /// As it is written down; three zeros for none.
    #[must_use]
    pub fn to_numbers(bookmark: Option<Self>) -> [u64; 3] {
        bookmark.map_or([0; 3], |Self { log, position }| [log, position.millis, position.number])
    }

    /// What was written down.
    #[must_use]
    pub fn from_numbers([log, millis, number]: [u64; 3]) -> Option<Self> {
        (log != 0).then_some(Self { log, position: Position { millis, number } })
    }
}
