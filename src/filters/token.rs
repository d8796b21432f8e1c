//! What filters that take tokens have in common: where a token is, whether it came from whom it was given to, what clients
//! are told, and what upstreams are told.

pub(super) mod answer;
pub(super) mod bearer;
pub(super) mod dpop;
pub(super) mod place;
pub(super) mod told;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::auth::jose::demands::ClaimRule;
use crate::values::Problem;

/// The scopes that a route demands, each a `scope-token` of RFC 6749 section 3.3.
pub(super) fn check_scopes(at: &str, scopes: &[String]) -> Result<(), Problem> {
    let is_scope = |scope: &String| {
        !scope.is_empty() && scope.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'))
    };
    match scopes.iter().position(|scope| !is_scope(scope)) {
        Some(index) => Err(Problem::new(
            format!("{at}[{index}]"),
            "expected one scope such as orders:read, without spaces, quotes and backslashes",
        )),
        None => Ok(()),
    }
}

/// The claims that a route demands.
pub(super) fn claim_rules(claims: BTreeMap<String, Value>) -> Result<Vec<ClaimRule>, Problem> {
    let rule = |(name, value): (String, Value)| {
        let one_of = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        ClaimRule::new(&name, one_of).map_err(|problem| problem.under(&format!("claims[{name:?}]")))
    };
    claims.into_iter().map(rule).collect()
}
