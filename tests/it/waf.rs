//! The web application firewall: the Core Rule Set's own tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::tools::edgeward;

/// What is known to fail, and why.
const FAILURES: &str = include_str!("waf/crs-failures.txt");

/// The Core Rule Set, if it is beside the repository.
fn crs() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/crs");
    let named = std::env::var_os("EDGEWARD_CRS").map(PathBuf::from);
    let found = named.into_iter().chain([beside]).find(|path| path.join("rules").is_dir());
    if found.is_none() {
        eprintln!("skipped: no Core Rule Set at ../shared/crs or $EDGEWARD_CRS");
    }
    found
}

fn run(rules: &Path, tests: &Path) -> (Option<i32>, Value) {
    let of = |path: &Path| path.to_str().unwrap().to_owned();
    let output = edgeward(&["waf", "test", "--rules", &of(rules), "--tests", &of(tests), "--json"]);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

#[test]
fn the_core_rule_set_passes_its_own_tests() {
    let Some(crs) = crs() else { return };
    let (code, outcome) = run(&crs, &crs.join("tests"));
    let count = |key: &str| outcome[key].as_u64().unwrap();
    let (passed, failed) = (count("passed"), count("failed"));
    println!("{passed} passed, {failed} failed");
    assert!(passed > 3_000 && failed * 200 <= passed + failed, "{passed} passed, {failed} failed");
    let expected: BTreeMap<_, _> = FAILURES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(": ").expect("a line is `RULE-TEST.STAGE: reason`"))
        .collect();
    let failures = outcome["failures"].as_array().unwrap();
    let name = |failure: &Value| format!("{}-{}.{}", failure["rule"], failure["test"], failure["stage"]);
    let found: Vec<_> = failures.iter().map(name).collect();
    assert_eq!(found.len() as u64, failed);
    assert!(found.iter().eq(expected.keys()), "{failures:#?}");
    assert_eq!(code, Some(i32::from(failed > 0)));
}

#[test]
fn a_rule_that_does_not_do_what_its_tests_say_is_told() {
    let folder = crate::harness::Folder::new();
    folder.write("a.conf", "SecRule ARGS \"@rx evil\" \"id:1,phase:2,deny,log,msg:'evil'\"\n");
    let test = |ids: &str| {
        format!(
            "rule_id: 1\ntests:\n- test_id: 7\n  stages:\n  - input: {{ uri: '/?a=evil' }}\n    output: {{ log: {ids} }}\n"
        )
    };
    folder.write("1.yaml", test("{ expect_ids: [1] }"));
    let at = |name: &str| folder.path().join(name);
    let (code, outcome) = run(&at("a.conf"), folder.path());
    assert_eq!((code, &outcome["passed"], &outcome["failed"]), (Some(0), &1.into(), &0.into()));
    folder.write("1.yaml", test("{ no_expect_ids: [1] }"));
    let (code, outcome) = run(&at("a.conf"), folder.path());
    assert_eq!((code, &outcome["passed"], &outcome["failed"]), (Some(1), &0.into(), &1.into()));
    assert_eq!((&outcome["failures"][0]["rule"], &outcome["failures"][0]["test"]), (&1.into(), &7.into()));
    folder.write("a.conf", "SecRule ARGS \"@rx evil\" \"id:1,phase:2,deny,frobnicate\"\n");
    assert_eq!(run(&at("a.conf"), folder.path()).0, Some(64));
    assert_eq!(run(&at("b.conf"), folder.path()).0, Some(64));
}
