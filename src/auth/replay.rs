//! What must not be used twice: nonces of signatures, webhooks and proofs of possession, remembered while they could be
//! replayed.
//!
//! What always holds: what was fresh once is not fresh again, but for the request it was fresh for, as long as anybody who
//! asks this memory would accept it, and memory is bounded, at about 80 bytes an id. When there is no room the answer is
//! [`Novelty::Full`] and callers refuse: to forget one early would let it be replayed.
//!
//! **Floods.** Only what was authenticated may be asked about, so that strangers take up no memory. An owner can, with as
//! many messages of his own: all of them go into one part of 64, chosen by a random key of the process, and fill no
//! other. He shuts out himself, and those few who share his part, for at most as long as a message is good.
//!
//! **Collisions.** Ids are kept as 128 bits of keyed hash under random keys of the process, so nobody can make two meet,
//! or choose a part.
//!
//! Must outlive reloads, or a reload would open the window again. A restart does, and so does one who begins to accept what
//! is older than anybody did before, for what was forgotten by then.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Independently locked parts.
const PARTS: usize = 64;

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
#[derive(Debug)]
pub struct Seen {
    parts: Box<[Mutex<Part>]>,
    hashers: [RandomState; 2],
    /// For how many seconds after it was made an id may be accepted.
    lifetime: AtomicI64,
}

/// What one request has used up. Several filters may look at the same signature or proof of it, in shadow mode say, and
/// the first of them does not make the others refuse it.
#[derive(Debug, Default)]
pub struct Spent(Vec<Entry>);

type Entry = (u64, u64);

#[derive(Debug)]
struct Part {
    entries: HashSet<Entry>,
    /// Each with the last second in which it is good, in the order they came.
    order: VecDeque<(i64, Entry)>,
    capacity: usize,
}

impl Seen {
    /// Room for `max_ids` that are good at the same time, rounded up to a multiple of 64; one owner may take up a 64th of
    /// it. Memory is taken as ids come.
    #[must_use]
    pub fn new(max_ids: NonZeroUsize) -> Self {
        let capacity = max_ids.get().div_ceil(PARTS);
        let part = || Part { entries: HashSet::new(), order: VecDeque::new(), capacity };
        Self {
            parts: (0..PARTS).map(|_| Mutex::new(part())).collect(),
            hashers: [RandomState::new(), RandomState::new()],
            lifetime: AtomicI64::new(0),
        }
    }

    /// Says that somebody accepts what was made up to so many seconds ago. Of all who share this memory the longest time
    /// counts: what one of them has accepted could be replayed to another.
    pub fn accept_for(&self, seconds: i64) {
        self.lifetime.fetch_max(seconds, Ordering::Relaxed);
    }

    /// Remembers that `id` of `owner` (a key, a sender), which was made at `made`, was used at `now`, both in seconds of the
    /// Unix time, by the request that has `spent` what it has. Of several requests that ask about one id at once, one hears
    /// that it is fresh.
    #[must_use]
    pub fn remember(&self, owner: &[u8], id: &[u8], made: i64, now: i64, spent: &mut Spent) -> Novelty {
        let [first, second] = &self.hashers;
        let at = usize::try_from(first.hash_one(owner) % PARTS as u64).unwrap_or_default();
        let entry = (hash(first, owner, id), hash(second, owner, id));
        let Some(part) = self.parts.get(at) else { return Novelty::Full };
        let expires = made.saturating_add(self.lifetime.load(Ordering::Relaxed));
        let novelty = part.lock().unwrap_or_else(PoisonError::into_inner).remember(entry, expires, now);
        match novelty {
            Novelty::Fresh => spent.0.push(entry),
            Novelty::Seen if spent.0.contains(&entry) => return Novelty::Fresh,
            Novelty::Seen | Novelty::Full => {}
        }
        novelty
    }

    /// Ids remembered now. Locks every part in turn: for metrics, not for requests.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lock().unwrap_or_else(PoisonError::into_inner).order.len()).sum()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Part {
    fn remember(&mut self, entry: Entry, expires: i64, now: i64) -> Novelty {
        // One that is good for longer may stand before others; those then stay a little longer than they must.
        while let Some((until, over)) = self.order.front()
            && *until < now
        {
            self.entries.remove(over);
            self.order.pop_front();
        }
        if self.entries.contains(&entry) {
            return Novelty::Seen;
        }
        if self.order.len() >= self.capacity {
            return Novelty::Full;
        }
        self.entries.insert(entry);
        self.order.push_back((expires, entry));
        Novelty::Fresh
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
