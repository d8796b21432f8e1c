//! One client of one issuer: begins logins, completes them, knows who is logged in, and ends it.

mod stay;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::Answer;
use super::attempt::{self, Attempt};
use super::cookies::{Names, Present, clear, set};
use super::fault::Fault;
use super::id_token::{Expected, IdFault, IdTokens, Nonce};
use super::provider::Provider;
use super::seal::{Random, Seals};
use super::session::{Lives, Session};
use super::sessions::Sessions;
use super::tokens::{self, Tokens};
use crate::auth::jose::base64url;
use crate::auth::jose::signature::is_same;
use crate::auth::oauth::{Client, Trouble, form};
use crate::http::cookie;
use crate::http::url::Url;
pub use stay::{Guest, Look};

/// Cookies of attempts that one answer takes back.
const MOST_CLEARED: usize = 16;

/// How people log in.
pub struct Settings {
    /// Who we are to the issuer.
    pub client: Client,
    /// What is asked for, separated by spaces; `openid` is among it.
    pub scopes: String,
    /// More that the authorization request says: `prompt`, `acr_values`, `ui_locales`.
    pub extra: Vec<(String, String)>,
    /// How long ago the user may have proved who they are, in seconds.
    pub max_age: Option<u64>,
    /// The path at which the issuer sends browsers back.
    pub callback: String,
    /// What cookies are called.
    pub names: Names,
    /// What they are sealed with.
    pub seals: Seals,
    /// How long sessions last.
    pub lives: Lives,
    /// Whether upstreams get the access token.
    pub forwards: bool,
    /// Where random bytes come from.
    pub random: Box<Random>,
}

/// One client of one issuer.
pub struct Party {
    settings: Settings,
    provider: Provider,
    sessions: Arc<Sessions>,
    id_tokens: IdTokens,
    /// What binds what is sealed to its purpose.
    session_context: Vec<u8>,
    attempt_context: Vec<u8>,
}

/// Where a browser goes next, and what it keeps.
#[derive(Debug)]
pub struct Sent {
    /// A path of the host it asked, or an endpoint of the issuer.
    pub location: String,
    /// Values of `Set-Cookie`.
    pub cookies: Vec<HeaderValue>,
}

/// A login that did not succeed.
#[derive(Debug)]
pub struct Failed {
    pub fault: Fault,
    /// Values of `Set-Cookie`.
    pub cookies: Vec<HeaderValue>,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self { fault, cookies: Vec::new() }
    }
}

impl Party {
    /// A client with what a process remembers of its sessions.
    #[must_use]
    pub fn new(settings: Settings, provider: Provider, id_tokens: IdTokens, sessions: Arc<Sessions>) -> Self {
        let (issuer, client) = (provider.url.as_str(), settings.client.id.as_str());
        let name = settings.names.session();
        // Nothing in it holds a NUL, so no two of these are the same.
        let context =
            |purpose: &str| ["edgeward oidc_login", purpose, name, issuer, client].join("\0").into();
        Self {
            session_context: context("session"),
            attempt_context: context("attempt"),
            settings,
            provider,
            id_tokens,
            sessions,
        }
    }

    /// What cookies are called.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.settings.names
    }

    /// Sends a browser to the issuer. `origin` is what it calls us, `https://app.example.com`; `wanted` the path and
    /// query it asked for.
    ///
    /// # Errors
    /// [`Fault::ProviderUnavailable`] while nobody knows where the issuer's endpoints are.
    pub async fn begin(
        &self,
        origin: &str,
        wanted: &str,
        headers: &HeaderMap,
        now: u64,
    ) -> Result<Sent, Fault> {
        let endpoints = self.provider.endpoints().await.map_err(|_| Fault::ProviderUnavailable)?;
        let redirect_uri = self.redirect_uri(origin);
        let wanted = if self.is_callback(wanted) { "/" } else { wanted };
        let random = &*self.settings.random;
        let attempt = Attempt::new(redirect_uri, wanted, now, random).map_err(|_| Fault::Internal)?;
        let challenge = attempt.challenge();
        let max_age = self.settings.max_age.map(|seconds| seconds.to_string());
        let mut query = vec![
            ("response_type", "code"),
            ("client_id", &self.settings.client.id),
            ("redirect_uri", &attempt.redirect_uri),
            ("scope", &self.settings.scopes),
            ("state", &attempt.state),
            ("nonce", &attempt.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        query.extend(max_age.as_deref().map(|seconds| ("max_age", seconds)));
        query.extend(self.settings.extra.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let joint = if endpoints.authorization.has_query() { '&' } else { '?' };
        let location = format!("{}{joint}{}", endpoints.authorization, form::encode(query));
        let mut cookies = self.crowd_out(headers, now);
        let sealed = self.sealed(&self.attempt_context, &attempt)?;
        cookies.extend(set(&self.names().attempt(attempt.id()), &sealed, Some(attempt::LIFETIME)));
        Ok(Sent { location, cookies })
    }

    /// Completes a login at the callback.
    ///
    /// # Errors
    /// See [`Fault`]. The attempt is used up either way.
    pub async fn complete(
        &self,
        origin: &str,
        query: &str,
        headers: &HeaderMap,
        now: u64,
    ) -> Result<Sent, Failed> {
        let answer = Answer::read(query)?;
        let id = attempt::id_of(&answer.state).ok_or(Fault::AttemptUnknown)?;
        let name = self.names().attempt(id);
        let attempt = cookie::only(headers, &name)
            .and_then(|sealed| self.opened::<Attempt>(&self.attempt_context, sealed))
            .map(|(attempt, _)| attempt)
            .filter(|attempt| is_same(attempt.state.as_bytes(), answer.state.as_bytes()))
            .filter(|attempt| attempt.redirect_uri == self.redirect_uri(origin))
            .ok_or(Fault::AttemptUnknown)?;
        let used: Vec<HeaderValue> = clear(&name).into_iter().collect();
        match self.welcome(answer, &attempt, headers, now).await {
            Ok(cookies) => {
                let location = attempt::own_path(&attempt.return_to).to_owned();
                Ok(Sent { location, cookies: [used, cookies].concat() })
            }
            Err(fault) => Err(Failed { fault, cookies: used }),
        }
    }

    /// From an answer that belongs to an attempt to the cookies of a session.
    async fn welcome(
        &self,
        answer: Answer,
        attempt: &Attempt,
        headers: &HeaderMap,
        now: u64,
    ) -> Result<Vec<HeaderValue>, Fault> {
        if attempt.is_over(now) {
            return Err(Fault::AttemptExpired);
        }
        let endpoints = self.provider.endpoints().await.map_err(|_| Fault::ProviderUnavailable)?;
        match &answer.issuer {
            Some(issuer) if issuer == self.provider.url.as_str() => {}
            None if !endpoints.names_itself => {}
            _ => return Err(Fault::IssuerMismatch),
        }
        let code = answer.outcome.map_err(|error| {
            let fault = Fault::of_answer(&error);
            if fault != Fault::Denied {
                self.provider.observer.failed("authorization", &told(&error));
            }
            fault
        })?;
        let grant = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", &attempt.redirect_uri),
            ("code_verifier", &attempt.verifier),
        ];
        let tokens = self.tokens(&endpoints.token, &grant, now).await.map_err(|error| fault_of(&error))?;
        let session = self.session(tokens, attempt, now).await?;
        self.seal_session(&session, self.names().present(headers))
    }

    async fn session(&self, tokens: Tokens, attempt: &Attempt, now: u64) -> Result<Session, Fault> {
        let id_token = tokens.id_token.clone().ok_or(IdFault::Missing)?;
        let expected = Expected {
            nonce: Nonce::Is(&attempt.nonce),
            subject: None,
            access_token: &tokens.access_token,
            max_age: self.settings.max_age,
        };
        self.id_tokens.check(&id_token, expected, now).await.inspect_err(|fault| {
            self.provider.observer.failed("id token", fault.reason());
        })?;
        let mut id = [0; 16];
        (self.settings.random)(&mut id).map_err(|_| Fault::Internal)?;
        Ok(Session::new(&id, tokens, &id_token, self.settings.forwards, now))
    }

    async fn tokens(&self, endpoint: &Url, grant: &[(&str, &str)], now: u64) -> Result<Tokens, Trouble> {
        let asked = tokens::ask(&*self.provider.fetch, endpoint, &self.settings.client, grant, now).await;
        asked.inspect_err(|trouble| self.provider.observer.failed("token endpoint", &trouble.to_string()))
    }

    /// Takes back attempts that are over or of no use, and the oldest where there are too many.
    fn crowd_out(&self, headers: &HeaderMap, now: u64) -> Vec<HeaderValue> {
        let mut pending = Vec::new();
        let mut dead = Vec::new();
        for id in self.names().attempts(headers) {
            let name = self.names().attempt(id);
            let sealed = cookie::only(headers, &name);
            match sealed.and_then(|sealed| self.opened::<Attempt>(&self.attempt_context, sealed)) {
                Some((attempt, _)) if !attempt.is_over(now) => pending.push((attempt.began, name)),
                _ => dead.push(name),
            }
        }
        pending.sort_unstable();
        let spare = (pending.len() + 1).saturating_sub(attempt::MOST_PENDING);
        dead.extend(pending.into_iter().take(spare).map(|(_, name)| name));
        dead.iter().take(MOST_CLEARED).filter_map(|name| clear(name)).collect()
    }

    fn redirect_uri(&self, origin: &str) -> String {
        format!("{origin}{}", self.settings.callback)
    }

    fn is_callback(&self, target: &str) -> bool {
        target.split('?').next() == Some(&*self.settings.callback)
    }

    fn sealed(&self, context: &[u8], what: &impl Serialize) -> Result<String, Fault> {
        let text = serde_json::to_vec(what).map_err(|_| Fault::Internal)?;
        let sealed =
            self.settings.seals.seal(context, &text, &*self.settings.random).map_err(|_| Fault::Internal)?;
        Ok(base64url::encode(&sealed))
    }

    /// What was sealed, and whether by a key that seals no more.
    fn opened<T: DeserializeOwned>(&self, context: &[u8], sealed: &[u8]) -> Option<(T, bool)> {
        let opened = self.settings.seals.open(context, &base64url::decode(sealed).ok()?)?;
        Some((serde_json::from_slice(&opened.text).ok()?, opened.by_former_key))
    }

    fn seal_session(&self, session: &Session, before: Present) -> Result<Vec<HeaderValue>, Fault> {
        let text = self.sealed(&self.session_context, session)?;
        self.names().set_session(&text, before).map_err(|_| Fault::SessionTooLarge)
    }
}

fn fault_of(trouble: &Trouble) -> Fault {
    match trouble {
        Trouble::Refused { code, .. } => match &**code {
            "invalid_grant" => Fault::CodeRefused,
            "temporarily_unavailable" | "server_error" => Fault::ProviderUnavailable,
            _ => Fault::ClientRefused,
        },
        Trouble::Status(status) if status.is_client_error() => Fault::ClientRefused,
        Trouble::Fetch(_) | Trouble::Discovery(_) | Trouble::Undiscovered | Trouble::Status(_) => {
            Fault::ProviderUnavailable
        }
        Trouble::Malformed(_) => Fault::TokensMalformed,
        Trouble::Proof => Fault::Internal,
    }
}

/// What others wrote, fit for a log.
fn told(text: &str) -> String {
    crate::values::text::quoted(text)
}
