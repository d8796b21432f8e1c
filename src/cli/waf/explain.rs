//! `edgeward waf explain`: what the firewall of a policy makes of a request that was saved, why, and what to write into
//! the policy to let it pass.

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Method};
use pingora::http::RequestHeader;
use serde_json::Value;

use super::wrong;
use crate::filters::waf::{Audit, is_sum, is_target};
use crate::filters::{Facts, Refusal};
use crate::http::head;
use crate::http::path::normalise;
use crate::policy::{Materials, Question, Route, Snapshot};
use crate::server;
use crate::waf::ftw::unchunked;

/// Longest request that is read.
const LARGEST_BYTES: u64 = 32 << 20;
/// Names of variables are cut off at this length.
const LONGEST_NAME: usize = 512;
/// The filter's name.
const KIND: &str = "waf";

/// A request as it was saved: a head and a body, as they go over HTTP/1.
#[derive(Debug)]
struct Saved {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Bytes,
}

/// Explains what is made of the request in `file` (`-`: standard input), on the route that takes it or on one by its name.
pub(crate) fn explain(policy: &Path, file: &Path, route: Option<&str>, json: bool) -> ExitCode {
    match explained(policy, file, route) {
        Ok((route, findings, decisions)) => {
            let refused = decisions.iter().any(Result::is_err);
            if json {
                println!("[{}]", findings.join(","));
            } else {
                print!("{}", text(&route.name, &findings, &decisions));
            }
            if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => wrong(&[error]),
    }
}

type Explained = (Arc<Route>, Vec<String>, Vec<Result<(), Box<Refusal>>>);

fn explained(policy: &Path, file: &Path, route: Option<&str>) -> Result<Explained, String> {
    let saved = read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let kept = Arc::new(Audit::Kept(Mutex::default()));
    let mut materials = Materials::dry().map_err(|error| error.to_string())?;
    materials.findings = Some(Arc::clone(&kept));
    let snapshot = server::read(policy, &materials, None).map_err(|wrong| wrong.to_string())?;
    let (request, target) = saved.request(&snapshot)?;
    let route = find(&snapshot, &request, &saved.host(), route)?;
    if !route.chain.kinds().any(|kind| kind == KIND) {
        return Err(format!("the route {} has no filter `{KIND}`", route.name));
    }
    let facts = facts(&saved, &route, target);
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
    let decisions = runtime.block_on(route.chain.review(KIND, (&request, &facts), &saved.body));
    let Audit::Kept(findings) = &*kept else { return Err("nothing was kept".to_owned()) };
    let findings = std::mem::take(&mut *findings.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((route, findings, decisions))
}

fn read(file: &Path) -> Result<Saved, String> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().take(LARGEST_BYTES + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(LARGEST_BYTES + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST_BYTES {
        return Err("longer than 32 MiB".to_owned());
    }
    Saved::parse(&bytes)
}

impl Saved {
    /// Lines may end without a carriage return, as editors leave them. A body ends where
    /// `Content-Length` says; a length that is missing is added.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let wrong = "expected a request as it is sent: POST /path HTTP/1.1, headers, an empty line, a body";
        let mut rest = bytes;
        let first = line(&mut rest).ok_or(wrong)?;
        let mut words = first.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        let mut word = || words.next().and_then(|word| String::from_utf8(word.to_vec()).ok());
        let (method, target) = (word().ok_or(wrong)?, word().ok_or(wrong)?);
        let mut headers = Vec::new();
        while let Some(line) = line(&mut rest).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':').ok_or(wrong)?);
            let name = String::from_utf8(name.to_vec()).map_err(|_| wrong)?;
            headers.push((name, value.get(1..).unwrap_or_default().trim_ascii().to_vec()));
        }
        let mut saved = Self { method, target, headers, body: Bytes::new() };
        let length = saved.header("content-length").and_then(|length| length.parse().ok());
        let body = length.and_then(|length: usize| rest.get(..length)).unwrap_or(rest);
        let is_chunked = length.is_none() && saved.header("transfer-encoding").is_some();
        // Tools save it with its chunks, or without.
        let unchunked = if is_chunked { unchunked(body) } else { None };
        saved.body = unchunked.map_or_else(|| Bytes::copy_from_slice(body), Bytes::from);
        // Without, it would be a request that no client sends.
        if !saved.body.is_empty() && length.is_none() && !is_chunked {
            saved.headers.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
        }
        Ok(saved)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    fn host(&self) -> String {
        head::host(self.header("host").unwrap_or_default().as_bytes())
    }

    /// The head with its path normalised, and the target as it was sent where that is another.
    fn request(&self, snapshot: &Snapshot) -> Result<(RequestHeader, Option<Box<str>>), String> {
        let normal = normalise(self.target.as_bytes(), &snapshot.paths)
            .map_err(|error| format!("is refused before any filter sees it: {}", error.reason()))?;
        let target = normal.to_target();
        let mut request = RequestHeader::build(self.method.as_str(), target.as_bytes(), None)
            .map_err(|error| error.to_string())?;
        for (name, value) in &self.headers {
            request
                .append_header(name.clone(), value.as_slice())
                .map_err(|_| format!("not a header: {name}"))?;
        }
        let sent = (target != self.target).then(|| self.target.as_str().into());
        Ok((request, sent))
    }
}

/// The next line, without its end.
fn line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    if rest.is_empty() {
        return None;
    }
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (line, after) = rest.split_at(end);
    *rest = after.get(1..).unwrap_or_default();
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

fn find(
    snapshot: &Snapshot,
    request: &RequestHeader,
    host: &str,
    name: Option<&str>,
) -> Result<Arc<Route>, String> {
    if let Some(name) = name {
        return snapshot.named(name).cloned().ok_or_else(|| format!("no route is called {name}"));
    }
    let (path, method): (&str, &Method) = (request.uri.path(), &request.method);
    let (query, headers): (&str, &HeaderMap) = (request.uri.query().unwrap_or_default(), &request.headers);
    let (route, _) = snapshot.route(&Question { host, path, query, method, headers });
    if Arc::ptr_eq(route, snapshot.unrouted()) {
        return Err(format!("no route takes {method} {path} of \"{host}\"; name one with --route"));
    }
    Ok(Arc::clone(route))
}

fn facts(saved: &Saved, route: &Route, sent_target: Option<Box<str>>) -> Facts {
    let nobody = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Facts {
        client_ip: nobody,
        peer_ip: nobody,
        scheme: "https",
        host: saved.host().into(),
        route: Arc::clone(&route.name),
        request_id: "explained".into(),
        received_ns: 0,
        time: SystemTime::now(),
        tls: None,
        listener: "127.0.0.1:443".into(),
        segments: Vec::new(),
        sent_target,
        has_body: !saved.body.is_empty(),
        to_grpc: route.is_grpc(),
    }
}

fn text(route: &str, findings: &[String], decisions: &[Result<(), Box<Refusal>>]) -> String {
    let mut text = format!("route {route}: ");
    text.push_str(match decisions.iter().find_map(|decision| decision.as_ref().err()) {
        Some(refusal) => refusal.reason,
        None => "passes",
    });
    text.push('\n');
    let (mut exclusions, mut whole) = (Vec::new(), Vec::new());
    for finding in findings {
        let Ok(finding) = serde_json::from_str::<Value>(finding) else { continue };
        if let (Some(score), Some(threshold)) = (finding["score"].as_u64(), finding["threshold"].as_u64()) {
            _ = writeln!(text, "score {score}, refused at {threshold}");
        }
        let rules = finding["rules"].as_array().into_iter().flatten();
        for rule in rules.filter(|rule| !rule["id"].as_u64().is_some_and(is_sum)) {
            push_rule(&mut text, rule);
            let found = exclusions_of(rule);
            let kept = if found.is_empty() { &mut whole } else { &mut exclusions };
            let found = if found.is_empty() { vec![format!("{{ id: {} }}", rule["id"])] } else { found };
            let new: Vec<_> = found.into_iter().filter(|exclusion| !kept.contains(exclusion)).collect();
            kept.extend(new);
        }
    }
    // What rules have counted themselves is nothing to leave out, unless nothing else was found.
    if exclusions.is_empty() {
        exclusions = whole;
    }
    if findings.is_empty() {
        text.push_str("no rule found anything\n");
    }
    if !exclusions.is_empty() {
        text.push_str(
            "\nIf this request is a good one, say so in the filter, with as few of these as suffice:\n\n",
        );
        text.push_str("  exclude:\n");
        for exclusion in exclusions {
            _ = writeln!(text, "    - {exclusion}");
        }
    }
    text
}

fn push_rule(text: &mut String, rule: &Value) {
    let of = |key: &str| rule[key].as_str().unwrap_or_default();
    let severity = if of("severity").is_empty() { "-" } else { of("severity") };
    _ = writeln!(text, "  {}  phase {}  {severity}  {}", rule["id"], rule["phase"], of("message"));
    let cut = if rule["value_at"].is_u64() { "…" } else { "" };
    _ = writeln!(text, "      {} = {cut}{}", of("variable"), of("value"));
    for variable in rule["also"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        _ = writeln!(text, "      {variable}");
    }
    _ = writeln!(text, "      {}:{}", of("file"), rule["line"]);
}

/// What keeps the rule from looking where it found something; nothing for what rules have put into variables of their own.
fn exclusions_of(rule: &Value) -> Vec<String> {
    let Some(id) = rule["id"].as_u64() else { return Vec::new() };
    let also = rule["also"].as_array().into_iter().flatten();
    let variables = std::iter::once(&rule["variable"]).chain(also).filter_map(Value::as_str);
    let variables: Vec<_> = variables.filter(|variable| !variable.starts_with("TX:")).collect();
    let targets: Vec<_> = variables.iter().map(|variable| target(variable)).collect();
    let is_all = rule["more"].as_bool() != Some(true) && targets.iter().all(Option::is_some);
    if variables.is_empty() {
        Vec::new()
    } else if is_all {
        let one = |target: String| format!("{{ id: {id}, target: {target} }}");
        targets.into_iter().flatten().map(one).collect()
    } else {
        vec![format!("{{ id: {id} }}")]
    }
}

/// How a policy names the variable, in quotes. Nothing if its name was cut off, or is no text.
fn target(variable: &str) -> Option<String> {
    if variable.len() >= LONGEST_NAME || variable.contains(char::REPLACEMENT_CHARACTER) {
        return None;
    }
    let (collection, member) = variable.split_once(':').unwrap_or((variable, ""));
    // Of XML, a policy names all texts, or all attributes.
    if collection == "XML" {
        return Some(if member.starts_with("//@") { "\"XML://@*\"" } else { "\"XML:/*\"" }.to_owned());
    }
    // What begins or ends with a slash is a pattern, or reads as if it were one.
    if is_target(variable) && !member.starts_with('/') {
        return Some(format!("\"{variable}\""));
    }
    let mut pattern = String::new();
    for byte in member.bytes() {
        match byte {
            b'_' | b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => pattern.push(char::from(byte)),
            byte => _ = write!(pattern, "\\x{byte:02x}"),
        }
    }
    let target = format!("{collection}:/^{pattern}$/");
    is_target(&target).then(|| format!("'{target}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_request_is_read_with_either_line_end() {
        for end in ["\r\n", "\n"] {
            let text =
                ["POST /a?b=c HTTP/1.1", "Host: A.example:8443", "Content-Length: 4", "", "body\n"].join(end);
            let saved = Saved::parse(text.as_bytes()).unwrap();
            assert_eq!((&*saved.method, &*saved.target, &*saved.host()), ("POST", "/a?b=c", "a.example"));
            assert_eq!(&saved.body[..], b"body");
        }
        let saved = Saved::parse(b"POST / HTTP/1.1\n\nbody").unwrap();
        assert_eq!(saved.header("content-length"), Some("4"));
        for (body, expected) in [
            ("3;a=b\r\nbod\r\n1\r\ny\r\n0\r\n\r\n", "body"),
            ("4\nbody\n0\n\n", "body"),
            ("body", "body"),
            ("ff\nbody", "ff\nbody"),
        ] {
            let saved =
                Saved::parse(format!("POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n{body}").as_bytes());
            assert_eq!(saved.unwrap().body, expected);
        }
        assert_eq!(Saved::parse(b"GET / HTTP/1.1\nHost: [::1]:80").unwrap().host(), "[::1]");
        assert_eq!(Saved::parse(b"GET / HTTP/1.1\nHost: Shop.:80").unwrap().host(), "shop");
        for wrong in [&b""[..], b"GET", b"GET / HTTP/1.1\nno header\n\n"] {
            Saved::parse(wrong).unwrap_err();
        }
    }

    #[test]
    fn an_exclusion_names_the_narrowest_targets_that_a_policy_may_name() {
        let of = |rule: Value| exclusions_of(&rule).join(" ");
        let rule = |variable: &str| serde_json::json!({ "id": 942_100, "variable": variable });
        for (variable, target) in [
            ("ARGS:q", "\"ARGS:q\""),
            ("REQUEST_BODY", "\"REQUEST_BODY\""),
            ("ARGS:a\"b", r"'ARGS:/^a\x22b$/'"),
            ("ARGS:my note", r"'ARGS:/^my\x20note$/'"),
            ("ARGS:it's", r"'ARGS:/^it\x27s$/'"),
            ("ARGS:ö", r"'ARGS:/^\xc3\xb6$/'"),
            ("ARGS:/x/", r"'ARGS:/^\x2fx\x2f$/'"),
            ("XML:/*", "\"XML:/*\""),
            ("XML://@*:b", "\"XML://@*\""),
        ] {
            assert_eq!(of(rule(variable)), format!("{{ id: 942100, target: {target} }}"));
            assert!(is_target(target.trim_matches(['"', '\''])), "{target}");
        }
        assert_eq!(of(rule("TX:blocking_inbound_anomaly_score")), "");
        for cut in ["ARGS:\u{fffd}", &"a".repeat(512)] {
            assert_eq!(of(rule(cut)), "{ id: 942100 }");
        }
        let mut two = rule("ARGS:a");
        two["also"] = serde_json::json!(["ARGS:b"]);
        assert_eq!(of(two.clone()), "{ id: 942100, target: \"ARGS:a\" } { id: 942100, target: \"ARGS:b\" }");
        two["more"] = true.into();
        assert_eq!(of(two), "{ id: 942100 }");
    }
}
