//! Deliveries that are still to be taken by their receiver: each is tried until it is. Bounded: a notice that finds no
//! room is made again later, from what it is about.

use std::cmp::Reverse;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::Kind;
use crate::auth::keys::moment::Moment;

/// Deliveries that wait at a time. Each has about 500 bytes.
const MOST: usize = 4096;
/// How long a try may take before another is made.
const TRY_WITHIN: Duration = Duration::from_secs(60);
const FIRST_PAUSE_MS: u64 = 5_000;
const LONGEST_PAUSE_MS: u64 = 3_600_000;

/// A delivery that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pending {
    id: String,
    kind: Kind,
    body: String,
    /// Tries so far.
    tries: u32,
    /// Not before.
    next: Moment,
}

impl Pending {
    pub(super) fn new(id: String, kind: Kind, body: String, now: Moment) -> Self {
        Self { id, kind, body, tries: 0, next: now }
    }
}

/// What to send: a POST of `body` as `application/json`, with [`headers`](Self::headers). Any status of the 200s means
/// that it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The same at every try, and wherever else the same event is found.
    pub id: String,
    /// For logs and metrics; the body says it too.
    pub kind: Kind,
    pub body: String,
    /// Which try this is, counted from 1.
    pub attempt: u32,
    /// When it is made.
    pub at: Moment,
}

impl Delivery {
    /// The header fields of Standard Webhooks 1.0. `sign` makes the value of the last one from the Unix time of the try,
    /// the id and the body, which it signs with dots between:
    /// [`Webhook::sign`](crate::auth::signature::webhook::Webhook::sign). While the secret is changed there are two
    /// values, with a space between.
    pub fn headers(&self, sign: impl FnOnce(i64, &str, &[u8]) -> String) -> [(&'static str, String); 3] {
        let seconds = i64::try_from(self.at.unix()).unwrap_or(i64::MAX);
        [
            ("webhook-id", self.id.clone()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", sign(seconds, &self.id, self.body.as_bytes())),
        ]
    }
}

#[derive(Debug)]
pub(super) struct Outbox {
    pending: Vec<Pending>,
    chance: fastrand::Rng,
}

impl Outbox {
    /// What a file says beyond the bound is left out.
    pub(super) fn new(mut pending: Vec<Pending>, seed: u64) -> Self {
        pending.truncate(MOST);
        Self { pending, chance: fastrand::Rng::with_seed(seed) }
    }

    pub(super) fn pending(&self) -> &[Pending] {
        &self.pending
    }

    /// False if there is no room.
    pub(super) fn push(&mut self, make: impl FnOnce() -> Pending) -> bool {
        let room = self.pending.len() < MOST;
        if room {
            self.pending.push(make());
        }
        room
    }

    /// Of those whose time has come, the one that waits longest.
    pub(super) fn due(&mut self, now: Moment) -> Option<Delivery> {
        let due = self.pending.iter_mut().filter(|pending| pending.next <= now);
        let next = due.max_by_key(|pending| Reverse(pending.next))?;
        next.tries = next.tries.saturating_add(1);
        next.next = now.plus(TRY_WITHIN);
        let Pending { id, kind, body, tries, .. } = next.clone();
        Some(Delivery { id, kind, body, attempt: tries, at: now })
    }

    pub(super) fn next_due(&self) -> Option<Moment> {
        self.pending.iter().map(|pending| pending.next).min()
    }

    /// False if there is none of the id, as after a second answer.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let before = self.pending.len();
        self.pending.retain(|pending| pending.id != id);
        self.pending.len() != before
    }

    /// False if there is none of the id.
    pub(super) fn postpone(&mut self, id: &str, now: Moment) -> bool {
        let Some(pending) = self.pending.iter_mut().find(|pending| pending.id == id) else { return false };
        let doublings = pending.tries.saturating_sub(1).min(32);
        let longest = FIRST_PAUSE_MS.saturating_mul(1 << doublings).min(LONGEST_PAUSE_MS);
        // Half is certain, so that retries do become rarer; half is chance, so that receivers of many do not get all at
        // once.
        let pause = longest / 2 + self.chance.u64(0..=longest / 2);
        pending.next = now.plus(Duration::from_millis(pause));
        true
    }
}
