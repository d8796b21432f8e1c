use super::*;
use crate::auth::keys::fixtures::{START, Scratch, at, compile, days, document};
use crate::auth::keys::{Document, Usage};

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

fn begin(now: Moment) -> Notices {
    Notices::new(&THRESHOLDS, 1, now)
}

/// One key with these fields.
fn one_key(fields: &str) -> Document {
    document(&format!(
        r##"{{ "consumers": [{{ "name": "partner-a", "keys": [{{ "id": "k", "sha256": "#1" {fields} }}] }}] }}"##
    ))
}

fn value(delivery: &Delivery) -> serde_json::Value {
    serde_json::from_str(&delivery.body).unwrap()
}

/// What is due, taken by the receiver: types and days left.
fn take_all(notices: &mut Notices, now: Moment) -> Vec<(String, Option<u64>)> {
    let taken = std::iter::from_fn(|| {
        let delivery = notices.due(now)?;
        notices.delivered(&delivery.id);
        let body = value(&delivery);
        Some((body["type"].as_str().unwrap().to_owned(), body["data"]["days_left"].as_u64()))
    });
    taken.collect()
}

fn restarted(notices: &Notices) -> Notices {
    Notices::parse(&notices.encode().unwrap(), &THRESHOLDS, 1).unwrap()
}

#[test]
fn thresholds_are_told_exactly_once_across_restarts() {
    let directory = compile(&one_key(r#", "expires": "2026-03-01""#), &Usage::default());
    let mut notices = begin(START);
    let mut told = Vec::new();
    for hour in 0..24 * 70 {
        let now = START.plus(hours(hour));
        notices.observe(&directory, now);
        notices.observe(&directory, now);
        for (kind, days_left) in take_all(&mut notices, now) {
            told.push((now.to_string(), kind, days_left));
        }
        notices = restarted(&notices);
    }
    let expected = [
        ("2026-01-30T00:00:00Z", "key.expiring", 30),
        ("2026-02-22T00:00:00Z", "key.expiring", 7),
        ("2026-02-28T00:00:00Z", "key.expiring", 1),
        ("2026-03-01T00:00:00Z", "key.expired", 0),
    ];
    let expected = expected.map(|(when, kind, left)| (when.to_owned(), kind.to_owned(), Some(left)));
    assert_eq!(told, expected);
}

#[test]
fn of_thresholds_crossed_while_the_proxy_was_down_the_nearest_is_told() {
    let directory = compile(&one_key(r#", "expires": "2026-03-01""#), &Usage::default());
    let mut notices = begin(START);
    notices.observe(&directory, START);
    let mut notices = restarted(&notices);
    let now = at("2026-02-25");
    notices.observe(&directory, now);
    assert_eq!(take_all(&mut notices, now), [("key.expiring".to_owned(), Some(4))]);
    let now = at("2026-04-01");
    notices.observe(&directory, now);
    assert_eq!(take_all(&mut notices, now), [("key.expired".to_owned(), Some(0))], "and not that it expires");
}

#[test]
fn what_happened_before_notices_were_switched_on_is_not_told_but_what_is_near_is() {
    let history = document(
        r##"{ "consumers": [{ "name": "a", "keys": [
            { "id": "expired", "sha256": "#1", "expires": "2025-12-31" },
            { "id": "retired", "sha256": "#2", "retired": "2025-12-31" },
            { "id": "rotated", "sha256": "#3", "deprecated": { "since": "2025-12-31" } },
            { "id": "expiring", "sha256": "#4", "expires": "2026-01-03" } ] }] }"##,
    );
    let mut notices = begin(START);
    notices.observe(&compile(&history, &Usage::default()), START);
    assert_eq!(take_all(&mut notices, START), [("key.expiring".to_owned(), Some(2))]);
}

#[test]
fn a_rotation_is_told_and_then_the_first_use_of_the_old_key_once() {
    let usage = Usage::default();
    let before = compile(&one_key(""), &usage);
    let tally = &before.keys()[0].tally;
    tally.record(START);
    let mut notices = begin(START);
    notices.observe(&before, START);
    assert_eq!(take_all(&mut notices, START), []);

    let since = START.plus(days(1));
    let expires = since.plus(days(30));
    let rotated = one_key(&format!(
        r#", "created": "2025-01-01", "expires": "{expires}", "deprecated": {{ "since": "{since}", "replaced_by": "n" }}"#
    ));
    let after = compile(&rotated, &usage);
    let told = |notices: &mut Notices, now| {
        notices.observe(&after, now);
        take_all(notices, now).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    assert_eq!(told(&mut notices, since), ["key.rotated"], "and not that it has thirty days left");
    tally.record(since);
    assert_eq!(
        told(&mut notices, since),
        [""; 0],
        "a use in the second of the rotation may be one before it"
    );
    let later = since.plus(hours(1));
    tally.record(later);
    assert_eq!(told(&mut notices, later), ["key.old_used"]);
    tally.record(later.plus(hours(1)));
    notices = restarted(&notices);
    assert_eq!(told(&mut notices, later.plus(hours(2))), [""; 0]);
}

#[test]
fn an_old_key_used_before_notices_were_switched_on_is_told_at_its_next_use() {
    let directory = compile(&one_key(r#", "deprecated": { "since": "2025-06-01" }"#), &Usage::default());
    let tally = &directory.keys()[0].tally;
    tally.record(START.minus(days(10)));
    let mut notices = begin(START);
    notices.observe(&directory, START);
    assert_eq!(notices.waiting(), 0);
    tally.record(START.plus(days(1)));
    notices.observe(&directory, START.plus(days(1)));
    assert_eq!(take_all(&mut notices, START.plus(days(1))), [("key.old_used".to_owned(), None)]);
}

#[test]
fn a_use_is_not_told_again_after_its_record_was_lost() {
    let rotated = one_key(r#", "deprecated": { "since": "2026-01-01" }"#);
    let now = START.plus(days(1));
    let directory = compile(&rotated, &Usage::default());
    directory.keys()[0].tally.record(now);
    let mut notices = begin(START);
    notices.observe(&directory, now);
    assert_eq!(take_all(&mut notices, now).len(), 2);
    let forgetful = compile(&rotated, &Usage::default());
    notices.observe(&forgetful, now);
    forgetful.keys()[0].tally.record(now);
    notices.observe(&forgetful, now);
    assert_eq!(take_all(&mut notices, now), []);
}

#[test]
fn retirement_is_told_and_ends_all_other_notices() {
    let usage = Usage::default();
    let mut notices = begin(START);
    notices.observe(&compile(&one_key(r#", "expires": "2026-03-01""#), &usage), START);
    let retired = compile(&one_key(r#", "expires": "2026-03-01", "retired": "2026-01-02""#), &usage);
    let now = at("2026-01-02");
    notices.observe(&retired, now);
    assert_eq!(take_all(&mut notices, now), [("key.retired".to_owned(), Some(58))]);
    let now = at("2026-04-01");
    notices.observe(&retired, now);
    assert_eq!(take_all(&mut notices, now), []);
}

#[test]
fn a_key_whose_end_is_moved_is_told_anew() {
    let usage = Usage::default();
    let mut notices = begin(START);
    let now = at("2026-02-23");
    notices.observe(&compile(&one_key(r#", "expires": "2026-03-01""#), &usage), now);
    assert_eq!(take_all(&mut notices, now), [("key.expiring".to_owned(), Some(6))]);
    let moved = compile(&one_key(r#", "expires": "2027-03-01""#), &usage);
    notices.observe(&moved, now);
    assert_eq!(take_all(&mut notices, now), []);
    let now = at("2027-02-23");
    notices.observe(&moved, now);
    assert_eq!(take_all(&mut notices, now), [("key.expiring".to_owned(), Some(6))]);
}

#[test]
fn a_new_key_of_short_life_is_told_of_at_its_end_alone() {
    let created = format!(r#", "created": "{START}", "expires": "2026-01-06""#);
    let directory = compile(&one_key(&created), &Usage::default());
    let mut notices = begin(START.minus(days(1)));
    notices.observe(&directory, START);
    assert_eq!(take_all(&mut notices, START), []);
    let now = at("2026-01-05");
    notices.observe(&directory, now);
    assert_eq!(take_all(&mut notices, now), [("key.expiring".to_owned(), Some(1))]);
}

#[test]
fn keys_that_are_gone_leave_nothing_behind() {
    let mut notices = begin(START);
    let now = at("2026-02-23");
    notices.observe(&compile(&one_key(r#", "expires": "2026-03-01""#), &Usage::default()), now);
    assert_eq!((notices.state.settled.len(), notices.waiting()), (1, 1));
    notices.observe(&Directory::default(), now);
    assert_eq!(notices.state.settled.len(), 0);
    assert_eq!(notices.waiting(), 1, "what was put on its way arrives");
}

/// A notice on its way at `START`.
fn with_one_waiting() -> (Notices, Directory) {
    let directory = compile(&one_key(r#", "expires": "2026-01-03""#), &Usage::default());
    let mut notices = begin(START);
    notices.observe(&directory, START);
    (notices, directory)
}

#[test]
fn a_failed_delivery_is_tried_again_ever_more_rarely_and_without_end() {
    let (mut notices, _) = with_one_waiting();
    let mut now = START;
    let mut pauses = Vec::new();
    for attempt in 1..=40 {
        let delivery = notices.due(now).unwrap();
        assert_eq!(delivery.attempt, attempt);
        assert_eq!(notices.due(now), None, "it is under way");
        notices.failed(&delivery.id, now);
        let next = notices.next_due().unwrap();
        let just_before = next.minus(Duration::from_secs(1));
        assert!(just_before < now.plus(Duration::from_secs(1)) || notices.due(just_before).is_none());
        pauses.push(next.since(now).as_secs());
        now = next;
    }
    for (tried, pause) in pauses.iter().enumerate() {
        let longest = 3600.min(5 << tried.min(20));
        assert!((longest / 2..=longest + 1).contains(pause), "{tried}: {pause}");
    }
}

#[test]
fn retries_differ_by_chance() {
    let pause = |seed| {
        let (notices, _) = with_one_waiting();
        let mut notices = Notices::parse(&notices.encode().unwrap(), &THRESHOLDS, seed).unwrap();
        for _ in 0..12 {
            let now = notices.next_due().unwrap();
            let delivery = notices.due(now).unwrap();
            notices.failed(&delivery.id, now);
        }
        notices.next_due()
    };
    assert_eq!(pause(1), pause(1));
    assert!((2..10).any(|seed| pause(seed) != pause(1)));
}

#[test]
fn nothing_is_lost_or_repeated_over_a_restart() {
    let (mut notices, directory) = with_one_waiting();
    let first = notices.due(START).unwrap();
    // Killed before anything was written: it is found again, and is the same notice.
    let mut again = begin(START);
    again.observe(&directory, START);
    assert_eq!(again.due(START).unwrap(), first);
    // Killed while a failed one waits.
    notices.failed(&first.id, START);
    let mut notices = restarted(&notices);
    notices.observe(&directory, START);
    let now = notices.next_due().unwrap();
    let second = notices.due(now).unwrap();
    assert_eq!((&second.id, &second.body, second.attempt), (&first.id, &first.body, 2));
    // Taken.
    notices.delivered(&second.id);
    let mut notices = restarted(&notices);
    notices.observe(&directory, now);
    assert_eq!((notices.due(START.plus(hours(12))), notices.waiting()), (None, 0));
}

#[test]
fn a_delivery_nobody_reports_on_is_due_again_after_a_minute() {
    let (mut notices, _) = with_one_waiting();
    let first = notices.due(START).unwrap();
    assert_eq!(notices.due(START.plus(Duration::from_secs(59))), None);
    let second = notices.due(START.plus(Duration::from_secs(60))).unwrap();
    assert_eq!((second.id, second.attempt), (first.id, 2));
}

#[test]
fn reports_on_what_is_not_there_change_nothing() {
    let (mut notices, _) = with_one_waiting();
    notices.delivered("msg_0");
    notices.failed("msg_0", START);
    assert_eq!(notices.waiting(), 1);
}

#[test]
fn the_outbox_is_bounded_and_what_found_no_room_comes_later() {
    let key =
        |number| format!(r##"{{ "id": "k{number}", "sha256": "#{number}", "expires": "2026-01-03" }}"##);
    let consumer = |number: usize| {
        let keys: Vec<_> = (number * 50..number * 50 + 50).map(key).collect();
        format!(r#"{{ "name": "c{number}", "keys": [{}] }}"#, keys.join(","))
    };
    let consumers: Vec<_> = (0..100).map(consumer).collect();
    let document = document(&format!(r#"{{ "consumers": [{}] }}"#, consumers.join(",")));
    let directory = compile(&document, &Usage::default());
    let mut notices = begin(START);
    notices.observe(&directory, START);
    assert_eq!(notices.waiting(), 4096);
    assert_eq!(take_all(&mut notices, START).len(), 4096);
    notices.observe(&directory, START);
    assert_eq!(take_all(&mut notices, START).len(), 5000 - 4096);
    notices.observe(&directory, START);
    assert_eq!(notices.waiting(), 0);
}

#[test]
fn a_notice_says_what_its_reader_needs_and_no_key() {
    let usage = Usage::default();
    let directory = compile(
        &one_key(
            r#", "expires": "2026-01-06T12:00:00Z", "deprecated": { "since": "2025-06-01", "replaced_by": "n" }"#,
        ),
        &usage,
    );
    directory.keys()[0].tally.record(START.minus(hours(1)));
    let mut notices = begin(START);
    notices.observe(&directory, START);
    let delivery = notices.due(START).unwrap();
    assert_eq!(delivery.kind, Kind::Expiring);
    let expected = serde_json::json!({
        "id": delivery.id,
        "type": "key.expiring",
        "timestamp": "2026-01-01T00:00:00Z",
        "data": {
            "consumer": "partner-a",
            "key": "k",
            "expires": "2026-01-06T12:00:00Z",
            "days_left": 5,
            "last_used": "2025-12-31T23:00:00Z",
            "uses": 1,
            "replaced_by": "n",
        },
    });
    assert_eq!(value(&delivery), expected);
    assert!(!delivery.body.contains(&super::super::digest::Digest::of(b"1").to_string()));
}

#[test]
fn events_have_ids_of_their_own() {
    let id = |fields: &str, now| {
        let mut notices = begin(START);
        notices.observe(&compile(&one_key(fields), &Usage::default()), now);
        notices.due(now).unwrap().id
    };
    let thirty = id(r#", "expires": "2026-03-01""#, at("2026-02-01"));
    assert!(thirty.len() == 36 && thirty.starts_with("msg_"), "{thirty}");
    assert_eq!(thirty, id(r#", "expires": "2026-03-01""#, at("2026-02-02")));
    assert_ne!(thirty, id(r#", "expires": "2026-03-01""#, at("2026-02-23")));
    assert_ne!(thirty, id(r#", "expires": "2026-03-02""#, at("2026-02-02")));
}

#[test]
fn each_try_is_signed_with_its_own_time() {
    let (mut notices, _) = with_one_waiting();
    let sign = |time: i64, id: &str, body: &[u8]| format!("{time}.{id}.{}", body.len());
    for now in [START, START.plus(hours(1))] {
        let delivery = notices.due(now).unwrap();
        let expected = [
            ("webhook-id", delivery.id.clone()),
            ("webhook-timestamp", now.unix().to_string()),
            ("webhook-signature", format!("{}.{}.{}", now.unix(), delivery.id, delivery.body.len())),
        ];
        assert_eq!(delivery.headers(sign), expected);
    }
}

#[test]
fn the_file_is_written_when_something_changed_and_read_back() {
    let scratch = Scratch::new();
    let path = scratch.join("notices.json");
    let (mut notices, directory) = with_one_waiting();
    notices.save_to_file(&path).unwrap();
    let mut loaded = Notices::load_from_file(&path, &THRESHOLDS, 1, at("2026-06-01")).unwrap();
    assert_eq!(loaded.encode().unwrap(), notices.encode().unwrap());

    notices.observe(&directory, START);
    std::fs::remove_file(&path).unwrap();
    notices.save_to_file(&path).unwrap();
    assert_eq!(scratch.names(), [""; 0], "nothing changed");
    let id = notices.due(START).unwrap().id;
    notices.delivered(&id);
    assert!(notices.save_to_file(&scratch.join("nowhere/notices.json")).is_err());
    notices.save_to_file(&path).unwrap();
    loaded = Notices::load_from_file(&path, &THRESHOLDS, 1, at("2026-06-01")).unwrap();
    assert_eq!(loaded.waiting(), 0);

    std::fs::write(&path, "[]").unwrap();
    assert!(Notices::load_from_file(&path, &THRESHOLDS, 1, START).is_err());
}

#[test]
fn thresholds_may_come_in_any_order() {
    let directory = compile(&one_key(r#", "expires": "2026-03-01""#), &Usage::default());
    let mut notices = Notices::new(&[days(1), days(30), days(1), days(7)], 1, START);
    let mut told = 0;
    for day in 0..70 {
        let now = START.plus(days(day));
        notices.observe(&directory, now);
        told += take_all(&mut notices, now).len();
    }
    assert_eq!(told, 4);
}
