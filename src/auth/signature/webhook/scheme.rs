//! How a sender of webhooks signs them.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use http::HeaderName;
use sha2::Sha256;

use super::Claims;
use crate::values::SecretString;

const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// Where the signature is, and what is signed.
#[derive(Debug, Clone)]
pub struct Scheme {
    /// The header that holds the signatures, once.
    pub header: HeaderName,
    pub layout: Layout,
    pub encoding: Encoding,
    /// The header that holds the time in seconds of the Unix time, unless it stands beside the signatures.
    pub timestamp: Option<HeaderName>,
    /// The header that holds what is unique to the message.
    pub id: Option<HeaderName>,
    /// What is signed, in this order. Has the body once, and the time and the id where there are any.
    pub signed: Vec<Part>,
    /// How far the time may be off, either way. Messages are remembered as long.
    pub tolerance: Duration,
    pub secret: SecretForm,
}

/// How the signatures stand in their header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// `sha256=…`, or several with a space between. Values with another prefix are passed over.
    Values { prefix: String },
    /// `t=…,v1=…,v1=…`: the time and the signatures by their names. Other names are passed over.
    Elements { signature: String, timestamp: String },
}

/// How a signature's bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// In either case.
    Hex,
    /// The standard alphabet, padded.
    Base64,
}

/// A piece of what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Text(String),
    /// As it came.
    Timestamp,
    /// As it came.
    Id,
    Body,
}

/// What the text of a secret stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretForm {
    /// Itself.
    Text,
    /// The bytes that it is the base64 of, after a prefix that may be missing.
    Base64 { prefix: String },
}

/// Why a scheme cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SchemeError {
    #[error("what is signed must hold the body, once")]
    Body,
    #[error("what is signed must hold the time exactly if a header holds it")]
    Timestamp,
    #[error("what is signed must hold the id exactly if a header holds it")]
    Id,
    #[error("the time is either in a header of its own or beside the signatures")]
    TwoTimestamps,
    #[error("a signed id needs a signed time, or it would have to be remembered for ever")]
    IdWithoutTimestamp,
    #[error("the id needs text around it that sets it apart from the time and the body")]
    IdNotApart,
    #[error("expected 1 to 4 secrets")]
    Secrets,
    #[error("the secret is not the base64 of anything")]
    SecretForm,
}

/// What is signed before the body and after it.
#[derive(Debug, Clone)]
pub(super) struct Template {
    before: Vec<Part>,
    after: Vec<Part>,
}

impl Scheme {
    /// `X-Hub-Signature-256: sha256=<hex>` over the body. Nothing in it says when it was made.
    pub fn github() -> Self {
        Self {
            header: HeaderName::from_static("x-hub-signature-256"),
            layout: Layout::Values { prefix: "sha256=".to_owned() },
            encoding: Encoding::Hex,
            timestamp: None,
            id: None,
            signed: vec![Part::Body],
            tolerance: FIVE_MINUTES,
            secret: SecretForm::Text,
        }
    }

    /// `Stripe-Signature: t=<time>,v1=<hex>` over `<time>.<body>`.
    pub fn stripe() -> Self {
        Self {
            header: HeaderName::from_static("stripe-signature"),
            layout: Layout::Elements { signature: "v1".to_owned(), timestamp: "t".to_owned() },
            signed: vec![Part::Timestamp, Part::Text(".".to_owned()), Part::Body],
            ..Self::github()
        }
    }

    /// `X-Slack-Signature: v0=<hex>` over `v0:<X-Slack-Request-Timestamp>:<body>`.
    pub fn slack() -> Self {
        Self {
            header: HeaderName::from_static("x-slack-signature"),
            layout: Layout::Values { prefix: "v0=".to_owned() },
            timestamp: Some(HeaderName::from_static("x-slack-request-timestamp")),
            signed: vec![
                Part::Text("v0:".to_owned()),
                Part::Timestamp,
                Part::Text(":".to_owned()),
                Part::Body,
            ],
            ..Self::github()
        }
    }

    /// `X-Shopify-Hmac-Sha256: <base64>` over the body. Nothing in it says when it was made.
    pub fn shopify() -> Self {
        Self {
            header: HeaderName::from_static("x-shopify-hmac-sha256"),
            layout: Layout::Values { prefix: String::new() },
            encoding: Encoding::Base64,
            ..Self::github()
        }
    }

    /// Standard Webhooks 1.0: `webhook-signature: v1,<base64>` over `<webhook-id>.<webhook-timestamp>.<body>`, with
    /// secrets written `whsec_<base64>`.
    pub fn standard() -> Self {
        let dot = || Part::Text(".".to_owned());
        Self {
            header: HeaderName::from_static("webhook-signature"),
            layout: Layout::Values { prefix: "v1,".to_owned() },
            encoding: Encoding::Base64,
            timestamp: Some(HeaderName::from_static("webhook-timestamp")),
            id: Some(HeaderName::from_static("webhook-id")),
            signed: vec![Part::Id, dot(), Part::Timestamp, dot(), Part::Body],
            secret: SecretForm::Base64 { prefix: "whsec_".to_owned() },
            ..Self::github()
        }
    }

    /// What is signed, if the scheme makes sense.
    pub(super) fn template(&self) -> Result<Template, SchemeError> {
        let beside = matches!(self.layout, Layout::Elements { .. });
        if beside && self.timestamp.is_some() {
            return Err(SchemeError::TwoTimestamps);
        }
        let has_time = beside || self.timestamp.is_some();
        if self.signed.contains(&Part::Timestamp) != has_time {
            return Err(SchemeError::Timestamp);
        }
        if self.signed.contains(&Part::Id) != self.id.is_some() {
            return Err(SchemeError::Id);
        }
        if self.id.is_some() && !has_time {
            return Err(SchemeError::IdWithoutTimestamp);
        }
        let apart = |pair: &[Part]| {
            !pair.contains(&Part::Id)
                || pair.iter().any(|part| matches!(part, Part::Text(text) if !text.is_empty()))
        };
        if !self.signed.windows(2).all(apart) {
            return Err(SchemeError::IdNotApart);
        }
        let mut sides = self.signed.split(|part| *part == Part::Body);
        match (sides.next(), sides.next(), sides.next()) {
            (Some(before), Some(after), None) => {
                Ok(Template { before: before.to_vec(), after: after.to_vec() })
            }
            _ => Err(SchemeError::Body),
        }
    }
}

impl Template {
    pub(super) fn before(&self, claims: &Claims<'_>) -> Vec<u8> {
        filled(&self.before, claims)
    }

    pub(super) fn after(&self, claims: &Claims<'_>) -> Vec<u8> {
        filled(&self.after, claims)
    }
}

impl SecretForm {
    /// An HMAC with the secret in it.
    pub(super) fn mac(&self, secret: &SecretString) -> Result<Hmac<Sha256>, SchemeError> {
        let text = secret.expose();
        let bytes = match self {
            Self::Text => text.as_bytes().to_vec(),
            Self::Base64 { prefix } => {
                let text = text.strip_prefix(prefix.as_str()).unwrap_or(text);
                STANDARD.decode(text).map_err(|_| SchemeError::SecretForm)?
            }
        };
        if bytes.is_empty() {
            return Err(SchemeError::SecretForm);
        }
        Hmac::new_from_slice(&bytes).map_err(|_| SchemeError::SecretForm)
    }
}

fn filled(parts: &[Part], claims: &Claims<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(match part {
            Part::Text(text) => text.as_bytes(),
            Part::Timestamp => claims.timestamp.unwrap_or_default(),
            Part::Id => claims.id.unwrap_or_default(),
            Part::Body => &[],
        });
    }
    bytes
}
