//! A fleet: what is purged in one process is purged in all that have a Redis in common. Each instance here has a cache of its
//! own, and knows of the others by Redis alone.

use std::time::Instant;

use super::{client, get, is_hit};
use crate::harness::tools::edgeward;
use crate::harness::{Edge, Origin, Redis, Relay, Reply, Response, Seen, Setup, soon};

const POLICY: &str = r"
limits: { stall: 1s, methods: [PURGE] }
admin: { address: '{admin}' }
access_log: { to: access.log }
listeners: [{ address: '{listen}' }]
redis: { fleet: { address: '{redis}', {redis_more} } }
cache: { purges: { redis: fleet } }
upstreams: { app: { backends: ['{origin}'] } }
routes: [{ name: app, match: { path: /** }, upstream: app, filters: [{ cache: { purge_from: [127.0.0.0/8] } }] }]
";
const LOG: &str = "edgeward:cache:purges";
const MISSED: &str = "edgeward_cache_purges_missed_total";
const PATHS: [&str; 3] = ["/a", "/a/b", "/other"];

fn member(redis: &str, origin: &Origin) -> Setup {
    Edge::policy(POLICY).with("redis", redis).with("redis_more", "").with("origin", origin.address())
}

/// An origin whose answers have the tag of their path.
fn tagging() -> Origin {
    Origin::start(|request: &Seen| {
        let tag = request.target().trim_start_matches('/').replace('/', "-");
        Reply::status(200, &[("cache-control", "max-age=600"), ("cache-tag", &tag)], "x")
    })
}

fn fill(edge: &Edge) {
    for path in PATHS {
        assert_eq!(get(edge, path).status, 200);
    }
    assert_eq!(hits(edge), [true; 3]);
}

/// So many members, each of which has all paths stored.
fn filled<const N: usize>(redis: &Redis, origin: &Origin) -> [Edge; N] {
    let fleet = [(); N].map(|()| member(&redis.address(), origin).start());
    fleet.iter().for_each(fill);
    fleet
}

/// One member that reaches Redis, and one that reaches it by the relay and was just cut off.
fn parted(redis: &Redis, relay: &Relay, origin: &Origin) -> [Edge; 2] {
    let fleet = [redis.address(), relay.address()].map(|address| member(&address, origin).start());
    fleet.iter().for_each(fill);
    relay.cut();
    fleet[1].wait_for_metric("edgeward_redis_up{redis=\"fleet\"}", 0.0);
    fleet
}

/// Which of the paths are answered from the cache.
fn hits(edge: &Edge) -> [bool; 3] {
    let mut client = client(edge);
    PATHS.map(|path| is_hit(&client.request("GET", path, &[("cache-control", "only-if-cached")], b"")))
}

fn order(edge: &Edge, body: &str) -> Response {
    edge.client("admin").request("POST", "/cache/purge", &[], body.as_bytes())
}

fn purge(edge: &Edge, arguments: &[&str]) -> (Option<i32>, String) {
    let policy = edge.folder.path().join("policy.yaml").display().to_string();
    let output = edgeward(&[&["cache", "purge", "--policy", &policy], arguments].concat());
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_purge_given_to_one_process_holds_in_all() {
    let Some(redis) = Redis::start() else { return };
    let origin = tagging();
    let fleet = filled::<3>(&redis, &origin);
    let answer = order(&fleet[0], r#"{ "tag": ["a"] }"#);
    let begun = Instant::now();
    assert_eq!((answer.status, answer.json()["fleet"].as_str()), (200, Some("told")));
    assert_eq!(hits(&fleet[0]), [false, true, true], "at once where it was given");
    for edge in &fleet[1..] {
        soon("the purge", || hits(edge) == [false, true, true]);
    }
    println!("a purge held everywhere {:?} after the answer to it", begun.elapsed());
    assert_eq!(purge(&fleet[1], &["--prefix", "http://localhost/a/"]), (Some(0), String::new()));
    let answer = client(&fleet[2]).request("PURGE", "/other", &[], b"");
    assert_eq!(answer.status, 204);
    for edge in &fleet {
        soon("both purges", || hits(edge) == [false; 3]);
        assert_eq!(edge.metrics().value(MISSED), Some(0.0));
    }
    fleet[0].wait_for_metric("edgeward_cache_purges_sent_total", 1.0);
    fleet[0].wait_for_metric("edgeward_cache_purges_received_total", 2.0);
}

#[test]
fn a_soft_purge_is_soft_everywhere() {
    let Some(redis) = Redis::start() else { return };
    let origin = Origin::start(|request: &Seen| match request.header("if-none-match") {
        Some(_) => Reply::status(503, &[], "bad"),
        None => Reply::status(
            200,
            &[("cache-control", "max-age=60, stale-if-error=60"), ("etag", "\"a\"")],
            "good",
        ),
    });
    let fleet = filled::<2>(&redis, &origin);
    assert_eq!(order(&fleet[0], r#"{ "all": true, "soft": true }"#).status, 200);
    for edge in &fleet {
        soon("the purge", || !is_hit(&get(edge, "/a")));
        assert_eq!(get(edge, "/a").text(), "good");
    }
}

#[test]
fn a_write_through_one_process_makes_what_all_have_stored_untrue() {
    let Some(redis) = Redis::start() else { return };
    let origin = tagging();
    let fleet = filled::<2>(&redis, &origin);
    assert_eq!(client(&fleet[0]).request("PUT", "/a", &[], b"").status, 200);
    assert_eq!(hits(&fleet[0]), [false, true, true]);
    soon("the write", || hits(&fleet[1]) == [false, true, true]);
}

#[test]
fn while_redis_is_gone_purges_hold_where_they_are_given_and_are_told_later() {
    let Some(mut redis) = Redis::start() else { return };
    let origin = tagging();
    let fleet = filled::<2>(&redis, &origin);
    redis.kill();
    let answer = order(&fleet[0], r#"{ "tag": "a" }"#);
    assert_eq!(
        (answer.status, answer.json()),
        (202, serde_json::json!({ "purged": true, "fleet": "waits" }))
    );
    let (code, told) = purge(&fleet[0], &["--tag", "a-b"]);
    assert!(code == Some(3) && told.contains("purged in this process; the fleet is told"), "{told}");
    assert_eq!(client(&fleet[0]).request("PURGE", "/other", &[], b"").status, 202);
    assert_eq!((hits(&fleet[0]), hits(&fleet[1])), ([false; 3], [true; 3]));
    assert!(fleet[0].metrics().value("edgeward_cache_purges_waiting").unwrap() > 0.0);
    redis.begin();
    soon("all three purges", || hits(&fleet[1]) == [false; 3]);
    fleet[0].wait_for_metric("edgeward_cache_purges_waiting", 0.0);
    assert_eq!(fleet[1].metrics().value(MISSED), Some(0.0));
}

#[test]
fn who_was_away_catches_up() {
    let Some(redis) = Redis::start() else { return };
    let (origin, relay) = (tagging(), Relay::start(redis.socket()));
    let [here, away] = parted(&redis, &relay, &origin);
    for tag in ["a", "a-b"] {
        assert_eq!(order(&here, &format!(r#"{{ "tag": "{tag}" }}"#)).status, 200);
    }
    assert_eq!((hits(&here), hits(&away)), ([false, false, true], [true; 3]));
    relay.mend();
    soon("what was missed", || hits(&away) == [false, false, true]);
    assert_eq!(away.metrics().value(MISSED), Some(0.0));
}

#[test]
fn who_was_away_for_too_long_purges_everything() {
    let Some(redis) = Redis::start() else { return };
    let (origin, relay) = (tagging(), Relay::start(redis.socket()));
    let [here, away] = parted(&redis, &relay, &origin);
    for _ in 0..3 {
        assert_eq!(order(&here, r#"{ "tag": "a" }"#).status, 200);
    }
    redis.ask(&["XTRIM", LOG, "MAXLEN", "1"]);
    relay.mend();
    soon("everything to be purged", || hits(&away) == [false; 3]);
    assert_eq!((hits(&here), away.metrics().value(MISSED)), ([false, true, true], Some(1.0)));
}

#[test]
fn a_redis_that_lost_its_data_has_everybody_purge_everything() {
    let Some(redis) = Redis::start() else { return };
    let origin = tagging();
    let fleet = filled::<2>(&redis, &origin);
    redis.ask(&["FLUSHALL"]);
    for edge in &fleet {
        soon("everything to be purged", || hits(edge) == [false; 3]);
    }
    fleet.iter().for_each(fill);
    assert_eq!(order(&fleet[0], r#"{ "tag": "a" }"#).status, 200);
    soon("the purge", || hits(&fleet[1]) == [false, true, true]);
}

#[test]
fn what_is_not_understood_purges_everything() {
    let Some(redis) = Redis::start() else { return };
    let origin = tagging();
    let edge = member(&redis.address(), &origin).start();
    fill(&edge);
    redis.ask(&["XADD", LOG, "*", "purge", r#"{ "by": "a later version", "hosts": ["localhost"] }"#]);
    redis.ask(&["PUBLISH", "edgeward:cache:purged", ""]);
    soon("everything to be purged", || hits(&edge) == [false; 3]);
}

#[test]
fn who_starts_late_has_nothing_to_catch_up_with_unless_it_stored_something_before_it_knew() {
    let Some(mut redis) = Redis::start() else { return };
    let origin = tagging();
    let first = member(&redis.address(), &origin).start();
    assert_eq!(order(&first, r#"{ "tag": "a" }"#).status, 200);
    let second = member(&redis.address(), &origin).start();
    fill(&second);
    assert_eq!(second.metrics().value(MISSED), Some(0.0));
    redis.kill();
    let third = member(&redis.address(), &origin).start();
    fill(&third);
    redis.begin();
    third.wait_for_metric(MISSED, 1.0);
    assert_eq!((hits(&second), hits(&third)), ([true; 3], [false; 3]));
}

#[test]
fn the_log_is_bounded_in_orders_and_bytes() {
    let Some(redis) = Redis::start() else { return };
    let origin = tagging();
    let edge = member(&redis.address(), &origin).start();
    let many = "for i = 1, 65600 do redis.call('XADD', KEYS[1], '*', 'purge', '') end";
    redis.ask(&["EVAL", many, "1", LOG]);
    let length = || redis.ask(&["XLEN", LOG]);
    assert_eq!(order(&edge, r#"{ "tag": "a" }"#).status, 200);
    assert_eq!(length(), "65536");
    redis.ask(&["XTRIM", LOG, "MAXLEN", "1000"]);
    redis.ask(&["SET", "edgeward:cache:purges:bytes", "20000000"]);
    assert_eq!(order(&edge, r#"{ "tag": "a" }"#).status, 200);
    assert_eq!(length(), "1");
}

#[test]
fn ten_thousand_tags_are_purged_in_all() {
    let Some(redis) = Redis::start() else { return };
    let origin = tagging();
    let fleet = filled::<2>(&redis, &origin);
    let tags: Vec<_> = (0..10_000).map(|number| format!("tag-{number}")).chain(["a".to_owned()]).collect();
    let begun = Instant::now();
    assert_eq!(order(&fleet[0], &serde_json::json!({ "tag": tags }).to_string()).status, 200);
    println!("10,001 tags: the fleet was told after {:?}", begun.elapsed());
    soon("the purge", || hits(&fleet[1]) == [false, true, true]);
    println!("10,001 tags: they held everywhere after {:?}", begun.elapsed());
}

#[test]
fn a_reload_goes_on_from_where_the_policy_before_was() {
    let Some(redis) = Redis::start() else { return };
    let origin = tagging();
    let fleet = filled::<2>(&redis, &origin);
    fleet[1].reload().unwrap();
    assert_eq!(hits(&fleet[1]), [true; 3]);
    assert_eq!(order(&fleet[0], r#"{ "tag": "a" }"#).status, 200);
    soon("the purge", || hits(&fleet[1]) == [false, true, true]);
    // Another prefix is another fleet, of which nobody knows what it purged.
    fleet[1].rewrite(&POLICY.replace("{redis_more}", "prefix: 'other:'"));
    fleet[1].reload().unwrap();
    soon("everything to be purged", || hits(&fleet[1]) == [false; 3]);
    fill(&fleet[1]);
    assert_eq!(order(&fleet[0], r#"{ "tag": "other" }"#).status, 200);
    assert_eq!(order(&fleet[1], r#"{ "tag": "a" }"#).status, 200);
    assert_eq!((hits(&fleet[0]), hits(&fleet[1])), ([false, true, false], [false, true, true]));
}

/// What the guide gives the user of caches.
const USER: &str = "ACL SETUSER cache on >right ~edgeward:cache:* &edgeward:cache:* +hello +select +ping +subscribe +eval \
                    +publish +exists +set +get +xadd +xdel +xlen +xrange +xrevrange";

#[test]
fn the_user_of_caches_may_all_that_is_needed() {
    let Some(redis) = Redis::start() else { return };
    assert_eq!(redis.ask(&USER.split_whitespace().collect::<Vec<_>>()), "OK");
    let (origin, login) = (tagging(), "username: cache, password: { file: password }");
    let start = || {
        let setup = member(&redis.address(), &origin).with("redis_more", login);
        setup.file("password", "right\n").start()
    };
    let fleet = [start(), start()];
    fleet.iter().for_each(fill);
    let many = "for i = 1, 65600 do redis.call('XADD', KEYS[1], '*', 'purge', '') end";
    redis.ask(&["EVAL", many, "1", LOG]);
    assert_eq!(order(&fleet[0], r#"{ "tag": "a" }"#).status, 200);
    soon("the purge", || !hits(&fleet[1])[0]);
    assert_eq!(redis.ask(&["ACL", "LOG"]), "");
}
