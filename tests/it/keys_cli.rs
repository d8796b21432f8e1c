//! `edgeward keys`, as an operator uses it: the key on standard output and nothing else there, exit codes to rely on.

use std::path::Path;
use std::process::Output;

use crate::harness::Folder;
use crate::harness::tools::edgeward;

/// Runs it on a store of a folder.
fn keys(folder: &Folder, store: &str, arguments: &[&str]) -> Output {
    let (store, state) = (folder.path().join(store), folder.path().join("state"));
    let place = ["--store", store.to_str().unwrap(), "--state-directory", state.to_str().unwrap()];
    edgeward(&[&["keys"], arguments, &place].concat())
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// The key that was printed, alone on its line.
fn made(output: &Output) -> String {
    let (code, key, _) = told(output);
    assert_eq!(code, Some(0), "{output:?}");
    let pattern = regex::Regex::new(r"^ew_[a-z][a-z0-9]{9}_[0-9A-Za-z]{38}\n$").unwrap();
    assert!(pattern.is_match(&key), "{key:?}");
    key.trim().to_owned()
}

fn id(key: &str) -> &str {
    key.split('_').nth(1).unwrap()
}

#[test]
fn a_key_is_printed_once_and_kept_nowhere() {
    for store in ["keys.yaml", "keys.json"] {
        let folder = Folder::new();
        let output = keys(&folder, store, &["new", "partner-a", "--expires", "90d"]);
        let key = made(&output);
        assert!(!told(&output).2.contains(&key));
        let text = folder.read(store);
        let secret = key.rsplit('_').next().unwrap();
        assert!(text.contains(id(&key)) && !text.contains(secret), "{text}");
        let digest = crate::harness::tools::run("sha256sum", &[], key.as_bytes());
        let digest = String::from_utf8(digest.stdout).unwrap();
        assert!(text.contains(digest.split(' ').next().unwrap()), "{text}");
        assert_eq!(mode(&folder.path().join(store)), 0o600);
        assert_eq!(text.starts_with('{'), store == "keys.json");
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_rotation_makes_a_new_key_and_lets_the_old_ones_end() {
    let folder = Folder::new();
    let run = |arguments: &[&str]| keys(&folder, "keys.yaml", arguments);
    let (first, second) = (made(&run(&["new", "partner-a"])), made(&run(&["new", "partner-a"])));
    let third = made(&run(&["rotate", "partner-a", "--key", id(&first), "--overlap", "7d"]));
    let states = || -> Vec<(String, String)> {
        let rows: serde_json::Value = serde_json::from_slice(&run(&["list", "--json"]).stdout).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        rows.as_array().unwrap().iter().map(|row| (text(&row["id"]), text(&row["state"]))).collect()
    };
    let state = |key: &str, state: &str| (id(key).to_owned(), state.to_owned());
    let one = vec![state(&first, "deprecated"), state(&second, "current"), state(&third, "current")];
    assert_eq!(states(), one);
    let output = run(&["rotate", "partner-a", "--overlap", "30d", "--expires", "2099-01-01"]);
    let fourth = made(&output);
    let (_, _, said) = told(&output);
    assert!(
        said.contains("2099-01-01") && said.contains(id(&second)) && said.contains("deprecated"),
        "{said}"
    );
    assert_eq!(states().iter().filter(|(_, state)| state == "deprecated").count(), 3);
    assert_eq!(states().last(), Some(&state(&fourth, "current")));
}

#[test]
fn a_key_is_retired_unless_it_is_in_use_and_pruned_in_time() {
    let folder = Folder::new();
    let run = |arguments: &[&str]| keys(&folder, "keys.yaml", arguments);
    let (used, idle) = (made(&run(&["new", "a"])), made(&run(&["new", "a"])));
    let (code, _, said) = told(&run(&["retire", id(&idle)]));
    assert_eq!(code, Some(1));
    assert!(said.contains("nobody knows whether") && said.contains("--state-directory"), "{said}");
    let now = edgeward::auth::keys::Moment::from(std::time::SystemTime::now());
    let usage = |at: edgeward::auth::keys::Moment| {
        folder.write(
            "state/key-usage.json",
            format!(r#"{{"keys":{{"{}":{{"last_used":"{at}","uses":7}}}}}}"#, id(&used)),
        );
    };
    usage(now);
    assert_eq!(told(&run(&["retire", id(&idle)])).0, Some(0));
    let (code, out, said) = told(&run(&["retire", id(&used)]));
    assert_eq!((code, &*out), (Some(1), ""));
    assert!(said.contains("uses in all: 7") && said.contains("--force"), "{said}");
    usage(now.minus(std::time::Duration::from_secs(7200)));
    assert_eq!(told(&run(&["retire", id(&used), "--unused-for", "3h"])).0, Some(1));
    assert_eq!(told(&run(&["retire", id(&used), "--unused-for", "1h"])).0, Some(0));
    let (code, _, said) = told(&run(&["retire", id(&used)]));
    assert!(code == Some(1) && said.contains("retired already"), "{said}");

    let (_, table, _) = told(&run(&["list", "a"]));
    let line = table.lines().find(|line| line.contains(id(&used))).unwrap();
    assert!(table.starts_with("CONSUMER") && line.contains("retired") && line.ends_with(" 7"), "{table}");
    assert!(told(&run(&["prune"])).2.contains("0 keys removed"));
    assert!(told(&run(&["prune", "--kept-for", "1ms"])).0 == Some(0));
}

#[test]
fn the_store_is_found_from_the_policy() {
    let folder = Folder::new();
    let policy = |text: &str| folder.write("policy.yaml", text).display().to_string();
    let path = policy(
        "server: { state_directory: state }\nlisteners: []\napi_keys: { store: sub/keys.yaml }\n\
         consumers: [{ name: inline, keys: [{ id: k1, sha256: \"5555555555555555555555555555555555555555555555555555555555555555\" }] }]\n",
    );
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    let key = made(&edgeward(&["keys", "new", "partner-a", "--policy", &path]));
    assert!(folder.read("sub/keys.yaml").contains(id(&key)));
    let (_, table, _) = told(&edgeward(&["keys", "list", "--policy", &path]));
    assert!(table.contains("inline") && table.contains("partner-a"), "{table}");
    for arguments in
        [&["new", "inline"][..], &["rotate", "inline", "--overlap", "1d"], &["retire", "k1", "--force"]]
    {
        let (code, _, said) = told(&edgeward(&[&["keys"], arguments, &["--policy", &path]].concat()));
        assert!(code == Some(1) && said.contains("by hand"), "{said}");
    }
    folder.write(
        "state/key-usage.json",
        format!(r#"{{"keys":{{"{}":{{"last_used":"2026-01-01","uses":9}}}}}}"#, id(&key)),
    );
    let (_, table, _) = told(&edgeward(&["keys", "list", "partner-a", "--policy", &path]));
    assert!(table.contains("2026-01-01T00:00:00Z  9") && !table.contains("inline"), "{table}");
    let path = policy("listeners: []\n");
    let (code, _, said) = told(&edgeward(&["keys", "list", "--policy", &path]));
    assert!(code == Some(64) && said.contains("api_keys.store"), "{said}");
}

#[test]
fn what_is_wrong_is_told_and_changes_nothing() {
    let folder = Folder::new();
    let run = |arguments: &[&str]| told(&keys(&folder, "keys.yaml", arguments));
    let (code, _, said) = run(&["list"]);
    assert!(code == Some(64) && said.contains("cannot read the file"), "{said}");
    assert_eq!(run(&["rotate", "a", "--overlap", "1d"]).0, Some(64), "there is no store");
    assert_eq!(run(&["rotate", "a"]).0, Some(64), "no overlap");
    assert_eq!(run(&["new", "a b"]).0, Some(64), "no name");
    assert_eq!(run(&["new", "a", "--expires", "soon"]).0, Some(64));
    assert!(!folder.path().join("keys.yaml").exists());
    run(&["new", "a", "--scope", "read"]);
    let before = folder.read("keys.yaml");
    assert!(before.contains("scopes: [\"read\"]"), "{before}");
    for arguments in [
        &["new", "a", "--scope", "write"][..],
        &["new", "a", "--expires", "2020-01-01"],
        &["rotate", "b", "--overlap", "1d"],
        &["retire", "nope", "--force"],
        &["list", "b"],
    ] {
        let (code, out, said) = run(arguments);
        assert_eq!((code, &*out), (Some(1), ""), "{arguments:?}: {said}");
        assert!(said.starts_with("error: "), "{said}");
    }
    assert_eq!(folder.read("keys.yaml"), before);
    folder.write("keys.yaml", before.replace("sha256", "sha255"));
    let (code, _, said) = run(&["new", "a"]);
    assert!(
        code == Some(64) && said.contains("keys.yaml:7:9: consumers[0].keys[0]: unknown key \"sha255\""),
        "{said}"
    );
}
