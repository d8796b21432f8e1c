//! Golden messages: what a user sees for each kind of mistake, from text to rendered line, on a small policy
//! of its own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use ipnet::IpNet;
use serde::Deserialize;

use super::*;
use crate::values::{Duration, DurationOrZero, Problem, Rate, Secret, Size};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read by serde")]
pub(super) struct Policy {
    #[serde(default)]
    listeners: Vec<Listener>,
    #[serde(default)]
    upstreams: HashMap<String, Upstream>,
    #[serde(default)]
    pub(super) routes: Vec<Route>,
    #[serde(default)]
    pages: HashMap<u16, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read by serde")]
struct Listener {
    address: SocketAddr,
    tls: Option<Tls>,
    #[serde(default)]
    proxy_protocol: bool,
    backlog: Option<NonZeroU32>,
    port: Option<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read by serde")]
struct Tls {
    cert: String,
    key: Secret,
    min_version: Option<Version>,
}

#[derive(Debug, Deserialize)]
enum Version {
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read by serde")]
struct Upstream {
    backends: Vec<String>,
    balance: Option<Balance>,
    health_check: Option<HealthCheck>,
    connect_timeout: Option<Duration>,
    drain: Option<DurationOrZero>,
    weight: Option<f64>,
    range: Option<(u16, u16)>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Balance {
    RoundRobin,
    P2cEwma,
    LeastConnections,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(dead_code, reason = "read by serde")]
enum HealthCheck {
    Tcp,
    Http { path: String },
    Command(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read by serde")]
pub(super) struct Route {
    name: String,
    #[serde(default)]
    pub(super) filters: Vec<Node>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read by serde")]
struct RateLimit {
    limit: Rate,
    burst: Option<u32>,
    body: Option<Size>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read by serde")]
struct IpAccess {
    allow: Vec<IpNet>,
}

/// Reads a policy and its filters as the layers above do: the entry's only key is the kind, a table knows its
/// type.
pub(super) fn check(text: &str) -> Diagnostics {
    let document = match Document::parse("p.yaml", text.as_bytes()) {
        Ok(document) => document,
        Err(diagnostics) => return diagnostics,
    };
    let mut issues = Vec::new();
    let policy: Option<Policy> = document.root().read(&mut issues);
    for filter in policy.iter().flat_map(|policy| &policy.routes).flat_map(|route| &route.filters) {
        for (kind, spec) in filter.as_map().unwrap_or_default() {
            match kind {
                "rate_limit" => drop(spec.read::<RateLimit>(&mut issues)),
                "ip_access" => compile_ip_access(&spec, &mut issues),
                _ => issues.push(
                    filter.key_issue(kind, wording::unknown("filter", kind, &["rate_limit", "ip_access"])),
                ),
            }
        }
    }
    Diagnostics::new(&document, issues)
}

fn compile_ip_access(spec: &Node, issues: &mut Vec<Issue>) {
    let found_before = issues.len();
    let Some(access) = spec.read::<IpAccess>(issues) else { return };
    let wide = access.allow.iter().position(|network| network.prefix_len() == 0);
    if let (Some(index), true) = (wide, issues.len() == found_before) {
        let problem = Problem::new(format!("allow[{index}]"), "allows everyone");
        issues.push(Issue::from_problem(spec.path(), &problem));
    }
}

/// The first line of each diagnostic, without the file's name.
fn headlines(text: &str) -> Vec<String> {
    let strip = |line: &str| line.strip_prefix("p.yaml:").unwrap_or(line).to_owned();
    check(text).iter().map(|diagnostic| strip(diagnostic.to_string().lines().next().unwrap())).collect()
}

/// Texts, each with all the headlines it gets.
#[rustfmt::skip]
const GOLDEN: &[(&str, &[&str])] = &[
    // Nothing is wrong.
    ("listeners: [{ address: '0.0.0.0:80' }]\nroutes: [{ name: a, filters: [{ rate_limit: { limit: 5/1s } }] }]", &[]),
    // Keys.
    ("listenrs: []", &[r#"1:1: unknown key "listenrs", did you mean "listeners"?"#]),
    ("telemetry: {}", &[r#"1:1: unknown key "telemetry", expected one of listeners, upstreams, routes, pages"#]),
    ("routes:\n  - name: a\n    filters:\n      - rate_limit: { limit: 5/1s, brust: 5 }", &[r#"4:36: routes[0].filters[0].rate_limit: unknown key "brust", did you mean "burst"?"#]),
    ("routes:\n  - filters: []", &[r#"2:5: routes[0]: missing key "name""#]),
    ("routes:\n  - name: a\n    filters:\n      - rate_limit: { burst: 1 }", &[r#"4:9: routes[0].filters[0].rate_limit: missing key "limit""#]),
    ("routes:\n  - nam: a", &[r#"2:5: routes[0]: unknown key "nam", did you mean "name"?"#]),
    ("pages: { 404: gone, abc: x, 70000: y }", &[r#"1:21: pages: key "abc": expected a whole number from 0 to 65535, found "abc""#, r#"1:29: pages: key "70000": expected a whole number from 0 to 65535, found 70000"#]),
    ("routes: []\nroutes: []", &[r#"2:1: duplicate key "routes""#]),
    ("1: a\n\"1\": b", &[r#"2:1: duplicate key "1""#]),
    ("? [a]\n: b", &["1:3: a key is plain text, not a map or list"]),
    ("a: &a {x: 1}\nb: { <<: *a }", &["2:6: merge keys (<<) are not part of YAML 1.2: use an alias for a whole value, or a named list or chain"]),
    // Types.
    ("", &["1:1: expected a map with the keys listeners, upstreams, routes, pages, found nothing: write {} for an empty one"]),
    ("- a", &["1:1: expected a map with the keys listeners, upstreams, routes, pages, found a list"]),
    ("routes: {}", &["1:1: routes: expected a list, found a map: each item begins with `- `"]),
    ("routes:", &["1:1: routes: expected a list, found nothing"]),
    ("routes: [x]", &[r#"1:10: routes[0]: expected a map with the keys name, filters, found "x""#]),
    ("routes: [{ name: 8080 }]", &[r#"1:18: routes[0].name: expected a string, found 8080: write "8080""#]),
    ("routes: [{ name: 1.10 }]", &[r#"1:18: routes[0].name: expected a string, found 1.10: write "1.10""#]),
    ("routes: [{ name: 0x1F }]", &[r#"1:18: routes[0].name: expected a string, found 0x1F: write "0x1F""#]),
    ("routes: [{ name: true }]", &[r#"1:18: routes[0].name: expected a string, found true: write "true""#]),
    ("routes: [{ name: [a] }]", &["1:12: routes[0].name: expected a string, found a list"]),
    ("routes: [{ name: }]", &["1:12: routes[0].name: expected a string, found nothing"]),
    ("upstreams: { a: { backends: b:80 } }", &[r#"1:29: upstreams.a.backends: expected a list, found "b:80": write ["b:80"]"#]),
    ("upstreams: { a: { backends: web } }", &[r#"1:29: upstreams.a.backends: expected a list, found "web": write [web]"#]),
    ("upstreams: { a.example: { backends: 5 } }", &[r#"1:37: upstreams["a.example"].backends: expected a list, found 5: write [5]"#]),
    ("upstreams: { a: { backends: [], weight: heavy } }", &[r#"1:41: upstreams.a.weight: expected a number, found "heavy""#]),
    ("upstreams: { a: { backends: [], weight: .inf } }", &["1:41: numbers are finite: .inf and .nan have no meaning here"]),
    ("upstreams: { a: { backends: [], range: [1] } }", &["1:33: upstreams.a.range: expected a list of 2, found 1"]),
    ("upstreams: { a: { backends: [], range: [1, 2, 3] } }", &["1:33: upstreams.a.range: expected a list of 2, found 3"]),
    ("listeners: [{ address: '0.0.0.0:80', proxy_protocol: \"true\" }]", &[r#"1:54: listeners[0].proxy_protocol: expected true or false, found "true": write true without quotes"#]),
    ("listeners: [{ address: '0.0.0.0:80', proxy_protocol: yes }]", &[r#"1:54: listeners[0].proxy_protocol: expected true or false, found "yes": write true without quotes"#]),
    ("listeners: [{ address: '0.0.0.0:80', proxy_protocol: 1 }]", &["1:54: listeners[0].proxy_protocol: expected true or false, found 1"]),
    ("listeners: [{ address: '0.0.0.0:80', backlog: 0 }]", &["1:47: listeners[0].backlog: expected a whole number from 1 to 4294967295, found 0"]),
    ("listeners: [{ address: '0.0.0.0:80', backlog: '128' }]", &[r#"1:47: listeners[0].backlog: expected a whole number from 1 to 4294967295, found "128": write 128 without quotes"#]),
    ("listeners: [{ address: '0.0.0.0:80', port: 70000 }]", &["1:44: listeners[0].port: expected a whole number from 0 to 65535, found 70000"]),
    ("listeners: [{ address: '0.0.0.0:80', port: -1 }]", &["1:44: listeners[0].port: expected a whole number from 0 to 65535, found -1"]),
    ("listeners: [{ address: '0.0.0.0:80', port: 80.5 }]", &["1:44: listeners[0].port: expected a whole number from 0 to 65535, found 80.5"]),
    ("listeners: [{ address: localhost }]", &["1:24: listeners[0].address: invalid socket address syntax"]),
    ("listeners:\n  - address: '0.0.0.0:80'\n    tls:\n", &["3:5: listeners[0].tls: no value: give the key one, or remove the key"]),
    // Choices.
    ("upstreams: { a: { backends: [], balance: p2c_ewm } }", &[r#"1:42: upstreams.a.balance: unknown value "p2c_ewm", did you mean "p2c_ewma"?"#]),
    ("upstreams: { a: { backends: [], balance: sticky } }", &[r#"1:42: upstreams.a.balance: unknown value "sticky", expected one of round_robin, p2c_ewma, least_connections"#]),
    ("upstreams: { a: { backends: [], balance: 5 } }", &[r#"1:42: upstreams.a.balance: expected one of round_robin, p2c_ewma, least_connections, found 5: write "5""#]),
    ("upstreams: { a: { backends: [], balance: { round_robin: {} } } }", &[r#"1:33: upstreams.a.balance: "round_robin" takes no settings: write round_robin alone"#]),
    ("upstreams: { a: { backends: [], health_check: http } }", &[r#"1:47: upstreams.a.health_check: "http" needs settings: write { http: … }"#]),
    ("upstreams: { a: { backends: [], health_check: { htp: {} } } }", &[r#"1:49: upstreams.a.health_check: unknown key "htp", did you mean "http"?"#, r#"1:49: upstreams.a.health_check.http: missing key "path""#]),
    ("upstreams: { a: { backends: [], health_check: { http: { pth: /x } } } }", &[r#"1:57: upstreams.a.health_check.http: unknown key "pth", did you mean "path"?"#]),
    ("upstreams: { a: { backends: [], health_check: { http: {}, tcp: {} } } }", &["1:33: upstreams.a.health_check: expected exactly one of tcp, http, command, found 2 keys"]),
    ("upstreams: { a: { backends: [], health_check: { command: [a, 1] } } }", &[r#"1:62: upstreams.a.health_check.command[1]: expected a string, found 1: write "1""#]),
    ("listeners: [{ address: '0.0.0.0:443', tls: { cert: c, key: { env: K }, min_version: 1.2 } }]", &[r#"1:85: listeners[0].tls.min_version: expected one of 1.2, 1.3, found 1.2: write "1.2""#]),
    ("routes: [{ name: 'a', filters: [{ rate_limit: x }, { ip_access: }] }]", &[r#"1:47: routes[0].filters[0].rate_limit: expected a map with the keys limit, burst, body, found "x""#, "1:54: routes[0].filters[1].ip_access: expected a map with the key allow, found nothing: write {} for an empty one"]),
    // Values with a notation of their own.
    ("upstreams: { a: { backends: [], connect_timeout: 5 } }", &["1:50: upstreams.a.connect_timeout: expected a duration such as 1s, found 5"]),
    ("upstreams: { a: { backends: [], connect_timeout: 5x } }", &[r#"1:50: upstreams.a.connect_timeout: expected a duration such as 1s, found "5x": the units are d, h, m, s and ms"#]),
    ("upstreams: { a: { backends: [], connect_timeout: 0s, drain: 0s } }", &[r#"1:50: upstreams.a.connect_timeout: expected a duration above zero such as 1s, found "0s""#]),
    ("routes: [{ name: a, filters: [{ rate_limit: { limit: 100, body: 4096 } }] }]", &["1:54: routes[0].filters[0].rate_limit.limit: expected a rate such as 100/1m, found 100", "1:65: routes[0].filters[0].rate_limit.body: expected a size such as 64KiB, found 4096"]),
    ("routes: [{ name: a, filters: [{ ip_access: { allow: [10.0.0.0/8, 10.0.0.0/33, '::/0'] } }] }]", &["1:66: routes[0].filters[0].ip_access.allow[1]: invalid IP address syntax"]),
    ("listeners: [{ address: '0.0.0.0:443', tls: { cert: c, key: hunter2 } }]", &["1:60: listeners[0].tls.key: a secret is not written into the policy: name its source, { env: NAME } or { file: PATH }"]),
    ("listeners: [{ address: '0.0.0.0:443', tls: { cert: c, key: { evn: K } } }]", &[r#"1:62: listeners[0].tls.key: unknown key "evn", did you mean "env"?"#]),
    ("listeners: [{ address: '0.0.0.0:443', tls: { cert: c, key: {} } }]", &["1:55: listeners[0].tls.key: expected one source for the secret, { env: NAME } or { file: PATH }"]),
    // Raw nodes and problems found later.
    ("routes:\n  - name: a\n    filters:\n      - ip_access: { allow: [] }\n      - rate_limt: {}", &[r#"5:9: routes[0].filters[1]: unknown filter "rate_limt", did you mean "rate_limit"?"#]),
    ("routes: [{ name: a, filters: [{ ip_access: { allow: [10.0.0.0/8, 0.0.0.0/0] } }] }]", &["1:66: routes[0].filters[0].ip_access.allow[1]: allows everyone"]),
    // The text itself.
    ("a: [1, 2", &["2:1: did not find expected ',' or ']', while parsing a flow sequence at line 1 column 4: inside { } and [ ], quote a text that contains any of { } [ ] ,"]),
    ("a: b: c", &["1:5: mapping values are not allowed in this context: quote a text that contains a colon and a space, and check the indentation"]),
    ("a:\n\tb: c", &["2:1: found character that cannot start any token, while scanning for the next token: indent with spaces, not tabs"]),
    ("host: *.example.com", &["1:8: did not find expected alphabetic or numeric character, while scanning an alias at line 1 column 7: quote a text that starts with *"]),
    ("host: *nothing", &["1:7: unknown anchor: quote a text that starts with *"]),
    ("host: @example", &["1:7: found character that cannot start any token, while scanning for the next token: quote a text that starts with a special character"]),
    ("listeners: [{ address: [::]:80 }]", &["1:25: did not find expected node content, while parsing a flow node: quote an address that starts with ["]),
    ("a:\n  - b: 1\n   c: 2", &["3:4: did not find expected '-' indicator, while parsing a block collection at line 2 column 3: check the indentation: lines of one map or list begin in the same column"]),
    ("a: \"b", &["1:6: found unexpected end of stream, while scanning a quoted scalar at line 1 column 4"]),
    ("a: !env B", &["1:4: YAML tags have no meaning here: remove !env"]),
    ("a: 1\n---\nb: 2", &["3:1: expected one YAML document, here a second one starts"]),
    ("a: b\u{7}", &["1:5: character U+0007 is not allowed"]),
];

#[test]
fn golden_messages() {
    let mut wrong = String::new();
    for (text, expected) in GOLDEN {
        let found = headlines(text);
        if found != *expected {
            wrong += &format!("{text}\n  expected {expected:#?}\n  found {found:#?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn reports_everything_at_once_in_the_order_of_the_text() {
    let text = "\
listenrs: []
upstreams:
  orders:
    balance: p2c
    connect_timeout: 5
    backends: [a, 1, b, 2]
routes:
  - name: a
    filters:
      - rate_limit: { limit: 5, brust: 1 }
  - { nme: b, filters: {} }
  - { name: 5 }
";
    let expected = [
        r#"1:1: unknown key "listenrs", did you mean "listeners"?"#,
        r#"4:14: upstreams.orders.balance: unknown value "p2c", expected one of round_robin, p2c_ewma, least_connections"#,
        "5:22: upstreams.orders.connect_timeout: expected a duration such as 1s, found 5",
        r#"6:19: upstreams.orders.backends[1]: expected a string, found 1: write "1""#,
        r#"6:25: upstreams.orders.backends[3]: expected a string, found 2: write "2""#,
        "10:30: routes[0].filters[0].rate_limit.limit: expected a rate such as 100/1m, found 5",
        r#"10:33: routes[0].filters[0].rate_limit: unknown key "brust", did you mean "burst"?"#,
        r#"11:7: routes[1]: unknown key "nme", did you mean "name"?"#,
        "11:15: routes[1].filters: expected a list, found a map: each item begins with `- `",
        r#"12:13: routes[2].name: expected a string, found 5: write "5""#,
    ];
    assert_eq!(headlines(text), expected);
}

/// A small generator (xorshift64*), so that a failure repeats with its seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % bound
    }
}

#[rustfmt::skip]
const PIECES: &[&str] = &[
    "listeners", "upstreams", "routes", "name", "filters", "rate_limit", "limit", "ip_access", "allow", "backends", "tls", "key",
    ": ", ":", "\n", "\n  ", "\n    ", "- ", "- ", "[", "]", "{", "}", ", ", "&a ", "*a", "<<", "!t ", "\"", "'", "|", ">", "? ", "#", "%",
    "@", "\t", "---", "...", "5", "1.10", "true", "~", ".nan", "1s", "10.0.0.0/8", "é", "\u{85}", "\u{2028}", "\r\n", "\u{0}", "\\",
];

#[test]
fn no_text_makes_it_panic() {
    for seed in 1..=6000 {
        let mut chance = Chance(seed);
        let length = chance.below(40);
        let text: String = (0..length).map(|_| PIECES[chance.below(PIECES.len())]).collect();
        for diagnostic in &check(&text) {
            assert!(diagnostic.line >= 1 && diagnostic.column >= 1, "{text:?}");
            assert!(
                !diagnostic.to_string().chars().any(|shown| shown.is_control() && shown != '\n'),
                "{text:?}"
            );
        }
    }
}

#[test]
fn no_damage_to_a_good_policy_makes_it_panic() {
    let good = "routes:\n  - name: a\n    filters:\n      - rate_limit: { limit: 5/1s, burst: 5 }\nupstreams: { a: { backends: [b] } }\n";
    assert!(check(good).is_empty());
    for seed in 1..=3000 {
        let mut chance = Chance(seed);
        let mut bytes = good.as_bytes().to_vec();
        for _ in 0..=chance.below(4) {
            let at = chance.below(bytes.len());
            match chance.below(3) {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, PIECES[chance.below(PIECES.len())].as_bytes()[0]),
                _ => bytes[at] = u8::try_from(chance.below(256)).unwrap(),
            }
        }
        drop(check(&String::from_utf8_lossy(&bytes)).to_string());
        drop(Document::parse("p.yaml", &bytes).map_err(|diagnostics| diagnostics.to_string()));
    }
}
