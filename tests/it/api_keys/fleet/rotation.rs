//! A rotation over a fleet under load, and uses that are seen wherever they happen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{follows, keys, member, status, stderr};
use crate::api_keys::rotation::load;
use crate::api_keys::{ask, id, origin, printed};
use crate::harness::{Edge, Redis, soon};

/// How often a process says that a key was used.
fn uses(edge: &Edge, key: &str) -> u64 {
    let all = edge.client("admin").get("/keys").json();
    let row = all["keys"].as_array().unwrap().iter().find(|row| row["id"] == id(key)).cloned();
    row.and_then(|row| row["uses"].as_u64()).unwrap_or_default()
}

#[test]
fn a_rotation_under_load_refuses_nobody_and_a_key_in_use_anywhere_is_not_retired() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let old = printed(&keys(&redis, &["new", "partner-a"]));
    let (one, two) = (member(&redis.address(), &origin).start(), member(&redis.address(), &origin).start());
    let unknown = keys(&redis, &["retire", id(&old)]);
    assert!(stderr(&unknown).contains("nobody knows whether"), "{unknown:?}");
    let stop = Arc::new(AtomicBool::new(false));
    let mut threads =
        vec![load(one.address("listen"), &old, &stop), load(two.address("listen"), &old, &stop)];
    let fresh = printed(&keys(&redis, &["rotate", "partner-a", "--overlap", "30d"]));
    let mut total = 0;
    for edge in [&one, &two] {
        follows(edge, &redis);
        threads.push(load(edge.address("listen"), &fresh, &stop));
        soon("users of the old key to be told", || {
            total += 1;
            ask(edge, "/", &old).header("deprecation").is_some()
        });
    }
    soon("some load", || origin.count() > 300);
    stop.store(true, Ordering::Release);
    let [first, second, rest @ ..] =
        &*threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    else {
        unreachable!("two threads ask with the old key, and two with the new one")
    };
    total += first.len() + second.len();
    let all = total + rest.iter().map(Vec::len).sum::<usize>();
    let refused = [first, second].into_iter().chain(rest).flatten().filter(|status| **status != 200).count();
    println!("{all} requests over the rotation, {refused} refused");
    assert_eq!(refused, 0);
    assert!(all > 100, "{all}");

    for edge in [&one, &two] {
        soon("both to know all uses", || uses(edge, &old) == total as u64);
    }
    soon("all uses to be written down", || {
        redis.ask(&["HGET", "edgeward:keys:uses", id(&old)]) == total.to_string()
    });
    let kept = keys(&redis, &["retire", id(&old)]);
    assert_eq!((kept.status.code(), kept.stdout.len()), (Some(1), 0), "{kept:?}");
    assert!(stderr(&kept).contains(&format!("uses in all: {total}")), "{kept:?}, {total}");
    let table = printed(&keys(&redis, &["list", "partner-a"]));
    assert!(table.contains(&format!("  {total}")), "{table}");

    assert!(keys(&redis, &["retire", id(&old), "--force"]).status.success());
    for edge in [&one, &two] {
        soon("the end of the old key", || ask(edge, "/", &old).status == 401);
        assert_eq!(ask(edge, "/", &old).reason(), "key_retired");
        assert_eq!(status(edge, &fresh), 200);
    }
}

#[test]
fn uses_survive_restarts_and_the_end_of_the_process_writes_the_last() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let key = printed(&keys(&redis, &["new", "partner-a"]));
    for expected in [3, 6] {
        let edge = member(&redis.address(), &origin).start();
        for _ in 0..3 {
            assert_eq!(status(&edge, &key), 200);
        }
        drop(edge);
        assert_eq!(redis.ask(&["HGET", "edgeward:keys:uses", id(&key)]), expected.to_string());
    }
    let last: u64 = redis.ask(&["ZSCORE", "edgeward:keys:last", id(&key)]).parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(now - last < 60, "{last}");
}

#[test]
fn uses_that_were_counted_while_redis_was_gone_are_not_lost_and_old_ones_are_forgotten() {
    let Some(mut redis) = Redis::start() else { return };
    let origin = origin();
    let key = printed(&keys(&redis, &["new", "partner-a"]));
    redis.ask(&["ZADD", "edgeward:keys:last", "1000000000", "long-gone", "4000000000", "of-another"]);
    redis.ask(&["HSET", "edgeward:keys:uses", "long-gone", "5", "of-another", "6"]);
    let edge = member(&redis.address(), &origin).start();
    follows(&edge, &redis);
    redis.kill();
    for _ in 0..4 {
        assert_eq!(status(&edge, &key), 200);
    }
    edge.wait_for_metric("edgeward_redis_up{redis=\"fleet\"}", 0.0);
    redis.begin();
    soon("the uses", || redis.ask(&["HGET", "edgeward:keys:uses", id(&key)]) == "4");
    soon("old uses to be forgotten", || redis.ask(&["HEXISTS", "edgeward:keys:uses", "long-gone"]) == "0");
    assert_eq!(redis.ask(&["ZSCORE", "edgeward:keys:last", "long-gone"]), "");
    assert_eq!(redis.ask(&["HGET", "edgeward:keys:uses", "of-another"]), "6");
}
