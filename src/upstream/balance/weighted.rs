//! Random choice by weight. Exactly by weight among the usable ones, however few they are.

use fastrand::Rng;

/// How often a draw may hit an unusable backend before all are looked at.
const DRAWS: usize = 4;

#[derive(Debug)]
pub(in crate::upstream) struct Weighted {
    /// Each backend's weight added to those before it.
    sums: Box<[u64]>,
}

impl Weighted {
    pub(in crate::upstream) fn new(weights: impl Iterator<Item = u32>) -> Self {
        let mut total = 0;
        let sums = weights.map(|weight| {
            total += u64::from(weight);
            total
        });
        Self { sums: sums.collect() }
    }

    pub(in crate::upstream) fn choose(
        &self,
        chance: &mut Rng,
        usable: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let total = *self.sums.last()?;
        let draws = std::iter::repeat_with(|| {
            let point = chance.u64(..total);
            self.sums.partition_point(|sum| *sum <= point)
        });
        match draws.take(DRAWS).find(|index| usable(*index)) {
            Some(index) => Some(index),
            None => self.among_usable(chance, usable),
        }
    }

    /// One pass over all: the n-th usable backend replaces the choice with the probability of its weight
    /// among the first n (weighted reservoir sampling).
    fn among_usable(&self, chance: &mut Rng, usable: impl Fn(usize) -> bool) -> Option<usize> {
        let mut chosen = None;
        let (mut before, mut total) = (0, 0);
        for (index, sum) in self.sums.iter().enumerate() {
            let weight = sum - before;
            before = *sum;
            if !usable(index) {
                continue;
            }
            total += weight;
            if chance.u64(..total) < weight {
                chosen = Some(index);
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(weighted: &Weighted, draws: usize, usable: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut chance = Rng::with_seed(7);
        let mut counts = vec![0; weighted.sums.len()];
        for _ in 0..draws {
            counts[weighted.choose(&mut chance, &usable).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn draws_by_weight() {
        let counts = counts(&Weighted::new([1, 2, 7].into_iter()), 10_000, |_| true);
        for (count, expected) in counts.iter().zip([1_000, 2_000, 7_000]) {
            assert!(count.abs_diff(expected) < 200, "{counts:?}");
        }
    }

    #[test]
    fn draws_by_weight_among_the_few_that_are_usable() {
        let weighted = Weighted::new([100, 1, 3, 100].into_iter());
        let counts = counts(&weighted, 8_000, |index| index == 1 || index == 2);
        assert_eq!(counts[0] + counts[3], 0);
        assert!(counts[1].abs_diff(2_000) < 200, "{counts:?}");
    }

    #[test]
    fn gives_none_where_none_is_usable() {
        let mut chance = Rng::with_seed(7);
        assert_eq!(Weighted::new([1, 2].into_iter()).choose(&mut chance, |_| false), None);
        assert_eq!(Weighted::new(std::iter::empty()).choose(&mut chance, |_| true), None);
    }
}
