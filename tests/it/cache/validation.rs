//! Conditional requests: those of clients, and the cache's own.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{cached, client, get, get_with, is_hit, numbered, told};
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
fn who_has_it_gets_a_304_from_the_cache() {
    let (edge, origin) = cached("{}", numbered(TAGGED));
    get(&edge, "/");
    for condition in [
        ("if-none-match", "\"x\", W/\"a\""),
        ("if-none-match", "*"),
        ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ] {
        let answer = get_with(&edge, "/", &[condition]);
        assert_eq!((answer.status, answer.header("etag")), (304, Some("\"a\"")), "{condition:?}");
        assert!(is_hit(&answer) && answer.body.is_empty() && answer.header("content-type").is_none());
    }
    for condition in [("if-none-match", "\"b\""), ("if-modified-since", "Sun, 06 Nov 1994 08:49:36 GMT")] {
        assert_eq!(get_with(&edge, "/", &[condition]).text(), "answer 1");
    }
    assert_eq!(origin.count(), 1);
}

#[test]
fn conditions_about_the_origins_state_go_to_the_origin() {
    let (edge, origin) = cached("{}", numbered(TAGGED));
    get(&edge, "/");
    get_with(&edge, "/", &[("if-match", "\"a\"")]);
    assert_eq!((origin.count(), origin.last().header("if-match")), (2, Some("\"a\"")));
    get_with(&edge, "/", &[("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT")]);
    assert_eq!(origin.count(), 3);
}

#[test]
fn conditions_go_on_where_nothing_is_stored() {
    let (edge, origin) = cached("{}", |request: &Seen| match request.header("if-none-match") {
        Some(_) => Reply::status(304, &[("etag", "\"a\"")], ""),
        None => Reply::status(200, TAGGED, "whole"),
    });
    let answer = get_with(&edge, "/", &[("if-none-match", "\"a\"")]);
    assert_eq!((answer.status, origin.last().header("if-none-match")), (304, Some("\"a\"")));
    // It says nothing to those who have nothing.
    assert_eq!(get(&edge, "/").text(), "whole");
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
fn another_answer_takes_the_place_of_the_stored_one() {
    let (edge, origin) = cached("{}", numbered(&[("cache-control", "max-age=0"), ("etag", "\"a\"")]));
    get(&edge, "/");
    assert_eq!(get(&edge, "/").text(), "answer 2");
    assert_eq!(origin.last().header("if-none-match"), Some("\"a\""));
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
fn cookies_of_a_304_are_for_its_client_alone() {
    let (edge, _origin) = cached("{}", |request: &Seen| {
        let fields = [("cache-control", "max-age=0"), ("etag", "\"a\"")];
        match request.header("if-none-match") {
            Some(_) => Reply::status(
                304,
                &[("cache-control", "max-age=60"), ("etag", "\"a\""), ("set-cookie", "session=1")],
                "",
            ),
            None => Reply::status(200, &fields, "content"),
        }
    });
    get(&edge, "/");
    let second = get(&edge, "/");
    assert_eq!((second.text().as_str(), second.header("set-cookie")), ("content", Some("session=1")));
    let third = get(&edge, "/");
    assert!(is_hit(&third) && third.header("set-cookie").is_none());
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
fn a_head_brings_what_is_stored_up_to_date_or_ends_it() {
    for (tag, text) in [("\"a\"", "answer 1"), ("\"b\"", "answer 2")] {
        let count = AtomicUsize::new(0);
        let (edge, _origin) = cached("{}", move |request: &Seen| {
            if request.method() == "HEAD" {
                let fields = format!("cache-control: max-age=60\r\netag: {tag}\r\ncontent-length: 8");
                return Reply::raw(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n"));
            }
            let number = count.fetch_add(1, Ordering::AcqRel) + 1;
            let fields = [("cache-control", "max-age=0"), ("etag", "\"a\"")];
            Reply::status(200, &fields, format!("answer {number}"))
        });
        get(&edge, "/");
        client(&edge).request("HEAD", "/", &[], b"");
        assert_eq!(get(&edge, "/").text(), text, "{tag}");
    }
}
