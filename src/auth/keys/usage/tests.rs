use super::*;
use crate::auth::keys::fixtures::{START, Scratch, days, id};

fn record(records: &Records, key: &str) -> Option<(u64, Moment)> {
    records.of(&id(key)).map(|record| (record.uses, record.last_used))
}

fn use_times(usage: &Usage, key: &str, times: u64, now: Moment) {
    let tally = usage.tally(&id(key));
    (0..times).for_each(|_| tally.record(now));
}

#[test]
fn counts_uses_and_keeps_the_latest_time() {
    let tally = Tally::default();
    assert_eq!((tally.uses(), tally.last_used()), (0, None));
    for seconds in [5, 9, 7] {
        tally.record(START.plus(Duration::from_secs(seconds)));
    }
    assert_eq!((tally.uses(), tally.last_used()), (3, Some(START.plus(Duration::from_secs(9)))));
}

#[test]
fn counts_every_use_of_many_threads() {
    let usage = Usage::default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| use_times(&usage, "k", 10_000, START));
        }
    });
    assert_eq!(usage.tally(&id("k")).uses(), 40_000);
}

#[test]
fn survives_a_restart() {
    let scratch = Scratch::new();
    let path = scratch.join("usage.json");
    let usage = Usage::from_records(&Records::load_from_file(&path).unwrap());
    use_times(&usage, "k", 3, START);
    usage.flush_to_file(&path, START).unwrap();

    let later = START.plus(days(1));
    let usage = Usage::from_records(&Records::load_from_file(&path).unwrap());
    let tally = usage.tally(&id("k"));
    assert_eq!((tally.uses(), tally.last_used()), (3, Some(START)));
    use_times(&usage, "k", 2, later);
    usage.flush_to_file(&path, later).unwrap();
    assert_eq!(record(&Records::load_from_file(&path).unwrap(), "k"), Some((5, later)));
    assert_eq!(tally.uses(), 5);
}

#[test]
fn processes_that_share_a_file_add_up() {
    let scratch = Scratch::new();
    let path = scratch.join("usage.json");
    let (old, new) = (Usage::default(), Usage::default());
    let held = [old.tally(&id("k")), new.tally(&id("k"))];
    for round in 1..=5 {
        use_times(&old, "k", 2, START);
        use_times(&new, "k", 3, START.plus(days(1)));
        old.flush_to_file(&path, START).unwrap();
        new.flush_to_file(&path, START).unwrap();
        let records = Records::load_from_file(&path).unwrap();
        assert_eq!(record(&records, "k"), Some((5 * round, START.plus(days(1)))));
    }
    assert_eq!(held[1].uses(), 25);
}

#[test]
fn what_could_not_be_written_is_written_the_next_time() {
    let scratch = Scratch::new();
    let usage = Usage::default();
    use_times(&usage, "k", 3, START);
    assert!(usage.flush_to_file(&scratch.join("nowhere/usage.json"), START).is_err());
    drop(usage.flush(Records::default(), START));
    assert!(usage.is_unflushed());
    use_times(&usage, "k", 1, START);
    usage.flush_to_file(&scratch.join("usage.json"), START).unwrap();
    assert_eq!(record(&Records::load_from_file(&scratch.join("usage.json")).unwrap(), "k"), Some((4, START)));
    assert!(!usage.is_unflushed());
}

#[test]
fn uses_during_a_flush_wait_for_the_next() {
    let usage = Usage::default();
    use_times(&usage, "k", 3, START);
    let flush = usage.flush(Records::default(), START);
    use_times(&usage, "k", 2, START);
    let records = flush.records.clone();
    flush.done();
    assert_eq!((record(&records, "k"), usage.tally(&id("k")).uses()), (Some((3, START)), 5));
    assert!(usage.is_unflushed());
    assert_eq!(record(&usage.flush(records, START).records, "k"), Some((5, START)));
}

#[test]
fn nothing_is_written_when_nothing_was_used() {
    let scratch = Scratch::new();
    let usage = Usage::default();
    drop(usage.tally(&id("k")));
    usage.flush_to_file(&scratch.join("usage.json"), START).unwrap();
    assert_eq!(scratch.names(), [""; 0]);
}

#[test]
fn a_tally_that_no_directory_holds_is_let_go_once_it_is_written() {
    let usage = Usage::default();
    let held = usage.tally(&id("held"));
    held.record(START);
    use_times(&usage, "gone", 1, START);
    let flush = usage.flush(Records::default(), START);
    let records = flush.records.clone();
    flush.done();
    assert_eq!(usage.lock().keys().map(KeyId::as_str).collect::<Vec<_>>(), ["held"]);
    assert_eq!(record(&records, "gone"), Some((1, START)));
    // Over the next flush with the key back, the file's count goes on.
    use_times(&usage, "gone", 1, START);
    assert_eq!(record(&usage.flush(records, START).records, "gone"), Some((2, START)));
}

#[test]
fn a_key_that_no_directory_has_is_forgotten_ninety_days_after_its_last_use() {
    let usage = Usage::default();
    use_times(&usage, "gone", 1, START);
    let flush = usage.flush(Records::default(), START);
    let records = flush.records.clone();
    flush.done();
    let held = usage.tally(&id("held"));
    held.record(START);
    let at = |now| usage.flush(records.clone(), now).records;
    assert!(record(&at(START.plus(days(89))), "gone").is_some());
    assert!(record(&at(START.plus(days(90))), "gone").is_none());
    assert!(record(&at(START.plus(days(90))), "held").is_some(), "it is in use");
}

#[test]
fn refuses_a_file_that_says_something_else_and_leaves_it() {
    let scratch = Scratch::new();
    let path = scratch.join("usage.json");
    std::fs::write(&path, r#"{ "keys": { "k": { "uses": -1, "last_used": "2026-01-01" } } }"#).unwrap();
    assert!(Records::load_from_file(&path).is_err());
    let usage = Usage::default();
    use_times(&usage, "k", 1, START);
    assert!(usage.flush_to_file(&path, START).is_err() && usage.is_unflushed());
    assert_eq!(scratch.names(), ["usage.json"]);
    assert!(std::fs::read_to_string(&path).unwrap().contains("-1"));
}
