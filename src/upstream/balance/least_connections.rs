//! The backend with the fewest requests in flight for its weight. Equal ones are drawn by weight, so that an
//! idle upstream does not send everything to the first.

use std::cmp::Ordering;
use std::sync::Arc;

use fastrand::Rng;

use crate::upstream::backend::Backend;

pub(super) fn choose(
    backends: &[Arc<Backend>],
    chance: &mut Rng,
    usable: impl Fn(usize) -> bool,
) -> Option<usize> {
    let mut best: Option<(usize, Load)> = None;
    let mut tied = 0;
    for (index, backend) in backends.iter().enumerate().filter(|(index, _)| usable(*index)) {
        let load = Load::of(backend);
        let weight = u64::from(backend.weight.get());
        match best.as_ref().map_or(Ordering::Less, |(_, least)| load.cmp(least)) {
            Ordering::Greater => continue,
            Ordering::Less => tied = 0,
            Ordering::Equal => {}
        }
        tied += weight;
        if chance.u64(..tied) < weight {
            best = Some((index, load));
        }
    }
    best.map(|(index, _)| index)
}

/// Requests in flight per weight, compared without dividing.
struct Load {
    in_flight: u64,
    weight: u64,
}

impl Load {
    fn of(backend: &Backend) -> Self {
        Self { in_flight: backend.state.in_flight().into(), weight: backend.weight.get().into() }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        (self.in_flight * other.weight).cmp(&(other.in_flight * self.weight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::backends;

    #[test]
    fn keeps_requests_in_flight_in_proportion_to_weights() {
        let backends = backends(&[1, 2, 5]);
        let mut chance = Rng::with_seed(7);
        for _ in 0..80 {
            let index = choose(&backends, &mut chance, |_| true).unwrap();
            backends[index].state.started();
        }
        let in_flight: Vec<_> = backends.iter().map(|backend| backend.state.in_flight()).collect();
        assert_eq!(in_flight, [10, 20, 50]);
    }

    #[test]
    fn draws_equal_ones_by_weight() {
        let backends = backends(&[1, 3]);
        let mut chance = Rng::with_seed(7);
        let first = (0..4_000).filter(|_| choose(&backends, &mut chance, |_| true) == Some(0)).count();
        assert!(first.abs_diff(1_000) < 120, "{first}");
    }

    #[test]
    fn passes_over_unusable_ones() {
        let backends = backends(&[1, 1]);
        backends[1].state.started();
        let mut chance = Rng::with_seed(7);
        assert_eq!(choose(&backends, &mut chance, |_| true), Some(0));
        assert_eq!(choose(&backends, &mut chance, |index| index == 1), Some(1));
        assert_eq!(choose(&backends, &mut chance, |_| false), None);
    }
}
