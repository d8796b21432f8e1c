//! What is computed once must come to what rules come to that run, whichever way a request takes through them.

use crate::waf::Mode;
use crate::waf::testing::{compile, get, ids, options};

fn folded(rules: &str) -> Vec<u64> {
    compile(rules, options(Mode::Filtered)).unwrap().1.folded
}

#[test]
fn what_is_always_so_is_computed_once() {
    let rules = "SecRule &TX:level \"@eq 0\" \"id:1,phase:1,pass,nolog,setvar:tx.level=1\"\nSecRule TX:level \"@lt 2\" \"id:2,phase:1,pass,nolog,skipAfter:END\"\nSecRule ARGS \"@rx bad\" \"id:3,phase:1,pass\"\nSecMarker END\nSecRule ARGS \"@rx bad\" \"id:4,phase:1,pass\"";
    assert_eq!(folded(rules), [1, 2, 3]);
    assert_eq!(ids(rules, get("/?a=bad")), [4]);
    let set_before = format!("SecAction \"id:9,phase:1,pass,nolog,setvar:tx.level=2\"\n{rules}");
    assert_eq!(folded(&set_before), [9, 1, 2]);
    assert_eq!(ids(&set_before, get("/?a=bad")), [3, 4]);
}

#[test]
fn what_a_request_may_change_is_not_computed_before() {
    let rules = "SecRule ARGS:l \"@rx .\" \"id:1,phase:1,pass,nolog,setvar:tx.level=%{ARGS.l}\"\nSecRule TX:level \"@lt 2\" \"id:2,phase:1,pass,nolog,skipAfter:END\"\nSecRule ARGS \"@rx bad\" \"id:3,phase:1,pass\"\nSecMarker END\nSecAction \"id:4,phase:1,pass,nolog,setvar:tx.level=9\"\nSecRule TX:level \"@eq 9\" \"id:5,phase:2,pass\"";
    assert_eq!(ids(rules, get("/?a=bad&l=1")), [5]);
    assert_eq!(ids(rules, get("/?a=bad&l=2")), [3, 5]);
}

#[test]
fn what_a_request_may_skip_is_not_there_from_the_beginning() {
    let seen = "SecRule TX:u \"@eq 1\" \"id:9,phase:5,pass\"";
    for (before, after, is_folded) in [
        ("", "", true),
        ("SecRule ARGS:a \"@eq 1\" \"id:1,phase:1,pass,nolog,skipAfter:END\"", "SecMarker END", false),
        ("SecRule ARGS:a \"@eq 1\" \"id:1,phase:1,pass,nolog,skip:1\"", "", false),
        ("SecRule ARGS:a \"@eq 1\" \"id:1,phase:1,deny,nolog\"", "", false),
        ("SecRule ARGS:a \"@eq 1\" \"id:1,phase:1,allow,nolog\"", "", false),
        ("SecRule ARGS:a \"@eq 1\" \"id:1,phase:1,allow:phase,nolog\"", "", false),
    ] {
        let rules = format!("{before}\nSecAction \"id:2,phase:1,pass,nolog,setvar:tx.u=1\"\n{after}\n{seen}");
        assert_eq!(folded(&rules).contains(&2), is_folded, "{before}");
        assert_eq!(ids(&rules, get("/?a=1")).contains(&9), is_folded, "{before}");
        assert_eq!(ids(&rules, get("/?a=2")), [9], "{before}");
    }
}

#[test]
fn a_refusal_is_seen_by_the_rules_for_the_log_alone() {
    let rules = "SecRule ARGS:a \"@eq 1\" \"id:1,phase:1,deny,nolog\"\nSecAction \"id:2,phase:1,pass,nolog,setvar:tx.u=1\"\nSecRule ARGS:a|TX:u \"@eq 1\" \"id:3,phase:2,pass\"";
    assert!(folded(rules).contains(&2));
    assert_eq!(ids(rules, get("/?a=2")), [3]);
    // There may be no response.
    let rules =
        "SecAction \"id:1,phase:3,pass,nolog,setvar:tx.u=1\"\nSecRule TX:u \"@eq 1\" \"id:2,phase:5,pass\"";
    assert!(ids(rules, get("/")).is_empty());
}

#[test]
fn rules_that_another_one_skips_to_are_not_skipped_with_those_around_them() {
    let rules = "SecRule ARGS:a \"@eq 1\" \"id:1,phase:1,pass,nolog,skipAfter:IN\"\nSecAction \"id:2,phase:1,pass,nolog,skipAfter:END\"\nSecAction \"id:3,phase:1,pass\"\nSecMarker IN\nSecAction \"id:4,phase:1,pass\"\nSecMarker END";
    assert_eq!(ids(rules, get("/?a=1")), [4]);
    assert!(ids(rules, get("/?a=2")).is_empty());
}

#[test]
fn a_rule_that_skips_past_the_end_may_be_taken_out() {
    let rules = "SecRule ARGS:a \"@eq 1\" \"id:1,phase:1,pass,nolog,ctl:ruleRemoveById=2\"\nSecAction \"id:2,phase:1,pass,nolog,skip:9\"\nSecAction \"id:3,phase:1,pass,msg:'%{tx.0}'\"";
    assert_eq!(ids(rules, get("/?a=1")), [3]);
    assert!(ids(rules, get("/")).is_empty());
}

#[test]
fn collections_that_nobody_begins_are_told() {
    let notes = |rules: &str| {
        let report = compile(rules, options(Mode::Filtered)).unwrap().1;
        report.notes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let told = "no rule says which SESSION is meant (setsid): it stays empty";
    let used = "SecRule ARGS \"@rx x\" \"id:1,phase:2,pass,setvar:session.a=1\"";
    assert!(notes(used)[0].ends_with(told), "{:?}", notes(used));
    assert!(notes("SecRule SESSION:a \"@eq 1\" \"id:1,phase:2,pass\"")[0].ends_with(told));
    let begun = format!("{used}\nSecAction \"id:2,phase:1,pass,nolog,setsid:a\"");
    assert_eq!(notes(&begun), Vec::<String>::new());
}
