//! What all values written as one string share: their error, and their serde and JSON Schema implementations.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{Schema, json_schema};
use serde::de::{Deserializer, Error, Visitor};

/// Longest piece of a user's text that a message repeats, in characters.
const QUOTED_CHARACTERS: usize = 64;

/// Why a text is not the value it should be: a lowercase fragment with what was expected and what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

impl Malformed {
    /// `expected {expected}, found "{found}"`, with `found` cut to a readable length.
    pub(super) fn new(expected: &str, found: &str) -> Self {
        Self(format!("expected {expected}, found {}", quoted(found)))
    }

    /// Adds advice after what was expected and found.
    pub(super) fn hint(self, hint: impl Display) -> Self {
        Self(format!("{}: {hint}", self.0))
    }
}

/// The text in double quotes, escaped, at most 64 characters of it: safe in a log line and on a terminal.
pub fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARACTERS) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// A value with a notation of its own.
pub(super) trait Notation: FromStr<Err = Malformed> + Display {
    /// Name of its JSON Schema definition.
    const NAME: &'static str;
    /// What to write, as it follows "expected" in a message: `a duration such as 1s`.
    const EXPECTED: &'static str;
    /// Regular expression for editors. It may accept a little more than the parser does, never less.
    const PATTERN: &'static str;
}

pub(super) fn deserialize<'de, T: Notation, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_str(NotationVisitor(PhantomData))
}

pub(super) fn schema<T: Notation>() -> Schema {
    json_schema!({ "type": "string", "pattern": T::PATTERN, "description": T::EXPECTED })
}

struct NotationVisitor<T>(PhantomData<T>);

impl<T: Notation> Visitor<'_> for NotationVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// Implements `Deserialize`, `Serialize` and `JsonSchema` for a type that has a [`Notation`].
macro_rules! written_as_text {
    ($type:ty) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::values::text::deserialize(deserializer)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                <$type as $crate::values::text::Notation>::NAME.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::values::text::schema::<$type>()
            }
        }
    };
}
pub(super) use written_as_text;
