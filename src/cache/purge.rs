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
use super::scalars::unix_seconds;

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

    /// Purges all of these at once. When it returns, none of them is found any more.
    pub fn purge(&self, scopes: &[Scope], how: How) {
        let mut marks = self.write();
        let epoch = self.epoch.load(Ordering::Relaxed) + 1;
        for scope in scopes {
            let full = marks.tags.len() >= MAX_MARKS || marks.prefixes.len() >= MAX_PREFIXES;
            let mark = match scope {
                Scope::Tag(tag) if !full || marks.tags.contains_key(tag) => {
                    marks.tags.entry(*tag).or_default()
                }
                Scope::Url(url) if !full => marks.tags.entry(url_tag(url)).or_default(),
                Scope::Prefix(prefix) if !full => marks.prefixes.entry(prefix.as_str().into()).or_default(),
                _ => &mut marks.all,
            };
            match how {
                How::Hard => mark.hard = epoch,
                How::Soft(at) => (mark.soft, mark.soft_at) = (epoch, unix_seconds(at)),
            }
        }
        // Under the lock, so that whoever sees the new epoch finds its marks.
        self.epoch.store(epoch, Ordering::Release);
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

    /// Marks in memory.
    #[must_use]
    pub fn marks(&self) -> usize {
        let marks = self.read();
        marks.tags.len() + marks.prefixes.len()
    }

    /// Drops the marks of before, after `compare` has asked for the [`fate`](Self::fate) of all that is stored, and removed
    /// what is gone.
    pub fn sweep(&self, compare: impl FnOnce()) {
        let epoch = self.epoch.load(Ordering::Acquire);
        compare();
        let mut marks = self.write();
        let is_new = |mark: &Mark| mark.hard > epoch || mark.soft > epoch;
        marks.tags.retain(|_, mark| is_new(mark));
        marks.prefixes.retain(|_, mark| is_new(mark));
        marks.tags.shrink_to_fit();
        marks.swept = epoch;
    }

    fn read(&self) -> RwLockReadGuard<'_, Marks> {
        self.marks.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Marks> {
        self.marks.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Marks {
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

fn url_tag(url: &str) -> u64 {
    first_64_bits(b"url\0", url.as_bytes())
}

fn first_64_bits(kind: &[u8], text: &[u8]) -> u64 {
    let digest = Sha256::new().chain_update(kind).chain_update(text).finalize();
    u64::from_be_bytes(digest.first_chunk().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests;
