//! Runs tests in the format of go-ftw, such as the Core Rule Set's own, in process, as go-ftw runs them against a server.
//!
//! A test is stages; a stage is a request and what is expected of it: which rules say that they matched, what the log says,
//! which answer comes. The documents are YAML, which the caller reads: [`Document`] is what it reads them into. Both forms are
//! read, the one of go-ftw 1 and later, and the older one of Python's ftw (`stage:`, `test_title`, `log_contains`).
//!
//! No server is there. A response is what the stage says (`response`), or, for requests to `/reflect`, what their body says in
//! JSON, as the project's test server has it, or else an empty 200. What only a server says is not looked at: a stage that
//! expects nothing but that is skipped. The rules only watch, and go on after one of them refused.

mod judge;
mod request;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::engine::{Disruption, Engine, Interruption, Transaction};
pub use request::unchunked;
pub(super) use request::{Request, Response};

/// A file of tests. At its top people write more than the format has, such as an author.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Document {
    /// Who wrote it, and whether it is to be run: not if `enabled` is `false`.
    pub meta: serde_json::Value,
    /// The rule it is about. The old form has it in the titles of the tests.
    pub rule_id: Option<u64>,
    /// Its tests.
    pub tests: Vec<Test>,
}

/// One test.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Test {
    /// Unique in its file. Default: its position, from 1.
    pub test_id: Option<u64>,
    /// `942100-1`: the rule and the test's number, in the old form.
    pub test_title: Option<Text>,
    /// In order.
    pub stages: Vec<Stage>,
    #[serde(rename = "desc", alias = "description")]
    _about: Option<IgnoredAny>,
    #[serde(rename = "tags")]
    _tags: Option<IgnoredAny>,
    #[serde(rename = "enabled")]
    _enabled: Option<IgnoredAny>,
}

/// One request, and what is expected. The old form has it one level deeper.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stage {
    #[serde(rename = "stage")]
    inner: Option<Box<Self>>,
    input: Input,
    output: Output,
    #[serde(rename = "description", alias = "desc")]
    _about: Option<IgnoredAny>,
}

/// A request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Input {
    /// Default `GET`.
    pub method: Option<String>,
    /// Default `/`.
    pub uri: Option<String>,
    /// Default `HTTP/1.1`.
    pub version: Option<String>,
    /// In order of their names.
    pub headers: BTreeMap<String, Text>,
    /// In their own order, after [`headers`](Self::headers); a name may occur twice.
    pub ordered_headers: Vec<Header>,
    /// The body.
    pub data: Option<Text>,
    /// The body in base64.
    pub encoded_data: Option<String>,
    /// The whole request in base64, in place of all above.
    #[serde(alias = "raw_request")]
    pub encoded_request: Option<String>,
    /// Whether `Content-Length`, `Content-Type` and `Connection` are added where they are missing, and the body is written as
    /// its type wants it. Default: yes.
    pub autocomplete_headers: Option<bool>,
    /// The same, the other way round, in the old form.
    pub stop_magic: Option<bool>,
    /// The request goes where the answer before it redirects to.
    pub follow_redirect: bool,
    /// Cookies of the answer are sent with the stages after it.
    pub save_cookie: bool,
    /// What the server answers.
    pub response: Option<Response>,
    /// The server's address, if it is one; names are none. Default `127.0.0.1`.
    pub dest_addr: Option<Text>,
    /// The server's port. Default `80`.
    pub port: Option<u16>,
    // How the server is reached, which none is.
    #[serde(rename = "protocol")]
    _protocol: Option<IgnoredAny>,
    #[serde(rename = "virtual_host_mode")]
    _virtual_host_mode: Option<IgnoredAny>,
}

/// A header.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub name: String,
    pub value: Text,
}

/// Text, which YAML may take for a number.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Text {
    Text(String),
    Integer(i64),
    Number(f64),
    Truth(bool),
    Lines(Vec<String>),
    Nothing(()),
}

impl Text {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Truth(truth) => truth.to_string(),
            Self::Lines(lines) => lines.join("\r\n"),
            Self::Nothing(()) => String::new(),
        }
    }
}

/// What is expected. Patterns are regular expressions.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// The answer's status, or several of which it is one.
    pub status: Option<Statuses>,
    /// A pattern that the answer matches, from its first line to the end of its body.
    #[serde(alias = "html_contains")]
    pub response_contains: Option<String>,
    /// What is logged.
    pub log: Log,
    /// A pattern that the log matches, in the old form.
    pub log_contains: Option<String>,
    /// A pattern that it does not.
    pub no_log_contains: Option<String>,
    /// There is no answer: the request cannot be sent, or a rule closes the connection.
    pub expect_error: Option<bool>,
    /// Only the rules in `expect_ids` say that they matched.
    pub isolated: bool,
    // Here nothing comes too late.
    #[serde(rename = "retry_once")]
    _retry_once: Option<IgnoredAny>,
}

/// One status, or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Statuses {
    One(u16),
    Several(Vec<u16>),
}

impl Statuses {
    fn all(&self) -> &[u16] {
        match self {
            Self::One(status) => std::slice::from_ref(status),
            Self::Several(statuses) => statuses,
        }
    }
}

/// What is expected of the log.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Rules that match.
    pub expect_ids: Vec<u64>,
    /// Rules that do not.
    pub no_expect_ids: Vec<u64>,
    /// A pattern that a line of the log matches.
    pub match_regex: Option<String>,
    /// A pattern that none does.
    pub no_match_regex: Option<String>,
}

/// How a stage ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    Passed,
    /// Why.
    Failed(String),
    /// It says nothing of rules, so there is nothing to see without a server.
    Skipped,
}

/// A stage that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The rule of its file.
    pub rule: u64,
    /// Its test.
    pub test: u64,
    /// From 0.
    pub stage: usize,
    /// How it ended.
    pub ending: Ending,
}

/// Runs all tests of a document.
pub fn run(engine: &Arc<Engine>, document: &Document) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let enabled = document.meta["enabled"] != false;
    for (test, position) in document.tests.iter().zip(1..) {
        let (rule, number) = test.named().unwrap_or((document.rule_id.unwrap_or_default(), position));
        let test_id = test.test_id.unwrap_or(number);
        let mut session = Session::default();
        for (stage, at) in test.stages.iter().zip(0..) {
            let stage = stage.inner.as_deref().unwrap_or(stage);
            let ending =
                if enabled { session.run(engine, &stage.input, &stage.output) } else { Ending::Skipped };
            outcomes.push(Outcome { rule, test: test_id, stage: at, ending });
        }
    }
    outcomes
}

impl Test {
    /// The rule and the number that its title has.
    fn named(&self) -> Option<(u64, u64)> {
        let title = self.test_title.as_ref()?.text();
        let (rule, number) = title.split_once('-')?;
        Some((rule.parse().ok()?, number.parse().ok()?))
    }
}

/// What stages of a test know of those before them.
#[derive(Debug, Default)]
struct Session {
    /// `name=value`, by name.
    cookies: BTreeMap<String, String>,
    /// Where the last answer redirects to.
    location: Option<String>,
}

impl Session {
    fn run(&mut self, engine: &Arc<Engine>, input: &Input, expected: &Output) -> Ending {
        let mut request = match Request::new(input) {
            Ok(request) => request,
            Err(_) if expected.expect_error == Some(true) => return Ending::Passed,
            Err(what) => return Ending::Failed(what),
        };
        if input.follow_redirect {
            match &self.location {
                Some(location) => request.go_to(location),
                None => return Ending::Failed("the answer before it is no redirect".to_owned()),
            }
        }
        request.add_cookies(&self.cookies);
        let response = input.response.clone().map_or_else(|| request.response(), Response::decoded);
        let server = SocketAddr::new(input.server(), input.port.unwrap_or(80));
        let transaction = send_to(engine, &request, &response, server);
        if input.save_cookie {
            let set = response.header("set-cookie").and_then(|cookie| cookie.split(';').next());
            let cookie = set.and_then(|cookie| cookie.split_once('='));
            self.cookies
                .extend(cookie.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())));
        }
        self.location = match transaction.interruption() {
            Some(Interruption { disruption: Disruption::Redirect { location, .. }, .. }) => {
                Some(String::from_utf8_lossy(location).into_owned())
            }
            None if (300..400).contains(&response.status) => response.header("location").map(str::to_owned),
            _ => None,
        };
        judge::judge(expected, &transaction, &response, &request)
    }
}

impl Input {
    fn server(&self) -> IpAddr {
        let named = self.dest_addr.as_ref().and_then(|address| address.text().parse().ok());
        named.unwrap_or(IpAddr::from([127, 0, 0, 1]))
    }
}

/// Runs a request and its response through all phases.
pub(super) fn send(engine: &Arc<Engine>, request: &Request, response: &Response) -> Transaction {
    send_to(engine, request, response, SocketAddr::from(([127, 0, 0, 1], 80)))
}

fn send_to(engine: &Arc<Engine>, request: &Request, response: &Response, server: SocketAddr) -> Transaction {
    let mut transaction = engine.begin("test");
    transaction.connection(SocketAddr::from(([127, 0, 0, 1], 40_000)), server);
    transaction.request(&request.method, &request.target, &request.protocol);
    for (name, value) in &request.headers {
        transaction.request_header(name, value);
    }
    transaction.request_headers();
    if transaction.wants_request_body() {
        transaction.request_body(&request.body);
    }
    transaction.request_body_end();
    transaction.response(b"HTTP/1.1", response.status);
    for (name, value) in &response.headers {
        transaction.response_header(name.as_bytes(), value.as_bytes());
    }
    if response.header("content-type").is_none() && !response.body.is_empty() {
        transaction.response_header(b"Content-Type", b"text/plain");
    }
    transaction.response_headers();
    if transaction.wants_response_body() {
        transaction.response_body(response.body.as_bytes());
    }
    transaction.response_body_end();
    transaction.logging();
    transaction
}
