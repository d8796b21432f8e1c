//! Power of two choices over latency and load (M. Mitzenmacher 2001; Finagle's "P2C + Peak EWMA"): two
//! different usable backends are drawn, and the one goes on whose latency times requests in flight is lower
//! for its weight.

use std::sync::Arc;

use fastrand::Rng;

use super::Moment;
use crate::upstream::backend::Backend;

pub(super) fn choose(
    backends: &[Arc<Backend>],
    moment: &mut Moment<'_>,
    usable: impl Fn(usize) -> bool,
) -> Option<usize> {
    let [first, second] = two(backends.len(), moment.chance, usable);
    let (first, Some(second)) = (first?, second) else { return first };
    let cost =
        |index: usize| backends.get(index).map_or(f64::INFINITY, |backend| cost(backend, moment.now_ns));
    Some(if cost(second) < cost(first) { second } else { first })
}

fn cost(backend: &Backend, now_ns: u64) -> f64 {
    backend.state.latency().cost(backend.state.in_flight(), now_ns) / f64::from(backend.weight.get())
}

/// Two different usable indices, or as many as there are.
fn two(count: usize, chance: &mut Rng, usable: impl Fn(usize) -> bool) -> [Option<usize>; 2] {
    if count >= 2 {
        let first = chance.usize(..count);
        let second = (first + chance.usize(1..count)) % count;
        if usable(first) && usable(second) {
            return [Some(first), Some(second)];
        }
    }
    // Reservoir sampling: one pass, every pair of usable ones equally likely.
    let mut pair = [None, None];
    for (seen, index) in (0..count).filter(|index| usable(*index)).enumerate() {
        let place = if seen < 2 { seen } else { chance.usize(..=seen) };
        if let Some(slot) = pair.get_mut(place) {
            *slot = Some(index);
        }
    }
    pair
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::backends;

    const SECOND: u64 = 1_000_000_000;
    const MILLI: u64 = 1_000_000;

    fn counts(backends: &[Arc<Backend>], usable: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut chance = Rng::with_seed(7);
        let mut counts = vec![0; backends.len()];
        for _ in 0..6_000 {
            let mut moment = Moment { hash: None, now_ns: SECOND, chance: &mut chance };
            counts[choose(backends, &mut moment, &usable).unwrap()] += 1;
        }
        counts
    }

    fn measured(weights: &[u32], latencies_ms: &[u64]) -> Vec<Arc<Backend>> {
        let backends = backends(weights);
        for (backend, latency) in backends.iter().zip(latencies_ms) {
            backend.state.latency().observe(latency * MILLI, SECOND);
        }
        backends
    }

    #[test]
    fn equal_backends_get_equal_shares() {
        let counts = counts(&measured(&[1, 1, 1], &[5, 5, 5]), |_| true);
        assert!(counts.iter().all(|count| count.abs_diff(2_000) < 200), "{counts:?}");
    }

    #[test]
    fn the_slowest_is_chosen_only_when_nothing_else_was_drawn() {
        let counts = counts(&measured(&[1, 1, 1], &[5, 5, 500]), |_| true);
        assert_eq!(counts[2], 0, "both of a pair are never the slowest");
        assert!(counts[0].abs_diff(3_000) < 250, "{counts:?}");
    }

    #[test]
    fn requests_in_flight_make_a_backend_dearer() {
        let backends = measured(&[1, 1], &[5, 6]);
        assert_eq!(counts(&backends, |_| true), [6_000, 0]);
        backends[0].state.started();
        assert_eq!(counts(&backends, |_| true), [0, 6_000]);
    }

    #[test]
    fn weight_makes_a_backend_cheaper() {
        assert_eq!(counts(&measured(&[1, 4], &[5, 10]), |_| true), [0, 6_000]);
    }

    #[test]
    fn pairs_of_the_usable_ones_are_equally_likely() {
        let backends = measured(&[1, 1, 1, 1, 1], &[5, 1, 2, 3, 5]);
        let counts = counts(&backends, |index| (1..=3).contains(&index));
        assert_eq!([counts[0], counts[3], counts[4]], [0, 0, 0]);
        assert!(counts[1].abs_diff(4_000) < 250, "two of three pairs hold the fastest: {counts:?}");
    }

    #[test]
    fn takes_the_only_usable_one_and_none_where_there_is_none() {
        let backends = measured(&[1, 1], &[5, 500]);
        assert_eq!(counts(&backends, |index| index == 1), [0, 6_000]);
        let mut chance = Rng::with_seed(7);
        let mut moment = Moment { hash: None, now_ns: SECOND, chance: &mut chance };
        assert_eq!(choose(&backends, &mut moment, |_| false), None);
        assert_eq!(choose(&[], &mut moment, |_| true), None);
    }
}
