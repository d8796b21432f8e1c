use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::event::Event;
use super::format::{BLOCK, HEAD, LARGEST_INLINE, Unreadable};
use super::segment::{Body, Part, Patience};
use super::testing::{Ram, SECRET, Store, key, metadata, noise};
use super::*;

mod crash;
mod damage;
mod failures;
mod purges;

const CAPACITY: u64 = 64 << 20;

fn ram() -> Arc<Ram> {
    Arc::default()
}

#[test]
fn gives_back_what_was_stored_also_after_a_restart() {
    let sizes = [0, 1, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 2_000_000, 5_000_000];
    for secrets in [&[][..], &[SECRET]] {
        let ram = ram();
        let store = Store::open(&ram, CAPACITY, secrets);
        for (seed, size) in sizes.into_iter().enumerate() {
            store.put(&format!("/{size}"), 0, "metadata", &noise(seed as u64, size));
        }
        let check = |store: &Store| {
            for (seed, size) in sizes.into_iter().enumerate() {
                let found = store.get(&format!("/{size}"), 0);
                assert!(found == Some(("metadata".to_owned(), noise(seed as u64, size))), "{size}");
            }
            assert_eq!((store.disk.len(), store.get("/other", 0)), (sizes.len(), None));
        };
        check(&store);
        drop(store);
        let again = Store::open(&ram, CAPACITY, secrets);
        check(&again);
        assert_eq!(again.told(|_| true), 0);
        assert_eq!(ram.names_of(".body").len(), 2);
    }
}

#[test]
fn a_body_goes_into_a_segment_or_a_file_of_its_own() {
    let ram = ram();
    let store = Store::open(&ram, CAPACITY, &[]);
    let largest = usize::try_from(LARGEST_INLINE).unwrap();
    store.put("/a", 0, "", &noise(1, largest - BLOCK));
    assert_eq!(ram.names_of(".body").len(), 0);
    store.put("/b", 0, "", &noise(1, largest + 1));
    assert_eq!(ram.names_of(".body").len(), 1);
    store.put("/b", 0, "", b"short");
    assert_eq!(ram.names_of(".body").len(), 0);
}

#[test]
fn a_variant_replaces_itself_alone() {
    let ram = ram();
    let store = Store::open(&ram, CAPACITY, &[]);
    for (variant, text) in [(1, "one"), (2, "two"), (1, "three")] {
        store.put("/a", variant, text, text.as_bytes());
    }
    let check = |store: &Store| {
        assert_eq!(store.get("/a", 1), Some(("three".to_owned(), b"three".to_vec())));
        assert_eq!(store.get("/a", 2), Some(("two".to_owned(), b"two".to_vec())));
        assert_eq!(store.disk.len(), 2);
    };
    check(&store);
    drop(store);
    check(&Store::open(&ram, CAPACITY, &[]));
}

#[test]
fn variants_of_a_key_are_bounded() {
    let ram = ram();
    let store = Store::open(&ram, CAPACITY, &[]);
    store.put("/a", 0, "", &noise(1, 2_000_000));
    (1..33).for_each(|variant| store.put("/a", variant, "", b"a"));
    let check = |store: &Store| {
        assert!(
            store.get("/a", 0).is_none() && store.get("/a", 1).is_some() && store.get("/a", 32).is_some()
        );
        assert_eq!((store.disk.len(), ram.names_of(".body").len()), (32, 0));
    };
    check(&store);
    drop(store);
    check(&Store::open(&ram, CAPACITY, &[]));
}

#[test]
fn what_was_removed_stays_away_also_after_a_restart() {
    let ram = ram();
    let store = Store::open(&ram, CAPACITY, &[]);
    store.put("/a", 1, "one", b"one");
    store.put("/a", 2, "two", &noise(1, 2_000_000));
    store.put("/b", 1, "b", b"b");
    store.disk.remove(&key("/a"), 1);
    assert!(store.get("/a", 1).is_none());
    store.disk.remove(&key("/a"), 2);
    store.disk.flush();
    assert_eq!(ram.names_of(".body"), [""; 0]);
    drop(store);
    let store = Store::open(&ram, CAPACITY, &[]);
    assert!(store.get("/a", 1).is_none() && store.get("/a", 2).is_none());
    assert!(store.get("/b", 1).is_some());
    // Removed before it was written.
    store.disk.put(metadata("/c", 0, ""), Content::default());
    store.disk.remove(&key("/c"), 0);
    store.disk.flush();
    assert!(store.get("/c", 0).is_none());
    drop(store);
    assert!(Store::open(&ram, CAPACITY, &[]).get("/c", 0).is_none());
}

#[test]
fn a_body_streams_in_and_is_read_from_any_byte() {
    for secrets in [&[][..], &[SECRET]] {
        let ram = ram();
        let store = Store::open(&ram, CAPACITY, secrets);
        let body = noise(1, 5 * BLOCK + 77);
        let mut incoming = store.disk.begin().unwrap();
        body.chunks(33_333).for_each(|piece| incoming.write(piece).unwrap());
        incoming.finish(metadata("/a", 0, "metadata")).unwrap();
        store.disk.flush();
        assert!(store.get("/a", 0).unwrap() == ("metadata".to_owned(), body.clone()));
        let place = store.disk.find(&key("/a"))[0];
        let record = store.disk.read(&key("/a"), &place, Part::Metadata, Patience::Any).unwrap().unwrap();
        let Body::Outside(outside, length) = record.body else { panic!("it is long") };
        let reader = store.disk.body(&key("/a"), &place, outside, length).unwrap();
        for start in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK, body.len() - 1] {
            for end in [start + 1, start + 10, body.len(), body.len() + 10] {
                let piece = reader.read(&(start as u64..end as u64), Patience::Any).unwrap();
                let until = end.min(body.len()).min((start / BLOCK + 1) * BLOCK);
                assert!(*piece == body[start..until], "{start}..{end}");
            }
        }
        let past = body.len() as u64;
        assert!(reader.read(&(past..past + 1), Patience::Any).unwrap().is_empty());
        assert!(reader.read(&(3..3), Patience::Any).unwrap().is_empty());
        // Whoever reads it is not cut off.
        store.put("/a", 0, "", b"");
        assert_eq!(ram.names_of(".body"), [""; 0]);
        assert!(reader.read(&(0..past), Patience::Any).is_ok());
    }
}

#[test]
fn a_body_that_is_abandoned_leaves_nothing() {
    let ram = ram();
    let store = Store::open(&ram, CAPACITY, &[]);
    let before = store.disk.bytes();
    let mut incoming = store.disk.begin().unwrap();
    incoming.write(&noise(1, 3_000_000)).unwrap();
    assert_eq!(ram.names_of(".body").len(), 1);
    drop(incoming);
    assert_eq!((ram.names_of(".body").len(), store.disk.bytes()), (0, before));
    // By a process that was killed.
    let mut incoming = store.disk.begin().unwrap();
    incoming.write(&noise(1, 3_000_000)).unwrap();
    let copy = ram.copy();
    assert_eq!(copy.names_of(".body").len(), 1);
    let after = Store::open(&copy, CAPACITY, &[]);
    assert_eq!((copy.names_of(".body").len(), after.disk.len()), (0, 0));
}

#[test]
fn metadata_is_replaced_without_the_body() {
    let ram = ram();
    let store = Store::open(&ram, CAPACITY, &[]);
    let body = noise(1, 2_000_000);
    store.put("/a", 0, "before", &body);
    let place = store.disk.find(&key("/a"))[0];
    let record = store.disk.read(&key("/a"), &place, Part::Metadata, Patience::Any).unwrap().unwrap();
    let Body::Outside(outside, length) = record.body else { panic!("it is long") };
    let written = ram.switches().written();
    assert!(store.disk.update(metadata("/a", 0, "after"), outside, length));
    store.disk.flush();
    assert!(ram.switches().written() - written < 1000);
    let check = |store: &Store| assert!(store.get("/a", 0).unwrap() == ("after".to_owned(), body.clone()));
    check(&store);
    let bytes = store.disk.bytes();
    drop(store);
    let store = Store::open(&ram, CAPACITY, &[]);
    check(&store);
    assert!(store.disk.bytes().abs_diff(bytes) < 1000);
    store.disk.remove(&key("/a"), 0);
    store.disk.flush();
    assert_eq!(ram.names_of(".body"), [""; 0]);
}

#[test]
fn the_bound_on_bytes_is_never_exceeded() {
    for secrets in [&[][..], &[SECRET]] {
        let (ram, capacity) = (ram(), 4 << 20);
        let store = Store::open(&ram, capacity, secrets);
        let mut random = fastrand::Rng::with_seed(1);
        for number in 0..3000 {
            let size = if number % 50 == 0 { random.usize(..500_000) } else { random.usize(..20_000) };
            store.put(&format!("/{number}"), 0, "metadata", &noise(number, size));
            store.disk.touch(&key(&format!("/{}", number / 2)), 0);
            assert!(ram.bytes() <= capacity, "{} at {number}", ram.bytes());
            assert!(store.disk.bytes() <= capacity);
        }
        assert!(ram.bytes() > capacity / 2, "{}", ram.bytes());
        let kept = (0..3000).filter(|number| {
            store.get(&format!("/{number}"), 0).is_some_and(|(_, body)| {
                assert!(body == noise(*number, body.len()), "{number}");
                true
            })
        });
        assert_eq!(kept.count(), store.disk.len());
        let (length, bytes) = (store.disk.len(), store.disk.bytes());
        drop(store);
        let store = Store::open(&ram, capacity, secrets);
        assert_eq!(store.disk.len(), length);
        assert!(store.disk.bytes().abs_diff(bytes) < 100_000 && store.disk.bytes() == ram.bytes());
        // A smaller one next time.
        drop(store);
        let store = Store::open(&ram, capacity / 2, secrets);
        assert!(ram.bytes() <= capacity / 2 && store.disk.len() < length && !store.disk.is_empty());
    }
}

#[test]
fn what_is_in_use_outlives_what_is_not() {
    let ram = ram();
    let store = Store::open(&ram, 4 << 20, &[]);
    store.put("/used", 0, "metadata", b"used");
    store.put("/large", 0, "metadata", &noise(1, 100_000));
    store.put("/purged", 0, "purged", b"purged");
    store.put("/idle", 0, "metadata", b"idle");
    for number in 0..1000 {
        for path in ["/used", "/large", "/purged"] {
            store.disk.touch(&key(path), 0);
        }
        store.put(&format!("/{number}"), 0, "", &noise(number, 15_000));
    }
    assert_eq!(store.get("/used", 0).unwrap().1, b"used");
    assert!(store.get("/large", 0).unwrap().1 == noise(1, 100_000));
    assert!(store.get("/purged", 0).is_none() && store.get("/idle", 0).is_none());
    assert!(store.told(|event| matches!(event, Event::Evicted { kept: 1.., .. })) > 0);
    assert!(store.disk.oldest_epoch() > Epoch::from_number(0));
    drop(store);
    assert!(Store::open(&ram, 4 << 20, &[]).get("/large", 0).is_some());
}

#[test]
fn what_is_too_long_is_refused_and_no_older_one_stays() {
    let ram = ram();
    let store = Store::open(&ram, 1 << 20, &[]);
    store.put("/a", 0, "", b"a");
    let content = |length| Content::new(vec![Bytes::from(vec![0; length])]);
    assert!(!store.disk.put(metadata("/a", 0, ""), content((1 << 17) + 1)));
    assert!(store.get("/a", 0).is_none());
    assert!(store.disk.put(metadata("/a", 0, ""), content(1 << 17)));
    store.disk.flush();
    assert!(store.get("/a", 0).is_some());
    let long = "x".repeat(20_000);
    assert!(!store.disk.put(metadata("/a", 0, &long), content(1)));
    store.disk.flush();
    assert!(store.get("/a", 0).is_none());
    let mut incoming = store.disk.begin().unwrap();
    assert!(incoming.write(&noise(1, 1 << 17)).is_ok());
    assert!(incoming.write(b"x").is_err());
    assert!(incoming.finish(metadata("/a", 0, &long)).is_err());
    assert_eq!(ram.names_of(".body"), [""; 0]);
}

#[test]
fn metadata_for_a_body_that_was_evicted_is_not_stored() {
    let ram = ram();
    let store = Store::open(&ram, CAPACITY, &[]);
    store.put("/a", 0, "", &noise(1, 2_000_000));
    let place = store.disk.find(&key("/a"))[0];
    let record = store.disk.read(&key("/a"), &place, Part::Metadata, Patience::Any).unwrap().unwrap();
    let Body::Outside(outside, length) = record.body else { panic!("it is long") };
    store.disk.clear();
    store.disk.update(metadata("/a", 0, ""), outside, length);
    store.disk.flush();
    assert!(store.get("/a", 0).is_none() && store.disk.is_empty());
    assert_eq!(store.disk.bytes(), ram.bytes());
}

#[test]
fn keys_are_rotated() {
    let (ram, new) = (ram(), "another secret with at least 32 letters");
    Store::open(&ram, CAPACITY, &[SECRET]).put("/old", 0, "old", b"old");
    let shows = |text: &[u8]| {
        let shown = |name: &String| ram.content(name).windows(text.len()).any(|window| window == text);
        ram.names().iter().any(shown)
    };
    assert!(!shows(b"old") && !shows(key("/old").as_bytes()));
    let store = Store::open(&ram, CAPACITY, &[new, SECRET]);
    assert_eq!(store.get("/old", 0).unwrap().1, b"old");
    store.put("/new", 0, "new", b"new");
    drop(store);
    let store = Store::open(&ram, CAPACITY, &[new]);
    assert_eq!((store.get("/old", 0), store.get("/new", 0).unwrap().1), (None, b"new".to_vec()));
    let is_key = |event: &Event| matches!(event, Event::FileUnusable { why: Unreadable::Key, .. });
    assert_eq!(store.told(is_key), 1);
    drop(store);
    // Neither is what lies open served where there are keys, nor the other way round.
    assert!(Store::open(&ram, CAPACITY, &[]).disk.is_empty());
    Store::open(&ram, CAPACITY, &[]).put("/open", 0, "open", b"open");
    assert!(shows(b"open"));
    assert!(Store::open(&ram, CAPACITY, &[SECRET]).disk.is_empty());
}

#[test]
fn reads_from_memory_alone_when_it_may_not_wait() {
    let ram = ram();
    let store = Store::open(&ram, CAPACITY, &[]);
    store.put("/a", 0, "", b"a");
    let place = store.disk.find(&key("/a"))[0];
    let read = |patience| store.disk.read(&key("/a"), &place, Part::Whole, patience);
    assert!(read(Patience::None).unwrap().is_some());
    ram.switches().is_cold.store(true, Ordering::Relaxed);
    assert_eq!(read(Patience::None), Err(Impatient));
    assert!(read(Patience::Any).unwrap().is_some());
}

#[test]
fn one_process_at_a_time_has_the_store() {
    let ram = ram();
    let old = Store::open(&ram, CAPACITY, &[]);
    old.put("/a", 0, "a", &noise(1, 2_000_000));
    assert!(Store::try_open(&ram, CAPACITY, &[]).unwrap().is_none());
    let place = old.disk.find(&key("/a"))[0];
    let mut incoming = old.disk.begin().unwrap();
    incoming.write(b"a").unwrap();
    old.disk.release();
    let new = Store::open(&ram, CAPACITY, &[]);
    assert!(new.get("/a", 0).is_some());
    // The old one neither reads nor writes any more.
    assert!(old.disk.find(&key("/a")).is_empty() && !old.disk.put(metadata("/b", 0, ""), Content::default()));
    assert!(old.disk.begin().is_none());
    incoming.finish(metadata("/c", 0, "")).unwrap();
    old.disk.remove_place(&key("/a"), &place);
    drop(old);
    assert!(new.get("/a", 0).is_some() && new.get("/b", 0).is_none());
    assert_eq!((new.disk.len(), ram.names_of(".body").len()), (1, 1));
}
