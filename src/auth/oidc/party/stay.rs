//! From login to logout: who a request comes from, renewal, and the end.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use super::{Party, Sent, told};
use crate::auth::oauth::{Trouble, form};
use crate::auth::oidc::cookies::Present;
use crate::auth::oidc::fault::Fault;
use crate::auth::oidc::id_token::{Expected, IdFault, Nonce};
use crate::auth::oidc::session::{Session, Standing};
use crate::auth::oidc::sessions::{Known, Renewal, Turn};

/// Who a request comes from.
#[derive(Debug)]
pub enum Look {
    /// Somebody who is logged in.
    In(Guest),
    /// The same, once [`Party::renew`] has said so.
    Due(Guest),
    /// Nobody. `over` where the session that came is of no more use, and may be taken back.
    Nobody { over: bool },
}

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub struct Guest {
    pub session: Arc<Session>,
    /// Whether their browser is to be given a new cookie.
    pub tell: bool,
}

impl Party {
    /// Who a request comes from, at `now` in seconds since 1970.
    #[must_use]
    pub fn look(&self, headers: &HeaderMap, now: u64) -> Look {
        let Some((session, by_former_key)) = self.shown(headers) else { return Look::Nobody { over: false } };
        let (session, newer) = match self.sessions.known(&session) {
            Known::Ended => return Look::Nobody { over: true },
            Known::Newer(newer) => (newer, true),
            Known::Nothing => (Arc::new(session), false),
        };
        let lives = self.settings.lives;
        let tell = newer || by_former_key || session.is_to_be_touched(lives, now);
        match session.standing(lives, self.settings.forwards, now) {
            Standing::Good => Look::In(Guest { session, tell }),
            Standing::Due => Look::Due(Guest { session, tell }),
            Standing::Over => Look::Nobody { over: true },
        }
    }

    /// Renews a session that is due. However many requests ask, the issuer is asked once; a client that goes away cuts
    /// nothing off.
    pub async fn renew(self: &Arc<Self>, guest: Guest, now: u64) -> Result<Guest, Renewal> {
        let renewal = match self.sessions.turn(&guest.session) {
            Turn::Done(renewal) => renewal,
            Turn::Wait(told) => answer(told).await,
            Turn::Mine(tell, told) => {
                let (party, session) = (Arc::clone(self), Arc::clone(&guest.session));
                tokio::spawn(async move {
                    let renewal = party.renewal(&session, now).await;
                    party.sessions.renewed(&session, &renewal);
                    tell.send_replace(Some(renewal));
                });
                answer(told).await
            }
        };
        match renewal {
            Renewal::Renewed(session) => Ok(Guest { session, tell: true }),
            Renewal::Unavailable if guest.session.outlasts(now) => Ok(guest),
            other => Err(other),
        }
    }

    async fn renewal(&self, session: &Session, now: u64) -> Renewal {
        let Some(refresh_token) = &session.refresh_token else { return Renewal::Refused };
        let Ok(endpoints) = self.provider.endpoints().await else { return Renewal::Unavailable };
        let grant = [("grant_type", "refresh_token"), ("refresh_token", &**refresh_token)];
        let mut tokens = match self.tokens(&endpoints.token, &grant, now).await {
            Ok(tokens) => tokens,
            Err(Trouble::Refused { code, .. }) if !is_passing(&code) => return Renewal::Refused,
            // The refresh token may be used up.
            Err(Trouble::Malformed(_)) => return Renewal::Refused,
            Err(_) => return Renewal::Unavailable,
        };
        if let Some(id_token) = &tokens.id_token {
            let before = session.claims();
            let claims = before.as_deref();
            let expected = Expected {
                nonce: Nonce::IsOrMissing(claims.and_then(|claims| claims.text("nonce"))),
                subject: Some(claims.and_then(|claims| claims.subject()).unwrap_or_default()),
                access_token: &tokens.access_token,
                max_age: None,
            };
            match self.id_tokens.check(id_token, expected, now).await {
                Ok(()) => {}
                // The refresh token may be used up already. What is known of the user stays as it was.
                Err(IdFault::KeysUnavailable) => tokens.id_token = None,
                Err(fault) => {
                    self.provider.observer.failed("renewed id token", fault.reason());
                    return Renewal::Refused;
                }
            }
        }
        Renewal::Renewed(Arc::new(session.renewed(tokens, now)))
    }

    /// The cookies that tell a browser how its session stands by now; none where it was ended meanwhile.
    #[must_use]
    pub fn cookies(&self, session: &Arc<Session>, before: Present, now: u64) -> Vec<HeaderValue> {
        let latest = match self.sessions.known(session) {
            Known::Ended => return Vec::new(),
            Known::Newer(newer) => newer,
            Known::Nothing => Arc::clone(session),
        };
        let mut latest = Session::clone(&latest);
        latest.seen = latest.seen.max(now);
        self.seal_session(&latest, before).unwrap_or_else(|fault| {
            self.provider.observer.failed("session", &told(fault.reason()));
            Vec::new()
        })
    }

    /// Logs out: here, and where `at_issuer` and the issuer knows how (`OpenID` Connect RP-Initiated Logout 1.0), there
    /// as well. `then` is a path of ours.
    pub async fn end(
        &self,
        origin: &str,
        then: &str,
        at_issuer: bool,
        headers: &HeaderMap,
        now: u64,
    ) -> Sent {
        let cookies = self.names().clear_session(self.names().present(headers));
        let local = |cookies| Sent { location: then.to_owned(), cookies };
        let Some((session, _)) = self.shown(headers) else { return local(cookies) };
        let session = match self.sessions.known(&session) {
            Known::Newer(newer) => newer,
            Known::Ended | Known::Nothing => Arc::new(session),
        };
        self.sessions.end(&session, Duration::from_secs(session.left(self.settings.lives, now)));
        if !at_issuer {
            return local(cookies);
        }
        let endpoints = self.provider.endpoints().await;
        let Some(endpoint) = endpoints.ok().and_then(|endpoints| endpoints.end_session.clone()) else {
            return local(cookies);
        };
        let back = format!("{origin}{then}");
        let query = form::encode([
            ("id_token_hint", &*session.id_token),
            ("client_id", &self.settings.client.id),
            ("post_logout_redirect_uri", &back),
        ]);
        let joint = if endpoint.has_query() { '&' } else { '?' };
        Sent { location: format!("{endpoint}{joint}{query}"), cookies }
    }

    /// The session that a request shows, whatever became of it.
    fn shown(&self, headers: &HeaderMap) -> Option<(Session, bool)> {
        self.opened(&self.session_context, &self.names().session_of(headers)?)
    }
}

/// Errors of a token endpoint that say nothing about the grant (RFC 6749 §5.2 knows none; issuers send them all the same).
fn is_passing(code: &str) -> bool {
    matches!(Fault::of_answer(code), Fault::ProviderUnavailable)
}

async fn answer(mut told: tokio::sync::watch::Receiver<Option<Renewal>>) -> Renewal {
    let renewal = told.wait_for(Option::is_some).await;
    renewal.ok().and_then(|renewal| renewal.clone()).unwrap_or(Renewal::Unavailable)
}
