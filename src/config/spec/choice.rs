//! Values that may be written in more than one way. Each looks at what it is given before it decides, so that an
//! error names the one thing that is wrong, which `#[serde(untagged)]` cannot.

use std::fmt;
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// One, or a list of several.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged, inline)]
pub enum OneOrMany<T> {
    /// Just one.
    One(T),
    /// Any of these.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// All of them.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Choice<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Choice<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one value or a list of them")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(StrDeserializer::new(text)).map(OneOrMany::One)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(OneOrMany::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrMany::Many)
            }
        }

        deserializer.deserialize_any(Choice(PhantomData))
    }
}

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
struct TextOr<M, T> {
    expected: &'static str,
    text: fn(String) -> T,
    map: fn(M) -> Result<T, &'static str>,
}

impl<'de, M: Deserialize<'de>, T> Visitor<'de> for TextOr<M, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok((self.text)(text.to_owned()))
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
            text: Self::Template,
            map: |Pattern { regex }| Ok(Self::Regex { regex }),
        })
    }
}

impl<'de> Deserialize<'de> for ValueMatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOr {
            expected: "a text, `{ regex: … }` or `{ present: true }`",
            text: Self::Exact,
            map: |condition: Condition| match (condition.regex, condition.present) {
                (Some(regex), None) => Ok(Self::Regex { regex }),
                (None, Some(present)) => Ok(Self::Present { present }),
                _ => Err("expected exactly one of `regex` and `present`"),
            },
        })
    }
}
