//! What is stale: when it is used all the same, and when not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{cached, client, get, is_hit, told};
use crate::harness::{Reply, Seen, eventually};

/// An origin that answers once, and then fails with a status, or not at all (0).
fn failing(control: &'static str, status: u16) -> impl Fn(&Seen) -> Reply + Send + Sync {
    let count = AtomicUsize::new(0);
    move |_| match (count.fetch_add(1, Ordering::AcqRel), status) {
        (0, _) => Reply::status(200, &[("cache-control", control), ("etag", "\"a\"")], "good"),
        (_, 0) => Reply::nothing().close(),
        (_, status) => Reply::status(status, &[], "bad"),
    }
}

#[test]
fn a_stale_answer_stands_in_for_an_origin_that_fails_where_it_may() {
    for (control, filter, failure, answered) in [
        ("max-age=0, stale-if-error=60", "{}", 503, 200),
        ("max-age=0, stale-if-error=60", "{}", 0, 200),
        ("max-age=0", "{ stale_if_error: 1m }", 500, 200),
        ("max-age=0", "{ stale_if_error: 1m }", 0, 200),
        ("max-age=0", "{}", 503, 503),
        ("max-age=0", "{}", 0, 200),
        ("max-age=0", "{ stale_if_unreachable: 0s }", 0, 504),
        ("max-age=0, must-revalidate, stale-if-error=60", "{}", 503, 503),
        ("max-age=0, must-revalidate, stale-if-error=60", "{}", 0, 504),
        ("max-age=0, stale-if-error=60", "{}", 404, 404),
    ] {
        let (edge, _origin) = cached(filter, failing(control, failure));
        get(&edge, "/");
        let answer = get(&edge, "/");
        assert_eq!(answer.status, answered, "{control} {filter} {failure}");
        if answered == 200 {
            assert!(told(&answer).starts_with("\"edgeward\"; fwd=stale"), "{}", told(&answer));
            edge.logged("stale", |line| line["cache"] == "stale" && line["status"] == 200);
        }
    }
}

#[test]
fn a_stale_answer_is_given_while_a_fresh_one_is_fetched() {
    let count = Arc::new(AtomicUsize::new(0));
    for (control, filter) in
        [("max-age=0, stale-while-revalidate=60", "{}"), ("max-age=0", "{ stale_while_revalidate: 1m }")]
    {
        let count = count.clone();
        count.store(0, Ordering::Release);
        let (edge, origin) = cached(filter, move |_: &Seen| {
            let number = count.fetch_add(1, Ordering::AcqRel) + 1;
            let control = if number == 1 { control } else { "max-age=60" };
            Reply::status(200, &[("cache-control", control)], format!("answer {number}"))
        });
        get(&edge, "/");
        let second = get(&edge, "/");
        assert_eq!(second.text(), "answer 1");
        assert!(is_hit(&second), "{}", told(&second));
        let third = eventually("the fresh one", || {
            Some(get(&edge, "/")).filter(|answer| answer.text() == "answer 2")
        });
        assert!(is_hit(&third));
        assert_eq!(origin.count(), 2, "{}", told(&third));
    }
}

/// The policy may say for how long errors are remembered and that stale answers stand in for them: that goes together.
#[test]
fn an_error_that_is_remembered_is_not_what_others_get_where_a_stale_answer_stands_in() {
    let filter = "{ ttl: { 5xx: 1h }, stale_if_error: 1h }";
    let (edge, _origin) = cached(filter, failing("max-age=0", 503));
    for _ in 0..3 {
        assert_eq!(get(&edge, "/").text(), "good");
    }
    let (edge, origin) = cached(filter, |_: &Seen| Reply::status(503, &[], "bad"));
    for _ in 0..2 {
        assert_eq!(get(&edge, "/").status, 503);
    }
    assert_eq!(origin.count(), 1, "where there is nothing else, it is remembered");
}

#[test]
fn a_head_has_the_whole_fetched_while_a_stale_answer_is_given() {
    let count = AtomicUsize::new(0);
    // It says nothing of a length, so that nobody can tell a HEAD's answer from one without content.
    let (edge, origin) = cached("{}", move |_: &Seen| match count.fetch_add(1, Ordering::AcqRel) {
        0 => Reply::status(200, &[("cache-control", "max-age=0, stale-while-revalidate=60")], "old"),
        _ => {
            Reply::raw("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\nconnection: close\r\n\r\nnew").close()
        }
    });
    get(&edge, "/");
    assert!(is_hit(&client(&edge).request("HEAD", "/", &[], b"")));
    let fresh = eventually("the fresh one", || Some(get(&edge, "/")).filter(|answer| answer.text() != "old"));
    assert_eq!((fresh.text().as_str(), is_hit(&fresh)), ("new", true));
    assert_eq!(origin.last().method(), "GET");
}
