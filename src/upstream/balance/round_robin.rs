//! Smooth weighted round robin without a lock: the order of one whole round is laid out beforehand, and a
//! turn is one atomic addition.

use std::sync::atomic::{AtomicUsize, Ordering};

use fastrand::Rng;

use super::weighted::Weighted;

/// How many turns of unusable backends are passed over before the choice is made at random, by weight.
const PASSED_OVER: usize = 64;

#[derive(Debug)]
pub(in crate::upstream) struct RoundRobin {
    /// One round: each backend as often as its weight says.
    turns: Box<[usize]>,
    next: AtomicUsize,
    weighted: Weighted,
}

impl RoundRobin {
    pub(in crate::upstream) fn new(weights: impl Iterator<Item = u32> + Clone) -> Self {
        let weighted = Weighted::new(weights.clone());
        Self { turns: round(weights), next: AtomicUsize::new(0), weighted }
    }

    /// An unusable backend's turn passes to the next *turn*, taken for good, not to its neighbour: the others
    /// share its turns by their weights.
    pub(in crate::upstream) fn choose(
        &self,
        chance: &mut Rng,
        usable: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        for _ in 0..PASSED_OVER.min(self.turns.len()) {
            let turn = self.next.fetch_add(1, Ordering::Relaxed).checked_rem(self.turns.len())?;
            let index = *self.turns.get(turn)?;
            if usable(index) {
                return Some(index);
            }
        }
        self.weighted.choose(chance, usable)
    }
}

/// Lays out a round, the earliest turn due first. A backend's turns are due at even distances; where in its
/// first distance it starts depends on its index, or backends of equal weight would come in clumps.
fn round(weights: impl Iterator<Item = u32> + Clone) -> Box<[usize]> {
    const ROUND: u64 = 1 << 32;
    let divisor = weights.clone().fold(0, common_divisor).max(1);
    let steps = 2 * weights.clone().count() as u64;
    let mut turns = Vec::new();
    for (index, weight) in weights.enumerate() {
        let weight = u64::from(weight / divisor);
        let start = 2 * index as u64 + 1;
        turns.extend((0..weight).map(|turn| ((turn * steps + start) * ROUND / (steps * weight), index)));
    }
    turns.sort_unstable();
    turns.into_iter().map(|(_, index)| index).collect()
}

const fn common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(weights: &[u32], count: usize, usable: impl Fn(usize) -> bool) -> Vec<usize> {
        let turns = RoundRobin::new(weights.iter().copied());
        let mut chance = Rng::with_seed(7);
        (0..count).map(|_| turns.choose(&mut chance, &usable).unwrap()).collect()
    }

    fn count(chosen: &[usize], index: usize) -> usize {
        chosen.iter().filter(|one| **one == index).count()
    }

    #[test]
    fn takes_equal_backends_in_turn() {
        assert_eq!(chosen(&[4, 4, 4], 7, |_| true), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn is_exact_in_every_round_and_smooth_within() {
        let chosen = chosen(&[5, 1, 1], 70, |_| true);
        for round in chosen.chunks(7) {
            assert_eq!([count(round, 0), count(round, 1), count(round, 2)], [5, 1, 1]);
        }
        let longest = chosen.chunk_by(|a, b| a == b).map(<[usize]>::len).max();
        assert!(longest.unwrap() <= 3, "{:?}", &chosen[..7]);
    }

    #[test]
    fn an_unusable_backends_turns_are_shared_by_weight() {
        let chosen = chosen(&[1, 1, 2, 4], 700, |index| index != 3);
        assert_eq!([count(&chosen, 0), count(&chosen, 1), count(&chosen, 2)], [175, 175, 350]);
    }

    #[test]
    fn shares_by_weight_also_behind_a_long_stretch_of_unusable_turns() {
        let chosen = chosen(&[256, 1, 1], 2_000, |index| index != 0);
        assert!(count(&chosen, 1).abs_diff(1_000) < 100);
    }

    #[test]
    fn gives_none_where_none_is_usable() {
        let mut chance = Rng::with_seed(7);
        assert_eq!(RoundRobin::new([1, 2].into_iter()).choose(&mut chance, |_| false), None);
        assert_eq!(RoundRobin::new([].into_iter()).choose(&mut chance, |_| true), None);
    }

    #[test]
    fn threads_together_take_each_turn_once() {
        let turns = RoundRobin::new([1, 1, 1, 1].into_iter());
        let counts: [AtomicUsize; 4] = Default::default();
        std::thread::scope(|scope| {
            for seed in 0..4 {
                let (turns, counts) = (&turns, &counts);
                scope.spawn(move || {
                    let mut chance = Rng::with_seed(seed);
                    for _ in 0..1_000 {
                        let index = turns.choose(&mut chance, |_| true).unwrap();
                        counts[index].fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1_000));
    }
}
