//! Runs the rules of a phase, in order, exactly.
//!
//! As `ModSecurity` 3 does: a link is tested on each of its values, its actions are done for each that passes, and the next
//! link runs once if any did. What becomes of the request is decided when the last link has passed.

use super::collect::collect;
use super::found::{At, Found};
use super::lasting::Lasting;
use super::operators::{self, Captured, Operands};
use super::plan::{
    Expansion, Members, Plan, PlannedDisruption, PlannedLink, PlannedRule, RuleId, Test, Turn,
};
use super::state::{Allowed, State};
use super::{Disruption, Exhausted};
use crate::waf::ir::{Disruptive, EngineState, Phase};
use crate::waf::meter::{Meter, byte_ns};
use crate::waf::transform::Transformation;

/// What a rule may take that is run, and a value that it looks at, besides what it does with its bytes.
const RULE_NS: usize = 200;
const VALUE_NS: usize = 500;
/// What finding a value may take.
const FOUND_NS: usize = 50;

/// Whoever runs rules, and what it needs.
pub(super) struct Runner<'a> {
    pub(super) plan: &'a Plan,
    pub(super) lasting: &'a Lasting,
    pub(super) state: &'a mut State,
}

impl Runner<'_> {
    /// Runs a phase to its end, or until a rule ends it.
    pub(super) fn phase(&mut self, phase: Phase) {
        let Some(turns) = self.plan.phases.get(phase.index()) else { return };
        let mut at = 0;
        while let Some(turn) = turns.get(at).copied() {
            if let Some(first) = turn.screened {
                let idle = self.state.findings.none_from(first.bit, turn.row);
                if idle > 0 {
                    at += usize::from(idle);
                    continue;
                }
            }
            at += 1;
            if self.stopped(phase) {
                return;
            }
            let Some(rule) = self.plan.rules.get(turn.rule as usize) else { continue };
            if self.state.is_removed(turn.rule) || !self.spend(RULE_NS) || !self.rule(turn, rule) {
                continue;
            }
            self.matched(rule);
            at = rule.next.map_or(at, |next| at.max(next as usize));
        }
    }

    fn stopped(&self, phase: Phase) -> bool {
        let state = &*self.state;
        // Of values there may have been too many: those that are there are looked at.
        if state.engine == EngineState::Off || state.caches.meter.is_empty() {
            return true;
        }
        if phase == Phase::Logging {
            return false;
        }
        let allowed = match state.allowed {
            Allowed::No => false,
            Allowed::Phase(allowed) => allowed == phase,
            Allowed::Request => phase <= Phase::RequestBody,
            Allowed::All => true,
        };
        allowed || state.interruption.as_ref().is_some_and(|interruption| interruption.enforced)
    }

    /// Whether all links of the rule pass.
    fn rule(&mut self, turn: Turn, rule: &PlannedRule) -> bool {
        self.state.rule = turn.rule;
        self.state.matched.clear();
        let tells = rule.log || rule.audit;
        for (at, link) in (0..).zip(&rule.links) {
            let screened = turn.screened.filter(|screened| screened.link == at);
            if !self.link(turn.rule, link, screened.map(|screened| screened.bit)) {
                return false;
            }
            // What is told of a chain is what its first rule saw.
            if at == 0 && tells {
                self.note(rule);
            }
        }
        if tells {
            self.tell(rule);
        }
        true
    }

    /// Whether any of the link's values passes its test.
    fn link(&mut self, id: RuleId, link: &PlannedLink, filter: Option<u16>) -> bool {
        if link.targets.is_empty() {
            self.actions(link);
            return true;
        }
        self.state.found.clear();
        self.state.pieces.clear();
        for target in &link.targets {
            let before = self.state.found.len();
            collect(self.state, self.plan, self.lasting, target, filter);
            self.leave_out(id, link, before);
            if !self.spend(RULE_NS + self.state.found.len() * FOUND_NS) {
                return false;
            }
            if target.count {
                let count = self.state.found.len() - before;
                self.state.found.truncate(before);
                self.state.push_count(target.variable, count, member_of(self.plan, &target.members));
            }
        }
        let found = std::mem::take(&mut self.state.found);
        let mut any = false;
        for value in &found {
            if !self.spend(VALUE_NS) {
                break;
            }
            any |= self.value(link, *value);
        }
        self.state.found = found;
        any
    }

    /// Takes out values, from place `from` on, that the link does not look at.
    fn leave_out(&mut self, id: RuleId, link: &PlannedLink, from: usize) {
        let State { found, removed_targets, caches, values, tx, pieces, .. } = &mut *self.state;
        if link.excluded.is_empty() && removed_targets.is_empty() {
            return;
        }
        let plan = self.plan;
        let sets = removed_targets.iter().filter_map(|at| plan.sets.get(*at as usize));
        let removed =
            sets.filter(|set| set.rules.binary_search(&id).is_ok()).filter_map(|set| set.target.as_ref());
        let excluded: Vec<_> = link.excluded.iter().chain(removed).collect();
        let mut kept = from;
        for at in from..found.len() {
            let Some(value) = found.get(at).copied() else { break };
            let member = value.at.member(plan, values, tx, pieces);
            if excluded.iter().any(|target| State::has(plan, caches, target, value.variable, member)) {
                continue;
            }
            if let Some(slot) = found.get_mut(kept) {
                *slot = value;
            }
            kept += 1;
        }
        found.truncate(kept);
    }

    /// Tests one value, and does what follows if it passes. Whether it did.
    fn value(&mut self, link: &PlannedLink, found: Found) -> bool {
        if link.pipeline.is_empty() {
            return self.stored_text(link, found);
        }
        let mut buffers = std::mem::take(&mut self.state.buffers);
        let State { values, tx, pieces, caches, .. } = &mut *self.state;
        let original = found.at.value(values, tx, pieces);
        let passes = if link.multi_match {
            // Each text is looked at as it comes; what actions change does not change the value.
            let text = original.to_vec();
            self.each_text(link, found, text, &mut buffers)
        } else {
            let place = apply(&link.pipeline, original, &mut buffers, &mut caches.meter);
            match place.and_then(|place| buffers.get(place)) {
                Some(text) => self.text(link, found, text),
                None => self.stored_text(link, found),
            }
        };
        self.state.buffers = buffers;
        passes
    }

    fn each_text(
        &mut self,
        link: &PlannedLink,
        found: Found,
        mut text: Vec<u8>,
        [next, _]: &mut [Vec<u8>; 2],
    ) -> bool {
        let mut passes = self.text(link, found, &text);
        for transformation in &link.pipeline {
            if !self.spend(text.len() * byte_ns::TRANSFORM) {
                return passes;
            }
            next.clear();
            if transformation.apply(&text, next) {
                std::mem::swap(&mut text, next);
                passes |= self.text(link, found, &text);
            }
        }
        passes
    }

    /// The test on a value as it is stored.
    fn stored_text(&mut self, link: &PlannedLink, found: Found) -> bool {
        let argument = self.argument(link);
        let State { values, tx, pieces, caches, last_value, .. } = &mut *self.state;
        let text = found.at.value(values, tx, pieces);
        let mut operands = Operands { plan: self.plan, argument: argument_or(link, &argument), caches };
        let captured = pass(link, text, &mut operands);
        if !matches!(captured, Passes::Not) {
            last_value.clear();
            last_value.extend_from_slice(text);
        }
        self.state.argument = argument;
        self.passed(link, found, captured)
    }

    /// The test on a text that is not stored.
    fn text(&mut self, link: &PlannedLink, found: Found, text: &[u8]) -> bool {
        let argument = self.argument(link);
        let mut operands = Operands {
            plan: self.plan,
            argument: argument_or(link, &argument),
            caches: &mut self.state.caches,
        };
        let captured = pass(link, text, &mut operands);
        if !matches!(captured, Passes::Not) {
            self.state.last_value.clear();
            self.state.last_value.extend_from_slice(text);
        }
        self.state.argument = argument;
        self.passed(link, found, captured)
    }

    /// What the test's argument expands to, if it has macros.
    pub(super) fn argument(&mut self, link: &PlannedLink) -> Vec<u8> {
        let mut argument = std::mem::take(&mut self.state.argument);
        if let Some(expansion) = link.test.argument()
            && expansion.as_text().is_none()
        {
            argument.clear();
            self.state.expand(self.plan, self.lasting, expansion, &mut argument);
        }
        argument
    }

    fn passed(&mut self, link: &PlannedLink, found: Found, passes: Passes) -> bool {
        if let Passes::Not = passes {
            return false;
        }
        let count = matches!(found.at, At::Piece(_)) && link.targets.iter().any(|target| target.count);
        let text = std::mem::take(&mut self.state.last_value);
        self.state.note_match(self.plan, found, count, &text);
        self.state.last_value = text;
        if let Passes::Captured(captured) = passes {
            self.capture(&captured);
        }
        self.actions(link);
        true
    }

    /// `TX.0` to `TX.9` are what this match captured, and nothing of an earlier one.
    fn capture(&mut self, captured: &Captured) {
        let State { tx, last_value, .. } = &mut *self.state;
        for (slot, group) in (0..).zip(captured.groups) {
            match group.and_then(|(start, end)| last_value.get(start..end)) {
                Some(text) => tx.set(slot, text),
                None => tx.remove(slot),
            }
        }
        if let Some(text) = &captured.instead {
            tx.set(0, text);
        }
    }

    /// What follows when all of a rule has matched.
    fn matched(&mut self, rule: &PlannedRule) {
        self.controls(rule);
        if let Some(severity) = rule.severity {
            let highest = self.state.highest_severity.map_or(severity, |highest| highest.min(severity));
            self.state.highest_severity = Some(highest);
        }
        let disruption = match &rule.disruptive {
            PlannedDisruption::Redirect(to) => {
                let mut location = Vec::new();
                self.state.expand(self.plan, self.lasting, to, &mut location);
                Disruption::Redirect { status: rule.status, location }
            }
            PlannedDisruption::Plain(Disruptive::Deny) => Disruption::Deny { status: rule.status },
            PlannedDisruption::Plain(Disruptive::Drop) => Disruption::Drop,
            PlannedDisruption::Plain(allow) => {
                return self.allow(allow, rule.phase);
            }
        };
        if rule.phase != Phase::Logging {
            self.state.interrupt(rule.id, rule.phase, disruption);
        }
    }

    fn allow(&mut self, allow: &Disruptive, phase: Phase) {
        if self.state.engine != EngineState::On {
            return;
        }
        self.state.allowed = match allow {
            Disruptive::Allow => Allowed::All,
            Disruptive::AllowRequest => Allowed::Request,
            Disruptive::AllowPhase => Allowed::Phase(phase),
            _ => return,
        };
    }

    /// Pays for what comes. Whether it may.
    pub(super) fn spend(&mut self, work_ns: usize) -> bool {
        let may = self.state.caches.meter.spend(work_ns);
        if !may {
            self.state.exhausted = Some(Exhausted::Time);
        }
        may
    }
}

/// What a test came to.
#[allow(clippy::large_enum_variant, reason = "it lives on the stack, for one call")]
enum Passes {
    Not,
    Plain,
    /// And what it captured is asked for.
    Captured(Captured),
}

fn pass(link: &PlannedLink, text: &[u8], operands: &mut Operands<'_>) -> Passes {
    let matches = operators::matches(&link.test, text, operands);
    // What was not searched to its end did not fail to match.
    if matches == link.negated || operands.caches.meter.is_empty() {
        return Passes::Not;
    }
    let captured = (link.capture && !link.negated).then(|| operators::capture(&link.test, text, operands));
    captured.flatten().map_or(Passes::Plain, Passes::Captured)
}

/// The test's argument as it is written. Empty if it has none, or has macros.
pub(super) fn argument_of(test: &Test) -> &[u8] {
    test.argument().and_then(Expansion::as_text).unwrap_or_default()
}

/// Whether the test's argument is the same for every request.
pub(super) fn argument_is_constant(test: &Test) -> bool {
    test.argument().is_none_or(|expansion| expansion.as_text().is_some())
}

/// The argument of the link's test; if that has macros, what they expanded to.
pub(super) fn argument_or<'a>(link: &'a PlannedLink, expanded: &'a [u8]) -> &'a [u8] {
    link.test.argument().and_then(Expansion::as_text).unwrap_or(expanded)
}

/// The name of the one member that is meant, if it is one.
fn member_of<'a>(plan: &'a Plan, members: &'a Members) -> &'a [u8] {
    match members {
        Members::Named(name) => name,
        Members::Slot(slot) => plan.slots.get(*slot as usize).map_or(b"", |name| name),
        _ => b"",
    }
}

/// Runs a pipeline; which of the buffers has the text then, if it is another than `text`. Ends early if nobody pays.
pub(super) fn apply(
    pipeline: &[Transformation],
    text: &[u8],
    buffers: &mut [Vec<u8>; 2],
    meter: &mut Meter,
) -> Option<usize> {
    let mut current = None;
    for transformation in pipeline {
        let [first, second] = buffers;
        let (input, output, place) = match current {
            None => (text, first, 0),
            Some(0) => (first.as_slice(), second, 1),
            Some(_) => (second.as_slice(), first, 0),
        };
        if !meter.spend(input.len() * byte_ns::TRANSFORM) {
            break;
        }
        output.clear();
        if transformation.apply(input, output) {
            current = Some(place);
        }
    }
    current
}
