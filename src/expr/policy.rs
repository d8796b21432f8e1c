//! Expressions over Edgeward's own fields, as a policy has them.

use super::fields::{Name, SCHEME};
use super::{Context, Error, Lists, Phase, Span};
use crate::values::Problem;

/// Something that holds of an exchange, or does not, or cannot be known to.
pub type Condition = super::Condition<Name>;
/// Something that has a value in an exchange, or none.
pub type Expression = super::Expression<Name>;

/// Compiles the expressions of a policy.
#[derive(Clone, Copy)]
pub struct Expressions<'a> {
    /// What `$name` refers to.
    pub lists: &'a Lists,
    /// What filters find out where the expression stands; `None` where that is not known yet, and nothing is asked of it.
    pub finders: Option<Finders<'a>>,
    /// What the paths of requests that come here may have names for; `None` where that is not known.
    pub segments: Option<&'a [&'a str]>,
}

/// The filters on a request's way, by kind.
#[derive(Clone, Copy)]
pub struct Finders<'a> {
    /// Those it has passed.
    pub before: &'a [&'a str],
    /// Those it has passed when its response comes.
    pub all: &'a [&'a str],
}

impl Expressions<'_> {
    /// A condition that is asked in this phase.
    ///
    /// # Errors
    /// The first thing wrong with it, and where.
    pub fn condition(&self, at: &str, source: &str, phase: Phase) -> Result<Condition, Problem> {
        let condition =
            Condition::compile(source, &self.context(phase)).map_err(|errors| problem(at, errors))?;
        self.found(at, condition.uses(), phase)?;
        Ok(condition)
    }

    /// A value that is asked for in this phase.
    ///
    /// # Errors
    /// As [`Expressions::condition`].
    pub fn expression(&self, at: &str, source: &str, phase: Phase) -> Result<Expression, Problem> {
        let expression =
            Expression::compile(source, &self.context(phase)).map_err(|errors| problem(at, errors))?;
        self.found(at, expression.uses(), phase)?;
        Ok(expression)
    }

    fn context(&self, phase: Phase) -> Context<'_, Name> {
        let closed = self.segments.map(|segments| (Name::Path, segments));
        Context { scheme: &SCHEME, lists: self.lists, phase, closed }
    }

    /// A field that no filter can have found out is a mistake: it would be missing in every request.
    fn found(&self, at: &str, uses: &[(Name, Span)], phase: Phase) -> Result<(), Problem> {
        let Some(finders) = self.finders else { return Ok(()) };
        let (kinds, place) = match phase {
            Phase::RequestHead => (finders.before, "before this"),
            Phase::Response => (finders.all, "on this route"),
        };
        match uses.iter().find(|(field, _)| !is_found(*field, kinds)) {
            None => Ok(()),
            Some((field, span)) => {
                let by = or(field.found_by());
                let message = format!("{field} is known only after {by}, and none stands {place}");
                Err(Problem::new(at, message).within(span.start..span.end))
            }
        }
    }
}

/// Whether one of these filters can find out the field, or it takes none.
#[must_use]
pub fn is_found(field: Name, kinds: &[&str]) -> bool {
    let by = field.found_by();
    by.is_empty() || by.iter().any(|kind| kinds.contains(kind))
}

/// `` `jwt`, `oidc_login` or `x` ``
fn or(kinds: &[&str]) -> String {
    let quoted: Vec<_> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

fn problem(at: &str, errors: Vec<Error>) -> Problem {
    match errors.into_iter().next() {
        Some(error) => Problem::new(at, error.message).within(error.span.start..error.span.end),
        None => Problem::new(at, "is no expression"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(source: &str, phase: Phase, before: &[&str], all: &[&str]) -> Result<(), Problem> {
        let lists = Lists::new();
        let finders = Some(Finders { before, all });
        Expressions { lists: &lists, finders, segments: None }.condition("when", source, phase).map(drop)
    }

    #[test]
    fn what_no_filter_can_have_found_out_is_a_mistake() {
        use Phase::{RequestHead, Response};
        let source = "ssl and jwt.sub == \"a\"";
        assert_eq!(told(source, RequestHead, &["cors", "jwt"], &[]), Ok(()));
        assert_eq!(told(source, Response, &[], &["oidc_login"]), Ok(()));
        let problem = told(source, RequestHead, &["basic_auth"], &["jwt"]).unwrap_err();
        assert_eq!(problem.part, Some(8..15));
        let by = "jwt.sub is known only after `jwt`, `oauth2_introspection` or `oidc_login`, and none stands";
        assert_eq!(problem.message, format!("{by} before this"));
        assert_eq!(
            told(source, Response, &[], &["cors"]).unwrap_err().message,
            format!("{by} on this route")
        );
        let problem = told("exists(basic_auth.user)", RequestHead, &["jwt"], &[]).unwrap_err();
        assert_eq!(
            problem.message,
            "basic_auth.user is known only after `basic_auth`, and none stands before this"
        );
        assert_eq!(told("auth.subject == \"a\" and tls.client.verified", RequestHead, &[], &[]), Ok(()));
    }

    #[test]
    fn nothing_is_asked_where_the_filters_are_not_known() {
        let lists = Lists::new();
        let expressions = Expressions { lists: &lists, finders: None, segments: None };
        assert!(expressions.expression("key", "jwt.sub", Phase::RequestHead).is_ok());
        assert!(expressions.expression("key", "jwt.subb", Phase::RequestHead).is_err());
    }

    #[test]
    fn a_name_that_no_segment_of_the_path_has_is_a_mistake() {
        let lists = Lists::new();
        let told = |source: &str, segments: &[&str]| {
            let expressions = Expressions { lists: &lists, finders: None, segments: Some(segments) };
            expressions.condition("when", source, Phase::RequestHead).map(drop)
        };
        for known in ["path.order == \"7\"", "path[\"order\"] == \"7\"", "exists(path.order)"] {
            assert_eq!(told(known, &["user", "order"]), Ok(()), "{known}");
        }
        let problem = told("ssl and path.odrer == \"7\"", &["user", "order"]).unwrap_err();
        assert_eq!(problem.message, "path never has \"odrer\" here, did you mean \"order\"?");
        assert_eq!(problem.part, Some(8..18));
        for source in ["has_key(path, \"x\")", "not path[\"x\"] == \"7\""] {
            let problem = told(source, &[]).unwrap_err();
            assert_eq!(problem.message, "path never has \"x\" here, nor anything else", "{source}");
        }
    }
}
