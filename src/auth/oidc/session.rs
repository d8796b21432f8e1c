//! Somebody who is logged in: kept by their browser, sealed, and by nobody else, so that every process that has the
//! secrets knows them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::tokens::Tokens;
use crate::auth::jose::{Claims, base64url};

/// How long before its end an access token is replaced, in seconds; half its life where it is short.
const RENEW_BEFORE: u64 = 30;
/// How long an access token is used where the issuer does not say, in seconds. Asking again is also how somebody who was
/// locked out at the issuer gets locked out here.
const RENEW_UNTOLD: u64 = 300;

/// How long sessions last, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Lives {
    /// Without a request.
    pub idle: u64,
    /// In all.
    pub whole: u64,
}

/// Somebody who is logged in. Its text is full of secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Random; made anew by each login, so that none is known before.
    #[serde(rename = "i")]
    pub(super) id: Box<str>,
    /// How often it was renewed. The issuer may know the refresh token of the latest alone.
    #[serde(rename = "g")]
    pub(super) generation: u32,
    /// When it began, in seconds since 1970.
    #[serde(rename = "c")]
    pub(super) began: u64,
    /// When it was last written.
    #[serde(rename = "s")]
    pub(super) seen: u64,
    /// As the issuer signed it: whose session it is, and the hint to end it.
    #[serde(rename = "t")]
    pub(super) id_token: Box<str>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<Box<str>>,
    /// Where upstreams get it.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub(super) access_token: Option<Box<str>>,
    /// When the access token ends.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<u64>,
    /// When it is to be replaced.
    #[serde(rename = "n")]
    pub(super) renew: u64,
}

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// As it should be.
    Good,
    /// Its access token is about to end, or has: it is to be renewed.
    Due,
    /// It is no more.
    Over,
}

impl Session {
    pub(super) fn new(id: &[u8; 16], tokens: Tokens, id_token: &str, keeps_access: bool, now: u64) -> Self {
        let (expires, renew) = times(tokens.expires_in, now);
        Self {
            id: base64url::encode(id).into(),
            generation: 0,
            began: now,
            seen: now,
            id_token: id_token.into(),
            refresh_token: tokens.refresh_token.map(Into::into),
            access_token: keeps_access.then(|| tokens.access_token.into()),
            expires,
            renew,
        }
    }

    /// The same with what a refresh brought. What it did not bring stays (RFC 6749 §6).
    pub(super) fn renewed(&self, tokens: Tokens, now: u64) -> Self {
        let (expires, renew) = times(tokens.expires_in, now);
        Self {
            id: self.id.clone(),
            generation: self.generation.saturating_add(1),
            began: self.began,
            seen: now,
            id_token: tokens.id_token.map_or_else(|| self.id_token.clone(), Into::into),
            refresh_token: tokens.refresh_token.map(Into::into).or_else(|| self.refresh_token.clone()),
            access_token: self.access_token.is_some().then(|| tokens.access_token.into()),
            expires,
            renew,
        }
    }

    /// Whose it is. The token was checked before it was sealed.
    #[must_use]
    pub fn claims(&self) -> Option<Arc<Claims>> {
        let payload = self.id_token.split('.').nth(1)?;
        let payload = base64url::decode(payload.as_bytes()).ok()?;
        Claims::parse(&payload).ok().map(Arc::new)
    }

    /// What upstreams get, where they do.
    #[must_use]
    pub fn access_token(&self) -> Option<&str> {
        self.access_token.as_deref()
    }

    /// How it stands at `now`. `forwards` where it is of no use without a good access token.
    pub(super) fn standing(&self, lives: Lives, forwards: bool, now: u64) -> Standing {
        let ends = self.began.saturating_add(lives.whole).min(self.seen.saturating_add(lives.idle));
        if now >= ends || (forwards && self.access_token.is_none()) {
            return Standing::Over;
        }
        match (&self.refresh_token, self.expires) {
            (Some(_), _) if now >= self.renew => Standing::Due,
            (None, Some(expires)) if forwards && now >= expires => Standing::Over,
            _ => Standing::Good,
        }
    }

    /// Whether it may be used though it could not be renewed: until the access token's very end.
    pub(super) fn outlasts(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| now < expires)
    }

    /// Whether the browser is to be told that it was used: not with every answer, but often enough that it ends no more
    /// than a tenth of the idle time too early.
    pub(super) fn is_to_be_touched(&self, lives: Lives, now: u64) -> bool {
        now.saturating_sub(self.seen) >= (lives.idle / 10).max(1)
    }

    /// When it ends at the latest, in seconds from `now`.
    pub(super) fn left(&self, lives: Lives, now: u64) -> u64 {
        self.began.saturating_add(lives.whole).saturating_sub(now)
    }
}

/// When an access token ends, and when it is to be replaced.
fn times(expires_in: Option<u64>, now: u64) -> (Option<u64>, u64) {
    let expires = expires_in.map(|seconds| now.saturating_add(seconds));
    let renew = expires_in.map_or(RENEW_UNTOLD, |seconds| seconds - RENEW_BEFORE.min(seconds / 2));
    (expires, now.saturating_add(renew))
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").field("generation", &self.generation).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVES: Lives = Lives { idle: 3600, whole: 43_200 };

    fn tokens(expires_in: Option<u64>, refresh: Option<&str>) -> Tokens {
        let json = serde_json::json!({
            "access_token": "access", "token_type": "Bearer", "expires_in": expires_in, "refresh_token": refresh,
        });
        serde_json::from_value(json).unwrap()
    }

    fn session(expires_in: Option<u64>, refresh: Option<&str>, keeps_access: bool) -> Session {
        Session::new(&[7; 16], tokens(expires_in, refresh), "a.e30.c", keeps_access, 1000)
    }

    #[test]
    fn ends_when_idle_for_too_long_and_in_the_end_always() {
        let mut session = session(None, None, false);
        assert_eq!(session.standing(LIVES, false, 4599), Standing::Good);
        assert_eq!(session.standing(LIVES, false, 4600), Standing::Over);
        session.seen = 44_000;
        assert_eq!(session.standing(LIVES, false, 44_199), Standing::Good);
        assert_eq!(session.standing(LIVES, false, 44_200), Standing::Over);
    }

    #[test]
    fn is_renewed_shortly_before_its_token_ends() {
        let of = |expires_in| session(expires_in, Some("r"), false);
        for (expires_in, renew) in [(Some(300), 270), (Some(40), 20), (Some(1), 1), (Some(0), 0), (None, 300)]
        {
            let session = of(expires_in);
            assert_eq!(session.standing(LIVES, false, 1000 + renew), Standing::Due, "{expires_in:?}");
            if renew > 0 {
                assert_eq!(session.standing(LIVES, false, 999 + renew), Standing::Good, "{expires_in:?}");
            }
        }
        assert!(of(Some(300)).outlasts(1299) && !of(Some(300)).outlasts(1300) && !of(None).outlasts(1000));
    }

    #[test]
    fn without_a_refresh_token_it_ends_with_an_access_token_that_somebody_needs() {
        let with = session(Some(300), None, true);
        assert_eq!(with.standing(LIVES, false, 1300), Standing::Good);
        assert_eq!(with.standing(LIVES, true, 1299), Standing::Good);
        assert_eq!(with.standing(LIVES, true, 1300), Standing::Over);
        let without = session(Some(300), None, false);
        assert_eq!(without.access_token(), None);
        assert_eq!(without.standing(LIVES, true, 1000), Standing::Over);
    }

    #[test]
    fn what_a_refresh_does_not_bring_stays() {
        let before = session(Some(300), Some("r1"), true);
        let after = before.renewed(tokens(Some(60), None), 1290);
        assert_eq!((after.generation, after.began, after.seen), (1, 1000, 1290));
        assert_eq!((after.refresh_token.as_deref(), after.expires), (Some("r1"), Some(1350)));
        assert_eq!((&after.id, &after.id_token), (&before.id, &before.id_token));
        let after = after.renewed(tokens(None, Some("r2")), 1300);
        assert_eq!((after.refresh_token.as_deref(), after.expires, after.renew), (Some("r2"), None, 1600));
    }

    #[test]
    fn is_touched_often_enough_to_stay_and_seldom_enough_to_be_cheap() {
        let session = session(None, None, false);
        assert!(!session.is_to_be_touched(LIVES, 1359) && session.is_to_be_touched(LIVES, 1360));
        assert!(!session.is_to_be_touched(LIVES, 900));
    }

    #[test]
    fn printing_one_shows_no_token() {
        let printed = format!("{:?}", session(None, Some("hush"), true));
        assert!(!printed.contains("hush") && !printed.contains("access") && !printed.contains("e30"));
    }
}
