//! A fleet: several processes with one store in a Redis. Two instances in this process know of each other by Redis alone.

mod access;
mod notices;
mod outage;
mod rotation;

use std::process::Output;
use std::time::Instant;

use super::{ask, id, new, origin, printed};
use crate::harness::tools::edgeward;
use crate::harness::{Edge, Origin, Redis, Setup, soon};

/// One process of the fleet, with a consumer of its own whose key is `made-elsewhere`.
const POLICY: &str = r#"
server: { drain: 200ms, state_directory: "{dir}/state" }
listeners: [{ address: "{listen}" }]
admin: { address: "{admin}" }
access_log: { to: "{dir}/access.log" }
redis: { fleet: { address: "{redis}", {redis_more} } }
api_keys: { store: { redis: fleet }, {more} }
consumers:
  - { name: inline, keys: [{ id: inline-1, sha256: "a49b94dc8cebc2301b5ae596e4bca9a21cfd233755744ddaaa93eddfbab059f9" }] }
upstreams: { origin: { backends: ["{origin}"] } }
routes:
  - { name: guarded, match: { path: /** }, filters: [{ api_key: {} }], upstream: origin }
"#;
const INLINE: &str = "made-elsewhere";

/// A process of the fleet, about to be started.
fn member(redis: &str, origin: &Origin) -> Setup {
    Edge::policy(POLICY)
        .with("redis", redis)
        .with("redis_more", "")
        .with("more", "")
        .with("origin", origin.address())
}

/// Runs `edgeward keys` on the store of a fleet.
fn keys(redis: &Redis, arguments: &[&str]) -> Output {
    edgeward(&[&["keys"], arguments, &["--store", &redis.address()]].concat())
}

/// The status that a key gets.
fn status(edge: &Edge, key: &str) -> u16 {
    ask(edge, "/", key).status
}

/// What the admin listener says of the store.
fn store(edge: &Edge) -> serde_json::Value {
    edge.client("admin").get("/keys").json()["store"].clone()
}

/// Waits until a process has the store's version.
fn follows(edge: &Edge, redis: &Redis) {
    let version = redis.ask(&["HGET", "edgeward:keys", "version"]);
    soon("the store's version", || store(edge)["version"] == version);
}

fn printed_lines(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_new_key_opens_every_process_at_once() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let first = printed(&keys(&redis, &["new", "partner-a"]));
    let fleet = [member(&redis.address(), &origin).start(), member(&redis.address(), &origin).start()];
    for edge in &fleet {
        assert_eq!(status(edge, &first), 200, "what was there before the start is known with it");
        assert_eq!(status(edge, INLINE), 200);
        assert_eq!(ask(edge, "/", "x").reason(), "key_unknown");
    }
    let second = printed(&keys(&redis, &["new", "partner-b"]));
    let begun = Instant::now();
    for edge in &fleet {
        soon("the new key", || status(edge, &second) == 200);
    }
    println!("a new key was known everywhere {:?} after the command ended", begun.elapsed());
    let told = store(&fleet[0]);
    assert_eq!(
        (&told["redis"], &told["trouble"]),
        (&"redis fleet".into(), &serde_json::Value::Null),
        "{told}"
    );
    let up = fleet[0].metrics().value("edgeward_redis_up{redis=\"fleet\"}");
    assert_eq!(up, Some(1.0));
}

#[test]
fn the_policy_leads_to_the_store_and_consumers_of_its_own_are_left_alone() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let edge = member(&redis.address(), &origin).start();
    let policy = edge.folder.path().join("policy.yaml").display().to_string();
    let run = |arguments: &[&str]| edgeward(&[&["keys"], arguments, &["--policy", &policy]].concat());
    let missing = run(&["list"]);
    assert_eq!(missing.status.code(), Some(64));
    assert!(stderr(&missing).contains("redis fleet: there is no such store"), "{missing:?}");
    let key = printed(&run(&["new", "partner-a", "--scope", "read"]));
    soon("the new key", || status(&edge, &key) == 200);
    let table = printed(&run(&["list"]));
    assert!(table.contains("inline") && table.contains(id(&key)), "{table}");
    let refused = run(&["new", "inline"]);
    assert!(stderr(&refused).contains("by hand"), "{refused:?}");
    assert_eq!(run(&["prune"]).status.code(), Some(0));
}

#[test]
fn operators_at_the_same_time_lose_nothing() {
    let Some(redis) = Redis::start() else { return };
    let made: Vec<String> = std::thread::scope(|scope| {
        let redis = &redis;
        let one = |number| scope.spawn(move || printed(&keys(redis, &["new", &format!("partner-{number}")])));
        let all: Vec<_> = (0..8).map(one).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let table = printed(&keys(&redis, &["list"]));
    for key in &made {
        assert!(table.contains(id(key)), "{table}");
    }
}

#[test]
fn a_store_is_exported_changed_and_imported_over_the_version_that_was_exported() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let edge = member(&redis.address(), &origin);
    let key = new(edge.path(), &["partner-a", "--scope", "read"]);
    let file = edge.path().join("keys.yaml").display().to_string();
    let edge = edge.start();
    assert_eq!(status(&edge, &key), 503);
    assert!(stderr(&keys(&redis, &["import", &file, "--over", "7"])).contains("no store to replace"));
    assert_eq!(keys(&redis, &["import", &file]).status.code(), Some(0), "the store of one process");
    soon("the store", || status(&edge, &key) == 200);
    assert!(stderr(&keys(&redis, &["import", &file])).contains("which would be lost"));

    let exported = keys(&redis, &["export"]);
    let version = stderr(&exported).trim().strip_prefix("version ").unwrap().to_owned();
    assert_eq!(version, redis.ask(&["HGET", "edgeward:keys", "version"]));
    let changed = printed_lines(&exported).replace("name: \"partner-a\"", "name: \"partner-b\"");
    let path = edge.folder.write("changed.yaml", changed.replace("sha256", "sha255")).display().to_string();
    let import = || keys(&redis, &["import", &path, "--over", &version]);
    let wrong = import();
    assert_eq!(wrong.status.code(), Some(64));
    assert!(stderr(&wrong).contains("consumers[0].keys[0]: unknown key \"sha255\""), "{wrong:?}");
    edge.folder.write("changed.yaml", changed);
    assert_eq!(import().status.code(), Some(0));
    follows(&edge, &redis);
    status(&edge, &key);
    edge.logged("the consumer's new name", |line| line["consumer"] == "partner-b");
    let late = import();
    assert!(late.status.code() == Some(1) && stderr(&late).contains("somebody has changed"), "{late:?}");
    let local = edgeward(&["keys", "export", "--store", &file]);
    assert!(stderr(&local).contains("the store is the file"), "{local:?}");
}

#[test]
fn fleets_with_other_prefixes_or_databases_share_nothing() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let key = printed(&keys(&redis, &["new", "partner-a"]));
    for more in ["prefix: \"staging:\"", "database: 3"] {
        let edge = member(&redis.address(), &origin).with("redis_more", more).start();
        assert_eq!(ask(&edge, "/", &key).reason(), "key_store_unavailable");
        let policy = edge.folder.path().join("policy.yaml").display().to_string();
        let other = printed(&edgeward(&["keys", "new", "partner-a", "--policy", &policy]));
        soon("the fleet's own key", || status(&edge, &other) == 200);
        assert_eq!(ask(&edge, "/", &key).reason(), "key_unknown");
    }
    assert!(!redis.ask(&["HGET", "staging:keys", "document"]).is_empty());
    assert!(!redis.ask(&["-n", "3", "HGET", "edgeward:keys", "document"]).is_empty());
}

#[test]
fn files_and_fleets_may_follow_each_other_by_a_reload() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let of_fleet = printed(&keys(&redis, &["new", "partner-a"]));
    let file = POLICY.replace("{ redis: fleet }", "keys.yaml");
    let edge = member(&redis.address(), &origin);
    let of_file = new(edge.path(), &["partner-b"]);
    let edge = edge.start();
    assert_eq!((status(&edge, &of_fleet), status(&edge, &of_file)), (200, 401));
    edge.rewrite(&file);
    edge.reload().unwrap();
    assert_eq!((status(&edge, &of_fleet), status(&edge, &of_file)), (401, 200));
    edge.rewrite(POLICY);
    edge.reload().unwrap();
    assert_eq!((status(&edge, &of_fleet), status(&edge, &of_file)), (200, 401));
}
