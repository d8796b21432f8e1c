//! Claims (RFC 7519 section 4): the whole object as it came, and typed access to those that have a meaning here.
//!
//! What always holds: registered claims that are there are of their type, and times are in range; a binding that is
//! claimed is one that can be checked.

use serde_json::{Map, Value};

use super::fault::Fault;
use super::json::{self, JsonFault};
use super::thumbprint::Thumbprint;
use crate::values::Problem;

/// 9999-12-31T23:59:59Z. An `exp` in milliseconds, a common mistake that makes a token valid for ever, is beyond.
const LATEST: u64 = 253_402_300_799;

/// The claims of a token.
#[derive(Debug)]
pub struct Claims {
    map: Map<String, Value>,
    expires: Option<u64>,
    not_before: Option<u64>,
    issued_at: Option<u64>,
    confirmation: Confirmation,
}

/// What a token is bound to (RFC 7800); nothing, one thing, or both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// `jkt`: a key of the client (RFC 9449 section 6.1).
    pub key: Option<Thumbprint>,
    /// `x5t#S256`: a certificate of the client (RFC 8705 section 3.1).
    pub certificate: Option<Thumbprint>,
}

impl Claims {
    /// The same, from their text.
    ///
    /// # Errors
    /// When they are no object of claims, or a registered one is not of its type.
    pub fn parse(json: &[u8]) -> Result<Self, Fault> {
        let map = json::object(json).map_err(|fault| match fault {
            JsonFault::Malformed => Fault::ClaimsMalformed,
            JsonFault::Duplicate => Fault::DuplicateClaim,
            JsonFault::TooDeep => Fault::TooDeep,
        })?;
        Self::read(map)
    }

    /// Reads claims whose truth is known otherwise: by a signature, or by whom they come from.
    pub(in crate::auth) fn read(map: Map<String, Value>) -> Result<Self, Fault> {
        for name in ["iss", "sub", "jti", "client_id", "azp"] {
            if map.get(name).is_some_and(|value| !value.is_string()) {
                return Err(Fault::TextInvalid);
            }
        }
        check_texts(map.get("aud"), Fault::AudienceInvalid)?;
        check_texts(map.get("scope"), Fault::ScopeInvalid)?;
        check_texts(map.get("scp"), Fault::ScopeInvalid)?;
        Ok(Self {
            expires: time(&map, "exp", f64::floor)?,
            not_before: time(&map, "nbf", f64::ceil)?,
            issued_at: time(&map, "iat", f64::ceil)?,
            confirmation: map.get("cnf").map(confirmation).transpose()?.unwrap_or_default(),
            map,
        })
    }

    /// All of them, as the issuer wrote them.
    #[must_use]
    pub fn all(&self) -> &Map<String, Value> {
        &self.map
    }

    /// `iss`.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    /// `sub`.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.text("sub")
    }

    /// `jti`.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.text("jti")
    }

    /// `client_id` (RFC 9068), or else `azp` (`OpenID` Connect).
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.text("client_id").or_else(|| self.text("azp"))
    }

    /// `aud`, one or several.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        texts(self.map.get("aud"))
    }

    /// The scopes of `scope`, or else of `scp`: words of a string (RFC 6749 section 3.3), or the strings of a list.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        let claim = self.map.get("scope").or_else(|| self.map.get("scp"));
        let words = claim.and_then(Value::as_str).unwrap_or_default().split(' ');
        let items = claim.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        words.chain(items).filter(|scope| !scope.is_empty())
    }

    /// `exp`, in seconds since 1970, rounded down.
    #[must_use]
    pub fn expires(&self) -> Option<u64> {
        self.expires
    }

    /// `nbf`, in seconds since 1970, rounded up.
    #[must_use]
    pub fn not_before(&self) -> Option<u64> {
        self.not_before
    }

    /// `iat`, in seconds since 1970, rounded up.
    #[must_use]
    pub fn issued_at(&self) -> Option<u64> {
        self.issued_at
    }

    /// `cnf`.
    #[must_use]
    pub fn confirmation(&self) -> Confirmation {
        self.confirmation
    }

    /// A claim that is a string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.map.get(name).and_then(Value::as_str)
    }
}

/// Where in a token's claims something stands: a claim's name, and names of members within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

impl ClaimPath {
    /// A claim by its name, or, if it begins with `/`, the one that this JSON Pointer (RFC 6901) leads to through
    /// objects: `/realm_access/roles`.
    ///
    /// # Errors
    /// When a name in it is empty.
    pub fn parse(name: &str) -> Result<Self, Problem> {
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
        Ok(Self(path))
    }

    /// What stands there.
    #[must_use]
    pub fn find<'a>(&self, claims: &'a Claims) -> Option<&'a Value> {
        let mut names = self.0.iter();
        let claim = names.next().and_then(|name| claims.map.get(name));
        names.try_fold(claim, |value, name| Some(value?.as_object()?.get(name))).flatten()
    }
}

/// A string, or the strings of a list.
fn texts(claim: Option<&Value>) -> impl Iterator<Item = &str> {
    let items = claim.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    claim.and_then(Value::as_str).into_iter().chain(items)
}

fn check_texts(claim: Option<&Value>, fault: Fault) -> Result<(), Fault> {
    match claim {
        None | Some(Value::String(_)) => Ok(()),
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => Ok(()),
        Some(_) => Err(fault),
    }
}

/// A `NumericDate` (RFC 7519 section 2), which may have a fraction; it is rounded to the stricter second.
fn time(map: &Map<String, Value>, name: &str, round: fn(f64) -> f64) -> Result<Option<u64>, Fault> {
    let Some(value) = map.get(name) else { return Ok(None) };
    let seconds = match (value.as_u64(), value.as_f64()) {
        (Some(seconds), _) => seconds,
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
        (None, Some(seconds)) if (0.0..1e12).contains(&seconds) => round(seconds) as u64,
        _ => return Err(Fault::TimeInvalid),
    };
    if seconds > LATEST { Err(Fault::TimeInvalid) } else { Ok(Some(seconds)) }
}

/// Members that are not understood are refused, not ignored: whoever wrote them meant the token to be bound.
fn confirmation(value: &Value) -> Result<Confirmation, Fault> {
    let members =
        value.as_object().filter(|members| !members.is_empty()).ok_or(Fault::ConfirmationUnknown)?;
    let mut confirmation = Confirmation::default();
    for (name, value) in members {
        let thumbprint = value.as_str().and_then(Thumbprint::parse).ok_or(Fault::ConfirmationUnknown)?;
        match name.as_str() {
            "jkt" => confirmation.key = Some(thumbprint),
            "x5t#S256" => confirmation.certificate = Some(thumbprint),
            _ => return Err(Fault::ConfirmationUnknown),
        }
    }
    Ok(confirmation)
}

#[cfg(test)]
mod tests;
