//! API keys, from `edgeward keys` to the backend.

mod fleet;
mod limits;
mod notices;
mod places;
mod rotation;
mod store;
mod upgrade;

use std::path::Path;
use std::process::Output;

use crate::harness::tools::edgeward;
use crate::harness::{Client, Edge, Origin, Reply, Response, Setup};

/// A route with these filters, on a store that `edgeward keys` keeps.
const POLICY: &str = r#"
server: { drain: 200ms, state_directory: "{dir}/state" }
listeners: [{ address: "{listen}" }]
admin: { address: "{admin}" }
access_log: { to: "{dir}/access.log" }
api_keys: { store: keys.yaml, {more} }
upstreams: { origin: { backends: ["{origin}"] } }
routes:
  - { name: guarded, match: { path: /** }, filters: [{filter}], upstream: origin }
  - { name: other, match: { path: /other/** }, filters: [{ api_key: {} }], upstream: origin }
  - { name: open, match: { path: /open/** }, upstream: origin }
"#;
/// What answers to old keys tell.
const OLD: [&str; 3] = ["deprecation", "sunset", "link"];
/// A day, from which on everything of these tests happens.
const LONG_AGO: &str = "2020-01-01";

fn origin() -> Origin {
    Origin::start(|_| Reply::text("in"))
}

/// The policy with this filter, about to be started.
fn setup(filter: &str, origin: &Origin) -> Setup {
    Edge::policy(&POLICY.replace("{filter}", filter))
        .with("origin", origin.address())
        .with("more", "docs: https://docs.test/keys")
}

/// Runs `edgeward keys` on the store in a folder.
fn keys(folder: &Path, arguments: &[&str]) -> Output {
    let (store, state) = (folder.join("keys.yaml"), folder.join("state"));
    let place = ["--store", store.to_str().unwrap(), "--state-directory", state.to_str().unwrap()];
    edgeward(&[&["keys"], arguments, &place].concat())
}

/// The key that it prints.
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap().strip_suffix('\n').unwrap().to_owned()
}

/// Makes a key.
fn new(folder: &Path, arguments: &[&str]) -> String {
    printed(&keys(folder, &[&["new"], arguments].concat()))
}

/// The id inside a key.
fn id(key: &str) -> &str {
    key.split('_').nth(1).unwrap()
}

/// Asks with a key in `X-Api-Key`.
fn ask(edge: &Edge, path: &str, key: &str) -> Response {
    ask_with(edge, path, &[("X-Api-Key", key)])
}

fn ask_with(edge: &Edge, path: &str, headers: &[(&str, &str)]) -> Response {
    client(edge).request("GET", path, headers, b"")
}

fn client(edge: &Edge) -> Client {
    edge.client("listen").allow(&OLD)
}

/// Waits until so many changes of the store were taken over.
fn taken_over(edge: &Edge, times: u32) {
    edge.wait_for_metric("edgeward_key_store_reloads_total{outcome=\"success\"}", f64::from(times));
}

#[test]
fn a_key_opens_the_route_and_goes_no_further() {
    let origin = origin();
    let setup = setup("{ api_key: {} }", &origin);
    let key = new(setup.path(), &["partner-a"]);
    let edge = setup.start();
    assert_eq!(ask(&edge, "/", &key).status, 200);
    let seen = origin.only();
    assert!(seen.header("x-api-key").is_none() && !seen.head.contains(&key));
    let line = edge.logged("the request", |line| line["status"] == 200);
    assert_eq!((&line["consumer"], &line["consumer_key"]), (&"partner-a".into(), &id(&key).into()));

    let refused = edge.client("listen").get("/");
    assert_eq!((refused.status, refused.reason()), (401, "key_missing".to_owned()));
    assert_eq!(refused.header("www-authenticate"), Some("ApiKey realm=\"Restricted\""));
    assert_eq!(origin.count(), 1);
    assert!(!edge.folder.read("access.log").contains(&key));
}

#[test]
fn forged_and_damaged_keys_are_refused() {
    let origin = origin();
    let setup = setup("{ api_key: {} }", &origin);
    let key = new(setup.path(), &["partner-a"]);
    let other = {
        let elsewhere = crate::harness::Folder::new();
        new(elsewhere.path(), &["partner-a"])
    };
    let edge = setup.start();
    let (body, last) = key.split_at(key.len() - 1);
    let turned = if last == "a" { "b" } else { "a" };
    let reason = |text: &str| {
        let answer = ask(&edge, "/", text);
        assert_eq!(answer.status, 401, "{text}");
        answer.reason()
    };
    for text in [
        &*format!("{body}{turned}"),
        body,
        &format!("{key}a"),
        &format!("ew_{}", key[3..].to_uppercase()),
        &key.replace("ew_", "ew_x"),
        "ew_",
        "ew_k3v9x0q2ab_",
        &"x".repeat(513),
    ] {
        assert_eq!(reason(text), "key_malformed", "{text}");
    }
    for text in [&*other, &key.to_uppercase(), "x", "null", "Bearer", "' OR 1=1 --", &"x".repeat(512)] {
        assert_eq!(reason(text), "key_unknown", "{text}");
    }
    let claimed = edge.logged("what an unknown key says it is", |line| line["consumer_key"] == id(&other));
    assert_eq!((&claimed["reason"], claimed.get("consumer")), (&"key_unknown".into(), None));
    assert_eq!(origin.count(), 0);
    assert_eq!(ask(&edge, "/", &key).status, 200);
}

#[test]
fn a_key_is_good_in_its_time_alone() {
    let origin = origin();
    let setup = setup("{ api_key: {} }", &origin);
    let folder = setup.path().to_owned();
    let late = new(&folder, &["partner-a", "--not-before", "2099-01-01"]);
    let over = new(&folder, &["partner-a", "--expires", "2099-01-01"]);
    let retired = new(&folder, &["partner-a"]);
    assert!(keys(&folder, &["retire", id(&retired), "--force"]).status.success());
    let text = std::fs::read_to_string(folder.join("keys.yaml")).unwrap();
    let ended = text.replace("expires: \"2099-01-01T00:00:00Z\"", &format!("expires: {LONG_AGO}"));
    assert_ne!(text, ended);
    std::fs::write(folder.join("keys.yaml"), ended).unwrap();
    let edge = setup.start();
    for (key, reason) in [(&late, "key_not_yet_valid"), (&over, "key_expired"), (&retired, "key_retired")] {
        let answer = ask(&edge, "/", key);
        assert_eq!((answer.status, &*answer.reason()), (401, reason));
        let line = edge.logged(reason, |line| line["reason"] == reason);
        assert_eq!(line["consumer_key"], id(key), "{line}");
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_route_may_ask_for_scopes_tags_and_certain_consumers() {
    let origin = origin();
    let run = |filter: &str| {
        let setup = setup(filter, &origin);
        let folder = setup.path().to_owned();
        let all = new(
            &folder,
            &["partner-a", "--scope", "orders:read", "--scope", "orders:write", "--tag", "gold"],
        );
        let some = new(&folder, &["partner-a", "--scope", "orders:read"]);
        let other = new(&folder, &["partner-b"]);
        let edge = setup.start();
        [all, some, other].map(|key| {
            let answer = ask(&edge, "/", &key);
            (answer.status, if answer.status == 200 { String::new() } else { answer.reason() })
        })
    };
    let (good, scope) = ((200, String::new()), (403, "key_scope".to_owned()));
    let (tag, consumer) = ((403, "key_tag".to_owned()), (403, "key_consumer".to_owned()));
    assert_eq!(run("{ api_key: { scopes: [orders:read] } }"), [good.clone(), good.clone(), scope.clone()]);
    let both = "{ api_key: { scopes: [orders:read, orders:write] } }";
    assert_eq!(run(both), [good.clone(), scope.clone(), scope.clone()]);
    assert_eq!(run("{ api_key: { scopes: [orders:rea] } }"), [scope.clone(), scope.clone(), scope]);
    assert_eq!(run("{ api_key: { tags: [gold] } }"), [good.clone(), tag.clone(), tag]);
    let one = "{ api_key: { consumers: [partner-b] } }";
    assert_eq!(run(one), [consumer.clone(), consumer, good]);
}

#[test]
fn upstreams_are_told_who_calls_and_never_by_the_client() {
    let origin = origin();
    let forward = "{ api_key: { optional: true, forward: { consumer: x-consumer, key: x-key, scopes: x-scopes, tags: x-tags } } }";
    let setup = setup(forward, &origin);
    let key = new(setup.path(), &["partner-a", "--scope", "a", "--scope", "b", "--tag", "t", "--tag", "u"]);
    let edge = setup.start();
    let forged = [("X-Consumer", "root"), ("X-Key", "k"), ("X-Scopes", "admin"), ("X-Tags", "gold")];
    let told = |path: &str, more: &[(&str, &str)]| {
        assert_eq!(ask_with(&edge, path, &[&forged, more].concat()).status, 200);
        let seen = origin.last();
        ["x-consumer", "x-key", "x-scopes", "x-tags"].map(|name| seen.header(name).map(str::to_owned))
    };
    let all = ["partner-a", id(&key), "a b", "t,u"].map(|value| Some(value.to_owned()));
    assert_eq!(told("/", &[("X-Api-Key", &key)]), all);
    assert_eq!(told("/", &[]), [const { None }; 4], "nobody");
    assert_eq!(told("/open/", &[]), [const { None }; 4], "a route without the filter");
}

#[test]
fn where_a_key_is_optional_a_bad_one_is_still_refused() {
    let origin = origin();
    let setup = setup("{ api_key: { optional: true } }", &origin);
    let key = new(setup.path(), &["partner-a"]);
    let edge = setup.start();
    assert_eq!(edge.client("listen").get("/").status, 200);
    assert_eq!(ask(&edge, "/", &key).status, 200);
    assert_eq!(ask(&edge, "/", "x").reason(), "key_unknown");
}

#[test]
fn consumers_may_stand_in_the_policy_itself() {
    const KEY: &str = "made-elsewhere-6Jm2";
    // printf %s made-elsewhere-6Jm2 | sha256sum
    let digest = {
        let told = crate::harness::tools::run("sha256sum", &[], KEY.as_bytes());
        String::from_utf8(told.stdout).unwrap().split(' ').next().unwrap().to_owned()
    };
    let origin = origin();
    let policy = r#"
server: { drain: 200ms, state_directory: "{dir}/state" }
listeners: [{ address: "{listen}" }]
admin: { address: "{admin}" }
consumers:
  - { name: partner-a, tags: [gold], scopes: [orders:read], keys: [{ id: k1, sha256: "{digest}" }] }
upstreams: { origin: { backends: ["{origin}"] } }
routes:
  - name: guarded
    filters:
      - api_key: { scopes: [orders:read] }
      - request_headers: { when: 'consumer.name eq "partner-a" and any(consumer.tags[*] eq "gold")', set: { x-seen: "yes" } }
    upstream: origin
"#;
    let edge = Edge::policy(policy).with("origin", origin.address()).with("digest", &digest).start();
    assert_eq!(ask(&edge, "/", KEY).status, 200);
    assert_eq!(origin.only().header("x-seen"), Some("yes"), "expressions see who calls");
    assert_eq!(ask(&edge, "/", "made-elsewhere-6Jm3").status, 401);
    let told = edge.client("admin").get("/config").text();
    assert!(told.contains("partner-a") && !told.contains(&digest), "{told}");
    let told = edge.client("admin").get("/keys").text();
    assert!(told.contains("partner-a") && !told.contains(&digest), "{told}");
}

#[test]
fn the_challenge_names_realm_and_scheme() {
    let origin = origin();
    let filter = "{ api_key: { from: { authorization: Bearer }, realm: Orders, scopes: [a, b] } }";
    let setup = setup(filter, &origin);
    let key = new(setup.path(), &["partner-a"]);
    let edge = setup.start();
    let challenge = |authorization: Option<&str>| {
        let headers: Vec<_> = authorization.map(|value| ("Authorization", value)).into_iter().collect();
        let answer = ask_with(&edge, "/", &headers);
        (answer.status, answer.header("www-authenticate").map(str::to_owned))
    };
    let told = |more: &str| Some(format!("Bearer realm=\"Orders\"{more}"));
    assert_eq!(challenge(None), (401, told("")));
    assert_eq!(challenge(Some("Basic YTpi")), (401, told("")));
    assert_eq!(challenge(Some("Bearer x")), (401, told(", error=\"invalid_token\"")));
    let scope = told(", error=\"insufficient_scope\", scope=\"a b\"");
    assert_eq!(challenge(Some(&format!("Bearer {key}"))), (403, scope));
}
