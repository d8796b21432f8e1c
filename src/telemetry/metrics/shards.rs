//! Sums that many threads add to without a fight over a cache line: each of the first 31 threads that count has a shard of
//! its own, where nobody else writes and an addition needs no lock of the bus. All other threads share one.
//!
//! What always holds: nothing added is lost. A scrape that adds up the shards meanwhile sees each addition or does not.

use std::array;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const SHARDS: usize = u32::BITS as usize;

/// A bit for each shard that has an owner. The first belongs to nobody.
static OWNED: AtomicU32 = AtomicU32::new(1);

/// `N` sums.
pub(super) struct Shards<const N: usize>([OnceLock<Box<Shard<N>>>; SHARDS]);

/// On cache lines of its own; most processors fetch two at a time.
#[repr(align(128))]
struct Shard<const N: usize>([AtomicU64; N]);

/// The number of the shard that a thread owns until it ends; 0 for none.
struct Place(u32);

thread_local! {
    static PLACE: Place = Place::claim();
}

impl Place {
    fn claim() -> Self {
        let mut owned = OWNED.load(Ordering::Relaxed);
        loop {
            let free = owned.trailing_ones();
            if free >= u32::BITS {
                return Self(0);
            }
            match OWNED.compare_exchange(owned, owned | 1 << free, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Self(free),
                Err(now) => owned = now,
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.0 > 0 {
            // The next owner adds to what this one has written.
            OWNED.fetch_and(!(1 << self.0), Ordering::Release);
        }
    }
}

impl<const N: usize> Shards<N> {
    /// All zero. A shard takes memory once it is added to.
    pub(super) const fn new() -> Self {
        Self([const { OnceLock::new() }; SHARDS])
    }

    /// Adds to some of the sums: pairs of a position and how much. Sums wrap around.
    pub(super) fn add<const K: usize>(&self, additions: [(usize, u64); K]) {
        // A thread that is ending may have given its place up.
        let place = PLACE.try_with(|place| place.0).unwrap_or(0);
        let Some(shard) = self.0.get(place as usize) else { return };
        let shard = shard.get_or_init(|| Box::new(Shard(array::from_fn(|_| AtomicU64::new(0)))));
        for (at, by) in additions {
            match shard.0.get(at) {
                Some(sum) if place > 0 => {
                    sum.store(sum.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
                }
                Some(sum) => _ = sum.fetch_add(by, Ordering::Relaxed),
                None => {}
            }
        }
    }

    /// The sums over all shards.
    pub(super) fn sums(&self) -> [u64; N] {
        let mut sums = [0_u64; N];
        for shard in self.0.iter().filter_map(OnceLock::get) {
            for (sum, of_shard) in sums.iter_mut().zip(&shard.0) {
                *sum = sum.wrapping_add(of_shard.load(Ordering::Relaxed));
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_among_more_threads_than_shards() {
        let shards = Shards::<2>::new();
        for _ in 0..2 {
            std::thread::scope(|scope| {
                for _ in 0..SHARDS * 2 {
                    scope.spawn(|| {
                        for _ in 0..1000 {
                            shards.add([(0, 1), (1, u64::MAX)]);
                        }
                    });
                }
            });
        }
        let all = (SHARDS * 2 * 2 * 1000) as u64;
        assert_eq!(shards.sums(), [all, 0_u64.wrapping_sub(all)]);
    }

    #[test]
    fn a_thread_that_ends_leaves_its_shard_to_another() {
        for _ in 0..SHARDS * 4 {
            let place = std::thread::spawn(|| PLACE.with(|place| place.0)).join().unwrap();
            assert!(place > 0 || OWNED.load(Ordering::Relaxed) == u32::MAX, "{place}");
        }
    }
}
