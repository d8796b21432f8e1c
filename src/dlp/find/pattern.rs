//! Patterns of an operator's own, in the syntax of Rust's `regex`, which takes time linear in the text.
//!
//! So that a text can be looked at while it comes, a match has a longest length and never crosses the end of a line: that
//! is compiled into the pattern.

use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{
    Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look,
};
use thiserror::Error;

/// Longest match, in bytes.
pub const LONGEST: usize = 256;

pub(super) const REACH: usize = LONGEST + 1;

const LARGEST_PROGRAM: usize = 1 << 20;
/// Groups within groups; what walks over a pattern calls itself so often.
const DEEPEST: u32 = 32;

/// A pattern that can be looked for in a stream.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

/// Why a text is no such pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotAPattern {
    /// Not a regular expression.
    #[error("expected a regular expression: {0}")]
    Syntax(String),
    /// It matches nothing at all.
    #[error("it matches where nothing is")]
    Empty,
    /// It may match more than [`LONGEST`] bytes.
    #[error("a match may be longer than 256 bytes: write a bound, such as {{1,64}}, in place of * and +")]
    Unbounded,
    /// It asks where a line or the text begins or ends.
    #[error("^, $, \\A and \\z mean nothing in a body that comes in pieces: leave them out, or write \\b")]
    Anchor,
    /// It can match the end of a line only.
    #[error("a match ends with its line: leave out what matches a line end")]
    LineEnd,
    /// Too large once compiled.
    #[error("it is too large once compiled: make its counts smaller")]
    Large,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// See [`NotAPattern`].
    pub fn new(text: &str) -> Result<Self, NotAPattern> {
        let parsed = ParserBuilder::new().nest_limit(DEEPEST).build().parse(text);
        let parsed = parsed.map_err(|error| NotAPattern::Syntax(last_line(&error.to_string())))?;
        let confined = confine(&parsed)?;
        let properties = confined.properties();
        if properties.minimum_len().is_none_or(|least| least == 0) {
            return Err(NotAPattern::Empty);
        }
        if properties.maximum_len().is_none_or(|most| most > LONGEST) {
            return Err(NotAPattern::Unbounded);
        }
        let built = RegexBuilder::new(&confined.to_string()).size_limit(LARGEST_PROGRAM).build();
        built.map(Self).map_err(|_| NotAPattern::Large)
    }

    pub(super) fn next(&self, text: &[u8], within: Range<usize>) -> Option<Range<usize>> {
        let found = self.0.find_at(text, within.start)?;
        (found.start() < within.end).then(|| found.range())
    }
}

/// Errors of `regex-syntax` show the pattern first, on lines of their own.
fn last_line(error: &str) -> String {
    let line = error.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// The same without the end of a line.
fn confine(pattern: &Hir) -> Result<Hir, NotAPattern> {
    Ok(match pattern.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) if literal.0.contains(&b'\n') => return Err(NotAPattern::LineEnd),
        HirKind::Literal(literal) => Hir::literal(literal.0.clone()),
        HirKind::Class(Class::Unicode(class)) => {
            let mut class = class.clone();
            class.difference(&ClassUnicode::new([ClassUnicodeRange::new('\n', '\n')]));
            if class.ranges().is_empty() {
                return Err(NotAPattern::LineEnd);
            }
            Hir::class(Class::Unicode(class))
        }
        HirKind::Class(Class::Bytes(class)) => {
            let mut class = class.clone();
            class.difference(&ClassBytes::new([ClassBytesRange::new(b'\n', b'\n')]));
            if class.ranges().is_empty() {
                return Err(NotAPattern::LineEnd);
            }
            Hir::class(Class::Bytes(class))
        }
        HirKind::Look(look) => Hir::look(of_ascii(*look)?),
        HirKind::Repetition(repetition) => {
            let sub = Box::new(confine(&repetition.sub)?);
            Hir::repetition(regex_syntax::hir::Repetition { sub, ..repetition.clone() })
        }
        HirKind::Capture(capture) => confine(&capture.sub)?,
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(confine).collect::<Result<_, _>>()?),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(confine).collect::<Result<_, _>>()?),
    })
}

/// Words as ASCII has them: one byte on either side tells.
const fn of_ascii(look: Look) -> Result<Look, NotAPattern> {
    match look {
        Look::WordAscii | Look::WordUnicode => Ok(Look::WordAscii),
        Look::WordAsciiNegate | Look::WordUnicodeNegate => Ok(Look::WordAsciiNegate),
        Look::WordStartAscii | Look::WordStartUnicode => Ok(Look::WordStartAscii),
        Look::WordEndAscii | Look::WordEndUnicode => Ok(Look::WordEndAscii),
        Look::WordStartHalfAscii | Look::WordStartHalfUnicode => Ok(Look::WordStartHalfAscii),
        Look::WordEndHalfAscii | Look::WordEndHalfUnicode => Ok(Look::WordEndHalfAscii),
        _ => Err(NotAPattern::Anchor),
    }
}
