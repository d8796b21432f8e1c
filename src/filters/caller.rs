//! Who calls, as the filters of a chain found out: what expressions, limits, logs and upstreams go by.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

use crate::auth::jose::{Claims, Verified};
use crate::auth::keys::Key;

/// What one filter found out about who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The filter's name: `jwt`, `api_key`.
    pub method: &'static str,
    /// Who it is, as that filter names people and programs: a token's `sub`, a consumer, a user.
    pub subject: Box<str>,
    /// How it was proved.
    pub proof: Proof,
}

/// The text of a token, as it came. Does not print itself.
#[derive(Clone)]
pub struct TokenText {
    /// Holds the text from `start` on, so that nothing is copied.
    value: HeaderValue,
    start: usize,
}

impl TokenText {
    /// The part of a field's value that begins at `start`.
    #[must_use]
    pub const fn new(value: HeaderValue, start: usize) -> Self {
        Self { value, start }
    }

    /// The text. Whoever calls this must not print, log or store it.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.value.as_bytes().get(self.start..).unwrap_or_default()
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// How a caller proved who it is.
#[derive(Debug, Clone)]
pub enum Proof {
    /// By a token whose signature was verified here.
    Token(Arc<Verified>),
    /// By what an authorisation server said of it.
    Claims(Arc<Claims>),
    /// By an API key.
    Key(Arc<Key>),
    /// By something that says no more than who it is: a password, a certificate, a signature.
    Subject,
}

impl Caller {
    /// One of whom nothing is known but the name.
    #[must_use]
    pub fn named(method: &'static str, subject: impl Into<Box<str>>) -> Self {
        Self { method, subject: subject.into(), proof: Proof::Subject }
    }

    /// What a token or its issuer says.
    #[must_use]
    pub fn claims(&self) -> Option<&Claims> {
        match &self.proof {
            Proof::Token(token) => Some(&token.claims),
            Proof::Claims(claims) => Some(claims),
            Proof::Key(_) | Proof::Subject => None,
        }
    }

    /// The API key.
    #[must_use]
    pub fn key(&self) -> Option<&Arc<Key>> {
        match &self.proof {
            Proof::Key(key) => Some(key),
            _ => None,
        }
    }
}
