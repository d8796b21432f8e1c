//! One part of the table of keys: the algorithm, and who is forgotten when the part is full.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::time::Duration;

use super::{Decision, Limit};

/// 128 bits of keyed hash, in independent halves: the first chooses the shard, the second the place in its map.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(pub(super) u64, pub(super) u64);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.1);
    }
}

/// Entries drawn at random to find one to evict.
const SAMPLE: usize = 16;
/// Entries looked at with each new key, to remove those that are whole. Two for each that comes: the table shrinks.
const SWEEP: usize = 2;

/// The entries live densely in a vector, where a hand can walk over them; the map says where each one is.
pub(super) struct Shard {
    places: HashMap<Key, u32, BuildHasherDefault<AlreadyHashed>>,
    entries: Vec<Entry>,
    capacity: usize,
    hand: usize,
    random: u64,
    /// The latest time seen. An earlier one is taken for this one: time stands still rather than run backwards.
    latest: u64,
    evicted: u64,
}

/// When a key will have its whole burst again: `whole_at + fraction / rate` nanoseconds.
struct Entry {
    key: Key,
    whole_at: u64,
    /// Below the limit's rate, so that 1/rate of a nanosecond is not lost, however often it is added.
    fraction: u32,
    limit_tag: u32,
}

impl Shard {
    /// `seed` decides which entries are drawn when the shard is full; a secret, or an attacker could foresee them.
    pub(super) fn new(capacity: usize, seed: u64) -> Self {
        Self {
            places: HashMap::default(),
            entries: Vec::new(),
            // Places are kept as `u32`.
            capacity: capacity.clamp(1, u32::MAX as usize),
            hand: 0,
            random: seed,
            latest: 0,
            evicted: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Keys forgotten while they were owing.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The algorithm. Debt is counted in units of 1/rate nanosecond, in which one request costs exactly the period. All
    /// products stay below 2^118: moments and periods are below 2^64, rates, bursts and costs below 2^32.
    pub(super) fn check(&mut self, key: Key, limit: &Limit, cost: u32, now: u64) -> Decision {
        self.latest = self.latest.max(now);
        let now = self.latest;
        let (rate, period) = (u128::from(limit.rate.get()), u128::from(limit.period_nanos));
        let capacity = period * u128::from(limit.burst.get());
        let price = period * u128::from(cost);
        let place = self.places.get(&key).map(|&place| place as usize);
        let stored = place.and_then(|place| self.entries.get(place)).map_or(0, |entry| entry.debt(rate, now));
        // More than the burst is owed only where a reload has changed the limit; the rest is forgiven, or else a key
        // would wait for a limit that is no more.
        let owed = stored.min(capacity);
        let allowed = owed + price <= capacity;
        let debt = if allowed { owed + price } else { owed };
        if debt != stored {
            self.store(place, Entry::owing(key, limit, debt, now), now);
        }
        let remaining = (capacity - debt) / period;
        Decision {
            allowed,
            limit: limit.burst.get(),
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            more_after: duration((debt + (remaining + 1) * period - capacity).min(debt).div_ceil(rate)),
            retry_after: match (allowed, price > capacity) {
                (true, _) => Duration::ZERO,
                (false, true) => Duration::MAX,
                (false, false) => duration((owed + price - capacity).div_ceil(rate)),
            },
        }
    }

    fn store(&mut self, place: Option<usize>, entry: Entry, now: u64) {
        if let Some(known) = place.and_then(|place| self.entries.get_mut(place)) {
            *known = entry;
            return;
        }
        self.sweep(now);
        if self.entries.len() >= self.capacity {
            self.evict(now);
        }
        // The capacity was bounded for this.
        let Ok(place) = u32::try_from(self.entries.len()) else { return };
        self.places.insert(entry.key, place);
        self.entries.push(entry);
    }

    /// Removes a few entries that are whole, from where the last sweep ended.
    fn sweep(&mut self, now: u64) {
        for _ in 0..SWEEP {
            let place = self.next_place();
            if self.entries.get(place).is_some_and(|entry| entry.is_whole(now)) {
                self.remove(place);
            }
        }
    }

    /// Removes one entry of a random sample: one that is whole, or else, of the limit that most of the sample belongs
    /// to, the one that is whole soonest.
    fn evict(&mut self, now: u64) {
        let places: [usize; SAMPLE] = std::array::from_fn(|_| self.random_place());
        let sample = || places.iter().filter_map(|&place| Some((place, self.entries.get(place)?)));
        let crowd = |tag| sample().filter(|(_, entry)| entry.limit_tag == tag).count();
        let loss = |entry: &Entry| (!entry.is_whole(now), Reverse(crowd(entry.limit_tag)), entry.whole_at);
        let Some((place, entry)) = sample().min_by_key(|(_, entry)| loss(entry)) else { return };
        self.evicted += u64::from(!entry.is_whole(now));
        self.remove(place);
    }

    /// `SplitMix64` (Steele, Lea and Flood 2014), scaled to the number of entries.
    fn random_place(&mut self) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let scaled = u128::from(mixed ^ (mixed >> 31)) * self.entries.len() as u128;
        usize::try_from(scaled >> 64).unwrap_or_default()
    }

    /// Moves the hand on by one entry.
    fn next_place(&mut self) -> usize {
        self.hand = if self.hand + 1 < self.entries.len() { self.hand + 1 } else { 0 };
        self.hand
    }

    /// Removes an entry; the last one takes its place.
    fn remove(&mut self, place: usize) {
        if place >= self.entries.len() {
            return;
        }
        let removed = self.entries.swap_remove(place);
        self.places.remove(&removed.key);
        if let (Some(moved), Ok(place)) = (self.entries.get(place), u32::try_from(place)) {
            self.places.insert(moved.key, place);
        }
    }
}

impl Entry {
    fn owing(key: Key, limit: &Limit, debt: u128, now: u64) -> Self {
        let rate = u128::from(limit.rate.get());
        Self {
            key,
            // At most 100 years from now, by the limit's own rule.
            whole_at: u64::try_from(debt / rate).unwrap_or(u64::MAX).saturating_add(now),
            fraction: u32::try_from(debt % rate).unwrap_or(u32::MAX),
            limit_tag: limit.tag(),
        }
    }

    fn debt(&self, rate: u128, now: u64) -> u128 {
        // A fraction as large as the rate was stored under a larger rate; it stays below a nanosecond.
        let fraction = u128::from(self.fraction).min(rate - 1);
        let whole_at = u128::from(self.whole_at) * rate + fraction;
        whole_at.saturating_sub(u128::from(now) * rate)
    }

    fn is_whole(&self, now: u64) -> bool {
        self.whole_at < now || (self.whole_at == now && self.fraction == 0)
    }
}

/// Rounded up already; whole nanoseconds of up to 100 years fit.
fn duration(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Passes on half of a [`Key`]: random bits that nobody outside can predict need no second hash.
#[derive(Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, half: u64) {
        self.0 = half;
    }

    /// Not used by [`Key`]; folds what comes, so that other keys would be slow rather than all alike.
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
}
