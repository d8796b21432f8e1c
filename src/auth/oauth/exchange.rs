//! One token for another: the caller's for one that is for an upstream (RFC 8693), or one of our own for it (RFC 6749
//! section 4.4). Remembered until shortly before it expires.
//!
//! What always holds: a token is given out for the very token it was exchanged for, and for nothing else; one question
//! at a time for each; what is no bearer token that a header takes is no token.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use serde_json::{Map, Value};

use super::server::{Server, Trouble};
use crate::auth::answers::{Answers, digest};
use crate::auth::jose::Thumbprint;
use crate::http::url::Url;
use crate::state::flights::{Keep, Landing, Trust};
use crate::state::labour::do_aside;
use crate::values::SecretString;

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// A token is not used in its last moments, in which it might expire on its way: this long, or a quarter of its life.
const MARGIN: Duration = Duration::from_secs(30);
/// How long a token is used whose server does not say how long it is good.
const UNTOLD: Duration = Duration::from_secs(60);
/// How long it is remembered that a server gives nothing for a token.
const LONGEST_REFUSAL: Duration = Duration::from_secs(5);
const BEARER: &str = "Bearer ";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// Longest token taken, in bytes: more fits into no head that a server would read.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Gets tokens for one upstream.
pub struct Exchange {
    /// Who gives them.
    pub server: Server,
    /// What they are to be good for.
    pub wanted: Wanted,
    /// How long one is used at most.
    pub ttl: Duration,
    /// What was given lately.
    pub answers: Arc<Answers>,
    /// Who acts for the caller, if the token is to say so.
    pub actor: Option<Actor>,
}

/// Who acts for the caller (RFC 8693 section 2.1).
pub struct Actor {
    /// `actor_token_type`.
    pub kind: String,
    /// Where `actor_token` comes from.
    pub token: ActorToken,
}

/// Where the actor's token comes from.
pub enum ActorToken {
    /// Wherever the policy keeps it. It is looked up for each exchange, for whoever issues it may replace it any time.
    Kept {
        /// What tells it from others.
        name: String,
        /// Looks it up. May wait for a disk.
        read: Arc<dyn Fn() -> Option<SecretString> + Send + Sync>,
    },
    /// The server gives it to us (`client_credentials`).
    Ours(Box<Exchange>),
}

/// What a token is to be good for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// What is given for it; without, the token is ours and no caller's (`client_credentials`).
    pub subject: Option<Subject>,
    /// `audience`: names of services.
    pub audiences: Vec<String>,
    /// `resource`: where they are (RFC 8707).
    pub resources: Vec<Url>,
    /// `scope`: words with spaces between.
    pub scope: Option<String>,
}

/// What is said of the caller's token.
#[derive(Debug, Clone)]
pub struct Subject {
    /// `subject_token_type`.
    pub kind: String,
    /// `requested_token_type`.
    pub requested: Option<String>,
}

/// What comes of it: the value of `Authorization`, or why there is none.
pub type Given = Result<HeaderValue, NotGiven>;

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotGiven {
    /// The caller's token is not good enough for the server (`invalid_grant`, `invalid_request`).
    Refused,
    /// The caller may not have what is wanted (`access_denied`, `invalid_target`, `invalid_scope`).
    Denied,
    /// The server is down, answers nonsense, or does not know us.
    Unavailable,
}

impl Exchange {
    /// Under which name a token is remembered: everything that it was asked for by, the caller's token among it.
    #[must_use]
    pub fn key(&self, caller: Option<&Thumbprint>) -> Thumbprint {
        let nothing = Thumbprint::of(b"");
        let caller = caller.unwrap_or(&nothing);
        let question = self.question("", "");
        let parts = question.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let server = [self.server.place.written().as_str().as_bytes(), self.server.client.id.as_bytes()];
        let actor = self.actor.as_ref().map_or(nothing, Actor::key);
        digest(server.into_iter().chain([&caller.as_bytes()[..], &actor.as_bytes()[..]]).chain(parts))
    }

    /// What is remembered.
    #[must_use]
    pub fn recall(&self, key: &Thumbprint, now_ns: u64) -> Option<Given> {
        self.answers.given.recall(key, now_ns)
    }

    /// What is remembered, or else what the server gives for `caller`, the text of a token.
    pub async fn ask(&self, key: &Thumbprint, caller: &str, now_ns: u64) -> Given {
        let ask = async {
            let actor = match &self.actor {
                None => None,
                Some(actor) => match actor.token(now_ns).await {
                    Some(token) => Some(token),
                    None => return Landing { value: Err(NotGiven::Unavailable), keep: Keep::Not },
                },
            };
            let actor = actor.as_ref().map_or("", Acting::text);
            let answer = self.server.ask(&self.question(caller, actor)).await;
            match answer.and_then(|answer| read(&answer, self.wanted.subject.as_ref())) {
                Ok((token, lifetime)) => self.landing(token, lifetime),
                Err(trouble) => self.refused(&trouble),
            }
        };
        self.answers.given.fetch(key, now_ns, ask).await
    }

    fn question<'a>(&'a self, caller: &'a str, actor: &'a str) -> Vec<(&'a str, &'a str)> {
        let mut question = match &self.wanted.subject {
            None => vec![("grant_type", "client_credentials")],
            Some(subject) => {
                let mut question = vec![
                    ("grant_type", TOKEN_EXCHANGE),
                    ("subject_token", caller),
                    ("subject_token_type", subject.kind.as_str()),
                ];
                question.extend(subject.requested.as_deref().map(|kind| ("requested_token_type", kind)));
                if let Some(Actor { kind, .. }) = &self.actor {
                    question.extend([("actor_token", actor), ("actor_token_type", kind.as_str())]);
                }
                question
            }
        };
        question.extend(self.wanted.audiences.iter().map(|audience| ("audience", audience.as_str())));
        question.extend(self.wanted.resources.iter().map(|resource| ("resource", resource.as_str())));
        question.extend(self.wanted.scope.as_deref().map(|scope| ("scope", scope)));
        question
    }

    fn landing(&self, token: HeaderValue, lifetime: Option<Duration>) -> Landing<Given> {
        let lifetime = lifetime.map_or(UNTOLD, |lifetime| lifetime.saturating_sub(MARGIN.min(lifetime / 4)));
        let bytes = 512 + token.len();
        self.kept(Ok(token), lifetime.min(self.ttl), bytes, Trust::Good)
    }

    fn refused(&self, trouble: &Trouble) -> Landing<Given> {
        let code = match trouble {
            Trouble::Refused { code, .. } if self.wanted.subject.is_some() => &**code,
            _ => "",
        };
        let why = match code {
            "invalid_grant" | "invalid_request" => NotGiven::Refused,
            "access_denied" | "invalid_target" | "invalid_scope" => NotGiven::Denied,
            _ => {
                log::warn!(url:% = self.server.place.written(), trouble:%; "no token for an upstream");
                return Landing { value: Err(NotGiven::Unavailable), keep: Keep::Not };
            }
        };
        self.kept(Err(why), LONGEST_REFUSAL.min(self.ttl), 256, Trust::Poor)
    }

    fn kept(&self, value: Given, lifetime: Duration, bytes: usize, trust: Trust) -> Landing<Given> {
        let now = self.server.clock.nanos();
        let ns = now.saturating_add(u64::try_from(lifetime.as_nanos()).unwrap_or(u64::MAX));
        let keep = if lifetime.is_zero() { Keep::Not } else { Keep::Until { ns, bytes, trust } };
        Landing { value, keep }
    }
}

impl Actor {
    /// What tells it from other actors: not its token, which may be replaced by one that says the same.
    fn key(&self) -> Thumbprint {
        match &self.token {
            ActorToken::Kept { name, .. } => digest([&b"kept"[..], name.as_bytes()]),
            ActorToken::Ours(exchange) => digest([&b"ours"[..], &exchange.key(None).as_bytes()[..]]),
        }
    }

    async fn token(&self, now_ns: u64) -> Option<Acting> {
        match &self.token {
            ActorToken::Kept { read, .. } => {
                let read = Arc::clone(read);
                let token = do_aside(move || read()).await;
                let token = token.filter(|token| is_sound(token.expose()));
                if token.is_none() {
                    log::warn!("no token of the actor, or none that can be sent");
                }
                token.map(Acting::Kept)
            }
            ActorToken::Ours(exchange) => {
                let key = exchange.key(None);
                let given = match exchange.recall(&key, now_ns) {
                    Some(given) => given,
                    None => Box::pin(exchange.ask(&key, "", now_ns)).await,
                };
                given.ok().map(Acting::Ours)
            }
        }
    }
}

/// The actor's token.
enum Acting {
    Kept(SecretString),
    /// With the scheme in front.
    Ours(HeaderValue),
}

impl Acting {
    fn text(&self) -> &str {
        match self {
            Self::Kept(token) => token.expose(),
            Self::Ours(value) => {
                value.to_str().ok().and_then(|text| text.strip_prefix(BEARER)).unwrap_or_default()
            }
        }
    }
}

/// Whether it is one that a header or a form takes, as all bearer tokens are (RFC 6750 section 2.1).
fn is_sound(token: &str) -> bool {
    (1..=MAX_TOKEN_BYTES).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The token, and how long it is good if the server says so (RFC 8693 section 2.2.1, RFC 6749 section 5.1).
fn read(
    answer: &Map<String, Value>,
    subject: Option<&Subject>,
) -> Result<(HeaderValue, Option<Duration>), Trouble> {
    let text = |name| answer.get(name).and_then(Value::as_str);
    if let Some(subject) = subject {
        let issued = text("issued_token_type").ok_or(Trouble::Malformed("no issued_token_type"))?;
        // An upstream must not be sent what it could ask for tokens with, or take for a proof of somebody's login.
        if issued != ACCESS_TOKEN && issued != subject.requested.as_deref().unwrap_or(JWT) {
            return Err(Trouble::Malformed("issued_token_type is none that was asked for"));
        }
    }
    let kind = text("token_type").ok_or(Trouble::Malformed("no token_type"))?;
    if !kind.eq_ignore_ascii_case("bearer") {
        // RFC 6749 section 7.1: what is not understood is not used.
        return Err(Trouble::Malformed("token_type is not Bearer"));
    }
    let token = text("access_token").ok_or(Trouble::Malformed("no access_token"))?;
    if !is_sound(token) {
        return Err(Trouble::Malformed("access_token is none that a header takes"));
    }
    let mut value = HeaderValue::try_from(format!("{BEARER}{token}"))
        .map_err(|_| Trouble::Malformed("access_token is none that a header takes"))?;
    value.set_sensitive(true);
    let lifetime = match answer.get("expires_in") {
        None | Some(Value::Null) => None,
        Some(seconds) => {
            Some(Duration::from_secs(seconds.as_u64().ok_or(Trouble::Malformed("expires_in is no number"))?))
        }
    };
    Ok((value, lifetime))
}

#[cfg(test)]
mod tests;
