//! Runs compiled rules over one request and its response.

mod act;
mod clock;
mod collect;
pub(super) mod filter;
mod found;
mod lasting;
mod numbers;
mod operators;
pub(super) mod plan;
mod run;
mod state;
mod tell;
mod transaction;
mod tx;
mod values;

use std::sync::{Arc, Mutex, PoisonError};

pub(super) use numbers::add as add_text;
pub use transaction::Transaction;

use super::ir::{Location, Phase, Settings, Severity};
use super::meter::Clock;
use filter::{Filter, Scratch};
use lasting::Lasting;
use plan::Plan;
use state::State;

/// States kept for the next requests.
const KEPT_STATES: usize = 64;
/// Scratches kept: as many as there are threads that run rules at a time, on most machines.
const KEPT_SCRATCHES: usize = 32;

/// What is used again.
#[derive(Debug)]
struct Pool<T> {
    #[allow(clippy::vec_box, reason = "whoever takes one holds the box")]
    free: Mutex<Vec<Box<T>>>,
    most: usize,
}

impl<T: Default> Pool<T> {
    fn of(most: usize) -> Self {
        Self { free: Mutex::default(), most }
    }

    #[allow(clippy::unnecessary_box_returns, reason = "what is kept is the box")]
    fn take(&self) -> Box<T> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_default()
    }

    fn give(&self, used: Box<T>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.most {
            free.push(used);
        }
    }
}

/// How much one transaction may take. What reaches a limit is told as [`Exhausted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the request's body that are looked at.
    pub request_body_bytes: usize,
    /// Bytes of the response's body that are looked at.
    pub response_body_bytes: usize,
    /// Arguments, headers, cookies, parts and so on together.
    pub values: usize,
    /// Objects, arrays or elements within each other.
    pub depth: usize,
    /// Files of one upload.
    pub files: usize,
    /// Time for parsing bodies and for all rules of all phases, in nanoseconds. The rules for the log have a tenth of it in
    /// any case.
    pub time_ns: u64,
}

impl Limits {
    /// For the rules of a service.
    pub const DEFAULT: Self = Self {
        request_body_bytes: 128 << 10,
        response_body_bytes: 512 << 10,
        values: 4_000,
        depth: 64,
        files: 64,
        time_ns: 20_000_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Which limit a transaction reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Exhausted {
    /// The rest of it was not looked at.
    #[error("a body that is longer than is examined")]
    BodyBytes,
    /// Those before were looked at.
    #[error("too many values, or values that are nested too deeply")]
    Values,
    /// Those after did not run.
    #[error("rules that took too long")]
    Time,
}

/// What becomes of a request that a rule refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disruption {
    /// It is answered with this status.
    Deny { status: u16 },
    /// Its connection is closed.
    Drop,
    /// It is sent elsewhere. The location is as the rule has it, and may hold what a client sent.
    Redirect { status: u16, location: Vec<u8> },
}

/// Which rule refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interruption {
    /// Its id.
    pub rule: u64,
    /// When.
    pub phase: Phase,
    /// What becomes of the request.
    pub disruption: Disruption,
    /// Whether it was so: false if rules only watch (`DetectionOnly`).
    pub enforced: bool,
}

/// What the caller is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Pass,
    /// Refuse. The rest of the phases does nothing, but [`Transaction::logging`] runs.
    Refuse(Disruption),
    /// A limit was reached: what then is the caller's policy.
    Exhausted(Exhausted),
}

/// A rule that matched and says so.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each says something of its own")]
pub struct Match {
    /// The rule's id.
    pub rule: u64,
    /// Where it is written.
    pub at: Location,
    /// When.
    pub phase: Phase,
    /// Whether it is for the log.
    pub log: bool,
    /// Whether it is for the audit log.
    pub audit: bool,
    /// What is wrong. At most 512 bytes, as are the other texts.
    pub message: String,
    /// Whether it may hold what was sent: the rule writes it with macros.
    pub message_has_data: bool,
    /// Which data.
    pub data: String,
    /// How bad.
    pub severity: Option<Severity>,
    /// What it is about.
    pub tags: Arc<[Box<str>]>,
    /// The last variable that the first rule of the chain matched, e.g. `ARGS:id`.
    pub variable: String,
    /// Others that it matched, at most 31.
    pub also: Vec<String>,
    /// Whether there are more of those.
    pub more: bool,
    /// Its value after the transformations, as far as kept: of a long one, what was found in it and what is around.
    pub value: Vec<u8>,
    /// Where in the value that is.
    pub value_at: usize,
    /// How long the value is.
    pub value_bytes: usize,
}

/// Compiled rules, shared by all threads.
pub struct Engine {
    pub(super) plan: Plan,
    pub(super) filter: Option<Filter>,
    pub(super) settings: Settings,
    pub(super) limits: Limits,
    pub(super) clock: Arc<dyn Clock>,
    lasting: Lasting,
    states: Pool<State>,
    scratch: Pool<Scratch>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Engine").field("rules", &self.plan.rules.len()).finish_non_exhaustive()
    }
}

impl Engine {
    pub(super) fn new(
        plan: Plan,
        filter: Option<Filter>,
        settings: Settings,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            plan,
            filter,
            lasting: Lasting::new(settings.collection_seconds),
            settings,
            limits,
            clock,
            states: Pool::of(KEPT_STATES),
            scratch: Pool::of(KEPT_SCRATCHES),
        }
    }

    /// Begins a request. `unique_id` names it (`UNIQUE_ID`).
    pub fn begin(self: &Arc<Self>, unique_id: &str) -> Transaction {
        Transaction::new(Arc::clone(self), self.states.take(), unique_id)
    }

    /// What was said beside the rules.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether a rule of this id says that it matched, if it does.
    pub fn tells_of(&self, id: u64) -> bool {
        self.plan.rules.iter().any(|rule| rule.id == id && (rule.log || rule.audit))
    }
}

/// What a test that needs nothing but text makes of it; nothing is known of others.
pub(super) fn simple_match(test: &plan::Test, text: &[u8], argument: &[u8]) -> Option<bool> {
    use plan::Test::{Always, Compare, Never};
    match test {
        Always | Never | Compare(..) => {
            let plan = Plan::default();
            let mut caches = super::pattern::Caches::default();
            let mut operands = operators::Operands { plan: &plan, argument, caches: &mut caches };
            Some(operators::matches(test, text, &mut operands))
        }
        _ => None,
    }
}

/// What a pipeline makes of text.
pub(super) fn transformed(pipeline: &[super::transform::Transformation], text: &[u8]) -> Vec<u8> {
    let mut buffers = [Vec::new(), Vec::new()];
    match run::apply(pipeline, text, &mut buffers, &mut super::meter::Meter::default()) {
        Some(at) => buffers.get_mut(at).map(std::mem::take).unwrap_or_default(),
        None => text.to_vec(),
    }
}

#[cfg(test)]
mod tests;
