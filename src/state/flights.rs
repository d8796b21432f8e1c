//! Questions to others, each put once however many wait for the answer, and answers that are remembered for a while.
//!
//! What always holds: of all who have the same question at a time one asks and the others wait; if that one goes away
//! another takes its place, so nobody waits in vain and nothing runs for nobody; no lock is held while anyone waits.
//!
//! **Memory** is bounded by answers and by bytes. What strangers can bring about by guessing ([`Trust::Poor`]) has a
//! memory of its own, so that it pushes out nothing else. Each memory has two halves: when the young one is full, the
//! old one is forgotten and the young one grows old. What is asked for stays young.
//!
//! Outlives reloads if whoever owns it does: then a key must stand for all that the answer depends on. Sixty-four
//! parts, each behind a lock that is held for well under a microsecond.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

const SHARDS: usize = 64;
/// Of each place for a good answer, the part that there is for poor ones.
const POOR_PART: usize = 4;

/// Questions under way, and answers. A key should be the digest of a whole question, for a key that means two
/// questions gives one the answer of the other.
pub struct Flights<K, V> {
    shards: Box<[Mutex<Shard<K, V>>]>,
    hasher: RandomState,
}

/// An answer as it comes in.
#[derive(Debug, Clone)]
pub struct Landing<V> {
    /// The answer, which all who wait get.
    pub value: V,
    /// For how long it is good beyond them.
    pub keep: Keep,
}

/// How an answer is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Not at all.
    Not,
    /// Until this moment, in nanoseconds of the [`Clock`](super::Clock).
    Until {
        /// The first nanosecond in which it is good no more.
        ns: u64,
        /// What it takes in memory, in bytes, roughly.
        bytes: usize,
        /// Among which others.
        trust: Trust,
    },
}

/// Who can bring an answer about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Those alone who have something to show.
    Good,
    /// Anybody, with anything.
    Poor,
}

type Cell<V> = OnceCell<Landing<V>>;

struct Shard<K, V> {
    /// As many as there are requests that wait, at most.
    flying: HashMap<K, Arc<Cell<V>>>,
    good: Generations<K, V>,
    poor: Generations<K, V>,
}

impl<K: Eq + Hash + Clone, V: Clone> Flights<K, V> {
    /// Room for so many answers and bytes, rounded down to a multiple of 64 but at least two answers in each part, and
    /// a quarter of it more for poor ones.
    #[must_use]
    pub fn new(max_answers: usize, max_bytes: usize) -> Self {
        let generations =
            |part: usize| Generations::new(max_answers / SHARDS / part, max_bytes / SHARDS / part);
        let shard = |_| {
            Mutex::new(Shard { flying: HashMap::new(), good: generations(1), poor: generations(POOR_PART) })
        };
        Self { shards: (0..SHARDS).map(shard).collect(), hasher: RandomState::new() }
    }

    /// The answer that is remembered, if it is still good at `now_ns`.
    #[must_use]
    pub fn recall(&self, key: &K, now_ns: u64) -> Option<V> {
        self.shard(key).recall(key, now_ns)
    }

    /// The answer that is remembered, or that of whoever is asking already, or else what `ask` brings. `ask` does not
    /// begin otherwise.
    pub async fn fetch(&self, key: &K, now_ns: u64, ask: impl Future<Output = Landing<V>>) -> V {
        let seat = {
            let mut shard = self.shard(key);
            if let Some(value) = shard.recall(key, now_ns) {
                return value;
            }
            let cell = Arc::clone(shard.flying.entry(key.clone()).or_default());
            Seat { flights: self, key, cell: Some(cell) }
        };
        seat.wait(ask).await
    }

    /// Answers that take up memory now, good no more or not. Locks every part in turn: for metrics, not for requests.
    #[must_use]
    pub fn remembered(&self) -> usize {
        let shards = self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner));
        shards.map(|shard| shard.good.len() + shard.poor.len()).sum()
    }

    #[allow(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "the remainder is below the number of shards"
    )]
    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K, V>> {
        let number = self.hasher.hash_one(key) as usize % SHARDS;
        self.shards[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who waits for an answer. The last to leave sees to it that nothing is left behind.
struct Seat<'f, K: Eq + Hash + Clone, V: Clone> {
    flights: &'f Flights<K, V>,
    key: &'f K,
    /// The one handle that whoever waits has; there until the end.
    cell: Option<Arc<Cell<V>>>,
}

impl<K: Eq + Hash + Clone, V: Clone> Seat<'_, K, V> {
    async fn wait(&self, ask: impl Future<Output = Landing<V>>) -> V {
        match &self.cell {
            Some(cell) => cell.get_or_init(|| ask).await.value.clone(),
            None => ask.await.value,
        }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Drop for Seat<'_, K, V> {
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take() {
            self.flights.shard(self.key).leave(self.key, cell);
        }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Shard<K, V> {
    fn recall(&mut self, key: &K, now_ns: u64) -> Option<V> {
        self.good.recall(key, now_ns).or_else(|| self.poor.recall(key, now_ns))
    }

    /// Takes `cell` by value, so that handles are counted and given up under one lock.
    fn leave(&mut self, key: &K, cell: Arc<Cell<V>>) {
        let Some(flying) = self.flying.get(key).filter(|flying| Arc::ptr_eq(flying, &cell)) else { return };
        drop(cell);
        match flying.get().cloned() {
            Some(landing) => {
                self.flying.remove(key);
                self.remember(key, landing);
            }
            // Whoever asked went away, and so did all who might have taken over.
            None if Arc::strong_count(flying) == 1 => drop(self.flying.remove(key)),
            None => {}
        }
    }

    fn remember(&mut self, key: &K, landing: Landing<V>) {
        let Keep::Until { ns, bytes, trust } = landing.keep else { return };
        let kept = Kept { value: landing.value, until_ns: ns, bytes };
        match trust {
            Trust::Good => self.good.insert(key.clone(), kept),
            Trust::Poor => self.poor.insert(key.clone(), kept),
        }
    }
}

struct Kept<V> {
    value: V,
    until_ns: u64,
    bytes: usize,
}

struct Generations<K, V> {
    young: HashMap<K, Kept<V>>,
    old: HashMap<K, Kept<V>>,
    /// What the young ones take.
    bytes: usize,
    /// Bounds of one half.
    max_answers: usize,
    max_bytes: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> Generations<K, V> {
    fn new(max_answers: usize, max_bytes: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            bytes: 0,
            max_answers: (max_answers / 2).max(1),
            max_bytes: max_bytes / 2,
        }
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn recall(&mut self, key: &K, now_ns: u64) -> Option<V> {
        if let Some(kept) = self.young.get(key) {
            return (now_ns < kept.until_ns).then(|| kept.value.clone());
        }
        let kept = self.old.remove(key).filter(|kept| now_ns < kept.until_ns)?;
        let value = kept.value.clone();
        self.insert(key.clone(), kept);
        Some(value)
    }

    fn insert(&mut self, key: K, kept: Kept<V>) {
        if kept.bytes > self.max_bytes {
            return;
        }
        self.old.remove(&key);
        if let Some(replaced) = self.young.remove(&key) {
            self.bytes = self.bytes.saturating_sub(replaced.bytes);
        }
        if self.young.len() >= self.max_answers || self.bytes.saturating_add(kept.bytes) > self.max_bytes {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += kept.bytes;
        self.young.insert(key, kept);
    }
}

#[cfg(test)]
mod tests;
