//! Reads SecLang, the language of ModSecurity's rules, as the Core Rule Set is released and as people write it by hand.
//!
//! Nothing is skipped in silence: what is not known, or known and not done here, is a [`Fault`] with file and line, and
//! all of them are told at once. Directives that mean nothing to an engine within a proxy (debug logs, uploads kept on
//! disk, …) are in one list, by name ([`directive`]).

mod actions;
mod build;
mod directive;
mod lexer;
mod operator;
mod targets;

use std::fmt;
use std::io;

use super::ir::{Location, Program};
use build::Builder;

/// Reads files. So that reading rules is pure, and a test's files are in memory.
pub trait Loader {
    /// The bytes of the file at `path`, at most some MiB.
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;

    /// The paths that `pattern` stands for, sorted; itself, if it has no `*` or `?`.
    fn expand(&self, pattern: &str) -> io::Result<Vec<String>>;
}

/// What is wrong where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub at: Location,
    /// In characters, from 1; 0 where only the line is known.
    pub column: u32,
    /// What, as a lowercase fragment.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            0 => write!(out, "{}: {}", self.at, self.what),
            column => write!(out, "{}:{column}: {}", self.at, self.what),
        }
    }
}

impl std::error::Error for Fault {}

/// What happens to a rule that asks for what this engine does not do, such as `@rbl` (a network lookup per request) or
/// a pattern with lookaround.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unsupported {
    /// It is an error.
    #[default]
    Refuse,
    /// The rule, with all of its chain, is left out and told in [`Loaded::notes`].
    LeaveOut,
}

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The rules, in order.
    pub program: Program,
    /// What an operator should know.
    pub notes: Vec<Fault>,
}

/// Reads rules from text; `name` stands for it in messages. What it includes and files of data go through `loader`; of what
/// it includes, packs in YAML ([`yaml`](super::yaml)) are read as such.
///
/// # Errors
/// Everything that is wrong.
pub fn load(
    loader: &dyn Loader,
    (name, text): (&str, &str),
    unsupported: Unsupported,
) -> Result<Loaded, Vec<Fault>> {
    let mut builder = Builder::new(loader, unsupported);
    builder.text(name, text.as_bytes());
    builder.finish()
}

/// What a part of a directive came to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    /// It is wrong.
    Wrong(String),
    /// It is right, and not done here.
    Unsupported(String),
}

impl<T: Into<String>> From<T> for Problem {
    fn from(what: T) -> Self {
        Self::Wrong(what.into())
    }
}

#[cfg(test)]
mod tests;
