//! Upstreams as a whole: what a policy means, who is picked, who is kept out, what a reload keeps.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::values::Problem;

use super::backend::BackendState;
use super::*;

static NO_LISTS: crate::expr::Lists = crate::expr::Lists::new();
const EXPRESSIONS: crate::expr::policy::Expressions<'static> =
    crate::expr::policy::Expressions { lists: &NO_LISTS, finders: None, segments: None };

const SECOND: u64 = 1_000_000_000;
const NOW: u64 = 1_000 * SECOND;
const LATENCY: Duration = Duration::from_millis(5);

/// Remembers what it is told.
#[derive(Default)]
pub(super) struct Told(Mutex<Vec<String>>);

impl Told {
    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Events for Told {
    fn health_changed(&self, upstream: &str, backend: &str, up: bool, why: &str) {
        self.note(format!("{upstream} {backend} {} {why}", if up { "up" } else { "down" }));
    }

    fn ejected(&self, upstream: &str, backend: &str, period: Duration) {
        self.note(format!("{upstream} {backend} ejected {period:?}"));
    }

    fn resolved(&self, upstream: &str, name: &str, addresses: usize) {
        self.note(format!("{upstream} {name} resolved {addresses}"));
    }

    fn resolve_failed(&self, upstream: &str, name: &str, why: &str) {
        self.note(format!("{upstream} {name} failed {why}"));
    }
}

/// A server's lifetime of policies.
#[derive(Default)]
pub(super) struct World {
    registry: Registry,
    pub(super) told: Arc<Told>,
}

impl World {
    pub(super) fn compile(&self, yaml: &str) -> Result<Arc<Upstream>, Vec<Problem>> {
        let spec = serde_yaml::from_str(yaml).map_err(|error| vec![Problem::whole(error)])?;
        let events: Arc<dyn Events> = Arc::clone(&self.told) as _;
        compile(
            "orders",
            spec,
            &Site {
                registry: &self.registry,
                events: &events,
                base: Path::new("/"),
                expressions: EXPRESSIONS,
            },
        )
    }
}

pub(super) fn upstream(yaml: &str) -> Arc<Upstream> {
    World::default().compile(yaml).unwrap()
}

/// Backends `10.0.0.1:80`, `10.0.0.2:80` … with these weights.
pub(super) fn backends(weights: &[u32]) -> Vec<Arc<Backend>> {
    let backend = |(index, weight)| format!("{{ address: \"10.0.0.{}:80\", weight: {weight} }}", index + 1);
    let list: Vec<_> = weights.iter().enumerate().map(backend).collect();
    if list.is_empty() {
        return Vec::new();
    }
    upstream(&format!("backends: [{}]", list.join(", "))).set.load().backends.to_vec()
}

fn picked(upstream: &Arc<Upstream>, tried: &[BackendId]) -> Option<String> {
    upstream.pick(None, tried, NOW).map(|pick| pick.backend().label.to_string())
}

fn state(upstream: &Upstream, index: usize) -> Arc<BackendState> {
    Arc::clone(&upstream.set.load().backends[index].state)
}

fn id(upstream: &Upstream, index: usize) -> BackendId {
    upstream.set.load().backends[index].id()
}

/// Fails a check often enough to take the backend out.
fn take_down(upstream: &Upstream, index: usize) {
    let one = const { std::num::NonZeroU32::new(1).unwrap() };
    state(upstream, index).checked(false, one, one);
}

/// Lets tries of one backend go wrong, whichever the algorithm would choose.
fn fail(upstream: &Arc<Upstream>, index: usize, outcome: Outcome, times: usize, now_ns: u64) {
    for _ in 0..times {
        let backend = Arc::clone(&upstream.set.load().backends[index]);
        Pick::of(backend, Arc::clone(upstream)).finished(outcome, LATENCY, now_ns);
    }
}

const TWO: &str = "backends: [10.0.0.1:80, 10.0.0.2:80]";
const TWO_CHECKED: &str = "{ backends: [10.0.0.1:80, 10.0.0.2:80], health_check: { tcp: {} } }";

#[test]
fn reads_every_key() {
    let yaml = r#"
        backends: [10.0.0.1:8080, { address: "orders.internal:8443", weight: 5 }, "unix:/run/app.sock"]
        balance: { consistent_hash: 'http.request.headers["x-tenant"][0]' }
        health_check:
          http: { path: /healthz, host: orders, method: HEAD, status: [200, 204], headers: { x: y }, body: ok }
          interval: 100ms
          timeout: 500ms
          rise: 1
          fall: 1
        protocol: grpc
        tls: { sni: orders.internal }
        timeouts: { connect: 1s, read: 2s, write: 3s, idle: 4s }
        retries: { attempts: 1, budget: { percent: 10, min_per_second: 3 } }
        eject: { failures: 3, for: 30s, max_percent: 10 }
        connections: { max_h2_streams: 10 }
    "#;
    let upstream = upstream(yaml);
    let key = upstream.hash_key().map(|key| key.expression().source());
    assert_eq!(key, Some("http.request.headers[\"x-tenant\"][0]"));
    assert_eq!(upstream.protocol(), Protocol::Grpc);
    assert_eq!(upstream.attempts(), 1);
    assert_eq!(upstream.eject.unwrap().failures, 3);
    assert!(upstream.tls().is_some() && upstream.check.is_some());
    let set = upstream.set.load();
    let labels: Vec<_> = set.backends.iter().map(|backend| &*backend.label).collect();
    assert_eq!(labels, ["10.0.0.1:8080", "unix:/run/app.sock"], "the name is not resolved yet");
    assert_eq!(set.backends[0].peer().options.max_h2_streams, 10);
    assert_eq!(upstream.names(), [Box::<str>::from("orders.internal")]);
}

#[test]
fn needs_nothing_but_backends() {
    let upstream = upstream(TWO);
    assert_eq!(upstream.source.algorithm, Algorithm::RoundRobin);
    assert_eq!(upstream.protocol(), Protocol::Http1);
    assert_eq!(upstream.attempts(), 2);
    assert!(upstream.eject.is_some() && upstream.check.is_none() && upstream.tls().is_none());
}

#[test]
fn takes_each_way_of_balancing() {
    let algorithm = |balance: &str| {
        let upstream = World::default().compile(&format!("{{ {TWO}, balance: {balance} }}"))?;
        Ok::<_, Vec<Problem>>(upstream.source.algorithm.clone())
    };
    assert_eq!(algorithm("round_robin"), Ok(Algorithm::RoundRobin));
    assert_eq!(algorithm("random"), Ok(Algorithm::Random));
    assert_eq!(algorithm("least_connections"), Ok(Algorithm::LeastConnections));
    assert_eq!(algorithm("p2c_ewma"), Ok(Algorithm::P2cEwma));
    let by = |source| {
        let expression = EXPRESSIONS.expression("", source, crate::expr::Phase::RequestHead).unwrap();
        Ok(Algorithm::ConsistentHash(HashKey::new(expression)))
    };
    assert_eq!(algorithm("{ consistent_hash: ip }"), by("ip.src"));
    assert_eq!(algorithm("{ consistent_hash: basic_auth.user }"), by("basic_auth.user"));
    let unknown = algorithm("p2c").unwrap_err().remove(0).message;
    assert!(unknown.contains("unknown variant `p2c`, expected one of `round_robin`"), "{unknown}");
    for wrong in [
        "{ consistent_hash: port }",
        "{ consistent_hash: {} }",
        "{ consistent_hash: { header: a } }",
        "{ consistent_hash: http.request.headers }",
        "{ consistent_hash: http.response.code }",
        "{ hash: ip }",
    ] {
        assert!(algorithm(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn its_schema_has_both_forms_of_what_may_be_a_word() {
    let schema = serde_json::to_string(&schemars::schema_for!(Spec)).unwrap();
    for part in
        ["\"p2c_ewma\"", "\"consistent_hash\"", "\"off\"", "\"max_percent\"", "\"weight\"", "\"service\""]
    {
        assert!(schema.contains(part), "{part} is not in {schema}");
    }
}

#[test]
fn says_everything_that_is_wrong_at_once() {
    let yaml = r"
        backends: [10.0.0.1, { address: 10.0.0.2:80, weight: 0 }, 10.0.0.3:80, 10.0.0.3:80]
        balance: { consistent_hash: nothing }
        health_check: { http: { path: healthz, status: [99], body: '(' }, interval: 50ms }
        retries: { attempts: 11 }
        eject: { max_percent: 0 }
    ";
    let problems = World::default().compile(yaml).err().unwrap();
    let places: Vec<_> = problems.iter().map(|problem| problem.at.as_str()).collect();
    assert_eq!(
        places,
        [
            "backends[0]",
            "backends[1].weight",
            "backends[3]",
            "balance.consistent_hash",
            "retries.attempts",
            "eject.max_percent",
            "health_check.interval",
            "health_check.http.path",
            "health_check.http.status[0]",
            "health_check.http.body",
        ]
    );
}

#[test]
fn refuses_what_means_nothing() {
    for wrong in [
        "backends: []",
        "{ backends: [10.0.0.1:80], protocol: spdy }",
        "{ backends: [10.0.0.1:80], health_check: { interval: 1s } }",
        "{ backends: [10.0.0.1:80], health_check: { tcp: {}, grpc: {} } }",
        "{ backends: [10.0.0.1:80], health_check: { tcp: {}, rise: 0 } }",
        "{ backends: [10.0.0.1:80], health_check: { http: { path: /, method: CONNECT } } }",
        "{ backends: [10.0.0.1:80], timeouts: { connect: 0s } }",
        "{ backends: [10.0.0.1:80], connections: { max_h2_streams: 0 } }",
        "{ backends: [10.0.0.1:80], burst: 1 }",
        "{ backends: [\"unix:/run/app.sock\"], health_check: { tcp: {}, port: 80 } }",
        "{ backends: [{ address: 10.0.0.1:80, weight: 257 }] }",
    ] {
        assert!(World::default().compile(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn verifies_names_and_refuses_addresses_without_one() {
    let by_name = upstream("{ backends: [10.0.0.1:443], tls: { sni: orders.internal } }");
    assert_eq!(by_name.set.load().backends[0].peer().sni, "orders.internal");
    let problems = World::default().compile("{ backends: [10.0.0.1:443], tls: {} }").err().unwrap();
    assert_eq!(problems[0].at, "tls.sni");
}

#[test]
fn never_picks_a_backend_that_fails_its_checks() {
    let upstream = upstream(TWO_CHECKED);
    take_down(&upstream, 0);
    for _ in 0..20 {
        assert_eq!(picked(&upstream, &[]).unwrap(), "10.0.0.2:80");
        assert_eq!(picked(&upstream, &[id(&upstream, 1)]).unwrap(), "10.0.0.2:80", "rather tried than down");
    }
    take_down(&upstream, 1);
    assert_eq!(picked(&upstream, &[]), None);
}

#[test]
fn picks_another_backend_for_another_try() {
    for balance in ["round_robin", "random", "least_connections", "p2c_ewma", "{ consistent_hash: ip }"] {
        let upstream = upstream(&format!("{{ {TWO}, balance: {balance} }}"));
        for hash in 0..20 {
            let pick = upstream.pick(Some(hash << 59), &[id(&upstream, 0)], NOW).unwrap();
            assert_eq!(&*pick.backend().label, "10.0.0.2:80", "{balance}");
        }
        let both = [id(&upstream, 0), id(&upstream, 1)];
        assert!(picked(&upstream, &both).is_some(), "a tried one is better than none");
    }
}

#[test]
fn the_same_key_goes_to_the_same_backend() {
    let upstream = upstream(&format!("{{ {TWO}, balance: {{ consistent_hash: ip }} }}"));
    let pick = |key: &str| upstream.pick(Some(key_hash(key.as_bytes())), &[], NOW).unwrap().backend().id();
    let keys: Vec<_> = (0..100).map(|key| format!("10.1.2.{key}")).collect();
    assert!(keys.iter().all(|key| pick(key) == pick(key)));
    assert!(keys.iter().any(|key| pick(key) != pick(&keys[0])));
}

#[test]
fn counts_requests_in_flight_until_they_end() {
    let upstream = upstream("backends: [10.0.0.1:80]");
    let (first, second) = (upstream.pick(None, &[], NOW).unwrap(), upstream.pick(None, &[], NOW).unwrap());
    assert_eq!(state(&upstream, 0).in_flight(), 2);
    first.finished(Outcome::Success, LATENCY, NOW);
    assert_eq!(state(&upstream, 0).in_flight(), 1);
    drop(second);
    assert_eq!(state(&upstream, 0).in_flight(), 0);
}

#[test]
fn ejects_after_failures_in_a_row_and_lets_back_in_after_the_period() {
    for outcome in [Outcome::ConnectFailed, Outcome::Failed5xx, Outcome::TimedOut] {
        let world = World::default();
        let upstream = world.compile(&format!("{{ {TWO}, eject: {{ failures: 3, for: 10s }} }}")).unwrap();
        fail(&upstream, 0, outcome, 2, NOW);
        fail(&upstream, 0, Outcome::Success, 1, NOW);
        fail(&upstream, 0, outcome, 2, NOW);
        assert!(!state(&upstream, 0).is_ejected(NOW), "a success in between starts the count anew");
        fail(&upstream, 0, outcome, 1, NOW);
        assert_eq!(world.told.all(), ["orders 10.0.0.1:80 ejected 10s"]);
        for _ in 0..20 {
            assert_eq!(picked(&upstream, &[]).unwrap(), "10.0.0.2:80");
        }
        let later = NOW + 10 * SECOND;
        let labels: Vec<_> =
            (0..2).map(|_| upstream.pick(None, &[], later).unwrap().backend().label.to_string()).collect();
        assert!(labels.contains(&"10.0.0.1:80".to_owned()), "{labels:?}");
    }
}

#[test]
fn a_backend_that_comes_back_broken_is_ejected_at_its_first_failure() {
    let upstream = upstream(&format!("{{ {TWO}, eject: {{ failures: 3, for: 10s }} }}"));
    fail(&upstream, 0, Outcome::ConnectFailed, 3, NOW);
    let later = NOW + 10 * SECOND;
    assert!(!state(&upstream, 0).is_ejected(later));
    fail(&upstream, 0, Outcome::ConnectFailed, 1, later);
    assert!(state(&upstream, 0).is_ejected(later));
    fail(&upstream, 0, Outcome::Success, 1, later + 10 * SECOND);
    fail(&upstream, 0, Outcome::ConnectFailed, 1, later + 10 * SECOND);
    assert!(!state(&upstream, 0).is_ejected(later + 10 * SECOND), "a success clears it");
}

#[test]
fn ejection_leaves_the_share_it_must_leave() {
    let four = "backends: [10.0.0.1:80, 10.0.0.2:80, 10.0.0.3:80, 10.0.0.4:80]";
    for (percent, most) in [(50, 2), (100, 3), (20, 0)] {
        let upstream = upstream(&format!("{{ {four}, eject: {{ failures: 1, max_percent: {percent} }} }}"));
        for index in 0..4 {
            fail(&upstream, index, Outcome::ConnectFailed, 1, NOW);
        }
        assert_eq!(upstream.set.load().ejected(NOW), most, "{percent} %");
        assert!(picked(&upstream, &[]).is_some());
    }
}

#[test]
fn an_ejected_backend_is_picked_when_nothing_else_is_left() {
    let upstream = upstream("{ backends: [10.0.0.1:80, 10.0.0.2:80], health_check: { tcp: {} } }");
    fail(&upstream, 0, Outcome::ConnectFailed, 5, NOW);
    assert_eq!(picked(&upstream, &[id(&upstream, 1)]).unwrap(), "10.0.0.2:80", "rather tried than ejected");
    take_down(&upstream, 1);
    assert_eq!(picked(&upstream, &[]).unwrap(), "10.0.0.1:80", "rather ejected than down");
}

#[test]
fn learns_nothing_from_clients_that_leave() {
    let upstream = upstream(TWO);
    fail(&upstream, 0, Outcome::ClientGone, 100, NOW);
    assert!(!state(&upstream, 0).is_ejected(NOW));
    assert!(state(&upstream, 0).latency().nanos(NOW) < 1.0);
}

#[test]
fn failing_fast_does_not_look_like_being_fast() {
    let upstream = upstream(TWO);
    fail(&upstream, 0, Outcome::Success, 1, NOW);
    for outcome in [Outcome::ConnectFailed, Outcome::Failed5xx, Outcome::TimedOut] {
        let later = NOW + 1_000 * SECOND;
        fail(&upstream, 1, outcome, 1, later);
        assert!(state(&upstream, 1).latency().nanos(later) > 0.9e9, "{outcome:?}");
    }
    assert!(state(&upstream, 0).latency().nanos(NOW) < 6e6);
}

#[test]
fn a_reload_keeps_what_is_known_of_each_backend() {
    let world = World::default();
    let before = world.compile(TWO_CHECKED).unwrap();
    take_down(&before, 0);
    fail(&before, 1, Outcome::Success, 1, NOW);
    let _in_flight = before.pick(None, &[], NOW).unwrap();
    let third = "{ backends: [10.0.0.3:80, 10.0.0.2:80, 10.0.0.1:80], health_check: { tcp: {} } }";
    let after = world.compile(third).unwrap();
    drop(before);
    let health: Vec<_> = after.status(NOW).iter().map(|status| status.health).collect();
    assert_eq!(health, [Health::Unknown, Health::Unknown, Health::Down]);
    assert_eq!(after.status(NOW)[1].in_flight, 1);
    assert!(after.status(NOW)[1].latency > Duration::from_millis(4));
}

#[test]
fn a_verdict_binds_only_while_the_policy_asks_for_it() {
    let world = World::default();
    let before = world.compile(TWO_CHECKED).unwrap();
    take_down(&before, 0);
    take_down(&before, 1);
    let unchecked = world.compile(TWO).unwrap();
    assert!(picked(&unchecked, &[]).is_some(), "nobody would ever revoke the verdict");
    fail(&unchecked, 0, Outcome::ConnectFailed, 5, NOW);
    let unejected = world.compile(&format!("{{ {TWO}, eject: off }}")).unwrap();
    let labels: Vec<_> = (0..2).map(|_| picked(&unejected, &[]).unwrap()).collect();
    assert!(labels.contains(&"10.0.0.1:80".to_owned()), "{labels:?}");
}

#[test]
fn a_request_adds_to_the_retry_budget_once() {
    let upstream =
        upstream("{ backends: [10.0.0.1:80], retries: { budget: { percent: 50, min_per_second: 0 } } }");
    let first = upstream.pick(None, &[], NOW).unwrap();
    let tried = [first.backend().id()];
    drop(upstream.pick(None, &tried, NOW));
    assert!(!upstream.may_retry(NOW), "half a retry");
    drop(upstream.pick(None, &[], NOW));
    assert!(upstream.may_retry(NOW));
    assert!(!upstream.may_retry(NOW));
}

#[test]
fn picks_and_outcomes_of_many_threads_leave_nothing_behind() {
    let upstream = upstream(&format!("{{ {TWO}, balance: p2c_ewma }}"));
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..1_000 {
                    let outcome = if round % 3 == 0 { Outcome::ConnectFailed } else { Outcome::Success };
                    upstream.pick(None, &[], NOW + round).unwrap().finished(outcome, LATENCY, NOW + round);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(done.into_inner(), 4_000);
    assert!(upstream.status(NOW).iter().all(|status| status.in_flight == 0));
}

#[test]
fn a_shard_belongs_to_one_backend_whatever_the_upstream_balances_by() {
    let upstream = upstream(&format!("{{ {TWO}, balance: round_robin, health_check: {{ tcp: {{}} }} }}"));
    let owner = |shard: u64, tried: &[BackendId]| {
        upstream.pick_shard(shard, tried, NOW).map(|pick| pick.backend().id())
    };
    let shards: Vec<u64> = (0..200_u64).map(|number| key_hash(&number.to_be_bytes())).collect();
    let owners: Vec<_> = shards.iter().map(|shard| owner(*shard, &[])).collect();
    assert!(shards.iter().zip(&owners).all(|(shard, known)| owner(*shard, &[]) == *known));
    let (first, second) = (id(&upstream, 0), id(&upstream, 1));
    assert!(owners.contains(&Some(first)) && owners.contains(&Some(second)));
    assert_eq!((owner(shards[0], &[first]), owner(shards[0], &[first, second])), (Some(second), None));
    take_down(&upstream, 0);
    assert!(shards.iter().all(|shard| owner(*shard, &[]) == Some(second)));
    take_down(&upstream, 1);
    assert_eq!(owner(shards[0], &[]), None);
}
