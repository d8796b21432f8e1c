//! Texts with expressions in braces: `{ip.src}`, `{http.request.headers["x-tenant"][0]}`.
//!
//! A template is checked and cut into pieces when the policy is loaded, so filling it in cannot fail. What fills it in
//! comes from strangers, therefore control characters (CR and LF among them) are left out of every value: no template
//! can end a header line. What is missing is an empty text.

use bytes::Bytes;
use http::HeaderValue;

use super::{Expression, Expressions, Fields};
use crate::expr::{Phase, enclosed};
use crate::values::Problem;

/// A text with expressions, ready to be filled in. `{{` and `}}` are the braces themselves.
#[derive(Debug)]
pub struct Template(Pieces);

#[derive(Debug)]
enum Pieces {
    /// No expression: made once, shared by all.
    Constant(HeaderValue),
    Mixed(Box<[Piece]>),
}

#[derive(Debug)]
enum Piece {
    Text(Box<str>),
    Value(Expression),
}

impl Template {
    /// Checks a text. Its expressions may use what is known in this phase.
    ///
    /// # Errors
    /// The first thing wrong with it, told at `at`: a brace without its counterpart, a control character, an expression
    /// that is none.
    pub fn compile(
        at: &str,
        text: &str,
        expressions: Expressions<'_>,
        phase: Phase,
    ) -> Result<Self, Problem> {
        let control =
            || Problem::new(at, "control characters, line breaks among them, cannot stand in a value");
        if text.bytes().any(is_control) {
            return Err(control());
        }
        if is_variable(text) {
            let message = "there are no variables with $, such a text stands for itself: write {ip.src}, {http.host} and \
                           the like, or {\"$…\"} for the text";
            return Err(Problem::new(at, message));
        }
        let pieces = cut(at, text, |source| expressions.expression(at, source, phase))?;
        let constant = match pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text.as_ref()),
            _ => None,
        };
        Ok(Self(match constant {
            Some(text) => Pieces::Constant(HeaderValue::from_bytes(text.as_bytes()).map_err(|_| control())?),
            None => Pieces::Mixed(pieces.into()),
        }))
    }

    /// The finished value. Never fails: what cannot stand in a header value is left out.
    #[must_use]
    pub fn header_value(&self, fields: &Fields<'_>) -> HeaderValue {
        match &self.0 {
            Pieces::Constant(value) => value.clone(),
            Pieces::Mixed(pieces) => {
                let mut filled = Vec::with_capacity(64);
                pieces.iter().for_each(|piece| piece.write(fields, &mut filled));
                HeaderValue::from_maybe_shared(Bytes::from(filled))
                    .unwrap_or_else(|_| HeaderValue::from_static(""))
            }
        }
    }
}

impl Piece {
    fn write(&self, fields: &Fields<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => out.extend_from_slice(text.as_bytes()),
            Self::Value(expression) => {
                let value = expression.text(fields).unwrap_or_default();
                out.extend(value.iter().copied().filter(|byte| !is_control(*byte)));
            }
        }
    }
}

/// Cuts a text at its braces. Neighbouring texts are one piece.
fn cut(
    at: &str,
    text: &str,
    compile: impl Fn(&str) -> Result<Expression, Problem>,
) -> Result<Vec<Piece>, Problem> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, at_brace)) = rest.find(['{', '}']).and_then(|at| rest.split_at_checked(at)) {
        literal.push_str(before);
        let place = text.len() - at_brace.len();
        rest = if let Some(after) = at_brace.strip_prefix("{{") {
            literal.push('{');
            after
        } else if let Some(after) = at_brace.strip_prefix("}}") {
            literal.push('}');
            after
        } else if let Some(opened) = at_brace.strip_prefix('{') {
            let moved = |problem: Problem| shifted(problem, place + 1);
            let fault = |error: crate::expr::Error| {
                moved(Problem::new(at, error.message).within(error.span.start..error.span.end))
            };
            let Some(source) = enclosed(opened).map_err(fault)? else {
                let message = "a { is never closed: write {{ for the character itself";
                return Err(Problem::new(at, message).within(place..place + 1));
            };
            flush(&mut literal, &mut pieces);
            pieces.push(Piece::Value(compile(source).map_err(moved)?));
            opened.get(source.len() + 1..).unwrap_or_default()
        } else {
            let message = "a } without { before it: write }} for the character itself";
            return Err(Problem::new(at, message).within(place..place + 1));
        };
    }
    literal.push_str(rest);
    flush(&mut literal, &mut pieces);
    Ok(pieces)
}

/// What is wrong with an expression, as a part of the text it stands in.
fn shifted(problem: Problem, by: usize) -> Problem {
    let part = problem.part.map(|part| part.start + by..part.end + by);
    Problem { part, ..problem }
}

fn flush(literal: &mut String, pieces: &mut Vec<Piece>) {
    if !literal.is_empty() {
        pieces.push(Piece::Text(std::mem::take(literal).into()));
    }
}

/// Whether a text is `$remote_addr` or the like, as nginx writes what is filled in. Sent as it stands, it would tell backends
/// something untrue.
fn is_variable(text: &str) -> bool {
    let name = text.strip_prefix('$').unwrap_or_default();
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

const fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

#[cfg(test)]
mod tests;
