//! How messages are worded: what was expected and what was found in the words of a policy, and the nearest
//! right name.

use std::fmt::{self, Display};

use serde::de::{Expected, Unexpected};

use crate::values::nearest::nearest;
use crate::values::text::quoted;

/// Lists of names longer than this are not printed whole.
const MOST_NAMES: usize = 40;

/// A text longer than this is no word.
const LONGEST_WORD: usize = 64;

/// `unknown {noun} "{found}"` with the nearest of the right names, or else all of them if there are at most
/// 40.
pub fn unknown(noun: &str, found: &str, names: &[&str]) -> String {
    let found_quoted = quoted(found);
    if let Some(name) = nearest(found, names.iter().copied()) {
        return format!("unknown {noun} {found_quoted}, did you mean \"{name}\"?");
    }
    match names {
        [] => format!("unknown {noun} {found_quoted}: there are none"),
        names if names.len() <= MOST_NAMES => {
            format!("unknown {noun} {found_quoted}, expected {}", OneOf(names))
        }
        _ => format!("unknown {noun} {found_quoted}"),
    }
}

/// Names as a choice: `one of a, b, c`, or the only one there is.
pub(super) struct OneOf<'a>(pub(super) &'a [&'a str]);

impl Display for OneOf<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [name] => formatter.write_str(name),
            names => write!(formatter, "one of {}", names.join(", ")),
        }
    }
}

/// A map whose keys are known.
pub(super) struct MapOf(pub(super) &'static [&'static str]);

impl Expected for MapOf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => formatter.write_str("a map"),
            [key] => write!(formatter, "a map with the key {key}"),
            keys if keys.len() <= MOST_NAMES => write!(formatter, "a map with the keys {}", keys.join(", ")),
            _ => formatter.write_str("a map"),
        }
    }
}

/// A list of fixed length.
pub(super) struct ListOf(pub(super) usize);

impl Expected for ListOf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list of {}", self.0)
    }
}

/// What serde expected, in the words of a policy.
pub(super) fn expected(phrase: &dyn Expected) -> String {
    let phrase = phrase.to_string();
    let (bits, signed) = match phrase.strip_prefix("a nonzero ").unwrap_or(&phrase) {
        "u8" => (8, false),
        "u16" => (16, false),
        "u32" => (32, false),
        "u64" | "usize" => (64, false),
        "i8" => (8, true),
        "i16" => (16, true),
        "i32" => (32, true),
        "i64" | "isize" => (64, true),
        _ => return expected_other(phrase),
    };
    if signed {
        return format!("a whole number of at most {bits} bits");
    }
    let least = u8::from(phrase.starts_with("a nonzero "));
    format!("a whole number from {least} to {}", u64::MAX >> (64 - bits))
}

fn expected_other(phrase: String) -> String {
    let plain = match phrase.as_str() {
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "f32" | "f64" => "a number",
        "unit" => "nothing",
        "path string" => "a path",
        "a borrowed string" | "string" | "str" => "a string",
        phrase if phrase.starts_with("struct ") || phrase.starts_with("internally tagged enum ") => "a map",
        phrase if phrase.starts_with("enum ") => "a name or a map with one key",
        _ => return phrase,
    };
    plain.to_owned()
}

/// What was found, in the words of a policy.
pub(super) fn found(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => value.to_string(),
        Unexpected::Char(value) => quoted(&value.to_string()),
        Unexpected::Str(text) => quoted(text),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map | Unexpected::StructVariant => "a map".to_owned(),
        other => other.to_string(),
    }
}

/// How to write what was most likely meant, for mistakes with one likely meaning.
pub(super) fn advice(expected: &str, unexpected: Unexpected<'_>) -> Option<String> {
    match unexpected {
        Unexpected::Str(text) if expected == "true or false" => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Some("write true without quotes".to_owned()),
            "false" | "no" | "off" | "n" => Some("write false without quotes".to_owned()),
            _ => None,
        },
        Unexpected::Str(text) if expected.starts_with("a whole number") => {
            text.parse::<i64>().ok().map(|number| format!("write {number} without quotes"))
        }
        Unexpected::Str(text) if expected == "a list" && is_simple(text) => Some(format!("write [{text}]")),
        Unexpected::Str(text)
            if expected == "a list" && text.len() <= LONGEST_WORD && !text.contains([',', ' ']) =>
        {
            Some(format!("write [{text:?}]"))
        }
        Unexpected::Unsigned(number) if expected == "a list" => Some(format!("write [{number}]")),
        Unexpected::Map if expected == "a list" => Some("each item begins with `- `".to_owned()),
        Unexpected::Unit if expected.starts_with("a map") => Some("write {} for an empty one".to_owned()),
        _ => None,
    }
}

/// Whether a text keeps its meaning as an unquoted item of a `[…]` list.
fn is_simple(text: &str) -> bool {
    let inside =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.' | '/');
    text.len() <= LONGEST_WORD
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(inside)
}

#[cfg(test)]
mod tests;
