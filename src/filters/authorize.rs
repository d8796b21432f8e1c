//! Decides what a caller may do, by rules of conditions of which the first that matches counts.
//!
//! What always holds: what no rule allows is refused, and a value that is missing opens no door. `allow` matches what is
//! known to hold; `deny` matches all but what is known not to.

use std::fmt;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Condition, Exchange, Expressions, Fields, Filter, Phases, Refusal, Site, Step};
use crate::expr::{Missing, Phase, Truth};
use crate::http::fields::is_token;
use crate::values::Problem;

/// Lets pass what a rule allows, and refuses everything else. The rules are looked at in their order, and the first that
/// matches decides.
///
/// Refuses with 403 `authorize_denied` (a `deny` rule matched), 403 `authorize_no_rule` (no rule matched) and, where no
/// filter has found out who calls, 401 `authorize_unauthenticated`; but 403 where a `deny` rule is known to hold, which no
/// credentials would change. The access log says in `why` which rule it was and which value was missing.
///
/// ```yaml
/// - authorize:
///     rules:
///       - { deny: 'ip.src in $blocked', reason: a blocked network }
///       - { allow: '"orders:admin" in jwt.scopes' }
///       - { allow: 'http.request.method == "GET" and path.order_owner == jwt.sub' }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The rules, each `{ allow: CONDITION }` or `{ deny: CONDITION }`.
    pub rules: Vec<Rule>,
    /// The `WWW-Authenticate` of a 401: how the client is to say who it is, for instance `Bearer realm="orders"`.
    /// Default: `Bearer`.
    #[serde(default = "bearer")]
    pub challenge: String,
}

/// A rule: exactly one of `allow` and `deny`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AuthorizeRule")]
pub struct Rule {
    /// The request passes where this condition holds. Where a value is missing on which it depends, the next rule is
    /// looked at.
    pub allow: Option<String>,
    /// The request is refused unless this condition is known not to hold: also where a value is missing on which it
    /// depends.
    pub deny: Option<String>,
    /// What the access log says of a request that `deny` refused. Clients are not told. Default: the condition.
    pub reason: Option<String>,
}

fn bearer() -> String {
    "Bearer".to_owned()
}

impl super::Spec for Spec {
    const KIND: &'static str = "authorize";
    const DECIDES: bool = true;
    const LETS_IN: bool = true;

    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        if self.rules.is_empty() {
            return Err(Problem::new(
                "rules",
                "is empty, which refuses everything: expected at least one rule",
            ));
        }
        let rules = self.rules.into_iter().enumerate();
        let rules = rules.map(|(index, rule)| rule.compile(&format!("rules[{index}]"), site.expressions));
        Ok(Box::new(Authorize {
            rules: rules.collect::<Result<_, _>>()?,
            challenge: challenge(&self.challenge)?,
        }))
    }
}

impl Rule {
    fn compile(self, at: &str, expressions: Expressions<'_>) -> Result<Compiled, Problem> {
        let compile =
            |key, source: &str| expressions.condition(&format!("{at}.{key}"), source, Phase::RequestHead);
        match self {
            Self { allow: Some(source), deny: None, reason: None } => {
                Ok(Compiled::Allow(compile("allow", &source)?))
            }
            Self { allow: None, deny: Some(source), reason } => {
                Ok(Compiled::Deny(compile("deny", &source)?, reason.map(String::into_boxed_str)))
            }
            Self { allow: Some(_), deny: None, reason: Some(_) } => {
                Err(Problem::new(format!("{at}.reason"), "has no effect: only `deny` has a reason to tell"))
            }
            _ => Err(Problem::new(at, "expected exactly one of `allow` and `deny`")),
        }
    }
}

/// A challenge as a field line: at least its scheme (RFC 9110 §11.3).
fn challenge(text: &str) -> Result<HeaderValue, Problem> {
    let scheme = text.split(' ').next().unwrap_or_default();
    match HeaderValue::from_str(text) {
        Ok(value) if is_token(scheme.as_bytes()) => Ok(value),
        _ => Err(Problem::new("challenge", "expected a challenge such as `Bearer realm=\"orders\"`")),
    }
}

struct Authorize {
    rules: Box<[Compiled]>,
    challenge: HeaderValue,
}

enum Compiled {
    Allow(Condition),
    Deny(Condition, Option<Box<str>>),
}

impl Filter for Authorize {
    fn phases(&self) -> Phases {
        Phases::REQUEST
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        match self.decide(&Fields::of_request(exchange)) {
            Decision::Allowed => Step::NEXT,
            decision @ Decision::Denied { missing: None, .. } => forbid("authorize_denied", &decision),
            decision if exchange.callers().is_empty() => {
                let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "authorize_unauthenticated");
                refusal.why(decision.to_string()).header(WWW_AUTHENTICATE, self.challenge.clone()).into()
            }
            decision @ Decision::Denied { .. } => forbid("authorize_denied", &decision),
            decision @ Decision::Unmatched(_) => forbid("authorize_no_rule", &decision),
        }
    }
}

fn forbid<'a>(reason: &'static str, decision: &Decision<'_>) -> Step<'a> {
    Refusal::new(StatusCode::FORBIDDEN, reason).why(decision.to_string()).into()
}

impl Authorize {
    fn decide<'r>(&'r self, fields: &'r Fields<'_>) -> Decision<'r> {
        let mut lacking = None;
        for (index, rule) in self.rules.iter().enumerate() {
            match rule {
                Compiled::Allow(condition) => match condition.evaluate(fields) {
                    Truth::True => return Decision::Allowed,
                    Truth::False => {}
                    Truth::Missing(missing) => lacking = lacking.or(Some((index, missing))),
                },
                Compiled::Deny(condition, reason) => {
                    let missing = match condition.evaluate(fields) {
                        Truth::True => None,
                        Truth::False => continue,
                        Truth::Missing(missing) => Some(missing),
                    };
                    let what = reason.as_deref().unwrap_or(condition.source());
                    return Decision::Denied { index, what, missing };
                }
            }
        }
        Decision::Unmatched(lacking)
    }
}

/// What the rules come to. Prints as what the log says of it.
enum Decision<'r> {
    Allowed,
    /// By this rule, which holds or lacks a value.
    Denied {
        index: usize,
        what: &'r str,
        missing: Option<Missing<'r>>,
    },
    /// No rule matched; the first that could have allowed it, and what it lacked.
    Unmatched(Option<(usize, Missing<'r>)>),
}

impl fmt::Display for Decision<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed => formatter.write_str("allowed"),
            Self::Denied { index, what, missing: None } => write!(formatter, "rules[{index}]: {what}"),
            Self::Denied { index, what, missing: Some(missing) } => {
                write!(formatter, "rules[{index}]: {missing}: {what}")
            }
            Self::Unmatched(None) => formatter.write_str("no rule matches"),
            Self::Unmatched(Some((index, missing))) => write!(formatter, "rules[{index}]: {missing}"),
        }
    }
}

#[cfg(test)]
mod tests;
