//! The web application firewall: attacks that reach no backend, and what a shop's visitors do.

use std::path::{Path, PathBuf};
use std::time::Duration;

mod differences;
mod responses;
mod tool;
mod worst;

use crate::harness::{Edge, Origin, Reply, eventually};

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

/// A few rules, so that it does not take the Core Rule Set.
const RULES: &str = include_str!("../../conf/files/waf.conf");

fn policy(filter: &str) -> String {
    format!(
        "server: {{ drain: 200ms }}
access_log: {{ to: access.log }}
admin: {{ address: '{{admin}}' }}
listeners: [{{ address: '{{listen}}', h2c: true }}]
waf: {{ crs: '{{crs}}', audit: {{ to: waf.json }} }}
upstreams: {{ app: {{ backends: ['{{origin}}'] }} }}
routes: [{{ name: shop, match: {{ path: /** }}, upstream: app, filters: [{{ waf: {filter} }}] }}]
"
    )
}

fn running(filter: &str, crs: &Path) -> (Edge, Origin) {
    let origin = Origin::start(|request| {
        let key = request.target().starts_with("/key");
        Reply::text(if key { "-----BEGIN RSA PRIVATE KEY-----" } else { "ok" })
    });
    let edge = Edge::policy(&policy(filter)).with("origin", origin.address()).with("crs", crs.display());
    (edge.file("waf.conf", RULES).start(), origin)
}

/// Requests as browsers and programs send them: content type and body.
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const UPLOAD: &str = "multipart/form-data; boundary=XbX";

fn send(edge: &Edge, method: &str, target: &str, kind: &str, body: &str) -> (u16, String) {
    let mut headers =
        vec![("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"), ("Accept", "*/*")];
    if !body.is_empty() {
        headers.push(("Content-Type", kind));
    }
    let answer = edge.client("listen").request(method, target, &headers, body.as_bytes());
    (answer.status, if answer.status == 200 { String::new() } else { answer.reason() })
}

fn passed() -> (u16, String) {
    (200, String::new())
}

fn blocked() -> (u16, String) {
    (403, "waf_blocked".to_owned())
}

const GOOD: [(&str, &str, &str, &str); 5] = [
    ("GET", "/products?page=2&sort=price", "", ""),
    ("POST", "/login", FORM, "user=ana&password=a+long+word"),
    ("POST", "/orders", JSON, r#"{"items":[{"sku":"A-1","quantity":2}],"note":"please ring twice"}"#),
    (
        "POST",
        "/photos",
        UPLOAD,
        "--XbX\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\nJFIF\r\n--XbX--\r\n",
    ),
    (
        "POST",
        "/graphql",
        JSON,
        r#"{"query":"query { user(id: 4) { name friends(first: 10) { edges { node { name } } } } }","variables":{}}"#,
    ),
];

const ATTACKS: [(&str, &str, &str, &str); 5] = [
    ("GET", "/products?id=1%27%20OR%20%271%27=%271%27%20UNION%20SELECT%20password%20FROM%20users--", "", ""),
    ("GET", "/search?q=%3Cscript%3Ealert(document.cookie)%3C/script%3E", "", ""),
    ("POST", "/login", FORM, "user=admin'+OR+'1'='1'+--+&password=x"),
    ("POST", "/orders", JSON, r#"{"note":"<script>alert(1)</script>"}"#),
    ("POST", "/orders", JSON, r#"{"id":"1' UNION SELECT password FROM users --"}"#),
];

#[track_caller]
fn refuses_attacks(edge: &Edge) {
    for (method, target, kind, body) in ATTACKS {
        assert_eq!(send(edge, method, target, kind, body), blocked(), "{method} {target} {body}");
    }
}

#[track_caller]
fn lets_a_shop_work(edge: &Edge) {
    for (method, target, kind, body) in GOOD {
        assert_eq!(send(edge, method, target, kind, body), passed(), "{method} {target} {body}");
    }
}

#[test]
fn attacks_reach_no_backend_and_a_shops_traffic_does() {
    let (edge, origin) = running("{ rules: [waf.conf], max_time: 1m }", Path::new("/nowhere"));
    refuses_attacks(&edge);
    assert_eq!(send(&edge, "GET", "/.env", "", ""), blocked());
    assert_eq!(origin.connections(), 0);
    for (method, target, kind, body) in GOOD {
        assert_eq!(send(&edge, method, target, kind, body), passed(), "{method} {target} {body}");
        assert_eq!(origin.last().body, body.as_bytes());
    }
    let line = edge.logged("a refusal", |line| line["path"] == "/search");
    assert_eq!((&line["reason"], &line["why"]), (&"waf_blocked".into(), &"1002 ARGS:q".into()));
    edge.wait_for_metric("edgeward_waf_matches_total{rule=\"1002\"}", 2.0);
}

#[test]
fn what_was_found_is_told_without_secrets() {
    let (edge, _origin) = running("{ rules: [waf.conf], max_time: 1m }", Path::new("/nowhere"));
    assert_eq!(send(&edge, "GET", "/search?q=%3Cscript%3E", "", ""), blocked());
    assert_eq!(send(&edge, "GET", "/login?password=%3Cscript%3E", "", ""), blocked());
    let told = eventually("two lines", || {
        let lines = edge.lines("waf.json");
        (lines.len() == 2).then_some(lines)
    });
    for (line, path, variable, value) in
        [(&told[0], "/search", "ARGS:q", Some("<script>")), (&told[1], "/login", "ARGS:password", None)]
    {
        assert_eq!((&line["path"], &line["decision"]), (&path.into(), &"refused".into()), "{line}");
        let rule = &line["rules"][0];
        assert_eq!((&rule["id"], &rule["variable"]), (&1002.into(), &variable.into()), "{line}");
        assert_eq!((rule["value"].as_str(), rule["value_bytes"].as_u64()), (value, Some(8)), "{line}");
    }
}

#[test]
fn without_rules_the_starter_pack_protects_a_shop() {
    let (edge, origin) = running("{ max_time: 1m }", Path::new("/nowhere"));
    refuses_attacks(&edge);
    assert_eq!(send(&edge, "GET", "/show?file=..%2f..%2f..%2fetc%2fpasswd", "", ""), blocked());
    assert_eq!(origin.connections(), 0);
    lets_a_shop_work(&edge);
    let line = edge.logged("a refusal", |line| line["path"] == "/search");
    let why = line["why"].as_str().unwrap();
    assert!(why.starts_with("score ") && why.contains("9502110 ARGS:q") && !why.contains("9599"), "{why}");
}

#[test]
fn the_core_rule_set_and_the_starter_pack_work_together() {
    let Some(crs) = crs() else { return };
    let (edge, _origin) = running("{ rules: [crs, starter], max_time: 1m }", &crs.canonicalize().unwrap());
    refuses_attacks(&edge);
    lets_a_shop_work(&edge);
}

#[test]
fn the_core_rule_set_protects_a_shop() {
    let Some(crs) = crs() else { return };
    let (edge, origin) = running("{ rules: [crs], paranoia: 1, max_time: 1m }", &crs.canonicalize().unwrap());
    refuses_attacks(&edge);
    assert_eq!(send(&edge, "GET", "/show?file=..%2f..%2f..%2fetc%2fpasswd", "", ""), blocked());
    assert_eq!(origin.connections(), 0);
    lets_a_shop_work(&edge);
    let line = edge.logged("a refusal", |line| line["path"] == "/search");
    assert!(line["why"].as_str().unwrap().starts_with("score "), "{line}");
}

#[test]
fn the_core_rule_set_of_the_system_protects_a_shop() {
    let directory = Path::new("/usr/share/modsecurity-crs");
    if !directory.is_dir() {
        eprintln!("skipped: the package modsecurity-crs is not installed");
        return;
    }
    let (edge, origin) = running("{ rules: [crs], max_time: 1m }", directory);
    refuses_attacks(&edge);
    assert_eq!(origin.connections(), 0);
    lets_a_shop_work(&edge);
    // 942130, whose pattern refers to what it found before.
    let (edge, _origin) = running("{ rules: [crs], paranoia: 2, max_time: 1m }", directory);
    assert_eq!(send(&edge, "GET", "/search?q=abc+sounds+like+abc", "", ""), blocked());
    assert_eq!(send(&edge, "GET", "/search?q=abc+sounds+like+abd", "", ""), passed());
    let line = edge.logged("a refusal", |line| line["path"] == "/search" && line["status"] == 403);
    assert!(line["why"].as_str().unwrap().contains("942130 ARGS:q"), "{line}");
}

#[test]
fn the_core_rule_set_is_tuned_by_the_policy() {
    let Some(crs) = crs() else { return };
    let crs = crs.canonicalize().unwrap();
    let attack = ATTACKS[1];
    for (more, expected) in [
        ("inbound_threshold: 5", blocked()),
        ("inbound_threshold: 500", passed()),
        ("exclude: [{ tag: attack-xss }]", passed()),
        ("exclude: [{ tag: attack-xss, target: 'ARGS:q' }]", passed()),
        ("exclude: [{ tag: attack-xss, target: 'ARGS:other' }]", blocked()),
    ] {
        let (edge, _origin) = running(&format!("{{ rules: [crs], max_time: 1m, {more} }}"), &crs);
        assert_eq!(send(&edge, attack.0, attack.1, attack.2, attack.3), expected, "{more}");
    }
}

#[test]
fn rules_see_what_is_not_for_the_upstream() {
    let rules = "SecRule REQUEST_HEADERS:Expect \"@streq 100-continue\" \"id:1,phase:1,deny\"\n";
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = Edge::policy(&policy("{ rules: [waf.conf], max_time: 1m }"));
    let edge = edge.with("origin", origin.address()).with("crs", "/nowhere").file("waf.conf", rules).start();
    let get = |headers: &[(&str, &str)]| edge.client("listen").request("GET", "/", headers, b"").status;
    assert_eq!((get(&[("Expect", "100-continue")]), get(&[])), (403, 200));
}

#[test]
fn in_shadow_an_attack_passes_and_is_counted() {
    let (edge, origin) = running("{ rules: [waf.conf], max_time: 1m, mode: shadow }", Path::new("/nowhere"));
    for (method, target, kind, body) in [ATTACKS[1], ATTACKS[2]] {
        assert_eq!(send(&edge, method, target, kind, body), passed());
    }
    assert_eq!(origin.count(), 2);
    let line = edge.logged("the search", |line| line["path"] == "/search");
    assert_eq!(line["shadow_refusals"][0], "waf:waf_blocked");
    edge.wait_for_sum("edgeward_shadow_refusals_total", &["waf_blocked"], 2.0);
}

#[test]
fn the_policy_says_what_becomes_of_a_body_over_the_limit() {
    let filler = "x".repeat(100_000);
    let (early, late) =
        (format!("user=admin'+OR+'1'='1&b={filler}"), format!("b={filler}&user=admin'+OR+'1'='1"));
    let too_large = (413, "waf_body_too_large".to_owned());
    for (over_limit, of_early, of_late) in [
        ("reject", too_large.clone(), too_large),
        ("inspect_prefix", blocked(), passed()),
        ("skip", passed(), passed()),
    ] {
        let filter =
            format!("{{ rules: [waf.conf], max_time: 1m, max_body: 32KiB, over_limit: {over_limit} }}");
        let (edge, origin) = running(&filter, Path::new("/nowhere"));
        assert_eq!(send(&edge, "POST", "/", FORM, &early), of_early, "{over_limit}");
        assert_eq!(send(&edge, "POST", "/", FORM, &late), of_late, "{over_limit}");
        let expected = usize::from(of_early.0 == 200) + usize::from(of_late.0 == 200);
        assert_eq!(origin.count(), expected);
        if of_late.0 == 200 {
            assert_eq!(origin.last().body, late.as_bytes());
        }
    }
}

#[test]
fn a_secret_in_a_response_does_not_leave() {
    let (edge, _origin) = running("{ rules: [waf.conf], max_time: 1m }", Path::new("/nowhere"));
    let mut client = edge.client("listen");
    client.send("GET /key HTTP/1.1\r\nHost: a\r\n\r\n");
    let came = client.rest().unwrap_or_default();
    assert!(!String::from_utf8_lossy(&came).contains("PRIVATE"));
    edge.logged("the refusal", |line| line["path"] == "/key" && line["reason"] == "waf_blocked");
    assert_eq!(send(&edge, "GET", "/other", "", ""), passed());
}

#[test]
fn behind_a_cache_the_head_of_a_response_waits_until_its_body_was_examined() {
    let prose = "all of this is as it should be. ".repeat(2_000);
    let secret = format!("{prose}-----BEGIN RSA PRIVATE KEY-----");
    let (good, bad) = (prose.clone(), secret);
    let origin = Origin::start(move |request| {
        let body = if request.target().starts_with("/key") { &bad } else { &good };
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n");
        let (front, back) = body.split_at(length / 2);
        // The head comes alone, and long before the body's end.
        let wait = Duration::from_millis(100);
        Reply::raw(head).wait(wait).then(front).wait(wait).then(back)
    });
    let filters = "waf: { rules: [waf.conf], max_time: 1m } }, { cache: {}";
    let policy = policy("@").replace("waf: @", filters);
    let edge = Edge::policy(&policy).with("origin", origin.address()).with("crs", "/nowhere");
    let edge = edge.file("waf.conf", RULES).start();
    assert_eq!(send(&edge, "GET", "/key", "", ""), blocked());
    let answer = edge.client("listen").get("/other");
    assert_eq!((answer.status, answer.text() == prose), (200, true));
}
