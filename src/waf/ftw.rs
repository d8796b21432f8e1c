//! Runs tests in the format of go-ftw, such as the Core Rule Set's own, in process, as go-ftw runs them against a server.
//!
//! A test is stages; a stage is a request and what is expected of it: which rules say that they matched, what the log says,
//! which answer comes. The documents are YAML, which the caller reads: [`Document`] is what it reads them into. Both forms are
//! read, the one of go-ftw 1 and later, and the older one of Python's ftw (`stage:`, `test_title`, `log_contains`).
//!
//! No server is there. A response is what the stage says (`response`), or, for requests to `/reflect`, what their body says in
//! JSON, as the project's test server has it, or else an empty 200. What only a server says is not looked at: a stage that
//! expects nothing but that is skipped. The rules only watch, and go on after one of them refused.

mod document;
mod judge;
mod request;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

pub use document::Document;
use document::{Input, Output};
pub use request::unchunked;
pub(super) use request::{Request, Response};

use super::engine::{Disruption, Engine, Interruption, Transaction};

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
        let test_id = test.id.unwrap_or(number);
        let enabled = enabled && test.enabled != Some(false);
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
