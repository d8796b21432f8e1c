//! From a token's text to claims that can be believed: form, key, clock, signature, rules, in this order, so that what is
//! cheap to refuse is refused cheaply.
//!
//! A [`Verified`] token is one whose signature is good and nothing more; [`Verifier::verify`] gives it away only after
//! the rules were asked, also when it was remembered. So routes with other rules, and issuers with other keys, share
//! one memory without sharing a verdict.

use std::sync::Arc;

use super::algorithm::{Algorithm, Algorithms};
use super::claims::Claims;
use super::compact::{DEFAULT_MAX_BYTES, Parts, Token};
use super::fault::Fault;
use super::jwks::KeySet;
use super::remembered::Remembered;
use super::rules::Rules;
use super::thumbprint::Thumbprint;

/// A token that a key has signed.
#[derive(Debug)]
pub struct Verified {
    /// Its claims.
    pub claims: Claims,
    /// Its `typ`.
    pub kind: Option<Box<str>>,
    /// What it was signed with.
    pub algorithm: Algorithm,
    /// Who signed it.
    pub key: Thumbprint,
    /// SHA-256 of its text: what a proof's `ath` names, and what it is remembered under.
    pub text: Thumbprint,
}

/// How the tokens of one issuer are verified.
#[derive(Debug, Clone)]
pub struct Verifier {
    /// What tokens may be signed with.
    pub algorithms: Algorithms,
    /// Longest token taken.
    pub max_bytes: usize,
    /// What they must hold.
    pub rules: Rules,
}

impl Verifier {
    /// With all asymmetric algorithms, and tokens of at most 16 KiB.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { algorithms: Algorithms::ASYMMETRIC, max_bytes: DEFAULT_MAX_BYTES, rules }
    }

    /// Verifies a token by one of the keys, at `now` in seconds since 1970.
    ///
    /// # Errors
    /// The first thing that is wrong with it. On [`Fault::KeyUnknown`] the caller may fetch the keys anew and try once
    /// more.
    pub fn verify(&self, text: &[u8], keys: &KeySet, now: u64) -> Result<Arc<Verified>, Fault> {
        let parts = Parts::split(text, self.max_bytes)?;
        self.verify_anew(parts, Thumbprint::of(text), keys, now).map(Arc::new)
    }

    /// The same, with a memory for tokens whose signature was good.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_remembering(
        &self,
        text: &[u8],
        keys: &KeySet,
        memory: &Remembered,
        now: u64,
    ) -> Result<Arc<Verified>, Fault> {
        let parts = Parts::split(text, self.max_bytes)?;
        let name = Thumbprint::of(text);
        if let Some(token) = memory.recall(&name, now) {
            if self.algorithms.contains(token.algorithm) && keys.allows(&token.key, token.algorithm) {
                self.rules.check(&token, now)?;
                return Ok(token);
            }
            // Its key went, or was never one of this issuer's; either way it is verified like any other.
            memory.forget(&name);
        }
        let token = Arc::new(self.verify_anew(parts, name, keys, now)?);
        memory.remember(&token, self.rules.leeway, now);
        Ok(token)
    }

    fn verify_anew(
        &self,
        parts: Parts<'_>,
        name: Thumbprint,
        keys: &KeySet,
        now: u64,
    ) -> Result<Verified, Fault> {
        let token = Token::read(parts)?;
        let algorithm = token.algorithm();
        if !self.algorithms.contains(algorithm) {
            return Err(Fault::AlgorithmNotAllowed);
        }
        self.rules.check_kind(token.kind())?;
        let candidates = keys.candidates(token.key_id(), algorithm)?;
        let claims = token.claims()?;
        self.rules.check_time(&claims, now)?;
        let key = token.check_signature(candidates)?.thumbprint();
        let verified = Verified { claims, kind: token.kind().map(Into::into), algorithm, key, text: name };
        self.rules.check(&verified, now)?;
        Ok(verified)
    }
}

#[cfg(test)]
mod tests;
