use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Novelty, PARTS, Seen};

const NOW: i64 = 1_700_000_000;

fn seen(max_ids: usize) -> Seen {
    Seen::new(NonZeroUsize::new(max_ids).unwrap())
}

#[test]
fn an_id_is_fresh_once_until_it_expires() {
    let seen = seen(PARTS * 100);
    assert_eq!(seen.remember(b"key", b"id", NOW + 10, NOW), Novelty::Fresh);
    assert_eq!(seen.remember(b"key", b"id", NOW + 10, NOW), Novelty::Seen);
    assert_eq!(seen.remember(b"key", b"id", NOW + 20, NOW + 10), Novelty::Seen);
    assert_eq!(seen.remember(b"key", b"id", NOW + 20, NOW + 11), Novelty::Fresh);
}

#[test]
fn an_id_belongs_to_its_owner() {
    let seen = seen(PARTS * 100);
    assert_eq!(seen.remember(b"ab", b"c", NOW + 10, NOW), Novelty::Fresh);
    assert_eq!(seen.remember(b"a", b"bc", NOW + 10, NOW), Novelty::Fresh);
    assert_eq!(seen.remember(b"a", b"bc", NOW + 10, NOW), Novelty::Seen);
}

#[test]
fn says_that_it_is_full_rather_than_forget() {
    let seen = seen(PARTS * 2);
    let fresh = |round: u32, now| {
        let ids = (0..100_u32).map(|id| [round.to_be_bytes(), id.to_be_bytes()].concat());
        ids.filter(|id| seen.remember(b"key", id, now + 10, now) == Novelty::Fresh).count()
    };
    assert_eq!(fresh(0, NOW), 2);
    assert_eq!(fresh(1, NOW + 10), 0);
    assert_eq!(seen.remember(b"key", b"another", NOW + 20, NOW + 10), Novelty::Full);
    assert_eq!(seen.remember(b"key", &[0; 8], NOW + 10, NOW + 10), Novelty::Seen);
    assert_eq!(fresh(2, NOW + 11), 2, "those that have expired make room");
    assert_eq!(seen.len(), 2);
}

#[test]
fn an_owner_that_floods_shuts_out_few_others() {
    let seen = seen(PARTS * 16);
    let fresh = |owner: u32, id: u32| {
        seen.remember(&owner.to_be_bytes(), &id.to_be_bytes(), NOW + 10, NOW) == Novelty::Fresh
    };
    assert_eq!((0..10_000).filter(|id| fresh(0, *id)).count(), 16);
    // About 3 share his part, and 3 each another, which has room for 16.
    let shut_out = (1..=200).filter(|owner| !fresh(*owner, 50_000 + owner)).count();
    assert!(shut_out < 30, "{shut_out} of 200");
}

#[test]
fn one_of_many_threads_hears_that_an_id_is_fresh() {
    let seen = seen(PARTS * 100);
    let fresh = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for id in 0..100_u32 {
                    if seen.remember(b"key", &id.to_be_bytes(), NOW + 10, NOW) == Novelty::Fresh {
                        fresh.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(fresh.into_inner(), 100);
}
