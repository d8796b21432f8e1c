use std::sync::Mutex;

use super::*;
use crate::cache::fleet::Bookmark;
use crate::cache::purge::{How, Purges, Scope, Trace};
use crate::cache::testing::at;

fn purges() -> Purges {
    let purges = Purges::default();
    purges.purge(&[Scope::Tag(7), Scope::Url("https://a/b".to_owned())], How::Hard);
    purges.purge(&[Scope::Prefix("https://a/".to_owned())], How::Soft(at(5)));
    purges
}

fn sorted(mut traces: Traces) -> Traces {
    traces.traces.sort_by_key(|trace| format!("{trace:?}"));
    traces
}

/// A store with two purges.
fn purged(secrets: &[&str]) -> (Arc<Ram>, Purges) {
    let (ram, purges) = (ram(), Purges::default());
    let store = Store::open(&ram, 1 << 20, secrets);
    store.put("/a", 0, "", b"a");
    store.purge(purges.purge(&[Scope::Tag(7), Scope::Url("https://a/b".to_owned())], How::Hard), || panic!());
    store.purge(purges.purge(&[Scope::Prefix("https://a/".to_owned())], How::Soft(at(5))), || panic!());
    drop(store);
    (ram, purges)
}

#[test]
fn purges_hold_after_a_restart() {
    for secrets in [&[][..], &[SECRET]] {
        let (ram, purges) = purged(secrets);
        let restored = |ram| {
            let restored = Purges::default();
            restored.restore(&Store::purged_before(ram, secrets), Epoch::from_number(0));
            restored.traces()
        };
        let (before, after) = (purges.traces(), restored(&ram));
        assert_eq!(sorted(before.clone()).traces, sorted(after.clone()).traces);
        assert!(after.epoch > before.epoch);
        // Written anew at each start.
        assert_eq!(sorted(restored(&ram)).traces, sorted(before).traces);
    }
}

#[test]
fn a_purge_torn_at_any_byte_was_never_done_and_the_others_hold() {
    let (ram, purges) = purged(&[]);
    let bytes = ram.content("purges");
    let all = purges.traces().traces.len();
    let mut counts = Vec::new();
    for length in HEAD..bytes.len() {
        let torn = ram.copy();
        torn.set("purges", &bytes[..length]);
        counts.push(Store::purged_before(&torn, &[]).traces.len());
        assert_eq!(Store::open(&torn, 1 << 20, &[]).disk.len(), 1, "{length}");
    }
    assert!(counts.is_sorted() && counts[0] == 0 && counts.contains(&(all - 2)));
}

#[test]
fn without_certainty_of_what_was_purged_nothing_is_served() {
    for secrets in [&[][..], &[SECRET]] {
        let (ram, _) = purged(secrets);
        let bytes = ram.content("purges");
        let whole = Store::purged_before(&ram.copy(), secrets);
        for at in 0..bytes.len() {
            let (damaged, mut other) = (ram.copy(), bytes.clone());
            other[at] ^= 1 << (at % 8);
            damaged.set("purges", &other);
            let store = Store::open(&damaged, 1 << 20, secrets);
            assert!(store.disk.is_empty() && store.told(|event| *event == Event::PurgesLost) == 1, "{at}");
        }
        assert!(!whole.traces.is_empty());
        ram.remove("purges").unwrap();
        assert!(Store::open(&ram, 1 << 20, secrets).disk.is_empty());
    }
}

#[test]
fn a_purge_that_cannot_be_written_empties_the_store() {
    let ram = ram();
    let store = Store::open(&ram, 1 << 20, &[]);
    let purge = |purges: &Purges| {
        let purged = purges.purge(&[Scope::Tag(9)], How::Hard);
        store.purge(purged, || purges.traces());
    };
    let purges = purges();
    for room in [0, 70, 100] {
        ram.switches().empty();
        for _ in 0..2000 {
            store.put("/a", 0, "", b"a");
        }
        assert!(store.get("/a", 0).is_some());
        ram.switches().fill_after(room);
        purge(&purges);
        assert!(store.get("/a", 0).is_none(), "{room}");
        assert!(Store::open(&ram.copy(), 1 << 20, &[]).disk.is_empty());
    }
    ram.switches().empty();
    purge(&purges);
    drop(store);
    let traces = Store::purged_before(&ram, &[]).traces;
    assert!(traces.iter().any(|trace| trace.scope == Scope::Tag(9)) && traces.len() == 5, "{traces:?}");
}

#[test]
fn purges_that_no_longer_count_are_forgotten() {
    let ram = ram();
    let store = Store::open(&ram, 64 << 20, &[]);
    let tags: Vec<_> = (0..300_000).map(Scope::Tag).collect();
    let purges = Purges::default();
    store.disk.compact(|| panic!("there is nothing to forget"));
    store.purge(purges.purge(&tags, How::Hard), || panic!("there is room"));
    let before = ram.content("purges").len();
    assert!(before > 8 << 20 && store.disk.bytes() >= before as u64);
    purges.sweep(Epoch::LAST, || {});
    store.disk.compact(|| purges.traces());
    assert!(ram.content("purges").len() < 1000 && store.disk.bytes() < 10_000);
    store.purge(purges.purge(&[Scope::Tag(1)], How::Hard), || panic!("there is room"));
    drop(store);
    let traces = Store::purged_before(&ram, &[]);
    let expected = Trace { scope: Scope::Tag(1), hard: 2, soft: 0, soft_at: 0 };
    assert!(traces.traces.contains(&expected) && traces.swept == 1, "{traces:?}");
}

fn mark(text: &str) -> Bookmark {
    Bookmark::new("a log", text.parse().unwrap())
}

#[test]
fn how_far_a_fleet_was_heard_is_found_as_it_was_noted_last() {
    for secrets in [&[][..], &[SECRET]] {
        let (ram, heard) = (ram(), Arc::new(Mutex::new(None)));
        let store = Store::open(&ram, 1 << 20, secrets);
        let asked = heard.clone();
        store.disk.follow(Box::new(move || *asked.lock().unwrap()));
        let found = || Store::found(&ram.copy(), secrets);
        let purges = Purges::default();
        let purge =
            |tag| store.purge(purges.purge(&[Scope::Tag(tag)], How::Hard), || panic!("there is room"));
        purge(1);
        assert_eq!(found().1, None);
        for (now, noted) in [("5-0", "5-0"), ("9-7", "9-7"), ("8-0", "8-0")] {
            *heard.lock().unwrap() = Some(mark(now));
            purge(2);
            assert_eq!(found().1, Some(mark(noted)));
        }
        *heard.lock().unwrap() = None;
        purge(3);
        assert_eq!((found().0.traces.len(), found().1), (5, Some(mark("8-0"))), "what is known stays");
        *heard.lock().unwrap() = Some(mark("10-0"));
        let before = ram.content("purges").len();
        store.disk.note(|| panic!("there is room"));
        assert_eq!(found().1, Some(mark("10-0")));
        let after = ram.content("purges").len();
        store.disk.note(|| panic!("there is room"));
        assert!(after > before && ram.content("purges").len() == after, "it has not changed");
        drop(store);
        // Written anew at each start.
        assert_eq!(
            (Store::found(&ram, secrets).1, Store::found(&ram, secrets).1),
            (Some(mark("10-0")), Some(mark("10-0")))
        );
    }
}

#[test]
fn a_note_torn_at_any_byte_leaves_the_one_before() {
    let ram = ram();
    let store = Store::open(&ram, 1 << 20, &[]);
    let heard = Arc::new(Mutex::new(Some(mark("5-0"))));
    let asked = heard.clone();
    store.disk.follow(Box::new(move || *asked.lock().unwrap()));
    store.disk.note(|| panic!("there is room"));
    let before = ram.content("purges").len();
    *heard.lock().unwrap() = Some(mark("6-0"));
    store.disk.note(|| panic!("there is room"));
    let bytes = ram.content("purges");
    for length in before..=bytes.len() {
        let torn = ram.copy();
        torn.set("purges", &bytes[..length]);
        let noted = if length == bytes.len() { "6-0" } else { "5-0" };
        assert_eq!(Store::found(&torn, &[]).1, Some(mark(noted)), "{length}");
    }
}

#[test]
fn a_note_that_cannot_be_written_loses_nothing() {
    let ram = ram();
    let store = Store::open(&ram, 1 << 20, &[]);
    store.put("/a", 0, "", b"a");
    store.disk.follow(Box::new(|| Some(mark("5-0"))));
    ram.switches().fill_after(10);
    store.disk.note(Traces::default);
    assert!(store.get("/a", 0).is_some() && store.told(|event| matches!(event, Event::WriteFailed(_))) == 1);
    ram.switches().empty();
    store.disk.note(Traces::default);
    assert_eq!(Store::found(&ram.copy(), &[]).1, Some(mark("5-0")), "written anew");
    let purges = purges();
    store.purge(purges.traces(), || purges.traces());
    assert_eq!(Store::found(&ram.copy(), &[]).1, Some(mark("5-0")));
    assert!(store.get("/a", 0).is_some());
}

#[test]
fn more_purges_than_may_wait_are_one_of_everything() {
    let ram = ram();
    let store = Store::open(&ram, 1 << 30, &[]);
    let many = |from: u64| {
        let trace = |tag| Trace { scope: Scope::Tag(tag), hard: from + 7, soft: 0, soft_at: 0 };
        Traces { traces: (0..1_100_000).map(trace).collect(), epoch: from + 7, swept: 0 }
    };
    store.disk.queue_purge(many(1));
    store.purge(many(2), || panic!("there is room"));
    let everything = Trace { scope: Scope::All, hard: 9, soft: 0, soft_at: 0 };
    drop(store);
    assert_eq!(Store::purged_before(&ram, &[]).traces, [everything]);
}
