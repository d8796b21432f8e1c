//! What operators see: the access log, metrics, and the admin listener.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::tools::{has, run};
use crate::harness::{Client, Edge, Origin, Reply, Setup, Visitor, soon};

/// bcrypt of `wonderland`.
const WONDERLAND: &str = "$2y$05$ttWXLy8gW7v43jFpvsxPMeomR6hpAvTkiwULa0xcDFqDsaeZAKnfK";
const SECRETS: [&str; 5] = ["wonderland", "YWxpY2U6d29uZGVybGFuZA==", "hunter2", "s3cr3t", "c00kie"];

fn setup(log: &str) -> Setup {
    Edge::policy(&format!(
        "admin: {{ address: '{{admin}}' }}
access_log: {log}
listeners: [{{ address: '{{listen}}' }}, {{ address: '{{tls}}', tls: {{ self_signed: [localhost] }} }}]
upstreams: {{ app: {{ backends: ['{{origin}}'] }} }}
routes:
  - {{ name: app, match: {{ path: /app/** }}, upstream: app }}
  - {{ name: shut, match: {{ path: /shut }}, upstream: app, filters: [{{ ip_access: {{ deny: [127.0.0.0/8] }} }}] }}
  - {{ name: login, match: {{ path: /login }}, upstream: app, filters: [{{ basic_auth: {{ users: ['alice:{WONDERLAND}'] }} }}] }}
  - {{ name: known, match: {{ path: /known }}, upstream: app, filters: [{{ request_headers: {{ set: {{ Authorization: Bearer s3cret, x-api-key: s3cret, x-test: shown }} }} }}, {{ cors: {{ origins: ['https://a.example'], credentials: true }} }}] }}
"
    ))
}

fn start(log: &str) -> (Edge, Origin) {
    let origin = Origin::start(|_| {
        Reply::status(201, &[("x-test-a", "from afar"), ("set-cookie", "sid=c00kie")], "made")
    });
    (setup(log).with("origin", origin.address()).start(), origin)
}

fn ask(edge: &Edge, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> u16 {
    edge.client("listen").allow(&["set-cookie"]).request(method, target, headers, body).status
}

fn at(edge: &Edge, path: &str) -> Value {
    edge.logged(path, |line| line["path"] == path)
}

fn keys(line: &Value) -> BTreeSet<&str> {
    line.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_line_tells_what_became_of_a_request() {
    let (edge, origin) = start("{ to: access.log }");
    let headers = [("User-Agent", "probe/1"), ("Referer", "https://x.test/?secret=hunter2")];
    assert_eq!(ask(&edge, "POST", "/app/a?token=hunter2", &headers, b"hello"), 201);
    let line = at(&edge, "/app/a");
    for (key, value) in [
        ("client_ip", json!("127.0.0.1")),
        ("method", json!("POST")),
        ("host", json!("localhost")),
        ("protocol", json!("HTTP/1.1")),
        ("route", json!("app")),
        ("status", json!(201)),
        ("upstream", json!("app")),
        ("backend", json!(origin.address().to_string())),
        ("upstream_status", json!(201)),
        ("bytes_in", json!(5)),
        ("bytes_out", json!(4)),
        ("user_agent", json!("probe/1")),
    ] {
        assert_eq!(line[key], value, "{key}: {line}");
    }
    let seen = origin.only();
    assert_eq!(line["request_id"].as_str(), seen.header("x-request-id"));
    assert_eq!(line["trace_id"].as_str(), seen.header("traceparent").map(|parent| &parent[3..35]));
    assert!(
        line["duration_ms"].as_f64().unwrap() >= line["upstream_duration_ms"].as_f64().unwrap(),
        "{line}"
    );
    assert!(line["time"].as_str().unwrap().ends_with('Z'));
    for absent in ["query", "referer", "reason", "filter", "retries", "tls_version"] {
        assert!(!keys(&line).contains(absent), "{absent}: {line}");
    }
}

#[test]
fn a_line_tells_why_a_request_was_refused() {
    let (edge, _origin) = start("{ to: access.log }");
    for (path, status, filter, reason) in [
        ("/shut", 403, "ip_access", "ip_access"),
        ("/nowhere", 404, "proxy", "no_route"),
        ("/login", 401, "basic_auth", "basic_auth_missing"),
    ] {
        assert_eq!(ask(&edge, "GET", path, &[], b""), status);
        let line = at(&edge, path);
        assert_eq!(
            (&line["status"], &line["filter"], &line["reason"]),
            (&json!(status), &json!(filter), &json!(reason))
        );
    }
    let mut broken = edge.client("listen");
    broken.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    assert_eq!(broken.response().status, 400);
    let line = edge.logged("400", |line| line["status"] == 400);
    assert_eq!((&line["route"], &line["filter"]), (&json!("-"), &json!("proxy")));
    assert!(line["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{line}");
}

#[test]
fn a_line_tells_of_retries_and_of_the_backend_that_answered() {
    let (broken, good) = (Origin::start(|_| Reply::nothing().close()), Origin::start(|_| Reply::text("ok")));
    let edge = Edge::policy(&format!(
        "access_log: {{ to: access.log }}
listeners: [{{ address: '{{listen}}' }}]
upstreams: {{ app: {{ backends: ['{}', '{}'] }} }}
routes: [{{ name: app, match: {{ path: /** }}, upstream: app }}]
",
        broken.address(),
        good.address()
    ))
    .start();
    edge.client("listen").get("/1");
    edge.client("listen").get("/2");
    assert!(broken.count() > 0);
    let line = edge.logged("a retried request", |line| line.get("retries").is_some());
    assert_eq!((&line["retries"], &line["backend"]), (&json!(1), &json!(good.address().to_string())));
    assert_eq!((&line["status"], &line["upstream_status"]), (&json!(200), &json!(200)));
}

#[test]
fn a_refused_request_and_its_answer_share_an_id() {
    let (edge, _origin) = start("{ to: access.log }");
    let answer = edge.client("listen").get("/shut");
    assert_eq!(answer.json()["request_id"], at(&edge, "/shut")["request_id"]);
}

#[test]
fn the_policy_chooses_the_fields() {
    let (edge, _origin) = start("{ to: access.log, fields: [path, status, query, referer] }");
    assert_eq!(ask(&edge, "GET", "/app/a?b=c", &[("Referer", "https://x.test/page?q=1")], b""), 201);
    let line = at(&edge, "/app/a");
    assert_eq!(
        line,
        json!({ "path": "/app/a", "status": 201, "query": "b=c", "referer": "https://x.test/page" })
    );
}

#[test]
fn every_field_can_be_asked_for() {
    let all = "[time, request_id, trace_id, client_ip, peer_ip, method, scheme, host, path, query, protocol, tls_version, \
               tls_cipher, tls_sni, route, upstream, backend, status, reason, filter, shadow_refusals, bytes_in, bytes_out, \
               duration_ms, upstream_duration_ms, retries, upstream_status, user_agent, referer, cache, consumer]";
    let (edge, _origin) = start(&format!("{{ to: access.log, fields: {all} }}"));
    let mut client = Client::tls(edge.address("tls"), &Visitor::named("localhost")).allow(&["set-cookie"]);
    let headers = [("User-Agent", "u"), ("Referer", "https://r.test/"), alice()];
    assert_eq!(client.request("POST", "/login?a=b", &headers, b"x").status, 201);
    let line = at(&edge, "/login");
    let absent = ["reason", "filter", "shadow_refusals", "retries", "cache"];
    let wanted: BTreeSet<_> = all
        .trim_matches(['[', ']'])
        .split(", ")
        .map(str::trim)
        .filter(|name| !absent.contains(name))
        .collect();
    assert_eq!(keys(&line), wanted);
    assert_eq!(
        (&line["scheme"], &line["peer_ip"], &line["consumer"]),
        (&json!("https"), &json!("127.0.0.1"), &json!("alice"))
    );
}

fn alice() -> (&'static str, &'static str) {
    ("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==")
}

#[test]
fn named_headers_are_logged() {
    let (edge, _origin) =
        start("{ to: access.log, fields: [path], request_headers: [x-asked], response_headers: [x-test-a] }");
    assert_eq!(ask(&edge, "GET", "/app/a", &[("X-Asked", "so"), ("X-Other", "no")], b""), 201);
    let expected =
        json!({ "path": "/app/a", "request_header.x-asked": "so", "response_header.x-test-a": "from afar" });
    assert_eq!(at(&edge, "/app/a"), expected);
}

#[test]
fn secrets_are_never_logged() {
    let (edge, _origin) = start("{ to: access.log }");
    let headers = [
        alice(),
        ("Cookie", "sid=c00kie"),
        ("X-Api-Key", "s3cr3t"),
        ("Proxy-Authorization", "Basic hunter2"),
        ("Referer", "https://a.test/?password=hunter2"),
    ];
    assert_eq!(ask(&edge, "GET", "/login?password=hunter2", &headers, b""), 201);
    at(&edge, "/login");
    let text = edge.folder.read("access.log");
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[test]
fn the_log_can_be_off() {
    let (edge, _origin) = start("{ to: off }");
    assert_eq!(ask(&edge, "GET", "/app/a", &[], b""), 201);
    assert_eq!(edge.stop().read("access.log"), "");
}

#[test]
fn requests_are_counted_by_route_method_and_class() {
    let (edge, _origin) = start("{ to: access.log }");
    ask(&edge, "GET", "/app/a", &[], b"");
    ask(&edge, "POST", "/app/b", &[], b"hello");
    ask(&edge, "GET", "/shut", &[], b"");
    let series = |route: &str, method: &str, class: &str| {
        format!("edgeward_requests_total{{method=\"{method}\",route=\"{route}\",status_class=\"{class}\"}}")
    };
    for (route, method, class) in [("app", "GET", "2xx"), ("app", "POST", "2xx"), ("shut", "GET", "4xx")] {
        edge.wait_for_metric(&series(route, method, class), 1.0);
    }
    let metrics = edge.metrics();
    assert_eq!(metrics.value("edgeward_request_bytes_total{route=\"app\"}"), Some(5.0));
    assert_eq!(metrics.value("edgeward_response_bytes_total{route=\"app\"}"), Some(8.0));
    assert_eq!(metrics.value("edgeward_request_duration_seconds_count{route=\"app\"}"), Some(2.0));
    assert_eq!(metrics.value("edgeward_upstream_duration_seconds_count{upstream=\"app\"}"), Some(2.0));
    assert_eq!(metrics.sum("edgeward_upstream_requests_total", &["outcome=\"success\""]), 2.0);
    assert_eq!(metrics.value("edgeward_requests_in_flight"), Some(0.0));
    let listener = format!("listener=\"{}\"", edge.address("listen"));
    assert_eq!(metrics.sum("edgeward_connections_accepted_total", &[&listener]), 3.0);
}

#[test]
fn every_family_of_the_reference_is_there() {
    let (edge, _origin) = start("{ to: access.log }");
    ask(&edge, "GET", "/app/a", &[], b"");
    // It is counted when it is over, which is after its answer.
    soon("the request to be counted", || edge.metrics().sum("edgeward_requests_total", &[]) >= 1.0);
    let text = edge.metrics().text;
    for family in [
        "build_info",
        "policy_info",
        "reloads_total",
        "last_reload_timestamp_seconds",
        "last_reload_success",
        "certificate_expiry_timestamp_seconds",
        "connections",
        "connections_accepted_total",
        "connections_closed_total",
        "handshake_failures_total",
        "requests_in_flight",
        "requests_total",
        "request_duration_seconds",
        "request_bytes_total",
        "response_bytes_total",
        "upstream_duration_seconds",
        "upstream_retries_total",
        "upstream_requests_total",
        "upstream_backend_up",
        "upstream_ejections_total",
        "health_checks_total",
    ] {
        assert!(text.contains(&format!("# TYPE edgeward_{family} ")), "{family}");
    }
    edge.wait_for_metric("edgeward_reloads_total{outcome=\"success\"}", 1.0);
}

#[test]
fn label_values_are_bounded_whatever_clients_send() {
    let (edge, _origin) = start("{ to: access.log }");
    ask(&edge, "GET", "/app/a", &[], b"");
    ask(&edge, "REPORT", "/app/a", &[], b"");
    let before = edge.metrics().text.lines().count();
    for at in 0..60 {
        let host = format!("host{at}.test");
        ask(
            &edge,
            "GET",
            &format!("/app/{at}?x={at}"),
            &[("Host", &host), ("User-Agent", &host), ("X-Request-ID", &host)],
            b"",
        );
        ask(&edge, "GET", &format!("/nowhere/{at}"), &[("Host", &host)], b"");
        ask(&edge, &format!("METHOD{at}"), "/app/a", &[], b"");
    }
    let metrics = edge.metrics();
    let more = metrics.text.lines().count() - before;
    assert!(more < 80, "{more} more lines");
    assert!(!metrics.text.contains("host1") && !metrics.text.contains("METHOD1"));
}

#[test]
fn promtool_finds_nothing_to_say() {
    if !has("promtool") {
        return;
    }
    let (edge, _origin) = start("{ to: access.log }");
    ask(&edge, "GET", "/app/a", &[], b"");
    ask(&edge, "GET", "/shut", &[], b"");
    let output = run("promtool", &["check", "metrics"], edge.metrics().text.as_bytes());
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && told.is_empty(), "{}", String::from_utf8_lossy(&told));
}

#[test]
fn the_admin_listener_answers_operators() {
    let (edge, _origin) = start("{ to: access.log }");
    let mut admin = edge.client("admin");
    let metrics = admin.get("/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"), "{metrics:?}");
    assert_eq!((admin.get("/healthz").status, admin.get("/readyz").status), (200, 200));
    assert_eq!(admin.get("/nothing").status, 404);
    let wrong = admin.request("POST", "/metrics", &[], b"");
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(edge.client("admin").get("/reload").header("allow"), Some("POST"));
}

#[test]
fn the_policy_is_shown_without_its_secrets() {
    let (edge, _origin) = start("{ to: access.log }");
    let shown = edge.client("admin").get("/config");
    assert_eq!(shown.header("content-type"), Some("application/json"));
    let policy = shown.json();
    assert_eq!(policy["routes"][0]["name"], "app");
    assert_eq!(policy["routes"][2]["filters"][0]["basic_auth"]["users"], "***");
    assert!(!shown.text().contains("$2y$") && !shown.text().contains("s3cret"), "{}", shown.text());
    let filters = &policy["routes"][3]["filters"];
    assert_eq!(filters[0]["request_headers"]["set"]["x-test"], "shown");
    assert_eq!(filters[1]["cors"]["credentials"], true, "a word that is no secret");
}

#[test]
fn a_token_is_asked_for_where_there_is_one() {
    let edge = Edge::policy(
        "admin: { address: '{admin}', token: { file: token } }
listeners: [{ address: '{listen}' }]
routes: [{ name: a, match: { path: / }, respond: { body: a } }]
",
    )
    .file("token", "s3cr3t\n")
    .start();
    let ask = |headers: &[(&str, &str)]| edge.client("admin").request("GET", "/metrics", headers, b"");
    for wrong in ["", "Bearer", "Bearer x", "Bearer s3cr3", "Bearer s3cr3tt", "Basic s3cr3t", "s3cr3t"] {
        let refused = ask(&[("Authorization", wrong)]);
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")), "{wrong:?}");
    }
    assert_eq!(ask(&[]).status, 401);
    // Load balancers ask for these, and have none.
    for (method, path, status) in [
        ("GET", "/healthz", 200),
        ("HEAD", "/readyz", 200),
        ("POST", "/healthz", 401),
        ("GET", "/config", 401),
    ] {
        assert_eq!(edge.client("admin").request(method, path, &[], b"").status, status, "{method} {path}");
    }
    assert_eq!(
        (
            ask(&[("Authorization", "Bearer s3cr3t")]).status,
            ask(&[("authorization", "bearer s3cr3t")]).status
        ),
        (200, 200)
    );
    let shown = edge.client("admin").request("GET", "/config", &[("Authorization", "Bearer s3cr3t")], b"");
    assert!(!shown.text().contains("s3cr3t"), "{}", shown.text());
}

#[test]
fn a_reload_is_asked_for_and_answered() {
    let (edge, _origin) = start("{ to: access.log }");
    let reload = || edge.client("admin").request("POST", "/reload", &[], b"");
    assert_eq!((reload().status, reload().json()), (200, json!({ "reloaded": true })));
    edge.rewrite("listeners: [{ address: '{listen}' }]\nroutes: [{ name: a, respnd: {} }]\n");
    let refused = reload();
    assert_eq!((refused.status, &refused.json()["reloaded"]), (422, &json!(false)));
    let first = &refused.json()["errors"][0];
    assert!(first["message"].as_str().unwrap().contains("respond"), "{first}");
    assert_eq!(ask(&edge, "GET", "/app/a", &[], b""), 201, "the policy before serves on");
    let metrics = edge.metrics();
    assert_eq!(metrics.value("edgeward_reloads_total{outcome=\"success\"}"), Some(3.0));
    assert_eq!(metrics.value("edgeward_reloads_total{outcome=\"failure\"}"), Some(1.0));
    assert_eq!(metrics.value("edgeward_last_reload_success"), Some(0.0));
}
