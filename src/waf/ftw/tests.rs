use super::*;
use crate::waf::ir::EngineState;
use crate::waf::testing::{compile, denied};

const RULES: &str = r#"
SecRule ARGS|REQUEST_BODY "@rx evil" "id:1,phase:2,deny,log,msg:'evil thing',logdata:'%{MATCHED_VAR}',tag:'attack-x'"
SecRule ARGS "@streq away" "id:2,phase:2,redirect:http://other.example/login?x=1,log"
SecRule ARGS "@streq gone" "id:3,phase:2,drop,log"
SecRule REQUEST_COOKIES:sid "@streq 7" "id:4,phase:1,pass,log"
SecRule REQUEST_HEADERS:Host "@streq other.example" "id:5,phase:1,pass,log"
SecRule SERVER_PORT "@eq 8080" "id:6,phase:1,pass,log"
SecRule RESPONSE_STATUS "@eq 500" "id:7,phase:3,pass,log"
SecRule ARGS "@contains evil" "id:8,phase:2,pass,log"
SecRule REQUEST_HEADERS:X-A "@rx ." "id:9,phase:1,pass,log"
SecRule REQUEST_HEADERS:Connection "@streq close" "id:10,phase:1,pass,nolog,setvar:tx.closes=1"
SecRule TX:closes "@eq 1" "id:11,phase:1,pass,log"
"#;

fn endings(text: &str) -> Vec<(u64, u64, Ending)> {
    let engine = compile(RULES, denied(EngineState::DetectionOnly)).unwrap().0;
    let document: Document = serde_yaml::from_str(text).unwrap();
    run(&engine, &document).into_iter().map(|outcome| (outcome.rule, outcome.test, outcome.ending)).collect()
}

/// How a stage of one line ends.
fn ending(stage: &str) -> Ending {
    endings(&format!("rule_id: 1\ntests: [{{ stages: [{stage}] }}]\n")).remove(0).2
}

fn passes(stage: &str) {
    assert_eq!(ending(stage), Ending::Passed, "{stage}");
}

fn fails(stage: &str) {
    assert!(matches!(ending(stage), Ending::Failed(_)), "{stage}");
}

#[test]
fn each_expectation_is_met_or_not() {
    let evil = |output: &str| format!("{{ input: {{ uri: '/?a=evil' }}, output: {{ {output} }} }}");
    for (good, bad) in [
        ("log: { expect_ids: [1, 8] }", "log: { expect_ids: [1, 2] }"),
        ("log: { no_expect_ids: [2] }", "log: { no_expect_ids: [8] }"),
        (
            "log: { match_regex: '^ModSecurity.*id \"1\".*tag \"attack-x\"' }",
            "log: { match_regex: 'id \"2\"' }",
        ),
        ("log: { no_match_regex: 'id \"1\".*id \"8\"' }", "log: { no_match_regex: 'msg \"evil' }"),
        ("log_contains: id \"1\"", "log_contains: id \"2\""),
        ("no_log_contains: id \"2\"", "no_log_contains: id \"1\""),
        ("status: 403", "status: 404"),
        ("status: [404, 403]", "status: [200, 302]"),
        ("isolated: true, log: { expect_ids: [1, 8, 11] }", "isolated: true, log: { expect_ids: [1, 8] }"),
        ("response_contains: '403', log: { expect_ids: [1] }", "response_contains: 'Hello'"),
        ("retry_once: true, log: { expect_ids: [1] }", "expect_error: false, log: { expect_ids: [2] }"),
        ("status: 200, log: { expect_ids: [1] }", "status: 200"),
    ] {
        passes(&evil(good));
        fails(&evil(bad));
    }
    for nothing in ["", "status: 400", "expect_error: true"] {
        assert_eq!(ending(&evil(nothing)), Ending::Skipped, "{nothing}");
    }
    fails(&evil("log: { match_regex: '(' }"));
}

#[test]
fn an_error_is_a_connection_that_a_rule_closes_or_a_request_that_cannot_be_sent() {
    passes("{ input: { uri: '/?a=gone' }, output: { expect_error: true } }");
    fails("{ input: { uri: '/?a=evil' }, output: { expect_error: true, log: { expect_ids: [3] } } }");
    fails("{ input: { uri: '/?a=gone' }, output: { expect_error: true, log: { expect_ids: [77] } } }");
    passes("{ input: { encoded_request: R0VU }, output: { expect_error: true } }");
    fails("{ input: { encoded_request: R0VU }, output: { log: { no_expect_ids: [1] } } }");
}

#[test]
fn each_input_is_sent() {
    for (input, id) in [
        ("uri: '/?a=evil'", 1),
        ("method: POST, data: 'a=evil'", 1),
        ("method: POST, data: ['x', 'evil']", 1),
        ("method: POST, encoded_data: 'YT1ldmls'", 1),
        ("encoded_request: 'R0VUIC8/YT1ldmlsIEhUVFAvMS4xDQpIb3N0OiBhDQoNCg=='", 1),
        ("raw_request: 'R0VUIC8/YT1ldmlsIEhUVFAvMS4xCkhvc3Q6IGEKCg=='", 1),
        ("headers: { x-a: 5 }", 9),
        ("ordered_headers: [{ name: X-A, value: b }]", 9),
        ("port: 8080, dest_addr: localhost, protocol: http", 6),
        ("response: { status: 500, headers: { a: b }, body: x }", 7),
        ("autocomplete_headers: true", 11),
        ("stop_magic: false", 11),
    ] {
        passes(&format!("{{ input: {{ {input} }}, output: {{ log: {{ expect_ids: [{id}] }} }} }}"));
        passes(&format!(
            "{{ input: {{}}, output: {{ log: {{ no_expect_ids: [{}] }} }} }}",
            if id == 11 { 1 } else { id }
        ));
    }
    for input in ["autocomplete_headers: false", "stop_magic: true"] {
        passes(&format!("{{ input: {{ {input} }}, output: {{ log: {{ no_expect_ids: [11] }} }} }}"));
    }
}

#[test]
fn bodies_are_written_as_their_types_want_them() {
    let body = |input: &str| Request::new(&serde_yaml::from_str(input).unwrap()).unwrap().body;
    assert_eq!(body("data: 'a=<b c>&d'"), b"a=%3Cb+c%3E&d");
    assert_eq!(body("data: 'a=%3C b'"), b"a=%3C b");
    assert_eq!(body("{ data: 'a=<', headers: { content-type: text/plain } }"), b"a=<");
    assert_eq!(body("{ data: 'a=<', stop_magic: true }"), b"a=<");
    let multipart = "headers: { Content-Type: multipart/form-data; boundary=x }, data:";
    assert_eq!(body(&format!("{{ {multipart} \"--x\\n\\nb\" }}")), b"--x\r\n\r\nb");
    assert_eq!(body(&format!("{{ {multipart} \"--x\\r\\nb\\n\" }}")), b"--x\r\nb\n");
}

#[test]
fn stages_follow_redirects_and_keep_cookies() {
    let found = endings(
        "rule_id: 1
tests:
- stages:
  - { input: { uri: '/?a=away' }, output: { status: 302, log: { expect_ids: [2] } } }
  - { input: { uri: '/?a=b', follow_redirect: true }, output: { log: { expect_ids: [5] } } }
- stages:
  - { input: { response: { status: 301, headers: { Location: '/?a=evil' } } }, output: { status: 301 } }
  - { input: { follow_redirect: true }, output: { log: { expect_ids: [1] } } }
- stages:
  - { input: {}, output: { status: 200 } }
  - { input: { follow_redirect: true }, output: { log: { no_expect_ids: [1] } } }
- stages:
  - { input: { save_cookie: true, response: { headers: { Set-Cookie: 'sid=7; Path=/' } } }, output: { log: { no_expect_ids: [4] } } }
  - { input: { headers: { Cookie: a=b } }, output: { log: { expect_ids: [4] } } }
",
    );
    let failed: Vec<_> = found.iter().filter(|(.., ending)| *ending != Ending::Passed).collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!((failed[0].0, failed[0].1), (1, 3));
}

#[test]
fn the_old_form_is_read() {
    let old = "meta: { author: x, enabled: true, name: 942100.yaml }
tests:
- test_title: 942100-7
  desc: old
  stages:
  - stage:
      input: { dest_addr: 127.0.0.1, port: 80, uri: '/?a=evil', stop_magic: true }
      output: { log_contains: id \"1\" }
- stages:
  - { stage: { input: {}, output: { no_log_contains: id \"1\" } } }
";
    assert_eq!(endings(old), [(942_100, 7, Ending::Passed), (0, 2, Ending::Passed)]);
    let disabled = old.replace("enabled: true", "enabled: false");
    assert!(endings(&disabled).iter().all(|(.., ending)| *ending == Ending::Skipped));
    let one = endings(&old.replace("  desc: old", "  enabled: false"));
    assert_eq!((&one[0].2, &one[1].2), (&Ending::Skipped, &Ending::Passed));
}

#[test]
fn an_unknown_key_is_an_error() {
    for text in [
        "{ uri: /, path: / }",
        "{ header: {} }",
        "{ response: { bdy: x } }",
        "{ ordered_headers: [{ n: a }] }",
    ] {
        assert!(serde_yaml::from_str::<Input>(text).is_err(), "{text}");
    }
    for text in ["{ log: { no_expect_id: [1] } }", "{ statuses: 1 }"] {
        assert!(serde_yaml::from_str::<Output>(text).is_err(), "{text}");
    }
}
