//! What was purged, remembered instead of searched for: a purge of ten thousand tags writes ten thousand marks and looks at
//! no stored response; each response is compared with the marks when it is next asked for.
//!
//! Every purge starts a new epoch. A response carries the epoch in which it was *asked for*, so that one that was on its
//! way while something was purged is purged, too, when it arrives. One that was compared is moved to the present epoch,
//! so that it is compared once for each purge at most, and a hit between purges costs one comparison of numbers.
//!
//! Marks go when [`Purges::sweep`] has compared all that is stored. What arrives later from an epoch before the sweep is
//! taken for purged, as its marks may be gone.

pub mod order;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

pub use order::{Order, OrderError};

use super::record::Record;
use crate::state::clock::unix_seconds;

/// Marks there may be; with more of them, a purge is for everything.
const MAX_MARKS: usize = 1 << 20;
/// Prefixes among them: a response is compared with each of these.
const MAX_PREFIXES: usize = 1024;

/// What is purged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    All,
    /// A URL as [`super::key::Target`] prints it: for whomever and under whichever policy it is stored.
    Url(String),
    /// All URLs that begin so.
    Prefix(String),
    /// All responses with this tag, see [`tag`].
    Tag(u64),
}

/// How it is purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It is gone.
    Hard,
    /// It is stale from now on, at this time; it may stand in for an origin that fails, or while it is asked.
    Soft(SystemTime),
}

/// In the place of a time: gone.
const ENDED: u64 = u64::MAX;

/// A stored response, as far as purges are concerned.
#[derive(Debug)]
pub struct Standing {
    /// Until which epoch it was compared with the marks.
    epoch: AtomicU64,
    /// Since when it is stale by a soft purge, in seconds of Unix time; zero: it is not.
    expired_at: AtomicU64,
}

/// What became of a stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Holds,
    /// It is stale since then.
    Expired(SystemTime),
    Gone,
}

/// An epoch: the time between two purges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(u64);

impl Epoch {
    /// After all epochs.
    pub const LAST: Self = Self(u64::MAX);

    /// As it is written down.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// One that was written down.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// What is remembered of purges, as it is written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traces {
    pub traces: Vec<Trace>,
    /// The latest epoch.
    pub epoch: u64,
    /// The epoch until which nothing is remembered.
    pub swept: u64,
}

/// In which epochs something was purged last; zero: never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    pub scope: Scope,
    pub hard: u64,
    pub soft: u64,
    /// In seconds of Unix time.
    pub soft_at: u64,
}

impl Standing {
    /// Of a response that was asked for in this epoch.
    #[must_use]
    pub const fn new(asked_in: Epoch) -> Self {
        Self { epoch: AtomicU64::new(asked_in.0), expired_at: AtomicU64::new(0) }
    }

    /// Makes it gone.
    pub fn end(&self) {
        self.expired_at.store(ENDED, Ordering::Relaxed);
    }

    /// One that was written down: until which epoch it was compared, and since when it is stale.
    #[must_use]
    pub const fn restored(epoch: Epoch, expired_at: u64) -> Self {
        Self { epoch: AtomicU64::new(epoch.0), expired_at: AtomicU64::new(expired_at) }
    }

    /// As it is written down, see [`restored`](Self::restored).
    #[must_use]
    pub fn to_parts(&self) -> (Epoch, u64) {
        // In this order: what was compared later is stale at least as early.
        let epoch = Epoch(self.epoch.load(Ordering::Acquire));
        (epoch, self.expired_at.load(Ordering::Acquire))
    }

    fn fate(&self) -> Fate {
        match self.expired_at.load(Ordering::Relaxed) {
            0 => Fate::Holds,
            ENDED => Fate::Gone,
            seconds => Fate::Expired(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
        }
    }
}

/// All purges that something stored may not have been compared with.
#[derive(Debug, Default)]
pub struct Purges {
    epoch: AtomicU64,
    marks: RwLock<Marks>,
}

#[derive(Debug, Default)]
struct Marks {
    all: Mark,
    tags: HashMap<u64, Mark>,
    prefixes: HashMap<Box<str>, Mark>,
    /// All that is stored was compared until here.
    swept: u64,
}

/// In which epochs something was purged last; zero: never.
#[derive(Debug, Default, Clone, Copy)]
struct Mark {
    hard: u64,
    soft: u64,
    soft_at: u64,
}

impl Purges {
    /// The present epoch. Ask for it before the origin is asked.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    /// Purges all of these at once. When it returns, none of them is found any more. What is to be written down of it.
    pub fn purge(&self, scopes: &[Scope], how: How) -> Traces {
        let mut marks = self.write();
        let epoch = self.epoch.load(Ordering::Relaxed) + 1;
        let mark = match how {
            How::Hard => Mark { hard: epoch, ..Mark::default() },
            How::Soft(at) => Mark { soft: epoch, soft_at: unix_seconds(at), ..Mark::default() },
        };
        for scope in scopes {
            marks.set(scope, &mark);
        }
        // Under the lock, so that whoever sees the new epoch finds its marks.
        self.epoch.store(epoch, Ordering::Release);
        let traces = scopes.iter().map(|scope| mark.trace(scope.clone())).collect();
        Traces { traces, epoch, swept: marks.swept }
    }

    /// All that is remembered.
    #[must_use]
    pub fn traces(&self) -> Traces {
        let marks = self.read();
        let all = std::iter::once(marks.all.trace(Scope::All));
        let tags = marks.tags.iter().map(|(tag, mark)| mark.trace(Scope::Tag(*tag)));
        let prefixes =
            marks.prefixes.iter().map(|(prefix, mark)| mark.trace(Scope::Prefix(prefix.to_string())));
        let traces = all.chain(tags).chain(prefixes).collect();
        Traces { traces, epoch: self.epoch.load(Ordering::Relaxed), swept: marks.swept }
    }

    /// Numbers epochs by when the process began, in milliseconds, so that they are beyond those of the one before it, and
    /// what is stored here until [`restore`](Self::restore) is not taken for older than that was.
    pub fn begin(&self, now: SystemTime) {
        self.epoch.fetch_max(unix_seconds(now).saturating_mul(1000), Ordering::AcqRel);
    }

    /// Goes on where a process before this one ended, which stored responses in epochs up to `latest`. What was purged here
    /// meanwhile counts for its responses, too, and once more for those of this process.
    pub fn restore(&self, before: &Traces, latest: Epoch) {
        let mut marks = self.write();
        let present = self.epoch.load(Ordering::Relaxed).max(before.epoch).max(latest.0) + 1;
        let Marks { all, tags, prefixes, .. } = &mut *marks;
        let own = std::iter::once(all).chain(tags.values_mut()).chain(prefixes.values_mut());
        for mark in own {
            mark.hard = if mark.hard > 0 { present } else { 0 };
            mark.soft = if mark.soft > 0 { present } else { 0 };
        }
        for Trace { scope, hard, soft, soft_at } in &before.traces {
            marks.set(scope, &Mark { hard: *hard, soft: *soft, soft_at: *soft_at });
        }
        marks.swept = marks.swept.max(before.swept);
        self.epoch.store(present, Ordering::Release);
    }

    /// What became of a stored response. Without a purge since it was last asked for, this takes no lock.
    #[must_use]
    pub fn fate(&self, record: &Record, standing: &Standing) -> Fate {
        let known = standing.epoch.load(Ordering::Acquire);
        if known >= self.epoch.load(Ordering::Acquire) {
            return standing.fate();
        }
        let marks = self.read();
        let present = self.epoch.load(Ordering::Relaxed);
        if known < marks.swept {
            return Fate::Gone;
        }
        let mark = marks.of(record);
        drop(marks);
        if mark.hard > known {
            return Fate::Gone;
        }
        if mark.soft > known {
            standing.expired_at.fetch_max(mark.soft_at.max(1), Ordering::Relaxed);
        }
        standing.epoch.fetch_max(present, Ordering::Release);
        standing.fate()
    }

    /// Whether there are so many marks that what is stored should be compared with them soon.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.marks() > MAX_MARKS / 2
    }

    /// Marks in memory.
    #[must_use]
    pub fn marks(&self) -> usize {
        let marks = self.read();
        marks.tags.len() + marks.prefixes.len()
    }

    /// Drops the marks of before, after `compare` has asked for the [`fate`](Self::fate) of all that is stored, and removed
    /// what is gone. What is stored elsewhere was compared until `elsewhere`; later marks stay.
    pub fn sweep(&self, elsewhere: Epoch, compare: impl FnOnce()) {
        let epoch = self.epoch.load(Ordering::Acquire).min(elsewhere.0);
        compare();
        let mut marks = self.write();
        let is_new = |mark: &Mark| mark.hard > epoch || mark.soft > epoch;
        marks.tags.retain(|_, mark| is_new(mark));
        marks.prefixes.retain(|_, mark| is_new(mark));
        marks.tags.shrink_to_fit();
        marks.swept = marks.swept.max(epoch);
    }

    fn read(&self) -> RwLockReadGuard<'_, Marks> {
        self.marks.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Marks> {
        self.marks.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Marks {
    fn set(&mut self, scope: &Scope, mark: &Mark) {
        let full = self.tags.len() >= MAX_MARKS || self.prefixes.len() >= MAX_PREFIXES;
        let place = match scope {
            Scope::Tag(tag) if !full || self.tags.contains_key(tag) => self.tags.entry(*tag).or_default(),
            Scope::Url(url) if !full => self.tags.entry(url_tag(url)).or_default(),
            Scope::Prefix(prefix) if !full => self.prefixes.entry(prefix.as_str().into()).or_default(),
            _ => &mut self.all,
        };
        place.add(mark);
    }

    /// All marks on a response, as one.
    fn of(&self, record: &Record) -> Mark {
        let mut sum = self.all;
        if !self.tags.is_empty() {
            let tags = record.tags().chain([url_tag(record.url())]);
            tags.filter_map(|tag| self.tags.get(&tag)).for_each(|mark| sum.add(mark));
        }
        let prefixes = self.prefixes.iter().filter(|(prefix, _)| record.url().starts_with(&***prefix));
        prefixes.for_each(|(_, mark)| sum.add(mark));
        sum
    }
}

impl Mark {
    const fn trace(&self, scope: Scope) -> Trace {
        Trace { scope, hard: self.hard, soft: self.soft, soft_at: self.soft_at }
    }

    fn add(&mut self, other: &Self) {
        self.hard = self.hard.max(other.hard);
        if other.soft > self.soft {
            (self.soft, self.soft_at) = (other.soft, other.soft_at);
        }
    }
}

/// What a tag is remembered as: 64 bits of SHA-256. Tags are compared byte by byte.
#[must_use]
pub fn tag(text: &[u8]) -> u64 {
    first_64_bits(b"tag\0", text)
}

/// What a URL is remembered as.
#[must_use]
pub fn url_tag(url: &str) -> u64 {
    first_64_bits(b"url\0", url.as_bytes())
}

fn first_64_bits(kind: &[u8], text: &[u8]) -> u64 {
    let digest = Sha256::new().chain_update(kind).chain_update(text).finalize();
    u64::from_be_bytes(digest.first_chunk().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests;
