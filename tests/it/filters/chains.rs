//! How filters stand together: order, names, shadow mode.

use super::{WONDERLAND, from, running};
use crate::harness::{Edge, Origin, Reply};

#[test]
fn filters_run_in_the_order_written_and_responses_backwards() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = Edge::policy(
        "listeners: [{ address: '{listen}' }]
upstreams: { app: { backends: ['{origin}'] } }
filters: [{ request_headers: { add: { x-order: common } } }, { response_headers: { add: { x-test-order: common } } }]
chains:
  inner: [{ request_headers: { add: { x-order: inner } } }, { response_headers: { add: { x-test-order: inner } } }]
  outer: [{ chain: inner }, { request_headers: { add: { x-order: outer } } }]
routes:
  - { name: app, match: { path: / }, upstream: app, filters: [{ chain: outer }, { request_headers: { add: { x-order: own } } }] }
  - { name: bare, match: { path: /bare }, upstream: app }
",
    )
    .with("origin", origin.address())
    .start();
    let answer = edge.client("listen").get("/");
    assert_eq!(origin.last().all("x-order"), ["common", "inner", "outer", "own"]);
    assert_eq!(answer.all("x-test-order"), ["inner", "common"]);
    edge.client("listen").get("/bare");
    assert_eq!(origin.last().all("x-order"), ["common"]);
}

#[test]
fn the_first_refusal_ends_the_chain() {
    let (edge, _origin) =
        running("{ ip_access: { deny: [192.0.2.1] } }, { rate_limit: { limit: 1/1h, key: route } }");
    assert_eq!((from(&edge, "192.0.2.1"), from(&edge, "192.0.2.1")), (403, 403));
    assert_eq!(from(&edge, "192.0.2.2"), 200, "what was refused before was not counted");
    assert_eq!(from(&edge, "192.0.2.2"), 429);
}

#[test]
fn a_shadow_counts_and_logs_and_lets_pass() {
    let filters = format!(
        "{{ ip_access: {{ deny: [192.0.2.1], mode: shadow }} }}, {{ basic_auth: {{ users: ['alice:{WONDERLAND}'], mode: shadow }} }}, \
         {{ rate_limit: {{ limit: 1/1h, mode: shadow }} }}, {{ request_limits: {{ max_body: 1B, mode: shadow }} }}"
    );
    let (edge, origin) = running(&filters);
    assert_eq!(from(&edge, "192.0.2.1"), 200);
    let body = edge.client("listen").request("POST", "/body", &[("X-Forwarded-For", "192.0.2.1")], b"long");
    assert_eq!((body.status, origin.last().body.as_slice()), (200, &b"long"[..]));
    let line = edge.logged("/body", |line| line["path"] == "/body");
    let shadows = [
        "ip_access:ip_access",
        "basic_auth:basic_auth_missing",
        "rate_limit:rate_limit",
        "request_limits:body_too_large",
    ];
    assert_eq!(line["shadow_refusals"], serde_json::json!(shadows));
    assert_eq!((line.get("reason"), line.get("filter")), (None, None));
    let metrics = edge.metrics();
    let shadowed = |filter: &str| {
        metrics.sum("edgeward_shadow_refusals_total", &["route=\"app\"", &format!("filter=\"{filter}\"")])
    };
    assert_eq!((shadowed("ip_access"), shadowed("basic_auth"), shadowed("rate_limit")), (2.0, 2.0, 1.0));
    assert_eq!(metrics.sum("edgeward_refusals_total", &["route=\"app\""]), 0.0);
}

#[test]
fn an_enforced_filter_is_counted_and_logged_by_its_reason() {
    let (edge, _origin) = running("{ ip_access: { deny: [192.0.2.1], mode: enforce } }");
    assert_eq!(from(&edge, "192.0.2.1"), 403);
    let line = edge.logged("403", |line| line["status"] == 403);
    assert_eq!((&line["filter"], &line["reason"]), (&"ip_access".into(), &"ip_access".into()));
    let labels = ["route=\"app\"", "filter=\"ip_access\"", "reason=\"ip_access\""];
    assert_eq!(edge.metrics().sum("edgeward_refusals_total", &labels), 1.0);
}
