use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::telemetry::writer::{Destination, Settings};

fn metrics() -> Metrics {
    Metrics::new(Build { version: "1.2.3", revision: "abc", tls: "boringssl" })
        .expect("families are named right")
}

fn text(metrics: &Metrics) -> String {
    String::from_utf8(metrics.encode()).expect("metrics are UTF-8")
}

/// The value of the sample that a line begins with.
fn sample(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = text(metrics);
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map(|value| value.parse().expect("samples are numbers"))
}

fn finished(method: &str, status: u16) -> Finished<'_> {
    Finished { method, status, duration: Duration::from_millis(3), bytes_in: 10, bytes_out: 100 }
}

/// Touches every family there is.
fn count_everything(metrics: &Metrics) -> impl Sized {
    let (route, upstream) = (metrics.route("orders \"quoted\"\n"), metrics.upstream("orders"));
    let (backend, listener) = (upstream.backend("10.0.0.1:8080"), metrics.listener("0.0.0.0:443"));
    let (certificate, in_flight) = (metrics.certificate("api.crt"), metrics.begin_request());
    route.finished(finished("GET", 200));
    route.refused("jwt", "expired");
    route.shadow_refused("waf", "score");
    upstream.finished(Duration::from_millis(2));
    upstream.retry(RetryOutcome::Tried);
    backend.attempt(UpstreamOutcome::Success);
    backend.set_up(true);
    backend.ejected();
    backend.health_check(CheckOutcome::Passed);
    listener.accepted();
    listener.handshake_failed(HandshakeFailure::Protocol);
    certificate.set_expiry(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let key = KeyLabels { consumer: "partner-a", key: "k1" };
    metrics.show_keys([(key, 1_800_000_000)].into_iter(), [(key, 7)].into_iter());
    metrics.key_store_read(true);
    metrics.key_uses_kept(false);
    metrics.notice_sent(true);
    metrics.notices_waiting(1);
    metrics.reload_succeeded("policy", UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    (route, upstream, backend, listener, certificate, in_flight)
}

#[test]
fn counts_a_request_by_route_method_and_status_class() {
    let metrics = metrics();
    let route = metrics.route("orders");
    route.finished(finished("GET", 200));
    route.finished(finished("GET", 204));
    route.finished(finished("BREW", 418));
    let requests = |method, class| {
        let labels = format!("{{method=\"{method}\",route=\"orders\",status_class=\"{class}\"}}");
        sample(&metrics, &format!("edgeward_requests_total{labels}"))
    };
    assert_eq!(requests("GET", "2xx"), Some(2.0));
    assert_eq!(requests("other", "4xx"), Some(1.0));
    assert_eq!(requests("POST", "2xx"), None, "series that count nothing are not shown");
    for (series, value) in [
        ("edgeward_request_duration_seconds_count", 3.0),
        ("edgeward_request_bytes_total", 30.0),
        ("edgeward_response_bytes_total", 300.0),
    ] {
        assert_eq!(sample(&metrics, &format!("{series}{{route=\"orders\"}}")), Some(value));
    }
    let bucket = |bound| {
        sample(
            &metrics,
            &format!("edgeward_request_duration_seconds_bucket{{route=\"orders\",le=\"{bound}\"}}"),
        )
    };
    assert_eq!((bucket("0.0025"), bucket("0.005"), bucket("+Inf")), (Some(0.0), Some(3.0), Some(3.0)));
}

#[test]
fn a_client_cannot_make_new_series() {
    let metrics = metrics();
    let route = metrics.route("orders");
    for status in 0..=u16::MAX {
        route.finished(finished(&format!("METHOD{status}"), status));
    }
    let series = text(&metrics).lines().filter(|line| line.starts_with("edgeward_requests_total")).count();
    assert_eq!(series, StatusClass::ALL.len());
}

#[test]
fn counts_refusals_apart_from_those_in_shadow() {
    let metrics = metrics();
    let route = metrics.route("orders");
    route.refused("jwt", "expired");
    route.refused("jwt", "expired");
    route.refused("jwt", "audience");
    route.shadow_refused("jwt", "expired");
    let count = |family, reason| {
        sample(&metrics, &format!("{family}{{filter=\"jwt\",reason=\"{reason}\",route=\"orders\"}}"))
    };
    assert_eq!(count("edgeward_refusals_total", "expired"), Some(2.0));
    assert_eq!(count("edgeward_refusals_total", "audience"), Some(1.0));
    assert_eq!(count("edgeward_shadow_refusals_total", "expired"), Some(1.0));
    assert_eq!(count("edgeward_shadow_refusals_total", "audience"), None);
}

#[test]
fn counts_refusals_under_a_shared_label_past_the_bound() {
    let metrics = metrics();
    let route = metrics.route("orders");
    for filter in 0..1000 {
        route.refused(&format!("filter{filter}"), "reason");
    }
    route.refused("filter0", "reason");
    let count = |filter, reason| {
        sample(
            &metrics,
            &format!("edgeward_refusals_total{{filter=\"{filter}\",reason=\"{reason}\",route=\"orders\"}}"),
        )
    };
    assert_eq!(count("filter0", "reason"), Some(2.0));
    assert_eq!(count("filter999", "reason"), None);
    assert_eq!(count("other", "other"), Some(744.0));
}

#[test]
fn keeps_counters_over_a_reload_and_removes_them_with_the_last_lease() {
    let metrics = metrics();
    let series = "edgeward_requests_total{method=\"GET\",route=\"orders\",status_class=\"2xx\"}";
    let old = metrics.route("orders");
    old.finished(finished("GET", 200));
    let new = metrics.route("orders");
    drop(old);
    new.finished(finished("GET", 200));
    assert_eq!(sample(&metrics, series), Some(2.0));
    drop(new);
    assert!(!text(&metrics).contains("orders"), "a route that is gone is not shown");
    metrics.route("orders").finished(finished("GET", 200));
    assert!(!text(&metrics).contains("orders"));
}

#[test]
fn removes_every_series_of_everything_that_is_gone() {
    let metrics = metrics();
    let before = text(&metrics);
    let held = count_everything(&metrics);
    assert!(text(&metrics).lines().count() > before.lines().count() + 50);
    drop(held);
    metrics.show_keys(std::iter::empty(), std::iter::empty());
    let labelled =
        |text: &str| text.lines().filter(|line| line.contains('{')).map(str::to_owned).collect::<Vec<_>>();
    let left = labelled(&text(&metrics));
    // What belongs to the process stays.
    let own = [
        "edgeward_key_store_reloads_total{outcome=\"success\"} 1",
        "edgeward_key_usage_writes_total{outcome=\"failure\"} 1",
        "edgeward_notices_total{outcome=\"delivered\"} 1",
        "edgeward_policy_info{policy=\"policy\"} 1",
        "edgeward_reloads_total{outcome=\"success\"} 1",
    ];
    let expected: Vec<_> = labelled(&before).into_iter().chain(own.map(str::to_owned)).collect();
    assert_eq!(left, expected);
}

#[test]
fn a_backend_outlives_the_lease_of_its_upstream() {
    let metrics = metrics();
    let backend = metrics.upstream("orders").backend("a:1");
    let again = metrics.upstream("orders").backend("a:1");
    backend.set_up(true);
    drop(backend);
    let series = "edgeward_upstream_backend_up{backend=\"a:1\",upstream=\"orders\"}";
    assert_eq!(sample(&metrics, series), Some(1.0));
    drop(again);
    assert_eq!(sample(&metrics, series), None);
}

#[test]
fn shows_what_is_known_of_upstreams_and_backends_from_the_start() {
    let metrics = metrics();
    let upstream = metrics.upstream("orders");
    let backend = upstream.backend("a:1");
    let of_backend = |family, outcome| {
        sample(&metrics, &format!("{family}{{backend=\"a:1\",outcome=\"{outcome}\",upstream=\"orders\"}}"))
    };
    assert_eq!(of_backend("edgeward_upstream_requests_total", "timeout"), Some(0.0));
    backend.attempt(UpstreamOutcome::Timeout);
    backend.health_check(CheckOutcome::Failed);
    upstream.retry(RetryOutcome::BudgetExhausted);
    assert_eq!(of_backend("edgeward_upstream_requests_total", "timeout"), Some(1.0));
    assert_eq!(of_backend("edgeward_health_checks_total", "failed"), Some(1.0));
    let retries = "edgeward_upstream_retries_total{outcome=\"budget_exhausted\",upstream=\"orders\"}";
    assert_eq!(sample(&metrics, retries), Some(1.0));
}

#[test]
fn follows_connections_from_accept_to_close() {
    let metrics = metrics();
    let listener = metrics.listener("unix:/run/a.sock");
    listener.accepted();
    listener.accepted();
    listener.closed(CloseReason::Idle);
    let count = |series: &str| sample(&metrics, series);
    assert_eq!(count("edgeward_connections{listener=\"unix:/run/a.sock\"}"), Some(1.0));
    assert_eq!(count("edgeward_connections_accepted_total{listener=\"unix:/run/a.sock\"}"), Some(2.0));
    let closed = "edgeward_connections_closed_total{listener=\"unix:/run/a.sock\",reason=\"idle\"}";
    assert_eq!(count(closed), Some(1.0));
}

#[test]
fn knows_how_many_requests_are_in_flight() {
    let metrics = metrics();
    let (first, second) = (metrics.begin_request(), metrics.begin_request());
    drop(first);
    assert_eq!(sample(&metrics, "edgeward_requests_in_flight"), Some(1.0));
    drop(second);
    assert_eq!(sample(&metrics, "edgeward_requests_in_flight"), Some(0.0));
}

#[test]
fn tells_how_the_last_reload_went() {
    let metrics = metrics();
    metrics.reload_succeeded("first", UNIX_EPOCH + Duration::from_millis(1500));
    metrics.reload_succeeded("second", UNIX_EPOCH + Duration::from_millis(2500));
    metrics.reload_failed();
    assert_eq!(sample(&metrics, "edgeward_reloads_total{outcome=\"success\"}"), Some(2.0));
    assert_eq!(sample(&metrics, "edgeward_reloads_total{outcome=\"failure\"}"), Some(1.0));
    assert_eq!(sample(&metrics, "edgeward_last_reload_success"), Some(0.0));
    assert_eq!(sample(&metrics, "edgeward_last_reload_timestamp_seconds"), Some(2.5));
    assert_eq!(sample(&metrics, "edgeward_policy_info{policy=\"second\"}"), Some(1.0));
    assert_eq!(sample(&metrics, "edgeward_policy_info{policy=\"first\"}"), None);
}

#[test]
fn shows_what_log_writers_count_even_after_they_are_gone() {
    let metrics = metrics();
    let settings = Settings { capacity_bytes: 800, ..Settings::new(Destination::File("/dev/null".into())) };
    for round in 1..=2 {
        let writer = LineWriter::open(&settings).unwrap();
        metrics.watch(Log::Access, &writer);
        writer.append(b"short");
        writer.append(&[b'x'; 1000]);
        drop(writer);
        assert_eq!(sample(&metrics, "edgeward_access_log_written_total"), Some(f64::from(round)));
        assert_eq!(sample(&metrics, "edgeward_access_log_dropped_total"), Some(f64::from(round)));
    }
    assert_eq!(sample(&metrics, "edgeward_audit_log_dropped_total"), Some(0.0));
}

#[test]
fn says_what_it_is_and_what_it_uses() {
    let metrics = metrics();
    let build = "edgeward_build_info{revision=\"abc\",tls=\"boringssl\",version=\"1.2.3\"}";
    assert_eq!(sample(&metrics, build), Some(1.0));
    assert!(sample(&metrics, "edgeward_process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6));
    assert!(sample(&metrics, "edgeward_process_open_fds").is_some_and(|count| count >= 3.0));
    assert!(sample(&metrics, "edgeward_process_start_time_seconds").is_some_and(|start| start > 1.6e9));
}

#[test]
fn satisfies_promtool() {
    let metrics = metrics();
    let _held = count_everything(&metrics);
    let text = metrics.encode();
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match promtool.spawn() {
        Ok(child) => child,
        Err(error) => return eprintln!("skipped: promtool cannot be run: {error}"),
    };
    child.stdin.take().unwrap().write_all(&text).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}
