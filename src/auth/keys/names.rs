//! The names that a policy gives: of consumers and keys, and the words of scopes and tags. All are printable ASCII of
//! bounded length, so they can stand in a log line, a metric's label and a header as they are.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::text::quoted;

/// The longest id of a key, in bytes.
const LONGEST_ID_BYTES: usize = 32;
/// The longest name of a consumer and the longest tag, in bytes.
const LONGEST_NAME_BYTES: usize = 64;
/// The longest scope, in bytes.
const LONGEST_SCOPE_BYTES: usize = 128;

/// Names a key in logs, metrics and commands: 1 to 32 letters, digits, `.`, `_` or `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[0-9A-Za-z._-]{1,32}$"))]
pub struct KeyId(Arc<str>);

/// Names a consumer: 1 to 64 letters, digits, `.`, `_`, `-`, `@`, `:`, `/` or `+`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[0-9A-Za-z._@:/+-]{1,64}$"))]
pub struct ConsumerName(Arc<str>);

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct NotAName {
    expected: &'static str,
    found: String,
}

impl FromStr for KeyId {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let known = |byte| is_letter_digit_or(byte, b"._-");
        checked(text, LONGEST_ID_BYTES, known, "an id of 1 to 32 letters, digits, `.`, `_` or `-`")?;
        Ok(Self(text.into()))
    }
}

impl FromStr for ConsumerName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        check_name(text, "a name of 1 to 64 letters, digits, `.`, `_`, `-`, `@`, `:`, `/` or `+`")?;
        Ok(Self(text.into()))
    }
}

/// Whether `text` can be a tag.
///
/// # Errors
/// When it cannot.
pub fn check_tag(text: &str) -> Result<(), NotAName> {
    check_name(text, "a tag of 1 to 64 letters, digits, `.`, `_`, `-`, `@`, `:`, `/` or `+`")
}

/// Whether `text` can be a scope (RFC 6749 §3.3: `scope-token`).
///
/// # Errors
/// When it cannot.
pub fn check_scope(text: &str) -> Result<(), NotAName> {
    let known = |byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
    checked(
        text,
        LONGEST_SCOPE_BYTES,
        known,
        "one scope of 1 to 128 printable characters such as orders:read",
    )
}

fn check_name(text: &str, expected: &'static str) -> Result<(), NotAName> {
    checked(text, LONGEST_NAME_BYTES, |byte| is_letter_digit_or(byte, b"._-@:/+"), expected)
}

fn checked(
    text: &str,
    longest: usize,
    known: impl Fn(u8) -> bool,
    expected: &'static str,
) -> Result<(), NotAName> {
    if (1..=longest).contains(&text.len()) && text.bytes().all(known) {
        return Ok(());
    }
    Err(NotAName { expected, found: quoted(text) })
}

fn is_letter_digit_or(byte: u8, others: &[u8]) -> bool {
    byte.is_ascii_alphanumeric() || others.contains(&byte)
}

macro_rules! name {
    ($type:ty) => {
        impl $type {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, formatter)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NotAName;

            fn try_from(text: String) -> Result<Self, NotAName> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.as_ref().to_owned()
            }
        }
    };
}

name!(KeyId);
name!(ConsumerName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_that_can_stand_anywhere() {
        for name in ["a", "alice@example.com", "team/orders:prod", &"x".repeat(64)] {
            assert_eq!(name.parse::<ConsumerName>().unwrap().as_str(), name);
            assert_eq!(check_tag(name), Ok(()));
        }
        for id in ["k", "legacy-2024.1_b", &"x".repeat(32)] {
            assert_eq!(id.parse::<KeyId>().unwrap().as_str(), id);
        }
        for scope in ["orders:read", "!", "https://example.com/scope?a=b", &"x".repeat(128)] {
            assert_eq!(check_scope(scope), Ok(()));
        }
    }

    #[test]
    fn refuses_names_that_could_break_out() {
        for name in ["", "a b", "a\"b", "a\nb", "a{b}", "größe", &"x".repeat(65)] {
            assert!(name.parse::<ConsumerName>().is_err() && check_tag(name).is_err(), "{name}");
            assert!(name.parse::<KeyId>().is_err(), "{name}");
        }
        assert!("a/b".parse::<KeyId>().is_err() && "x".repeat(33).parse::<KeyId>().is_err());
        for scope in ["", "orders read", "a\"b", "a\\b", "größe", &"x".repeat(129)] {
            assert!(check_scope(scope).is_err(), "{scope}");
        }
    }
}
