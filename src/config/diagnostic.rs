//! What is wrong with a policy, as told to the one who wrote it: file, line, column, path, message, and the
//! line itself.
//!
//! ```text
//! conf/edge.yaml:12:9: routes[0].filters[1].rate_limit: unknown key "brust", did you mean "burst"?
//!    12 |         brust: 5
//!       |         ^^^^^
//! ```

use std::fmt::{self, Display};
use std::ops::Range;

use serde::Serialize;

use super::fault::unquoted;
use super::path::Path;
use super::yaml::{Document, Position};
use crate::auth::keys::digest::NOT_A_DIGEST;
use crate::outbound::redis::LOGIN_IN_THE_ADDRESS;
use crate::values::Problem;
use crate::values::secret::WRITTEN_IN_THE_CLEAR;

/// Characters of a source line that are shown.
const SHOWN_CHARACTERS: usize = 100;

/// Something wrong with a value or key of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// The value, or the value whose key it is.
    pub path: Path,
    pub target: Target,
    /// What is wrong and what was expected, a lowercase fragment.
    pub message: String,
    /// The part of the text there that is meant, in bytes; `None` for the whole of it.
    pub part: Option<Range<usize>>,
    /// What was expected where a text was likely meant and left unquoted. The message is then made again with
    /// what the document really says there, because `1.10` was parsed to 1.1.
    pub(super) unquoted: Option<String>,
}

/// Which part of an entry of a map is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Key,
    Value,
}

/// An [`Issue`] and where it is in the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    pub file: String,
    /// Counted from 1; 0 if the issue is with the file as a whole.
    pub line: usize,
    /// In characters, counted from 1; 0 if the issue is with the file as a whole.
    pub column: usize,
    /// Dotted path of the value, or of the map whose key it is; empty at the top of the document.
    pub path: String,
    pub message: String,
    #[serde(skip)]
    excerpt: Option<Excerpt>,
}

/// Everything wrong with a policy, in the order of its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostics(Vec<Diagnostic>);

/// A source line as shown, and the characters of it to mark.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    line: String,
    start: usize,
    length: usize,
}

impl Issue {
    pub fn new(path: Path, target: Target, message: impl Display) -> Self {
        Self { path, target, message: message.to_string(), part: None, unquoted: None }
    }

    /// A problem that compiling the value at `base` brought up.
    pub fn from_problem(base: &Path, problem: &Problem) -> Self {
        let path = base.join(&Path::parse(&problem.at));
        Self { part: problem.part.clone(), ..Self::new(path, Target::Value, &problem.message) }
    }
}

impl Diagnostics {
    /// Finds every issue's place in the document. Costs a parse of the document for each.
    pub fn new(document: &Document, issues: Vec<Issue>) -> Self {
        let mut diagnostics: Vec<_> =
            issues.into_iter().map(|issue| Diagnostic::new(document, issue)).collect();
        diagnostics.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        diagnostics.dedup();
        Self(diagnostics)
    }

    /// Something wrong with a file as a whole.
    pub fn of_file(file: &str, message: impl Display) -> Self {
        let (file, message) = (file.to_owned(), message.to_string());
        Self(vec![Diagnostic { file, line: 0, column: 0, path: String::new(), message, excerpt: None }])
    }

    /// Something wrong with the text itself, where there are no values yet.
    pub(super) fn at(file: &str, text: &str, position: &Position, message: &str) -> Self {
        Self(vec![Diagnostic {
            file: file.to_owned(),
            line: position.line,
            column: position.column,
            path: String::new(),
            message: message.to_owned(),
            excerpt: Excerpt::new(text, position),
        }])
    }

    /// What is wrong with this file and with another.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for Diagnostics {}

impl Display for Diagnostics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, diagnostic) in self.0.iter().enumerate() {
            if number > 0 {
                formatter.write_str("\n")?;
            }
            diagnostic.fmt(formatter)?;
        }
        Ok(())
    }
}

impl Diagnostic {
    fn new(document: &Document, issue: Issue) -> Self {
        let mut position = document.locate(&issue.path, issue.target);
        let path = match issue.target {
            Target::Value => issue.path,
            Target::Key => issue.path.parent().unwrap_or_default(),
        };
        let message = match issue.unquoted {
            Some(expected) => unquoted(&expected, &position.text),
            None => issue.message,
        };
        if let Some(part) = &issue.part {
            narrow(&mut position, part, document.text());
        }
        let mut excerpt = Excerpt::new(document.text(), &position);
        let secrets = [WRITTEN_IN_THE_CLEAR, NOT_A_DIGEST, LOGIN_IN_THE_ADDRESS];
        if secrets.iter().any(|secret| message.contains(secret)) {
            excerpt = excerpt.map(Excerpt::masked);
        }
        Self {
            file: document.name().to_owned(),
            line: position.line,
            column: position.column,
            path: path.to_string(),
            message,
            excerpt,
        }
    }
}

impl Display for Diagnostic {
    /// The first line is complete in itself; a second and third show the source line and mark the place, if
    /// there is one.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if self.line > 0 {
            write!(formatter, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(formatter, ": {}", harmless(&self.path))?;
        }
        write!(formatter, ": {}", harmless(&self.message))?;
        let Some(Excerpt { line, start, length }) = &self.excerpt else { return Ok(()) };
        write!(formatter, "\n{:>5} | {line}\n      | {:start$}{:^<length$}", self.line, "", "")
    }
}

impl Excerpt {
    /// The line around a position, cut to a readable width. `None` past the end of the text or on an empty
    /// line.
    fn new(text: &str, position: &Position) -> Option<Self> {
        let line: Vec<char> = source_line(text, position.line)?.trim_end().chars().collect();
        if line.is_empty() {
            return None;
        }
        let start = position.column.saturating_sub(1).min(line.len());
        let length = marked_length(line.get(start..).unwrap_or_default(), &position.text);
        let from = match start {
            start if start + length.min(SHOWN_CHARACTERS / 2) <= SHOWN_CHARACTERS => 0,
            start => start - SHOWN_CHARACTERS / 2,
        };
        let to = line.len().min(from + SHOWN_CHARACTERS);
        let before = if from > 0 { "…" } else { "" };
        let after = if to < line.len() { "…" } else { "" };
        let shown: String = line.get(from..to)?.iter().collect();
        Some(Self {
            line: format!("{before}{}{after}", harmless(&shown)),
            start: start - from + before.chars().count(),
            length: length.min(to.saturating_sub(start)).max(1),
        })
    }

    /// Without what stands at the marked place and after it.
    fn masked(self) -> Self {
        let kept: String = self.line.chars().take(self.start).collect();
        Self { line: kept + "***", start: self.start, length: 3 }
    }
}

/// Moves a position to a part of the text there, where that stands on one line as it was read: neither folded nor with
/// escapes.
fn narrow(position: &mut Position, part: &Range<usize>, text: &str) {
    let line = source_line(text, position.line).unwrap_or_default();
    let rest: String = line.chars().skip(position.column.saturating_sub(1)).collect();
    let unquoted = rest.strip_prefix(['"', '\'']);
    let (quote, rest) = unquoted.map_or((0, rest.as_str()), |rest| (1, rest));
    let Some(before) = position.text.get(..part.start) else { return };
    let Some(marked) = position.text.get(part.clone()) else { return };
    if rest.starts_with(&position.text) {
        position.column += quote + before.chars().count();
        position.text = marked.to_owned();
    }
}

/// How many characters at the start of `rest` are the scalar `text` as written, quotes included; 1 if that is
/// unclear.
fn marked_length(rest: &[char], text: &str) -> usize {
    let text: Vec<char> = text.chars().collect();
    match rest.split_first() {
        Some((quote @ ('"' | '\''), inside))
            if inside.starts_with(&text) && inside.get(text.len()) == Some(quote) =>
        {
            text.len() + 2
        }
        _ if rest.starts_with(&text) => text.len().max(1),
        _ => 1,
    }
}

/// The same text without what would move something on a terminal but line ends, which what a regular expression's error
/// says has. Every character keeps its column.
fn harmless(text: &str) -> String {
    let shown = |character: char| match character {
        '\n' => '\n',
        '\t' => ' ',
        character if character.is_control() => '\u{fffd}',
        character => character,
    };
    text.chars().map(shown).collect()
}

/// A line by its number from 1. Lines end where YAML 1.1 parsers count them to end, else every number after
/// would be off.
fn source_line(text: &str, number: usize) -> Option<&str> {
    let mut rest = text;
    for _ in 1..number {
        let (_, next) = split_line(rest)?;
        rest = next;
    }
    Some(split_line(rest).map_or(rest, |(line, _)| line))
}

fn split_line(text: &str) -> Option<(&str, &str)> {
    let end = text.find(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])?;
    let (line, rest) = text.split_at(end);
    let rest = rest.strip_prefix("\r\n").unwrap_or_else(|| {
        let mut characters = rest.chars();
        characters.next();
        characters.as_str()
    });
    Some((line, rest))
}

#[cfg(test)]
mod tests;
