use super::*;
use crate::waf::ir::EngineState;
use crate::waf::testing::{Files, denied, load};

const PACK: &str = "pack: t
rules:
  - { id: 1, message: m, in: [args, arg_names, cookies, headers, path, files.name, xml], transform: url_decode, contains: <evil>, severity: critical }
  - { id: 2, message: m, in: response.body, contains: secret, severity: critical }
";

fn results(text: &str) -> Vec<(u64, String, bool)> {
    let files = Files(std::collections::BTreeMap::from([("t.yaml", PACK)]));
    let program = load(&files, "Include t.yaml").unwrap();
    let engine = Engine::compile(&program, denied(EngineState::DetectionOnly)).unwrap().0;
    let document: Document = serde_yaml::from_str(text).unwrap();
    let outcomes = run(&engine, &document).into_iter();
    outcomes.map(|outcome| (outcome.rule, outcome.name, outcome.ending == Ending::Passed)).collect()
}

#[test]
fn a_value_goes_through_each_place() {
    let through = "[query, query_twice, query_unicode, query_name, form, json, json_name, multipart, filename, xml, cookie, header, user_agent, referer, path]";
    let text = format!(
        "through: {through}\ntests:\n  - {{ rule: 1, caught: ['a <evil> b'], passed: ['a evil b'] }}\n"
    );
    let found = results(&text);
    assert_eq!(found.len(), 30);
    let failed: Vec<_> = found.iter().filter(|(.., passed)| !passed).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn a_rule_that_does_not_do_what_is_said_fails() {
    let found = results(
        "tests:\n  - { rule: 1, caught: [good], passed: ['<evil>'] }\nattacks: [good]\nbenign: ['<evil>']\n",
    );
    assert_eq!(found.iter().filter(|(.., passed)| !passed).count(), 4, "{found:?}");
}

#[test]
fn requests_and_responses_are_written_out() {
    let found = results(
        "attacks:
  - { path: /x, cookies: { a: '%3cevil%3e' } }
  - { name: upload, multipart: { a: b, f: { filename: '<evil>', content: x } } }
  - { method: PUT, body: 'a=%3Cevil%3E', type: application/x-www-form-urlencoded }
  - { response: { status: 500, headers: { content-type: text/plain }, body: a secret } }
benign:
  - { json: { a: [1, evil] }, headers: { user-agent: x } }
  - { response: { body: nothing } }
",
    );
    assert!(found.iter().all(|(.., passed)| *passed), "{found:?}");
    assert_eq!((found.len(), found[1].1.as_str()), (6, "upload"));
}

#[test]
fn an_unknown_key_is_an_error() {
    for text in ["test: []", "benign: [{ pth: /x }]", "through: [kwery]"] {
        assert!(serde_yaml::from_str::<Document>(text).is_err(), "{text}");
    }
}

#[test]
fn a_test_of_a_rule_that_is_not_there_fails() {
    let found = results("tests:\n  - { rule: 9, passed: [good] }\n");
    assert_eq!(found, [(9, "-".to_owned(), false)]);
}

#[test]
fn a_header_may_be_left_out() {
    let pack = "pack: t\nrules: [{ id: 1, message: m, in: headers.user-agent, exists: false }]\n";
    let files = Files(std::collections::BTreeMap::from([("t.yaml", pack)]));
    let program = load(&files, "Include t.yaml").unwrap();
    let engine = Engine::compile(&program, denied(EngineState::DetectionOnly)).unwrap().0;
    let text = "tests: [{ rule: 1, caught: [{ headers: { user-agent: } }], passed: [{ path: / }] }]\n";
    let document: Document = serde_yaml::from_str(text).unwrap();
    let outcomes = run(&engine, &document);
    assert!(outcomes.iter().all(|outcome| outcome.ending == Ending::Passed), "{outcomes:?}");
}
