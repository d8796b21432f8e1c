//! Named lists, `$corp` in an expression: many strings, numbers or networks kept apart from the expressions that ask
//! for them, and shared by these.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

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

/// All lists by name. They are what a policy holds, and made anew with it.
#[derive(Debug, Default)]
pub struct Lists(BTreeMap<Box<str>, Arc<Entries>>);

impl Lists {
    /// No list yet.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a list, in place of one of the same name.
    pub fn insert(&mut self, name: impl Into<Box<str>>, list: Arc<Entries>) {
        self.0.insert(name.into(), list);
    }

    /// The list of this name, without the `$`.
    pub fn find(&self, name: &str) -> Option<&Arc<Entries>> {
        self.0.get(name)
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| &**name)
    }
}

#[cfg(test)]
mod tests;
