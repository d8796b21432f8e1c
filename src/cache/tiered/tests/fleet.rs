//! The disk of a process that shares purges with others.

use super::*;
use crate::cache::disk::testing::Store;
use crate::cache::fleet::{Heard, Position};

fn position(text: &str) -> Position {
    text.parse().unwrap()
}

/// One that has heard the log until there, with the disk.
fn member(ram: &Arc<Ram>, log: &str, heard: &str) -> (Arc<Tiered>, Arc<Fleet>) {
    let fleet = Arc::<Fleet>::default();
    assert_eq!(fleet.heard(log), Heard::Nothing);
    fleet.hear(Heard::Nothing, position(heard));
    let tiered = Arc::new(Tiered::new(SIZE, true, fleet.clone(), at(0), Box::new(|_| {})));
    assert!(tiered.attach(OnDisk { is_fleets: true, ..on_disk(ram, CAPACITY) }).unwrap());
    (tiered, fleet)
}

/// Until where all of the fleet's purges are on disk, if the process ended now; and how many there are.
fn noted(ram: &Arc<Ram>) -> (Option<Position>, usize) {
    let (traces, bookmark) = Store::found(&ram.copy(), &[SECRET]);
    let is_mark = |trace: &&crate::cache::purge::Trace| trace.hard > 0;
    (bookmark.and_then(|bookmark| bookmark.within("log")), traces.traces.iter().filter(is_mark).count())
}

fn red() -> [Scope; 1] {
    [Scope::Tag(tag(b"red"))]
}

#[tokio::test]
async fn what_is_on_disk_counts_once_all_is_heard_that_was_missed() {
    let ram = Arc::default();
    let (old, _) = member(&ram, "log", "5-0");
    put(&old, "/a", "", "cache-tag: red");
    put(&old, "/b", "", "");
    old.detach();
    assert_eq!(noted(&ram).0, Some(position("5-0")));
    let (new, fleet) = member(&ram, "log", "9-0");
    assert!(new.catches_up() && find(&new, "/b", "").await.is_none());
    assert_eq!(noted(&ram).0, Some(position("5-0")), "not what was heard before it had the disk");
    fleet.go_back(position("5-0"), true);
    new.purge(&red(), How::Hard).written().await;
    fleet.hear(Heard::Until(position("5-0")), position("7-0"));
    assert!(find(&new, "/b", "").await.is_none());
    assert!(fleet.is_up_to_date(Heard::Until(position("7-0"))));
    assert!(find(&new, "/a", "").await.is_none());
    assert!(find(&new, "/b", "").await.is_some_and(|found| found.tier == Tier::Disk));
}

#[tokio::test]
async fn what_a_member_stores_while_it_catches_up_is_kept_and_purged() {
    let ram = Arc::default();
    member(&ram, "log", "5-0").0.detach();
    let (new, fleet) = member(&ram, "log", "9-0");
    put(&new, "/a", "", "cache-tag: red");
    put(&new, "/b", "", "");
    fleet.go_back(position("5-0"), true);
    new.purge(&red(), How::Hard).written().await;
    fleet.hear(Heard::Until(position("5-0")), position("9-0"));
    new.detach();
    let (again, fleet) = member(&ram, "log", "9-0");
    fleet.go_back(position("9-0"), true);
    assert!(fleet.is_up_to_date(Heard::Until(position("9-0"))));
    assert!(find(&again, "/a", "").await.is_none() && find(&again, "/b", "").await.is_some());
}

/// Stores something, as a member of the log or alone.
fn stored_by(ram: &Arc<Ram>, log: Option<&str>) {
    let tiered = log.map_or_else(|| open(ram), |log| member(ram, log, "5-0").0);
    put(&tiered, "/a", "", "");
    tiered.detach();
}

#[tokio::test]
async fn nothing_counts_of_whom_shared_purges_with_others_than_now() {
    for (before, after) in [(Some("log"), None), (None, Some("log")), (Some("other"), Some("log"))] {
        let ram = Arc::default();
        stored_by(&ram, before);
        let tiered = after.map_or_else(|| open(&ram), |log| member(&ram, log, "9-0").0);
        assert!(!tiered.catches_up() && find(&tiered, "/a", "").await.is_none(), "{before:?}, {after:?}");
        put(&tiered, "/b", "", "");
        assert_eq!(tiered.disk().unwrap().find(&key("/b")).len(), 1);
        tiered.detach();
        assert_eq!(noted(&ram).0, after.map(|_| position("9-0")), "{before:?}, {after:?}");
        let again = after.map_or_else(|| open(&ram), |log| member(&ram, log, "9-0").0);
        assert_eq!(again.catches_up(), after.is_some());
        assert_eq!(again.disk().unwrap().find(&key("/b")).len(), 1);
    }
}

#[tokio::test]
async fn what_is_noted_is_never_ahead_of_what_is_written() {
    let ram = Arc::default();
    let (tiered, fleet) = member(&ram, "log", "5-0");
    assert_eq!(noted(&ram), (Some(position("5-0")), 0));
    let unwritten = tiered.purge(&red(), How::Hard);
    fleet.hear(Heard::Until(position("5-0")), position("7-0"));
    tiered.note();
    assert_eq!(noted(&ram), (Some(position("5-0")), 0), "it waits");
    tiered.purge(&[Scope::Tag(7)], How::Hard).written().await;
    assert_eq!(noted(&ram), (Some(position("7-0")), 2), "both are written");
    unwritten.written().await;
    fleet.hear(Heard::Until(position("7-0")), position("8-0"));
    assert_eq!(noted(&ram).0, Some(position("7-0")));
    tiered.note();
    assert_eq!(noted(&ram), (Some(position("8-0")), 2));
    fleet.hear(Heard::Until(position("8-0")), position("9-0"));
    drop(tiered.purge(&[Scope::Tag(8)], How::Hard));
    tiered.detach();
    assert_eq!(noted(&ram), (Some(position("9-0")), 3));
}

#[tokio::test]
async fn purges_that_nobody_waits_for_are_written_soon() {
    let ram = Arc::default();
    let (tiered, _) = member(&ram, "log", "5-0");
    for round in 1..=20 {
        tiered.purge(&[Scope::Tag(round)], How::Hard).write_soon();
        if round % 7 == 0 {
            tiered.purge(&red(), How::Hard).written().await;
        }
    }
    while noted(&ram).1 < 21 {
        tokio::task::yield_now().await;
    }
}
