//! Proofs that a client holds the key its token is bound to (RFC 9449 section 4.3).
//!
//! What always holds: a proof counts only for the key in the token, by its thumbprint, for one method, one resource, one
//! token and a short time. All of that is compared before the signature is computed; a replay is looked for afterwards,
//! by [`Replays`](super::replay::Replays), so that nobody but a client with a good token takes up memory.

use super::algorithm::Algorithms;
use super::claims::Claims;
use super::compact::{Token, is_type};
use super::fault::Fault;
use super::jwk;
use super::key::Key;
use super::nonce::{Freshness, Nonces};
use super::target::Target;
use super::thumbprint::Thumbprint;

/// Longest proof taken; one by an RSA key of 8192 bits has about 3,200 bytes.
const MAX_BYTES: usize = 8 * 1024;
const MAX_ID_BYTES: usize = 256;

/// What proofs must hold.
#[derive(Debug)]
pub struct ProofRules {
    /// What they may be signed with; symmetric ones are refused whatever it says.
    pub algorithms: Algorithms,
    /// Longest time since `iat`, in seconds.
    pub max_age: u64,
    /// Seconds by which our clock and the client's may differ.
    pub leeway: u64,
    /// Demands a nonce of these.
    pub nonces: Option<Nonces>,
}

impl Default for ProofRules {
    /// All asymmetric algorithms, a minute, 5 seconds of leeway, and no nonce.
    fn default() -> Self {
        Self { algorithms: Algorithms::ASYMMETRIC, max_age: 60, leeway: 5, nonces: None }
    }
}

/// The request a proof came with.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Its method, as it came.
    pub method: &'a str,
    /// Its resource.
    pub target: Target<'a>,
}

/// A proof that is good, unless it was seen before.
#[derive(Debug, Clone, Copy)]
pub struct Proof {
    /// Whose it is.
    pub(super) key: Thumbprint,
    /// What tells it from all others.
    pub(super) name: [u8; 16],
    /// When it was made, in seconds since 1970.
    pub(super) issued_at: u64,
    /// Whether the client needs a new nonce. Fresh where none is demanded.
    pub nonce: Freshness,
}

impl ProofRules {
    /// Whether a proof shows that the client of `request` holds `key`, to use the token of this SHA-256 at `now`, in
    /// seconds since 1970.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(
        &self,
        proof: &[u8],
        key: &Thumbprint,
        token: &Thumbprint,
        request: &Request<'_>,
        now: u64,
    ) -> Result<Proof, Fault> {
        let proof = Token::parse_proof(proof, MAX_BYTES).map_err(in_proof)?;
        if !proof.kind().is_some_and(|kind| is_type(kind, "dpop+jwt")) {
            return Err(Fault::ProofType);
        }
        if !self.algorithms.and(Algorithms::ASYMMETRIC).contains(proof.algorithm()) {
            return Err(Fault::ProofAlgorithm);
        }
        let own_key = own_key(&proof)?;
        if own_key.thumbprint() != *key {
            return Err(Fault::ProofKeyWrong);
        }
        let claims = proof.claims().map_err(in_proof)?;
        let issued_at = self.check_time(&claims, now)?;
        check_request(&claims, request)?;
        if claims.text("ath").and_then(Thumbprint::parse) != Some(*token) {
            return Err(Fault::ProofTokenHash);
        }
        let name = name(key, &claims)?;
        let nonce = self.check_nonce(&claims, now)?;
        proof.check_signature([&own_key].into_iter()).map_err(in_proof)?;
        Ok(Proof { key: *key, name, issued_at, nonce })
    }

    fn check_time(&self, claims: &Claims, now: u64) -> Result<u64, Fault> {
        let issued_at = claims.issued_at().ok_or(Fault::ProofAge)?;
        if issued_at > now.saturating_add(self.leeway) {
            return Err(Fault::ProofInFuture);
        }
        let until = issued_at.saturating_add(self.max_age).saturating_add(self.leeway);
        if now > until { Err(Fault::ProofAge) } else { Ok(issued_at) }
    }

    fn check_nonce(&self, claims: &Claims, now: u64) -> Result<Freshness, Fault> {
        match &self.nonces {
            Some(nonces) => nonces.check(claims.text("nonce").ok_or(Fault::ProofNonce)?, now),
            None => Ok(Freshness::Fresh),
        }
    }
}

fn own_key(proof: &Token<'_>) -> Result<Key, Fault> {
    let jwk = proof.key().ok_or(Fault::ProofKey)?;
    if jwk::is_private(jwk) {
        return Err(Fault::ProofKey);
    }
    let key = jwk::public(jwk).map_err(|_| Fault::ProofKey)?;
    if key.algorithms().contains(proof.algorithm()) { Ok(key) } else { Err(Fault::ProofKey) }
}

fn check_request(claims: &Claims, request: &Request<'_>) -> Result<(), Fault> {
    if claims.text("htm") != Some(request.method) {
        return Err(Fault::ProofMethod);
    }
    let is_target = claims.text("htu").is_some_and(|uri| request.target.is_named_by(uri));
    if is_target { Ok(()) } else { Err(Fault::ProofTarget) }
}

/// Proofs are told apart by key and `jti`: whoever uses a `jti` again for another resource is a replayer too.
fn name(key: &Thumbprint, claims: &Claims) -> Result<[u8; 16], Fault> {
    let id = claims.id().filter(|id| (1..=MAX_ID_BYTES).contains(&id.len())).ok_or(Fault::ProofId)?;
    let name = Thumbprint::of(&[key.as_bytes(), id.as_bytes()].concat());
    Ok(name.as_bytes().first_chunk().copied().unwrap_or_default())
}

/// What is wrong with a token's form, said of a proof.
fn in_proof(fault: Fault) -> Fault {
    match fault {
        Fault::AlgorithmNone | Fault::AlgorithmUnknown => Fault::ProofAlgorithm,
        Fault::SignatureMissing | Fault::SignatureInvalid => Fault::ProofSignature,
        Fault::TimeInvalid => Fault::ProofAge,
        _ => Fault::ProofMalformed,
    }
}

#[cfg(test)]
mod tests;
