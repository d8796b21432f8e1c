//! Cases of caching as text, in `cases/*.txt`: what a client asks, what the origin answers if it is asked, what the client
//! sees.
//!
//! ```text
//! filter: {}                        the policy's `cache`, for all cases of the file
//! ## a fresh answer is used again   begins a case; each has a host of its own, `{host}`
//! > GET /a | accept: text/html      a request; the target is `/` if it is left out
//! < 200 | cache-control: max-age=60 the origin is asked, and answers so; its content is `answer 1`, then `answer 2`, …
//! <? 200                            the same, but it may or may not be asked
//! ^ if-none-match: "a" | -range     what the origin was sent, and what not
//! = 200 #1 | age: 7 | -etag         what the client gets: status, whose content, fields
//! ```
//!
//! `+ name | field: value` is short for two requests, of which the second is answered from what is stored; with `-` it is not.
//! `@status` and `>field` say which status the answer, and what fields the requests have.
//!
//! Where no `<` follows, the origin must not be asked. Without `=` the client must get what the origin answered, or else the
//! latest whole content. `{now-60}` is a date; `@body`, `@head`, `@raw` and `@close` say more of an answer.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::policy;
use crate::harness::{Client, Edge, Origin, Reply, Response, Seen};

/// Fields that origins of these cases send.
const FIELDS: [&str; 31] = [
    "accept-ranges",
    "authentication-info",
    "cdn-cache-control",
    "clear-site-data",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-location",
    "content-md5",
    "content-range",
    "content-security-policy",
    "etag",
    "expires",
    "last-modified",
    "link",
    "pragma",
    "proxy-connection",
    "public-key-pins",
    "referrer-policy",
    "server",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "surrogate-control",
    "surrogate-key",
    "upgrade",
    "via",
    "warning",
    "x-content-type-options",
    "x-frame-options",
    "x-xss-protection",
];

/// One request of a case, and what is to become of it.
#[derive(Debug, Default, Clone)]
struct Step {
    line: usize,
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    /// What the origin answers; `None` if it must not be asked.
    answer: Option<Answer>,
    /// What the origin must have been sent.
    sent: Vec<(String, String)>,
    /// What the client must get.
    status: Option<u16>,
    body: Option<String>,
    got: Vec<(String, String)>,
}

#[derive(Debug, Default, Clone)]
struct Answer {
    status: u16,
    fields: Vec<(String, String)>,
    body: String,
    may: bool,
}

struct Case {
    name: String,
    host: String,
    steps: Vec<Step>,
}

/// What the origin has still to answer at each host.
type Script = Arc<Mutex<HashMap<String, VecDeque<Answer>>>>;

fn run(file: &str) {
    let path = format!("{}/tests/it/cache/cases/{file}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let (filter, cases) = parse(&text);
    let script = Script::default();
    let scripted = script.clone();
    let origin = Origin::start(move |seen: &Seen| reply(seen, &scripted));
    let text = policy(&filter).replace("methods: [PURGE]", "methods: [PURGE, FOO, M-SEARCH]");
    let edge = Edge::policy(&text).with("origin", origin.address()).start();
    let mut faults = String::new();
    for case in &cases {
        for (index, step) in case.steps.iter().enumerate() {
            if let Err(fault) = perform(&edge, &origin, &script, case, step, index) {
                _ = writeln!(faults, "{file}.txt:{}: {}: {fault}", step.line, case.name);
                break;
            }
        }
    }
    println!("{file}: {} cases", cases.len());
    assert!(faults.is_empty(), "\n{faults}");
}

/// The answer that is due at the host; one that nobody expects has a status of its own.
fn reply(seen: &Seen, script: &Script) -> Reply {
    let host = seen.header("host").unwrap_or_default().to_owned();
    let answer = script.lock().unwrap().get_mut(&host).and_then(VecDeque::pop_front);
    let Some(answer) = answer else { return Reply::status(555, &[], "not to be asked") };
    let pseudo = |name: &str| answer.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    if pseudo("@close").is_some() {
        return Reply::nothing().close();
    }
    if let Some(raw) = pseudo("@raw") {
        return Reply::raw(raw.replace("\\r\\n", "\r\n")).close();
    }
    let mut head = format!("HTTP/1.1 {} Said So\r\n", answer.status);
    for (name, value) in answer.fields.iter().filter(|(name, _)| !name.starts_with('@')) {
        _ = write!(head, "{name}: {value}\r\n");
    }
    let is_bodiless = matches!(answer.status, 204 | 304);
    if !is_bodiless && !answer.fields.iter().any(|(name, _)| name == "content-length") {
        _ = write!(head, "content-length: {}\r\n", answer.body.len());
    }
    let body = if is_bodiless || seen.method() == "HEAD" { "" } else { &answer.body };
    Reply::raw(format!("{head}\r\n{body}"))
}

fn perform(
    edge: &Edge,
    origin: &Origin,
    script: &Script,
    case: &Case,
    step: &Step,
    index: usize,
) -> Result<(), String> {
    let before = origin.count();
    if let Some(answer) = &step.answer {
        script.lock().unwrap().insert(case.host.clone(), [answer.clone()].into());
    }
    let response = ask(edge, case, step)?;
    script.lock().unwrap().remove(&case.host);
    let asked = origin.count() - before;
    let at = format!("request {}", index + 1);
    let told = response.all("cache-status").join(", ");
    match &step.answer {
        None if asked > 0 => return Err(format!("{at} reached the origin ({told})")),
        Some(answer) if !answer.may && asked == 0 => {
            return Err(format!("{at} did not reach the origin ({told})"));
        }
        _ if asked > 1 => return Err(format!("{at} reached the origin {asked} times ({told})")),
        _ => {}
    }
    for (name, value) in &step.sent {
        let last = origin.last();
        check(name, value, &last.all(name.trim_start_matches('-')))
            .map_err(|fault| format!("{at}, as the origin saw it: {fault}"))?;
    }
    let status = step.status.or(step.answer.as_ref().filter(|_| asked > 0).map(|answer| answer.status));
    let status = status.unwrap_or(response.status);
    if response.status != status {
        return Err(format!("{at} got {} instead of {status} ({told})", response.status));
    }
    let body = step
        .body
        .clone()
        .or_else(|| step.answer.as_ref().filter(|_| asked > 0).map(|answer| answer.body.clone()));
    let body = body.or_else(|| latest(case, index)).unwrap_or_default();
    let is_bodiless = step.method == "HEAD" || matches!(response.status, 204 | 304);
    if !is_bodiless && body != "*" && response.text() != body {
        return Err(format!("{at} got {:?} instead of {body:?} ({told})", response.text()));
    }
    for (name, value) in &step.got {
        check(name, value, &response.all(name.trim_start_matches('-')))
            .map_err(|fault| format!("{at}: {fault} ({told})"))?;
    }
    Ok(())
}

fn ask(edge: &Edge, case: &Case, step: &Step) -> Result<Response, String> {
    let mut client: Client = edge.client("listen").allow(&FIELDS);
    let mut fields: Vec<_> =
        step.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    if !fields.iter().any(|(name, _)| *name == "host") {
        fields.push(("host", &case.host));
    }
    let content = fields.iter().find(|(name, _)| *name == "@body").map_or("", |(_, value)| value).to_owned();
    fields.retain(|(name, _)| !name.starts_with('@'));
    let mut head = format!("{} {} HTTP/1.1\r\n", step.method, step.target);
    for (name, value) in fields {
        _ = write!(head, "{name}: {value}\r\n");
    }
    if !content.is_empty() {
        _ = write!(head, "content-length: {}\r\n", content.len());
    }
    client.send(format!("{head}\r\n{content}"));
    client.try_response(&step.method).map_err(|fault| format!("no answer: {fault:?}"))
}

/// The content of the answer that a hit is made of.
fn latest(case: &Case, index: usize) -> Option<String> {
    let earlier = case.steps.iter().take(index).rev().filter(|step| step.method != "HEAD");
    let answers = earlier.filter_map(|step| step.answer.as_ref().filter(|answer| answer.status != 304));
    let answers: Vec<_> = answers.collect();
    let good = answers.iter().find(|answer| answer.status < 500).or(answers.first());
    good.map(|answer| answer.body.clone())
}

/// `-name`: the field is not there; `*`: with any value; `~text`: with this in it.
fn check(name: &str, expected: &str, values: &[&str]) -> Result<(), String> {
    let joined = values.join(", ");
    let good = match (name.strip_prefix('-'), expected.strip_prefix('~')) {
        (Some(_), _) => values.is_empty(),
        (None, Some(part)) => joined.contains(part),
        (None, None) if expected == "*" => !values.is_empty(),
        (None, None) => !values.is_empty() && joined == expected,
    };
    if good { Ok(()) } else { Err(format!("{name} is {joined:?}, not {expected:?}")) }
}

fn parse(text: &str) -> (String, Vec<Case>) {
    let (mut filter, mut cases, now) = ("{}".to_owned(), Vec::<Case>::new(), SystemTime::now());
    let mut count = 0;
    for (number, line) in
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with("//"))
    {
        let host = format!("c{}.test", cases.len());
        let current = cases.last().map_or(&host, |case| &case.host);
        let line = &dated(&line.replace("{host}", current), now);
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        if mark == "filter:" {
            rest.clone_into(&mut filter);
            continue;
        }
        if mark == "##" {
            count = 0;
            cases.push(Case { name: rest.to_owned(), host, steps: Vec::new() });
            continue;
        }
        if let "+" | "-" = mark {
            let steps = twice(number + 1, rest, mark == "+");
            let name = rest.to_owned();
            cases.push(Case { name, host, steps });
            continue;
        }
        let steps = &mut cases.last_mut().expect("a case").steps;
        let (first, fields) = parts(rest);
        if mark == ">" {
            let (method, target) = first.split_once(' ').unwrap_or((&first, "/"));
            let (method, target) = (method.to_owned(), target.to_owned());
            steps.push(Step { line: number + 1, method, target, fields, ..Step::default() });
            continue;
        }
        let step = steps.last_mut().expect("a request");
        match mark {
            "<" | "<?" => {
                count += 1;
                let body = fields.iter().find(|(name, _)| name == "@body").map(|(_, body)| body.clone());
                let body = body.unwrap_or_else(|| format!("answer {count}"));
                let status = first.parse().unwrap_or(200);
                step.answer = Some(Answer { status, fields, body, may: mark == "<?" });
            }
            "^" => step.sent = fields,
            "=" => {
                for word in first.split_whitespace() {
                    match word.strip_prefix('#') {
                        Some(number) => step.body = Some(format!("answer {number}")),
                        None => step.status = Some(word.parse().expect("a status")),
                    }
                }
                let body = fields.iter().find(|(name, _)| name == "@body").map(|(_, body)| body.clone());
                step.body = body.or(step.body.take());
                step.got = fields.into_iter().filter(|(name, _)| name != "@body").collect();
            }
            other => panic!("line {}: {other}", number + 1),
        }
    }
    (filter, cases)
}

fn twice(line: usize, text: &str, is_stored: bool) -> Vec<Step> {
    let (mut asked, mut fields, mut status) = (Vec::new(), Vec::new(), 200);
    for (name, value) in parts(&format!("x | {}", text.split_once(" | ").map_or("", |(_, fields)| fields))).1
    {
        match (name.strip_prefix('>'), name.as_str()) {
            (Some(name), _) => asked.push((name.to_owned(), value)),
            (None, "@status") => status = value.parse().expect("a status"),
            (None, "") => {}
            _ => fields.push((name, value)),
        }
    }
    let step = |number: usize| {
        let answer = Answer { status, fields: fields.clone(), body: format!("answer {number}"), may: false };
        let answer = Some(answer).filter(|_| number == 1 || !is_stored);
        let status = Some(status);
        let (method, target) = ("GET".to_owned(), "/".to_owned());
        Step { line, method, target, fields: asked.clone(), answer, status, ..Step::default() }
    };
    vec![step(1), step(2)]
}

/// What stands before the first field, and the fields.
fn parts(text: &str) -> (String, Vec<(String, String)>) {
    let mut pieces = text.split(" | ");
    let mut first = pieces.next().unwrap_or_default().trim();
    let field = |piece: &str| {
        let (name, value) = piece.split_once(':').unwrap_or((piece, ""));
        (name.trim().to_owned(), value.trim().to_owned())
    };
    let mut fields = Vec::new();
    // A line may begin with a field.
    let is_field = |text: &str| text.starts_with('-') || text.starts_with('@') || text.contains(": ");
    if is_field(first) {
        fields.push(field(first));
        first = "";
    }
    fields.extend(pieces.map(field));
    (first.to_owned(), fields)
}

/// Puts dates for `{now}`, `{now-60}`, `{asctime+60}` and `{rfc850+60}`.
fn dated(line: &str, now: SystemTime) -> String {
    let mut text = line.to_owned();
    while let Some(start) =
        text.find("{now").or_else(|| text.find("{rfc850")).or_else(|| text.find("{asctime"))
    {
        let end = start + text[start..].find('}').expect("a brace");
        let inner = &text[start + 1..end];
        let digits = inner.find(['+', '-']).unwrap_or(inner.len());
        let offset: i64 = inner[digits..].parse().unwrap_or(0);
        let span = Duration::from_secs(offset.unsigned_abs());
        let time = if offset < 0 { now - span } else { now + span };
        let date = httpdate::fmt_http_date(time);
        let words: Vec<&str> = date.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        let [day, date_of_month, month, year, clock, _] = words[..] else { panic!("{date}") };
        let date = match &inner[..digits] {
            "rfc850" => {
                let long = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
                let long = long.iter().find(|long| long.starts_with(day)).expect("a day");
                format!("{long}, {date_of_month}-{month}-{} {clock} GMT", &year[2..])
            }
            "asctime" => format!("{day} {month} {:>2} {clock} {year}", date_of_month.trim_start_matches('0')),
            _ => date,
        };
        text.replace_range(start..=end, &date);
    }
    text
}

macro_rules! tables {
    ($($name:ident)*) => { $( #[test] fn $name() { run(stringify!($name)); } )* };
}

tables! { freshness directives targeted conditions updates ranges methods variants statuses fields stale credentials attacks }
