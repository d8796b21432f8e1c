//! `edgeward check`: every mistake at once, each with its place, in words that say what to do.
//!
//! `policies/` holds broken policies, each with the messages it must bring beside it in a `.txt`. After a deliberate
//! change of wording, `EDGEWARD_BLESS=1 cargo test --test it check::` writes them anew; read the difference.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::certs::{Authority, Leaf};
use crate::harness::folder::Folder;
use crate::harness::tools::edgeward;

fn policies() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/policies");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths
}

/// What `check` says of a policy, without the directory it is in, and its exit code.
fn checked(path: &Path, more: &[&str]) -> (String, i32) {
    let path = path.to_str().unwrap();
    let output = edgeward(&[&["check", path], more].concat());
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let folder = Path::new(path).parent().unwrap().to_str().unwrap();
    (told.replace(&format!("{folder}/"), ""), output.status.code().unwrap())
}

#[test]
fn every_broken_policy_is_told_what_is_wrong_with_it() {
    let mut wrong = Vec::new();
    for path in policies() {
        let (told, code) = checked(&path, &[]);
        let golden = path.with_extension("txt");
        if std::env::var_os("EDGEWARD_BLESS").is_some() {
            fs::write(&golden, &told).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if (told.as_str(), code) != (expected.as_str(), 64) {
            wrong.push(format!("{}: exit {code}\n{told}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_enough_broken_policies_and_each_has_its_place_in_the_text() {
    let policies = policies();
    assert!(policies.len() >= 25, "{}", policies.len());
    for path in policies {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let golden = fs::read_to_string(path.with_extension("txt")).unwrap();
        let place = |line: &str| line.starts_with(&format!("{name}:"));
        assert!(golden.lines().any(place), "{name}: no line with a place:\n{golden}");
    }
}

#[test]
fn a_good_policy_is_said_to_be_good() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/quickstart.yaml");
    assert_eq!(checked(&path, &[]), ("quickstart.yaml: good (5 routes, 1 upstream)\n".to_owned(), 0));
    assert_eq!(checked(&path, &["--json"]), ("[]\n".to_owned(), 0));
}

#[test]
fn what_a_start_would_warn_of_is_told() {
    let folder = Folder::new();
    folder.write("crs/rules/REQUEST-901-INITIALIZATION.conf", "SecAction \"id:901001,phase:1,pass,nolog\"\n");
    folder
        .write("crs/rules/REQUEST-910.conf", "SecRule REMOTE_ADDR \"@rbl a.b\" \"id:910140,phase:1,deny\"\n");
    let policy = "waf: { crs: crs }
listeners: [{ address: '127.0.0.1:8080' }]
routes: [{ name: a, match: { path: / }, filters: [{ waf: { rules: [crs] } }], respond: { body: a } }]
";
    let path = folder.write("policy.yaml", policy);
    let (told, code) = checked(&path, &[]);
    assert!(code == 0 && told.starts_with("policy.yaml: good (1 route, 0 upstreams)\nwarning: "), "{told}");
    assert!(told.contains("REQUEST-910.conf:1: left out: rule 910140: @rbl"), "{told}");
    let unused = "listeners: [{ address: '127.0.0.1:8080' }]
chains: { used: [{ chain: within }], within: [], new: [{ rate_limit: { limt: 1/1s } }] }
routes: [{ name: a, match: { path: / }, filters: [{ chain: used }], respond: { body: a } }]
";
    let (told, code) = checked(&folder.write("unused.yaml", unused), &[]);
    let warning = "warning: no route has this chain, so nothing of it was checked, chain: new\n";
    assert_eq!((told.as_str(), code), (&*format!("unused.yaml: good (1 route, 0 upstreams)\n{warning}"), 0));
    let root = Authority::new("Root");
    let ends_yesterday = Leaf { days: -1, ..Leaf::named(&["a.example"]) };
    root.issue(&ends_yesterday).store(&folder, "old");
    root.issue(&Leaf::named(&["spiffe://a.example/b"])).store(&folder, "nameless");
    for (name, trouble) in [("old", "has expired"), ("nameless", "names no host")] {
        let tls = format!("{{ certificates: [{{ cert: {name}.crt, key: {name}.key }}] }}");
        let policy = format!("listeners: [{{ address: '127.0.0.1:8443', tls: {tls} }}]\n");
        let (told, code) = checked(&folder.write("certificate.yaml", policy), &[]);
        assert!(code == 0 && told.contains(&format!("warning: the certificate {trouble}")), "{told}");
        assert!(told.ends_with(&format!("file: {name}.crt\n")), "{told}");
    }
    folder.write("root.crt", root.pem());
    folder.write("root.key", root.key.private_key_to_pem_pkcs8().unwrap());
    let tls = "{ certificates: [{ cert: root.crt, key: root.key }] }";
    let authority = format!("listeners: [{{ address: '127.0.0.1:8443', tls: {tls} }}]\n");
    let (told, code) = checked(&folder.write("authority.yaml", authority), &[]);
    assert!(code == 64 && told.contains("listeners[0].tls: a certificate is not one for servers"), "{told}");
    // Rules of one's own are never left out.
    for (rule, what) in [
        ("SecRule ARGS \"@rx (?R)\" \"id:1,phase:1,deny\"", "rule 1: recursion"),
        ("SecRule ARGS \"@rbl a.b\" \"id:1,phase:1,deny\"", "rule 1: @rbl"),
    ] {
        folder.write("own.conf", rule);
        let path = folder.write("own.yaml", policy.replace("rules: [crs]", "rules: [crs, own.conf]"));
        let (told, code) = checked(&path, &[]);
        assert!(code == 64 && told.contains(&format!("own.conf:1: {what}")), "{told}");
    }
    folder.write("crs/plugins/own-before.conf", "SecRule ARGS \"@rbl a.b\" \"id:1,phase:1,deny\"");
    let (told, code) = checked(&path, &[]);
    assert!(code == 64 && told.contains("plugins/own-before.conf:1: rule 1: @rbl"), "{told}");
}

#[test]
fn errors_can_be_read_by_programs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/policies/many.yaml");
    let (told, code) = checked(&path, &["--json"]);
    let errors: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(code, 64);
    let errors = errors.as_array().unwrap();
    assert!(errors.len() >= 5, "{told}");
    for error in errors {
        assert!(error["line"].as_u64().unwrap() > 0 && error["column"].as_u64().unwrap() > 0, "{error}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
}

#[test]
fn a_policy_that_is_not_there_is_an_error_too() {
    let (told, code) = checked(Path::new("/nowhere/policy.yaml"), &[]);
    assert_eq!(code, 64);
    assert!(told.contains("policy.yaml") && told.contains("No such file"), "{told}");
}

#[test]
fn wrong_arguments_exit_with_64_and_help_with_0() {
    assert_eq!(edgeward(&["chekc", "x"]).status.code(), Some(64));
    assert_eq!(edgeward(&["check"]).status.code(), Some(64));
    for arguments in
        [&["--help"][..], &["check", "--help"], &["version"], &["schema"], &["completions", "bash"]]
    {
        let output = edgeward(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn run_refuses_a_broken_policy_with_64() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/policies/unknown_key.yaml");
    let output = edgeward(&["run", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("unknown key"), "{output:?}");
}

#[test]
fn the_schema_knows_every_key() {
    let schema: serde_json::Value = serde_json::from_slice(&edgeward(&["schema"]).stdout).unwrap();
    let text = schema.to_string();
    for key in [
        "listeners",
        "upstreams",
        "rate_limit",
        "basic_auth",
        "health_check",
        "proxy_protocol",
        "strip_prefix",
    ] {
        assert!(text.contains(&format!("\"{key}\"")), "{key}");
    }
    let filters = &schema["$defs"]["Filter"]["properties"];
    for kind in edgeward::filters::table::KINDS {
        assert!(filters.get(kind).is_some(), "{kind}");
    }
}

#[test]
fn a_key_in_place_of_its_digest_is_not_shown() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/policies/consumers_unread.yaml");
    let (told, _) = checked(&path, &[]);
    assert!(
        fs::read_to_string(path).unwrap().contains("ew_k3v9x0q2ab") && !told.contains("ew_k3v9x0q2ab"),
        "{told}"
    );
}
