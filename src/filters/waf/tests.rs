use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::filters::Verdict;
use crate::filters::exchange::Sample;
use crate::filters::testing::{Ground, read_error};

const RULES: &str = r#"
SecRule REQUEST_URI "@contains ../" "id:1,phase:1,deny,log,msg:'up'"
SecRule ARGS "@rx (?i)union\s+select" "id:2,phase:2,deny,log,tag:'sql',msg:'sql'"
SecRule REQUEST_HEADERS:X-Teapot "@unconditionalMatch" "id:3,phase:1,deny,status:418"
SecRule RESPONSE_BODY "@contains secret" "id:4,phase:4,deny,log"
"#;

/// A directory with rules, and what surrounds filters.
struct Place {
    folder: PathBuf,
    ground: Ground,
}

impl Place {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("edgeward-waf-{}-{test}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("a.conf"), RULES).unwrap();
        Self { folder, ground: Ground::new() }
    }

    fn compile(&self, more: Value) -> Result<Box<dyn Filter>, String> {
        let mut spec = json!({ "rules": ["a.conf"], "max_time": "1m" });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let compiled = self.ground.try_compile::<Spec>(spec, &self.folder);
        compiled.map_err(|problem| problem.to_string().replace(self.folder.to_str().unwrap(), "DIR"))
    }

    fn filter(&self, more: Value) -> Box<dyn Filter> {
        self.compile(more).unwrap_or_else(|problem| panic!("{problem}"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

/// A place whose audit is kept, and what takes the lines that came since it was asked last.
fn audited(test: &str) -> (Place, impl Fn() -> Vec<Value>) {
    let mut place = Place::new(test);
    let kept = Arc::new(Audit::Kept(Mutex::default()));
    place.ground.waf.audit = Some(Arc::clone(&kept));
    let lines = move || {
        let Audit::Kept(lines) = &*kept else { unreachable!() };
        let lines = std::mem::take(&mut *lines.lock().unwrap());
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    (place, lines)
}

fn told(refusal: &Refusal) -> (u16, &'static str) {
    (refusal.status.as_u16(), refusal.reason)
}

/// What becomes of a request with this body.
fn sent(filter: &dyn Filter, sample: &mut Sample, pieces: &[&[u8]]) -> Result<(), (u16, &'static str)> {
    sample.facts.has_body = !pieces.is_empty();
    let mut exchange = sample.exchange();
    match filter.on_request(&mut exchange) {
        Step::Now(Verdict::Next) => {}
        Step::Now(Verdict::Refuse(refusal)) => return Err(told(&refusal)),
        _ => panic!("it waits or answers"),
    }
    for (at, piece) in pieces.iter().enumerate() {
        let end = at + 1 == pieces.len();
        let mut piece = Some(Bytes::copy_from_slice(piece));
        let result = filter.on_request_body(&mut exchange, &mut piece, end);
        let result = result.and_then(|()| exchange.job().map_or(Ok(()), |job| job()));
        result.map_err(|refusal| told(&refusal))?;
    }
    Ok(())
}

fn form(headers: &[(&'static str, &str)]) -> Sample {
    let kind = ("content-type", "application/x-www-form-urlencoded");
    Sample::new("POST", "/", &[&[kind], headers].concat())
}

fn zip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

const BLOCKED: Result<(), (u16, &str)> = Err((403, "waf_blocked"));

#[test]
fn without_rules_the_starter_pack_judges() {
    let place = Place::new("starter");
    for rules in [json!([]), json!(["starter"]), json!(["a.conf", "starter"])] {
        let filter = place.filter(json!({ "rules": rules }));
        assert_eq!(sent(&*filter, &mut Sample::get("/a?b=%3Cscript%3E", &[]), &[]), BLOCKED, "{rules}");
        assert_eq!(sent(&*filter, &mut Sample::get("/a?b=c", &[]), &[]), Ok(()));
    }
    let lenient = place.filter(json!({ "rules": [], "exclude": [{ "tag": "attack-xss" }] }));
    assert_eq!(sent(&*lenient, &mut Sample::get("/a?b=%3Cscript%3E", &[]), &[]), Ok(()));
    let strict = place.filter(json!({ "rules": [], "paranoia": 2 }));
    assert_eq!(sent(&*strict, &mut Sample::get("/a?b=%3Cb%3E", &[]), &[]), BLOCKED);
    let high = place.filter(json!({ "rules": [], "inbound_threshold": 500 }));
    assert_eq!(sent(&*high, &mut Sample::get("/a?b=%3Cscript%3E", &[]), &[]), Ok(()));
}

#[test]
fn a_pack_is_named_by_its_directory() {
    let place = Place::new("pack");
    fs::create_dir_all(place.folder.join("own")).unwrap();
    let text = "pack: own\nrules: [{ id: 1, in: query_args, contains: evil, action: deny, status: 418 }]\n";
    fs::write(place.folder.join("own/rules.yaml"), text).unwrap();
    let filter = place.filter(json!({ "rules": ["own"] }));
    assert_eq!(sent(&*filter, &mut Sample::get("/?a=Evil", &[]), &[]), Err((418, "waf_blocked")));
    assert_eq!(sent(&*filter, &mut Sample::get("/?a=good", &[]), &[]), Ok(()));
}

#[test]
fn heads_are_judged() {
    let place = Place::new("heads");
    let filter = place.filter(json!({}));
    assert_eq!(sent(&*filter, &mut Sample::get("/a?b=union", &[]), &[]), Ok(()));
    assert_eq!(sent(&*filter, &mut Sample::get("/a?b=union+select", &[]), &[]), BLOCKED);
    assert_eq!(sent(&*filter, &mut Sample::get("/", &[("x-teapot", "1")]), &[]), Err((418, "waf_blocked")));
    let mut climbing = Sample::get("/a", &[]);
    climbing.facts.sent_target = Some("/b/../a".into());
    assert_eq!(sent(&*filter, &mut climbing, &[]), BLOCKED, "it is what the client wrote that counts");
}

#[test]
fn bodies_are_judged_as_a_whole() {
    let place = Place::new("bodies");
    let filter = place.filter(json!({}));
    let mut good = form(&[]);
    assert_eq!(sent(&*filter, &mut good, &[b"a=union", b"&b=select"]), Ok(()));
    assert_eq!(good.slots.hold(), Hold { first: 128 << 10, last: false });
    assert_eq!(sent(&*filter, &mut form(&[]), &[b"a=union+", b"select"]), BLOCKED);
}

#[test]
fn files_may_be_larger_than_what_is_read() {
    let place = Place::new("uploads");
    let text = |size: usize| format!("a={}", "x".repeat(size));
    let file = |size: usize| {
        let begin = "--b\r\nContent-Disposition: form-data; name=a; filename=b.jpg\r\nContent-Type: image/jpeg\r\n\r\n";
        format!("{begin}{}\r\n--b--\r\n", "x".repeat(size))
    };
    let upload = || Sample::new("POST", "/", &[("content-type", "multipart/form-data; boundary=b")]);
    let long = Err((413, "waf_body_too_large"));
    for (own, [of_text, of_file]) in
        [(json!({}), [128 << 10, 1 << 20]), (json!({ "max_body": "2KiB" }), [2 << 10, 2 << 10])]
    {
        let filter = place.filter(own);
        for (size, expected) in [(of_text - 2, Ok(())), (of_text - 1, long)] {
            assert_eq!(sent(&*filter, &mut form(&[]), &[text(size).as_bytes()]), expected);
        }
        for (size, expected) in [(of_file - 200, Ok(())), (of_file, long)] {
            assert_eq!(sent(&*filter, &mut upload(), &[file(size).as_bytes()]), expected);
        }
    }
}

#[test]
fn a_compressed_body_is_judged_by_what_is_in_it() {
    let place = Place::new("compressed");
    let filter = place.filter(json!({ "max_body": "1KiB" }));
    let gzip = [("content-encoding", "gzip")];
    assert_eq!(sent(&*filter, &mut form(&gzip), &[&zip(b"a=union+select")]), BLOCKED);
    assert_eq!(sent(&*filter, &mut form(&gzip), &[&zip(b"a=union")]), Ok(()));
    let long = Err((413, "waf_body_too_large"));
    assert_eq!(sent(&*filter, &mut form(&gzip), &[&zip(&[b'a'; 2000])]), long);
    let wrong = Err((415, "waf_body_encoding"));
    assert_eq!(sent(&*filter, &mut form(&gzip), &[b"a=b"]), wrong);
    assert_eq!(sent(&*filter, &mut form(&[("content-encoding", "rot13")]), &[b"a=b"]), wrong);
}

#[test]
fn rules_are_told_of_no_coding_that_was_undone_and_of_no_client_that_waits() {
    let place = Place::new("told");
    let rules = "SecRule REQUEST_HEADERS_NAMES \"@within content-encoding expect\" \"id:1,phase:1,deny\"\n";
    fs::write(place.folder.join("a.conf"), rules).unwrap();
    let filter = place.filter(json!({ "over_limit": "skip", "max_body": "9B" }));
    for (headers, pieces, expected) in [
        (&[("content-encoding", "identity")][..], &[&b"a=b"[..]][..], Ok(())),
        (&[("content-encoding", "identity")], &[], BLOCKED),
        (&[("content-encoding", "rot13")], &[b"a=b"], BLOCKED),
        (&[("expect", "100-Continue")], &[b"a=b"], Ok(())),
        (&[("expect", "100-continue"), ("content-length", "10")], &[b"0123456789"], Ok(())),
        (&[("expect", "100-continue")], &[], BLOCKED),
        (&[("expect", "a-miracle")], &[b"a=b"], BLOCKED),
    ] {
        assert_eq!(sent(&*filter, &mut form(headers), pieces), expected, "{headers:?}");
    }
}

#[test]
fn what_goes_on_in_part_is_not_broken_where_it_was_cut() {
    let place = Place::new("cut");
    let rules = format!("{RULES}SecRule REQBODY_ERROR \"!@eq 0\" \"id:9,phase:2,deny\"\n");
    fs::write(place.folder.join("a.conf"), rules).unwrap();
    let filter = place.filter(json!({ "over_limit": "inspect_prefix", "max_body": "64B" }));
    let upload = || Sample::new("POST", "/", &[("content-type", "multipart/form-data; boundary=b")]);
    let part = |text: &str| format!("--b\r\nContent-Disposition: form-data; name=a\r\n\r\n{text}");
    for (text, expected) in [(&"x".repeat(99), Ok(())), (&format!("union select{}", "x".repeat(99)), BLOCKED)]
    {
        let body = part(text);
        assert_eq!(sent(&*filter, &mut upload(), &[body.as_bytes()]), expected);
        assert_eq!(
            sent(&*filter, &mut upload(), &[&body.as_bytes()[..60], &body.as_bytes()[60..]]),
            expected
        );
    }
    assert_eq!(
        sent(&*filter, &mut upload(), &[part("x").as_bytes()]),
        BLOCKED,
        "it is whole, and has no end"
    );
}

#[test]
fn conversations_by_grpc_are_not_waited_for() {
    let place = Place::new("grpc");
    let filter = place.filter(json!({}));
    for (to_grpc, kind, expected) in [
        (true, "application/grpc", Ok(())),
        (true, "application/grpc+proto", Ok(())),
        (true, "application/grpcs", BLOCKED),
        (true, "application/json", BLOCKED),
        (false, "application/grpc", BLOCKED),
    ] {
        let mut sample = Sample::new("POST", "/", &[("content-type", kind)]);
        sample.facts.to_grpc = to_grpc;
        assert_eq!(sent(&*filter, &mut sample, &[b"[\"union select\"]"]), expected, "{to_grpc} {kind}");
        assert_eq!(sample.slots.hold() == Hold::default(), expected.is_ok(), "{to_grpc} {kind}");
    }
}

#[test]
fn a_large_body_is_judged_aside() {
    let place = Place::new("large");
    let filter = place.filter(json!({}));
    let large = [&b"b="[..], &[b'x'; LARGE_BYTES], &b"&a=union+select"[..]].concat();
    for (body, is_aside) in [(&b"a=union"[..], false), (&large, true)] {
        let mut sample = form(&[]);
        sample.facts.has_body = true;
        let mut exchange = sample.exchange();
        assert!(matches!(filter.on_request(&mut exchange), Step::Now(Verdict::Next)));
        let mut piece = Some(Bytes::copy_from_slice(body));
        filter.on_request_body(&mut exchange, &mut piece, true).unwrap();
        let job = exchange.job();
        assert_eq!(job.is_some(), is_aside);
        if let Some(job) = job {
            assert_eq!(job().map_err(|refusal| told(&refusal)), BLOCKED);
        }
    }
}

#[test]
fn of_a_sample_nobody_knows_who_is_in_it() {
    let place = Place::new("sample");
    let filter = place.filter(json!({ "sample": 50 }));
    let refused =
        (0..200).filter(|_| sent(&*filter, &mut Sample::get("/?a=union+select", &[]), &[]).is_err());
    assert!((1..200).contains(&refused.count()));
}

#[test]
fn what_rules_found_is_told_as_one_line() {
    let (place, lines) = audited("audit");
    let filter = place.filter(json!({}));
    assert_eq!(sent(&*filter, &mut Sample::get("/a?b=c", &[]), &[]), Ok(()));
    assert_eq!(sent(&*filter, &mut Sample::get("/a?b=1+union+select", &[]), &[]), BLOCKED);
    let lines = lines();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let of = |key: &str| line[key].as_str().unwrap_or_default();
    assert_eq!(
        (of("decision"), of("reason"), of("path"), of("route")),
        ("refused", "waf_blocked", "/a", "orders")
    );
    let rule = &line["rules"][0];
    assert_eq!((&rule["id"], &rule["phase"], &rule["variable"]), (&2.into(), &2.into(), &"ARGS:b".into()));
    assert_eq!(
        (&rule["message"], &rule["value"], &rule["tags"]),
        (&"sql".into(), &"1 union select".into(), &json!(["sql"]))
    );
}

#[test]
fn what_was_not_examined_to_its_end_is_told_each_time() {
    let mut place = Place::new("unexamined");
    let kept = Arc::new(Audit::Kept(Mutex::default()));
    place.ground.waf.audit = Some(Arc::clone(&kept));
    let filter = place.filter(json!({ "over_limit": "inspect_prefix", "max_body": "16KiB" }));
    let many = "a=&".repeat(5_000);
    let first = format!("a=union+select&{many}");
    assert_eq!(sent(&*filter, &mut form(&[]), &[first.as_bytes()]), BLOCKED);
    for body in [&many[..], &"a".repeat(17 << 10), &"a".repeat(17 << 10), "a"] {
        assert_eq!(sent(&*filter, &mut form(&[]), &[body.as_bytes()]), Ok(()));
    }
    let Audit::Kept(lines) = &*kept else { unreachable!() };
    let lines = lines.lock().unwrap();
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> =
        lines.iter().map(|line| (line["decision"].as_str().unwrap(), &line["unexamined"])).collect();
    let (values, long) = (
        json!(["too many values, or values that are nested too deeply"]),
        json!(["a body that is longer than is examined"]),
    );
    assert_eq!(told, [("refused", &Value::Null), ("passed", &values), ("passed", &long), ("passed", &long)]);
}

#[test]
fn cookies_that_came_apart_are_judged_as_the_one_line_that_goes_on() {
    let place = Place::new("cookies");
    let rules = "SecRule REQUEST_COOKIES:a \"@streq x; b='\" \"id:1,phase:1,deny\"\n";
    fs::write(place.folder.join("a.conf"), rules).unwrap();
    let filter = place.filter(json!({}));
    let apart = [("cookie", "a=\"x"), ("cookie", r#"b=\047""#)];
    assert_eq!(sent(&*filter, &mut Sample::get("/", &apart), &[]), BLOCKED);
    assert_eq!(sent(&*filter, &mut Sample::get("/", &apart[1..]), &[]), Ok(()));
}

#[test]
fn rules_say_what_the_audit_shows() {
    let (place, lines) = audited("audit-by-rules");
    let rules = r#"
SecRule ARGS:a "@streq x" "id:10,phase:1,pass,log,noauditlog"
SecRule ARGS:b "@streq x" "id:11,phase:1,pass,nolog,auditlog"
SecRule ARGS:c "@streq off" "id:12,phase:1,pass,log,ctl:auditEngine=Off"
SecRule ARGS:c "@streq on" "id:13,phase:1,pass,nolog,ctl:auditEngine=On"
"#;
    fs::write(place.folder.join("a.conf"), rules).unwrap();
    let filter = place.filter(json!({}));
    for (target, expected) in [
        ("/?a=x", None),
        ("/?b=x", Some(vec![11])),
        ("/?a=x&b=x", Some(vec![11])),
        ("/?b=x&c=off", None),
        ("/?c=on", Some(vec![])),
    ] {
        assert_eq!(sent(&*filter, &mut Sample::get(target, &[]), &[]), Ok(()));
        let ids = lines().pop().map(|line| {
            let rules = line["rules"].as_array().unwrap().iter();
            rules.map(|rule| rule["id"].as_u64().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(ids, expected, "{target}");
    }
}

#[test]
fn the_policy_says_what_becomes_of_long_bodies() {
    let place = Place::new("long");
    let bad = [&b"a=union+select&b="[..], &[b'x'; 100]].concat();
    let late = [&[b'a'; 100], &b"=b&c=union+select"[..]].concat();
    for (over_limit, of_bad, of_late) in [
        ("reject", Err((413, "waf_body_too_large")), Err((413, "waf_body_too_large"))),
        ("inspect_prefix", BLOCKED, Ok(())),
        ("skip", Ok(()), Ok(())),
    ] {
        let filter = place.filter(json!({ "max_body": "64B", "over_limit": over_limit }));
        let declared = bad.len().to_string();
        for headers in [&[][..], &[("content-length", declared.as_str())]] {
            assert_eq!(sent(&*filter, &mut form(headers), &[&bad[..50], &bad[50..]]), of_bad, "{over_limit}");
            assert_eq!(sent(&*filter, &mut form(headers), &[&late]), of_late, "{over_limit}");
        }
        let mut query = Sample::new("POST", "/?a=union+select", &[]);
        assert!(sent(&*filter, &mut query, &[&late]).is_err(), "the query is looked at all the same");
    }
}

#[test]
fn the_log_is_told_which_rules_and_no_values() {
    let place = Place::new("why");
    let filter = place.filter(json!({}));
    let mut sample = Sample::get("/?a=union+select+password", &[]);
    let mut exchange = sample.exchange();
    let Step::Now(Verdict::Refuse(refusal)) = filter.on_request(&mut exchange) else { panic!("it passed") };
    assert_eq!(refusal.why.as_deref(), Some("2 ARGS:a"));
    let shown = String::from_utf8(place.ground.metrics.encode()).unwrap();
    assert!(shown.contains("edgeward_waf_matches_total{rule=\"2\"} 1"), "{shown}");
}

#[test]
fn a_rule_may_send_elsewhere_or_close() {
    let place = Place::new("elsewhere");
    let rules = r#"
SecRule ARGS:a "@streq x" "id:10,phase:1,redirect:'https://a.example/%{ARGS.to}',status:307"
SecRule ARGS:b "@streq x" "id:11,phase:1,drop"
"#;
    fs::write(place.folder.join("a.conf"), rules).unwrap();
    let filter = place.filter(json!({}));
    let refusal = |target: &str| {
        let mut sample = Sample::get(target, &[]);
        let mut exchange = sample.exchange();
        let Step::Now(Verdict::Refuse(refusal)) = filter.on_request(&mut exchange) else {
            panic!("{target}")
        };
        let headers =
            refusal.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        (refusal.status.as_u16(), headers.collect::<Vec<_>>().join("\n"), refusal.closes)
    };
    assert_eq!(refusal("/?a=x&to=b"), (307, "location: https://a.example/b".to_owned(), false));
    assert_eq!(refusal("/?a=x&to=b%0d%0ac:d"), (403, String::new(), false));
    assert_eq!(refusal("/?b=x"), (403, String::new(), true));
}

#[test]
fn exclusions_are_exact() {
    let place = Place::new("exclusions");
    let (a, b) = ("/?a=union+select", "/?b=union+select");
    for (exclude, of_a, of_b) in [
        (json!([{ "id": 2 }]), Ok(()), Ok(())),
        (json!([{ "tag": "sql" }]), Ok(()), Ok(())),
        (json!([{ "tag": "sq" }]), BLOCKED, BLOCKED),
        (json!([{ "id": 2, "target": "ARGS:a" }]), Ok(()), BLOCKED),
        (json!([{ "tag": "sql", "target": "ARGS:a" }]), Ok(()), BLOCKED),
        (json!([{ "id": 2, "target": "ARGS:/^[ax]$/" }]), Ok(()), BLOCKED),
        (json!([{ "id": 2, "target": r"ARGS:/^\w$|,/" }]), Ok(()), Ok(())),
        (json!([{ "id": 2, "target": r"ARGS:/^\d$/" }]), BLOCKED, BLOCKED),
        (json!([{ "id": 1 }]), BLOCKED, BLOCKED),
    ] {
        let filter = place.filter(json!({ "exclude": exclude }));
        assert_eq!(sent(&*filter, &mut Sample::get(a, &[]), &[]), of_a, "{exclude}");
        assert_eq!(sent(&*filter, &mut Sample::get(b, &[]), &[]), of_b, "{exclude}");
    }
}

/// What leaves of a response with these pieces.
fn answered(
    filter: &dyn Filter,
    headers: &[(&'static str, &str)],
    pieces: &[&[u8]],
) -> Result<Vec<u8>, &'static str> {
    let mut sample = Sample::get("/", &[]);
    assert_eq!(sent(filter, &mut sample, &[]), Ok(()));
    let mut response = ResponseHeader::build(200, None).unwrap();
    for (name, value) in headers {
        response.append_header(*name, *value).unwrap();
    }
    let mut exchange = sample.exchange();
    filter.on_response(&mut exchange, &mut response).unwrap();
    let mut gone = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let end = at + 1 == pieces.len();
        let mut piece = Some(Bytes::copy_from_slice(piece));
        filter.on_response_body(&mut exchange, &mut piece, end).map_err(|refusal| refusal.reason)?;
        assert!(end || piece.is_none(), "nothing goes on yet");
        gone.extend_from_slice(&piece.unwrap_or_default());
    }
    Ok(gone)
}

#[test]
fn a_response_waits_until_it_is_known_to_be_good() {
    let place = Place::new("responses");
    let filter = place.filter(json!({}));
    let html = [("content-type", "text/html; charset=utf-8")];
    assert_eq!(answered(&*filter, &html, &[b"a se", b"cret"]), Err("waf_blocked"));
    assert_eq!(answered(&*filter, &html, &[b"a wo", b"rd"]), Ok(b"a word".to_vec()));
    for (responses, expected) in [(true, true), (false, false)] {
        let filter = place.filter(json!({ "responses": responses }));
        assert_eq!(filter.phases().contains(Phases::RESPONSE_BODY), expected);
    }
}

#[test]
fn a_response_is_judged_by_what_any_client_makes_of_its_coding() {
    let place = Place::new("codings");
    // As the Core Rule Set does.
    let rules =
        "SecRule RESPONSE_HEADERS:Content-Encoding \"@pm gzip br\" \"id:9,phase:4,pass,skipAfter:END\"\n";
    fs::write(place.folder.join("a.conf"), format!("{rules}{RULES}SecMarker END\n")).unwrap();
    let filter = place.filter(json!({}));
    let (good, bad) = (zip(b"a word"), zip(b"a secret"));
    let headers = |coding| [("content-type", "text/html"), ("content-encoding", coding)];
    for (coding, body, is_good) in [
        ("gzip", good.clone(), true),
        ("gzip", bad.clone(), false),
        ("gzip", [&good[..], &good].concat(), true),
        ("gzip", [&good[..], &bad].concat(), false),
        ("gzip", bad[..bad.len() - 3].to_vec(), false),
        ("gzip", [&bad[..], b"and more"].concat(), false),
        ("gzip", b"no gzip but a secret".to_vec(), false),
        ("gzip", b"no gzip but a word".to_vec(), true),
        ("rot13", b"no rot13 but a secret".to_vec(), false),
        ("gzip, gzip, gzip", b"no gzip but a secret".to_vec(), false),
    ] {
        for size in [1, 7, body.len()] {
            let pieces: Vec<_> = body.chunks(size).collect();
            let expected = if is_good { Ok(body.clone()) } else { Err("waf_blocked") };
            assert_eq!(answered(&*filter, &headers(coding), &pieces), expected, "{coding} {size} {body:?}");
        }
    }
}

#[test]
fn rules_see_a_response_as_if_it_had_not_been_compressed() {
    const SKIPPING: &str = r#"
SecRule RESPONSE_HEADERS:Content-Encoding "@pm gzip br" "id:1,phase:4,pass,nolog,skipAfter:END"
SecRule RESPONSE_BODY "@contains secret" "id:2,phase:4,deny"
SecMarker END
"#;
    let place = Place::new("compressed-responses");
    fs::write(place.folder.join("a.conf"), SKIPPING).unwrap();
    let filter = place.filter(json!({}));
    for (text, expected) in [(&b"a secret"[..], Err("waf_blocked")), (b"a word", Ok(()))] {
        let mut sample = Sample::get("/", &[]);
        assert_eq!(sent(&*filter, &mut sample, &[]), Ok(()));
        let mut response = ResponseHeader::build(200, None).unwrap();
        response.insert_header("content-type", "text/html").unwrap();
        response.insert_header("content-encoding", "gzip").unwrap();
        let mut exchange = sample.exchange();
        filter.on_response(&mut exchange, &mut response).unwrap();
        assert!(response.headers.contains_key("content-encoding"), "the client gets it as it came");
        let mut piece = Some(Bytes::from(zip(text)));
        let told = filter.on_response_body(&mut exchange, &mut piece, true).map_err(|refusal| refusal.reason);
        assert_eq!(told, expected);
    }
}

#[test]
fn routes_share_rules_until_a_file_changes() {
    let place = Place::new("shared");
    let shelf = place.ground.state.kept.find_or("waf", Shelf::default);
    let spec =
        |max_body: &str| serde_json::from_value::<Spec>(json!({ "rules": ["a.conf"], "max_body": max_body }));
    let find = |max_body: &str| {
        let spec = spec(max_body).unwrap();
        let site = crate::filters::Site { base: &place.folder, ..place.ground.site() };
        let limits = crate::waf::Limits { request_body_bytes: max_body.len(), ..Default::default() };
        let (sources, tuning) = (spec.sources(&site).unwrap(), spec.tuning().unwrap());
        shelf.find(&sources, &tuning, limits, &place.ground.state.clock).unwrap()
    };
    let first = find("1KiB");
    assert!(Arc::ptr_eq(&first, &find("1KiB")));
    assert!(!Arc::ptr_eq(&first, &find("10KiB")));
    fs::write(place.folder.join("a.conf"), "# none").unwrap();
    assert!(!Arc::ptr_eq(&first, &find("1KiB")));
}

#[test]
fn wrong_settings_are_told() {
    let place = Place::new("wrong");
    fs::create_dir_all(place.folder.join("wrong")).unwrap();
    fs::write(place.folder.join("wrong/rules.yaml"), "pack: p\nrules: [{ id: 1, in: agrs, equals: a }]\n")
        .unwrap();
    fs::write(place.folder.join("two.conf"), "SecRul\nSecRuls\n").unwrap();
    fs::create_dir_all(place.folder.join("empty")).unwrap();
    fs::write(place.folder.join("wrong.conf"), "# one\nSecRule ARGS \"@rx b(?<=a+)\" \"id:9,deny\"\n")
        .unwrap();
    for (spec, expected) in [
        (
            json!({ "rules": ["wrong"] }),
            "rules: DIR/wrong/rules.yaml:2:22: there is nothing called \"agrs\", did you mean \"args\"?",
        ),
        (
            json!({ "rules": ["crs"] }),
            "rules[0]: the Core Rule Set: say where it is, with `waf: { crs: DIRECTORY }` at the top of the policy",
        ),
        (json!({ "rules": ["b.conf"] }), "rules[0]: DIR/b.conf: No such file or directory (os error 2)"),
        (
            json!({ "rules": ["two.conf"] }),
            "rules: DIR/two.conf:1: no directive SecRul with 0 arguments is known\n    DIR/two.conf:2: no directive SecRuls with 0 arguments is known",
        ),
        (
            json!({ "rules": ["empty"] }),
            "rules[0]: DIR/empty: no rules are there: expected rules.yaml, or files called *.conf",
        ),
        (json!({ "paranoia": 5 }), "paranoia: expected a level from 1 to 4"),
        (
            json!({ "paranoia": 2, "detection_paranoia": 1 }),
            "detection_paranoia: is below `paranoia`, whose rules run in any case",
        ),
        (
            json!({ "exclude": [{ "id": 1, "tag": "a" }] }),
            "exclude[0]: expected exactly one of `id` and `tag`",
        ),
        (json!({ "exclude": [{ "target": "ARGS" }] }), "exclude[0]: expected exactly one of `id` and `tag`"),
        (json!({ "exclude": [{ "tag": "a\"b" }] }), "exclude[0].tag: expected a tag such as attack-sqli"),
        (
            json!({ "exclude": [{ "id": 1, "target": "ARGS:a\" b" }] }),
            "exclude[0].target: expected a variable such as ARGS:comment or ARGS:/^note/",
        ),
        (
            json!({ "exclude": [{ "id": 1, "target": r"ARGS:/(?R)/" }] }),
            "exclude[0].target: recursion, a condition or a reset cannot be matched in linear time",
        ),
        (json!({ "sample": 0 }), "sample: expected a number from 1 to 100"),
        (json!({ "sample": 101 }), "sample: expected a number from 1 to 100"),
        (json!({ "max_body": "17MiB" }), "max_body: at most 16MiB: the body waits in memory"),
    ] {
        assert_eq!(place.compile(spec.clone()).err().as_deref(), Some(expected), "{spec}");
    }
    let lookbehind = place.compile(json!({ "rules": ["wrong.conf"] })).err().unwrap();
    assert!(lookbehind.starts_with("rules: DIR/wrong.conf:2: "), "{lookbehind}");
    assert!(read_error::<Spec>(json!({ "rules": ["crs"], "paranoid": 1 })).contains("paranoid"));
}

#[test]
fn what_an_exclusion_does_not_mean_is_told_by_its_place() {
    let place = Place::new("exclude");
    let told = place.compile(json!({ "exclude": [{ "id": 1 }, { "id": 2, "target": "FOO:x" }] }));
    assert_eq!(told.err().unwrap(), "rules: exclude[1]: no variable is called \"FOO\"");
    let spec = json!({ "rules": ["a.conf"], "exclude": [{ "id": 1 }, { "id": 77 }] });
    let spec = serde_json::from_value::<Spec>(spec).unwrap();
    let site = crate::filters::Site { base: &place.folder, ..place.ground.site() };
    let (sources, tuning) = (spec.sources(&site).unwrap(), spec.tuning().unwrap());
    let clock = &place.ground.state.clock;
    let set = rule_set::compile(&sources, &tuning, crate::waf::Limits::default(), clock);
    assert_eq!(set.ok().unwrap().notes, ["exclude[1]: no rule is meant by this"]);
}
