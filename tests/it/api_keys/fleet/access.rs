//! Who may use the Redis, and by which way.

use super::{follows, keys, member, soon, status, stderr, store};
use crate::api_keys::{ask, origin, printed};
use crate::harness::tools::edgeward_with;
use crate::harness::{Authority, Redis};

/// What the guide gives the user of proxies: to read the store, and to count.
const PROXY: &str = "+hello +select +ping +multi +exec +hget +hmget +hstrlen +hincrby +hdel +zadd +zmscore \
                     +zrangebyscore +zrem +set +get +expire +exists +subscribe";
/// And operators, besides.
const OPERATOR: &str = "+eval +hset +publish";

fn user(redis: &Redis, name: &str, password: &str, may: &str) {
    let rules = format!("ACL SETUSER {name} on >{password} ~edgeward:* &edgeward:* {may}");
    let rules: Vec<_> = rules.split_whitespace().collect();
    assert_eq!(redis.ask(&rules), "OK");
}

#[test]
fn a_wrong_password_opens_nothing_and_the_right_one_does() {
    let Some(redis) = Redis::start() else { return };
    let origin = origin();
    let key = printed(&keys(&redis, &["new", "partner-a"]));
    user(&redis, "proxy", "right", PROXY);
    let more = "username: proxy, password: { file: password }, connect_timeout: 1s";
    let edge = member(&redis.address(), &origin).with("redis_more", more).file("password", "wrong\n").start();
    assert_eq!(ask(&edge, "/", &key).reason(), "key_store_unavailable");
    let told = store(&edge)["trouble"].as_str().unwrap().to_owned();
    assert!(told.contains("cannot connect") && !told.contains("\"wrong\""), "{told}");
    edge.folder.write("password", "right\n");
    edge.reload().unwrap();
    soon("the store", || status(&edge, &key) == 200);
    follows(&edge, &redis);
    soon("the use to be told", || {
        redis.ask(&["HGET", "edgeward:keys:uses", crate::api_keys::id(&key)]) == "1"
    });
    assert_eq!(redis.ask(&["ACL", "LOG"]).matches("command").count(), 0, "{}", redis.ask(&["ACL", "LOG"]));
}

#[test]
fn the_user_of_proxies_cannot_make_keys_and_the_one_of_operators_can() {
    let Some(redis) = Redis::start() else { return };
    user(&redis, "proxy", "one", PROXY);
    user(&redis, "operator", "two", &format!("{PROXY} {OPERATOR}"));
    let folder = crate::harness::Folder::new();
    let address = redis.address();
    let policy = |name: &str, password: &str| {
        folder.write("password", password);
        let text = format!(
            "listeners: []\nredis: {{ fleet: {{ address: \"{address}\", username: {name}, password: {{ env: PASSWORD }} }} }}\n\
             api_keys: {{ store: {{ redis: fleet }} }}\n"
        );
        folder.write("policy.yaml", text).display().to_string()
    };
    let make = |name: &str, password: &str| {
        let policy = policy(name, password);
        edgeward_with(("PASSWORD", password), &["keys", "new", "partner-a", "--policy", &policy])
    };
    let refused = make("proxy", "one");
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
    assert!(stderr(&refused).contains("no permissions"), "{refused:?}");
    printed(&make("operator", "two"));
    let refused = make("operator", "wrong");
    assert!(stderr(&refused).contains("cannot connect"), "{refused:?}");
}

#[test]
fn tls_is_verified() {
    let authority = Authority::new("redis");
    let Some((redis, address)) = Redis::start_tls(&authority) else { return };
    let origin = origin();
    let key = printed(&keys(&redis, &["new", "partner-a"]));
    let url = format!("rediss://localhost:{}", address.port());
    let with = |more: &str| {
        let setup = member(&url, &origin).with("redis_more", more);
        setup.file("ca.pem", authority.pem()).file("other.pem", Authority::new("other").pem()).start()
    };
    let edge = with("tls: { ca: ca.pem }");
    assert_eq!(status(&edge, &key), 200);
    let second = printed(&keys(&redis, &["new", "partner-b"]));
    soon("what is announced", || status(&edge, &second) == 200);
    for wrong in ["", "tls: { ca: other.pem }", "tls: { ca: ca.pem, sni: redis.example.com }"] {
        let edge = with(wrong);
        assert_eq!(ask(&edge, "/", &key).reason(), "key_store_unavailable", "{wrong}");
        soon("the reason", || {
            store(&edge)["trouble"].as_str().is_some_and(|why| why.contains("cannot connect"))
        });
    }
}

#[test]
fn a_redis_named_by_its_url_takes_its_password_from_the_environment() {
    let Some(redis) = Redis::start_with(&["--requirepass", "open"]) else { return };
    let address = redis.address();
    let make = |password: &str| {
        let arguments = ["keys", "new", "partner-a", "--store", &address];
        edgeward_with(("EDGEWARD_REDIS_PASSWORD", password), &arguments)
    };
    assert_eq!(make("shut").status.code(), Some(1));
    printed(&make("open"));
}
