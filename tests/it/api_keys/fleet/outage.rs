//! Redis is gone, or holds what it should not: what is known goes on, and what is not known opens nothing.

use super::{INLINE, follows, keys, member, soon, status, store};
use crate::api_keys::{ask, origin, printed};
use crate::harness::{Edge, Redis};
use crate::process::Site;

const UP: &str = "edgeward_redis_up{redis=\"fleet\"}";

#[test]
fn known_keys_go_on_while_redis_is_gone_and_changes_come_with_it() {
    let Some(mut redis) = Redis::start() else { return };
    let origin = origin();
    let known = printed(&keys(&redis, &["new", "partner-a"]));
    let edge = member(&redis.address(), &origin).start();
    follows(&edge, &redis);
    redis.kill();
    edge.wait_for_metric(UP, 0.0);
    soon("the trouble to be told", || {
        store(&edge)["trouble"].as_str().is_some_and(|why| why.contains("cannot connect"))
    });
    assert_eq!((status(&edge, &known), status(&edge, "unheard-of")), (200, 401));
    edge.reload().unwrap();
    assert_eq!((status(&edge, &known), status(&edge, "unheard-of")), (200, 401), "a reload forgets nothing");
    let failed = keys(&redis, &["new", "partner-b"]);
    assert_eq!((failed.status.code(), failed.stdout.len()), (Some(1), 0), "{failed:?}");

    redis.begin();
    let fresh = printed(&keys(&redis, &["new", "partner-b"]));
    soon("the change that was made since", || status(&edge, &fresh) == 200);
    assert_eq!(status(&edge, &known), 200);
    edge.wait_for_metric(UP, 1.0);
    assert_eq!(store(&edge)["trouble"], serde_json::Value::Null);
}

#[test]
fn a_redis_that_says_nothing_holds_up_no_request() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let known = printed(&keys(&redis, &["new", "partner-a"]));
    let edge = member(&redis.address(), &origin).start();
    follows(&edge, &redis);
    redis.freeze();
    let begun = std::time::Instant::now();
    let mut asked = 0;
    while edge.metrics().value(UP) == Some(1.0) {
        assert_eq!((status(&edge, &known), status(&edge, "unheard-of")), (200, 401));
        asked += 2;
    }
    let each = begun.elapsed() / asked;
    println!("{asked} requests until it was noticed, {each:?} each");
    assert!(asked > 100 && each < std::time::Duration::from_millis(50), "{asked}, {each:?}");
    redis.thaw();
    edge.wait_for_metric(UP, 1.0);
    let fresh = printed(&keys(&redis, &["new", "partner-b"]));
    soon("the new key", || status(&edge, &fresh) == 200);
}

#[test]
fn a_process_that_never_saw_the_store_refuses_what_it_does_not_know_as_its_own_fault() {
    let Some(mut redis) = Redis::prepare(&[]) else { return };
    let origin = origin();
    let edge = member(&redis.address(), &origin).start();
    let refused = ask(&edge, "/", "some-key");
    assert_eq!((refused.status, refused.reason()), (503, "key_store_unavailable".to_owned()));
    assert_eq!((refused.header("retry-after"), refused.header("www-authenticate")), (Some("2"), None));
    assert_eq!(edge.client("listen").get("/").reason(), "key_missing", "what is no key needs no store");
    assert_eq!(status(&edge, INLINE), 200, "the policy's own");
    redis.begin();
    let key = printed(&keys(&redis, &["new", "partner-a"]));
    soon("the store", || status(&edge, &key) == 200);
    assert_eq!(ask(&edge, "/", "some-key").reason(), "key_unknown");
}

#[test]
fn a_broken_document_takes_the_place_of_no_good_one() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let key = printed(&keys(&redis, &["new", "partner-a"]));
    let edge = member(&redis.address(), &origin).start();
    follows(&edge, &redis);
    let good = redis.ask(&["HGET", "edgeward:keys", "document"]);
    let clash = good.replace("partner-a", "inline");
    let wrong = [good.replace("sha256", "sha255"), "{".to_owned(), clash, "x".repeat(5 << 20)];
    for (number, document) in wrong.iter().enumerate() {
        redis.ask(&["HSET", "edgeward:keys", "version", &format!("wrong-{number}")]);
        // Too long for an argument of a command.
        let document = if document.len() > 1 << 20 {
            redis.ask(&["SETRANGE", "long", &(5 << 20).to_string(), "x"]);
            redis.ask(&[
                "EVAL",
                "redis.call('HSET', KEYS[1], 'document', redis.call('GET', 'long'))",
                "1",
                "edgeward:keys",
            ])
        } else {
            redis.ask(&["HSET", "edgeward:keys", "document", document, "version", &format!("wrong-{number}")])
        };
        redis.ask(&["PUBLISH", "edgeward:keys:changed", &document]);
        let troubled = || store(&edge)["trouble"].as_str().map(str::to_owned);
        soon("the trouble", || {
            troubled()
                .is_some_and(|why| why.contains(&format!("wrong-{number} is wrong")) || why.contains("4 MiB"))
        });
        assert_eq!(status(&edge, &key), 200, "{number}");
        edge.reload().unwrap();
        assert_eq!(status(&edge, &key), 200, "{number}, after a reload");
    }
    redis.ask(&["HSET", "edgeward:keys", "document", &good, "version", "good"]);
    follows(&edge, &redis);
    assert_eq!((status(&edge, &key), &store(&edge)["trouble"]), (200, &serde_json::Value::Null));
}

#[test]
fn a_redis_that_lost_everything_takes_no_keys_away_and_begins_anew() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let old = printed(&keys(&redis, &["new", "partner-a"]));
    let edge = member(&redis.address(), &origin).start();
    follows(&edge, &redis);
    redis.ask(&["FLUSHALL"]);
    soon("the loss to be told", || {
        store(&edge)["trouble"].as_str().is_some_and(|why| why.contains("there is no store"))
    });
    assert_eq!(status(&edge, &old), 200);
    let new = printed(&keys(&redis, &["new", "partner-a"]));
    soon("the new store", || status(&edge, &new) == 200);
    assert_eq!(status(&edge, &old), 401, "what is in the store has the last word");
}

#[test]
fn an_upgrade_refuses_nobody() {
    let Some(redis) = Redis::start() else { return };
    let key = printed(&keys(&redis, &["new", "partner-a"]));
    let policy = r#"
server: { runtime_directory: {dir}/run, state_directory: {dir}/state, drain: 1s }
admin: { address: "{admin}" }
listeners: [{ address: "{listen}" }]
redis: { fleet: { address: "{redis}" } }
api_keys: { store: { redis: fleet } }
routes: [{ name: hello, filters: [{ api_key: {} }], respond: { body: hello } }]
"#;
    let site = Site::new(policy, &[("redis", &redis.address())]);
    let ask = || site.client("listen").request("GET", "/", &[("X-Api-Key", key.as_str())], b"").status;
    let mut first = site.start();
    assert_eq!(ask(), 200);
    let mut second = site.upgrade();
    for _ in 0..50 {
        assert_eq!(ask(), 200);
    }
    first.ended();
    second.signal(rustix::process::Signal::TERM);
    second.ended();
    let uses = redis.ask(&["HGET", "edgeward:keys:uses", crate::api_keys::id(&key)]);
    assert_eq!(uses, "51", "both wrote down what they counted");
}

#[test]
fn a_wrong_name_of_a_redis_is_told() {
    let text = super::POLICY.replace("{ redis: fleet }", "{ redis: fleat }");
    let wrong = Edge::policy(&text)
        .with("redis", "unix:/nowhere")
        .with("redis_more", "")
        .with("more", "")
        .with("origin", "127.0.0.1:1")
        .try_start();
    let wrong = wrong.err().unwrap();
    assert!(wrong.contains("api_keys.store.redis") && wrong.contains("did you mean \"fleet\"?"), "{wrong}");
}
