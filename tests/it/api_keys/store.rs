//! The store: followed while the policy stays, and what is kept of uses.

use super::{ask, id, keys, new, origin, printed, setup, taken_over};
use crate::harness::{Edge, Folder, soon};

#[test]
fn a_change_is_taken_over_and_a_wrong_one_changes_nothing() {
    let origin = origin();
    let setup = setup("{ api_key: {} }", &origin);
    let first = new(setup.path(), &["partner-a"]);
    let edge = setup.start();
    let second = new(edge.folder.path(), &["partner-a"]);
    taken_over(&edge, 1);
    assert_eq!((ask(&edge, "/", &first).status, ask(&edge, "/", &second).status), (200, 200));

    let good = edge.folder.read("keys.yaml");
    for (number, bad) in
        [good.replace("sha256", "sha257"), "consumers: [".to_owned(), good.replace(id(&second), id(&first))]
            .iter()
            .enumerate()
    {
        edge.folder.write("keys.yaml", bad);
        let failures = f64::from(u32::try_from(number).unwrap() + 1);
        edge.wait_for_metric("edgeward_key_store_reloads_total{outcome=\"failure\"}", failures);
        assert_eq!((ask(&edge, "/", &first).status, ask(&edge, "/", &second).status), (200, 200));
    }
    assert!(edge.reload().is_err(), "a reload of the policy reads the store too");
    edge.folder.write("keys.yaml", good.replace("name: \"partner-a\"", "name: \"partner-b\""));
    taken_over(&edge, 2);
    assert_eq!(ask(&edge, "/", &first).status, 200);
    edge.logged("the consumer's new name", |line| line["consumer"] == "partner-b");
    edge.reload().unwrap();
}

#[test]
fn a_store_that_is_not_watched_waits_for_a_reload() {
    let origin = origin();
    let setup = setup("{ api_key: {} }", &origin).with("more", "watch: false");
    new(setup.path(), &["partner-a"]);
    let edge = setup.start();
    let second = new(edge.folder.path(), &["partner-a"]);
    assert_eq!(ask(&edge, "/", &second).status, 401);
    edge.reload().unwrap();
    assert_eq!(ask(&edge, "/", &second).status, 200);
    assert_eq!(edge.metrics().value("edgeward_key_store_reloads_total{outcome=\"success\"}"), None);
}

/// What the admin listener says of a key.
fn told(edge: &Edge, key: &str) -> serde_json::Value {
    let all = edge.client("admin").get("/keys").json();
    let found = all["keys"].as_array().unwrap().iter().find(|row| row["id"] == id(key));
    found.unwrap_or_else(|| panic!("{all}")).clone()
}

/// What `edgeward keys list` says of a key.
fn listed(folder: &Folder, key: &str) -> serde_json::Value {
    let rows: serde_json::Value =
        serde_json::from_str(&printed(&keys(folder.path(), &["list", "--json"]))).unwrap();
    rows.as_array().unwrap().iter().find(|row| row["id"] == id(key)).unwrap().clone()
}

#[test]
fn uses_survive_reloads_and_restarts() {
    let origin = origin();
    let setup = setup("{ api_key: {} }", &origin);
    let key = new(setup.path(), &["partner-a", "--scope", "a"]);
    let edge = setup.start();
    for _ in 0..3 {
        assert_eq!(ask(&edge, "/", &key).status, 200);
    }
    ask(&edge, "/", "x");
    edge.reload().unwrap();
    ask(&edge, "/", &key);
    let row = told(&edge, &key);
    assert_eq!(
        (&row["uses"], &row["consumer"], &row["state"]),
        (&4.into(), &"partner-a".into(), &"current".into())
    );
    let folder = edge.stop();
    let row = listed(&folder, &key);
    assert_eq!(row["uses"], 4, "{row}");

    // Another process on the same files.
    let policy = super::POLICY.replace("{filter}", "{ api_key: {} }").replace("keys.yaml", "{old}/keys.yaml");
    let policy = policy.replace("{dir}/state", "{old}/state");
    let old = folder.path().display();
    let edge =
        Edge::policy(&policy).with("more", "").with("old", old).with("origin", origin.address()).start();
    ask(&edge, "/", &key);
    assert_eq!(told(&edge, &key)["uses"], 5);
    soon("uses to be written down while it runs", || listed(&folder, &key)["uses"] == 5);
    edge.wait_for_metric("edgeward_key_usage_writes_total{outcome=\"success\"}", 1.0);
}

#[test]
fn expiries_are_shown() {
    let origin = origin();
    let setup = setup("{ api_key: {} }", &origin);
    let key = new(setup.path(), &["partner-a", "--expires", "2090-01-01"]);
    new(setup.path(), &["partner-b"]);
    let edge = setup.start();
    let metrics = edge.metrics();
    let shown: Vec<_> = metrics.matching("edgeward_api_key_expiry_timestamp_seconds", &[]).collect();
    // date -u -d 2090-01-01 +%s
    let series =
        format!("edgeward_api_key_expiry_timestamp_seconds{{consumer=\"partner-a\",key=\"{}\"}}", id(&key));
    assert_eq!(shown, [(series.as_str(), 3_786_912_000.0)]);
}
