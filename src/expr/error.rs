//! What is wrong with an expression, and how that is shown to its author.

use std::fmt::Write;

/// Characters of a source line that are shown.
const SHOWN_CHARACTERS: usize = 100;

/// A part of a source, in bytes. Both ends lie between characters, as they come from the lexer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

impl Span {
    pub(super) const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    pub(super) const fn to(self, end: Self) -> Self {
        Self { start: self.start, end: end.end }
    }

    pub(super) fn of(self, source: &str) -> &str {
        source.get(self.start..self.end).unwrap_or_default()
    }
}

/// Something wrong with an expression. Prints as its message, a lowercase fragment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Where in the source.
    pub span: Span,
    /// What is wrong and what was expected.
    pub message: String,
}

impl Error {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }

    /// The message, and below it the line of `source` with the place marked:
    ///
    /// ```text
    /// unknown field "http.request.metod", did you mean "http.request.method"?
    ///     1 | http.request.metod == "GET"
    ///       | ^^^^^^^^^^^^^^^^^^
    /// ```
    ///
    /// Long lines are cut around the place. Nothing in it moves the cursor of a terminal.
    pub fn render(&self, source: &str) -> String {
        let before = source.get(..self.span.start).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let number = before.matches('\n').count() + 1;
        let line = source.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let line: Vec<char> = line.chars().collect();
        let start = before.get(line_start..).map_or(0, |left| left.chars().count());
        let marked = self.span.of(source).lines().next().map_or(0, |marked| marked.chars().count());

        let from = if start + marked.min(SHOWN_CHARACTERS / 2) <= SHOWN_CHARACTERS {
            0
        } else {
            start - SHOWN_CHARACTERS / 2
        };
        let to = line.len().min(from + SHOWN_CHARACTERS);
        let shown: String = line.iter().take(to).skip(from).copied().map(harmless).collect();
        let (left, right) = (if from > 0 { "…" } else { "" }, if to < line.len() { "…" } else { "" });
        let indent = start - from + left.chars().count();
        let length = marked.min(to.saturating_sub(start)).max(1);

        let mut text = self.message.clone();
        // writing to a String does not fail
        let _infallible = write!(
            text,
            "\n{number:>5} | {left}{shown}{right}\n      | {:indent$}{}",
            "",
            "^".repeat(length)
        );
        text
    }
}

/// A character that moves nothing on a terminal. Every other one keeps its column.
fn harmless(character: char) -> char {
    match character {
        '\t' => ' ',
        character if character.is_control() => '\u{fffd}',
        character => character,
    }
}
