//! Proofs that a token came from whom it was given to, as far as a request is concerned (RFC 9449, RFC 8705).

use std::time::Duration as StdDuration;

use http::header::HOST;
use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

use super::place::Presented;
use crate::auth::Memory;
use crate::auth::jose::dpop::Request;
use crate::auth::jose::fault::Fault;
use crate::auth::jose::nonce::Freshness;
use crate::auth::jose::possession::{Possession, Presented as Shown, Scheme};
use crate::auth::jose::target::Target;
use crate::auth::jose::{Algorithm, Algorithms, Claims, Nonces, ProofRules, Thumbprint};
use crate::filters::{Exchange, Site};
use crate::http::path::Rules;
use crate::http::url::Url;
use crate::values::{Duration, Problem, Secret};

/// The field with a proof.
pub(in crate::filters) const PROOF: HeaderName = HeaderName::from_static("dpop");
/// The field with a nonce for the next proof.
pub(in crate::filters) const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

const NONCE_LIFETIME: StdDuration = StdDuration::from_secs(5 * 60);
/// Each proof is remembered for as long as it is good anywhere.
const MOST_AGE: StdDuration = StdDuration::from_secs(10 * 60);
const LEAST_SECRET: usize = 32;

/// What proofs of possession (RFC 9449) must hold, beside what the token is bound to, method, target and a name used once.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dpop {
    /// Whether a proof needs a nonce of ours, so that none can be made beforehand. Clients get one in `DPoP-Nonce`, first
    /// with a 401 `use_dpop_nonce`. Default: `false`.
    pub nonce: bool,
    /// How long a nonce is good. Default: `5m`.
    pub nonce_lifetime: Option<Duration>,
    /// What nonces are made with, at least 32 bytes: the same for all instances between which requests are spread.
    /// Default: random, anew with each process.
    pub nonce_secret: Option<Secret>,
    /// How long ago a proof may have been made, at most `10m`. All are remembered as long as the longest of all routes says.
    /// Default: `1m`.
    pub max_age: Option<Duration>,
    /// What proofs may be signed with. Default: every algorithm that has a public key. Example: `[ES256, EdDSA]`.
    pub algorithms: Option<Vec<Algorithm>>,
    /// The scheme, host and port that clients ask for, where it is not what is asked of this process: behind something that
    /// speaks TLS in its place. Example: `https://api.example.com`.
    pub origin: Option<Url>,
}

/// What is needed to check proofs of requests.
pub(in crate::filters) struct Proofs {
    memory: Arc<Memory>,
    paths: Rules,
    /// Scheme and authority in place of the request's own.
    origin: Option<(&'static str, String)>,
}

impl Proofs {
    pub(in crate::filters) fn compile(
        spec: Option<&Dpop>,
        site: &Site<'_>,
    ) -> Result<(Self, ProofRules), Problem> {
        let default = Dpop::default();
        let spec = spec.unwrap_or(&default);
        let memory = Arc::clone(site.issuers.memory());
        let rules = rules(spec, &memory, site).map_err(|problem| problem.under("dpop"))?;
        let origin = spec.origin.as_ref().map(origin).transpose().map_err(|problem| problem.under("dpop"))?;
        memory.proofs.serve(&rules);
        Ok((Self { memory, paths: site.paths, origin }, rules))
    }

    /// Whether the token of these claims, whose text has this SHA-256, came from whom it was given to. Returns a nonce that
    /// the client needs from now on.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(in crate::filters) fn check(
        &self,
        possession: &Possession,
        exchange: &mut Exchange<'_>,
        presented: &Presented,
        (claims, text): (&Claims, &Thumbprint),
        now: u64,
    ) -> Result<Option<HeaderValue>, Fault> {
        if presented.proof_repeated {
            return Err(Fault::ProofRepeated);
        }
        let facts = exchange.facts;
        let client = facts.tls.as_ref().and_then(|tls| tls.client.as_ref());
        // Hashed for those alone that need it.
        let is_bound = claims.confirmation().certificate.is_some();
        let certificate = client.filter(|_| is_bound).map(|client| Thumbprint::of(&client.der));
        let shown = Shown {
            scheme: presented.scheme,
            proof: presented.proof.as_ref().map(HeaderValue::as_bytes),
            certificate: certificate.as_ref(),
        };
        let host =
            || exchange.request.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let (scheme, authority) = match &self.origin {
            Some((scheme, authority)) => (*scheme, authority.as_str()),
            None if presented.scheme == Scheme::Dpop => (facts.scheme, host()),
            None => ("", ""),
        };
        let target = Target { scheme, authority, path: exchange.request.uri.path(), path_rules: &self.paths };
        let request = Request { method: exchange.request.method.as_str(), target };
        let Some(proof) = possession.check(claims.confirmation(), text, &shown, &request, now)? else {
            return Ok(None);
        };
        self.memory.proofs.admit(&proof, now, exchange.spent())?;
        match (proof.nonce, &possession.proofs.nonces) {
            (Freshness::Ageing, Some(nonces)) => Ok(issue(nonces, now)),
            _ => Ok(None),
        }
    }
}

/// A nonce for the client's next proof.
pub(in crate::filters) fn issue(nonces: &Nonces, now: u64) -> Option<HeaderValue> {
    HeaderValue::try_from(nonces.issue(now).ok()?).ok()
}

fn rules(spec: &Dpop, memory: &Memory, site: &Site<'_>) -> Result<ProofRules, Problem> {
    let mut rules = ProofRules::default();
    if let Some(age) = spec.max_age {
        if *age > MOST_AGE {
            return Err(Problem::new("max_age", "at most 10m: until then every proof must be remembered"));
        }
        rules.max_age = age.as_secs();
    }
    if let Some(algorithms) = &spec.algorithms {
        rules.algorithms = algorithms.iter().copied().collect();
        let symmetric = algorithms.iter().position(|one| Algorithms::SYMMETRIC.contains(*one));
        if let Some(index) = symmetric {
            return Err(Problem::new(format!("algorithms[{index}]"), "a proof is signed with a key pair"));
        }
        if algorithms.is_empty() {
            return Err(Problem::new("algorithms", "expected at least one"));
        }
    }
    if spec.nonce {
        let lifetime = spec.nonce_lifetime.map_or(NONCE_LIFETIME, |lifetime| *lifetime);
        let secret = match &spec.nonce_secret {
            Some(secret) => derived(secret, site)?,
            None => memory.nonce_secret,
        };
        rules.nonces = Some(Nonces::new(secret, lifetime.as_secs()));
    } else if spec.nonce_lifetime.is_some() || spec.nonce_secret.is_some() {
        return Err(Problem::new(
            "nonce",
            "`nonce_lifetime` and `nonce_secret` mean nothing without `nonce: true`",
        ));
    }
    Ok(rules)
}

fn derived(secret: &Secret, site: &Site<'_>) -> Result<[u8; 32], Problem> {
    let text = secret.resolve(site.base).map_err(|error| Problem::new("nonce_secret", error))?;
    if text.expose().len() < LEAST_SECRET {
        return Err(Problem::new("nonce_secret", "expected at least 32 bytes"));
    }
    Ok(boring::sha::sha256(text.expose().as_bytes()))
}

fn origin(url: &Url) -> Result<(&'static str, String), Problem> {
    if url.target() != "/" {
        return Err(Problem::new(
            "origin",
            "expected no more than scheme, host and port: https://api.example.com",
        ));
    }
    Ok((if url.is_secure() { "https" } else { "http" }, url.authority()))
}
