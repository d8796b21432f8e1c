use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::waf::ir::{Action, Step, Variable};
use crate::waf::testing::{Files, Request, get, load, options, post};
use crate::waf::{Engine, Mode, Transaction, Verdict};

const HEAD: &str = "pack: t\ndefaults: { severity: critical }\nrules:\n";
const NONE: [u64; 0] = [];

fn program(text: &'static str) -> Result<Program, String> {
    let files = Files(BTreeMap::from([("d/t.yaml", text), ("d/words.txt", "# words\nalpha\nbeta gamma\n")]));
    load(&files, "Include d/t.yaml").map_err(|faults| {
        faults.iter().map(|fault| format!("{fault}\n")).collect::<String>().replace("d/t.yaml:", "")
    })
}

fn engine(text: &'static str, mode: Mode) -> Arc<Engine> {
    let program = program(text).unwrap_or_else(|faults| panic!("{faults}"));
    Engine::compile(&program, options(mode)).unwrap_or_else(|errors| panic!("{errors:?}")).0
}

/// Runs the request with the prefilter and without.
fn run(text: &'static str, request: Request<'_>) -> (Transaction, Verdict) {
    let (plain, verdict) = request.run(&engine(text, Mode::Naive));
    let (filtered, other) = request.run(&engine(text, Mode::Filtered));
    let seen = |transaction: &Transaction| -> Vec<_> {
        transaction
            .matches()
            .iter()
            .map(|found| (found.rule, found.message.clone(), found.variable.clone()))
            .collect()
    };
    assert_eq!((seen(&plain), &verdict), (seen(&filtered), &other));
    (filtered, verdict)
}

/// The rules that matched and say so, but for those that refuse by score.
fn ids(text: &'static str, request: Request<'_>) -> Vec<u64> {
    let (transaction, _) = run(text, request);
    let told = transaction.matches().iter().map(|found| found.rule);
    told.filter(|id| !scoring::JUDGES.contains(id)).collect()
}

/// A pack with one rule, made of lines under `rules: [{ id: 1, … }]`.
fn rule(lines: &str) -> &'static str {
    let lines = lines.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!("{HEAD}  - id: 1\n    message: m\n{lines}").leak()
}

fn faults(text: &'static str) -> String {
    program(text).expect_err(text)
}

#[test]
fn the_example_is_right() {
    let source = include_str!("mod.rs");
    let example = source.split("```").nth(1).unwrap().trim_start_matches("yaml\n");
    let text: String = example
        .lines()
        .map(|line| format!("{}\n", line.trim_start_matches("//!").strip_prefix(' ').unwrap_or("")))
        .collect();
    let text: &'static str = text.leak();
    let (_, verdict) = run(text, get("/a?q=UNION%20ALL%20%20select"));
    assert_ne!(verdict, Verdict::Pass);
    assert_eq!(ids(text, get("/a?comment=union+select")), NONE);
    let json: &[_] = &[("content-type", "application/json")];
    let order = |count| format!(r#"{{"items":{{"count":{count}}}}}"#);
    let orders = |count: &'static str| Request { target: "/orders", ..post(json, order(count).leak()) };
    assert_eq!(ids(text, orders("101")), [9_600_002]);
    assert_eq!(ids(text, orders("100")), NONE);
}

#[test]
fn operators_hold_and_do_not() {
    for (test, holds, fails) in [
        ("matches: '^a+$'", "AAA", "ab"),
        ("matches: [x, '^b']", "Bc", "cb"),
        ("any_of: [fox, hen]", "a FOX", "a dog"),
        ("any_of: { file: words.txt }", "x Beta Gamma", "x beta"),
        ("contains: 'o f'", "tO Fro", "tofro"),
        ("word: or", "a OR b", "order"),
        ("equals: Yes", "yEs", "yes "),
        ("equals: 7", "007", "8"),
        ("one_of: [a.b, c]", "A.B", "axb"),
        ("within: a bc d", "bc", "be"),
        ("starts_with: Ab", "aBc", "cab"),
        ("ends_with: Ab", "caB", "abc"),
        ("above: 4", "5", "4"),
        ("at_least: 4", "4", "3"),
        ("below: 4", "3", "4"),
        ("at_most: 4", "4", "5"),
        ("from: [10.0.0.0/8, '::1']", "10.1.2.3", "11.0.0.1"),
        ("bytes_outside: 32-126", "\u{e9}", "e"),
        ("bad_utf8: true", "\u{fffd}", "e"),
        ("sql_injection: true", "1' or '1'='1", "1 or more"),
        ("xss: true", "<script>alert(1)</script>", "a < b"),
        ("card_number: '\\d{16}'", "4111111111111111", "4111111111111112"),
        ("not: { equals: a }", "b", "A"),
        ("equals: a\ncase: exact", "a", "A"),
        ("contains: a\ncase: exact", "ba", "BA"),
        ("matches: a\ncase: exact", "ba", "BA"),
        ("matches: '%{method}'", "my GET", "my POST"),
    ] {
        let text = rule(&format!("in: headers.x\n{test}"));
        let broken = |value: &str| test.starts_with("bad_utf8") && value.starts_with('\u{fffd}');
        for (value, expected) in [(holds, true), (fails, false)] {
            let bytes: &str = if broken(value) { "" } else { value };
            if broken(value) {
                continue;
            }
            let headers = [("x", bytes)];
            let request = Request { headers: &headers, ..get("/") };
            assert_eq!(ids(text, request) == [1], expected, "{test}: {value:?}");
        }
    }
}

#[test]
fn what_is_there_can_be_asked() {
    let with: &[_] = &[("x", "")];
    for (test, target, there) in [("exists: true", "headers.x", true), ("exists: false", "headers.x", false)]
    {
        let text = rule(&format!("in: {target}\n{test}"));
        assert_eq!(ids(text, Request { headers: with, ..get("/") }) == [1], there);
        assert_eq!(ids(text, get("/")) == [1], !there);
    }
    let text = rule("in: count(args)\nabove: 1");
    assert_eq!((ids(text, get("/?a=1&b=2")), ids(text, get("/?a=1"))), (vec![1], vec![]));
}

#[test]
fn values_are_transformed_before_they_are_tested() {
    let text = rule("in: args\ntransform: [url_decode, remove_whitespace]\nequals: ab");
    assert_eq!(ids(text, get("/?q=a%2520b")), [1]);
    assert_eq!(ids(text, get("/?q=a%252520b")), NONE);
    let text = rule("in: args\ntransform: [url_decode, url_decode]\nevery_step: true\nequals: a+b");
    assert_eq!(ids(text, get("/?q=a%252Bb")), [1]);
}

#[test]
fn a_chain_asks_for_all_and_unless_for_none() {
    let text = rule(
        "all:\n  - { in: method, equals: POST }\n  - { in: args.a, equals: x }\nunless:\n  - { in: headers.ok, exists: true }\n  - { in: args.b, equals: y }",
    );
    let form = ("content-type", "application/x-www-form-urlencoded");
    assert_eq!(ids(text, post(&[form], "a=x")), [1]);
    assert_eq!(ids(text, post(&[form], "a=z")), NONE);
    assert_eq!(ids(text, get("/?a=x")), NONE);
    assert_eq!(ids(text, post(&[form, ("ok", "1")], "a=x")), NONE);
    assert_eq!(ids(text, post(&[form], "a=x&b=z&b=y")), NONE);
    assert_eq!(ids(text, post(&[form], "a=x&b=z")), [1]);
}

#[test]
fn scores_add_up_to_a_refusal() {
    let text = "pack: t\nrules:\n  - { id: 1, message: m, in: query_args.a, equals: x, severity: warning }\n  - { id: 2, message: m, in: args.b, equals: x, score: 2 }\n  - { id: 3, message: m, in: query_args.c, equals: x, severity: critical }\n  - { id: 4, message: m, in: args.d, equals: x, severity: critical, action: pass }\n";
    let refused = |target| run(text, get(target)).0.interruption().map(|by| (by.rule, by.phase as u8));
    assert_eq!(refused("/?a=x"), None);
    assert_eq!(refused("/?b=x"), None);
    assert_eq!(refused("/?a=x&b=x"), Some((9_599_002, 2)));
    assert_eq!(refused("/?c=x"), Some((9_599_001, 1)), "a phase that has enough refuses at its end");
    assert_eq!(refused("/?d=x"), None, "only rules whose action is score count");
}

#[test]
fn a_rule_may_refuse_at_once() {
    let (_, verdict) = run(rule("in: path\nequals: /x\naction: deny\nstatus: 418"), get("/x"));
    assert_eq!(verdict, Verdict::Refuse(crate::waf::Disruption::Deny { status: 418 }));
    let (_, verdict) =
        run(rule("in: path\nequals: /x\naction: { redirect: 'https://a/%{path}' }"), get("/x"));
    let location = b"https://a//x".to_vec();
    assert_eq!(verdict, Verdict::Refuse(crate::waf::Disruption::Redirect { status: 302, location }));
    let all = format!(
        "{}  - {{ id: 2, message: m, in: path, matches: . }}\n",
        rule("in: path\nequals: /x\naction: allow")
    );
    assert_eq!(run(all.leak(), get("/x")).1, Verdict::Pass);
}

#[test]
fn paranoia_gates_rules() {
    let text = "pack: t\nrules:\n  - { id: 1, message: m, in: args, equals: x, severity: critical, paranoia: 2 }\n  - { id: 2, message: m, in: path, equals: /x, severity: critical, paranoia: 2 }\n  - { id: 3, message: m, in: args, equals: y, severity: notice }\n";
    let files = Files(BTreeMap::from([("t.yaml", text)]));
    let run = |detection: &str, blocking: &str| {
        let levels = format!(
            "SecAction \"id:9,phase:1,pass,nolog,setvar:tx.detection_paranoia_level={detection},setvar:tx.blocking_paranoia_level={blocking}\""
        );
        let program = load(&files, &format!("{levels}\nInclude t.yaml")).unwrap();
        let made = Engine::compile(&program, options(Mode::Filtered)).unwrap();
        let (transaction, verdict) = get("/?a=x&b=y").run(&made.0);
        let ids: Vec<_> = transaction.matches().iter().map(|found| found.rule).collect();
        (ids, verdict == Verdict::Pass, made.1.folded.contains(&1))
    };
    assert_eq!(run("1", "1"), (vec![3], true, true), "below its level a rule is not there");
    assert_eq!(run("2", "1"), (vec![1, 3], true, false), "it is told of, and counts nothing");
    assert_eq!(run("2", "2"), (vec![1, 3, 9_599_002], false, false));
}

#[test]
fn variables_are_set_and_asked() {
    let text = rule(
        "all: [{ in: args, starts_with: a, add: { tx.seen: 1 }, set: { tx.last: '%{args.q}' } }, { in: tx.seen, at_least: 2 }]\nphase: request_body\ndata: '%{tx.seen} %{tx.last}'",
    );
    let (found, _) = run(text, get("/?q=ab&r=ac"));
    assert_eq!(found.matches().iter().map(|found| found.data.as_str()).next(), Some("2 ab"));
    assert_eq!(ids(text, get("/?q=ab&r=b")), NONE);
}

#[test]
fn what_lasts_expires_and_becomes_less() {
    let text = rule(
        "always: true\nphase: request_body\ntrack: { ip: a }\nset: { ip.a: 1 }\nexpire: { ip.a: 60s }\ndecay: { ip.b: 5/60s }\nenv: { e: f }",
    );
    let loaded = program(text).unwrap();
    let rules =
        loaded.steps.iter().filter_map(|step| if let Step::Rule(rule) = step { Some(rule) } else { None });
    let mut actions = rules.flat_map(|rule| &rule.links).flat_map(|link| &link.actions);
    let decays = |action: &Action| matches!(action, Action::Decay(Variable::Ip, _, (5, seconds)) if seconds.get() == 60);
    assert!(actions.any(decays));
    for (action, what) in [
        ("expire: { tx.a: 60s }", "tx is over with the request: nothing in it expires"),
        ("decay: { tx.a: 5/60s }", "tx is over with the request: nothing in it expires"),
        ("decay: { ip.a: '5' }", "expected an amount and a time such as 5/60s"),
        ("decay: { ip.a: 5/0s }", "expected an amount and a time such as 5/60s"),
    ] {
        let found = faults(rule(&format!("always: true\nphase: request_body\n{action}")));
        assert!(found.contains(what), "{found}");
    }
    let rules = "  - { id: 1, always: true, phase: request_headers, env: { e: f, g: h } }\n  - { id: 2, always: true, phase: request_headers, unset: [env.e] }\n  - { id: 3, message: m, in: env, equals: [f, h], phase: request_body }\n";
    let text: &'static str =
        format!("pack: t\nrules:\n{rules}").replace("equals: [f, h]", "one_of: [f, h]").leak();
    let (found, _) = run(text, get("/"));
    assert_eq!(found.matches()[0].variable, "ENV:g");
}

#[test]
fn rules_take_others_out_for_a_request() {
    let rules = "  - { id: 1, in: path, equals: /a, control: { remove: [{ tag: x, target: args.q }, { rules: 3 }] } }\n  - { id: 2, message: m, in: args, equals: z, tags: x }\n  - { id: 3, message: m, in: args, equals: z }\n";
    let text: &'static str =
        format!("{HEAD}{rules}").replace("defaults: { severity: critical }\n", "").leak();
    assert_eq!(ids(text, get("/a?q=z")), NONE);
    assert_eq!(ids(text, get("/a?r=z")), [2]);
    assert_eq!(ids(text, get("/b?q=z")), [2, 3]);
}

#[test]
fn rules_skip_to_a_marker() {
    let rules = "  - { id: 1, in: path, equals: /a, skip_to: END }\n  - { id: 2, message: m, in: path, matches: . }\n  - marker: END\n  - { id: 3, message: m, in: path, matches: . }\n";
    let text: &'static str = format!("pack: t\nrules:\n{rules}").leak();
    assert_eq!((ids(text, get("/a")), ids(text, get("/b"))), (vec![3], vec![2, 3]));
}

#[test]
fn what_a_pack_would_do_without_a_word_is_told() {
    let faults = |rules: &'static str| {
        let text: &'static str =
            format!("pack: t\ndefaults: {{ severity: critical }}\nrules:\n{rules}").leak();
        let files = Files(BTreeMap::from([("t.yaml", text)]));
        match load(&files, "Include t.yaml") {
            Ok(_) => String::new(),
            Err(faults) => faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        }
    };
    let scored = "t.yaml:4:7: the rule adds the score of the pack's `defaults` and has no message";
    for rule in [
        "  - { id: 1, always: true, phase: request_headers, track: { ip: a } }",
        "  - { id: 1, in: args, contains: x }",
    ] {
        assert!(faults(rule).starts_with(scored), "{}", faults(rule));
    }
    for (rule, told) in [
        (
            "  - { id: 1, message: m, in: args, contains: x, status: 405 }",
            "4:7: `status` is for `action: deny`",
        ),
        (
            "  - { id: 1, in: args, contains: x, action: deny, score: 3 }",
            "4:7: `score` is for rules without an `action`",
        ),
        ("  - marker: a\n    id: 1", "4:5: a marker has a name and nothing else"),
        (
            "  - { id: 1, message: m, in: args./x, contains: x }",
            "4:30: a pattern of names ends with a slash, unlike \"args./x\"",
        ),
        (
            "  - { id: 1, message: m, in: args, contains: x, expire: { ip.a: 60 } }",
            "4:65: expected a time such as 60s, found 60",
        ),
        (
            "  - { id: 1, message: m, in: args, contains: x, decay: { ip.a: 5 } }",
            "4:64: expected an amount and a time such as 5/60s",
        ),
        ("  - { id: 1, message: '%{no', in: args, contains: x }", "4:23: %{ is not closed"),
    ] {
        let faults = faults(rule);
        assert!(faults.starts_with(&format!("t.yaml:{told}")) && faults.lines().count() == 1, "{faults}");
    }
    let skipped = "t.yaml:4:58: no rule of the phase request_headers, which this one is of, stands before the marker end";
    let to_body = "  - { id: 1, in: path, equals: x, action: pass, skip_to: end }\n  - { id: 2, message: m, in: args, equals: x }\n  - marker: end\n  - { id: 3, message: m, in: path, equals: x }";
    assert_eq!(faults(to_body), skipped);
    for rules in [
        "  - { id: 1, in: args, contains: x, action: pass }",
        "  - { id: 1, in: args, contains: x, log: false }",
        "  - { id: 1, in: args, contains: x, score: 3 }",
        "  - { id: 1, in: args, contains: x, phase: logging }",
        "  - { id: 1, in: path, equals: x, action: pass, skip_to: end }\n  - { id: 2, message: m, in: path, equals: x }\n  - marker: end",
    ] {
        assert_eq!(faults(rules), "", "{rules}");
    }
}

#[test]
fn packs_are_included_in_seclang_and_changed_by_it() {
    let pack = "pack: t\nrules:\n  - { id: 1, message: m, in: args, equals: x, severity: critical }\n";
    let run = |after: &str| {
        let files = Files(BTreeMap::from([("t.yaml", pack)]));
        let text = format!("Include t.yaml\n{after}\n");
        let program = load(&files, &text).unwrap();
        let engine = Engine::compile(&program, options(Mode::Filtered)).unwrap().0;
        get("/?a=x").run(&engine).1 == Verdict::Pass
    };
    assert!(!run(""));
    assert!(run("SecRuleRemoveById 1"));
    assert!(run("SecRuleUpdateTargetByTag ^pack/t$ !ARGS:a"));
    assert!(!run("SecRuleUpdateTargetById 1 !ARGS:b"));
    assert!(
        run(
            "SecAction \"id:9,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold=6\"\nSecRuleRemoveById 2"
        ),
        "the threshold is a variable"
    );
    let crs = "SecAction \"id:9,phase:2,pass,nolog,setvar:tx.blocking_inbound_anomaly_score=3\"\n";
    let files = Files(BTreeMap::from([(
        "t.yaml",
        "pack: t\nrules:\n  - { id: 1, message: m, in: args, equals: x, severity: notice }\n",
    )]));
    let verdict = |text: &str| {
        let program = load(&files, text).unwrap();
        get("/?a=x").run(&Engine::compile(&program, options(Mode::Filtered)).unwrap().0).1
    };
    assert_eq!(verdict("Include t.yaml"), Verdict::Pass);
    assert_ne!(
        verdict(&format!("{crs}Include t.yaml")),
        Verdict::Pass,
        "what the Core Rule Set found counts too"
    );
}

#[test]
fn mistakes_are_told_all_at_once_with_their_places() {
    let text = "pack: t\nids: 10-20\nrulse: []\ntargets: { a: [agrs] }\ntransforms: { b: [lowrcase] }\ndefaults: { severty: critical }\nrules:\n  - id: 9\n    mesage: x\n    in: [args, qury]\n    matches: 'a(b'\n  - id: 11\n    in: response.body\n    phase: request_body\n    sql_injection: true\n  - in: args\n    any_of: { list: nothing }\n  - { id: 12, in: args, equals: a, matches: b }\n  - { id: 13, in: args, severity: critcal, set: { tc.a: 1 }, above: x }\n  - { id: 14, always: true }\n  - { id: 15, matches: '{{x}}(?=a)' }\n  - id: 16\n    in: args\n    matches: [ok, 'b(?<=a+)']\n  - { id: 17, in: args, sql_injection: false }\n";
    let expected = r#"3:1: unknown key "rulse", did you mean "rules"?
4:16: there is nothing called "agrs", did you mean "args"?
5:19: no transformation is called "lowrcase", did you mean "lowercase"?
6:13: unknown key "severty", did you mean "severity"?
8:9: id 9 is not within the pack's ids, 10-20
9:5: unknown key "mesage", did you mean "message"?
10:16: there is nothing called "qury", did you mean "query"?
11:14: regex parse error:
    a(b
     ^
error: unclosed group, in "a(b"
14:12: what the rule looks at is not known before phase response_body
16:5: the rule has no id
17:21: no list is called "nothing"
18:36: a second test: `matches` goes into a list under `all`
19:35: expected one of emergency, alert, critical, error, warning, notice, info, debug; found "critcal", did you mean "critical"?
19:51: expected a variable such as tx.seen or ip.requests, found "tc.a", did you mean "tx"?
19:69: expected a number, or a value such as "%{tx.limit}", found "x"
20:7: when the rule runs does not follow from what it looks at: expected `phase`, one of request_headers, request_body, response_headers, response_body, logging
21:24: no pattern is called "x"
24:19: lookbehind of any length cannot be matched in linear time, in "b(?<=a+)"
25:40: expected true: leave the key out, or put it under `not`
"#;
    let found = faults(text);
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{found}");
}

#[test]
fn what_is_no_document_is_told() {
    for (text, expected) in [
        ("pack: t\nrules: [", "3:1: "),
        ("pack: t\npack: u\n", "2:1: duplicate key \"pack\""),
        ("[]", "expected keys with values, found a list"),
        ("pack: t", "1:1: expected `rules`"),
        ("pack: a b\nrules: [{ id: 1, in: path, equals: a }]", "1:1: expected `pack`, a name"),
        ("pack: t\nrules: []", "expected at least one"),
        (
            "pack: t\nversion: 1.0\nrules: [{ id: 1, in: path, equals: a }]",
            "2:10: expected text, found 1: write it in quotes",
        ),
        (
            "pack: t\nrules: [{ id: 9599001, in: path, equals: a }]",
            "ids from 9599000 are for the rules that refuse",
        ),
        ("pack: t\nrules: [{ id: 1, in: path, matches: '%{agrs}' }]", "did you mean \"args\""),
    ] {
        let found = faults(text);
        assert!(found.contains(expected), "{text}: {found}");
    }
}
