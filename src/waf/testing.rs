//! What the tests of the engine share: rules from text, requests in a line. Each request is run with the prefilter and
//! without, and both must come to the same.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::ir::{EngineState, Program};
use super::seclang::{self, Fault, Loader, Unsupported};
use super::{Clock, CompileError, Engine, Limits, Mode, Options, Report, Transaction, Verdict};

/// Files in memory.
#[derive(Default)]
pub(super) struct Files(pub(super) BTreeMap<&'static str, &'static str>);

impl Loader for Files {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let text = self.0.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(text.as_bytes().to_vec())
    }

    fn expand(&self, pattern: &str) -> io::Result<Vec<String>> {
        let Some((front, back)) = pattern.split_once('*') else { return Ok(vec![pattern.to_owned()]) };
        let matches = |path: &&str| path.starts_with(front) && path.ends_with(back);
        Ok(self.0.keys().copied().filter(|path| matches(path)).map(str::to_owned).collect())
    }
}

/// Stands still.
struct Stopped;

impl Clock for Stopped {
    fn monotonic_ns(&self) -> u64 {
        0
    }

    fn unix_ms(&self) -> u64 {
        1_709_210_096_000
    }
}

pub(super) fn options(mode: Mode) -> Options {
    Options {
        mode,
        limits: Limits::default(),
        clock: Arc::new(Stopped),
        state: None,
        unsupported: Unsupported::Refuse,
    }
}

/// Reads rules beside these files.
pub(super) fn load(files: &Files, rules: &str) -> Result<Program, Vec<Fault>> {
    seclang::load(files, ("rules", rules), Unsupported::Refuse).map(|loaded| loaded.program)
}

pub(super) fn compile(rules: &str, options: Options) -> Result<(Arc<Engine>, Report), Vec<CompileError>> {
    let program = load(&Files::default(), rules).unwrap_or_else(|faults| panic!("{faults:?}"));
    Engine::compile(&program, options)
}

/// A request: its line, headers, body.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
}

pub(super) fn get(target: &str) -> Request<'_> {
    Request { method: "GET", target, ..Request::default() }
}

pub(super) fn post<'a>(headers: &'a [(&'a str, &'a str)], body: &'a str) -> Request<'a> {
    Request { method: "POST", target: "/", headers, body: body.as_bytes() }
}

impl Request<'_> {
    /// Through the phases of the request and the log.
    pub(super) fn run(&self, engine: &Arc<Engine>) -> (Transaction, Verdict) {
        let mut transaction = engine.begin("id");
        transaction.connection(([192, 0, 2, 7], 4_000).into(), ([192, 0, 2, 1], 80).into());
        transaction.request(self.method.as_bytes(), self.target.as_bytes(), b"HTTP/1.1");
        for (name, value) in self.headers {
            transaction.request_header(name.as_bytes(), value.as_bytes());
        }
        let mut verdict = transaction.request_headers();
        if verdict == Verdict::Pass {
            transaction.request_body(self.body);
            verdict = transaction.request_body_end();
        }
        transaction.logging();
        (transaction, verdict)
    }
}

/// Runs the request both ways.
pub(super) fn run(rules: &str, request: Request<'_>) -> (Transaction, Verdict) {
    let with = |mode| compile(rules, options(mode)).unwrap_or_else(|errors| panic!("{errors:?}")).0;
    let (plain, verdict) = request.run(&with(Mode::Naive));
    let (filtered, other) = request.run(&with(Mode::Filtered));
    assert_eq!(
        plain.matches().iter().map(seen).collect::<Vec<_>>(),
        filtered.matches().iter().map(seen).collect::<Vec<_>>()
    );
    assert_eq!((&verdict, plain.interruption()), (&other, filtered.interruption()));
    (filtered, verdict)
}

fn seen(found: &super::Match) -> (u64, String, String, Vec<u8>, String) {
    (found.rule, found.message.clone(), found.variable.clone(), found.value.clone(), found.data.clone())
}

/// Ids of the rules that matched.
pub(super) fn ids(rules: &str, request: Request<'_>) -> Vec<u64> {
    run(rules, request).0.matches().iter().map(|found| found.rule).collect()
}

pub(super) fn denied(state: EngineState) -> Options {
    Options { state: Some(state), ..options(Mode::Filtered) }
}
