//! What a token must hold to pass one route: scopes and claims. A token that lacks them is good all the same, and gets
//! 403, not 401.

use serde_json::Value;

use super::claims::{ClaimPath, Claims};
use super::fault::Fault;
use crate::values::Problem;

/// What a route demands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demands {
    /// Every one of these is among the token's scopes, as a whole: `orders:read` is not `orders:readonly`.
    pub scopes: Vec<String>,
    /// Where there are any, one of these is among them, likewise.
    pub any_scope: Vec<String>,
    /// Every one of these holds.
    pub claims: Vec<ClaimRule>,
}

/// A claim that must have one of some values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRule {
    path: ClaimPath,
    one_of: Vec<Value>,
}

impl Demands {
    /// Whether the claims suffice.
    ///
    /// # Errors
    /// [`Fault::ScopeMissing`] and [`Fault::ClaimMismatch`].
    pub fn check(&self, claims: &Claims) -> Result<(), Fault> {
        let granted = |wanted: &String| claims.scopes().any(|scope| scope == wanted);
        let has_one = self.any_scope.is_empty() || self.any_scope.iter().any(granted);
        if !self.scopes.iter().all(granted) || !has_one {
            return Err(Fault::ScopeMissing);
        }
        if !self.claims.iter().all(|rule| rule.holds(claims)) {
            return Err(Fault::ClaimMismatch);
        }
        Ok(())
    }
}

impl ClaimRule {
    /// A rule for the claim of this name or pointer ([`ClaimPath`]). The claim equals one of the values, or is a list
    /// that holds one. Values are strings, numbers and booleans; a number equals one that is written alike (`1` is not
    /// `1.0`).
    ///
    /// # Errors
    /// An empty name, no value, or a value of another type.
    pub fn new(name: &str, one_of: Vec<Value>) -> Result<Self, Problem> {
        let path = ClaimPath::parse(name)?;
        let is_plain = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
        if one_of.is_empty() || !one_of.iter().all(is_plain) {
            return Err(Problem::whole(
                "expected a string, a number, true, false, or a list of these that is not empty",
            ));
        }
        Ok(Self { path, one_of })
    }

    fn holds(&self, claims: &Claims) -> bool {
        match self.path.find(claims) {
            Some(Value::Array(items)) => items.iter().any(|item| self.one_of.contains(item)),
            Some(value) => self.one_of.contains(value),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
