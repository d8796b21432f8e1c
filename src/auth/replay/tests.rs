use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Novelty, PARTS, Seen, Spent};

const NOW: i64 = 1_700_000_000;

/// Ids are good for ten seconds.
fn seen(max_ids: usize) -> Seen {
    let seen = Seen::new(NonZeroUsize::new(max_ids).unwrap());
    seen.accept_for(10);
    seen
}

/// Asked by a request of its own.
fn ask(seen: &Seen, owner: &[u8], id: &[u8], made: i64, now: i64) -> Novelty {
    seen.remember(owner, id, made, now, &mut Spent::default())
}

#[test]
fn an_id_is_fresh_once_until_it_expires() {
    let seen = seen(PARTS * 100);
    assert_eq!(ask(&seen, b"key", b"id", NOW, NOW), Novelty::Fresh);
    assert_eq!(ask(&seen, b"key", b"id", NOW, NOW), Novelty::Seen);
    assert_eq!(ask(&seen, b"key", b"id", NOW, NOW + 10), Novelty::Seen);
    assert_eq!(ask(&seen, b"key", b"id", NOW + 11, NOW + 11), Novelty::Fresh);
}

#[test]
fn an_id_belongs_to_its_owner() {
    let seen = seen(PARTS * 100);
    assert_eq!(ask(&seen, b"ab", b"c", NOW, NOW), Novelty::Fresh);
    assert_eq!(ask(&seen, b"a", b"bc", NOW, NOW), Novelty::Fresh);
    assert_eq!(ask(&seen, b"a", b"bc", NOW, NOW), Novelty::Seen);
}

#[test]
fn says_that_it_is_full_rather_than_forget() {
    let seen = seen(PARTS * 2);
    let fresh = |round: u32, now| {
        let ids = (0..100_u32).map(|id| [round.to_be_bytes(), id.to_be_bytes()].concat());
        ids.filter(|id| ask(&seen, b"key", id, now, now) == Novelty::Fresh).count()
    };
    assert_eq!(fresh(0, NOW), 2);
    assert_eq!(fresh(1, NOW + 10), 0);
    assert_eq!(ask(&seen, b"key", b"another", NOW + 10, NOW + 10), Novelty::Full);
    assert_eq!(ask(&seen, b"key", &[0; 8], NOW, NOW + 10), Novelty::Seen);
    assert_eq!(fresh(2, NOW + 11), 2, "those that have expired make room");
    assert_eq!(seen.len(), 2);
}

#[test]
fn an_owner_that_floods_shuts_out_few_others() {
    let seen = seen(PARTS * 16);
    let fresh =
        |owner: u32, id: u32| ask(&seen, &owner.to_be_bytes(), &id.to_be_bytes(), NOW, NOW) == Novelty::Fresh;
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
                    if ask(&seen, b"key", &id.to_be_bytes(), NOW, NOW) == Novelty::Fresh {
                        fresh.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(fresh.into_inner(), 100);
}

#[test]
fn the_longest_that_anybody_accepts_an_id_counts() {
    let seen = seen(PARTS * 100);
    seen.accept_for(300);
    seen.accept_for(20);
    assert_eq!(ask(&seen, b"key", b"id", NOW, NOW), Novelty::Fresh);
    assert_eq!(ask(&seen, b"key", b"id", NOW, NOW + 300), Novelty::Seen);
    assert_eq!(ask(&seen, b"key", b"id", NOW + 301, NOW + 301), Novelty::Fresh);
}

#[test]
fn an_id_stays_fresh_for_the_request_that_used_it_and_for_no_other() {
    let (seen, other) = (seen(PARTS * 100), seen(PARTS * 100));
    let mut spent = Spent::default();
    for _ in 0..2 {
        assert_eq!(seen.remember(b"key", b"id", NOW, NOW, &mut spent), Novelty::Fresh);
        assert_eq!(ask(&seen, b"key", b"id", NOW, NOW), Novelty::Seen);
    }
    assert_eq!(ask(&other, b"key", b"id", NOW, NOW), Novelty::Fresh);
    assert_eq!(other.remember(b"key", b"id", NOW, NOW, &mut spent), Novelty::Seen, "another memory");
}
