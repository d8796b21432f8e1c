//! Whether a token came from whom it was given to: by the key or the certificate it is bound to (RFC 7800, RFC 9449,
//! RFC 8705).
//!
//! What always holds: a token that says it is bound is checked for it, whether or not the policy demands bound tokens,
//! so a stolen one is of no use as a bearer token; a token bound to both is checked for both.

use super::claims::Confirmation;
use super::dpop::{Proof, ProofRules, Request};
use super::fault::Fault;
use super::thumbprint::Thumbprint;

/// How possession is checked.
#[derive(Debug, Default)]
pub struct Possession {
    /// What tokens must be bound to.
    pub demand: Demand,
    /// What proofs must hold, of whatever token.
    pub proofs: ProofRules,
}

/// What tokens must be bound to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Demand {
    /// Nothing; those that are bound are checked.
    #[default]
    AsBound,
    /// A key (`cnf.jkt`).
    Key,
    /// A certificate (`cnf.x5t#S256`).
    Certificate,
    /// A key or a certificate.
    Any,
}

/// What came with a token.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    /// How the token itself came.
    pub scheme: Scheme,
    /// The header field `DPoP`. With more than one of them the request is to be refused with
    /// [`Fault::ProofRepeated`] (RFC 9449 section 4.3, point 1).
    pub proof: Option<&'a [u8]>,
    /// SHA-256 of the DER of the certificate by which the client proved itself in the TLS handshake.
    pub certificate: Option<&'a Thumbprint>,
}

/// How a token came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `Authorization: Bearer`, or by cookie or query.
    Bearer,
    /// `Authorization: DPoP`.
    Dpop,
}

impl Possession {
    /// Checks what a token is bound to, `text` being the SHA-256 of it, at `now` in seconds since 1970. Returns the proof,
    /// if one was needed; it is then for [`Replays`](super::replay::Replays) to admit.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(
        &self,
        bound: Confirmation,
        text: &Thumbprint,
        presented: &Presented<'_>,
        request: &Request<'_>,
        now: u64,
    ) -> Result<Option<Proof>, Fault> {
        let suffices = match self.demand {
            Demand::AsBound => true,
            Demand::Key => bound.key.is_some(),
            Demand::Certificate => bound.certificate.is_some(),
            Demand::Any => bound.key.is_some() || bound.certificate.is_some(),
        };
        if !suffices {
            return Err(Fault::TokenUnbound);
        }
        if let Some(certificate) = bound.certificate {
            check_certificate(&certificate, presented.certificate)?;
        }
        match (bound.key, presented.scheme, presented.proof) {
            (None, Scheme::Bearer, _) => Ok(None),
            (None, Scheme::Dpop, _) => Err(Fault::TokenUnbound),
            (Some(_), Scheme::Bearer, _) => Err(Fault::BoundTokenAsBearer),
            (Some(_), Scheme::Dpop, None) => Err(Fault::ProofMissing),
            (Some(key), Scheme::Dpop, Some(proof)) => {
                self.proofs.check(proof, &key, text, request, now).map(Some)
            }
        }
    }
}

fn check_certificate(bound: &Thumbprint, presented: Option<&Thumbprint>) -> Result<(), Fault> {
    let presented = presented.ok_or(Fault::CertificateMissing)?;
    if presented == bound { Ok(()) } else { Err(Fault::CertificateWrong) }
}

#[cfg(test)]
mod tests;
