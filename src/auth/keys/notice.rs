//! What the owner of keys is told, once for each event: that a key expires soon (once a threshold), has expired, was
//! rotated, was retired, and that an old key is used after its rotation.
//!
//! Events are not caught as they happen but read off the directory and the counts of use, whenever
//! [`observe`](Notices::observe) is called. So none is missed while the proxy is down, while the outbox is full, or
//! because a file could not be written in time; and what was told is marked, so none is told twice. An event's id is
//! computed from what happened. Proxies that share a store, or one that was killed between a delivery and writing it
//! down, give it the same id, and the receiver takes it once.
//!
//! What happened before notices were switched on is not told, except that a key is about to expire.
//!
//! State outlives restarts through [`Notices::save_to_file`]; reloads give `observe` another directory. One process at
//! a time has the file: one that drains for its successor observes no more.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::directory::{Directory, Key};
use super::file::{FileError, LockedFile};
use super::moment::Moment;
use super::names::KeyId;

mod event;
mod outbox;

pub use event::Kind;
use event::{events, pending};
pub use outbox::Delivery;
use outbox::Outbox;

/// Before expiry, unless the caller says otherwise.
pub const THRESHOLDS: [Duration; 3] = [days(30), days(7), days(1)];
/// More thresholds than this are not looked at.
const MOST_THRESHOLDS: usize = 16;

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

/// What was told, and what is still to be told.
#[derive(Debug)]
pub struct Notices {
    /// Longest first.
    thresholds: Vec<Duration>,
    state: State,
    outbox: Outbox,
    /// Changed since it was last saved.
    unsaved: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    /// When notices were switched on.
    since: Moment,
    /// Marks of the events of each key that are settled: told, on the way, or never to be told.
    settled: BTreeMap<KeyId, BTreeSet<String>>,
}

/// Both parts of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved<S, P> {
    state: S,
    outbox: P,
}

impl Notices {
    /// Begins at `now`. `thresholds` are times before expiry, at most 16, in any order; `seed` varies the times of
    /// retries.
    pub fn new(thresholds: &[Duration], seed: u64, now: Moment) -> Self {
        let state = State { since: now, settled: BTreeMap::new() };
        Self::with(thresholds, state, Outbox::new(Vec::new(), seed))
    }

    /// Goes on from what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(text: &str, thresholds: &[Duration], seed: u64) -> serde_json::Result<Self> {
        let saved: Saved<State, Vec<outbox::Pending>> = serde_json::from_str(text)?;
        Ok(Self::with(thresholds, saved.state, Outbox::new(saved.outbox, seed)))
    }

    fn with(thresholds: &[Duration], state: State, outbox: Outbox) -> Self {
        let mut thresholds: Vec<_> = thresholds.iter().copied().take(MOST_THRESHOLDS).collect();
        thresholds.sort_unstable_by(|left, right| right.cmp(left));
        thresholds.dedup();
        Self { thresholds, state, outbox, unsaved: true }
    }

    /// The text of a file, in JSON.
    ///
    /// # Errors
    /// None that is known of.
    pub fn encode(&self) -> serde_json::Result<String> {
        serde_json::to_string(&Saved { state: &self.state, outbox: self.outbox.pending() })
    }

    /// Goes on from a file, or begins at `now` if there is none.
    ///
    /// # Errors
    /// When it cannot be read, or says something else.
    pub fn load_from_file(
        path: &Path,
        thresholds: &[Duration],
        seed: u64,
        now: Moment,
    ) -> Result<Self, FileError> {
        match super::file::read(path)? {
            Some(text) => Self::parse(&text, thresholds, seed).map_err(|error| FileError::unfit(path, error)),
            None => Ok(Self::new(thresholds, seed, now)),
        }
    }

    /// Replaces the file if anything changed: call it after `observe`, `delivered` and `failed`. Blocks for the disk.
    ///
    /// # Errors
    /// When it cannot be written; the next call tries again.
    pub fn save_to_file(&mut self, path: &Path) -> Result<(), FileError> {
        if !self.unsaved {
            return Ok(());
        }
        let text = self.encode().map_err(|error| FileError::unfit(path, error))?;
        LockedFile::wait_for(path)?.replace(&text)?;
        self.unsaved = false;
        Ok(())
    }

    /// Looks for events, and puts new ones into the outbox. To be called after a reload and every few seconds. When
    /// the outbox is full, the rest is found again by a later call.
    pub fn observe(&mut self, directory: &Directory, now: Moment) {
        let known: HashSet<&KeyId> = directory.keys().iter().map(|key| &key.id).collect();
        let before = self.state.settled.len();
        self.state.settled.retain(|id, _| known.contains(id));
        self.unsaved |= self.state.settled.len() != before;
        for key in directory.keys() {
            self.observe_key(key, now);
        }
    }

    fn observe_key(&mut self, key: &Key, now: Moment) {
        let events = events(key, &self.thresholds);
        let mut settled = self.state.settled.remove(&key.id).unwrap_or_default();
        let before = settled.clone();
        // Marks of an expiry or a rotation that is no longer in the store would pile up.
        settled.retain(|mark| events.iter().any(|event| event.mark() == *mark));
        // The last is the nearest: a key found a day before its end is not told to have thirty left.
        let mut nearest_told = false;
        for event in events.iter().rev().filter(|event| event.at <= now) {
            let mark = event.mark();
            let expiring = event.kind == Kind::Expiring;
            let superseded = expiring && (nearest_told || key.expires.is_some_and(|expires| expires <= now));
            nearest_told |= expiring;
            if settled.contains(&mark) {
                continue;
            }
            let history = event.at < self.state.since && !expiring;
            if history && event.kind == Kind::OldUsed {
                continue; // its next use will be news
            }
            if history || superseded || self.outbox.push(|| pending(key, event, &mark, now)) {
                settled.insert(mark);
            }
        }
        self.unsaved |= settled != before;
        if !settled.is_empty() {
            self.state.settled.insert(key.id.clone(), settled);
        }
    }

    /// The next delivery to be tried at `now`. If neither [`delivered`](Self::delivered) nor [`failed`](Self::failed)
    /// follows within a minute, it is due again.
    pub fn due(&mut self, now: Moment) -> Option<Delivery> {
        self.outbox.due(now)
    }

    /// When [`due`](Self::due) will have something, unless something happens before.
    pub fn next_due(&self) -> Option<Moment> {
        self.outbox.next_due()
    }

    /// The receiver has taken it: it will not be sent again.
    pub fn delivered(&mut self, id: &str) {
        self.unsaved |= self.outbox.remove(id);
    }

    /// The receiver did not take it. It is tried again after 5 s, doubled each time up to an hour, of which up to half
    /// is left to chance. There is no last try: what is dropped is never told.
    pub fn failed(&mut self, id: &str, now: Moment) {
        self.unsaved |= self.outbox.postpone(id, now);
    }

    /// Notices that are still to be taken.
    pub fn waiting(&self) -> usize {
        self.outbox.pending().len()
    }
}

#[cfg(test)]
mod tests;
