//! Values that may be written in more than one way. Each looks at what it is given before it decides, so that an
//! error names the one thing that is wrong, which `#[serde(untagged)]` cannot.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

/// A path: written out, as a template, or as a regular expression.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum PathMatch {
    /// `/exact`, `/below/**`, `/users/{id}`.
    Template(String),
    /// `{ regex: "^/v[0-9]+/" }`, matched against the normalised path. Linear-time; no look-around, no
    /// back-references; not anchored unless it says so.
    Regex {
        /// The expression.
        regex: String,
    },
}

/// What a header or a query parameter must be.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum ValueMatch {
    /// Exactly this.
    Exact(String),
    /// `{ regex: … }`: something that matches.
    Regex {
        /// The expression.
        regex: String,
    },
    /// `{ present: true }`: anything; `{ present: false }`: not there.
    Present {
        /// Whether it must be there.
        present: bool,
    },
}

/// The map form of both.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pattern {
    regex: String,
}

/// The map form of a value's test.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    regex: Option<String>,
    present: Option<bool>,
}

/// Text, or a map that becomes one.
pub(super) struct TextOr<M, T> {
    pub(super) expected: &'static str,
    pub(super) text: fn(String) -> Result<T, String>,
    pub(super) map: fn(M) -> Result<T, &'static str>,
}

impl<'de, M: Deserialize<'de>, T> Visitor<'de> for TextOr<M, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.text)(text.to_owned()).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        let map = M::deserialize(MapAccessDeserializer::new(map))?;
        (self.map)(map).map_err(A::Error::custom)
    }
}

impl<'de> Deserialize<'de> for PathMatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOr {
            expected: "a path such as `/orders/**`, or `{ regex: … }`",
            text: |path| Ok(Self::Template(path)),
            map: |Pattern { regex }| Ok(Self::Regex { regex }),
        })
    }
}

impl<'de> Deserialize<'de> for ValueMatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOr {
            expected: "a text, `{ regex: … }` or `{ present: true }`",
            text: |value| Ok(Self::Exact(value)),
            map: |condition: Condition| match (condition.regex, condition.present) {
                (Some(regex), None) => Ok(Self::Regex { regex }),
                (None, Some(present)) => Ok(Self::Present { present }),
                _ => Err("expected exactly one of `regex` and `present`"),
            },
        })
    }
}
