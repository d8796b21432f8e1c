//! One question to the origin for all who ask at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{ALLOWED, cached, client, get, get_with, is_hit, told};
use crate::harness::{Client, Edge, Origin, Reply, Seen, eventually, soon};

/// An origin that answers once it is let.
fn gated(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Edge, Origin, Arc<AtomicBool>) {
    let gate = Arc::new(AtomicBool::new(false));
    let opened = gate.clone();
    let (edge, origin) = cached("{}", move |request: &Seen| {
        soon("the gate", || opened.load(Ordering::Acquire));
        reply(request)
    });
    (edge, origin, gate)
}

fn ask(edge: &Edge) -> Client {
    let mut client = client(edge);
    client.send("GET /a HTTP/1.1\r\nhost: localhost\r\n\r\n");
    client
}

/// Waits until so many requests are being served.
fn await_requests(edge: &Edge, count: u32) {
    edge.wait_for_metric("edgeward_requests_in_flight", f64::from(count));
}

#[test]
fn hundreds_of_clients_are_one_request() {
    let body = vec![b'x'; 300_000];
    let sent = body.clone();
    let (edge, origin, gate) =
        gated(move |_| Reply::status(200, &[("cache-control", "max-age=60")], sent.clone()));
    let mut clients: Vec<_> = (0..300).map(|_| ask(&edge)).collect();
    await_requests(&edge, 300);
    gate.store(true, Ordering::Release);
    let mut collapsed = 0;
    for client in &mut clients {
        let answer = client.response();
        assert!(answer.status == 200 && answer.body == body);
        collapsed += usize::from(told(&answer).contains("; collapsed"));
    }
    assert_eq!((origin.count(), collapsed), (1, 299));
    assert!(is_hit(&get(&edge, "/a")));
}

#[test]
fn a_client_that_leaves_takes_it_from_nobody() {
    let half = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 8\r\n\r\nhalf";
    let (edge, origin, gate) = gated(move |_| Reply::raw(half).wait(Duration::from_millis(300)).then("rest"));
    let mut leader = ask(&edge);
    eventually("the question", || (origin.count() == 1).then_some(()));
    let mut follower = ask(&edge);
    await_requests(&edge, 2);
    gate.store(true, Ordering::Release);
    leader.take_to(b"\r\n\r\nhalf").unwrap();
    drop(leader);
    assert_eq!(follower.response().text(), "halfrest");
    assert!(is_hit(&get(&edge, "/a")));
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_client_that_leaves_before_the_answer_takes_it_from_nobody() {
    let (edge, origin, gate) = gated(|_| Reply::status(200, &[("cache-control", "max-age=60")], "ok"));
    let leader = ask(&edge);
    eventually("the question", || (origin.count() == 1).then_some(()));
    let mut follower = ask(&edge);
    await_requests(&edge, 2);
    drop(leader);
    await_requests(&edge, 1);
    gate.store(true, Ordering::Release);
    let answer = follower.response();
    assert_eq!((answer.text().as_str(), origin.count()), ("ok", 1), "{}", told(&answer));
}

#[test]
fn the_beginning_is_read_before_the_end_has_come() {
    let half =
        "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    let (edge, _origin) = cached("{}", move |_: &_| Reply::raw(half).hold());
    for _ in 0..2 {
        let mut client = ask(&edge);
        client.take_to(b"half").unwrap();
        std::mem::forget(client);
    }
}

#[test]
fn private_answers_do_not_wait_for_each_other() {
    let (edge, origin, gate) = gated(|_| Reply::status(200, &[("cache-control", "private")], "mine"));
    let mut clients: Vec<_> = (0..8).map(|_| ask(&edge)).collect();
    await_requests(&edge, 8);
    eventually("the first question", || (origin.count() == 1).then_some(()));
    gate.store(true, Ordering::Release);
    for client in &mut clients {
        assert_eq!(client.response().text(), "mine");
    }
    assert_eq!(origin.count(), 8);
    gate.store(false, Ordering::Release);
    // Now it is known.
    let mut clients: Vec<_> = (0..8).map(|_| ask(&edge)).collect();
    eventually("eight questions at once", || (origin.count() == 16).then_some(()));
    gate.store(true, Ordering::Release);
    for client in &mut clients {
        assert_eq!(client.response().text(), "mine");
    }
}

#[test]
fn what_was_private_may_be_shared_later() {
    let shared = Arc::new(AtomicBool::new(false));
    let is_shared = shared.clone();
    let (edge, origin) = cached("{}", move |_: &_| {
        let control = if is_shared.load(Ordering::Acquire) { "max-age=60" } else { "private" };
        Reply::status(200, &[("cache-control", control)], "x")
    });
    get(&edge, "/");
    get(&edge, "/");
    shared.store(true, Ordering::Release);
    get(&edge, "/");
    assert!(is_hit(&get(&edge, "/")));
    assert_eq!(origin.count(), 3);
}

#[test]
fn who_waits_too_long_asks_alone() {
    let gate = Arc::new(AtomicBool::new(false));
    let opened = gate.clone();
    let first = AtomicBool::new(true);
    let (edge, origin) = cached("{ lock_timeout: 50ms }", move |_: &_| {
        if first.swap(false, Ordering::AcqRel) {
            soon("the gate", || opened.load(Ordering::Acquire));
        }
        Reply::status(200, &[("cache-control", "max-age=60")], "ok")
    });
    let mut leader = ask(&edge);
    eventually("the question", || (origin.count() == 1).then_some(()));
    assert_eq!(get(&edge, "/a").text(), "ok");
    gate.store(true, Ordering::Release);
    assert_eq!((leader.response().text().as_str(), origin.count()), ("ok", 2));
}

#[test]
fn followers_of_each_variant_are_one_request() {
    let (edge, origin, gate) = gated(|request| {
        let language = request.header("accept-language").unwrap_or("none").to_owned();
        Reply::status(200, &[("cache-control", "max-age=60"), ("vary", "accept-language")], language)
    });
    let ask = |language: &str| {
        let mut client = edge.client("listen").allow(&ALLOWED);
        client.send(format!("GET /a HTTP/1.1\r\nhost: localhost\r\naccept-language: {language}\r\n\r\n"));
        client
    };
    let mut leader = ask("de");
    eventually("the question", || (origin.count() == 1).then_some(()));
    let languages = ["fr", "de", "en"].repeat(20);
    let mut others: Vec<_> = languages.iter().map(|language| ask(language)).collect();
    await_requests(&edge, 61);
    gate.store(true, Ordering::Release);
    assert_eq!(leader.response().text(), "de");
    for (other, language) in others.iter_mut().zip(languages) {
        assert_eq!(other.response().text(), language);
    }
    assert_eq!(origin.count(), 3, "one question for each variant");
}

#[test]
fn an_origin_that_fails_fails_for_everyone_and_the_next_try_is_a_new_one() {
    let (edge, origin, gate) = gated(|_| Reply::nothing().close());
    let mut clients: Vec<_> = (0..3).map(|_| ask(&edge)).collect();
    await_requests(&edge, 3);
    gate.store(true, Ordering::Release);
    for client in &mut clients {
        assert_eq!(client.response().status, 502);
    }
    assert!(origin.count() >= 3);
}

#[test]
fn an_event_stream_ends_with_its_reader() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let (edge, origin) = cached("{}", move |_: &_| Reply::raw(head).hold());
    let mut reader = ask(&edge);
    reader.take_to(b"hello").unwrap();
    drop(reader);
    await_requests(&edge, 0);
    assert_eq!(origin.count(), 1);
    // The connection is given up, not used again with half an answer on it.
    get_with(&edge, "/b", &[("connection", "close"), ("cache-control", "only-if-cached")]);
}
