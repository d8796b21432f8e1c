//! The content of a list: entries as a policy or a file writes them, gathered and checked one by one.

use std::net::IpAddr;

use ipnet::IpNet;

use super::ListKind;
use crate::expr::access::Scalar;
use crate::expr::set::{IntSet, Set, StringSet, networks};
use crate::net::IpSet;
use crate::values::text::quoted;

/// Most entries of a list.
pub const MAX_ENTRIES: usize = 1_000_000;
/// Longest entry, in bytes.
pub const MAX_ENTRY: usize = 4096;
/// Longest file, in bytes.
pub const MAX_FILE: usize = 64 * 1024 * 1024;
/// After this many wrong lines, no more are told.
const MAX_ERRORS: usize = 20;

/// The content of a list.
#[derive(Debug)]
pub struct Entries(Set);

/// An entry that cannot be in a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Not written as the list's kind asks.
    #[error("expected {expected}, found {found}")]
    Malformed {
        /// What an entry looks like.
        expected: &'static str,
        /// The entry, quoted and cut.
        found: String,
    },
    /// Longer than [`MAX_ENTRY`].
    #[error("entry of more than {MAX_ENTRY} bytes")]
    TooLong,
    /// One more than [`MAX_ENTRIES`].
    #[error("more than {MAX_ENTRIES} entries")]
    TooMany,
}

/// Something wrong with a list file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Longer than [`MAX_FILE`].
    #[error("file of more than {MAX_FILE} bytes")]
    TooLong,
    /// A line that is no entry. Lines count from 1.
    #[error("line {line}: {error}")]
    Line {
        /// Which line.
        line: usize,
        /// What is wrong with it.
        error: EntryError,
    },
}

impl Entries {
    /// What the entries are.
    pub const fn kind(&self) -> ListKind {
        match self.0 {
            Set::Ip(_) => ListKind::Ip,
            Set::Strings(_) => ListKind::String,
            Set::Ints(_) => ListKind::Int,
        }
    }

    /// Whether the value is among the entries; `None` if it is of another kind.
    pub(in crate::expr) fn contains(&self, value: &Scalar<'_>) -> Option<bool> {
        self.0.contains(value)
    }

    /// How many entries there are after merging.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        match &self.0 {
            Set::Ip(set) => set.len(),
            Set::Strings(set) => set.len(),
            Set::Ints(set) => set.len(),
        }
    }
}

fn without_comment(line: &[u8]) -> &[u8] {
    let comment = (0..line.len()).find(|place| {
        let before = place.checked_sub(1).and_then(|before| line.get(before));
        line.get(*place) == Some(&b'#') && before.is_none_or(u8::is_ascii_whitespace)
    });
    line.get(..comment.unwrap_or(line.len())).unwrap_or_default()
}

/// Gathers the entries of a list, one at a time.
#[derive(Debug)]
pub struct EntriesBuilder {
    gathered: Gathered,
    count: usize,
}

#[derive(Debug)]
enum Gathered {
    Ip(Vec<IpNet>),
    Strings(Vec<Vec<u8>>),
    Ints(Vec<(i64, i64)>),
}

impl EntriesBuilder {
    /// No entry yet.
    pub const fn new(kind: ListKind) -> Self {
        let gathered = match kind {
            ListKind::Ip => Gathered::Ip(Vec::new()),
            ListKind::String => Gathered::Strings(Vec::new()),
            ListKind::Int => Gathered::Ints(Vec::new()),
        };
        Self { gathered, count: 0 }
    }

    /// Adds an entry as written in a policy or a file.
    pub fn push(&mut self, entry: &[u8]) -> Result<(), EntryError> {
        if entry.len() > MAX_ENTRY {
            return Err(EntryError::TooLong);
        }
        if self.count == MAX_ENTRIES {
            return Err(EntryError::TooMany);
        }
        self.count += 1;
        let text = str::from_utf8(entry).unwrap_or_default();
        let expected = match &mut self.gathered {
            Gathered::Strings(strings) => {
                strings.push(entry.to_vec());
                return Ok(());
            }
            Gathered::Ip(all) => match parse_networks(text) {
                Some(networks) => {
                    all.extend(networks);
                    return Ok(());
                }
                None => "an address, a network such as 10.0.0.0/8 or a range such as 10.0.0.1..10.0.0.9",
            },
            Gathered::Ints(ranges) => match parse_range::<i64>(text).filter(|(first, last)| first <= last) {
                Some(range) => {
                    ranges.push(range);
                    return Ok(());
                }
                None => "a whole number or a range such as 8000..8080",
            },
        };
        Err(EntryError::Malformed { expected, found: quoted(&String::from_utf8_lossy(entry)) })
    }

    /// Adds the entries of a file: one a line, with blanks around it taken off. Empty lines mean nothing, nor does what
    /// follows a `#` at the start of a line or behind a blank. Tells what is wrong with up to 20 lines.
    pub fn push_file(&mut self, content: &[u8]) -> Result<(), Vec<FileError>> {
        if content.len() > MAX_FILE {
            return Err(vec![FileError::TooLong]);
        }
        let mut errors = Vec::new();
        for (place, line) in content.split(|byte| *byte == b'\n').enumerate() {
            let entry = without_comment(line).trim_ascii();
            if entry.is_empty() {
                continue;
            }
            if let Err(error) = self.push(entry) {
                let last = error == EntryError::TooMany;
                errors.push(FileError::Line { line: place + 1, error });
                if last || errors.len() == MAX_ERRORS {
                    break;
                }
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// The list's content.
    pub fn finish(self) -> Entries {
        Entries(match self.gathered {
            Gathered::Ip(networks) => Set::Ip(networks.into_iter().collect::<IpSet>()),
            Gathered::Strings(strings) => Set::Strings(StringSet::new(strings)),
            Gathered::Ints(ranges) => Set::Ints(IntSet::new(ranges)),
        })
    }
}

fn parse_networks(text: &str) -> Option<Vec<IpNet>> {
    if text.contains('/') {
        return text.parse().ok().map(|network| vec![network]);
    }
    let (first, last) = parse_range::<IpAddr>(text)?;
    networks(first, last)
}

/// `FIRST..LAST`, or one value for both.
fn parse_range<T: std::str::FromStr + Copy>(text: &str) -> Option<(T, T)> {
    match text.split_once("..") {
        Some((first, last)) => Some((first.parse().ok()?, last.parse().ok()?)),
        None => text.parse().ok().map(|value| (value, value)),
    }
}
