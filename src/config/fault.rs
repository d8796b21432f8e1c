//! The error of our deserializer: what is wrong, where, and what kind of mistake it is.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use super::diagnostic::{Issue, Target};
use super::path::Path;
use super::wording;

/// Why a tree is not the spec it should be.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    message: String,
    /// Set once, by the innermost place that knows it.
    place: Option<(Path, Target)>,
}

/// Mistakes that the reader and the reporter treat differently.
#[derive(Debug)]
pub(super) enum Kind {
    /// A key or variant that there is none of.
    Unknown { found: String, names: &'static [&'static str] },
    /// A key that is required and not there.
    Missing(&'static str),
    /// A number or truth value where this was expected and an unquoted text is likely meant.
    Unquoted { expected: String },
    /// The wrong type of value.
    Type,
    /// A value that its own type judged wrong, maybe because a part of it is not there.
    Judgement,
}

impl Fault {
    fn new(kind: Kind, message: String) -> Self {
        Self { kind, message, place: None }
    }

    /// A mistake in the type of the value, in words of ours.
    pub(super) fn of_type(message: impl Into<String>) -> Self {
        Self::new(Kind::Type, message.into())
    }

    /// Says where it happened, unless something further inside said so before.
    pub(super) fn at(mut self, target: Target, path: impl FnOnce() -> Path) -> Self {
        self.place.get_or_insert_with(|| (path(), target));
        self
    }

    /// The same mistake about the key of a map.
    pub(super) fn of_key(mut self, key: &str) -> Self {
        self.message = match &self.kind {
            Kind::Unknown { found, names } => wording::unknown("key", found, names),
            _ => format!("key {}: {}", crate::values::text::quoted(key), self.message),
        };
        self
    }

    /// The place, what kind of mistake, and the issue to report. `root` stands in for a place nobody named.
    pub(super) fn into_issue(self, root: &Path) -> (Kind, Issue) {
        let (path, target) = self.place.unwrap_or_else(|| (root.clone(), Target::Value));
        let unquoted = match &self.kind {
            Kind::Unquoted { expected } => Some(expected.clone()),
            _ => None,
        };
        (self.kind, Issue { unquoted, ..Issue::new(path, target, self.message) })
    }
}

impl Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(Kind::Judgement, message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = wording::expected(expected);
        let found = wording::found(unexpected);
        let could_be_text = matches!(
            unexpected,
            Unexpected::Bool(_) | Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_)
        );
        if could_be_text && ["a string", "a text", "one of "].iter().any(|text| expected.starts_with(text)) {
            let message = unquoted(&expected, &found);
            return Self::new(Kind::Unquoted { expected }, message);
        }
        let message = match wording::advice(&expected, unexpected) {
            Some(advice) => format!("expected {expected}, found {found}: {advice}"),
            None => format!("expected {expected}, found {found}"),
        };
        Self::of_type(message)
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::of_type(format!(
            "expected {}, found {}",
            wording::expected(expected),
            wording::found(unexpected)
        ))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {}, found {length}", wording::expected(expected)))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let message = wording::unknown("value", variant, expected);
        Self::new(Kind::Unknown { found: variant.to_owned(), names: expected }, message)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let message = wording::unknown("key", field, expected);
        Self::new(Kind::Unknown { found: field.to_owned(), names: expected }, message)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Kind::Missing(field), format!("missing key \"{field}\""))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::of_type(format!("duplicate key \"{field}\""))
    }
}

/// The message for a number or truth value `found` where a text was expected.
pub(super) fn unquoted(expected: &str, found: &str) -> String {
    format!("expected {expected}, found {found}: write {found:?}")
}
