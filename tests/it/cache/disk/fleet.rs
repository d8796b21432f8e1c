//! A member of a fleet that shares purges: what it has on disk counts after a restart, but for what was purged meanwhile.

use rustix::process::Signal;

use super::{attached, body, fill, is_from_disk, on_disk, origin, site, start, stop, stored, value};
use crate::harness::{Origin, Redis, Relay, soon};
use crate::process::{Process, Site};

const POLICY: &str = r#"
server: { runtime_directory: {dir}/run, drain: 1s, workers: 2 }
admin: { address: "{admin}" }
redis: { fleet: { address: "REDIS", prefix: "{disk}" } }
cache: { memory: 16MiB, disk: { path: store, size: 64MiB }, purges: { redis: fleet } }
listeners: [{ address: "{listen}" }]
upstreams: { app: { backends: ["{origin}"] } }
routes:
  - { name: app, match: { path: /** }, upstream: app, filters: [cache: {}] }
"#;
const LOG: &str = "edgeward:cache:purges";
const MISSED: &str = "edgeward_cache_purges_missed_total";
const PATHS: [&str; 2] = ["/1000/a", "/1000/b"];

fn member(redis: &str, origin: &Origin) -> Site {
    site(&POLICY.replace("REDIS", redis), origin, "edgeward:")
}

/// A member that has stored both paths, and was stopped.
fn filled(redis: &str, origin: &Origin) -> Site {
    let site = member(redis, origin);
    let process = start(&site);
    fill(&site, &PATHS);
    stop(process);
    site
}

fn purge(site: &Site, path: &str) {
    let order = serde_json::json!({ "tag": path }).to_string();
    let answer = site.client("admin").request("POST", "/cache/purge", &[], order.as_bytes());
    assert_eq!((answer.status, answer.json()["fleet"].as_str()), (200, Some("told")));
}

/// Which of the paths are found. The disk counts already.
fn hits(site: &Site) -> [bool; 2] {
    PATHS.map(|path| {
        let answer = stored(site, path);
        assert!(answer.status == 504 || is_from_disk(&answer) && answer.body == body(path), "{path}");
        answer.status == 200
    })
}

fn begins(site: &Site) -> Process {
    let process = start(site);
    assert_eq!(value(site, MISSED), 0.0);
    process
}

#[test]
fn a_member_is_warm_after_a_restart_but_for_what_was_purged_meanwhile() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let (site, other) = (filled(&redis.address(), &origin), member(&redis.address(), &origin));
    let process = begins(&site);
    assert_eq!(hits(&site), [true; 2]);
    stop(process);
    let other_process = start(&other);
    purge(&other, PATHS[0]);
    let process = begins(&site);
    assert_eq!(hits(&site), [false, true]);
    stop(process);
    let process = begins(&site);
    assert_eq!(hits(&site), [false, true], "for good");
    purge(&other, PATHS[1]);
    soon("the other purge", || stored(&site, PATHS[1]).status == 504);
    drop((process, other_process));
}

#[test]
fn a_member_that_was_killed_is_warm_but_for_what_was_purged() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let (site, other) = (member(&redis.address(), &origin), member(&redis.address(), &origin));
    let (mut process, other_process) = (start(&site), start(&other));
    fill(&site, &PATHS);
    purge(&other, "/1000/none");
    soon("it to be heard", || value(&site, "edgeward_cache_purges_received_total") == 1.0);
    process.signal(Signal::KILL);
    process.ended();
    purge(&other, PATHS[1]);
    let process = begins(&site);
    assert_eq!(hits(&site), [true, false]);
    drop((process, other_process));
}

#[test]
fn a_successor_hears_what_its_predecessor_was_given() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let site = member(&redis.address(), &origin);
    let mut first = start(&site);
    fill(&site, &PATHS);
    purge(&site, PATHS[0]);
    let second = site.upgrade();
    second.says("the cache has its disk");
    attached(&site);
    assert_eq!(hits(&site), [false, true]);
    assert_eq!(value(&site, MISSED), 0.0);
    assert_eq!(first.ended().code(), Some(0));
}

#[test]
fn a_member_is_cold_where_the_log_does_not_say_what_it_missed() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let other = member(&redis.address(), &origin);
    let process = start(&other);
    let trim = |redis: &Redis| {
        purge(&other, "/1000/none");
        purge(&other, "/1000/none");
        redis.ask(&["XTRIM", LOG, "MAXLEN", "1"]);
    };
    let flush = |redis: &Redis| {
        redis.ask(&["FLUSHALL"]);
    };
    // As after a copy was brought back: what was noted is later than all there is.
    let older = |redis: &Redis| {
        redis.ask(&["DEL", LOG]);
        redis.ask(&["XADD", LOG, "7-0", "purge", ""]);
    };
    for lose in [&trim as &dyn Fn(&Redis), &flush, &older] {
        let site = filled(&redis.address(), &origin);
        lose(&redis);
        let again = start(&site);
        assert_eq!((hits(&site), value(&site, MISSED)), ([false; 2], 1.0));
        drop(again);
    }
    drop(process);
}

#[test]
fn while_redis_is_gone_a_member_starts_without_its_disk_and_takes_it_when_it_has_heard() {
    let Some(redis) = Redis::start() else { return };
    let (origin, relay) = (origin(), Relay::start(redis.socket()));
    let other = member(&redis.address(), &origin);
    let other_process = start(&other);
    let site = filled(&relay.address(), &origin);
    relay.cut();
    let process = site.start();
    process.says("the cache's disk waits for what the fleet purged meanwhile");
    purge(&other, PATHS[0]);
    assert_eq!((hits(&site), value(&site, "edgeward_cache_disk_attached")), ([false; 2], 0.0));
    relay.mend();
    attached(&site);
    assert_eq!((hits(&site), value(&site, MISSED)), ([false, true], 0.0));
    drop((process, other_process));
}

#[test]
fn who_joins_or_leaves_a_fleet_or_changes_it_is_cold_once() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let site = filled(&redis.address(), &origin);
    let policy = POLICY.replace("REDIS", &redis.address());
    let alone = policy.replace(", purges: { redis: fleet }", "");
    let other = policy.replace("{disk}", "other:");
    for policy in [&alone, &policy, &other] {
        site.rewrite(policy);
        let process = start(&site);
        assert_eq!(hits(&site), [false; 2]);
        for path in PATHS {
            assert_eq!(super::get(&site, path, &[]).status, 200);
        }
        on_disk(&site, 2);
        stop(process);
        let process = start(&site);
        assert_eq!(hits(&site), [true; 2]);
        stop(process);
    }
}
