//! The semantics of rules, each with the prefilter and without.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::waf::ir::EngineState;
use crate::waf::testing::{Request, compile, denied, get, ids, options, post, run};
use crate::waf::{Clock, Disruption, Exhausted, Limits, Mode, Options, Verdict};

const FORM: &[(&str, &str)] = &[("Content-Type", "application/x-www-form-urlencoded")];
const JSON: &[(&str, &str)] = &[("Content-Type", "application/json")];

#[test]
fn refuses_with_the_status_of_the_rule() {
    let rules = "SecRule ARGS \"@rx attack\" \"id:1,phase:1,deny,status:418\"";
    let (transaction, verdict) = run(rules, get("/?a=an+attack"));
    assert_eq!(verdict, Verdict::Refuse(Disruption::Deny { status: 418 }));
    assert_eq!(transaction.interruption().unwrap().rule, 1);
    assert_eq!(run(rules, get("/?a=a+visit")).1, Verdict::Pass);
}

#[test]
fn blocks_as_the_default_action_says() {
    let rules =
        "SecDefaultAction \"phase:1,log,deny,status:406\"\nSecRule ARGS \"@rx x\" \"id:1,phase:1,block\"";
    assert_eq!(run(rules, get("/?a=x")).1, Verdict::Refuse(Disruption::Deny { status: 406 }));
    let rules = "SecRule ARGS \"@rx x\" \"id:1,phase:1,block\"";
    assert_eq!(run(rules, get("/?a=x")).1, Verdict::Pass);
}

#[test]
fn only_watches_where_it_is_told_so() {
    let rules = "SecRule ARGS \"@rx x\" \"id:1,phase:1,deny\"\nSecRule ARGS \"@rx x\" \"id:2,phase:1,pass\"";
    let engine = compile(rules, denied(EngineState::DetectionOnly)).unwrap().0;
    let (transaction, verdict) = get("/?a=x").run(&engine);
    assert_eq!(verdict, Verdict::Pass);
    assert!(!transaction.interruption().unwrap().enforced);
    assert_eq!(transaction.matches().len(), 2);
    let off = compile(rules, denied(EngineState::Off)).unwrap().0;
    assert!(get("/?a=x").run(&off).0.matches().is_empty());
}

#[test]
fn paths_are_decoded_and_what_was_sent_is_there_too() {
    for (target, variable, expected) in [
        ("/%61/b%20c?d=%65", "REQUEST_URI", "/a/b c?d=%65"),
        ("/a/b+c?d=%65", "REQUEST_URI", "/a/b+c?d=%65"),
        ("http://h/%61?d", "REQUEST_URI", "/a?d"),
        ("/%2561", "REQUEST_URI", "/%61"),
        ("/%61/b%20c?d=%65", "REQUEST_FILENAME", "/a/b c"),
        ("/%61/b%20c?d=%65", "REQUEST_BASENAME", "b c"),
        ("http://h/%61?d", "REQUEST_URI_RAW", "http://h/%61?d"),
        ("/%61?d=%65", "REQUEST_LINE", "GET /%61?d=%65 HTTP/1.1"),
        ("/%61?d=%65", "QUERY_STRING", "d=%65"),
    ] {
        let rule = |text: &str| format!("SecRule {variable} \"@streq {text}\" \"id:1,phase:1,deny\"");
        let is_refused = |text: &str| run(&rule(text), get(target)).1 != Verdict::Pass;
        assert_eq!((is_refused(expected), is_refused("/")), (true, false), "{variable} of {target}");
    }
}

#[test]
fn a_chain_matches_if_all_of_it_does() {
    let rules = "SecRule ARGS:a \"@streq 1\" \"id:1,phase:1,pass,chain,setvar:tx.half=1\"\nSecRule ARGS:b \"@streq 2\" \"setvar:tx.whole=1\"";
    let (transaction, _) = run(rules, get("/?a=1&b=2"));
    assert_eq!((transaction.tx("whole"), transaction.matches().len()), (Some(&b"1"[..]), 1));
    let (transaction, _) = run(rules, get("/?a=1&b=3"));
    assert_eq!((transaction.tx("half"), transaction.tx("whole")), (Some(&b"1"[..]), None));
    assert!(transaction.matches().is_empty());
}

#[test]
fn what_was_found_is_told_with_all_variables_and_with_what_is_around_it() {
    let rules = "SecRule ARGS \"@rx evil\" \"id:1,phase:1,pass,log,msg:'m'\"\nSecRule ARGS:a \"@rx evil\" \"id:2,phase:1,pass,log,msg:'%{MATCHED_VAR}'\"";
    let (transaction, _) = run(rules, get("/?a=evil&b=good&c=evil&c=evil"));
    let [first, second] = transaction.matches() else { panic!() };
    assert_eq!((&*first.variable, &*first.also, first.more), ("ARGS:c", &["ARGS:a".to_owned()][..], false));
    assert_eq!((&*second.variable, second.also.len()), ("ARGS:a", 0));
    assert_eq!((first.message_has_data, second.message_has_data), (false, true));
    let long = format!("/?a={}ö{}evil-thing", "x".repeat(100), "y".repeat(19));
    let (transaction, _) = run(rules, get(&long));
    let found = &transaction.matches()[0];
    assert_eq!((found.value_at, found.value_bytes), (102, 131));
    assert_eq!(found.value, format!("{}evil-thing", "y".repeat(19)).as_bytes());
    let many: Vec<_> = (0..40).map(|at| format!("a{at}=evil")).collect();
    let (transaction, _) = run(rules, get(&format!("/?{}", many.join("&"))));
    let found = &transaction.matches()[0];
    assert_eq!((found.also.len(), found.more), (31, true));
}

#[test]
fn a_chain_is_screened_by_the_link_that_fewest_requests_come_to() {
    let chain = "SecRule &ARGS \"@lt 3\" \"id:1,phase:1,pass,chain\"\nSecRule REQUEST_METHOD \"!@rx ^HEAD$\" \"chain\"\nSecRule ARGS \"@rx attack\\d\" \"setvar:tx.count=+1\"";
    let count = |rules: &str, request| run(rules, request).0.tx("count").map(<[u8]>::to_vec);
    assert_eq!(count(chain, get("/?a=attack1&b=attack2")), Some(b"2".to_vec()));
    assert_eq!(count(chain, get("/?a=attack")), None);
    assert_eq!(count(chain, get("/?a=attack1&b=2&c=3")), None);
    assert_eq!(count(chain, Request { method: "HEAD", ..get("/?a=attack1") }), None);
    let unfiltered = |rules: &str| compile(rules, options(Mode::Filtered)).unwrap().1.unfiltered;
    assert!(unfiltered(chain).is_empty());
    let acts = chain.replace("pass,chain", "pass,setvar:tx.seen=1,chain");
    assert_eq!(unfiltered(&acts), [1]);
    assert_eq!(run(&acts, get("/?a=b")).0.tx("seen"), Some(&b"1"[..]));
    // What the first link matched is asked for, though the chain came to nothing.
    let asked = format!("{chain}\nSecAction \"id:2,phase:1,pass,setvar:tx.last=%{{MATCHED_VAR_NAME}}\"");
    assert!(unfiltered(&asked).contains(&1));
    assert_eq!(run(&asked, get("/?a=b")).0.tx("last"), Some(&b"REQUEST_METHOD"[..]));
}

#[test]
fn variables_that_no_rule_changes_are_written_in() {
    let rules = "SecAction \"id:1,phase:1,pass,nolog,setvar:'tx.allowed=GET PUT'\"\nSecRule REQUEST_METHOD \"!@within x %{tx.allowed}%{tx.none}\" \"id:2,phase:1,pass,setvar:tx.seen=%{tx.allowed}!\"";
    let unfiltered = |rules: &str| compile(rules, options(Mode::Filtered)).unwrap().1.unfiltered;
    assert!(unfiltered(rules).is_empty());
    let post = Request { method: "POST", ..get("/?more=1") };
    assert!(ids(rules, get("/")).is_empty());
    assert_eq!(run(rules, post).0.tx("seen"), Some(&b"GET PUT!"[..]));
    for change in ["tx.allowed=PUT", "tx.%{ARGS.name}llowed=PUT"] {
        let changed =
            format!("SecRule ARGS:more \"@eq 1\" \"id:3,phase:1,pass,nolog,setvar:'{change}'\"\n{rules}");
        assert!(unfiltered(&changed).contains(&2), "{change}");
    }
}

#[test]
fn a_test_that_is_to_fail_is_screened_too() {
    let rules = "SecRule ARGS \"!@rx ^\\d+$\" \"id:1,phase:1,pass,t:trim,setvar:tx.count=+1\"";
    assert!(compile(rules, options(Mode::Filtered)).unwrap().1.unfiltered.is_empty());
    let count = |request| run(rules, request).0.tx("count").map(<[u8]>::to_vec);
    assert_eq!(count(get("/?a=1&b=%202&c=")), Some(b"1".to_vec()));
    assert_eq!(count(get("/?a=1&b=x&c=1x")), Some(b"2".to_vec()));
    assert_eq!(count(get("/?a=1&b=%202")), None);
    let several = "SecRule ARGS \"!@rx ^\\d+$\" \"id:1,phase:1,pass,multiMatch,t:trim,setvar:tx.count=+1\"";
    assert_eq!(run(several, get("/?a=%202")).0.tx("count"), Some(&b"1"[..]));
}

#[test]
fn what_a_chain_changes_for_the_request_it_changes_once_all_of_it_matches() {
    let rules = "SecRule REQUEST_FILENAME \"@beginsWith /admin\" \"id:1,phase:1,pass,nolog,ctl:ruleEngine=Off,ctl:ruleRemoveById=3,chain\"\nSecRule REMOTE_ADDR \"@ipMatch %\" \"\"\nSecRule ARGS \"@rx bad\" \"id:2,phase:1,pass\"\nSecRule ARGS \"@rx bad\" \"id:3,phase:1,pass\"";
    assert_eq!(ids(&rules.replace('%', "10.0.0.0/8"), get("/admin?a=bad")), [2, 3]);
    assert!(ids(&rules.replace('%', "192.0.2.0/24"), get("/admin?a=bad")).is_empty());
}

#[test]
fn scores_for_each_value_that_matches() {
    let rules = "SecRule ARGS|ARGS_NAMES \"@contains bad\" \"id:1,phase:1,pass,setvar:'tx.score=+5'\"";
    assert_eq!(run(rules, get("/?a=bad&b=bad&bad=1&c=good")).0.tx("score"), Some(&b"15"[..]));
    assert_eq!(run(rules, get("/?a=good")).0.tx("score"), None);
}

#[test]
fn captures_groups_and_forgets_those_of_an_earlier_match() {
    let rules = "SecRule ARGS:a \"@rx (\\w+)-(\\w+)\" \"id:1,phase:1,pass,capture,setvar:tx.first=%{TX.1}\"\nSecRule ARGS:b \"@rx x(y)?\" \"id:2,phase:1,pass,capture,msg:'%{TX.0}|%{TX.1}|%{TX.2}'\"";
    let (transaction, _) = run(rules, get("/?a=one-two&b=x"));
    assert_eq!(transaction.tx("first"), Some(&b"one"[..]));
    assert_eq!(transaction.matches()[1].message, "x||");
}

#[test]
fn skips_to_a_marker_and_over_rules() {
    let rules = "SecRule ARGS:a \"@eq 1\" \"id:1,phase:1,pass,skipAfter:END\"\nSecAction \"id:2,phase:1,pass\"\nSecMarker END\nSecRule ARGS:a \"@ge 1\" \"id:3,phase:1,pass,skip:1\"\nSecAction \"id:4,phase:1,pass\"\nSecAction \"id:5,phase:1,pass\"";
    assert_eq!(ids(rules, get("/?a=1")), [1, 3, 5]);
    assert_eq!(ids(rules, get("/?a=2")), [2, 3, 5]);
    assert_eq!(ids(rules, get("/?a=0")), [2, 4, 5]);
}

#[test]
fn skips_to_a_rule_as_to_a_marker() {
    let rules = "SecRule ARGS:a \"@eq 1\" \"id:1,phase:1,pass,skipAfter:3\"\nSecAction \"id:2,phase:1,pass\"\nSecAction \"id:3,phase:1,pass\"\nSecAction \"id:4,phase:1,pass\"";
    assert_eq!(ids(rules, get("/?a=1")), [1, 4]);
    assert_eq!(ids(rules, get("/")), [2, 3, 4]);
}

#[test]
fn the_whole_request_is_its_line_headers_and_body() {
    let rules = "SecRule FULL_REQUEST \"@streq %\" \"id:1,phase:2,pass\"\nSecRule FULL_REQUEST \"@rx POST / HTTP/1.1\\r\\nX: y\\r\\n\\r\\nbad$\" \"id:2,phase:2,pass\"\nSecRule FULL_REQUEST_LENGTH \"@eq 28\" \"id:3,phase:2,pass\"";
    assert_eq!(ids(rules, post(&[("X", "y")], "bad")), [2, 3]);
    assert!(ids(rules, post(&[("X", "z")], "bad!")).is_empty());
}

#[test]
fn a_body_is_there_as_it_came_unless_it_is_an_upload_or_xml() {
    let rules = "SecRule REQUEST_BODY \"@contains bad\" \"id:1,phase:2,pass\"";
    for (kind, body, found) in [
        ("text/plain", "bad", true),
        ("", "bad", true),
        ("text/xml", "<bad/>", false),
        ("application/json", "{\"bad\":1}", true),
        ("application/x-www-form-urlencoded", "bad=1", true),
        (
            "multipart/form-data; boundary=b",
            "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nbad\r\n--b--\r\n",
            false,
        ),
    ] {
        let headers: &[(&str, &str)] = if kind.is_empty() { &[] } else { &[("Content-Type", kind)] };
        assert_eq!(ids(rules, post(headers, body)) == [1], found, "{kind}");
    }
}

#[test]
fn what_is_found_by_other_means_than_patterns_is_captured_too() {
    for (operator, value, found) in [
        ("@verifyCC \\d{13,16}", "a4111111111111111b", "4111111111111111"),
        ("@verifySSN \\d{3}-\\d\\d-\\d{4}", "+219-09-9999", "219-09-9999"),
        ("@detectXSS", "<script>", "<script>"),
        ("@pm |62 61|d x", "a bad", "bad"),
    ] {
        let rules = format!("SecRule ARGS \"{operator}\" \"id:1,phase:1,pass,capture,msg:'%{{TX.0}}'\"");
        assert_eq!(run(&rules, get(&format!("/?a={value}"))).0.matches()[0].message, found);
        assert!(ids(&rules, get("/?a=nothing")).is_empty());
    }
}

#[test]
fn variables_of_the_environment_come_and_go() {
    let rules = "SecAction \"id:1,phase:1,pass,nolog,setenv:a=b,setenv:c\"\nSecRule ARGS:x \"@eq 1\" \"id:2,phase:1,pass,nolog,setenv:'!a'\"\nSecRule ENV \"@rx .\" \"id:3,phase:1,pass,msg:'%{ENV.a}%{ENV.c}'\"";
    assert_eq!(run(rules, get("/")).0.matches()[0].message, "b1");
    assert_eq!(run(rules, get("/?x=1")).0.matches()[0].message, "1");
}

#[test]
fn counts_members() {
    let rules = "SecRule &ARGS \"@eq 2\" \"id:1,phase:1,pass\"\nSecRule &ARGS:none \"@eq 0\" \"id:2,phase:1,pass\"\nSecRule ARGS:none \"!@streq x\" \"id:3,phase:1,pass\"";
    assert_eq!(ids(rules, get("/?a=1&b=2")), [1, 2]);
    assert_eq!(ids(rules, get("/?a=1&none=x")), [1]);
}

#[test]
fn exclusions_are_for_all_of_a_chain_and_additions_for_its_first_rule() {
    let rules = "SecRule REQUEST_METHOD \"@streq GET\" \"id:1,phase:1,pass,tag:'a',chain\"\nSecRule ARGS \"@rx bad\"\nSecAction \"id:2,phase:1,pass,tag:'a'\"\n";
    let with = |update: &str| ids(&format!("{rules}{update}"), get("/?q=bad"));
    assert_eq!(with(""), [1, 2]);
    assert_eq!(with("SecRuleUpdateTargetById 1 \"!ARGS:q\""), [2]);
    assert_eq!(with("SecRuleUpdateTargetById 1 \"REQUEST_HEADERS\""), [1, 2]);
    assert_eq!(with("SecRuleUpdateTargetByTag a \"ARGS:none\""), [1, 2]);
}

#[test]
fn leaves_out_what_is_excluded() {
    let rules = "SecRule ARGS|!ARGS:safe|!ARGS:/^x_/ \"@rx bad\" \"id:1,phase:1,pass,msg:'%{MATCHED_VAR_NAME}'\"\nSecRuleUpdateTargetById 1 \"!ARGS:other\"";
    assert!(ids(rules, get("/?safe=bad&SAFE=bad&x_1=bad&other=bad")).is_empty());
    let (transaction, _) = run(rules, get("/?safe=bad&y=bad"));
    assert_eq!(transaction.matches()[0].message, "ARGS:y");
}

#[test]
fn a_request_may_take_out_rules_and_targets() {
    let rules = "SecRule REQUEST_FILENAME \"@streq /a\" \"id:1,phase:1,pass,nolog,ctl:ruleRemoveById=10-19\"\nSecRule REQUEST_FILENAME \"@streq /b\" \"id:2,phase:1,pass,nolog,ctl:ruleRemoveTargetByTag=sql;ARGS:q\"\nSecRule REQUEST_FILENAME \"@streq /c\" \"id:3,phase:1,pass,nolog,ctl:ruleEngine=Off\"\nSecRule ARGS \"@rx bad\" \"id:10,phase:1,pass,tag:'sql'\"\nSecRule ARGS \"@rx bad\" \"id:20,phase:1,pass,tag:'xss'\"";
    assert_eq!(ids(rules, get("/?q=bad")), [10, 20]);
    assert_eq!(ids(rules, get("/a?q=bad")), [20]);
    assert_eq!(ids(rules, get("/b?q=bad")), [20]);
    assert_eq!(ids(rules, get("/b?q=bad&r=bad")), [10, 20]);
    assert!(ids(rules, get("/c?q=bad")).is_empty());
}

#[test]
fn removed_rules_do_not_run() {
    let rule = "SecRule ARGS \"@rx bad\" \"id:1,phase:1,pass,tag:'a',msg:'one'\"\n";
    for removal in
        ["SecRuleRemoveById 1", "SecRuleRemoveById 5-9,1", "SecRuleRemoveByTag ^a$", "SecRuleRemoveByMsg one"]
    {
        assert!(ids(&format!("{rule}{removal}"), get("/?q=bad")).is_empty(), "{removal}");
    }
    assert_eq!(ids(&format!("{rule}SecRuleRemoveByTag b"), get("/?q=bad")), [1]);
}

#[test]
fn updated_actions_take_the_place_of_what_was() {
    let rules = "SecRule ARGS \"@rx bad\" \"id:1,phase:1,pass,msg:'old'\"\nSecRuleUpdateActionById 1 \"deny,status:410,msg:'new'\"";
    let (transaction, verdict) = run(rules, get("/?q=bad"));
    assert_eq!(verdict, Verdict::Refuse(Disruption::Deny { status: 410 }));
    assert_eq!(transaction.matches()[0].message, "new");
}

#[test]
fn looks_again_after_each_transformation_if_asked() {
    let all = "SecRule ARGS \"@rx ^a b$\" \"id:1,phase:1,pass,t:none,t:lowercase,t:removeWhitespace\"";
    assert!(ids(all, get("/?q=A+B")).is_empty());
    let multi = all.replace("pass", "pass,multiMatch");
    assert_eq!(ids(&multi, get("/?q=A+B")), [1]);
}

#[test]
fn the_names_and_values_that_matched_are_there_for_the_chain() {
    let rules = "SecRule ARGS \"@rx bad\" \"id:1,phase:1,pass,chain\"\nSecRule MATCHED_VARS \"@rx worse\" \"chain\"\nSecRule MATCHED_VARS_NAMES \"@streq ARGS:b\" \"\"";
    assert_eq!(ids(rules, get("/?a=bad&b=bad+worse")), [1]);
    assert!(ids(rules, get("/?a=bad&b=bad")).is_empty());
}

#[test]
fn variables_of_tx_are_found_by_pattern() {
    let rules = "SecRule ARGS_NAMES \"@rx .\" \"id:1,phase:1,pass,nolog,setvar:'TX.count_%{MATCHED_VAR_NAME}=+1'\"\nSecRule TX:/^count_/ \"@gt 1\" \"id:2,phase:1,pass,msg:'%{MATCHED_VAR_NAME}'\"";
    assert_eq!(run(rules, get("/?a=1&A=2&b=3")).0.matches()[0].message, "TX:count_args_names:a");
    assert!(ids(rules, get("/?a=1&b=3")).is_empty());
}

#[test]
fn a_pattern_means_variables_of_tx_whenever_their_names_became_known() {
    let rules = |unset: &str| {
        format!(
            "SecAction \"id:1,phase:1,nolog,setvar:tx.count_x=2,setvar:tx.other=2{unset}\"\nSecRule ARGS_NAMES \"@rx .\" \"id:2,phase:1,pass,nolog,setvar:'tx.count_%{{MATCHED_VAR}}=2'\"\nSecRule TX:/^count_/|!TX:/z$/ \"@eq 2\" \"id:3,phase:1,pass\"\nSecRule &TX:/^count_/ \"@eq 2\" \"id:4,phase:1,pass\""
        )
    };
    assert_eq!(ids(&rules(""), get("/?b=1")), [3, 4]);
    assert_eq!(ids(&rules(""), get("/")), [3]);
    assert_eq!(ids(&rules(",setvar:!tx.count_x"), get("/?b=1&c=1")), [3, 4]);
    assert!(ids(&rules(",setvar:!tx.count_x"), get("/?z=1")).is_empty());
}

#[test]
fn allow_ends_what_it_says() {
    let rules = |allow: &str| {
        format!(
            "SecAction \"id:1,phase:1,nolog,{allow}\"\nSecAction \"id:2,phase:1,pass\"\nSecAction \"id:3,phase:2,pass\"\nSecAction \"id:5,phase:5,pass\""
        )
    };
    assert_eq!(ids(&rules("allow"), get("/")), [5]);
    assert_eq!(ids(&rules("allow:phase"), get("/")), [3, 5]);
    assert_eq!(ids(&rules("allow:request"), get("/")), [5]);
    assert_eq!(ids(&rules("pass"), get("/")), [2, 3, 5]);
}

#[test]
fn the_log_is_written_after_a_refusal() {
    let rules = "SecAction \"id:1,phase:1,deny\"\nSecAction \"id:2,phase:2,pass\"\nSecAction \"id:5,phase:5,pass,msg:'%{tx.a}'\"";
    assert_eq!(ids(rules, get("/")), [1, 5]);
}

#[test]
fn bodies_are_read_by_their_type() {
    let rules = "SecRule ARGS_POST \"@streq bad\" \"id:1,phase:2,pass,msg:'%{MATCHED_VAR_NAME}'\"\nSecRule REQBODY_ERROR \"!@eq 0\" \"id:2,phase:2,pass\"\nSecRule XML:/* \"@contains bad\" \"id:3,phase:2,pass\"\nSecRule XML://@* \"@streq bad\" \"id:4,phase:2,pass\"";
    let name = |request| run(rules, request).0.matches()[0].message.clone();
    assert_eq!(name(post(FORM, "a=bad")), "ARGS_POST:a");
    assert_eq!(name(post(JSON, "{\"a\":[\"bad\"]}")), "ARGS_POST:json.a.array_0");
    assert_eq!(ids(rules, post(JSON, "{\"a\":")), [2]);
    let xml: &[(&str, &str)] = &[("Content-Type", "text/xml")];
    assert_eq!(ids(rules, post(xml, "<a><b>bad</b></a>")), [3]);
    assert_eq!(ids(rules, post(xml, "<a b='bad'/>")), [4]);
    assert!(ids(rules, post(FORM, "a=good")).is_empty());
}

#[test]
fn another_processor_reads_the_body_if_a_rule_says_so() {
    let rules = "SecRule ARGS:a \"@streq bad\" \"id:2,phase:2,pass\"";
    let plain: &[(&str, &str)] = &[("Content-Type", "text/plain")];
    assert!(ids(rules, post(plain, "a=bad")).is_empty());
    let with = format!("SecAction \"id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=URLENCODED\"\n{rules}");
    assert_eq!(ids(&with, post(plain, "a=bad")), [2]);
}

#[test]
fn who_the_session_and_the_user_are_is_told() {
    let rules = "SecAction \"id:1,phase:1,pass,nolog,setsid:%{REQUEST_COOKIES.sid},setuid:%{ARGS.u}\"\nSecRule SESSIONID|USERID \"@rx ^(?:s7|ana)$\" \"id:2,phase:1,pass,msg:'%{SESSIONID} %{USERID}'\"";
    let headers: &[(&str, &str)] = &[("Cookie", "sid=s7")];
    let (transaction, _) = run(rules, Request { method: "GET", target: "/?u=ana", headers, body: b"" });
    assert_eq!(transaction.matches()[0].message, "s7 ana");
    assert!(ids(rules, get("/?u=bo")).is_empty());
}

#[test]
fn what_rules_conceal_is_known() {
    let rules = "SecAction \"id:1,phase:1,pass,nolog,sanitiseArg:Card,sanitizeRequestHeader:X-Key\"\nSecRule ARGS \"@rx bad\" \"id:2,phase:1,pass,sanitiseMatched\"";
    let (transaction, _) = run(rules, get("/?q=bad&r=good"));
    for (variable, expected) in [
        ("ARGS:card", true),
        ("ARGS_GET:card", true),
        ("REQUEST_HEADERS:x-key", true),
        ("ARGS:q", true),
        ("ARGS:r", false),
        ("RESPONSE_HEADERS:x-key", false),
    ] {
        assert_eq!(transaction.conceals(variable), expected, "{variable}");
    }
}

#[test]
fn rules_are_known_by_messages_as_they_are_written() {
    let rules = "SecRule ARGS \"@rx bad\" \"id:1,phase:1,pass,msg:'score %{TX.score} in all'\"\nSecRuleRemoveByMsg \"^score .*TX.score. in all$\"";
    assert!(ids(rules, get("/?q=bad")).is_empty());
}

#[test]
fn what_the_default_action_does_is_done_once_for_each_rule() {
    let rules = "SecDefaultAction \"phase:1,log,pass,tag:'all',setvar:tx.rules=+1,capture\"\nSecRule ARGS:a \"@rx (.)$\" \"id:1,phase:1,pass,chain,msg:'%{TX.1}'\"\nSecRule ARGS:a \"@rx b\"\nSecAction \"id:2,phase:2,pass\"";
    let (transaction, _) = run(rules, get("/?a=abc"));
    assert_eq!(transaction.tx("rules"), Some(&b"1"[..]));
    assert_eq!((&*transaction.matches()[0].message, &*transaction.matches()[0].tags[0]), ("c", "all"));
    assert!(transaction.matches()[1].tags.is_empty());
}

#[test]
fn a_body_without_files_has_a_limit_of_its_own() {
    let rules = "SecRequestBodyNoFilesLimit 8\nSecAction \"id:1,phase:2,pass\"";
    assert_eq!(run(rules, post(FORM, "a=bad&b=2")).1, Verdict::Exhausted(Exhausted::BodyBytes));
    assert_eq!(run(rules, post(FORM, "a=bad&b=")).1, Verdict::Pass);
    let upload: &[(&str, &str)] = &[("Content-Type", "multipart/form-data; boundary=b")];
    let part = "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"\r\n\r\n1\r\n";
    assert_eq!(run(rules, post(upload, &format!("{part}--b--\r\n"))).1, Verdict::Pass);
    let rules = "SecUploadFileLimit 1\nSecRule MULTIPART_FILE_LIMIT_EXCEEDED \"@eq 1\" \"id:1,phase:2,deny\"";
    assert_eq!(run(rules, post(upload, &format!("{part}--b--\r\n"))).1, Verdict::Pass);
    assert_ne!(run(rules, post(upload, &format!("{part}{part}--b--\r\n"))).1, Verdict::Pass);
}

#[test]
fn an_austrian_social_security_number_has_a_check_digit() {
    let rules = "SecRule ARGS \"@verifySVNR \\d{10}\" \"id:1,phase:1,pass\"";
    assert_eq!(ids(rules, get("/?a=1237010180")), [1]);
    assert!(ids(rules, get("/?a=1236010180&b=0237010180")).is_empty());
}

#[test]
fn macros_in_tests_are_those_of_the_request() {
    let rules = "SecRule REQUEST_HEADERS:Referer \"!@endsWith %{request_headers.host}\" \"id:1,phase:1,pass\"\nSecRule REQUEST_METHOD \"@rx ^%{ARGS.m}$\" \"id:2,phase:1,pass\"";
    let headers: &[(&str, &str)] = &[("Host", "a.example"), ("Referer", "https://a.example")];
    let request = Request { method: "GET", target: "/?m=GET|PUT", headers, body: b"" };
    assert_eq!(ids(rules, request), [2]);
    assert_eq!(
        ids(rules, Request { target: "/?m=PUT", headers: &[("Host", "b"), headers[1]], ..request }),
        [1]
    );
}

#[test]
fn a_body_past_the_limit_is_told() {
    let limits = Limits { request_body_bytes: 8, ..Limits::default() };
    let rules = "SecRule ARGS:a \"@rx bad\" \"id:1,phase:2,pass\"";
    let partial = format!("SecRequestBodyLimitAction ProcessPartial\n{rules}");
    let with = |rules: &str| compile(rules, Options { limits, ..options(Mode::Filtered) }).unwrap().0;
    assert_eq!(post(FORM, "a=bad&b=2").run(&with(rules)).1, Verdict::Exhausted(Exhausted::BodyBytes));
    assert_eq!(post(FORM, "a=bad&b=").run(&with(rules)).1, Verdict::Pass);
    let (transaction, verdict) = post(FORM, "a=bad&b=2").run(&with(&partial));
    assert_eq!((verdict, transaction.matches().len()), (Verdict::Pass, 1));
}

#[test]
fn too_many_values_are_told() {
    let limits = Limits { values: 4, ..Limits::default() };
    let engine =
        compile("SecAction \"id:1,phase:2,pass\"", Options { limits, ..options(Mode::Filtered) }).unwrap().0;
    assert_eq!(get("/?a&b&c&d&e").run(&engine).1, Verdict::Exhausted(Exhausted::Values));
    assert_eq!(get("/?a&b&c&d").run(&engine).1, Verdict::Pass);
}

#[test]
fn tells_of_identifiers_used_twice_and_patterns_that_cannot_be_matched() {
    let rules = "SecAction \"id:1,phase:1,pass\"\nSecAction \"id:1,phase:1,pass\"\nSecRule ARGS \"@rx (?R)\" \"id:2,phase:1,pass\"\nSecRule ARGS \"@rx b(?<=a+)\" \"id:3,phase:1,pass\"";
    let errors: Vec<String> =
        compile(rules, options(Mode::Filtered)).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "rules:2: the id 1 is used at rules:1 already",
            "rules:3: rule 2: recursion, a condition or a reset cannot be matched in linear time",
            "rules:4: rule 3: lookbehind of any length cannot be matched in linear time",
        ]
    );
}

/// Shows what it is set to, and moves on with each look.
#[derive(Default)]
struct Moving {
    now_ns: AtomicU64,
    step_ns: u64,
}

impl Clock for Moving {
    fn monotonic_ns(&self) -> u64 {
        self.now_ns.fetch_add(self.step_ns, Ordering::Relaxed)
    }

    fn unix_ms(&self) -> u64 {
        self.now_ns.load(Ordering::Relaxed) / 1_000_000
    }
}

/// Enough for some looks at the clock.
fn long_target() -> String {
    format!("/?a={}", "b".repeat(128_000))
}

#[test]
fn only_time_within_phases_is_the_rules_own() {
    let rules = "SecRule ARGS \"@contains evil\" \"id:1,phase:1,deny\"\nSecAction \"id:2,phase:2,pass\"";
    for (step_ns, expected) in [(1, Verdict::Pass), (25_000_000, Verdict::Exhausted(Exhausted::Time))] {
        let clock = Arc::new(Moving { step_ns, ..Moving::default() });
        let settings = Options { clock: clock.clone(), ..options(Mode::Naive) };
        let (engine, _) = compile(rules, settings).unwrap();
        let mut transaction = engine.begin("a");
        transaction.request(b"GET", long_target().as_bytes(), b"HTTP/1.1");
        let first = transaction.request_headers();
        // The client takes a second to send its body.
        clock.now_ns.fetch_add(1_000_000_000, Ordering::Relaxed);
        let second = transaction.request_body_end();
        assert_eq!(if first == Verdict::Pass { second } else { first }, expected);
    }
}

#[test]
fn how_long_it_took_is_what_passed_for_the_client() {
    let rules = "SecRule DURATION \"@ge 1500\" \"id:1,phase:2,pass\"\nSecRule DURATION \"@ge 1501\" \"id:2,phase:2,pass\"";
    let clock = Arc::new(Moving::default());
    let (engine, _) = compile(rules, Options { clock: clock.clone(), ..options(Mode::Filtered) }).unwrap();
    let mut transaction = engine.begin("a");
    transaction.request(b"GET", b"/", b"HTTP/1.1");
    clock.now_ns.fetch_add(1_500_000_000, Ordering::Relaxed);
    transaction.request_body_end();
    assert_eq!(transaction.matches().iter().map(|found| found.rule).collect::<Vec<_>>(), [1]);
}

#[test]
fn what_time_ran_out_for_matches_nothing_and_is_not_remembered() {
    let rules =
        "SecRule ARGS \"!@rx x$\" \"id:1,phase:1,pass\"\nSecRule ARGS \"@rx b$\" \"id:2,phase:1,pass\"";
    for mode in [Mode::Naive, Mode::Filtered] {
        let clock = Arc::new(Moving { step_ns: 30_000_000, ..Moving::default() });
        let engine = compile(rules, Options { clock, ..options(mode) }).unwrap().0;
        let (late, verdict) = get(&long_target()).run(&engine);
        assert_eq!((verdict, late.matches().len()), (Verdict::Exhausted(Exhausted::Time), 0));
        let (short, verdict) = get("/?a=b").run(&engine);
        assert_eq!((verdict, short.matches().len()), (Verdict::Pass, 2));
    }
}

#[test]
fn the_log_has_time_of_its_own() {
    let rules = "SecRule ARGS \"@rx x$\" \"id:1,phase:1,pass\"\nSecAction \"id:5,phase:5,pass\"";
    let clock = Arc::new(Moving { step_ns: 30_000_000, ..Moving::default() });
    let engine = compile(rules, Options { clock, ..options(Mode::Filtered) }).unwrap().0;
    let (transaction, _) = get(&long_target()).run(&engine);
    assert_eq!(transaction.matches().iter().map(|found| found.rule).collect::<Vec<_>>(), [5]);
}

#[test]
fn braces_and_names_of_graphql_are_no_value() {
    let rules = "SecRule ARGS \"@rx user|union\" \"id:1,phase:2,pass\"";
    let query = |text: &str| format!("{{\"query\":\"{text}\"}}");
    assert!(ids(rules, post(JSON, &query("{ user(id: 4) { union } }"))).is_empty());
    for looked_at in ["user", "{ user(id: 4) } ' union", "{ a(b: \\\"union\\\") }", "{ a } # union"] {
        assert_eq!(ids(rules, post(JSON, &query(looked_at))), [1], "{looked_at}");
    }
}

#[test]
fn strings_of_graphql_queries_are_arguments() {
    let rules = "SecRule ARGS:graphql.id \"@streq bad\" \"id:1,phase:2,pass,msg:'%{MATCHED_VAR_NAME}'\"";
    let graphql: &[(&str, &str)] = &[("Content-Type", "application/graphql")];
    assert_eq!(ids(rules, post(graphql, "{ user(id: \"bad\") { name } }")), [1]);
    assert!(ids(rules, post(graphql, "{ user(id: \"good\") { name } }")).is_empty());
    let query = "{\"query\":\"{ user(id: \\\"bad\\\") }\"}";
    assert_eq!(ids(rules, post(JSON, query)), [1]);
    assert_eq!(ids(rules, post(JSON, &format!("[{{\"query\":\"{{a}}\"}},{query}]"))), [1]);
    // Somebody's own query language.
    let error = "SecRule REQBODY_ERROR \"!@eq 0\" \"id:2,phase:2,pass\"";
    assert!(ids(error, post(JSON, "{\"query\":\"{ \\\"open\"}")).is_empty());
    assert_eq!(ids(error, post(graphql, "{ user(id: \"bad) }")), [2]);
    assert!(ids(rules, post(JSON, "{\"other\":\"{ user(id: \\\"bad\\\") }\"}")).is_empty());
}

#[test]
fn graphql_in_a_query_string_is_read_as_in_a_body() {
    let braces = "SecRule ARGS \"@rx user|union\" \"id:1,phase:1,pass\"";
    let id = "SecRule ARGS:graphql.id \"@streq bad\" \"id:1,phase:1,pass\"";
    let variable = "SecRule ARGS:json.variables.id \"@streq b'd\" \"id:1,phase:1,pass\"";
    let query = "/graphql?query={user(id:%22good%22){union}}";
    let asked = |rest: &str| format!("{query}{rest}");
    let matches = |rules: &str, target: &str| ids(rules, get(target)) == [1];
    assert!(!matches(braces, query));
    for looked_at in ["/?query=user", "/?query={user}'+union", "/?query={a(b:%22union%22)}", "/?q={user}"] {
        assert!(matches(braces, looked_at), "{looked_at}");
    }
    assert!(matches(id, "/graphql?query={user(id:%22bad%22){name}}") && !matches(id, query));
    // A string of JSON is not what it looks like.
    assert!(matches(variable, &asked("&variables={%22id%22:%22b\\u0027d%22}")));
    assert!(!matches(variable, &asked("&variables={%22id%22:%22good%22}")));
    assert!(!matches(variable, "/?variables={%22id%22:%22b'd%22}"));
    let known = "&extensions={%22persistedQuery%22:{%22version%22:1}}";
    assert!(matches(variable, &format!("/?variables={{%22id%22:%22b'd%22}}{known}")));
}

#[test]
fn variables_are_no_value_themselves_if_they_are_json_beside_a_query() {
    let rules = "SecRule ARGS \"@contains {\" \"id:1,phase:1,pass\"";
    let variables = "variables={%22user%22:{%22id%22:[1]}}";
    assert!(ids(rules, get(&format!("/?query={{a}}&{variables}"))).is_empty());
    assert_eq!(ids(rules, get(&format!("/?{variables}"))), [1]);
    assert_eq!(ids(rules, get(&format!("/?query=words&{variables}"))), [1]);
    assert_eq!(ids(rules, get("/?query={a}&variables={user}")), [1]);
    let persisted = "extensions={%22persistedQuery%22:{%22version%22:1}}";
    assert!(ids(rules, get(&format!("/?{variables}&{persisted}"))).is_empty());
}

#[test]
fn an_answer_that_does_not_refuse_is_an_error() {
    for (actions, what) in [
        ("deny,status:200", "rules:1: rule 1: a refusal has a status from 400 to 599, not 200"),
        (
            "redirect:/a,status:403",
            "rules:1: rule 1: a redirect has the status 301, 302, 303, 307 or 308, not 403",
        ),
    ] {
        let rules = format!("SecAction \"id:1,phase:1,{actions}\"");
        let errors = compile(&rules, options(Mode::Filtered)).unwrap_err();
        assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), [what]);
    }
    run("SecAction \"id:1,phase:1,pass,status:200\"", get("/"));
}
