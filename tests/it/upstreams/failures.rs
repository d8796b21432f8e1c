//! What becomes of a request whose backend fails: it is tried elsewhere where that is safe, or told apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{before, error_of, failure, listed, nobody, up};
use crate::harness::{Client, Nginx, Origin, Reply, soon};

#[test]
fn an_idempotent_request_is_tried_elsewhere() {
    let broken = Origin::start(|_| Reply::nothing().close());
    let good = Origin::start(|seen| Reply::status(200, &[], &seen.body));
    let edge = before(&format!("'{}', '{}'", broken.address(), good.address()), ", eject: off");
    let mut client = edge.client("listen");
    for _ in 0..4 {
        assert_eq!(client.get("/").status, 200);
        assert_eq!(client.request("PUT", "/", &[], b"again").text(), "again");
    }
    assert!(broken.count() >= 3, "{}", broken.count());
    soon("retries to be counted", || {
        edge.metrics().sum("edgeward_upstream_retries_total", &["outcome=\"tried\""]) >= 3.0
    });
}

#[test]
fn a_post_is_never_sent_twice() {
    let broken = Origin::start(|_| Reply::nothing().close());
    let good = Origin::start(|_| Reply::text("ok"));
    let edge = before(&format!("'{}', '{}'", broken.address(), good.address()), ", eject: off");
    let answers: Vec<_> = (0..6).map(|_| edge.client("listen").request("POST", "/", &[], b"pay")).collect();
    let failed = answers.iter().filter(|answer| answer.status == 502).count();
    assert_eq!((failed, broken.count(), good.count()), (3, 3, 3));
    let told = answers.iter().find(|answer| answer.status == 502).map(error_of);
    assert_eq!(told, Some(failure(502, "connection_terminated")));
}

#[test]
fn a_post_goes_elsewhere_where_nothing_of_it_was_sent() {
    let good = Origin::start(|_| Reply::text("ok"));
    let edge = before(&format!("'{}', '{}'", nobody(), good.address()), ", eject: off");
    for _ in 0..6 {
        assert_eq!(edge.client("listen").request("POST", "/", &[], b"pay").status, 200);
    }
    assert_eq!(good.count(), 6);
}

#[test]
fn retries_are_as_many_as_the_policy_says() {
    let broken: Vec<_> = (0..3).map(|_| Origin::start(|_| Reply::nothing().close())).collect();
    let tries = |retries: &str| {
        let before_count: usize = broken.iter().map(Origin::count).sum();
        let edge = before(&listed(&broken), &format!(", eject: off, retries: {retries}"));
        assert_eq!(edge.client("listen").get("/").status, 502);
        let exhausted =
            edge.metrics().sum("edgeward_upstream_retries_total", &["outcome=\"budget_exhausted\""]);
        (broken.iter().map(Origin::count).sum::<usize>() - before_count, exhausted)
    };
    assert_eq!(tries("{}").0, 3, "two beside the first by default");
    assert_eq!(tries("{ attempts: 0 }").0, 1);
    assert_eq!(tries("{ attempts: 1 }").0, 2);
    assert_eq!(tries("{ attempts: 2, budget: { percent: 0, min_per_second: 1 } }").0, 3);
    assert_eq!(tries("{ attempts: 2, budget: { percent: 100, min_per_second: 0 } }"), (2, 1.0));
}

#[test]
fn failures_are_told_apart() {
    let refused = before(&format!("'{}'", nobody()), "");
    assert_eq!(error_of(&refused.client("listen").get("/")), failure(502, "connection_refused"));
    let garbage = Origin::start(|_| Reply::raw("SSH-2.0-OpenSSH_9.2\r\n\r\n").close());
    let edge = before(&format!("'{}'", garbage.address()), ", retries: { attempts: 0 }");
    assert_eq!(error_of(&edge.client("listen").get("/")), failure(502, "http_protocol_error"));
    let closes = Origin::start(|_| Reply::nothing().close());
    let edge = before(&format!("'{}'", closes.address()), ", retries: { attempts: 0 }");
    assert_eq!(error_of(&edge.client("listen").get("/")), failure(502, "connection_terminated"));
    let silent = Origin::start(|_| Reply::nothing().hold());
    let edge =
        before(&format!("'{}'", silent.address()), ", timeouts: { read: 200ms }, retries: { attempts: 0 }");
    assert_eq!(error_of(&edge.client("listen").get("/")), failure(504, "http_response_timeout"));
    let own = Origin::start(|_| Reply::status(503, &[("x-test-own", "1")], "mine"));
    let edge = before(&format!("'{}'", own.address()), "");
    let answer = edge.client("listen").get("/");
    assert_eq!((answer.status, answer.text(), answer.header("proxy-status")), (503, "mine".to_owned(), None));
}

#[test]
fn no_request_fails_when_one_of_two_backends_is_killed_under_load() {
    const CLIENTS: usize = 8;
    const REQUESTS: usize = 700;
    let server = "location / { return 200 'hello'; }";
    let (Some(mut doomed), Some(other)) = (Nginx::start(server), Nginx::start(server)) else { return };
    let all = format!("'{}', '{}'", doomed.address(), other.address());
    let edge =
        before(&all, ", balance: p2c_ewma, health_check: { http: { path: / }, interval: 200ms, fall: 1 }");
    let (address, done) = (edge.address("listen"), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let done = done.clone();
            std::thread::spawn(move || {
                let mut failed = Vec::new();
                let mut client = Client::connect(address).allow(&["server"]);
                for _ in 0..REQUESTS {
                    let answer = client.get("/");
                    if (answer.status, answer.text().as_str()) != (200, "hello") {
                        failed.push((answer.status, answer.text()));
                    }
                    done.fetch_add(1, Ordering::AcqRel);
                }
                failed
            })
        })
        .collect();
    soon("a quarter of the load", || done.load(Ordering::Acquire) > CLIENTS * REQUESTS / 4);
    doomed.kill();
    let failed: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    assert_eq!(done.load(Ordering::Acquire), CLIENTS * REQUESTS);
    assert!(failed.is_empty(), "{} of {} failed: {:?}", failed.len(), CLIENTS * REQUESTS, failed.first());
    edge.wait_for_metric(&up(doomed.address()), 0.0);
    for _ in 0..50 {
        assert_eq!(Client::connect(address).allow(&["server"]).get("/").status, 200);
    }
}
