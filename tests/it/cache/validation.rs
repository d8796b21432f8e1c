//! Conditional requests: those of clients, and the cache's own.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{cached, get, get_with, is_hit, told};
use crate::harness::{Reply, Seen};

const TAGGED: &[(&str, &str)] = &[
    ("cache-control", "max-age=60"),
    ("etag", "\"a\""),
    ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("content-type", "text/plain"),
];

/// An origin whose answers are stale at once, and which says that they hold while `x-test-n` grows.
fn revalidated(request: &Seen, count: &AtomicUsize) -> Reply {
    let number = (count.fetch_add(1, Ordering::AcqRel) + 1).to_string();
    let fields = [("cache-control", "max-age=0"), ("etag", "\"a\""), ("x-test-n", number.as_str())];
    match request.header("if-none-match") {
        Some("\"a\"") => Reply::status(304, &fields, ""),
        _ => Reply::status(200, &fields, "content"),
    }
}

#[test]
fn what_is_stale_is_validated_and_brought_up_to_date() {
    let count = AtomicUsize::new(0);
    let (edge, origin) = cached("{}", move |request: &Seen| revalidated(request, &count));
    assert_eq!(get(&edge, "/").header("x-test-n"), Some("1"));
    let second = get(&edge, "/");
    assert_eq!((second.status, second.text().as_str()), (200, "content"));
    assert_eq!(second.header("x-test-n"), Some("2"));
    assert!(
        told(&second).starts_with("\"edgeward\"; fwd=stale; fwd-status=304; stored"),
        "{}",
        told(&second)
    );
    assert_eq!(origin.last().header("if-none-match"), Some("\"a\""));
    // The client's own condition is answered from the result, and does not go on.
    let third = get_with(&edge, "/", &[("if-none-match", "\"mine\", \"a\"")]);
    assert_eq!((third.status, origin.last().header("if-none-match")), (304, Some("\"a\"")));
    let fourth = get_with(&edge, "/", &[("if-none-match", "\"mine\"")]);
    assert_eq!((fourth.status, fourth.text().as_str()), (200, "content"));
}

#[test]
fn a_304_about_something_else_is_asked_again() {
    let count = AtomicUsize::new(0);
    let (edge, origin) = cached("{}", move |request: &Seen| {
        let number = count.fetch_add(1, Ordering::AcqRel);
        match request.header("if-none-match") {
            Some(_) => Reply::status(304, &[("etag", "\"other\"")], ""),
            None => Reply::status(
                200,
                &[("cache-control", "max-age=0"), ("etag", "\"a\"")],
                format!("answer {number}"),
            ),
        }
    });
    get(&edge, "/");
    let second = get(&edge, "/");
    assert_eq!((second.status, second.text().as_str(), origin.count()), (200, "answer 2", 3));
}

#[test]
fn parts_are_cut_from_what_is_stored() {
    let (edge, origin) = cached("{}", |_: &Seen| Reply::status(200, TAGGED, "0123456789"));
    // The first one brings all of it.
    let first = get_with(&edge, "/", &[("range", "bytes=2-4")]);
    assert_eq!((first.status, first.text().as_str()), (206, "234"));
    assert_eq!(first.header("content-range"), Some("bytes 2-4/10"));
    assert_eq!((origin.count(), origin.last().header("range")), (1, None));
    for (range, status, text) in [
        ("bytes=0-0", 206, "0"),
        ("bytes=-2", 206, "89"),
        ("bytes=8-", 206, "89"),
        ("bytes=0-99", 206, "0123456789"),
        ("bytes=10-", 416, ""),
        ("lines=1-2", 200, "0123456789"),
        ("bytes=4-2", 200, "0123456789"),
    ] {
        let answer = get_with(&edge, "/", &[("range", range)]);
        assert_eq!((answer.status, answer.text().as_str()), (status, text), "{range}");
    }
    let unsatisfied = get_with(&edge, "/", &[("range", "bytes=10-")]);
    assert_eq!(unsatisfied.header("content-range"), Some("bytes */10"));
    let many = get_with(&edge, "/", &[("range", "bytes=0-1, 8-9")]);
    let kind = many.header("content-type").unwrap();
    assert!(kind.starts_with("multipart/byteranges; boundary="), "{kind}");
    assert!(many.text().contains("content-range: bytes 8-9/10\r\n\r\n89\r\n"), "{}", many.text());
    for (condition, status) in
        [("\"a\"", 206), ("\"b\"", 200), ("W/\"a\"", 200), ("Sun, 06 Nov 1994 08:49:36 GMT", 200)]
    {
        let answer = get_with(&edge, "/", &[("range", "bytes=0-0"), ("if-range", condition)]);
        assert_eq!(answer.status, status, "{condition}");
    }
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_part_of_what_is_not_stored_comes_from_the_origin() {
    let (edge, origin) = cached("{}", |request: &Seen| match request.header("range") {
        Some(_) => Reply::status(206, &[("content-range", "bytes 0-0/10")], "0"),
        None => Reply::status(200, &[("cache-control", "no-store")], "0123456789"),
    });
    let answer = get_with(&edge, "/", &[("range", "bytes=0-0")]);
    assert_eq!((answer.status, answer.text().as_str(), origin.count()), (206, "0", 2));
    let answer = get_with(&edge, "/", &[("range", "bytes=0-0")]);
    assert_eq!((answer.status, origin.count()), (206, 3), "it is known now");
}

#[test]
fn parts_of_what_is_too_long_are_stored() {
    let body: Vec<u8> = (0..100_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let sent = body.clone();
    let (edge, origin) = cached("{ max_object: 64KiB }", move |request: &Seen| {
        let fields = [("cache-control", "max-age=60"), ("etag", "\"a\"")];
        let Some(range) = request.header("range").and_then(|range| range.strip_prefix("bytes=")) else {
            return Reply::status(200, &fields, &sent);
        };
        let (first, last) = range.split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        let range = format!("bytes {range}/{}", sent.len());
        Reply::status(206, &[&fields[..], &[("content-range", range.as_str())]].concat(), &sent[first..=last])
    });
    let ask = |range: &str| get_with(&edge, "/", &[("range", range)]);
    assert_eq!(ask("bytes=10000-19999").body, body[10_000..20_000]);
    assert_eq!(ask("bytes=20000-29999").body, body[20_000..30_000]);
    let asked = origin.count();
    let both = ask("bytes=15000-24999");
    assert!(is_hit(&both) && both.body == body[15_000..25_000], "{}", told(&both));
    assert_eq!((both.header("content-range"), origin.count()), (Some("bytes 15000-24999/100000"), asked));
    assert_eq!(get(&edge, "/").body, body);
    // What is too much altogether is not put together.
    assert_eq!(ask("bytes=30000-89999").body, body[30_000..90_000]);
    assert_eq!(ask("bytes=40000-49999").body, body[40_000..50_000]);
}
