//! What is read, and what is told of it.

use super::{Fault, Loaded, Unsupported, load};
use crate::waf::ir::{Disruptive, Operator, Phase, Selector, Step, Variable};
use crate::waf::testing::Files;

fn read(text: &str) -> Loaded {
    load(&Files::default(), ("a.conf", text), Unsupported::Refuse)
        .unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn faults(text: &str) -> Vec<String> {
    let read = load(&Files::default(), ("a.conf", text), Unsupported::Refuse);
    read.unwrap_err().iter().map(ToString::to_string).collect()
}

fn included(files: &Files, path: &str) -> Result<Loaded, Vec<Fault>> {
    load(files, ("policy", &format!("Include {path}")), Unsupported::Refuse)
}

fn rules(loaded: &Loaded) -> Vec<&crate::waf::ir::Rule> {
    let steps = loaded.program.steps.iter();
    steps.filter_map(|step| if let Step::Rule(rule) = step { Some(&**rule) } else { None }).collect()
}

#[test]
fn reads_a_rule_as_the_core_rule_set_writes_it() {
    let loaded = read(
        "SecRule REQUEST_COOKIES|!REQUEST_COOKIES:/__utm/|ARGS_NAMES|XML:/* \"@rx (?i)\\bunion\\b\" \\\n    \"id:942001,\\\n    phase:2,\\\n    deny,\\\n    capture,\\\n    t:none,t:urlDecodeUni,\\\n    msg:'It\\'s SQL, with a comma',\\\n    tag:'attack-sqli',\\\n    severity:'CRITICAL',\\\n    setvar:'tx.score=+%{tx.critical_anomaly_score}'\"",
    );
    let rule = rules(&loaded)[0];
    let meta = &rule.meta;
    assert_eq!((meta.id, meta.phase, &meta.disruptive), (942_001, Phase::RequestBody, &Disruptive::Deny));
    assert_eq!(&*meta.tags[0], "attack-sqli");
    let link = &rule.links[0];
    assert!(
        link.capture
            && matches!(&link.operator, Operator::Regex(pattern) if &*pattern.text == b"(?i)\\bunion\\b")
    );
    let variables: Vec<_> = link.targets.iter().map(|target| (target.variable, target.excluded)).collect();
    let cookies = Variable::RequestCookies;
    let expected = [(cookies, false), (cookies, true), (Variable::ArgsNames, false), (Variable::Xml, false)];
    assert_eq!(variables, expected);
    assert!(matches!(link.targets[1].selector, Selector::Pattern(_)));
}

#[test]
fn tells_all_that_is_wrong_at_once_with_its_line() {
    let text = "SecRule ARGS \"@nothing x\" \"id:1\"\nSecRule NOTHING \"@rx x\" \"id:2\"\nSecRule ARGS \"@rx x\" \"id:3,nothing\"\nSecNothing On\nSecRule ARGS \"@rx x\" \"phase:1\"\nSecRule ARGS \"@rx x\" \"id:4,t:nothing\"\nSecRule ARGS \"@rbl example.org\" \"id:5\"\nSecRule ARGS \"@rx x\" \"id:6,exec:/bin/x\"";
    assert_eq!(
        faults(text),
        [
            "a.conf:1: no operator is called @nothing",
            "a.conf:2: no variable is called \"NOTHING\"",
            "a.conf:3: no action is called \"nothing\"",
            "a.conf:4: no directive SecNothing with 1 arguments is known",
            "a.conf:5: the rule has no id",
            "a.conf:6: no transformation is called \"nothing\"",
            "a.conf:7: rule 5: @rbl asks a name server about each request",
            "a.conf:8: the action exec is not done here: no program is run for a request; the audit tells what matched",
        ]
    );
}

#[test]
fn leaves_out_a_whole_chain_and_says_so() {
    let text = "SecRule ARGS \"@rx x\" \"id:1,phase:1,pass,chain\"\nSecRule REMOTE_ADDR \"@rbl example.org\"\nSecAction \"id:2,phase:1,pass\"";
    let loaded = load(&Files::default(), ("a.conf", text), Unsupported::LeaveOut).unwrap();
    assert_eq!(rules(&loaded).iter().map(|rule| rule.meta.id).collect::<Vec<_>>(), [2]);
    assert!(loaded.notes[0].to_string().starts_with("a.conf:2: left out: rule 1: @rbl"));
}

#[test]
fn a_fault_in_a_chain_does_not_swallow_the_rule_after_it() {
    let text = "SecRule ARGS \"@rx x\" \"id:1,phase:1,pass,nothing,chain\"\nSecRule ARGS \"@rx y\" \"\"\nSecRule ARGS \"@rx z\" \"phase:1\"";
    assert_eq!(faults(text), ["a.conf:1: no action is called \"nothing\"", "a.conf:3: the rule has no id"]);
}

#[test]
fn a_chain_must_go_on() {
    assert_eq!(faults("SecRule ARGS \"@rx x\" \"id:1,chain\""), ["a.conf:1: the chain has no next rule"]);
}

#[test]
fn includes_files_and_reads_data_beside_them() {
    let files = Files(
        [
            ("crs/main.conf", "Include rules/*.conf"),
            ("crs/rules/one.conf", "SecRule ARGS \"@pmFromFile words.data\" \"id:1\""),
            ("crs/rules/two.conf", "SecRule ARGS \"@pmFromFile none.data\" \"id:2\""),
            ("crs/rules/words.data", "# comment\nalpha\n\n beta \n"),
        ]
        .into(),
    );
    let faults = included(&files, "crs/main.conf").unwrap_err();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].to_string().starts_with("crs/rules/two.conf:1: cannot read crs/rules/none.data"));
    let loaded = included(&files, "crs/rules/one.conf").unwrap();
    let Operator::Phrases(phrases) = &rules(&loaded)[0].links[0].operator else { panic!() };
    assert_eq!(phrases.iter().map(|phrase| &**phrase).collect::<Vec<_>>(), [&b"alpha"[..], b"beta"]);
}

#[test]
fn files_that_include_themselves_are_told() {
    let files = Files([("a.conf", "Include a.conf")].into());
    let faults = included(&files, "a.conf").unwrap_err();
    assert!(faults[0].what.contains("include each other"), "{faults:?}");
}

#[test]
fn inherits_from_the_default_action_unless_told_otherwise() {
    let loaded = read(
        "SecDefaultAction \"phase:2,nolog,deny,status:406,t:lowercase\"\nSecRule ARGS \"@rx x\" \"id:1,phase:2,block,log\"\nSecRule ARGS \"@rx x\" \"id:2,phase:2,t:none,pass\"\nSecRule ARGS \"@rx x\" \"id:3,phase:1,block\"",
    );
    let rules = rules(&loaded);
    let of = |at: usize| {
        let meta = &rules[at].meta;
        (&meta.disruptive, meta.status, meta.log, rules[at].links[0].transformations.len())
    };
    assert_eq!(of(0), (&Disruptive::Deny, 406, true, 1));
    assert_eq!(of(1), (&Disruptive::Pass, 406, false, 0));
    assert_eq!(of(2), (&Disruptive::Pass, 403, true, 0));
}

#[test]
fn settings_are_read() {
    let loaded = read(
        "SecRuleEngine DetectionOnly\nSecRequestBodyLimit 1000\nSecRequestBodyLimitAction ProcessPartial\nSecResponseBodyMimeType text/plain application/JSON\nSecArgumentSeparator ;\nSecComponentSignature \"OWASP_CRS/4\"\nSecTmpDir /tmp",
    );
    let settings = &loaded.program.settings;
    assert_eq!(settings.request_body_bytes, Some(1_000));
    assert!(settings.request_body_partial);
    assert_eq!(
        settings.response_types.iter().map(|kind| &**kind).collect::<Vec<_>>(),
        ["text/plain", "application/json"]
    );
    assert_eq!(settings.argument_separator, b';');
    assert_eq!(
        faults("SecRuleEngine Maybe"),
        ["a.conf:1: expected On, Off or DetectionOnly, found \"Maybe\""]
    );
    assert_eq!(loaded.notes[0].to_string(), "a.conf:1: SecRuleEngine DetectionOnly: nothing is refused");
    assert!(read("SecRuleEngine DetectionOnly\nSecRuleEngine On").notes.is_empty());
}

#[test]
fn what_would_change_decisions_and_is_not_done_is_an_error() {
    for (directive, what) in [
        (
            "SecConnReadStateLimit 50",
            "SecConnReadStateLimit is not done here: connections are limited by the policy's `server` and `listeners`",
        ),
        (
            "SecConnEngine On",
            "SecConnEngine is not done here: connections are limited by the policy's `server` and `listeners`",
        ),
        (
            "SecStreamInBodyInspection On",
            "SecStreamInBodyInspection is not done here: REQUEST_BODY is the whole body",
        ),
        ("SecXmlExternalEntity On", "SecXmlExternalEntity is not done here: entities are never fetched"),
        ("SecGeoLookupDb GeoLite.dat", "SecGeoLookupDb is not done here: there is no database of addresses"),
        (
            "SecRuleScript a.lua \"id:1\"",
            "SecRuleScript is not done here: Lua is not run, write it as SecRule",
        ),
        ("SecHashEngine On", "SecHashEngine is not done here: links in responses are not signed"),
        ("SecCookieFormat 1", "cookies are read as browsers send them (0)"),
        ("SecUnicodeMapFile unicode.mapping 1252", "of code pages 20127 is known, not 1252"),
        ("SecRule REMOTE_ADDR \"@geoLookup\" \"id:1\"", "rule 1: @geoLookup wants a database of addresses"),
        ("SecAction \"id:1,expirevar:tx.a=60\"", "TX is over with the request: nothing in it expires"),
        ("SecAction \"id:1,sanitiseArg\"", "sanitisearg: expected a name"),
        ("SecAction \"id:1,sanitiseAll\"", "no action is called \"sanitiseall\""),
        ("SecDefaultAction \"phase:1,deny,id:1\"", "a default action has no id, chain or skip"),
        (
            "SecDefaultAction \"phase:1,log\"",
            "the default action must say what becomes of the request, such as pass or deny",
        ),
        ("SecAction \"id:1,setvar:'tx.a=%{tx.b'\"", "%{ is not closed"),
        ("SecRule ARGS \"@streq %{tx.b\" \"id:1\"", "%{ is not closed"),
        ("SecAction \"id:0\"", "an id is greater than 0"),
        ("SecAction \"id:1,setenv:=a\"", "expected setenv:name=value"),
        ("SecAction \"id:1,deprecatevar:tx.a=1/2\"", "TX is over with the request: nothing in it expires"),
        ("SecAction \"id:1,deprecatevar:ip.a=1/0\"", "expected a number for the seconds, found \"0\""),
        ("SecRule ARGS \"@validateByteRange 9-1\" \"id:1\"", "a range of bytes goes up, unlike \"9-1\""),
        ("SecRule PERF_RULES \"@rx a\" \"id:1\"", "rule 1: the variable PERF_RULES is not done here"),
        ("SecRule FILES_TMPNAMES \"@rx a\" \"id:1\"", "rule 1: the variable FILES_TMPNAMES is not done here"),
        ("SecHashKey a", "SecHashKey is not done here: links in responses are not signed"),
        ("SecContentInjection On", "SecContentInjection is not done here: nothing is written into bodies"),
        (
            "SecRuleUpdateActionById 1 \"phase:1\"",
            "what a rule is called, when it runs and what it chains cannot be changed",
        ),
        (
            "SecResponseBodyMimeType text/html text/event-stream",
            "responses of the type text/event-stream are sent as they come: none is examined",
        ),
        ("SecXmlExternalEntity Of", "SecXmlExternalEntity is not done here: entities are never fetched"),
    ] {
        assert_eq!(faults(directive), [format!("a.conf:1: {what}")]);
    }
    read(
        "SecContentInjection Off\nSecParseXmlIntoArgs Off\nSecRule MULTIPART_SEMICOLON_MISSING|MSC_PCRE_ERROR \"@eq 1\" \"id:1\"",
    );
    read("SecConnEngine Off\nSecXmlExternalEntity Off\nSecHashEngine Off\nSecCookieFormat 0");
    read("SecUnicodeMapFile unicode.mapping 20127\nSecUnicodeMapFile unicode.mapping\nSecStatusEngine On");
}

#[test]
fn a_pattern_of_rules_that_cannot_be_read_is_told_where_it_stands() {
    for directive in [
        "SecRuleRemoveByTag \"(\"",
        "SecRuleRemoveByMsg \"(\"",
        "SecRuleUpdateTargetByTag \"(\" \"!ARGS:a\"",
        "SecRuleUpdateTargetByMsg \"(\" \"!ARGS:a\"",
        "SecAction \"id:1,ctl:ruleRemoveByTag=(\"",
        "SecAction \"id:1,ctl:ruleRemoveTargetByMsg=(;ARGS:a\"",
    ] {
        let faults = faults(directive);
        assert!(faults[0].starts_with("a.conf:1: the pattern \"(\": "), "{faults:?}");
    }
}

#[test]
fn types_of_responses_add_up_after_the_first() {
    let types = |text: &str| read(text).program.settings.response_types.join(" ");
    assert_eq!(types("SecResponseBodyMimeType a/a\nSecResponseBodyMimeType b/b c/c"), "a/a b/b c/c");
    assert_eq!(types("SecResponseBodyMimeTypesClear\nSecResponseBodyMimeType b/b"), "b/b");
    assert_eq!(types("SecResponseBodyMimeTypesClear"), "");
    assert_eq!(types(""), "text/plain text/html text/xml");
}

#[test]
fn what_may_be_missing_is_included_if_it_is_there() {
    let files = Files(
        [("a.conf", "IncludeOptional b*.conf\nIncludeOptional c.conf"), ("b1.conf", "SecAction \"id:1\"")]
            .into(),
    );
    let loaded = included(&files, "a.conf").unwrap();
    assert_eq!(rules(&loaded).len(), 1);
}

#[test]
fn says_what_to_do_about_what_people_write() {
    for (directive, what) in [
        ("<IfModule mod_security2.c>", "sections such as <IfModule> and <Location> are a web server's"),
        (
            "SecRule ARGS \"x\" \"id:1\" \\ ",
            "a backslash goes on to the next line only as the last character",
        ),
        ("SecRule ARGS x id:1, deny", "expected SecRule TARGETS \"TEST\" \"ACTIONS\", found 4 arguments"),
        ("SecAction", "expected SecAction \"ACTIONS\", found 0 arguments"),
        ("SecRuleUpdateTargetById 1 ARGS:a ARGS:b", "targets in the place of others: write \"!OLD|NEW\""),
        ("SecRuleRemoveById 9-1", "a range of ids goes up, unlike \"9-1\""),
        ("SecRule ARG \"x\" \"id:1\"", "no variable is called \"ARG\", did you mean \"ARGS\"?"),
        (
            "SecAction \"id:1,t:lowrcase\"",
            "no transformation is called \"lowrcase\", did you mean \"lowercase\"?",
        ),
        ("SecRule ARGS \"@pmFromFile https://a/b\" \"id:1\"", "https://a/b: nothing is fetched"),
        ("SecAction \"id:1,deny:404\"", "deny takes no value, found deny:404"),
        ("SecAction \"id:1,msg\"", "msg wants a value: msg:…"),
        ("SecAction \"id:1,redirect:\"", "redirect wants a URL"),
        ("SecAction \"id:1,setvar:tx.=1\"", "expected a variable such as tx.name, found \"tx.\""),
        (
            "SecAction \"id:1,ctl:requestBodyProcessor=JSN\"",
            "expected JSON, XML, URLENCODED or MULTIPART, found \"JSN\"",
        ),
    ] {
        let faults = faults(directive);
        assert!(faults[0].starts_with(&format!("a.conf:1: {what}")), "{faults:?}");
    }
    read("SecAction \"id:1,allow,ctl:requestBodyProcessor=json\"");
}

#[test]
fn a_comma_parts_targets_too() {
    let loaded = read("SecRule ARGS:a,!ARGS:/b,c/,XML:/*,ARGS:'d,e' \"@rx x\" \"id:1\"");
    let targets = &rules(&loaded)[0].links[0].targets;
    let named = |name: &str| Selector::Name(name.as_bytes().into());
    assert_eq!(targets.iter().map(|target| target.excluded).collect::<Vec<_>>(), [false, true, false, false]);
    assert_eq!((&targets[0].selector, &targets[3].selector), (&named("a"), &named("d,e")));
    assert!(matches!(targets[1].selector, Selector::Pattern(_)) && targets[2].variable == Variable::Xml);
}

#[test]
fn an_apostrophe_in_a_value_without_quotes_is_one() {
    let loaded = read("SecRule ARGS \"@rx x\" \"id:1,msg:It's,tag:it's,setvar:tx.a='b, c',logdata:'d, e'\"");
    let meta = &rules(&loaded)[0].meta;
    assert_eq!((meta.message.as_text(), meta.data.as_text()), (Some(&b"It's"[..]), Some(&b"d, e"[..])));
    assert_eq!(&*meta.tags[0], "it's");
}

#[test]
fn the_default_actions_status_is_for_its_own_way_to_refuse() {
    let loaded = read(
        "SecDefaultAction \"phase:2,deny,status:410\"\nSecAction \"id:1,redirect:/a\"\nSecAction \"id:2\"\nSecAction \"id:3,status:307,redirect:/a\"\nSecAction \"id:4\"\nSecRuleUpdateActionById 4 redirect:/b\nSecRuleUpdateActionById 4:1 deny",
    );
    let answers: Vec<_> = rules(&loaded).iter().map(|rule| rule.meta.status).collect();
    assert_eq!(answers, [302, 410, 307, 302]);
    assert_eq!(loaded.notes[0].to_string(), "a.conf:7: no rule is meant by this");
}
