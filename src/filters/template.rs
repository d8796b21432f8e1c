//! Texts with variables: `{client.ip}`, `{header.x-tenant}`.
//!
//! A template is checked and cut into pieces when the policy is loaded, so filling it in cannot fail. What fills it in
//! comes from strangers, therefore control characters (CR and LF among them) are left out of every value: no template
//! can end a header line. A variable without a value is an empty text.

use std::io::Write;
use std::str::FromStr;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::Exchange;
use crate::values::text::quoted;

/// What a template may name, for messages.
const VARIABLES: [&str; 7] =
    ["client.ip", "request.id", "route", "host", "scheme", "header.NAME", "cookie.NAME"];

/// A text with variables, ready to be filled in.
///
/// | written | becomes |
/// |---|---|
/// | `{client.ip}` | the caller's address, after trusted hops were taken off |
/// | `{request.id}` | the id of the request in logs and answers |
/// | `{route}` | the route's name |
/// | `{host}` | the lower-case host without port |
/// | `{scheme}` | `https` or `http`, as the client spoke it |
/// | `{header.NAME}` | the first value of a request header, as it is when the filter runs |
/// | `{cookie.NAME}` | the value of a cookie, as sent |
/// | `{{` and `}}` | `{` and `}` |
#[derive(Debug, Clone)]
pub struct Template(Pieces);

#[derive(Debug, Clone)]
enum Pieces {
    /// No variable: made once, shared by all.
    Constant(HeaderValue),
    Mixed(Box<[Piece]>),
}

#[derive(Debug, Clone)]
enum Piece {
    Text(Box<str>),
    ClientIp,
    RequestId,
    Route,
    Host,
    Scheme,
    Header(HeaderName),
    Cookie(Box<str>),
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is no such variable.
    #[error("unknown variable {}, {}", quoted(name), advice(nearest.as_deref()))]
    Unknown {
        /// What was written between the braces.
        name: String,
        /// The variable that was probably meant.
        nearest: Option<String>,
    },
    /// `{header.…}` or `{cookie.…}` with something that cannot be a name.
    #[error("{} names no header or cookie: letters, digits and hyphens follow the dot", quoted(.0))]
    Name(String),
    /// A brace was opened and not closed.
    #[error("a {{ is never closed: write {{{{ for the character itself")]
    Unclosed,
    /// A brace was closed and not opened.
    #[error("a }} without {{ before it: write }}}} for the character itself")]
    Unopened,
    /// CR, LF or another control character in the text.
    #[error("control characters, line breaks among them, cannot stand in a value")]
    Control,
}

impl Template {
    /// The finished value. Never fails: what cannot stand in a header value is left out.
    #[must_use]
    pub fn header_value(&self, exchange: &Exchange<'_>) -> HeaderValue {
        match &self.0 {
            Pieces::Constant(value) => value.clone(),
            Pieces::Mixed(_) => {
                let mut filled = Vec::with_capacity(64);
                self.write(exchange, &mut filled);
                HeaderValue::from_maybe_shared(Bytes::from(filled))
                    .unwrap_or_else(|_| HeaderValue::from_static(""))
            }
        }
    }

    /// Appends the finished text to `out`. It holds no control character except tabs.
    pub fn write(&self, exchange: &Exchange<'_>, out: &mut Vec<u8>) {
        match &self.0 {
            Pieces::Constant(value) => out.extend_from_slice(value.as_bytes()),
            Pieces::Mixed(pieces) => pieces.iter().for_each(|piece| piece.write(exchange, out)),
        }
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        if text.bytes().any(is_control) {
            return Err(TemplateError::Control);
        }
        let mut pieces = cut(text)?;
        let constant = match pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text.as_ref()),
            _ => None,
        };
        if let Some(text) = constant {
            let value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| TemplateError::Control)?;
            return Ok(Self(Pieces::Constant(value)));
        }
        pieces.shrink_to_fit();
        Ok(Self(Pieces::Mixed(pieces.into())))
    }
}

impl Piece {
    fn write(&self, exchange: &Exchange<'_>, out: &mut Vec<u8>) {
        let facts = exchange.facts;
        match self {
            Self::Text(text) => out.extend_from_slice(text.as_bytes()),
            Self::ClientIp => {
                // Writing into a vector does not fail.
                let _ = write!(out, "{}", facts.client_ip.to_canonical());
            }
            Self::RequestId => push_clean(out, facts.request_id.as_bytes()),
            Self::Route => push_clean(out, facts.route.as_bytes()),
            Self::Host => push_clean(out, facts.host.as_bytes()),
            Self::Scheme => push_clean(out, facts.scheme.as_bytes()),
            Self::Header(name) => {
                push_clean(out, exchange.request.headers.get(name).map_or(b"", HeaderValue::as_bytes));
            }
            Self::Cookie(name) => push_clean(out, exchange.cookie(name).unwrap_or_default().as_bytes()),
        }
    }
}

impl FromStr for Piece {
    type Err = TemplateError;

    fn from_str(variable: &str) -> Result<Self, TemplateError> {
        Ok(match variable {
            "client.ip" => Self::ClientIp,
            "request.id" => Self::RequestId,
            "route" => Self::Route,
            "host" => Self::Host,
            "scheme" => Self::Scheme,
            _ => match variable.split_once('.') {
                Some(("header", name)) => Self::Header(token(name, variable)?),
                Some(("cookie", name)) => token(name, variable).map(|_| Self::Cookie(name.into()))?,
                _ => {
                    return Err(TemplateError::Unknown { name: variable.into(), nearest: nearest(variable) });
                }
            },
        })
    }
}

/// Cuts a text at its braces. Neighbouring texts are one piece.
fn cut(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, at_brace)) = rest.find(['{', '}']).and_then(|at| rest.split_at_checked(at)) {
        literal.push_str(before);
        rest = if let Some(after) = at_brace.strip_prefix("{{") {
            literal.push('{');
            after
        } else if let Some(after) = at_brace.strip_prefix("}}") {
            literal.push('}');
            after
        } else if let Some(opened) = at_brace.strip_prefix('{') {
            let (variable, after) = opened.split_once('}').ok_or(TemplateError::Unclosed)?;
            flush(&mut literal, &mut pieces);
            pieces.push(variable.parse()?);
            after
        } else {
            return Err(TemplateError::Unopened);
        };
    }
    literal.push_str(rest);
    flush(&mut literal, &mut pieces);
    Ok(pieces)
}

fn flush(literal: &mut String, pieces: &mut Vec<Piece>) {
    if !literal.is_empty() {
        pieces.push(Piece::Text(std::mem::take(literal).into()));
    }
}

/// Header and cookie names are both tokens (RFC 9110 §5.6.2, RFC 6265 §4.1.1).
fn token(name: &str, variable: &str) -> Result<HeaderName, TemplateError> {
    HeaderName::try_from(name).map_err(|_| TemplateError::Name(variable.into()))
}

fn push_clean(out: &mut Vec<u8>, value: &[u8]) {
    out.extend(value.iter().copied().filter(|byte| !is_control(*byte)));
}

const fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

fn advice(nearest: Option<&str>) -> String {
    nearest.map_or_else(
        || format!("the variables are {}", VARIABLES.join(", ")),
        |name| format!("did you mean {name:?}?"),
    )
}

/// The variable that differs from `written` by at most two letters. A name after `header.` or `cookie.` is kept.
fn nearest(written: &str) -> Option<String> {
    let close =
        |known: &str, written: &str| (distance(known, written) <= 2).then_some(distance(known, written));
    let whole = VARIABLES.iter().filter_map(|known| Some((close(known, written)?, (*known).to_owned())));
    let family = written.split_once('.').into_iter().flat_map(|(family, name)| {
        ["header", "cookie"]
            .into_iter()
            .filter_map(move |known| Some((close(known, family)?, format!("{known}.{name}"))))
    });
    whole.chain(family).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// Levenshtein distance in characters; names longer than any variable are far away without being compared.
fn distance(known: &str, written: &str) -> usize {
    const LONGEST: usize = 16;
    let written: Vec<char> = written.chars().take(LONGEST + 1).collect();
    if written.len() > LONGEST {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=written.len()).collect();
    for (line, expected) in known.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        let mut next = vec![left];
        for (found, above) in written.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(*found != expected)).min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
