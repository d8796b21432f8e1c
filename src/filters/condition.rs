//! Expressions over an exchange, as filters and limits use them.

use crate::expr::fields::{Name, SCHEME};
use crate::expr::{Context, Error, Lists, Phase};
use crate::values::Problem;

/// Something that holds of an exchange, or does not, or cannot be known to.
pub type Condition = crate::expr::Condition<Name>;
/// Something that has a value in an exchange, or none.
pub type Expression = crate::expr::Expression<Name>;

/// Compiles the expressions of a policy.
#[derive(Clone, Copy)]
pub struct Expressions<'a> {
    /// What `$name` refers to.
    pub lists: &'a Lists,
}

impl Expressions<'_> {
    /// A condition that is asked in this phase.
    ///
    /// # Errors
    /// The first thing wrong with it, and where.
    pub fn condition(&self, at: &str, source: &str, phase: Phase) -> Result<Condition, Problem> {
        Condition::compile(source, &self.context(phase)).map_err(|errors| problem(at, errors))
    }

    /// A value that is asked for in this phase.
    ///
    /// # Errors
    /// As [`Expressions::condition`].
    pub fn expression(&self, at: &str, source: &str, phase: Phase) -> Result<Expression, Problem> {
        Expression::compile(source, &self.context(phase)).map_err(|errors| problem(at, errors))
    }

    const fn context(&self, phase: Phase) -> Context<'_, Name> {
        Context { scheme: &SCHEME, lists: self.lists, phase }
    }
}

fn problem(at: &str, errors: Vec<Error>) -> Problem {
    match errors.into_iter().next() {
        Some(error) => Problem::new(at, error.message).within(error.span.start..error.span.end),
        None => Problem::new(at, "is no expression"),
    }
}
