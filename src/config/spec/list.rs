//! Lists that expressions refer to by name.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// A list of addresses, strings or numbers: `ip.src in $offices`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// What its entries are.
    pub kind: ListKind,
    /// The entries.
    #[serde(default)]
    pub entries: Vec<Entry>,
    /// A file with more of them, one a line; empty lines and what follows a `#` mean nothing. It is read whenever the policy
    /// is, so a reload takes over what has changed in it.
    pub file: Option<PathBuf>,
}

/// What the entries of a list are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListKind {
    /// Addresses, networks such as `10.0.0.0/8`, and ranges such as `10.0.0.1..10.0.0.9`.
    Ip,
    /// Strings, compared whole and with their case.
    String,
    /// Whole numbers and ranges of them, such as `8000..8080`.
    Number,
}

/// An entry, as text; a number may stand without quotes.
#[derive(Debug, JsonSchema)]
#[schemars(transparent)]
pub struct Entry(pub String);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;

        impl Visitor<'_> for Scalar {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address, a string or a whole number")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Entry, E> {
                Ok(Entry(text.to_owned()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Entry, E> {
                Ok(Entry(number.to_string()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Entry, E> {
                Ok(Entry(number.to_string()))
            }
        }

        deserializer.deserialize_any(Scalar)
    }
}
