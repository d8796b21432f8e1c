//! Gives the upstream a token that is for it alone: the caller's exchanged (RFC 8693), or one of our own (RFC 6749 section
//! 4.4).
//!
//! What always holds: only a token that a filter before this one has verified is exchanged; the upstream gets no other
//! credentials in `Authorization` than the token it is given; without one the request goes nowhere.

use std::sync::Arc;

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::header_edits::Head;
use super::oauth_server::{self, OAuthClient, Written};
use super::token::answer::unavailable;
use super::token::check_scopes;
use super::{Exchange, Filter, Phases, Refusal, Site, Step, Verdict};
use crate::auth::discovery::Endpoint;
use crate::auth::jose::Thumbprint;
use crate::auth::oauth;
use crate::auth::oauth::exchange::{Actor, ActorToken, Given, NotGiven, Subject, Wanted};
use crate::http::url::Url;
use crate::tls::ClientSpec;
use crate::values::{Duration, Problem, Secret};

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// Gives the upstream a token of its own in `Authorization`: the caller's, which a filter before this one has verified,
/// exchanged for one that is good for the upstream (RFC 8693), or one of Edgeward's own (`client_credentials`).
///
/// Refuses with 401 `token_exchange_missing` (no filter before this one has verified a token), 401 `token_exchange_refused`
/// (the server does not accept the caller's), 403 `token_exchange_denied` (the caller may not have what is wanted) and 503
/// `token_exchange_unavailable`. A token is used until shortly before it expires; the server is asked once at a time for each.
///
/// ```yaml
/// - jwt: { issuer: corp }
/// - token_exchange:
///     issuer: https://id.example.com
///     client: { id: edge, secret: { env: CLIENT_SECRET } }
///     audience: [orders]
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TokenExchange")]
pub struct Spec {
    /// The token endpoint; `https`, or `http` on this machine. Either this or `issuer`.
    /// Example: `https://id.example.com/token`.
    #[serde(default)]
    pub url: Option<Url>,
    /// The issuer, whose metadata (`OpenID` Connect Discovery, RFC 8414) names the endpoint. Either this or `url`.
    /// Example: `https://id.example.com`.
    #[serde(default)]
    pub issuer: Option<Url>,
    /// Who Edgeward is to the server. Example: `{ id: edge, secret: { env: CLIENT_SECRET } }`.
    pub client: OAuthClient,
    /// Whose token is asked for: the caller's in exchange (`exchange`), or Edgeward's own (`client_credentials`), the same
    /// for all callers. Default: `exchange`. Example: `client_credentials`.
    #[serde(default)]
    pub grant: Grant,
    /// Services that the token is to be good for, by name. Default: none. Example: `[orders]`.
    #[serde(default)]
    pub audience: Vec<String>,
    /// Services that the token is to be good for, by where they are (RFC 8707). Default: none.
    /// Example: `["https://orders.internal/"]`.
    #[serde(default)]
    pub resource: Vec<Url>,
    /// Scopes that the token is to have. Default: what the server gives. Example: `[orders:read]`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What the caller's token is said to be. Default: `urn:ietf:params:oauth:token-type:access_token`.
    /// Example: `urn:ietf:params:oauth:token-type:jwt`.
    #[serde(default)]
    pub subject_type: Option<String>,
    /// What kind of token is wanted. It has to be of this kind or an access token. Default: an access token or a JWT, as the
    /// server gives them. Example: `urn:ietf:params:oauth:token-type:jwt`.
    #[serde(default)]
    pub requested_type: Option<String>,
    /// Who acts for the caller, so that the upstream's token tells both (RFC 8693 section 4.1). Default: nobody is named.
    /// Example: `{ token: { file: /var/run/secrets/edge.jwt } }`.
    #[serde(default)]
    pub actor: Option<ActorSpec>,
    /// How long a token is used at most. Default: `5m`. Example: `1m`.
    #[serde(default = "default_ttl")]
    pub ttl: Duration,
    /// How long one question may take. Default: `5s`. Example: `1s`.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// TLS to the server, as for upstreams. Default: the system's authorities. Example: `{ ca: internal-ca.pem }`.
    #[serde(default)]
    pub tls: Option<ClientSpec>,
    /// Asks in cleartext over a network. Whoever sits between gets our secret and all tokens. Default: `false`.
    /// Example: `true`.
    #[serde(default)]
    pub danger_http: bool,
}

/// Who acts for the caller. Either `token` or `client_credentials`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TokenExchangeActor")]
pub struct ActorSpec {
    /// The actor's token. Read anew for each exchange, for whoever issues it replaces it before it expires.
    /// Example: `{ file: /var/run/secrets/edge.jwt }`.
    #[serde(default)]
    pub token: Option<Secret>,
    /// Edgeward's own token, which the same server gives for the same `client`. Example: `{ scopes: [act] }`.
    #[serde(default)]
    pub client_credentials: Option<OwnToken>,
    /// What the actor's token is said to be. Default: `urn:ietf:params:oauth:token-type:jwt` for `token`, `…:access_token` for
    /// Edgeward's own.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
}

/// What Edgeward's own token is to be good for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "TokenExchangeOwnToken")]
pub struct OwnToken {
    /// Services, by name. Default: none.
    pub audience: Vec<String>,
    /// Services, by where they are (RFC 8707). Default: none.
    pub resource: Vec<Url>,
    /// Scopes. Default: what the server gives.
    pub scopes: Vec<String>,
}

/// Whose token is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TokenExchangeGrant")]
pub enum Grant {
    /// The caller's, in exchange for another.
    #[default]
    Exchange,
    /// Our own.
    ClientCredentials,
}

const fn default_ttl() -> Duration {
    Duration::from_secs(300)
}

const fn default_timeout() -> Duration {
    Duration::from_secs(5)
}

impl super::Spec for Spec {
    const KIND: &'static str = "token_exchange";
    const DECIDES: bool = true;

    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        let written = || Written {
            url: self.url.as_ref(),
            issuer: self.issuer.as_ref(),
            client: &self.client,
            timeout: self.timeout,
            tls: self.tls.as_ref(),
            danger_http: self.danger_http,
        };
        let server = || oauth_server::server(site, &written(), Endpoint::Token);
        let ttl = *self.ttl;
        let of = |server, wanted, actor| {
            let answers = Arc::clone(&site.issuers.memory().answers);
            oauth::Exchange { server, wanted, ttl, answers, actor }
        };
        let ours = |wanted| Ok(of(server()?, wanted, None));
        let actor = self.actor.as_ref().map(|actor| actor.build(site, ours)).transpose();
        let actor = actor.map_err(|problem| problem.under("actor"))?;
        if actor.is_some() && self.grant == Grant::ClientCredentials {
            return Err(Problem::new("actor", "means nothing where no token is exchanged"));
        }
        let exchange = of(server()?, self.wanted()?, actor);
        Ok(Box::new(TokenExchange(exchange)))
    }
}

impl ActorSpec {
    /// `ours` gets Edgeward's own tokens.
    fn build(
        &self,
        site: &Site<'_>,
        ours: impl FnOnce(Wanted) -> Result<oauth::Exchange, Problem>,
    ) -> Result<Actor, Problem> {
        let (kind, token) = match (&self.token, &self.client_credentials) {
            (Some(token), None) => {
                // What is not there now will hardly be there later.
                token.resolve(site.base).map_err(|error| Problem::new("token", error))?;
                let (secret, base) = (token.clone(), site.base.to_owned());
                let name = format!("{token} {}", site.base.display());
                (JWT, ActorToken::Kept { name, read: Arc::new(move || secret.resolve(&base).ok()) })
            }
            (None, Some(own)) => {
                let wanted = wanted(None, &own.audience, &own.resource, &own.scopes);
                let wanted = wanted.map_err(|problem| problem.under("client_credentials"))?;
                (ACCESS_TOKEN, ActorToken::Ours(Box::new(ours(wanted)?)))
            }
            _ => return Err(Problem::whole("expected exactly one of `token` and `client_credentials`")),
        };
        Ok(Actor { kind: self.kind.clone().unwrap_or_else(|| kind.to_owned()), token })
    }
}

impl Spec {
    fn wanted(&self) -> Result<Wanted, Problem> {
        let subject = match self.grant {
            Grant::Exchange => Some(Subject {
                kind: self.subject_type.clone().unwrap_or_else(|| ACCESS_TOKEN.to_owned()),
                requested: self.requested_type.clone(),
            }),
            Grant::ClientCredentials => {
                let unused = [("subject_type", &self.subject_type), ("requested_type", &self.requested_type)];
                if let Some((at, _)) = unused.into_iter().find(|(_, given)| given.is_some()) {
                    return Err(Problem::new(at, "means nothing where no token is exchanged"));
                }
                None
            }
        };
        wanted(subject, &self.audience, &self.resource, &self.scopes)
    }
}

fn wanted(
    subject: Option<Subject>,
    audience: &[String],
    resource: &[Url],
    scopes: &[String],
) -> Result<Wanted, Problem> {
    if let Some(index) = audience.iter().position(String::is_empty) {
        return Err(Problem::new(format!("audience[{index}]"), "expected the name of a service"));
    }
    check_scopes("scopes", scopes)?;
    let scope = (!scopes.is_empty()).then(|| scopes.join(" "));
    Ok(Wanted { subject, audiences: audience.to_vec(), resources: resource.to_vec(), scope })
}

struct TokenExchange(oauth::Exchange);

impl Filter for TokenExchange {
    fn phases(&self) -> Phases {
        Phases::REQUEST
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        let caller = match (&self.0.wanted.subject, exchange.token().cloned()) {
            (None, _) => None,
            (Some(_), Some(token)) => Some(token),
            (Some(_), None) => return unauthorized("token_exchange_missing", "Bearer").into(),
        };
        let digest = caller.as_ref().map(|token| Thumbprint::of(token.expose()));
        let key = self.0.key(digest.as_ref());
        let now_ns = exchange.facts.received_ns;
        if let Some(given) = self.0.recall(&key, now_ns) {
            return Step::Now(conclude(exchange, given));
        }
        Step::Later(Box::pin(async move {
            let text = caller.as_ref().map_or(Ok(""), |token| std::str::from_utf8(token.expose()));
            let given = match text {
                Ok(text) => self.0.ask(&key, text, now_ns).await,
                Err(_) => Err(NotGiven::Refused),
            };
            conclude(exchange, given)
        }))
    }
}

fn conclude(exchange: &mut Exchange<'_>, given: Given) -> Verdict {
    let refusal = match given {
        Ok(authorization) => {
            exchange.request.insert(&AUTHORIZATION, authorization);
            return Verdict::Next;
        }
        Err(NotGiven::Refused) => unauthorized("token_exchange_refused", "Bearer error=\"invalid_token\""),
        Err(NotGiven::Denied) => Refusal::new(StatusCode::FORBIDDEN, "token_exchange_denied"),
        Err(NotGiven::Unavailable) => unavailable("token_exchange_unavailable"),
    };
    Verdict::Refuse(Box::new(refusal))
}

fn unauthorized(reason: &'static str, challenge: &'static str) -> Refusal {
    let challenge = HeaderValue::from_static(challenge);
    Refusal::new(StatusCode::UNAUTHORIZED, reason).header(WWW_AUTHENTICATE, challenge)
}

#[cfg(test)]
mod tests;
