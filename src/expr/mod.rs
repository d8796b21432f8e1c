//! The language of `when:`, of authorisation and of limiter keys: typed expressions in the syntax of Cloudflare's Rules
//! language, compiled when a policy loads and evaluated on every request.
//!
//! ```text
//! http.request.method in {"GET" "HEAD"} and not ip.src in $corp and "ops" in jwt.claims["groups"]
//! ```
//!
//! The engine knows no proxy. Fields come from a [`Scheme`], their values from an implementation of [`Values`] at
//! evaluation; Edgeward's own fields are listed in [`fields`]. What always holds:
//!
//! * **Whatever compiles has types.** Unknown names, types that do not meet, fields not known yet in the [`Phase`], bad
//!   patterns and unknown lists are [`Error`]s with their place in the source.
//! * **Evaluation is total.** There is no error and no panic, and work and memory are bounded by the constants here.
//! * **Missing is not false.** A comparison with an absent header or claim, or with a JSON value of another type, is
//!   [`Truth::Missing`], and so is its negation: `and`, `or`, `xor` and `not` follow Kleene's three-valued logic. Thus
//!   `not jwt.claims["role"] == "guest"` lets nobody in who has no role. `exists(…)` asks for presence.
//! * **Strings are bytes.** Nothing is assumed to be UTF-8, and patterns match bytes.

mod access;
mod ast;
mod check;
mod error;
mod eval;
pub mod fields;
pub mod functions;
mod json;
mod lexer;
pub mod list;
mod parser;
mod pattern;
pub mod policy;
mod program;
mod scheme;
mod set;
mod text;
mod truth;

use std::borrow::Cow;

pub use access::{Address, Scalar, Values, Visit};
pub use error::{Error, Span};
pub use list::Lists;
pub use scheme::{Field, Keys, Kind, Phase, Scheme, Type};
pub use truth::{Missing, Truth, Why};

use check::Checker;
use eval::{Fuel, Machine};
use lexer::{Lexer, TokenKind};
use program::{Term, Test};

/// Longest source, in bytes.
pub const MAX_LENGTH: usize = 4096;
/// Deepest nesting of parentheses, `not` and calls.
pub const MAX_DEPTH: usize = 64;
/// Elements of lists that one evaluation looks at; past that, what it asks for is missing. All header fields of a
/// request are a hundred; the bound is for quantifiers inside each other.
pub const MAX_ELEMENTS: u32 = 16_384;
/// Longest string that `concat` and `join` make, in bytes; a longer one is missing.
pub const MAX_TEXT: usize = 64 * 1024;
/// Memory for one compiled pattern, and for what matching it keeps between requests, in bytes.
const MAX_PATTERN: usize = 256 * 1024;

/// What an expression is compiled against.
pub struct Context<'c, F: 'static> {
    /// The fields there are.
    pub scheme: &'c Scheme<F>,
    /// The lists that `$name` refers to.
    pub lists: &'c Lists,
    /// When the expression will be evaluated: fields that are known later only are errors.
    pub phase: Phase,
    /// A map of which it is known what keys it can have: others are errors.
    pub closed: Option<(F, &'c [&'c str])>,
}

/// An expression that is true, false or undecided for want of a value.
#[derive(Debug)]
pub struct Condition<F> {
    test: Test<F>,
    uses: Box<[(F, Span)]>,
    source: Box<str>,
}

impl<F: Copy + PartialEq> Condition<F> {
    /// Compiles a condition, or tells everything that is wrong with it. The errors are never empty.
    pub fn compile(source: &str, context: &Context<'_, F>) -> Result<Self, Vec<Error>> {
        let node = parser::parse(source).map_err(|error| vec![error])?;
        let (test, uses) = Checker::new(source, context).condition(&node)?;
        Ok(Self { test, uses, source: source.into() })
    }

    /// Decides. Allocates only where a function makes a string that no field has (`upper("a")` does, `lower("a")` does
    /// not), or where `values` does.
    pub fn evaluate<V: Values<Field = F> + ?Sized>(&self, values: &V) -> Truth<'_> {
        Machine::new(values, &Fuel::full()).decide(&self.test)
    }

    /// The fields it names, each time it does, and where in the source.
    pub fn uses(&self) -> &[(F, Span)] {
        &self.uses
    }

    /// The expression as written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// An expression with a value: a limiter's key, a header's content.
#[derive(Debug)]
pub struct Expression<F> {
    term: Term<F>,
    kind: Kind,
    uses: Box<[(F, Span)]>,
    source: Box<str>,
}

impl<F: Copy + PartialEq> Expression<F> {
    /// Compiles an expression that yields one value, not an array or a map. The errors are never empty.
    pub fn compile(source: &str, context: &Context<'_, F>) -> Result<Self, Vec<Error>> {
        let node = parser::parse(source).map_err(|error| vec![error])?;
        let ((term, kind), uses) = Checker::new(source, context).value(&node)?;
        Ok(Self { term, kind, uses, source: source.into() })
    }

    /// What kind of value it yields. One of kind [`Kind::Json`] yields whatever the document holds.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The value, borrowed where it is a field.
    pub fn evaluate<'e, V: Values<Field = F> + ?Sized>(
        &'e self,
        values: &'e V,
    ) -> Result<Scalar<'e>, Missing<'e>> {
        Machine::new(values, &Fuel::full()).term(&self.term)
    }

    /// The value as `to_string()` writes it. JSON arrays and objects have no such form and are missing.
    pub fn text<'e, V: Values<Field = F> + ?Sized>(
        &'e self,
        values: &'e V,
    ) -> Result<Cow<'e, [u8]>, Missing<'e>> {
        Machine::new(values, &Fuel::full()).text(&self.term)
    }

    /// The fields it names, each time it does, and where in the source.
    pub fn uses(&self) -> &[(F, Span)] {
        &self.uses
    }

    /// The expression as written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// The expression at the start of a text, up to the `}` that ends it; `None` where none does. Braces in strings and those
/// of sets are the expression's own.
///
/// # Errors
/// What cannot be a part of an expression, and where.
pub fn enclosed(text: &str) -> Result<Option<&str>, Error> {
    let mut lexer = Lexer::new(text);
    let mut open = 0_usize;
    loop {
        let token = lexer.next()?;
        match token.kind {
            TokenKind::End => return Ok(None),
            TokenKind::Symbol("{") => open += 1,
            TokenKind::Symbol("}") if open == 0 => return Ok(text.get(..token.span.start)),
            TokenKind::Symbol("}") => open -= 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
