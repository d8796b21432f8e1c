//! What a token is worth, as its authorisation server says (RFC 7662), remembered for a while.
//!
//! What always holds: a token passes only while its server calls it active, or did so no longer ago than the policy
//! allows and before its `exp`; one question at a time for each token; an answer that is none lets nobody in and is not
//! remembered. What a server says of a token is claims like any other, bindings included.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use super::server::{Server, Trouble};
use crate::auth::answers::{Answers, digest};
use crate::auth::jose::rules::DEFAULT_LEEWAY;
use crate::auth::jose::{Claims, Fault, Thumbprint};
use crate::state::flights::{Keep, Landing, Trust};

/// How long a token that is worth nothing is remembered at most. It is short, for a token may be asked about a moment
/// before a slow server knows it.
const LONGEST_REFUSAL: Duration = Duration::from_secs(5);

/// Asks what tokens are worth.
pub struct Introspection {
    /// Who knows.
    pub server: Server,
    /// How long an answer is used at most.
    pub ttl: Duration,
    /// What was asked lately.
    pub answers: Arc<Answers>,
}

/// What a token is worth.
pub type Worth = Result<Arc<Claims>, Worthless>;

/// Why nobody gets in by a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worthless {
    /// Something is wrong with it.
    Fault(Fault),
    /// Nobody can say.
    Unknown,
}

/// What an active token must hold besides.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// `iss`, where the server names one, compared byte by byte.
    pub issuer: Option<String>,
    /// One of these is in `aud`. Empty: whatever the server takes for ours.
    pub audiences: Vec<String>,
}

impl Introspection {
    /// Under which name a token is remembered: its own, and that of whom we ask in which role.
    #[must_use]
    pub fn key(&self, token: &Thumbprint) -> Thumbprint {
        let parts: [&[u8]; 3] = [
            self.server.place.written().as_str().as_bytes(),
            self.server.client.id.as_bytes(),
            token.as_bytes(),
        ];
        digest(parts)
    }

    /// What is known of a token.
    #[must_use]
    pub fn recall(&self, key: &Thumbprint, now_ns: u64) -> Option<Worth> {
        self.answers.introspected.recall(key, now_ns)
    }

    /// What is known of a token, or else what the server says.
    pub async fn ask(&self, key: &Thumbprint, token: &str, now_ns: u64) -> Worth {
        let ask = async {
            let pairs = [("token", token), ("token_type_hint", "access_token")];
            match self.server.ask(&pairs).await.and_then(read) {
                Ok((worth, bytes)) => self.landing(worth, bytes),
                Err(trouble) => {
                    log::warn!(url:% = self.server.place.written(), trouble:%; "what a token is worth is not known");
                    Landing { value: Err(Worthless::Unknown), keep: Keep::Not }
                }
            }
        };
        self.answers.introspected.fetch(key, now_ns, ask).await
    }

    fn landing(&self, worth: Worth, bytes: usize) -> Landing<Worth> {
        let clock = &self.server.clock;
        let (lifetime, trust) = match &worth {
            Ok(claims) => {
                let now = clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
                let left = claims.expires().map(|at| Duration::from_secs(at).saturating_sub(now));
                (left.unwrap_or(self.ttl).min(self.ttl), Trust::Good)
            }
            Err(_) => (self.ttl.min(LONGEST_REFUSAL), Trust::Poor),
        };
        let ns = clock.nanos().saturating_add(u64::try_from(lifetime.as_nanos()).unwrap_or(u64::MAX));
        let keep = if lifetime.is_zero() { Keep::Not } else { Keep::Until { ns, bytes, trust } };
        Landing { value: worth, keep }
    }
}

/// What the server says, and what it takes in memory, roughly.
fn read(mut answer: serde_json::Map<String, Value>) -> Result<(Worth, usize), Trouble> {
    let active = answer.remove("active").and_then(|active| active.as_bool());
    if !active.ok_or(Trouble::Malformed("active is neither true nor false"))? {
        return Ok((Err(Worthless::Fault(Fault::Inactive)), 256));
    }
    let bytes = 1024 + answer.values().map(|value| 128 + value.to_string().len()).sum::<usize>();
    Ok((Claims::read(answer).map(Arc::new).map_err(Worthless::Fault), bytes))
}

impl Rules {
    /// Whether a token that its server calls active is one for us, at `now` in seconds since 1970.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn check(&self, claims: &Claims, now: u64) -> Result<(), Fault> {
        if claims.expires().is_some_and(|expires| now >= expires.saturating_add(DEFAULT_LEEWAY)) {
            return Err(Fault::Expired);
        }
        if claims.not_before().is_some_and(|from| from > now.saturating_add(DEFAULT_LEEWAY)) {
            return Err(Fault::NotYetValid);
        }
        if let (Some(expected), Some(found)) = (&self.issuer, claims.issuer())
            && expected != found
        {
            return Err(Fault::IssuerWrong);
        }
        if self.audiences.is_empty() {
            return Ok(());
        }
        let mut named = claims.audiences().peekable();
        if named.peek().is_none() {
            return Err(Fault::AudienceMissing);
        }
        let is_ours = named.any(|name| self.audiences.iter().any(|accepted| accepted == name));
        if is_ours { Ok(()) } else { Err(Fault::AudienceWrong) }
    }
}

#[cfg(test)]
mod tests;
