use bytes::Bytes;

use super::stored::Source;
use super::*;
use crate::cache::content::Content;
use crate::cache::freshness::Rules;
use crate::cache::key::Target;
use crate::cache::purge::tag;
use crate::cache::testing::{at, fields, http_date, received};
use crate::cache::{RequestDirectives, ResponseDirectives, Verdict};

const SIZE: Size = Size { bytes: 1 << 20, largest: 1 << 16 };

struct Store(Memory);

impl Store {
    fn new() -> Self {
        Self(Memory::new(SIZE))
    }

    fn stored(&self, path: &str, request: &str, response: &str, content: usize) -> Arc<Stored> {
        let (request, response) = (fields(request), fields(response));
        let tags: Vec<_> = response.get_all("cache-tag").iter().map(|text| tag(text.as_bytes())).collect();
        let url = format!("https://a{path}");
        let source = Source { url: &url, tags: &tags, request: &request, asked_in: self.0.epoch() };
        let directives = ResponseDirectives::read(&response);
        let content = Content::new(vec![Bytes::from(vec![b'a'; content])]);
        Stored::new(&source, &received(200, &response), &directives, &Rules::default(), content).unwrap()
    }

    fn put(&self, path: &str, request: &str, response: &str) -> Arc<Stored> {
        let stored = self.stored(path, request, response, 100);
        assert!(self.0.put(key(path), stored.clone()));
        stored
    }

    fn find(&self, path: &str, request: &str) -> Option<Arc<Stored>> {
        match self.0.find(&key(path), &fields(request)) {
            Found::Fitting(stored, _) => Some(stored),
            Found::Others | Found::Nothing => None,
        }
    }
}

fn key(path: &str) -> Key {
    Key::new(&Target { scheme: "https", host: "a", path, query: None }, b"", &[])
}

fn is(found: Option<Arc<Stored>>, stored: &Arc<Stored>) -> bool {
    found.is_some_and(|found| Arc::ptr_eq(&found, stored))
}

#[test]
fn finds_what_was_stored_for_the_key() {
    let store = Store::new();
    let stored = store.put("/a", "", "etag: \"a\"");
    assert!(is(store.find("/a", "x: 1"), &stored));
    assert!(matches!(store.0.find(&key("/b"), &HeaderMap::new()), Found::Nothing));
    assert_eq!(stored.record.to_fields()["etag"], "\"a\"");
    let newer = store.put("/a", "", "etag: \"b\"");
    assert!(is(store.find("/a", ""), &newer));
    assert_eq!(store.0.len(), 1);
}

#[test]
fn requests_get_the_variant_that_fits_them() {
    let store = Store::new();
    let german = store.put("/a", "accept-language: de", "vary: accept-language");
    let english = store.put("/a", "accept-language: en", "vary: accept-language");
    assert!(is(store.find("/a", "accept-language: DE"), &german));
    assert!(is(store.find("/a", "accept-language: en"), &english));
    assert!(matches!(store.0.find(&key("/a"), &HeaderMap::new()), Found::Others));
    let newer = store.put("/a", "accept-language: de", "vary: accept-language");
    assert!(is(store.find("/a", "accept-language: de"), &newer));
    assert!(is(store.find("/a", "accept-language: en"), &english));
    assert_eq!(store.0.len(), 1);
}

#[test]
fn of_several_that_fit_the_latest_is_used() {
    // RFC 9111 §4.1.
    let store = Store::new();
    let dated = |seconds, vary: &str| format!("date: {}\n{vary}", http_date(seconds));
    let later = store.put("/a", "x-a: 1", &dated(-1, "vary: x-a"));
    let earlier = store.put("/a", "x-b: 1", &dated(-9, "vary: x-b"));
    assert!(is(store.find("/a", "x-a: 1\nx-b: 1"), &later));
    assert!(is(store.find("/a", "x-b: 1"), &earlier));
}

#[test]
fn variants_are_bounded_in_number_and_bytes() {
    let store = Store::new();
    let put = |number: usize| store.put("/a", &format!("x-a: {number}"), "vary: x-a");
    (0..=MAX_VARIANTS).for_each(|number| drop(put(number)));
    assert!(store.find("/a", "x-a: 0").is_none());
    assert!(store.find("/a", "x-a: 1").is_some());
    assert!(store.find("/a", &format!("x-a: {MAX_VARIANTS}")).is_some());
    let large = |number: usize| store.stored("/b", &format!("x-a: {number}"), "vary: x-a", 30_000);
    (0..3).for_each(|number| assert!(store.0.put(key("/b"), large(number))));
    assert!(store.find("/b", "x-a: 0").is_none() && store.find("/b", "x-a: 1").is_some());
}

#[test]
fn bytes_are_counted_exactly_and_never_exceed_the_size() {
    let store = Store::new();
    let stored = store.put("/a", "", "etag: \"a\"");
    let weight = OVERHEAD + stored.record.as_bytes().len() as u64 + 100;
    assert_eq!((stored.weight(), store.0.bytes()), (weight, weight));
    store.put("/a", "", "etag: \"b\"");
    assert_eq!(store.0.bytes(), weight);
    for number in 0..10_000 {
        store.put(&format!("/{number}"), "", "etag: \"a\"");
        assert!(store.0.bytes() <= SIZE.bytes);
    }
    assert!(store.0.bytes() > SIZE.bytes * 9 / 10, "{}", store.0.bytes());
}

#[test]
fn what_is_too_large_is_not_stored() {
    let store = Store::new();
    let largest = usize::try_from(SIZE.largest).unwrap();
    assert!(!store.0.put(key("/a"), store.stored("/a", "", "", largest)));
    assert!(store.0.is_empty());
    assert!(store.0.put(key("/a"), store.stored("/a", "", "", largest / 2)));
    let capped = Memory::new(Size { bytes: 1 << 20, largest: 1 << 30 });
    assert_eq!(capped.largest(), (1 << 20) / 8);
}

#[test]
fn a_scan_does_not_push_out_what_is_in_use() {
    let store = Store::new();
    let used: Vec<_> = (0..200).map(|number| format!("/used/{number}")).collect();
    for path in &used {
        store.put(path, "", "");
    }
    for round in 0..3 {
        assert!(used.iter().all(|path| store.find(path, "").is_some()), "{round}");
    }
    (0..20_000).for_each(|number| drop(store.put(&format!("/scan/{number}"), "", "")));
    let left = used.iter().filter(|path| store.find(path, "").is_some()).count();
    assert!(left > 190, "{left} of 200 are left");
}

#[test]
fn purged_responses_are_not_found_and_their_memory_comes_back() {
    let store = Store::new();
    let (red, blue) = (store.put("/a", "", "cache-tag: red"), store.put("/b", "", "cache-tag: blue"));
    store.0.purge(&[Scope::Tag(tag(b"red"))], How::Hard);
    assert!(store.find("/a", "").is_none());
    assert!(is(store.find("/b", ""), &blue));
    assert!(store.0.marks() > 0);
    store.0.sweep(Epoch::LAST);
    assert_eq!((store.0.len(), store.0.bytes()), (1, blue.weight()));
    assert!(store.0.marks() == 0 && is(store.find("/b", ""), &blue));
    // Late: asked for before the purge.
    assert!(store.0.put(key("/a"), red));
    assert!(store.find("/a", "").is_none());
    let again = store.put("/a", "", "cache-tag: red");
    assert!(is(store.find("/a", ""), &again));
}

#[test]
fn softly_purged_responses_are_stale_from_then_on() {
    let store = Store::new();
    store.put("/a", "", "cache-control: max-age=100, stale-while-revalidate=10");
    let judge = || match store.0.find(&key("/a"), &HeaderMap::new()) {
        Found::Fitting(_, freshness) => freshness.judge(&RequestDirectives::default(), at(5)),
        found => panic!("{found:?}"),
    };
    assert_eq!(judge(), Verdict::Fresh);
    store.0.purge(&[Scope::Url("https://a/a".to_owned())], How::Soft(at(3)));
    assert_eq!(judge(), Verdict::StaleWhileRevalidate);
    store.0.sweep(Epoch::LAST);
    assert_eq!(judge(), Verdict::StaleWhileRevalidate);
}

#[test]
fn one_response_can_be_removed_and_its_successor_stays() {
    let store = Store::new();
    let old = store.put("/a", "", "etag: \"a\"");
    store.0.remove(&key("/a"), &old);
    assert!(store.find("/a", "").is_none() && store.0.is_empty());
    let new = store.put("/a", "", "etag: \"b\"");
    store.0.remove(&key("/a"), &old);
    assert!(is(store.find("/a", ""), &new));
    let variant = store.put("/a", "x: 1", "vary: x");
    store.0.remove(&key("/a"), &variant);
    assert!(is(store.find("/a", "x: 1"), &new));
}

/// `cargo test --lib ten_thousand_tags -- --ignored --nocapture`
#[test]
#[ignore = "takes a gigabyte and some ten seconds"]
fn ten_thousand_tags_on_a_million_responses_are_purged_in_a_tenth_of_a_second() {
    const RESPONSES: usize = 1_000_000;
    let store = Store(Memory::new(Size { bytes: 4 << 30, largest: 1 << 20 }));
    let response = |number: usize| format!("cache-tag: t{}\ncache-tag: all", number % 100_000);
    for number in 0..RESPONSES {
        store.put(&format!("/{number}"), "", &response(number));
    }
    assert_eq!(store.0.len(), RESPONSES);
    let tags: Vec<_> = (0..10_000).map(|number| Scope::Tag(tag(format!("t{number}").as_bytes()))).collect();
    let begun = std::time::Instant::now();
    store.0.purge(&tags, How::Hard);
    let purged = begun.elapsed();
    assert!(store.find("/9999", "").is_none() && store.find("/109999", "").is_none());
    assert!(store.find("/10000", "").is_some());
    let begun = std::time::Instant::now();
    store.0.sweep(Epoch::LAST);
    println!("purged in {purged:?}, swept in {:?}", begun.elapsed());
    assert_eq!(store.0.len(), RESPONSES * 9 / 10);
    assert!(purged <= std::time::Duration::from_millis(100), "{purged:?}");
}
