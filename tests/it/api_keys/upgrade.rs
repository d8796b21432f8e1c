//! Two processes, one after the other: what both counted adds up, and one of them tells.

use rustix::process::Signal;

use super::notices::{SECRETS, about};
use super::{id, new};
use crate::harness::{Origin, Reply, soon};
use crate::process::Site;

const POLICY: &str = r#"
server: { runtime_directory: {dir}/run, state_directory: {dir}/state, drain: 10s }
admin: { address: "{admin}" }
listeners: [{ address: "{listen}" }]
api_keys: { store: keys.yaml, notices: { url: "http://{hook}/", secret: { file: secret } } }
routes:
  - { name: hello, filters: [{ api_key: {} }], respond: { body: hello } }
"#;

#[test]
fn uses_add_up_over_an_upgrade_and_the_successor_alone_tells() {
    let hook = Origin::start(|_| Reply::status(200, &[], ""));
    let site = Site::new(POLICY, &[("hook", &hook.address())]);
    site.folder.write("secret", SECRETS[0]);
    let key = new(site.folder.path(), &["partner-a"]);
    let mut first = site.start();
    let headers = [("X-Api-Key", key.as_str())];
    let mut kept = site.client("listen");
    for _ in 0..3 {
        assert_eq!(kept.request("GET", "/", &headers, b"").status, 200);
    }
    let mut second = site.upgrade();
    // The predecessor drains as long as this connection is there.
    assert!(first.runs());
    assert_eq!(site.client("listen").request("GET", "/", &headers, b"").status, 200);
    let spare = new(site.folder.path(), &["partner-b"]);
    let next_second = std::time::SystemTime::now() + std::time::Duration::from_secs(1);
    soon("another second", || std::time::SystemTime::now() > next_second);
    assert!(super::keys(site.folder.path(), &["retire", id(&spare), "--force"]).status.success());
    soon("the notice", || hook.count() > 0);
    assert_eq!(kept.request("GET", "/", &headers, b"").status, 200, "by the predecessor");
    first.ended();
    second.signal(Signal::TERM);
    second.ended();
    assert_eq!(about(&hook.only()), ("key.retired".to_owned(), id(&spare).to_owned()));
    let usage: serde_json::Value = serde_json::from_str(&site.folder.read("state/key-usage.json")).unwrap();
    assert_eq!(usage["keys"][id(&key)]["uses"], 5, "{usage}");
}

#[test]
fn a_state_directory_that_cannot_be_written_to_stops_nobody() {
    let hook = Origin::start(|_| Reply::status(200, &[], ""));
    let site = Site::new(&POLICY.replace("{dir}/state", "/proc/nowhere"), &[("hook", &hook.address())]);
    site.folder.write("secret", SECRETS[0]);
    let key = new(site.folder.path(), &["partner-a"]);
    let mut process = site.start();
    assert_eq!(site.client("listen").request("GET", "/", &[("X-Api-Key", &key)], b"").status, 200);
    process.says("notices are not written down; after a restart some may be sent twice");
    process.signal(Signal::TERM);
    process.ended();
    assert!(process.has("the uses of keys are not written down; they will be tried again"));
}
