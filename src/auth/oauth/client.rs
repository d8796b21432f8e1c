//! Who we are to an authorisation server, and how we prove it (RFC 6749 section 2.3, RFC 7523).

use std::sync::Arc;
use std::time::SystemTime;

use base64::engine::{Engine, general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value};

use super::form;
use super::server::Trouble;
use crate::auth::jose::SigningKey;
use crate::http::url::Url;
use crate::state::clock::unix_seconds;
use crate::values::SecretString;

/// How long an assertion is good, in seconds: it is used at once, and clocks differ.
const ASSERTION_LIFETIME: u64 = 60;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Who we are to a server.
#[derive(Debug, Clone)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// How we prove it.
    pub proof: ClientProof,
}

/// How a client proves itself (`OpenID` Connect Core section 9).
#[derive(Debug, Clone)]
pub enum ClientProof {
    /// Not at all: a public client. What protects a code is PKCE alone then (RFC 7636).
    None,
    /// `client_secret_basic`.
    Basic(SecretString),
    /// `client_secret_post`.
    Post(SecretString),
    /// `private_key_jwt`: a token of our own, signed anew for each request.
    Assertion {
        /// What it is signed with.
        key: Arc<SigningKey>,
        /// Its `aud`; the endpoint's URL if there is none.
        audience: Option<String>,
    },
}

impl Client {
    /// Adds to a request what proves that it is ours.
    ///
    /// # Errors
    /// When BoringSSL cannot sign.
    pub(super) fn prove(
        &self,
        endpoint: &Url,
        headers: &mut HeaderMap,
        form: &mut Vec<(&str, String)>,
        now: SystemTime,
    ) -> Result<(), Trouble> {
        match &self.proof {
            ClientProof::None => form.push(("client_id", self.id.clone())),
            ClientProof::Basic(secret) => {
                // RFC 6749 section 2.3.1: both are encoded before they are joined.
                let pair = format!("{}:{}", form::encoded(&self.id), form::encoded(secret.expose()));
                let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)));
                let mut value = value.map_err(|_| Trouble::Proof)?;
                value.set_sensitive(true);
                headers.insert(header::AUTHORIZATION, value);
            }
            ClientProof::Post(secret) => {
                form.push(("client_id", self.id.clone()));
                form.push(("client_secret", secret.expose().to_owned()));
            }
            ClientProof::Assertion { key, audience } => {
                let audience = audience.as_deref().unwrap_or(endpoint.as_str());
                form.push(("client_id", self.id.clone()));
                form.push(("client_assertion_type", ASSERTION_TYPE.to_owned()));
                form.push(("client_assertion", self.assertion(key, audience, now)?));
            }
        }
        Ok(())
    }

    /// RFC 7523 section 3.
    fn assertion(&self, key: &SigningKey, audience: &str, now: SystemTime) -> Result<String, Trouble> {
        let now = unix_seconds(now);
        let id = format!("{:032x}", fastrand::u128(..));
        let claims: Map<String, Value> = [
            ("iss", Value::from(self.id.as_str())),
            ("sub", self.id.as_str().into()),
            ("aud", audience.into()),
            ("jti", id.into()),
            ("iat", now.into()),
            ("exp", now.saturating_add(ASSERTION_LIFETIME).into()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        key.sign(Some("JWT"), &claims).map_err(|_| Trouble::Proof)
    }
}

#[cfg(test)]
mod tests;
