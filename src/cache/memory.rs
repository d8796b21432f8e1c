//! What is stored in memory: bounded in bytes, found under one short shared lock of many.
//!
//! **Eviction** is `quick_cache`'s: a CLOCK-Pro with S3-FIFO's ideas. A key is new and cold until it is asked for again;
//! cold ones go first, and keys that have gone are remembered for a while, so that one that comes back is not new. A scan
//! of keys asked for once thus does not push out what is in use. A hit takes a shared lock and sets a flag.
//!
//! **Variants** of a key are one entry, which is copied when one is added: requests find all of them by one look.
//!
//! **Bytes** are counted exactly, with [`OVERHEAD`] for what each response takes beside its record and content.

mod stored;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderMap;
use quick_cache::sync::{Cache, EntryAction, EntryResult};
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use super::freshness::Freshness;
use super::key::Key;
use super::purge::{Epoch, Fate, How, Purges, Scope, Traces};

pub use stored::{Source, Stored};

/// Bytes that a response takes beside its record and content: the entry, its key, its place in the index, and what the
/// allocator rounds up; measured with a million of them.
pub const OVERHEAD: u64 = 350;

/// Responses of one key; the one that was stored first goes for the next one.
const MAX_VARIANTS: usize = 32;

/// How large the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Bytes of all responses together.
    pub bytes: u64,
    /// Bytes of the largest response; at most an eighth of all.
    pub largest: u64,
}

impl Size {
    fn largest_within(self) -> u64 {
        self.largest.min(self.bytes / 8)
    }
}

/// The responses of a process.
pub struct Memory {
    entries: Cache<Key, Variants, Weigh, DefaultHashBuilder, Evicted>,
    evicted: Evicted,
    purges: Arc<Purges>,
    largest: AtomicU64,
}

/// Counts the keys that had to go for others.
#[derive(Debug, Clone, Default)]
struct Evicted(Arc<AtomicU64>);

impl Lifecycle<Key, Variants> for Evicted {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: Key, _: Variants) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The responses of one key, the most recently stored last. Most keys have one.
#[derive(Clone)]
enum Variants {
    One(Arc<Stored>),
    Many(Arc<[Arc<Stored>]>),
}

impl Variants {
    fn new(mut newest_last: Vec<Arc<Stored>>, last: &Arc<Stored>) -> Self {
        newest_last.push(last.clone());
        if newest_last.len() == 1 { Self::One(last.clone()) } else { Self::Many(newest_last.into()) }
    }

    fn as_slice(&self) -> &[Arc<Stored>] {
        match self {
            Self::One(stored) => std::slice::from_ref(stored),
            Self::Many(variants) => variants,
        }
    }

    /// Whether both are one and the same, not only alike.
    fn is(&self, other: &Self) -> bool {
        let (these, those) = (self.as_slice(), other.as_slice());
        these.len() == those.len() && these.iter().zip(those).all(|(this, that)| Arc::ptr_eq(this, that))
    }
}

#[derive(Clone)]
struct Weigh;

impl Weighter<Key, Variants> for Weigh {
    fn weight(&self, _: &Key, variants: &Variants) -> u64 {
        variants.as_slice().iter().map(|stored| stored.weight()).sum()
    }
}

/// What a look for a key finds.
#[derive(Debug)]
pub enum Found {
    /// The response that fits the request, and how fresh it is after all purges.
    Fitting(Arc<Stored>, Freshness),
    /// Others alone (`fwd=vary-miss`).
    Others,
    Nothing,
}

impl Memory {
    #[must_use]
    pub fn new(size: Size) -> Self {
        let largest = size.largest_within();
        // A shard holds eight of the largest; 64 are more than there are cores to fight for them.
        let shards = (size.bytes / largest.max(1) / 8).clamp(1, 64);
        let items = usize::try_from(size.bytes / (4 * OVERHEAD)).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .shards(1 << shards.ilog2())
            .estimated_items_capacity(items.max(1))
            .weight_capacity(size.bytes)
            .build();
        let (evicted, hasher) = (Evicted::default(), DefaultHashBuilder::default());
        let entries = match options {
            Ok(options) => Cache::with_options(options, Weigh, hasher, evicted.clone()),
            // It misses one of the three only, and all are given.
            Err(_) => Cache::with(items, size.bytes, Weigh, hasher, evicted.clone()),
        };
        Self { entries, evicted, purges: Arc::default(), largest: AtomicU64::new(largest) }
    }

    /// Makes it larger or smaller; what no longer fits goes.
    pub fn resize(&self, size: Size) {
        self.largest.store(size.largest_within(), Ordering::Relaxed);
        self.entries.set_capacity(size.bytes);
    }

    /// The present epoch of purges: ask for it before the origin is asked, and give it to what is stored.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.purges.epoch()
    }

    /// What was purged, which other stores compare what they hold with, too.
    #[must_use]
    pub const fn purges(&self) -> &Arc<Purges> {
        &self.purges
    }

    /// The largest content that is worth keeping, in bytes.
    #[must_use]
    pub fn largest(&self) -> u64 {
        self.largest.load(Ordering::Relaxed)
    }

    /// The response of this key that fits the request; of several, the one with the latest `Date` (RFC 9111 §4.1).
    #[must_use]
    pub fn find(&self, key: &Key, request: &HeaderMap) -> Found {
        let Some(variants) = self.entries.get(key) else { return Found::Nothing };
        let (mut best, mut others): (Option<(&Arc<Stored>, Fate)>, bool) = (None, false);
        for stored in variants.as_slice() {
            let fate = stored.fate(&self.purges);
            if fate == Fate::Gone {
                continue;
            }
            let is_later = best.is_none_or(|(best, _)| stored.is_as_late_as(best));
            match stored.fits(request) {
                true if is_later => best = Some((stored, fate)),
                true => {}
                // Too little of what fits is not another variant.
                false => others |= !stored.is_variant_for(request),
            }
        }
        match best {
            Some((stored, Fate::Expired(when))) => {
                Found::Fitting(stored.clone(), stored.freshness.expired_at(when))
            }
            Some((stored, _)) => Found::Fitting(stored.clone(), stored.freshness),
            None if others => Found::Others,
            None => Found::Nothing,
        }
    }

    /// What is stored of the variant that a request gets, if only a part of it.
    #[must_use]
    pub fn variant(&self, key: &Key, request: &HeaderMap) -> Option<Arc<Stored>> {
        let variants = self.entries.get(key)?;
        let holds = |stored: &&Arc<Stored>| {
            stored.is_variant_for(request) && stored.fate(&self.purges) == Fate::Holds
        };
        variants.as_slice().iter().rev().find(holds).cloned()
    }

    /// Stores a response beside the other variants of its key, in the place of the one it takes the place of. Whether it
    /// did: what is larger than [`largest`](Self::largest) is not stored, and what it should have taken the place of goes.
    pub fn put(&self, key: Key, stored: Arc<Stored>) -> bool {
        if stored.weight() > self.largest() {
            self.displace(&key, &stored);
            return false;
        }
        let result = self.entries.entry(&key, None, |_, variants| {
            *variants = self.with(&stored, variants.as_slice());
            EntryAction::Retain(())
        });
        if let EntryResult::Vacant(place) = result {
            return place.insert(Variants::One(stored)).is_ok();
        }
        true
    }

    /// Removes what a response takes the place of that is not stored here.
    pub fn displace(&self, key: &Key, by: &Stored) {
        let removed = self.entries.entry(key, None, |_, variants| {
            let mut kept = variants.as_slice().iter().filter(|other| !other.is_same_variant(by)).cloned();
            let Some(last) = kept.next_back() else { return EntryAction::Remove };
            *variants = Variants::new(kept.collect(), &last);
            EntryAction::Retain(())
        });
        drop(removed);
    }

    /// Stores a response that was found on disk, unless one that takes its place has come meanwhile.
    pub fn promote(&self, key: Key, stored: &Arc<Stored>) {
        if stored.weight() > self.largest() {
            return;
        }
        let result = self.entries.entry(&key, None, |_, variants| {
            let is_superseded = |other: &Arc<Stored>| {
                let holds = other.fate(&self.purges) != Fate::Gone;
                holds && other.is_same_variant(stored)
            };
            if !variants.as_slice().iter().any(is_superseded) {
                *variants = self.with(stored, variants.as_slice());
            }
            EntryAction::Retain(())
        });
        if let EntryResult::Vacant(place) = result {
            // If that fails, it is on disk still.
            let _ = place.insert(Variants::One(stored.clone()));
        }
    }

    /// The variants with one more, and without those that it replaces, are gone, or are too many or too much with it.
    fn with(&self, stored: &Arc<Stored>, variants: &[Arc<Stored>]) -> Variants {
        let (mut weight, largest) = (stored.weight(), self.largest());
        let is_kept = |other: &&Arc<Stored>| {
            let holds = other.fate(&self.purges) != Fate::Gone;
            holds && !other.is_same_variant(stored)
        };
        let fits = |other: &&Arc<Stored>| {
            weight += other.weight();
            weight <= largest
        };
        let newest_first = variants.iter().rev().filter(is_kept).take(MAX_VARIANTS - 1).take_while(fits);
        let mut kept: Vec<_> = newest_first.cloned().collect();
        kept.reverse();
        Variants::new(kept, stored)
    }

    /// Removes one response, if it is still the one stored.
    pub fn remove(&self, key: &Key, stored: &Arc<Stored>) {
        self.entries.remove_if(key, |present| present.is(&Variants::One(stored.clone())));
        // Of several, it stays as gone until another takes its place.
        stored.standing.end();
    }

    /// Purges all of these at once; ten thousand take about a millisecond. Memory comes back as what is gone is asked for,
    /// evicted, or [swept](Self::sweep).
    pub fn purge(&self, scopes: &[Scope], how: How) -> Traces {
        self.purges.purge(scopes, how)
    }

    /// Removes what is purged, and forgets what was purged. Looks at all that is stored, half a second for a million, but
    /// locks for one response at a time. See [`Purges::sweep`] for `elsewhere`.
    pub fn sweep(&self, elsewhere: Epoch) {
        let holds = |stored: &&Arc<Stored>| stored.fate(&self.purges) != Fate::Gone;
        self.purges.sweep(elsewhere, || {
            for (key, variants) in self.entries.iter() {
                // All are compared, not only the first that holds.
                if variants.as_slice().iter().filter(holds).count() == 0 {
                    self.entries.remove_if(&key, |present| present.is(&variants));
                }
            }
        });
    }

    /// Whether there is anything to [sweep](Self::sweep).
    #[must_use]
    pub fn wants_sweeping(&self) -> bool {
        self.marks() > 0
    }

    /// Keys that something is stored for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keys that had to go for others so far.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evicted.0.load(Ordering::Relaxed)
    }

    /// Marks of purges that what is stored may still have to be compared with.
    #[must_use]
    pub fn marks(&self) -> usize {
        self.purges.marks()
    }

    /// Bytes of all that is stored.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.entries.weight()
    }
}

#[cfg(test)]
mod tests;
