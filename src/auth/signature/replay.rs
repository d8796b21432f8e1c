//! What must not be used twice: nonces of signatures and ids of webhooks, remembered while they could be replayed.
//!
//! **Memory** is bounded by a number of entries of about 40 bytes. An entry is forgotten once what it stands for has
//! expired by itself. When all places are taken by entries that have not, the answer is [`Novelty::Full`] and callers
//! refuse: to forget one early would let it be replayed. Only what was authenticated may be asked about, so that
//! strangers cannot fill the places. An owner can, with as many signatures of his own: give those who must not shut out
//! each other a store each.
//!
//! **Collisions.** Ids are kept as 128 bits of keyed hash under random keys of the process, so nobody can make two ids
//! meet or choose a shard.
//!
//! Must outlive reloads, or a reload would open the window again. A restart does.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

/// Independently locked parts.
const SHARDS: usize = 64;

/// Whether an id is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// It was not seen before, and is remembered now.
    Fresh,
    /// It was seen, and has not expired.
    Seen,
    /// There is no room to remember it.
    Full,
}

/// Ids that were used. Shared in an `Arc`.
pub struct Seen {
    shards: Box<[Mutex<Shard>]>,
    hashers: [RandomState; 2],
}

struct Shard {
    /// When each entry expires, in seconds of the Unix time.
    entries: HashMap<(u64, u64), i64, RandomState>,
    capacity: usize,
    /// No entry expires before this.
    earliest: i64,
}

impl Seen {
    /// Room for `max_ids`, rounded up to a multiple of 64. Memory is taken as ids come.
    pub fn new(max_ids: NonZeroUsize) -> Self {
        let capacity = max_ids.get().div_ceil(SHARDS);
        let shard = || Shard { entries: HashMap::default(), capacity, earliest: i64::MAX };
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(shard())).collect(),
            hashers: [RandomState::new(), RandomState::new()],
        }
    }

    /// Remembers that `id` of `owner` (a key, a sender) was used at `now`, up to and including `expires`, both in
    /// seconds of the Unix time. Of several threads that ask about one id at once, one hears that it is fresh.
    pub fn remember(&self, owner: &[u8], id: &[u8], expires: i64, now: i64) -> Novelty {
        let [first, second] = &self.hashers;
        let entry = (hash(first, owner, id), hash(second, owner, id));
        let Some(shard) = self.shards.get(usize::try_from(entry.0 % SHARDS as u64).unwrap_or_default())
        else {
            return Novelty::Full;
        };
        shard.lock().unwrap_or_else(PoisonError::into_inner).remember(entry, expires, now)
    }

    /// Entries that take up memory now. Locks every part in turn: for metrics, not for requests.
    pub fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).entries.len())
            .sum()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Shard {
    fn remember(&mut self, entry: (u64, u64), expires: i64, now: i64) -> Novelty {
        if self.entries.get(&entry).is_some_and(|expires| *expires >= now) {
            return Novelty::Seen;
        }
        if self.entries.len() >= self.capacity && !self.make_room(now) {
            return Novelty::Full;
        }
        self.entries.insert(entry, expires);
        self.earliest = self.earliest.min(expires);
        Novelty::Fresh
    }

    /// Looks at entries only when one has expired since the last look, so that a full table costs nothing to ask.
    fn make_room(&mut self, now: i64) -> bool {
        if self.earliest >= now {
            return false;
        }
        self.entries.retain(|_, expires| *expires >= now);
        self.earliest = self.entries.values().copied().min().unwrap_or(i64::MAX);
        self.entries.len() < self.capacity
    }
}

/// The owner's length comes first, so that no owner and id read together can be taken for another pair.
fn hash(state: &RandomState, owner: &[u8], id: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write_usize(owner.len());
    hasher.write(owner);
    hasher.write(id);
    hasher.finish()
}

#[cfg(test)]
mod tests;
