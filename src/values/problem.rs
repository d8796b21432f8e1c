//! A problem found while compiling what a user wrote, told by layers that know nothing of files and lines.

use std::fmt;
use std::ops::Range;

/// What is wrong with a spec, and where in it. The configuration layer turns it into a message with file,
/// line and column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Place inside the spec: keys with dots, indices in brackets (`allow[3]`, `keys["a.b"].file`); empty for
    /// the whole spec.
    pub at: String,
    /// What is wrong and what was expected, a lowercase fragment.
    pub message: String,
    /// The part of the text there that is meant, in bytes; `None` for the whole value.
    pub part: Option<Range<usize>>,
}

impl Problem {
    /// A problem with the value at `at`, relative to the spec that is compiled.
    pub fn new(at: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { at: at.into(), message: message.to_string(), part: None }
    }

    /// The same problem, with a part of the text there alone.
    #[must_use]
    pub fn within(self, part: Range<usize>) -> Self {
        Self { part: Some(part), ..self }
    }

    /// A problem with the whole spec.
    pub fn whole(message: impl fmt::Display) -> Self {
        Self::new("", message)
    }

    /// The same problem as seen from a spec that holds this one at `parent`.
    #[must_use]
    pub fn under(self, parent: &str) -> Self {
        let at = match (parent, self.at.as_str()) {
            (parent, "") => parent.to_owned(),
            ("", at) => at.to_owned(),
            (parent, at) if at.starts_with('[') => format!("{parent}{at}"),
            (parent, at) => format!("{parent}.{at}"),
        };
        Self { at, ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.at.is_empty() {
            write!(formatter, "{}: ", self.at)?;
        }
        formatter.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_its_place_before_its_message() {
        assert_eq!(Problem::new("allow[3]", "not a network").to_string(), "allow[3]: not a network");
        assert_eq!(Problem::whole("nothing is allowed").to_string(), "nothing is allowed");
    }

    #[test]
    fn moves_under_a_parent() {
        assert_eq!(Problem::new("path", "x").under("checks[1]").at, "checks[1].path");
        assert_eq!(Problem::new("[2].path", "x").under("checks").at, "checks[2].path");
        assert_eq!(Problem::whole("x").under("checks").at, "checks");
        assert_eq!(Problem::new("path", "x").under("").at, "path");
    }
}
