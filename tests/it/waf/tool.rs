//! `edgeward waf test` and `waf explain`: what rules make of their tests, and of a request that was saved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::crs;
use crate::harness::Folder;
use crate::harness::tools::edgeward;

/// What is known to fail, and why.
const FAILURES: &str = include_str!("crs-failures.txt");

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
fn the_starter_pack_passes_its_own_tests() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("filters/waf/starter/tests.yaml");
    let (code, outcome) = run(Path::new("starter"), &tests);
    assert_eq!((code, &outcome["failed"]), (Some(0), &0.into()), "{:#?}", outcome["failures"]);
    assert!(outcome["passed"].as_u64().unwrap() > 2_000);
}

/// A folder with one rule, of which a test expects this; and what came of it.
fn judged(expected: &str) -> (Option<i32>, Value) {
    let folder = Folder::new();
    folder.write("a.conf", "SecRule ARGS \"@rx evil\" \"id:1,phase:2,deny,log,msg:'evil'\"\n");
    let stage = format!("{{ input: {{ uri: '/?a=evil' }}, output: {{ log: {expected} }} }}");
    folder.write("1.yaml", format!("rule_id: 1\ntests:\n- test_id: 7\n  stages:\n  - {stage}\n"));
    run(&folder.path().join("a.conf"), folder.path())
}

#[test]
fn a_rule_that_does_not_do_what_its_tests_say_is_told() {
    let (code, outcome) = judged("{ expect_ids: [1] }");
    assert_eq!((code, &outcome["passed"], &outcome["failed"]), (Some(0), &1.into(), &0.into()));
    let (code, outcome) = judged("{ no_expect_ids: [1] }");
    assert_eq!((code, &outcome["passed"], &outcome["failed"]), (Some(1), &0.into(), &1.into()));
    assert_eq!((&outcome["failures"][0]["rule"], &outcome["failures"][0]["test"]), (&1.into(), &7.into()));
}

#[test]
fn what_is_wrong_with_a_file_of_tests_is_told_with_its_place_and_the_rest_of_it_is_run() {
    let (code, outcome) = judged("{ expect_id: [1], no_expect_ids: [1] }");
    assert_eq!((code, &outcome["failed"]), (Some(1), &2.into()), "{outcome}");
    let (wrong, failed) = (&outcome["failures"][0], &outcome["failures"][1]);
    assert_eq!((&wrong["line"], wrong["file"].as_str().unwrap().ends_with("1.yaml")), (&5.into(), true));
    assert_eq!(
        wrong["why"],
        "tests[0].stages[0].output.log: unknown key \"expect_id\", did you mean \"expect_ids\"?"
    );
    assert_eq!((&failed["rule"], failed.get("line")), (&1.into(), None));
}

#[test]
fn a_pack_is_judged_by_its_own_tests() {
    let folder = Folder::new();
    folder.write("p/rules.yaml", "pack: p\nrules: [{ id: 1, message: m, in: args, equals: evil }]\n");
    let tests = folder.path().join("p/tests.yaml");
    folder.write("p/tests.yaml", "tests: [{ rule: 1, caught: [evil], passed: [evil] }]\n");
    let (code, outcome) = run(&folder.path().join("p"), &tests);
    assert_eq!((code, &outcome["passed"], &outcome["failed"]), (Some(1), &1.into(), &1.into()));
    folder.write("p/tests.yaml", "tests: [{ rule: 1, caugth: [evil] }]\n");
    assert_eq!(run(&folder.path().join("p"), &tests).1["failures"][0]["line"], 1);
}

#[test]
fn rules_that_are_wrong_or_not_there_are_not_tested() {
    let folder = Folder::new();
    folder.write("1.yaml", "tests: [{ rule: 1, caught: [evil] }]\n");
    folder.write("a.conf", "SecRule ARGS \"@rx evil\" \"id:1,phase:2,deny,frobnicate\"\n");
    for rules in ["a.conf", "b.conf"] {
        assert_eq!(run(&folder.path().join(rules), folder.path()).0, Some(64), "{rules}");
    }
}

#[test]
fn nothing_that_is_run_is_nothing_that_passed() {
    let folder = Folder::new();
    folder.write("a.conf", "SecRule ARGS \"@rx evil\" \"id:1,phase:2,deny\"\n");
    folder.write("1.yaml", "rule_id: 1\ntest: []\n");
    assert_eq!(run(&folder.path().join("a.conf"), folder.path()).0, Some(64));
}

/// Runs `waf explain` on a request: its exit code, and all that it prints.
fn explain(policy: &Path, request: &str, more: &[&str]) -> (i32, String) {
    let folder = Folder::new();
    folder.write("request", request);
    let (policy, request) = (policy.display().to_string(), folder.path().join("request"));
    let output = edgeward(&[&["waf", "explain", &policy, request.to_str().unwrap()], more].concat());
    let told = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(told).unwrap())
}

/// The shop's policy, with its rules by their whole path and another firewall on the shop's route.
fn tuned(waf: &str) -> (Folder, PathBuf) {
    let shop = "- waf: { rules: [files/waf.conf] }";
    let text = include_str!("../../../conf/waf.yaml").replace(shop, &format!("- waf: {waf}"));
    let folder = Folder::new();
    folder.write("policy.yaml", text.replace("[files/waf.conf]", &format!("[{SHOPS_RULES}]")));
    let path = folder.path().join("policy.yaml");
    (folder, path)
}

const SHOPS_POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/waf.yaml");
const SHOPS_RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/files/waf.conf");
const SAVED: &str =
    "POST /orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\r\n{\"note\":\"<script>\"}";

#[test]
fn a_saved_request_is_explained() {
    let policy = Path::new(SHOPS_POLICY);
    let (code, told) = explain(policy, SAVED, &[]);
    assert_eq!(code, 1, "{told}");
    assert!(told.starts_with("route shop: waf_blocked\n"), "{told}");
    assert!(told.contains("ARGS:json.note = <script>"), "{told}");
    assert!(told.ends_with("    - { id: 1002, target: \"ARGS:json.note\" }\n"), "{told}");
    let (code, told) = explain(policy, SAVED, &["--json", "--route", "comments"]);
    let findings: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &findings[0]["rules"][0]["id"]), (1, &1002.into()));
    let passes = (0, "route shop: passes\nno rule found anything\n".to_owned());
    assert_eq!(explain(policy, "GET / HTTP/1.1\nHost: a\n\n", &[]), passes);
    let unknown = (64, "error: no route is called nowhere\n".to_owned());
    assert_eq!(explain(policy, "GET / HTTP/1.1\n\n", &["--route", "nowhere"]), unknown);
    assert_eq!(explain(policy, "nothing", &[]).0, 64);
}

#[test]
fn exclusions_that_an_explanation_gives_let_the_request_pass_and_no_other() {
    // Each variable that a rule matched, however it is called.
    let names = ["note", "my note", "it's", "a\"b", "a/b", "größe", "/x/"];
    let body = |names: &[&str]| {
        let fields: serde_json::Map<_, _> =
            names.iter().map(|name| ((*name).to_owned(), "<script>".into())).collect();
        format!("POST /orders HTTP/1.1\nHost: a\nContent-Type: application/json\n\n{}", Value::from(fields))
    };
    let (_, told) = explain(Path::new(SHOPS_POLICY), &body(&names), &[]);
    let (_, exclusions) = told.split_once("  exclude:\n").unwrap();
    let exclusions: Vec<_> = exclusions.lines().map(|line| line.trim_start_matches([' ', '-'])).collect();
    assert_eq!(exclusions.len(), names.len(), "{told}");
    let exclude = format!("{{ rules: [{SHOPS_RULES}], exclude: [{}] }}", exclusions.join(", "));
    let (_folder, policy) = tuned(&exclude);
    for (sent, expected) in [(body(&names), 0), (body(&["other"]), 1), (body(&["my notes"]), 1)] {
        assert_eq!(explain(&policy, &sent, &[]).0, expected, "{exclude}");
    }
}

#[test]
fn an_explanation_tells_the_score_and_not_the_rules_that_add_it_up() {
    let (_folder, policy) = tuned("{}");
    let (_, told) = explain(&policy, SAVED, &["--route", "shop"]);
    assert!(told.contains("score 10, refused at 5") && !told.contains("9599002"), "{told}");
}
