//! Named lists, `$corp` in an expression: many strings, numbers or networks kept apart from the expressions that ask
//! for them, and replaced while they do.
//!
//! A list keeps its kind for life, so that what was checked against it stays right.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::access::Scalar;
use super::scheme::Kind;
pub use entries::{Entries, EntriesBuilder, EntryError, FileError, MAX_ENTRIES, MAX_ENTRY, MAX_FILE};

mod entries;

/// What the entries of a list are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// Addresses, networks (`10.0.0.0/8`) and ranges of addresses (`10.0.0.1..10.0.0.9`).
    Ip,
    /// Strings, compared whole and with their case.
    String,
    /// Whole numbers and ranges of them (`8000..8080`).
    Int,
}

impl ListKind {
    /// Whether a value of this kind can be in such a list.
    pub(super) const fn meets(self, kind: Kind) -> bool {
        match self {
            Self::Ip => matches!(kind, Kind::Ip),
            Self::String => matches!(kind, Kind::Bytes | Kind::Json),
            Self::Int => matches!(kind, Kind::Int | Kind::Json),
        }
    }
}

impl fmt::Display for ListKind {
    /// As it follows "a list of" in a message.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ip => "IP addresses",
            Self::String => "strings",
            Self::Int => "numbers",
        })
    }
}

/// A list that expressions refer to. Its content is swapped in one piece: an evaluation sees the old or the new.
#[derive(Debug)]
pub struct NamedList {
    kind: ListKind,
    entries: ArcSwap<Entries>,
}

/// All lists by name.
#[derive(Debug, Default)]
pub struct Lists(BTreeMap<Box<str>, Arc<NamedList>>);

/// Another kind of entries than the list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a list of {expected} cannot become one of {found}")]
pub struct WrongKind {
    /// The list's kind.
    pub expected: ListKind,
    /// The entries' kind.
    pub found: ListKind,
}

impl NamedList {
    /// A list with its first content, whose kind it keeps.
    pub fn new(entries: Entries) -> Self {
        Self { kind: entries.kind(), entries: ArcSwap::from_pointee(entries) }
    }

    /// What its entries are.
    pub const fn kind(&self) -> ListKind {
        self.kind
    }

    /// How many entries there are after merging: for a log line or a metric.
    pub fn len(&self) -> usize {
        self.entries.load().len()
    }

    /// Whether nothing at all is in the list.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts other entries in place of all there are. On an error the old ones stay.
    pub fn replace(&self, entries: Entries) -> Result<(), WrongKind> {
        let found = entries.kind();
        if found != self.kind {
            return Err(WrongKind { expected: self.kind, found });
        }
        self.entries.store(Arc::new(entries));
        Ok(())
    }

    /// Whether the value is in the list; `None` if it is of another kind.
    pub(super) fn contains(&self, value: &Scalar<'_>) -> Option<bool> {
        self.entries.load().contains(value)
    }
}

impl Lists {
    /// No list yet.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a list, in place of one of the same name.
    pub fn insert(&mut self, name: impl Into<Box<str>>, list: Arc<NamedList>) {
        self.0.insert(name.into(), list);
    }

    /// The list of this name, without the `$`.
    pub fn find(&self, name: &str) -> Option<&Arc<NamedList>> {
        self.0.get(name)
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| &**name)
    }
}

#[cfg(test)]
mod tests;
