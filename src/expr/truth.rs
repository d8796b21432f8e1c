//! What an evaluation comes to, and why it may come to nothing.

use std::fmt;

/// What a condition comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth<'e> {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// A value is missing on which it depends.
    Missing(Missing<'e>),
}

impl Truth<'_> {
    /// Whether the condition holds: neither false nor missing.
    #[must_use]
    pub const fn is_true(self) -> bool {
        matches!(self, Self::True)
    }

    /// Whether the condition is known not to hold: neither true nor missing.
    #[must_use]
    pub const fn is_false(self) -> bool {
        matches!(self, Self::False)
    }
}

/// A value that an evaluation needed and did not get. Prints as a sentence for a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing<'e> {
    /// The value, as the expression names it: `jwt.claims["groups"]`.
    pub operand: &'e str,
    /// In what way it is missing.
    pub why: Why,
}

/// In what way a value is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There is none, or it is the JSON value `null`.
    Absent,
    /// It is of a type that cannot be compared with what it is compared with.
    OtherType,
    /// To know it takes more than [`MAX_ELEMENTS`](super::MAX_ELEMENTS) or [`MAX_TEXT`](super::MAX_TEXT) allow.
    TooMuch,
}

impl<'e> Missing<'e> {
    pub(super) const fn absent(operand: &'e str) -> Self {
        Self { operand, why: Why::Absent }
    }

    pub(super) const fn other_type(operand: &'e str) -> Self {
        Self { operand, why: Why::OtherType }
    }

    pub(super) const fn too_much(operand: &'e str) -> Self {
        Self { operand, why: Why::TooMuch }
    }
}

impl fmt::Display for Missing<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.operand)?;
        formatter.write_str(match self.why {
            Why::Absent => " is absent",
            Why::OtherType => " is of another type than it is used as",
            Why::TooMuch => " is more than is looked at",
        })
    }
}
