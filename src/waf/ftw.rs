//! Runs the tests of the Core Rule Set in process, as go-ftw runs them against a server.
//!
//! A test is stages; a stage is a request and which rules must, or must not, say that they matched. The documents are
//! YAML, which the caller reads: [`Document`] is what it reads them into. A response comes from no server: requests to
//! `/reflect` say in JSON what is to come back, as the project's test server has it; others get an empty 200.

mod request;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::Deserialize;

use super::engine::{Engine, Match, Transaction};
pub(super) use request::{Request, Response};

/// A file of tests.
#[derive(Debug, Clone, Deserialize)]
pub struct Document {
    /// The rule it is about.
    pub rule_id: u64,
    /// Its tests.
    #[serde(default)]
    pub tests: Vec<Test>,
}

/// One test.
#[derive(Debug, Clone, Deserialize)]
pub struct Test {
    /// Unique in its file.
    #[serde(default)]
    pub test_id: u64,
    /// What is tested.
    #[serde(default)]
    pub desc: String,
    /// In order.
    pub stages: Vec<Stage>,
}

/// One request, and what is expected. Old documents have it one level deeper.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Stage {
    Plain { input: Box<Input>, output: Output },
    Nested { stage: Box<Nested> },
}

impl Stage {
    /// The request.
    pub fn input(&self) -> &Input {
        match self {
            Self::Plain { input, .. } => input,
            Self::Nested { stage } => &stage.input,
        }
    }

    /// What is expected.
    pub fn output(&self) -> &Output {
        match self {
            Self::Plain { output, .. } => output,
            Self::Nested { stage } => &stage.output,
        }
    }
}

/// See [`Stage`].
#[derive(Debug, Clone, Deserialize)]
pub struct Nested {
    input: Box<Input>,
    output: Output,
}

/// A request.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Input {
    /// Default `GET`.
    pub method: Option<String>,
    /// Default `/`.
    pub uri: Option<String>,
    /// Default `HTTP/1.1`.
    pub version: Option<String>,
    /// In order of their names; a header of a test occurs once.
    #[serde(default)]
    pub headers: BTreeMap<String, Text>,
    /// The body.
    pub data: Option<Text>,
    /// The whole request in base64, in place of all above.
    pub encoded_request: Option<String>,
    /// Whether `Content-Length`, `Content-Type` and `Connection` are added where they are missing. Default: yes.
    pub autocomplete_headers: Option<bool>,
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
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Integer(number) => number.to_string().into_bytes(),
            Self::Number(number) => number.to_string().into_bytes(),
            Self::Truth(truth) => truth.to_string().into_bytes(),
            Self::Lines(lines) => lines.join("\r\n").into_bytes(),
            Self::Nothing(()) => Vec::new(),
        }
    }
}

/// What is expected.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Output {
    /// The response's status. A server in front decides it as often as a rule does, so it is not looked at here.
    #[serde(default)]
    pub status: Option<u16>,
    /// What is logged.
    #[serde(default)]
    pub log: Log,
}

/// What is expected of the log.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Log {
    /// Rules that match.
    #[serde(default)]
    pub expect_ids: Vec<u64>,
    /// Rules that do not.
    #[serde(default)]
    pub no_expect_ids: Vec<u64>,
    /// A pattern that the log matches.
    pub match_regex: Option<String>,
    /// A pattern that it does not.
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
    let stages =
        document.tests.iter().flat_map(|test| test.stages.iter().zip(0..).map(move |stage| (test, stage)));
    let outcome = |(test, (stage, at)): (&Test, (&Stage, usize))| {
        let ending = run_stage(engine, stage.input(), &stage.output().log);
        Outcome { rule: document.rule_id, test: test.test_id, stage: at, ending }
    };
    stages.map(outcome).collect()
}

fn run_stage(engine: &Arc<Engine>, input: &Input, expected: &Log) -> Ending {
    let says_nothing = expected.expect_ids.is_empty()
        && expected.no_expect_ids.is_empty()
        && expected.match_regex.is_none()
        && expected.no_match_regex.is_none();
    if says_nothing {
        return Ending::Skipped;
    }
    match replay(engine, input) {
        Ok(transaction) => judge(expected, transaction.matches()),
        Err(what) => Ending::Failed(what),
    }
}

/// Runs a request, and the response it asks for, through all phases.
///
/// # Errors
/// What is wrong with the input.
pub fn replay(engine: &Arc<Engine>, input: &Input) -> Result<Transaction, String> {
    let request = Request::new(input)?;
    Ok(send(engine, &request, &request.response()))
}

/// Runs a request and its response through all phases.
pub(super) fn send(engine: &Arc<Engine>, request: &Request, response: &Response) -> Transaction {
    let mut transaction = engine.begin("test");
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    transaction.connection(address(40_000), address(80));
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
    let typed = response.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
    if !typed && !response.body.is_empty() {
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

fn judge(expected: &Log, matches: &[Match]) -> Ending {
    let logged = |id: &u64| matches.iter().any(|found| found.log && found.rule == *id);
    let missing: Vec<_> = expected.expect_ids.iter().filter(|id| !logged(id)).collect();
    let unwanted: Vec<_> = expected.no_expect_ids.iter().filter(|id| logged(id)).collect();
    if !missing.is_empty() {
        let found: Vec<_> = matches.iter().filter(|found| found.log).map(|found| found.rule).collect();
        return Ending::Failed(format!("{missing:?} did not match; {found:?} did"));
    }
    if !unwanted.is_empty() {
        return Ending::Failed(format!("{unwanted:?} matched"));
    }
    let lines = || {
        let line = |found: &Match| {
            let (message, data) = (found.message.escape_debug(), found.data.escape_debug());
            format!("[id \"{}\"] [msg \"{message}\"] [data \"{data}\"] {}\n", found.rule, found.variable)
        };
        matches.iter().filter(|found| found.log).map(line).collect::<String>()
    };
    let has = |pattern: &String| regex::Regex::new(pattern).map(|pattern| pattern.is_match(&lines()));
    for (pattern, wanted) in [(&expected.match_regex, true), (&expected.no_match_regex, false)] {
        match pattern.as_ref().map(has) {
            Some(Ok(found)) if found != wanted => return Ending::Failed(format!("the log: {}", lines())),
            Some(Err(error)) => return Ending::Failed(error.to_string()),
            _ => {}
        }
    }
    Ending::Passed
}
