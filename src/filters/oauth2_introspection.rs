//! Lets in who has a token that its authorisation server calls active (RFC 7662): for opaque tokens, and for those that
//! must be gone the moment they are revoked.
//!
//! What always holds: only what looks like a token is asked about; what the server says passes the same rules as the
//! claims of a token verified here, bindings included, on every request; without an answer nobody gets in.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderName;
use pingora::http::ResponseHeader;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::oauth_server::{self, OAuthClient, Written};
use super::token::answer::{self, Answers, Schemes};
use super::token::bearer::Bearer;
use super::token::dpop::{Dpop, Proofs};
use super::token::place::{Found, From, Place, Presented};
use super::token::told::Told;
use super::token::{check_scopes, claim_rules};
use super::{Exchange, Filter, Phases, Proof, Refusal, Site, Step, Verdict};
use crate::auth::discovery::Endpoint;
use crate::auth::jose::fault::Fault;
use crate::auth::jose::possession::{Demand, Possession};
use crate::auth::jose::{Claims, Demands, Thumbprint};
use crate::auth::oauth::Introspection;
use crate::auth::oauth::introspection::{Rules, Worth, Worthless};
use crate::http::url::Url;
use crate::state::clock::unix_seconds;
use crate::tls::ClientSpec;
use crate::values::{Duration, DurationOrZero, Problem};

const KIND: &str = "oauth2_introspection";
/// Longest token that is asked about, in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Lets in who has a token that its authorisation server calls active (RFC 7662). Without a token, or with one that is no
/// good, the answer is 401 with a challenge (RFC 6750); with a good one that lacks a scope or a claim, 403; while the server
/// has no answer, 503 `introspection_unavailable`. Each thing that may be wrong with a token has a reason of its own, as
/// `jwt` has it. A token that the server calls bound to a key (`DPoP`, RFC 9449) or a certificate (RFC 8705) passes with that
/// alone.
///
/// An answer is used for `ttl` and never past the token's `exp`; that a token is worth nothing is remembered for 5 seconds at
/// most. However many requests come with a token that nobody knows, its server is asked once at a time.
///
/// ```yaml
/// - oauth2_introspection:
///     issuer: https://id.example.com
///     client: { id: edge, secret: { env: CLIENT_SECRET } }
///     scopes: [orders:read]
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Oauth2Introspection")]
pub struct Spec {
    /// The introspection endpoint; `https`, or `http` on this machine. Either this or `issuer`.
    /// Example: `https://id.example.com/introspect`.
    #[serde(default)]
    pub url: Option<Url>,
    /// The issuer, whose metadata (`OpenID` Connect Discovery, RFC 8414) names the endpoint; an answer that names another
    /// issuer is refused. Either this or `url`. Example: `https://id.example.com`.
    #[serde(default)]
    pub issuer: Option<Url>,
    /// Who Edgeward is to the server. Example: `{ id: edge, secret: { env: CLIENT_SECRET } }`.
    pub client: OAuthClient,
    /// Where the token is: `{ header: NAME }`, `{ cookie: NAME }` or `{ danger_query: NAME }`. In `authorization` it follows
    /// `Bearer` or `DPoP`, in other headers it stands alone. From the query, where histories and logs keep it, it is always
    /// removed. Default: `{ header: authorization }`.
    #[serde(default)]
    pub from: Option<From>,
    /// What `aud` must name, one of these. Default: whatever the server takes for ours. Example: `[orders-api]`.
    #[serde(default)]
    pub audience: Vec<String>,
    /// Scopes that are all needed, each compared as a whole. Default: none. Example: `[orders:read]`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Scopes of which one is needed. Default: none. Example: `[orders:read, orders:admin]`.
    #[serde(default)]
    pub any_scope: Vec<String>,
    /// Claims that must have a value, or one of a list of values; a claim that is a list must hold one of them. A name that
    /// begins with `/` leads into objects. Default: none. Example: `{ tenant: [blue, green] }`.
    #[serde(default)]
    pub claims: BTreeMap<String, Value>,
    /// Request headers that tell the upstream what the server says; whatever clients send under these names is removed, on
    /// every route. Default: none. Example: `{ x-user: sub }`.
    #[serde(default)]
    pub to_headers: BTreeMap<String, String>,
    /// Whether the token is removed before the request goes upstream, and the proof with it. Default: `true`. Example:
    /// `false`.
    #[serde(default = "yes")]
    pub hide_credentials: bool,
    /// What proofs of possession must hold.
    #[serde(default)]
    pub dpop: Option<Dpop>,
    /// How long an answer is used; a revoked token passes for so long. With `0s` every request is asked about. Default: `1m`.
    /// Example: `10s`.
    #[serde(default = "default_ttl")]
    pub ttl: DurationOrZero,
    /// How long one question may take. Default: `5s`. Example: `1s`.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// What challenges call the protected space, in ASCII. Default: `Restricted`. Example: `Orders API`.
    #[serde(default = "default_realm")]
    pub realm: String,
    /// TLS to the server, as for upstreams. Default: the system's authorities. Example: `{ ca: internal-ca.pem }`.
    #[serde(default)]
    pub tls: Option<ClientSpec>,
    /// Asks in cleartext over a network. Whoever sits between gets our secret and all tokens, and decides who may pass.
    /// Default: `false`. Example: `true`.
    #[serde(default)]
    pub danger_http: bool,
}

const fn yes() -> bool {
    true
}

const fn default_ttl() -> DurationOrZero {
    DurationOrZero::from_secs(60)
}

const fn default_timeout() -> Duration {
    Duration::from_secs(5)
}

fn default_realm() -> String {
    "Restricted".to_owned()
}

impl super::Spec for Spec {
    const KIND: &'static str = KIND;
    const DECIDES: bool = true;
    const NOTHING_SHOWN: Option<&'static str> = Some("token_missing");

    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        let place = Place::compile(self.from.as_ref())?;
        let told = Told::compile(&self.to_headers, &place)?;
        let written = Written {
            url: self.url.as_ref(),
            issuer: self.issuer.as_ref(),
            client: &self.client,
            timeout: self.timeout,
            tls: self.tls.as_ref(),
            danger_http: self.danger_http,
        };
        let server = oauth_server::server(site, &written, Endpoint::Introspection)?;
        let (proofs, by_proof) = Proofs::compile(self.dpop.as_ref(), site)?;
        let schemes = if self.dpop.is_some() { Schemes::Both } else { Schemes::Bearer };
        check_scopes("scopes", &self.scopes)?;
        check_scopes("any_scope", &self.any_scope)?;
        let answers =
            Answers::compile(&self.realm, schemes, by_proof.algorithms, &self.scopes, &self.any_scope)?;
        let claims = claim_rules(self.claims)?;
        Ok(Box::new(Filtering {
            introspection: Introspection {
                server,
                ttl: *self.ttl,
                answers: Arc::clone(&site.issuers.memory().answers),
            },
            rules: Rules {
                issuer: self.issuer.map(|issuer| issuer.as_str().to_owned()),
                audiences: self.audience,
            },
            bearer: Bearer {
                answers,
                possession: Possession { demand: Demand::AsBound, proofs: by_proof },
                demands: Demands { scopes: self.scopes, any_scope: self.any_scope, claims },
                place,
                proofs,
                told,
                hide_credentials: self.hide_credentials,
            },
        }))
    }
}

struct Filtering {
    introspection: Introspection,
    rules: Rules,
    bearer: Bearer,
}

impl Filter for Filtering {
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
            Found::Nothing => return self.bearer.answers.missing().into(),
            Found::Repeated => return self.bearer.answers.repeated().into(),
            Found::One(presented) => presented,
        };
        self.bearer.place.hide(exchange.request, self.bearer.hide_credentials);
        let text = match text(presented.token()) {
            Ok(text) => text.to_owned(),
            Err(fault) => {
                return self.bearer.refuse(fault, &presented, unix_seconds(exchange.facts.time)).into();
            }
        };
        let name = Thumbprint::of(text.as_bytes());
        let key = self.introspection.key(&name);
        let now_ns = exchange.facts.received_ns;
        if let Some(worth) = self.introspection.recall(&key, now_ns) {
            return Step::Now(self.conclude(exchange, &presented, &name, worth));
        }
        Step::Later(Box::pin(async move {
            let worth = self.introspection.ask(&key, &text, now_ns).await;
            self.conclude(exchange, &presented, &name, worth)
        }))
    }

    fn on_response(&self, exchange: &mut Exchange<'_>, response: &mut ResponseHeader) -> Result<(), Refusal> {
        Bearer::respond(exchange, response);
        Ok(())
    }
}

impl Filtering {
    fn conclude(
        &self,
        exchange: &mut Exchange<'_>,
        presented: &Presented,
        name: &Thumbprint,
        worth: Worth,
    ) -> Verdict {
        let now = unix_seconds(exchange.facts.time);
        let refusal = match worth {
            Ok(claims) => match self.admit(exchange, presented, (&claims, name), now) {
                Ok(()) => return Verdict::Next,
                Err(fault) => self.bearer.refuse(fault, presented, now),
            },
            Err(Worthless::Fault(fault)) => self.bearer.refuse(fault, presented, now),
            Err(Worthless::Unknown) => answer::unavailable("introspection_unavailable"),
        };
        Verdict::Refuse(Box::new(refusal))
    }

    /// Everything that is asked of a token that its server calls active.
    fn admit(
        &self,
        exchange: &mut Exchange<'_>,
        presented: &Presented,
        (claims, name): (&Arc<Claims>, &Thumbprint),
        now: u64,
    ) -> Result<(), Fault> {
        self.rules.check(claims, now)?;
        let proof = (KIND, Proof::Claims(Arc::clone(claims)));
        self.bearer.admit(exchange, presented, (claims, name), proof, now)
    }
}

/// A token as RFC 6750 section 2.1 has it. What is none is nobody's token, and no server is asked about it.
fn text(token: &[u8]) -> Result<&str, Fault> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Fault::TooLarge);
    }
    let unpadded = token.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    let body = token.get(..unpadded).filter(|body| !body.is_empty() && body.iter().all(is_token));
    body.and_then(|_| std::str::from_utf8(token).ok()).ok_or(Fault::Malformed)
}

#[cfg(test)]
mod tests;
