//! Consistent hashing on a ring (ketama): each backend owns points in proportion to its weight, a key belongs
//! to the next point. Where a backend's points lie depends on its address alone, so when one comes or goes,
//! only its own keys move; and while one is unusable, its keys go on to the next points and so to all the
//! others.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::upstream::backend::Backend;

/// Points per unit of weight, as in nginx: shares are within about a tenth of what the weights say.
const POINTS: u32 = 160;
/// Points that one digest gives: eight words of four bytes.
const POINTS_PER_DIGEST: u32 = 8;

#[derive(Debug)]
pub(in crate::upstream) struct Ring {
    /// Sorted by place.
    points: Box<[Point]>,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    place: u32,
    backend: u32,
}

impl Ring {
    /// The ring of these backends.
    pub(in crate::upstream) fn of(backends: &[Arc<Backend>]) -> Self {
        Self::new(backends.iter().map(|backend| (&*backend.label, backend.weight.get())))
    }

    /// The ring of backends with their weights, in the order of their indices.
    fn new<'a>(backends: impl Iterator<Item = (&'a str, u32)>) -> Self {
        let mut points = Vec::new();
        for (backend, (label, weight)) in (0_u32..).zip(backends) {
            for round in 0..weight.saturating_mul(POINTS / POINTS_PER_DIGEST) {
                points.extend(places(label, round).into_iter().map(|place| (place, label, backend)));
            }
        }
        // The label decides between equal places, whatever the order in the policy.
        points.sort_unstable();
        Self { points: points.into_iter().map(|(place, _, backend)| Point { place, backend }).collect() }
    }

    /// The index of the first usable backend from the key's place on.
    pub(in crate::upstream) fn choose(&self, hash: u64, usable: impl Fn(usize) -> bool) -> Option<usize> {
        let place = hash >> 32;
        let start = self.points.partition_point(|point| u64::from(point.place) < place);
        let (before, after) = self.points.split_at_checked(start)?;
        after.iter().chain(before).map(|point| point.backend as usize).find(|index| usable(*index))
    }
}

fn places(label: &str, round: u32) -> Vec<u32> {
    let digest: [u8; 32] =
        Sha256::new().chain_update(label).chain_update(round.to_le_bytes()).finalize().into();
    let (words, _) = digest.as_chunks::<4>();
    words.iter().copied().map(u32::from_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::hash::key_hash;

    const KEYS: usize = 20_000;

    fn ring(backends: &[(&str, u32)]) -> Ring {
        Ring::new(backends.iter().copied())
    }

    /// The label each key goes to.
    fn owners<'a>(backends: &[(&'a str, u32)], usable: impl Fn(usize) -> bool) -> Vec<&'a str> {
        let ring = ring(backends);
        let owner = |key: usize| ring.choose(key_hash(format!("user-{key}").as_bytes()), &usable).unwrap();
        (0..KEYS).map(|key| backends[owner(key)].0).collect()
    }

    fn count(owners: &[&str], label: &str) -> usize {
        owners.iter().filter(|owner| **owner == label).count()
    }

    const FOUR: [(&str, u32); 4] =
        [("10.0.0.1:80", 1), ("10.0.0.2:80", 1), ("10.0.0.3:80", 1), ("10.0.0.4:80", 1)];

    #[test]
    fn shares_keys_by_weight() {
        let owners = owners(&[("10.0.0.1:80", 1), ("10.0.0.2:80", 1), ("10.0.0.3:80", 6)], |_| true);
        assert!(count(&owners, "10.0.0.1:80").abs_diff(KEYS / 8) < KEYS / 40);
        assert!(count(&owners, "10.0.0.3:80").abs_diff(KEYS * 6 / 8) < KEYS / 20);
    }

    #[test]
    fn only_the_keys_of_a_backend_that_goes_move() {
        let (all, three) = (owners(&FOUR, |_| true), owners(&FOUR[..3], |_| true));
        for (before, after) in all.iter().zip(&three) {
            assert!(before == after || *before == "10.0.0.4:80", "{before} lost a key to {after}");
        }
    }

    #[test]
    fn a_new_backend_takes_its_share_from_all_and_nothing_else_moves() {
        let (three, four) = (owners(&FOUR[..3], |_| true), owners(&FOUR, |_| true));
        let moved: Vec<_> = three.iter().zip(&four).filter(|(before, after)| before != after).collect();
        assert!(moved.iter().all(|(_, after)| **after == "10.0.0.4:80"));
        assert!(moved.len().abs_diff(KEYS / 4) < KEYS / 20, "{}", moved.len());
        for label in ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"] {
            assert!(moved.iter().filter(|(before, _)| **before == label).count() > KEYS / 24);
        }
    }

    #[test]
    fn the_keys_of_an_unusable_backend_go_where_they_would_without_it() {
        assert_eq!(owners(&FOUR, |index| index != 3), owners(&FOUR[..3], |_| true));
    }

    #[test]
    fn the_order_in_the_policy_does_not_matter() {
        let mut reversed = FOUR;
        reversed.reverse();
        assert_eq!(owners(&FOUR, |_| true), owners(&reversed, |_| true));
    }

    #[test]
    fn the_last_point_is_followed_by_the_first() {
        let ring = ring(&FOUR);
        assert_eq!(ring.choose(u64::MAX, |_| true), Some(ring.points[0].backend as usize));
        assert_eq!(ring.choose(0, |_| true), Some(ring.points[0].backend as usize));
    }

    #[test]
    fn gives_none_where_none_is_usable() {
        assert_eq!(ring(&FOUR).choose(7, |_| false), None);
        assert_eq!(ring(&[]).choose(7, |_| true), None);
    }
}
