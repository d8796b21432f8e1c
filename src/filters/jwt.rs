//! Lets in who has a token of an issuer: verified here, bound to its client where it says so, and holding what the route
//! demands.
//!
//! What always holds: a token is looked for in one place; the issuer is the filter's only one, or the one that the token
//! names among the filter's; what is not let in says nothing to anybody after this filter. The token goes no further
//! unless the policy says so, and one from the query never does. In steady state a token costs a hash of its text.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderName;
use pingora::http::ResponseHeader;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::token::answer::{self, Answers};
use super::token::bearer::Bearer;
use super::token::dpop::Proofs;
use super::token::place::{Found, Place, Presented};
use super::token::told::Told;
use super::token::{check_scopes, claim_rules};
use super::{Exchange, Filter, Phases, Proof, Refusal, Site, Step, Verdict};
use crate::auth::Issuer;
use crate::auth::issuer::{Look, Refused};
use crate::auth::jose::fault::Fault;
use crate::auth::jose::possession::{Demand, Possession};
use crate::auth::jose::{Demands, Verified, unverified_issuer};
use crate::state::clock::unix_seconds;
use crate::values::{OneOrMany, Problem};

pub use super::token::dpop::Dpop;
pub use super::token::place::From;

const KIND: &str = "jwt";

/// Lets in who has a token (JWT, RFC 7519) of an issuer in `issuers`. Without a token, or with one that is no good, the
/// answer is 401 with a challenge (RFC 6750); with a good one that lacks a scope or a claim, 403; while the issuer's keys
/// cannot be had, 503 `keys_unavailable`. Each thing that may be wrong with a token has a reason of its own.
///
/// Tokens bound to a key (`DPoP`, RFC 9449) or a certificate (RFC 8705) are checked for that whether or not `bound` is given.
///
/// ```yaml
/// - jwt: { issuer: corp, scopes: [orders:read] }
/// - jwt: { issuer: [corp, partners], claims: { tenant: [blue, green] }, to_headers: { x-user: sub } }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The issuer, by its name in `issuers`, or several: then the one counts whose `issuer` the token names.
    pub issuer: OneOrMany<String>,
    /// Scopes that are all needed, each compared as a whole. Example: `[orders:read]`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Scopes of which one is needed. Example: `[orders:read, orders:admin]`.
    #[serde(default)]
    pub any_scope: Vec<String>,
    /// Claims that must have a value, or one of a list of values; a claim that is a list must hold one of them. A name that
    /// begins with `/` leads into objects: `/realm_access/roles`. Example: `{ tenant: [blue, green] }`.
    #[serde(default)]
    pub claims: BTreeMap<String, Value>,
    /// Where the token is: `{ header: NAME }`, `{ cookie: NAME }` or `{ danger_query: NAME }`. In `authorization` it follows
    /// `Bearer` or `DPoP`, in other headers it stands alone. From the query, where histories and logs keep it, it is always
    /// removed. Default: `{ header: authorization }`.
    pub from: Option<From>,
    /// Request headers that tell the upstream what claims say; whatever clients send under these names is removed, on every
    /// route. Lists are joined by commas. What cannot be told unmistakably is left out: control characters, more than 4 KiB,
    /// commas within a list. Example: `{ x-user: sub, x-groups: groups }`.
    #[serde(default)]
    pub to_headers: BTreeMap<String, String>,
    /// Whether the token is removed before the request goes upstream, and the proof with it. Set it to `false` for upstreams
    /// that verify it again. Default: `true`.
    #[serde(default = "yes")]
    pub hide_credentials: bool,
    /// What tokens must be bound to: `dpop` (a key), `certificate`, or `any` of both. Default: nothing; those that are bound
    /// are checked.
    pub bound: Option<Bound>,
    /// What proofs of possession must hold.
    #[serde(default)]
    pub dpop: Option<Dpop>,
    /// Whether a request without a token passes, with nobody known as its caller. A token that is no good is refused all the
    /// same. Default: `false`.
    #[serde(default)]
    pub optional: bool,
    /// What challenges call the protected space, in ASCII. Default: `Restricted`. Example: `Orders API`.
    #[serde(default = "restricted")]
    pub realm: String,
}

/// What tokens must be bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// A key or a certificate.
    Any,
    /// A key (`cnf.jkt`).
    Dpop,
    /// A certificate (`cnf.x5t#S256`).
    Certificate,
}

const fn yes() -> bool {
    true
}

fn restricted() -> String {
    "Restricted".to_owned()
}

impl super::Spec for Spec {
    const KIND: &'static str = KIND;
    const DECIDES: bool = true;
    const NOTHING_SHOWN: Option<&'static str> = Some("token_missing");

    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        let issuers = issuers(&self.issuer, site)?;
        let place = Place::compile(self.from.as_ref())?;
        let told = Told::compile(&self.to_headers, &place)?;
        let (proofs, rules) = Proofs::compile(self.dpop.as_ref(), site)?;
        let demand = match self.bound {
            None => Demand::AsBound,
            Some(Bound::Any) => Demand::Any,
            Some(Bound::Dpop) => Demand::Key,
            Some(Bound::Certificate) => Demand::Certificate,
        };
        if demand == Demand::Key && place != Place::Authorization {
            return Err(Problem::new("bound", "tokens bound to a key come in `Authorization: DPoP …` alone"));
        }
        let scopes = [("scopes", &self.scopes), ("any_scope", &self.any_scope)];
        for (at, scopes) in scopes {
            check_scopes(at, scopes)?;
        }
        let by_proof = match (demand, &self.dpop) {
            (Demand::Key, _) => answer::Schemes::Dpop,
            (Demand::AsBound | Demand::Certificate, None) => answer::Schemes::Bearer,
            _ => answer::Schemes::Both,
        };
        Ok(Box::new(Jwt {
            issuers,
            bearer: Bearer {
                answers: Answers::compile(
                    &self.realm,
                    by_proof,
                    rules.algorithms,
                    &self.scopes,
                    &self.any_scope,
                )?,
                possession: Possession { demand, proofs: rules },
                demands: Demands {
                    scopes: self.scopes,
                    any_scope: self.any_scope,
                    claims: claim_rules(self.claims)?,
                },
                place,
                proofs,
                told,
                hide_credentials: self.hide_credentials,
            },
            optional: self.optional,
        }))
    }
}

fn issuers(names: &OneOrMany<String>, site: &Site<'_>) -> Result<Vec<Arc<Issuer>>, Problem> {
    let mut issuers: Vec<Arc<Issuer>> = Vec::new();
    for (index, name) in names.as_slice().iter().enumerate() {
        let at = match names {
            OneOrMany::One(_) => "issuer".to_owned(),
            OneOrMany::Many(_) => format!("issuer[{index}]"),
        };
        let issuer = site.issuer(&at, name)?;
        if issuer.verifier().rules.audience.is_nobody() {
            return Err(Problem::new(
                at,
                "has no `audience`, the name of this service in the `aud` of tokens: without one, tokens for others would be taken too",
            ));
        }
        if let Some(other) = issuers.iter().find(|other| is_same(other, &issuer)) {
            let message = format!("has the same `issuer` as {}, so no token tells them apart", other.name());
            return Err(Problem::new(at, message));
        }
        issuers.push(issuer);
    }
    if issuers.is_empty() { Err(Problem::new("issuer", "expected at least one issuer")) } else { Ok(issuers) }
}

fn is_same(one: &Issuer, other: &Issuer) -> bool {
    one.verifier().rules.issuers == other.verifier().rules.issuers
}

struct Jwt {
    /// One, or several of which no two have the same `iss`.
    issuers: Vec<Arc<Issuer>>,
    bearer: Bearer,
    optional: bool,
}

impl Filter for Jwt {
    fn phases(&self) -> Phases {
        self.bearer.phases()
    }

    fn vouches_for(&self) -> &[HeaderName] {
        self.bearer.told.headers()
    }

    fn secret_headers(&self) -> Vec<&HeaderName> {
        self.bearer.secret_headers()
    }

    fn secret_parameters(&self) -> Vec<&str> {
        self.bearer.secret_parameters()
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        let presented = match self.bearer.place.find(exchange.request) {
            Found::Nothing if self.optional => return Step::NEXT,
            Found::Nothing => return self.bearer.answers.missing().into(),
            Found::Repeated => return self.bearer.answers.repeated().into(),
            Found::One(presented) => presented,
        };
        self.bearer.place.hide(exchange.request, self.bearer.hide_credentials);
        let now = unix_seconds(exchange.facts.time);
        let issuer = match self.issuer_of(presented.token()) {
            Ok(issuer) => issuer,
            Err(fault) => return self.bearer.refuse(fault, &presented, now).into(),
        };
        match issuer.look(presented.token(), now) {
            Look::Good(token) => Step::Now(self.conclude(exchange, &presented, &token, now)),
            Look::Bad(fault) => self.bearer.refuse(fault, &presented, now).into(),
            Look::Unknown { seen } => Step::Later(Box::pin(async move {
                match issuer.look_again(presented.token(), now, seen).await {
                    Ok(token) => self.conclude(exchange, &presented, &token, now),
                    Err(Refused::Fault(fault)) => {
                        Verdict::Refuse(Box::new(self.bearer.refuse(fault, &presented, now)))
                    }
                    Err(Refused::KeysUnavailable) => {
                        Verdict::Refuse(Box::new(answer::unavailable("keys_unavailable")))
                    }
                }
            })),
        }
    }

    fn on_response(&self, exchange: &mut Exchange<'_>, response: &mut ResponseHeader) -> Result<(), Refusal> {
        Bearer::respond(exchange, response);
        Ok(())
    }
}

impl Jwt {
    /// By whose rules and keys the token is to be verified. That it names its issuer is believed no further than that.
    fn issuer_of(&self, token: &[u8]) -> Result<&Arc<Issuer>, Fault> {
        if let [only] = self.issuers.as_slice() {
            return Ok(only);
        }
        let most = self.issuers.iter().map(|issuer| issuer.verifier().max_bytes).max().unwrap_or_default();
        let named = unverified_issuer(token, most)?;
        let accepts = |issuer: &&Arc<Issuer>| issuer.verifier().rules.issuers.contains(&named);
        self.issuers.iter().find(accepts).ok_or(Fault::IssuerWrong)
    }

    fn conclude(
        &self,
        exchange: &mut Exchange<'_>,
        presented: &Presented,
        token: &Arc<Verified>,
        now: u64,
    ) -> Verdict {
        let proof = (KIND, Proof::Token(Arc::clone(token)));
        match self.bearer.admit(exchange, presented, (&token.claims, &token.text), proof, now) {
            Ok(()) => Verdict::Next,
            Err(fault) => Verdict::Refuse(Box::new(self.bearer.refuse(fault, presented, now))),
        }
    }
}

#[cfg(test)]
mod tests;
