use super::*;
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
    store
        .disk
        .purge(&purges.purge(&[Scope::Tag(7), Scope::Url("https://a/b".to_owned())], How::Hard), || panic!());
    store.disk.purge(&purges.purge(&[Scope::Prefix("https://a/".to_owned())], How::Soft(at(5))), || panic!());
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
        store.disk.purge(&purged, || purges.traces());
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
    store.disk.purge(&purges.purge(&tags, How::Hard), || panic!("there is room"));
    let before = ram.content("purges").len();
    assert!(before > 8 << 20 && store.disk.bytes() >= before as u64);
    purges.sweep(Epoch::LAST, || {});
    store.disk.compact(|| purges.traces());
    assert!(ram.content("purges").len() < 1000 && store.disk.bytes() < 10_000);
    store.disk.purge(&purges.purge(&[Scope::Tag(1)], How::Hard), || panic!("there is room"));
    drop(store);
    let traces = Store::purged_before(&ram, &[]);
    let expected = Trace { scope: Scope::Tag(1), hard: 2, soft: 0, soft_at: 0 };
    assert!(traces.traces.contains(&expected) && traces.swept == 1, "{traces:?}");
}
