//! Which backends get requests at all: active checks, and what failing requests teach.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{before, error_of, failure, shares, up};
use crate::harness::{H2Origin, H2Reply, Origin, Reply, eventually, soon};

/// A backend whose `/healthz` answers what `healthy` says, and everything else with its number.
fn checked(number: &'static str, healthy: &Arc<AtomicBool>) -> Origin {
    let healthy = healthy.clone();
    Origin::start(move |seen| match (seen.target(), healthy.load(Ordering::Acquire)) {
        ("/healthz", true) => Reply::text("fine"),
        ("/healthz", false) => Reply::status(500, &[], "ill"),
        _ => Reply::text(number),
    })
}

#[test]
fn a_failing_health_check_takes_a_backend_out_until_it_passes_again() {
    let (well, ill) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let (zero, one) = (checked("0", &well), checked("1", &ill));
    let check = ", health_check: { http: { path: /healthz }, interval: 100ms, fall: 2, rise: 2 }";
    let edge = before(&format!("'{}', '{}'", zero.address(), one.address()), check);
    edge.wait_for_metric(&up(one.address()), 1.0);
    assert_eq!(shares(&edge, 2, 4), [2, 2]);
    ill.store(false, Ordering::Release);
    edge.wait_for_metric(&up(one.address()), 0.0);
    assert_eq!(shares(&edge, 2, 4), [4, 0]);
    well.store(false, Ordering::Release);
    edge.wait_for_metric(&up(zero.address()), 0.0);
    let answer = edge.client("listen").get("/");
    assert_eq!(error_of(&answer), failure(503, "no_healthy_backend"));
    ill.store(true, Ordering::Release);
    edge.wait_for_metric(&up(one.address()), 1.0);
    assert_eq!(shares(&edge, 2, 4), [0, 4]);
    assert!(edge.metrics().sum("edgeward_health_checks_total", &["outcome=\"failed\""]) >= 2.0);
}

/// Whether a backend that answers `reply` to checks is found healthy.
fn healthy(check: &str, reply: fn() -> Reply) -> bool {
    let origin = Origin::start(move |_| reply());
    let edge = before(
        &format!("'{}'", origin.address()),
        &format!(", health_check: {{ {check}, interval: 100ms, fall: 1 }}"),
    );
    soon("a check", || edge.metrics().sum("edgeward_health_checks_total", &[]) >= 1.0);
    edge.metrics().value(&up(origin.address())) == Some(1.0)
}

#[test]
fn each_part_of_a_health_check_counts() {
    let answer = || Reply::status(204, &[("x-state", "ready")], "");
    assert!(healthy("http: { path: /h }", answer));
    assert!(healthy("http: { path: /h, status: [204] }", answer));
    assert!(!healthy("http: { path: /h, status: [200] }", answer));
    assert!(healthy("http: { path: /h, headers: { x-state: ready } }", answer));
    assert!(!healthy("http: { path: /h, headers: { x-state: starting } }", answer));
    let text = || Reply::text("all is well");
    assert!(healthy("http: { path: /h, body: 'is w.ll' }", text));
    assert!(!healthy("http: { path: /h, body: '^well' }", text));
    let slow = || Reply::text("late").after(Duration::from_millis(600));
    assert!(!healthy("http: { path: /h }, timeout: 200ms", slow));
}

#[test]
fn a_health_check_asks_what_the_policy_says_where_it_says() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let elsewhere = Origin::start(|_| Reply::text("ok"));
    let check = format!(
        ", health_check: {{ http: {{ path: '/h?deep=1', host: health.internal, method: HEAD }}, interval: 100ms, port: {} }}",
        elsewhere.address().port()
    );
    let _edge = before(&format!("'{}'", origin.address()), &check);
    let seen = eventually("a check", || elsewhere.requests().pop());
    assert_eq!((seen.line(), seen.header("host")), ("HEAD /h?deep=1 HTTP/1.1", Some("health.internal")));
    let began = elsewhere.count();
    let start = Instant::now();
    soon("ten more checks", || elsewhere.count() >= began + 10);
    assert!(start.elapsed() > Duration::from_millis(500), "faster than the interval: {:?}", start.elapsed());
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_tcp_check_needs_nothing_but_a_connection() {
    let origin = Origin::start(|_| Reply::nothing().close());
    let edge =
        before(&format!("'{}'", origin.address()), ", health_check: { tcp: {}, interval: 100ms, fall: 1 }");
    edge.wait_for_metric(&up(origin.address()), 1.0);
    origin.kill();
    edge.wait_for_metric(&up(origin.address()), 0.0);
}

#[test]
fn a_grpc_check_asks_the_health_service() {
    let serving = Arc::new(AtomicUsize::new(1));
    let state = serving.clone();
    let origin = H2Origin::cleartext(move |_| {
        H2Reply::grpc(&[8, u8::try_from(state.load(Ordering::Acquire)).unwrap()], 0)
    });
    let check =
        ", protocol: grpc, health_check: { grpc: { service: orders.v1 }, interval: 100ms, fall: 1, rise: 1 }";
    let edge = before(&format!("'{}'", origin.address()), check);
    edge.wait_for_metric(&up(origin.address()), 1.0);
    let seen = eventually("a check", || origin.requests().pop());
    assert_eq!(seen.head.uri.path(), "/grpc.health.v1.Health/Check");
    assert_eq!(&seen.body[5..], b"\x0a\x09orders.v1");
    serving.store(2, Ordering::Release);
    edge.wait_for_metric(&up(origin.address()), 0.0);
}

#[test]
fn a_backend_that_keeps_failing_is_left_out() {
    let bad = Origin::start(|_| Reply::status(503, &[], "no"));
    let good = Origin::start(|_| Reply::text("ok"));
    let all = format!("'{}', '{}'", bad.address(), good.address());
    let edge = before(&all, ", eject: { failures: 2, for: 1h }");
    for _ in 0..20 {
        edge.client("listen").get("/");
    }
    assert_eq!((bad.count(), good.count()), (2, 18));
    edge.wait_for_sum("edgeward_upstream_ejections_total", &[], 1.0);
    assert_eq!(edge.metrics().value(&up(bad.address())), Some(0.0));
    let edge = before(&all, ", eject: off");
    for _ in 0..20 {
        edge.client("listen").get("/");
    }
    assert_eq!((bad.count(), good.count()), (12, 28));
    let edge = before(&all, ", eject: { failures: 1, for: 1h, max_percent: 1 }");
    for _ in 0..4 {
        edge.client("listen").get("/");
    }
    assert_eq!(bad.count(), 14, "one percent of two is none");
    let edge = before(&all, ", eject: { failures: 1, for: 300ms }");
    for _ in 0..4 {
        edge.client("listen").get("/");
    }
    assert_eq!(bad.count(), 15);
    soon("another chance", || {
        edge.client("listen").get("/");
        bad.count() >= 16
    });
}
