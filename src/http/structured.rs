//! Structured fields (RFC 9651), as HTTP carries them: in several lines, and of any length.
//!
//! Values are parsed and written by the `sfv` crate, to the letter of the RFC; use its types. Here is what it leaves to
//! us: the lines of one field are one value (§4.2), and nobody makes us parse more than the caller allows.

use std::borrow::Cow;

use sfv::{FieldType, Parser};

/// How much is parsed.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of all lines, joined by `, `.
    pub bytes: usize,
    /// Members, items and parameters together. Each takes half a microsecond and an allocation or two, so that a few
    /// kilobytes of `a,a,a` would cost more than verifying a signature. Counted before anything is parsed, by the
    /// commas, semicolons and spaces; those inside of strings count too.
    pub parts: usize,
}

/// Why a field has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("the field is longer than allowed")]
    TooLong,
    #[error("the field is not the structured field it should be")]
    Malformed,
}

/// Reads the lines of one field, in the order they came, as an item, a list or a dictionary: `T` is [`sfv::Item`],
/// [`sfv::List`] or [`sfv::Dictionary`]. `None` if there is no line. A list or a dictionary may be empty.
///
/// # Errors
/// When the lines go beyond the limits, or when they are not a `T`.
pub fn read<'a, T: FieldType>(
    lines: impl IntoIterator<Item = &'a [u8]>,
    limits: Limits,
) -> Result<Option<T>, Unreadable> {
    let mut value: Option<Cow<'_, [u8]>> = None;
    for line in lines {
        let joined = match value {
            None => Cow::Borrowed(line),
            Some(before) => {
                let mut before = before.into_owned();
                before.extend_from_slice(b", ");
                before.extend_from_slice(line);
                Cow::Owned(before)
            }
        };
        if joined.len() > limits.bytes {
            return Err(Unreadable::TooLong);
        }
        value = Some(joined);
    }
    let Some(value) = value else { return Ok(None) };
    let separators = value.iter().filter(|byte| matches!(byte, b',' | b';' | b' ')).count();
    if separators >= limits.parts {
        return Err(Unreadable::TooLong);
    }
    T::parse(Parser::new(&value)).map(Some).map_err(|_| Unreadable::Malformed)
}

#[cfg(test)]
mod tests;
