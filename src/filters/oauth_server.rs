//! Authorisation servers that filters ask, as a policy names them, and who we are to them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Site;
use super::remote::{self, Way};
use crate::auth::discovery::Endpoint;
use crate::auth::jose::{Algorithm, SigningKey};
use crate::auth::oauth::{Client, ClientProof, Place, Server};
use crate::http::url::Url;
use crate::tls::ClientSpec;
use crate::values::{Duration, Problem, Secret};

/// Who Edgeward is to an authorisation server: `{ id, secret }`, or `{ id, private_key, algorithm }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OauthClient")]
pub struct OAuthClient {
    /// The `client_id`. Example: `edge`.
    pub id: String,
    /// The secret. Either this or `private_key`. Example: `{ env: CLIENT_SECRET }`.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// Where the secret goes: `header` (`client_secret_basic`) or `body` (`client_secret_post`). Default: `header`.
    /// Example: `body`.
    #[serde(default)]
    pub secret_in: Option<SecretIn>,
    /// A private key in PEM or as a JWK, with which assertions are signed (`private_key_jwt`). Either this or `secret`.
    /// Example: `{ file: client.pem }`.
    #[serde(default)]
    pub private_key: Option<Secret>,
    /// What assertions are signed with. Needed with `private_key`. Example: `ES256`.
    #[serde(default)]
    pub algorithm: Option<Algorithm>,
    /// The `kid` of the key, in PEM. Default: none. Example: `edge-2026`.
    #[serde(default)]
    pub key_id: Option<String>,
    /// Whom assertions are for, where the server expects something else than its endpoint's URL. Default: that URL.
    /// Example: `https://id.example.com`.
    #[serde(default)]
    pub assertion_audience: Option<String>,
}

/// Where a secret goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "OauthSecretIn")]
pub enum SecretIn {
    /// Into `Authorization: Basic`.
    #[default]
    Header,
    /// Into the form.
    Body,
}

/// How a server is written in a filter's spec.
pub(super) struct Written<'a> {
    pub url: Option<&'a Url>,
    pub issuer: Option<&'a Url>,
    pub client: &'a OAuthClient,
    pub timeout: Duration,
    pub tls: Option<&'a ClientSpec>,
    pub danger_http: bool,
}

/// The server, asked at `endpoint` where its issuer is named.
pub(super) fn server(site: &Site<'_>, written: &Written<'_>, endpoint: Endpoint) -> Result<Server, Problem> {
    let Written { tls, danger_http, .. } = *written;
    let (url, at, place) = match (written.url, written.issuer) {
        (Some(url), None) => (url, "url", Place::Url(url.clone())),
        (None, Some(issuer)) if issuer.has_query() => {
            return Err(Problem::new("issuer", "an issuer has no query"));
        }
        (None, Some(issuer)) => {
            (issuer, "issuer", Place::of_issuer(issuer.clone(), endpoint, site.state.clock.clone()))
        }
        (None, None) => return Err(Problem::whole("name the server by `url` or by `issuer`")),
        (Some(_), Some(_)) => return Err(Problem::new("issuer", "either `url` or `issuer`, not both")),
    };
    let fetch = remote::client(site, Way { url, at, tls, danger_http })?;
    let client = client(site, written.client).map_err(|problem| problem.under("client"))?;
    if matches!(client.proof, ClientProof::None) {
        return Err(Problem::new("client", "name `secret` or `private_key`"));
    }
    Ok(Server { fetch, place, client, timeout: *written.timeout, clock: site.state.clock.clone() })
}

/// Who we are to a server. It is for the caller to say whether it must be proved.
pub(super) fn client(site: &Site<'_>, spec: &OAuthClient) -> Result<Client, Problem> {
    if spec.id.is_empty() {
        return Err(Problem::new("id", "expected the client_id that the server knows"));
    }
    let proof = match (&spec.secret, &spec.private_key) {
        (Some(secret), None) => {
            let unused = [
                ("algorithm", spec.algorithm.is_some()),
                ("key_id", spec.key_id.is_some()),
                ("assertion_audience", spec.assertion_audience.is_some()),
            ];
            if let Some((at, _)) = unused.into_iter().find(|(_, given)| *given) {
                return Err(Problem::new(at, "means nothing without `private_key`"));
            }
            let secret = secret.resolve(site.base).map_err(|error| Problem::new("secret", error))?;
            match spec.secret_in.unwrap_or_default() {
                SecretIn::Header => ClientProof::Basic(secret),
                SecretIn::Body => ClientProof::Post(secret),
            }
        }
        (None, _) if spec.secret_in.is_some() => {
            return Err(Problem::new("secret_in", "means nothing without `secret`"));
        }
        (None, Some(key)) => assertion(site, spec, key)?,
        (None, None) => ClientProof::None,
        (Some(_), Some(_)) => {
            return Err(Problem::new("private_key", "either `secret` or `private_key`, not both"));
        }
    };
    Ok(Client { id: spec.id.clone(), proof })
}

fn assertion(site: &Site<'_>, spec: &OAuthClient, key: &Secret) -> Result<ClientProof, Problem> {
    let algorithm =
        spec.algorithm.ok_or_else(|| Problem::new("algorithm", "is needed with `private_key`"))?;
    let problem = |error: &dyn std::fmt::Display| Problem::new("private_key", error);
    let text = key.resolve(site.base).map_err(|error| problem(&error))?;
    let text = text.expose().trim_start();
    let key = if text.starts_with('{') {
        if spec.key_id.is_some() {
            return Err(Problem::new("key_id", "a JWK names itself"));
        }
        SigningKey::from_jwk(text.as_bytes(), algorithm)
    } else {
        SigningKey::from_pem(text.as_bytes(), algorithm, spec.key_id.as_deref())
    };
    let key = key.map_err(|error| problem(&format_args!("is no key for {}: {error}", algorithm.name())))?;
    let key = Arc::new(key);
    Ok(ClientProof::Assertion { key, audience: spec.assertion_audience.clone() })
}

#[cfg(test)]
mod tests;
