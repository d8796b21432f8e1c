//! What a token must hold to pass one route: scopes and claims. A token that lacks them is good all the same, and gets
//! 403, not 401.

use serde_json::Value;

use super::claims::Claims;
use super::fault::Fault;
use crate::values::Problem;

/// What a route demands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demands {
    /// Every one of these is among the token's scopes, as a whole: `orders:read` is not `orders:readonly`.
    pub scopes: Vec<String>,
    /// Every one of these holds.
    pub claims: Vec<ClaimRule>,
}

/// A claim that must have one of some values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRule {
    /// The claim's name, and names of members within it.
    path: Vec<String>,
    one_of: Vec<Value>,
}

impl Demands {
    /// Whether the claims suffice.
    ///
    /// # Errors
    /// [`Fault::ScopeMissing`] and [`Fault::ClaimMismatch`].
    pub fn check(&self, claims: &Claims) -> Result<(), Fault> {
        let granted = |wanted: &String| claims.scopes().any(|scope| scope == wanted);
        if !self.scopes.iter().all(granted) {
            return Err(Fault::ScopeMissing);
        }
        if !self.claims.iter().all(|rule| rule.holds(claims)) {
            return Err(Fault::ClaimMismatch);
        }
        Ok(())
    }
}

impl ClaimRule {
    /// A rule for the claim of this name, or, if it begins with `/`, for the one that this JSON Pointer (RFC 6901)
    /// leads to through objects: `/realm_access/roles`. The claim equals one of the values, or is a list that holds
    /// one. Values are strings, numbers and booleans; a number equals one that is written alike (`1` is not `1.0`).
    ///
    /// # Errors
    /// An empty name, no value, or a value of another type.
    pub fn new(name: &str, one_of: Vec<Value>) -> Result<Self, Problem> {
        let path: Vec<String> = match name.strip_prefix('/') {
            Some(pointer) => {
                pointer.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect()
            }
            None => vec![name.to_owned()],
        };
        if path.iter().any(String::is_empty) {
            return Err(Problem::whole(
                "expected a claim's name such as tenant, or a pointer such as /realm_access/roles",
            ));
        }
        let is_plain = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
        if one_of.is_empty() || !one_of.iter().all(is_plain) {
            return Err(Problem::whole(
                "expected a string, a number, true, false, or a list of these that is not empty",
            ));
        }
        Ok(Self { path, one_of })
    }

    fn holds(&self, claims: &Claims) -> bool {
        let mut names = self.path.iter();
        let claim = names.next().and_then(|name| claims.all().get(name));
        match names.try_fold(claim, |value, name| Some(value?.as_object()?.get(name))).flatten() {
            Some(Value::Array(items)) => items.iter().any(|item| self.one_of.contains(item)),
            Some(value) => self.one_of.contains(value),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
