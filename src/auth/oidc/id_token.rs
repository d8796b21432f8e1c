//! The ID token: who logged in, by the issuer's own signature (`OpenID` Connect Core §3.1.3.7, §12.2).
//!
//! Signature, algorithm, issuer, audience and times are the token engine's to check; here is what makes it the token of
//! this login and of no other.

use std::sync::Arc;

use boring::hash::hash;

use crate::auth::Issuer;
use crate::auth::issuer::Refused;
use crate::auth::jose::rules::{Audience, Kind};
use crate::auth::jose::signature::is_same;
use crate::auth::jose::{self, Algorithm, Rules, Verified, Verifier, base64url};

/// Checks ID tokens of one issuer for one client.
pub struct IdTokens {
    issuer: Arc<Issuer>,
    verifier: Verifier,
    client: String,
}

/// What the token must agree with.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The nonce of the attempt. After a refresh there need not be one, but it may be no other.
    pub nonce: Nonce<'a>,
    /// Who logged in, after a refresh.
    pub subject: Option<&'a str>,
    /// The access token that came with it.
    pub access_token: &'a str,
    /// Seconds since the user last proved who they are, at most.
    pub max_age: Option<u64>,
}

/// What the token's `nonce` must be.
#[derive(Debug, Clone, Copy)]
pub enum Nonce<'a> {
    /// This one.
    Is(&'a str),
    /// This one, or not there.
    IsOrMissing(Option<&'a str>),
}

/// Why an ID token is not one for this login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdFault {
    /// There is none.
    Missing,
    /// It is no good token of the issuer for us.
    Token(jose::Fault),
    /// Nobody can tell: the issuer's keys are not known.
    KeysUnavailable,
    /// `nonce` is missing or that of another attempt: the token was meant for another login (replay).
    Nonce,
    /// `azp` is another client, or missing where there are several audiences.
    AuthorizedParty,
    /// `iat` is missing.
    IssuedAtMissing,
    /// `at_hash` is that of another access token.
    AccessTokenHash,
    /// `auth_time` is missing or too long ago, where `max_age` was asked for.
    AuthenticationAge,
    /// `sub` is somebody else than before.
    SubjectChanged,
}

impl IdFault {
    /// The stable `snake_case` reason.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "id_token_missing",
            Self::Token(fault) => fault.reason(),
            Self::KeysUnavailable => "keys_unavailable",
            Self::Nonce => "id_token_nonce",
            Self::AuthorizedParty => "id_token_azp",
            Self::IssuedAtMissing => "issued_at_missing",
            Self::AccessTokenHash => "id_token_at_hash",
            Self::AuthenticationAge => "id_token_auth_time",
            Self::SubjectChanged => "id_token_subject_changed",
        }
    }
}

impl IdTokens {
    /// For tokens of `issuer` to `client`: its keys, algorithms and leeway, and rules of their own.
    #[must_use]
    pub fn new(issuer: Arc<Issuer>, client: &str) -> Self {
        let of_issuer = issuer.verifier();
        let rules = Rules {
            issuers: of_issuer.rules.issuers.clone(),
            audience: Audience::OneOf(vec![client.to_owned()]),
            kind: Kind::Identity,
            leeway: of_issuer.rules.leeway,
            max_age: None,
            subject: true,
            id: false,
        };
        let verifier = Verifier { rules, ..of_issuer.clone() };
        Self { issuer, verifier, client: client.to_owned() }
    }

    /// Checks a token at `now`, in seconds since 1970. Where its key is not known the issuer is asked once more.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub async fn check(&self, token: &str, expected: Expected<'_>, now: u64) -> Result<(), IdFault> {
        match self.issuer.verify_as(&self.verifier, token.as_bytes(), now).await {
            Ok(verified) => self.check_claims(&verified, expected, now),
            Err(Refused::Fault(fault)) => Err(IdFault::Token(fault)),
            Err(Refused::KeysUnavailable) => Err(IdFault::KeysUnavailable),
        }
    }

    fn check_claims(&self, token: &Verified, expected: Expected<'_>, now: u64) -> Result<(), IdFault> {
        let claims = &token.claims;
        let issued_at = claims.issued_at().ok_or(IdFault::IssuedAtMissing)?;
        match claims.text("azp") {
            Some(party) if party == self.client => {}
            None if claims.audiences().count() == 1 => {}
            _ => return Err(IdFault::AuthorizedParty),
        }
        // What is there and no text is another nonce, too.
        let nonce = claims.all().get("nonce");
        let is = |wanted: &str| {
            nonce
                .and_then(|nonce| nonce.as_str())
                .is_some_and(|nonce| is_same(wanted.as_bytes(), nonce.as_bytes()))
        };
        let is_expected = match expected.nonce {
            Nonce::Is(wanted) => is(wanted),
            Nonce::IsOrMissing(wanted) => nonce.is_none() || wanted.is_some_and(is),
        };
        if !is_expected {
            return Err(IdFault::Nonce);
        }
        if expected.subject.is_some_and(|subject| claims.subject() != Some(subject)) {
            return Err(IdFault::SubjectChanged);
        }
        if let Some(found) = claims.all().get("at_hash") {
            let wanted = left_half(token.algorithm, expected.access_token);
            let found = found.as_str().unwrap_or_default();
            if !wanted.is_some_and(|wanted| is_same(wanted.as_bytes(), found.as_bytes())) {
                return Err(IdFault::AccessTokenHash);
            }
        }
        let Some(max_age) = expected.max_age else { return Ok(()) };
        let authenticated = claims.all().get("auth_time").and_then(serde_json::Value::as_u64);
        let latest = issued_at.max(now).saturating_add(self.verifier.rules.leeway);
        let oldest = now.saturating_sub(max_age.saturating_add(self.verifier.rules.leeway));
        match authenticated {
            Some(time) if (oldest..=latest).contains(&time) => Ok(()),
            _ => Err(IdFault::AuthenticationAge),
        }
    }
}

/// Of the access token's hash, by the hash function of the ID token's algorithm (`OpenID` Connect Core §3.1.3.6).
fn left_half(algorithm: Algorithm, access_token: &str) -> Option<String> {
    let digest = hash(algorithm.hash().digest(), access_token.as_bytes()).ok()?;
    digest.get(..digest.len() / 2).map(base64url::encode)
}

#[cfg(test)]
mod tests;
