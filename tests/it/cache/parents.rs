//! Parents: what is not stored here comes from the one member of a fleet that all ask for it.

use super::{client, get, get_with};
use crate::harness::{Edge, Origin, Redis, Reply, Response, Seen, Setup, soon};

const POLICY: &str = r"
server: { drain: 200ms, trusted_proxies: [{trusted}] }
limits: { stall: 1s, methods: [PURGE] }
admin: { address: '{admin}' }
access_log: { to: access.log }
listeners: [{ address: '{listen}' }]
redis: { fleet: { address: '{redis}', timeout: 300ms } }
cache: { purges: { redis: fleet } }
upstreams:
  app: { backends: ['{origin}'], retries: { attempts: 0 } }
  parents: { backends: [{backends}], timeouts: { connect: 500ms } }
routes:
  - name: api
    match: { path: /api/** }
    upstream: app
    rewrite: { strip_prefix: /api, host: origin.example }
    filters: [{ cache: { {parents} } }]
  - name: people
    match: { path: /people/** }
    upstream: app
    filters: [{ basic_auth: { users_file: users } }, { cache: { per_identity: true, {parents} } }]
  - name: app
    match: { path: /** }
    upstream: app
    filters: [{ cache: { {parents} } }]
";
/// `demo:demo`, as in conf/files/htpasswd.
const DEMO: (&str, &str) = ("authorization", "Basic ZGVtbzpkZW1v");
const FAILED: &str = "edgeward_cache_parents_failed_total";

fn setup(redis: &Redis, origin: &Origin, backends: &str, parents: &str) -> Setup {
    Edge::policy(POLICY)
        .file("users", include_str!("../../../conf/files/htpasswd"))
        .with("redis", redis.address())
        .with("origin", origin.address())
        .with("backends", backends)
        .with("parents", parents)
        .with("trusted", "127.0.0.0/8")
}

/// A child of these parents.
fn child(redis: &Redis, origin: &Origin, parents: &[&Edge]) -> Edge {
    let backends: Vec<_> = parents.iter().map(|edge| format!("'{}'", edge.address("listen"))).collect();
    setup(redis, origin, &backends.join(", "), "parents: parents").start()
}

/// One that asks the origin.
fn parent(redis: &Redis, origin: &Origin) -> Edge {
    setup(redis, origin, "'127.0.0.1:1'", "").start()
}

fn origin() -> Origin {
    Origin::start(|request: &Seen| {
        let tag = request.target().trim_start_matches('/').replace('/', "-");
        Reply::status(200, &[("cache-control", "max-age=600"), ("cache-tag", &tag)], request.target())
    })
}

/// Whether the last cache, the one that was asked, had it.
fn is_hit(answer: &Response) -> bool {
    answer.all("cache-status").last().is_some_and(|told| told.starts_with("\"edgeward\"; hit"))
}

/// Requests that a process was sent.
fn asked(edge: &Edge) -> f64 {
    edge.metrics().sum("edgeward_requests_total", &[])
}

fn stored(edge: &Edge) -> f64 {
    edge.metrics().value("edgeward_cache_entries").unwrap()
}

fn order(edge: &Edge, body: &str) -> Response {
    edge.client("admin").request("POST", "/cache/purge", &[], body.as_bytes())
}

#[test]
fn a_fleet_asks_the_origin_once_for_each_object() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let parents = [0, 1].map(|_| parent(&redis, &origin));
    let children = [0, 1, 2].map(|_| child(&redis, &origin, &[&parents[0], &parents[1]]));
    let paths: Vec<_> = (0..40).map(|number| format!("/{number}")).collect();
    for path in &paths {
        for edge in &children {
            let answer = get(edge, path);
            assert_eq!((answer.status, answer.text(), answer.header("cache-tag")), (200, path.clone(), None));
        }
    }
    assert_eq!(origin.count(), 40);
    let shares = parents.each_ref().map(stored);
    assert!(shares[0] + shares[1] == 40.0 && shares.iter().all(|share| *share >= 8.0), "{shares:?}");
    let first = get(&children[0], "/0");
    assert!(is_hit(&first) && first.all("cache-status").len() == 2, "the parent is named before");
    let line = children[1].logged("a miss", |line| line["path"] == "/1");
    assert_eq!(line["upstream"], "parents");
    // What is purged anywhere is purged everywhere, by the tags that parents do not hide from children.
    assert_eq!(order(&children[0], r#"{ "tag": "7" }"#).status, 200);
    for edge in &children {
        soon("the purge", || !is_hit(&get_with(edge, "/7", &[("cache-control", "only-if-cached")])));
    }
    for edge in &children {
        assert_eq!(get(edge, "/7").text(), "/7");
    }
    assert_eq!(origin.count(), 41);
}

#[test]
fn parents_see_what_the_client_asked_for_and_the_origin_sees_who_asked() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let parent = parent(&redis, &origin);
    let child = child(&redis, &origin, &[&parent]);
    assert_eq!(get_with(&child, "/api/x?y", &[("x-forwarded-for", "192.0.2.7")]).text(), "/x?y");
    let line = parent.logged("the child's question", |line| line["path"] == "/api/x");
    assert_eq!((&line["host"], &line["client_ip"]), (&"localhost".into(), &"192.0.2.7".into()));
    let seen = origin.only();
    assert_eq!((seen.target(), seen.header("host")), ("/x?y", Some("origin.example")));
    assert_eq!(seen.header("x-forwarded-for"), Some("192.0.2.7, 127.0.0.1, 127.0.0.1"));
    assert_eq!(
        (seen.header("x-forwarded-host"), seen.header("x-forwarded-proto")),
        (Some("localhost"), Some("http"))
    );
    assert_eq!(seen.header("edgeward-child"), None);
    // It is one URL in all of them.
    assert_eq!(order(&parent, r#"{ "url": "http://localhost/api/x?y" }"#).status, 200);
    soon("the purge", || !is_hit(&get_with(&child, "/api/x?y", &[("cache-control", "only-if-cached")])));
}

#[test]
fn what_is_not_for_all_goes_straight_to_the_origin() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let parent = parent(&redis, &origin);
    let child = child(&redis, &origin, &[&parent]);
    let before = asked(&parent);
    assert_eq!(get_with(&child, "/people/a", &[DEMO]).status, 200);
    assert!(is_hit(&get_with(&child, "/people/a", &[DEMO])), "it is stored for this caller here");
    assert_eq!(get_with(&child, "/a", &[("authorization", "Bearer x")]).status, 200);
    assert_eq!(get_with(&child, "/b", &[("cache-control", "no-store")]).status, 200);
    for method in ["HEAD", "POST", "DELETE", "QUERY"] {
        assert_eq!(client(&child).request(method, "/c", &[], b"").status, 200);
    }
    assert_eq!((asked(&parent) - before, origin.count()), (0.0, 7));
    child.wait_for_metric("edgeward_cache_purges_waiting", 0.0);
    assert_eq!(get(&child, "/d").status, 200);
    soon("the parent to count another", || asked(&parent) > before);
    assert_eq!((asked(&parent) - before, origin.count()), (1.0, 8));
}

#[test]
fn a_write_reaches_the_parents() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let parent = parent(&redis, &origin);
    let child = child(&redis, &origin, &[&parent]);
    assert_eq!(get(&child, "/a").status, 200);
    assert_eq!(client(&child).request("PUT", "/a", &[], b"").status, 200);
    assert_eq!(get(&child, "/a").status, 200);
    assert_eq!(origin.count(), 3, "whoever was asked, it was the origin that answered");
}

#[test]
fn the_origin_is_asked_where_no_parent_answers() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let (first, second) = (parent(&redis, &origin), parent(&redis, &origin));
    let child = child(&redis, &origin, &[&first, &second]);
    drop(first);
    for number in 0..10 {
        assert_eq!(get(&child, &format!("/one/{number}")).status, 200);
    }
    assert_eq!((child.metrics().value(FAILED), stored(&second)), (Some(0.0), 10.0));
    drop(second);
    for number in 0..10 {
        assert_eq!(get(&child, &format!("/none/{number}")).status, 200);
    }
    child.wait_for_metric(FAILED, 10.0);
    assert_eq!(origin.count(), 20);
    let line = child.logged("a miss", |line| line["path"] == "/none/3");
    assert_eq!((&line["upstream"], &line["status"]), (&"app".into(), &200.into()));
}

#[test]
fn what_a_parent_answers_is_the_answer() {
    let Some(redis) = Redis::start() else { return };
    let origin = Origin::start(|_| Reply::status(503, &[], "down"));
    let parent = parent(&redis, &origin);
    let child = child(&redis, &origin, &[&parent]);
    assert_eq!((get(&child, "/a").status, origin.count()), (503, 1));
}

#[test]
fn processes_that_are_each_others_parents_ask_no_further() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let start = || setup(&redis, &origin, "'127.0.0.1:1'", "parents: parents").start();
    let fleet = [start(), start(), start()];
    let backends: Vec<_> = fleet.iter().map(|edge| format!("'{}'", edge.address("listen"))).collect();
    for edge in &fleet {
        edge.rewrite(&POLICY.replace("{backends}", &backends.join(", ")));
        edge.reload().unwrap();
    }
    for number in 0..20 {
        for edge in &fleet {
            assert_eq!(get(edge, &format!("/{number}")).text(), format!("/{number}"));
        }
    }
    assert_eq!(origin.count(), 20);
    assert_eq!(fleet.each_ref().map(stored), [20.0; 3], "an object is once in each that was asked for it");
    assert_eq!(fleet.each_ref().map(|edge| edge.metrics().value(FAILED)), [Some(0.0); 3]);
}

#[test]
fn nobody_says_that_he_is_a_child_but_who_is_trusted() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let header = format!("{};http", "0f".repeat(32));
    let open = setup(&redis, &origin, "'127.0.0.1:1'", "").with("trusted", "192.0.2.0/24").start();
    let refused = get_with(&open, "/a", &[("edgeward-child", &header)]);
    assert_eq!((refused.status, refused.reason().as_str(), origin.count()), (403, "child_not_trusted", 0));
    assert_eq!(get(&open, "/a").status, 200);
    let closed = parent(&redis, &origin);
    let bad = get_with(&closed, "/a", &[("edgeward-child", "x")]);
    assert_eq!((bad.status, bad.reason().as_str()), (400, "bad_child"));
    let good =
        client(&closed).allow(&["cache-tag"]).request("GET", "/a", &[("edgeward-child", &header)], b"");
    assert_eq!((good.status, origin.last().header("edgeward-child")), (200, None));
}

#[test]
fn a_parent_mixes_nothing_that_children_tell_apart() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let parent = parent(&redis, &origin);
    let ask = |digit: &str, scheme: &str| {
        let value = format!("{};{scheme}", digit.repeat(64));
        is_hit(&client(&parent).allow(&["cache-tag"]).request(
            "GET",
            "/a",
            &[("edgeward-child", &value)],
            b"",
        ))
    };
    assert_eq!([ask("1", "http"), ask("1", "http")], [false, true]);
    assert_eq!([ask("2", "http"), ask("2", "http")], [false, true]);
    assert_eq!([ask("2", "https"), ask("2", "https")], [false, true]);
    assert_eq!(order(&parent, r#"{ "url": "https://localhost/a" }"#).status, 200);
    assert_eq!([ask("1", "http"), ask("2", "https")], [true, false]);
}

#[test]
fn a_parent_that_has_not_heard_of_a_purge_asks_the_origin() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let parent = parent(&redis, &origin);
    let ask = |purged: &str| {
        let value = format!("{};http{purged}", "0".repeat(64));
        let answer =
            client(&parent).allow(&["cache-tag"]).request("GET", "/a", &[("edgeward-child", &value)], b"");
        (is_hit(&answer), answer.header("cache-tag") == Some("a"))
    };
    assert_eq!([ask(""), ask(""), ask(";1-0")], [(false, true), (true, true), (true, true)]);
    assert_eq!((ask(";99999999999999-0"), origin.count()), ((false, true), 2));
}

#[test]
fn while_the_fleet_does_not_know_what_was_purged_parents_are_not_asked() {
    let Some(mut redis) = Redis::start() else { return };
    let origin = origin();
    let parent = parent(&redis, &origin);
    let child = child(&redis, &origin, &[&parent]);
    assert_eq!(get(&child, "/a").status, 200);
    soon("the parent to count it", || asked(&parent) > 0.0);
    redis.kill();
    assert_eq!(order(&child, r#"{ "tag": "a" }"#).status, 202);
    let before = asked(&parent);
    assert_eq!(get(&child, "/a").status, 200);
    assert_eq!((asked(&parent) - before, origin.count()), (0.0, 2), "the parent has it still");
    redis.begin();
    child.wait_for_metric("edgeward_cache_purges_waiting", 0.0);
    assert_eq!(get(&child, "/b").status, 200);
    soon("the parent to count another", || asked(&parent) > before);
    assert_eq!(asked(&parent) - before, 1.0);
}
