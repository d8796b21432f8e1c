//! What is asked of a token and done with it once it is known whose it is, wherever it was verified.

use http::{HeaderName, HeaderValue};
use pingora::http::ResponseHeader;

use super::answer::Answers;
use super::dpop::{self, NONCE, Proofs};
use super::place::{Place, Presented};
use super::told::Told;
use crate::auth::jose::fault::Fault;
use crate::auth::jose::possession::Possession;
use crate::auth::jose::{Claims, Demands, Thumbprint};
use crate::filters::{Caller, Exchange, Phases, Proof, Refusal};

/// Tokens of one filter.
pub(in crate::filters) struct Bearer {
    /// Where they are.
    pub(in crate::filters) place: Place,
    /// Whether they go on.
    pub(in crate::filters) hide_credentials: bool,
    /// Who may have one.
    pub(in crate::filters) possession: Possession,
    pub(in crate::filters) proofs: Proofs,
    /// What they must hold.
    pub(in crate::filters) demands: Demands,
    /// What upstreams are told.
    pub(in crate::filters) told: Told,
    /// What clients are told.
    pub(in crate::filters) answers: Answers,
}

/// A nonce that the client should use from now on.
struct NextNonce(HeaderValue);

impl Bearer {
    /// The response's, too, where it may have to carry a nonce.
    pub(in crate::filters) fn phases(&self) -> Phases {
        match self.possession.proofs.nonces {
            Some(_) => Phases::REQUEST.and(Phases::RESPONSE),
            None => Phases::REQUEST,
        }
    }

    /// Headers that tokens come in.
    pub(in crate::filters) fn secret_headers(&self) -> Vec<&HeaderName> {
        self.place.header().into_iter().collect()
    }

    /// Query parameters that tokens come in.
    pub(in crate::filters) fn secret_parameters(&self) -> Vec<&str> {
        self.place.parameter().into_iter().collect()
    }

    /// Everything that is asked of a token that is known to be good by itself; then everybody is told who calls.
    pub(in crate::filters) fn admit(
        &self,
        exchange: &mut Exchange<'_>,
        presented: &Presented,
        (claims, name): (&Claims, &Thumbprint),
        (method, proof): (&'static str, Proof),
        now: u64,
    ) -> Result<(), Fault> {
        let nonce = self.proofs.check(&self.possession, exchange, presented, (claims, name), now)?;
        self.demands.check(claims)?;
        self.told.tell(claims, exchange.request);
        if let Some(nonce) = nonce {
            exchange.keep(NextNonce(nonce));
        }
        let subject = claims.subject().or_else(|| claims.client()).unwrap_or_default().into();
        exchange.identify_by_token(Caller { method, subject, proof }, presented.text());
        Ok(())
    }

    /// The refusal of a token.
    pub(in crate::filters) fn refuse(&self, fault: Fault, presented: &Presented, now: u64) -> Refusal {
        let nonce = || self.possession.proofs.nonces.as_ref().and_then(|nonces| dpop::issue(nonces, now));
        self.answers.fault(fault, presented.scheme, nonce)
    }

    /// Hands the client the nonce that was made for it.
    pub(in crate::filters) fn respond(exchange: &mut Exchange<'_>, response: &mut ResponseHeader) {
        if let Some(NextNonce(nonce)) = exchange.slot() {
            // Fails for malformed names and values alone.
            _ = response.insert_header(NONCE, nonce.clone());
        }
    }
}
