use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::config::Document as File;
use crate::outbound::Outbound;
use crate::state::Clock;
use crate::telemetry::metrics::{Build, Metrics};
use crate::upstream::resolve::System;

/// A directory of its own, gone when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("edgeward-consumers-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// For a look at a policy.
fn dry() -> Arc<Kept> {
    let build = Build { version: "1", revision: "", tls: "boringssl" };
    let (clock, metrics) = (Clock::system(), Arc::new(Metrics::new(build).unwrap()));
    let outbound = Outbound::new(Arc::new(System::new().unwrap()), clock.clone());
    Kept::new(clock, metrics, outbound, true)
}

fn spec(yaml: &str) -> ApiKeys {
    let mut issues = Vec::new();
    let spec = File::parse("policy.yaml", yaml.as_bytes()).unwrap().root().read(&mut issues);
    assert_eq!(issues, []);
    spec.unwrap()
}

/// What is wrong with a policy of this inline consumer and this store.
fn wrong(inline: &str, store: &str, keys: &str) -> (Vec<String>, Option<String>) {
    let scratch = Scratch::new();
    fs::write(scratch.0.join("keys.yaml"), store).unwrap();
    let keys = spec(keys);
    let inline = store::document(&File::parse("inline", inline.as_bytes()).unwrap()).unwrap();
    let redis = BTreeMap::new();
    let parts = Parts { inline, keys: Some(&keys), redis: &redis, state_directory: None, base: &scratch.0 };
    match Consumers::compile(parts, &dry()) {
        Ok(_) => (Vec::new(), None),
        Err(Wrong { policy, store }) => {
            let store = store.map(|store| store.to_string().replace(&scratch.0.display().to_string(), ""));
            (policy.iter().map(ToString::to_string).collect(), store)
        }
    }
}

const A: &str = "consumers: [{ name: a, keys: [{ id: k1, sha256: '1111111111111111111111111111111111111111111111111111111111111111' }] }]";

#[test]
fn consumers_of_policy_and_store_come_together() {
    let b = A.replace("name: a", "name: b").replace("k1", "k2").replace("'1", "'2");
    assert_eq!(wrong(A, &b, "{ store: keys.yaml }"), (vec![], None));
    assert_eq!(wrong(A, "", "{ store: keys.yaml }"), (vec![], None), "an empty store");
    let (policy, store) = wrong(A, A, "{ store: keys.yaml }");
    assert_eq!(policy, Vec::<String>::new());
    let store = store.unwrap();
    assert!(store.starts_with("/keys.yaml:1:"), "{store}");
    for part in ["consumers[0].name: consumers[0]", "keys[0].id", "is the same key", "the policy"] {
        assert!(store.contains(part), "{part}: {store}");
    }
}

#[test]
fn a_wrong_store_is_told_with_its_place() {
    let (policy, store) = wrong(A, "consumers:\n  - name: b\n    keyz: []\n", "{ store: keys.yaml }");
    assert!(policy.is_empty());
    assert!(
        store
            .unwrap()
            .starts_with("/keys.yaml:3:5: consumers[0]: unknown key \"keyz\", did you mean \"keys\"?")
    );
    let (_, store) = wrong("", "", "{ store: none.yaml }");
    assert!(store.unwrap().starts_with("/none.yaml: cannot read the file"));
}

#[test]
fn a_wrong_rate_of_the_policy_is_told_there() {
    let inline = "consumers: [{ name: a, limits: { rate: 1/31d } }]";
    let (policy, store) = wrong(inline, "", "{ store: keys.yaml }");
    assert_eq!(
        (policy, store),
        (vec!["consumers[0].limits.rate: period is longer than 30 days".to_owned()], None)
    );
}

#[test]
fn links_and_notices_are_checked() {
    let told = |keys: &str| wrong("", "", keys).0;
    assert_eq!(told("{ docs: https://docs.test/keys }"), Vec::<String>::new());
    assert!(told("{ docs: docs }")[0].starts_with("api_keys.docs: expected a URL"));
    let path = std::env::temp_dir().join(format!("edgeward-consumers-{}.secret", std::process::id()));
    fs::write(&path, "c2VjcmV0").unwrap();
    let secret = format!("secret: {{ file: {} }}", path.display());
    let notices = |more: &str| told(&format!("{{ notices: {{ {secret}, {more} }} }}"));
    for good in [
        "url: https://hooks.test/",
        "url: http://127.0.0.1:9/",
        "url: \"http://[::1]:9/\"",
        "url: http://localhost/",
        "url: http://hooks.test/, danger_http: true",
    ] {
        assert_eq!(notices(good), Vec::<String>::new(), "{good}");
    }
    assert!(notices("url: http://hooks.test/")[0].starts_with("api_keys.notices.url: notices by plain http"));
    assert!(notices("url: http://127.0.0.1/, tls: {}")[0].starts_with("api_keys.notices.tls: means nothing"));
    assert!(notices("url: https://a.test/, tls: { ca: no.pem }")[0].starts_with("api_keys.notices.tls.ca: "));
    let many = format!(
        "url: https://a.test/, before: [{}]",
        (1..18).map(|n| format!("{n}d")).collect::<Vec<_>>().join(",")
    );
    assert!(notices(&many)[0].starts_with("api_keys.notices.before: expected at most 16, found 17"));
    fs::write(&path, "no base64!").unwrap();
    assert!(
        notices("url: https://a.test/")[0]
            .starts_with("api_keys.notices.secret: the secret is not the base64")
    );
    let none = "{ notices: { url: https://a.test/, secret: [] } }";
    assert!(told(none)[0].starts_with("api_keys.notices.secret: expected one secret"));
    fs::remove_file(&path).unwrap();
}
