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
    edge.wait_for_sum("edgeward_refusals_total", &labels, 1.0);
}

#[test]
fn a_filter_is_left_out_where_its_condition_does_not_hold() {
    let origin = Origin::start(|_| Reply::text("hello"));
    let edge = Edge::policy(
        r#"
listeners: [{ address: "{listen}" }]
lists:
  blocked: { kind: string, entries: [mallory], file: more.txt }
routes:
  - name: all
    match: { path: "/users/{user}/**" }
    filters:
      - ip_access: { deny: [127.0.0.0/8], when: 'path.user in $blocked' }
      - request_headers: { set: { x-beta: "yes" }, when: 'http.request.headers["x-plan"][0] == "beta"' }
      - response_headers: { set: { x-missing: "yes" }, when: "http.response.code == 404" }
    upstream: echo
upstreams: { echo: { backends: ["{origin}"] } }
"#,
    )
    .file("more.txt", "# people\neve smith\n")
    .with("origin", origin.address())
    .start();
    let mut client = edge.client("listen");
    assert_eq!(client.get("/users/alice/").status, 200);
    for name in ["mallory", "%6dallory", "eve%20smith"] {
        let refused = client.get(&format!("/users/{name}/"));
        assert_eq!((refused.status, refused.reason().as_str()), (403, "ip_access"), "{name}");
    }
    let mut client = edge.client("listen").allow(&["x-missing"]);
    assert!(client.get("/users/alice/").header("x-missing").is_none());
    assert_eq!(client.get("/nowhere").status, 404);
    // A condition on what is not there does not leave the filter out.
    assert_eq!(origin.last().header("x-beta"), Some("yes"));
    let with = |plan| edge.client("listen").request("GET", "/users/alice/", &[("X-Plan", plan)], b"").status;
    assert_eq!((with("free"), origin.last().header("x-beta")), (200, None));
    assert_eq!((with("beta"), origin.last().header("x-beta")), (200, Some("yes")));
}

#[test]
fn a_condition_is_decided_once_for_both_ways() {
    let (edge, origin) = running(
        "{ request_headers: { set: { x-mark: done } } }, \
         { cors: { origins: ['https://a.example'], when: 'not exists(http.request.headers[\"x-internal\"])' } }",
    );
    let ask = |more: &[(&str, &str)]| {
        let headers = [&[("Origin", "https://a.example")], more].concat();
        let mut client = edge.client("listen").allow(&["access-control-allow-origin", "vary"]);
        client.request("GET", "/", &headers, b"")
    };
    assert!(ask(&[]).header("access-control-allow-origin").is_some());
    assert!(ask(&[("X-Internal", "1")]).header("access-control-allow-origin").is_none());
    assert_eq!(origin.last().header("x-mark"), Some("done"));
}

#[test]
fn headers_by_which_filters_name_the_caller_are_no_clients_to_send() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = Edge::policy(&format!(
        "listeners: [{{ address: '{{listen}}' }}]
upstreams: {{ app: {{ backends: ['{{origin}}'] }} }}
routes:
  - {{ name: staff, match: {{ path: /staff }}, upstream: app,
      filters: [{{ basic_auth: {{ users: ['alice:{WONDERLAND}'], forward_user_as: x-user }} }}] }}
  - {{ name: open, match: {{ path: /open }}, upstream: app }}
"
    ))
    .with("origin", origin.address())
    .start();
    let forged = [("X-User", "admin"), ("X_User", "admin"), ("X-Users", "2")];
    let ask = |path: &str, more: &[(&str, &str)]| {
        edge.client("listen").request("GET", path, &[&forged, more].concat(), b"").status
    };
    assert_eq!(ask("/open", &[]), 200);
    let seen = origin.last();
    assert_eq!(
        (seen.header("x-user"), seen.header("x_user"), seen.header("x-users")),
        (None, None, Some("2"))
    );
    assert_eq!((ask("/staff", &[]), ask("/staff", &[super::ALICE])), (401, 200));
    assert_eq!(origin.last().all("x-user"), ["alice"]);
}
