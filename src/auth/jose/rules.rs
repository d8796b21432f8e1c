//! What makes a token one for us: its issuer, its audience, its time, its type (RFC 7519 section 4.1, RFC 8725 sections
//! 3.8 to 3.12, RFC 9068 section 4). What it may do is asked by [`Demands`](super::demands::Demands).

use super::claims::Claims;
use super::compact::is_type;
use super::fault::Fault;
use super::verify::Verified;

/// Seconds by which clocks may differ, unless the policy says otherwise.
pub const DEFAULT_LEEWAY: u64 = 30;

/// What every token of an issuer must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// `iss` is one of these, compared byte by byte.
    pub issuers: Vec<String>,
    /// What `aud` must hold.
    pub audience: Audience,
    /// What `typ` must be.
    pub kind: Kind,
    /// Seconds by which our clock and the issuer's may differ.
    pub leeway: u64,
    /// Longest time since `iat` in seconds, which is demanded then.
    pub max_age: Option<u64>,
    /// Whether `sub` is demanded.
    pub subject: bool,
    /// Whether `jti` is demanded.
    pub id: bool,
}

/// Whom a token must be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// One of these, compared byte by byte; where there are none, no token is.
    OneOf(Vec<String>),
    /// Whoever: a token for any other service of the issuer is taken too.
    DangerAny,
}

/// What a token's `typ` must be. Types are what keeps one kind of token from being taken for another (RFC 8725
/// section 3.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `JWT`, `at+jwt`, or none at all, as issuers write before RFC 9068.
    AccessOrUntyped,
    /// `at+jwt` (RFC 9068 section 2.1).
    Access,
    /// `JWT`, or none at all: an ID token, whose type `OpenID` Connect leaves open. Never `at+jwt`, which an access
    /// token of the same issuer has.
    Identity,
    /// This one, in lower case and without `application/`, e.g. `logout+jwt`.
    Exactly(&'static str),
}

impl Audience {
    /// Whether no token at all is for it.
    #[must_use]
    pub const fn is_nobody(&self) -> bool {
        matches!(self, Self::OneOf(names) if names.is_empty())
    }
}

impl Kind {
    fn accepts(&self, kind: Option<&str>) -> bool {
        match (self, kind) {
            (Self::AccessOrUntyped, None) => true,
            (Self::AccessOrUntyped, Some(kind)) => is_type(kind, "jwt") || is_type(kind, "at+jwt"),
            (Self::Identity, kind) => kind.is_none_or(|kind| is_type(kind, "jwt")),
            (Self::Access, kind) => kind.is_some_and(|kind| is_type(kind, "at+jwt")),
            (Self::Exactly(name), kind) => kind.is_some_and(|kind| is_type(kind, name)),
        }
    }
}

impl Rules {
    /// The rules every issuer has at least: `iss`, `aud` and `exp` are demanded, and 30 seconds of leeway granted.
    #[must_use]
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuers: vec![issuer.into()],
            audience: Audience::OneOf(vec![audience.into()]),
            kind: Kind::AccessOrUntyped,
            leeway: DEFAULT_LEEWAY,
            max_age: None,
            subject: false,
            id: false,
        }
    }

    /// What the header alone shows.
    pub(super) fn check_kind(&self, kind: Option<&str>) -> Result<(), Fault> {
        if self.kind.accepts(kind) { Ok(()) } else { Err(Fault::TypeWrong) }
    }

    /// What the clock alone shows, `now` in seconds since 1970. It is asked before the signature, for clients retry
    /// with expired tokens by the thousand; everything else is asked after it, so that nobody explores a policy by
    /// tokens of their own making.
    pub(super) fn check_time(&self, claims: &Claims, now: u64) -> Result<(), Fault> {
        let expires = claims.expires().ok_or(Fault::ExpiryMissing)?;
        let latest = now.saturating_add(self.leeway);
        if now >= expires.saturating_add(self.leeway) {
            return Err(Fault::Expired);
        }
        if claims.not_before().is_some_and(|not_before| not_before > latest) {
            return Err(Fault::NotYetValid);
        }
        if claims.issued_at().is_some_and(|issued_at| issued_at > latest) {
            return Err(Fault::IssuedInFuture);
        }
        let Some(max_age) = self.max_age else { return Ok(()) };
        let issued_at = claims.issued_at().ok_or(Fault::IssuedAtMissing)?;
        let oldest = issued_at.saturating_add(max_age).saturating_add(self.leeway);
        if now > oldest { Err(Fault::TooOld) } else { Ok(()) }
    }

    /// Whether a token is one for us at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn check(&self, token: &Verified, now: u64) -> Result<(), Fault> {
        self.check_kind(token.kind.as_deref())?;
        let claims = &token.claims;
        self.check_time(claims, now)?;
        let issuer = claims.issuer().ok_or(Fault::IssuerMissing)?;
        if !self.issuers.iter().any(|accepted| accepted == issuer) {
            return Err(Fault::IssuerWrong);
        }
        self.check_audience(claims)?;
        if self.subject && claims.subject().is_none_or(str::is_empty) {
            return Err(Fault::SubjectMissing);
        }
        if self.id && claims.id().is_none_or(str::is_empty) {
            return Err(Fault::IdMissing);
        }
        Ok(())
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), Fault> {
        let Audience::OneOf(accepted) = &self.audience else { return Ok(()) };
        let mut audiences = claims.audiences().peekable();
        if audiences.peek().is_none() {
            return Err(Fault::AudienceMissing);
        }
        let is_ours = audiences.any(|audience| accepted.iter().any(|accepted| accepted == audience));
        if is_ours { Ok(()) } else { Err(Fault::AudienceWrong) }
    }
}

#[cfg(test)]
mod tests;
