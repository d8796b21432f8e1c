//! Strings, numbers and literals of JSON, a byte at a time.

use std::borrow::Cow;

/// A value that is no container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Text(Text),
    Number(Number),
    /// The word, and how much of it has come.
    Literal(&'static [u8], usize),
}

/// Where in a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    Plain,
    /// After a backslash.
    Escape,
    /// So many digits of `\u0041` are to come.
    Hex(u8),
}

/// Where in a number (RFC 8259 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Minus,
    Zero,
    Digits,
    Dot,
    Fraction,
    Exponent,
    Sign,
    Power,
}

/// What a byte is to a value that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Part of it, and what takes its place in a mask.
    On(Scalar, u8),
    /// Its last byte, likewise.
    Last(u8),
    /// What comes after it.
    Before,
    /// Nothing that may come here.
    Wrong,
}

/// What takes the place of literals.
const NULL: &[u8] = b"null ";

impl Scalar {
    /// The value that begins with this byte.
    pub(super) const fn begin(byte: u8) -> Option<Self> {
        Some(match byte {
            b'"' => Self::Text(Text::Plain),
            b'-' => Self::Number(Number::Minus),
            b'0' => Self::Number(Number::Zero),
            b'1'..=b'9' => Self::Number(Number::Digits),
            b't' => Self::Literal(b"true", 1),
            b'f' => Self::Literal(b"false", 1),
            b'n' => Self::Literal(b"null", 1),
            _ => return None,
        })
    }

    /// What takes the place of its first byte: a mask of a number is 0 and spaces, one of a literal is null.
    pub(super) const fn hide_first(self, byte: u8) -> u8 {
        match self {
            Self::Text(_) => byte,
            Self::Number(_) => b'0',
            Self::Literal(..) => b'n',
        }
    }

    pub(super) fn step(self, byte: u8) -> Step {
        match self {
            Self::Text(text) => text.step(byte),
            Self::Number(number) => match number.step(byte) {
                Some(number) => Step::On(Self::Number(number), b' '),
                None if number.is_complete() => Step::Before,
                None => Step::Wrong,
            },
            Self::Literal(word, at) if word.get(at) == Some(&byte) => {
                let hidden = NULL.get(at).copied().unwrap_or(b' ');
                if at + 1 == word.len() {
                    Step::Last(hidden)
                } else {
                    Step::On(Self::Literal(word, at + 1), hidden)
                }
            }
            Self::Literal(..) => Step::Wrong,
        }
    }
}

impl Text {
    pub(super) fn step(self, byte: u8) -> Step {
        let on = |text| Step::On(Scalar::Text(text), b'*');
        match (self, byte) {
            (Self::Plain, b'"') => Step::Last(byte),
            (Self::Plain, b'\\') => on(Self::Escape),
            (Self::Plain, 0..b' ') => Step::Wrong,
            (Self::Plain, _) | (Self::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                on(Self::Plain)
            }
            (Self::Escape, b'u') => on(Self::Hex(4)),
            (Self::Hex(left), _) if byte.is_ascii_hexdigit() => {
                on(if left > 1 { Self::Hex(left - 1) } else { Self::Plain })
            }
            (Self::Escape | Self::Hex(_), _) => Step::Wrong,
        }
    }
}

impl Number {
    const fn step(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Digits, b'0'..=b'9') => Self::Digits,
            (Self::Zero | Self::Digits, b'.') => Self::Dot,
            (Self::Dot | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Digits | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::Sign,
            (Self::Exponent | Self::Sign | Self::Power, b'0'..=b'9') => Self::Power,
            _ => return None,
        })
    }

    pub(super) const fn is_complete(self) -> bool {
        matches!(self, Self::Zero | Self::Digits | Self::Fraction | Self::Power)
    }
}

/// A name as it is meant, from how it is written between its quotes. `None` if it means nothing: half of a character, or
/// no UTF-8.
pub(super) fn decode(name: &[u8]) -> Option<Cow<'_, str>> {
    if !name.contains(&b'\\') {
        return std::str::from_utf8(name).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice(&[b"\"", name, b"\""].concat()).ok().map(Cow::Owned)
}
