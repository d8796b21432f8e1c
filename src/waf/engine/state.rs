//! All that changes while a request is looked at. Kept between requests for its memory.

use super::filter::{Findings, Scratch};
use super::found::{At, Found, PIECES_BYTES, Pieces};
use super::lasting::{Begun, Lasting};
use super::plan::{Expansion, Members, Part, Plan, PlannedTarget, RuleId};
use super::tell::Noted;
use super::tx::Tx;
use super::values::{Base, Values};
use super::{Disruption, Interruption, Match};
use crate::values::digits::{Buffer, decimal};
use crate::waf::body::content_type::Processor;
use crate::waf::ir::{EngineState, Phase, Severity, Variable};
use crate::waf::meter::Meter;
use crate::waf::pattern::Caches;

/// Members of `MATCHED_VARS`.
const MATCHED: usize = 4_096;
/// Variables that rules have not be shown.
const CONCEALED: usize = 256;
/// Bytes that one template expands to; what is longer is cut.
const EXPANSION_BYTES: usize = 64 << 10;

/// What became of a phase's rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Allowed {
    #[default]
    No,
    Phase(Phase),
    Request,
    All,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) values: Values,
    pub(super) tx: Tx,
    /// A thread's, while a phase runs.
    pub(super) caches: Caches,
    /// What is left of the time, while none does.
    pub(super) meter: Meter,
    pub(super) findings: Findings,
    /// Values of the rule that runs, as far as they are stored nowhere else.
    pub(super) pieces: Pieces,
    pub(super) found: Vec<Found>,
    /// `MATCHED_VARS`: full names and values, of the chain that runs.
    pub(super) matched: Pieces,
    pub(super) last_name: Vec<u8>,
    pub(super) last_value: Vec<u8>,
    pub(super) environment: Vec<(Box<str>, Vec<u8>)>,
    pub(super) begun: Vec<Begun>,
    /// Rules that do not run any more: a bit each.
    pub(super) removed: Vec<u64>,
    /// Targets that are not looked at any more, by place in [`Plan::sets`].
    pub(super) removed_targets: Vec<u32>,
    pub(super) buffers: [Vec<u8>; 2],
    pub(super) argument: Vec<u8>,
    pub(super) noted: Noted,
    pub(super) matches: Vec<Match>,
    pub(super) engine: EngineState,
    pub(super) allowed: Allowed,
    pub(super) interruption: Option<Interruption>,
    /// The rule that runs.
    pub(super) rule: RuleId,
    pub(super) highest_severity: Option<Severity>,
    /// What the request's body is read as.
    pub(super) processor: Option<Processor>,
    pub(super) force_body: bool,
    pub(super) read_request_body: bool,
    pub(super) read_response_body: bool,
    pub(super) audit: Option<bool>,
    /// Full names of what is not to be shown.
    concealed: Vec<Vec<u8>>,
    /// Since 1970.
    pub(super) started_ms: u64,
    pub(super) exhausted: Option<super::Exhausted>,
}

impl State {
    /// The request's body is for this processor.
    pub(super) fn read_as(&mut self, processor: Processor) {
        self.processor = Some(processor);
        self.values.set_text(Variable::ReqbodyProcessor, processor.name().as_bytes());
    }

    /// As before any request.
    pub(super) fn reset(&mut self, plan: &Plan) {
        self.values.clear();
        self.tx.reset(plan);
        self.findings.clear();
        self.pieces.clear();
        self.found.clear();
        self.matched.clear();
        self.last_name.clear();
        self.last_value.clear();
        self.environment.clear();
        self.begun.clear();
        self.removed.clear();
        self.removed_targets.clear();
        for buffer in self.buffers.iter_mut().chain([&mut self.argument, &mut self.last_value]) {
            buffer.clear();
            buffer.shrink_to(PIECES_BYTES / 16);
        }
        self.matches.clear();
        self.allowed = Allowed::No;
        self.interruption = None;
        self.highest_severity = None;
        self.processor = None;
        self.force_body = false;
        self.audit = None;
        self.concealed.clear();
        self.exhausted = None;
    }

    /// Has a variable not be shown; once there are too many, none is.
    pub(super) fn conceal(&mut self, name: Vec<u8>) {
        if self.concealed.len() < CONCEALED && !self.conceals(&name) {
            self.concealed.push(name);
        }
    }

    pub(super) fn conceals(&self, name: &[u8]) -> bool {
        self.concealed.len() >= CONCEALED
            || self.concealed.iter().any(|concealed| concealed.eq_ignore_ascii_case(name))
    }

    /// Takes what a thread has for a phase, or gives it back after it.
    pub(super) fn exchange(&mut self, scratch: &mut Scratch) {
        std::mem::swap(&mut self.caches, &mut scratch.caches);
        self.findings.exchange(scratch);
    }

    pub(super) fn is_removed(&self, rule: RuleId) -> bool {
        self.removed.get(rule as usize / 64).is_some_and(|word| word & 1 << (rule % 64) != 0)
    }

    pub(super) fn remove(&mut self, rule: RuleId) {
        let word = rule as usize / 64;
        if self.removed.len() <= word {
            self.removed.resize(word + 1, 0);
        }
        if let Some(word) = self.removed.get_mut(word) {
            *word |= 1 << (rule % 64);
        }
    }

    pub(super) fn value(&self, at: At) -> &[u8] {
        at.value(&self.values, &self.tx, &self.pieces)
    }

    /// Notes the value that passed a test, as `MATCHED_VAR` and its kin.
    pub(super) fn note_match(&mut self, plan: &Plan, found: Found, count: bool, text: &[u8]) {
        let mut name = std::mem::take(&mut self.last_name);
        name.clear();
        if count {
            name.push(b'&');
        }
        name.extend_from_slice(found.variable.name().as_bytes());
        if found.variable.is_collection() {
            let member = found.at.member(plan, &self.values, &self.tx, &self.pieces);
            if !member.is_empty() {
                name.push(b':');
                name.extend_from_slice(member);
            }
        }
        self.last_value.clear();
        self.last_value.extend_from_slice(text);
        if self.matched.len() < MATCHED {
            self.matched.push(&name, text);
        }
        self.last_name = name;
    }

    /// When it began, in seconds since 1970.
    pub(super) const fn unix_seconds(&self) -> u64 {
        self.started_ms / 1_000
    }

    /// Whether the target has the member of this name.
    pub(super) fn has(
        plan: &Plan,
        caches: &mut Caches,
        target: &PlannedTarget,
        variable: Variable,
        member: &[u8],
    ) -> bool {
        target.variable == variable
            && match &target.members {
                Members::All => true,
                Members::Named(name) => name.eq_ignore_ascii_case(member),
                Members::Slot(slot) => {
                    plan.slots.get(*slot as usize).is_some_and(|name| name.eq_ignore_ascii_case(member))
                }
                Members::Matching(id) | Members::Slots(id, _) => plan
                    .patterns
                    .get(*id as usize)
                    .is_some_and(|pattern| pattern.is_match(*id as usize, caches, member)),
            }
    }

    /// Appends what the template expands to.
    pub(super) fn expand(
        &mut self,
        plan: &Plan,
        lasting: &Lasting,
        expansion: &Expansion,
        out: &mut Vec<u8>,
    ) {
        let most = out.len() + EXPANSION_BYTES;
        for part in &expansion.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Slot(slot) => out.extend_from_slice(self.tx.get(*slot).unwrap_or_default()),
                Part::Variable(variable, member) => {
                    self.expand_variable(plan, lasting, *variable, member.as_deref(), out);
                }
            }
            out.truncate(most);
        }
    }

    fn expand_variable(
        &mut self,
        plan: &Plan,
        lasting: &Lasting,
        variable: Variable,
        member: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) {
        if let Some(value) = self.values.single(variable) {
            return out.extend_from_slice(self.values.text(value));
        }
        let members = member.map_or(Members::All, |name| Members::Named(name.into()));
        let target = PlannedTarget { variable, members, count: false };
        let kept = (std::mem::take(&mut self.found), std::mem::take(&mut self.pieces));
        super::collect::collect(self, plan, lasting, &target, None);
        if let Some(found) = self.found.first().copied() {
            out.extend_from_slice(self.value(found.at));
        }
        (self.found, self.pieces) = kept;
    }

    /// How many members or values there are, as text.
    pub(super) fn push_count(&mut self, variable: Variable, count: usize, name: &[u8]) {
        if let Some(at) = self.pieces.push(name, decimal(count as u64, 1, &mut Buffer::default())) {
            self.found.push(Found { variable, at: At::Piece(at) });
        }
    }

    /// Refuses, unless rules only watch.
    pub(super) fn interrupt(&mut self, rule: u64, phase: Phase, disruption: Disruption) {
        if self.interruption.is_none() {
            let enforced = self.engine == EngineState::On;
            self.interruption = Some(Interruption { rule, phase, disruption, enforced });
        }
    }

    pub(super) fn add(&mut self, base: Base, name: &[u8], value: &[u8]) {
        let name = self.values.keep(name);
        let value = self.values.keep(value);
        self.values.add(base, name, value);
    }
}
