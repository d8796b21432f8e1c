//! What does not depend on the request, computed once.
//!
//! CRS begins each request by setting some 60 variables to what its set-up says, and skips the rules of higher paranoia
//! levels by some 200 comparisons with them. This walks through the phases as a request would, with each variable of `TX`
//! known or unknown, and takes out rules that never match, rules that are always skipped, and those whose one effect,
//! a variable's value, can be there from the beginning. Where it cannot be sure it leaves a rule alone: rules that a `ctl`
//! may take out, variables that another rule has read before, whatever is logged, and what a request may get past without.

use std::collections::{BTreeMap, HashSet};

use super::constants;
use super::known::{Variables, before_any_rule, join, outcome, updated};
use crate::waf::engine::plan::{
    Expansion, Members, Part, Plan, PlannedAction, PlannedControl, PlannedDisruption, PlannedLink,
    PlannedRule, PlannedUpdate, RuleId, Slot, Turn,
};
use crate::waf::ir::{Disruptive, Phase, Variable};

/// Takes out what need not run; the ids of rules that are gone.
pub(super) fn fold(plan: &mut Plan) -> Vec<u64> {
    if reads_stale_match(plan) {
        return Vec::new();
    }
    let mut walk = Walk::new(plan);
    walk.reads_of_log();
    let mut entry = before_any_rule(plan);
    let mut kept = Vec::new();
    for (phase, rules) in plan.phases.iter().enumerate() {
        // Where there is no response, the rules for the log run all the same.
        walk.may_have_ended |= phase >= Phase::ResponseHeaders.index();
        let (live, exit) = walk.phase(rules, entry.clone());
        // A caller may leave out phases 3 and 4, so a later one may begin where any of these ended.
        entry = if phase == 0 { exit } else { join(entry, &exit) };
        kept.push(live);
    }
    let (initial, written) = (walk.initial, walk.written);
    let gone = apply(plan, initial, &kept);
    constants::write_in(plan, |slot| written.contains(&slot));
    gone
}

fn apply(plan: &mut Plan, initial: Vec<Option<Box<[u8]>>>, kept: &[Vec<bool>]) -> Vec<u64> {
    plan.initial = initial;
    let mut gone = Vec::new();
    for (rules, kept) in plan.phases.iter_mut().zip(kept) {
        // Where each old place is in the new list.
        let mut places = vec![0_u32];
        for keep in kept {
            places.push(places.last().copied().unwrap_or(0) + u32::from(*keep));
        }
        let all = std::mem::take(rules);
        for (turn, keep) in all.iter().zip(kept) {
            let Some(rule) = plan.rules.get_mut(turn.rule as usize) else { continue };
            if *keep {
                rules.push(*turn);
                let end = places.last().copied();
                rule.next = rule.next.and_then(|next| places.get(next as usize).copied().or(end));
            } else {
                gone.push(rule.id);
            }
        }
    }
    gone
}

/// Whether a rule looks at what an earlier rule matched, which what is done here and in the prefilter would change.
pub(super) fn reads_stale_match(plan: &Plan) -> bool {
    use Variable::{MatchedVar, MatchedVarName, MatchedVars, MatchedVarsNames};
    let stale =
        |variable: Variable| matches!(variable, MatchedVar | MatchedVarName | MatchedVars | MatchedVarsNames);
    let expands = |expansion: &Expansion| {
        expansion.parts.iter().any(|part| matches!(part, Part::Variable(variable, _) if stale(*variable)))
    };
    plan.rules.iter().any(|rule| {
        let Some(link) = rule.links.first() else { return false };
        let sets = |action: &PlannedAction| match action {
            PlannedAction::SetSlot(_, update) => update.text().is_some_and(expands),
            PlannedAction::SetMember(_, name, update) => expands(name) || update.text().is_some_and(expands),
            _ => false,
        };
        let tells = expands(&rule.message) || expands(&rule.data);
        let acts = link.targets.is_empty() && (tells || link.actions.iter().any(sets));
        acts || link.targets.iter().any(|target| stale(target.variable))
            || link.test.argument().is_some_and(expands)
    })
}

/// Variables that rules read.
#[derive(Default)]
struct Reads {
    slots: HashSet<Slot>,
    /// By a pattern, or by names that requests make.
    all: bool,
}

impl Reads {
    fn has(&self, slot: Slot) -> bool {
        self.all || self.slots.contains(&slot)
    }
}

struct Walk<'a> {
    plan: &'a Plan,
    /// What variables are from the beginning.
    initial: Vec<Option<Box<[u8]>>>,
    /// Variables that rules have read or written which stay.
    read: Reads,
    written: HashSet<Slot>,
    /// Sets of rules that rules so far may have taken out.
    removals: HashSet<u32>,
    /// Variables that rules for the log read, who see requests that never came to the rules before them.
    logged: Reads,
    /// Whether none but those rules may run after a rule that stays.
    may_have_ended: bool,
    /// Whether rules of a later phase may run without those of an earlier one.
    may_have_left: bool,
}

impl<'a> Walk<'a> {
    fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            initial: plan.initial.clone(),
            read: Reads::default(),
            written: HashSet::new(),
            removals: HashSet::new(),
            logged: Reads::default(),
            may_have_ended: false,
            may_have_left: false,
        }
    }

    /// Finds out what the rules for the log read.
    fn reads_of_log(&mut self) {
        let mut walk = Self::new(self.plan);
        let turns = self.plan.phases.get(Phase::Logging.index()).into_iter().flatten();
        for rule in turns.filter_map(|turn| self.plan.rules.get(turn.rule as usize)) {
            walk.stays(rule, &mut before_any_rule(self.plan));
        }
        self.logged = walk.read;
    }

    /// Which rules of a phase stay, and what is known at its end.
    fn phase(&mut self, rules: &[Turn], entry: Variables) -> (Vec<bool>, Variables) {
        let mut kept = Vec::with_capacity(rules.len());
        let mut ways: BTreeMap<usize, Variables> = BTreeMap::new();
        let mut here = Some(entry.clone());
        // Rules before this place may be skipped by one that stays.
        let mut skipped_to = 0;
        for (at, turn) in rules.iter().enumerate() {
            let id = turn.rule;
            if let Some(way) = ways.remove(&at) {
                here = Some(here.map_or(way.clone(), |here| join(here, &way)));
            }
            let (Some(variables), Some(rule)) = (&mut here, self.plan.rules.get(id as usize)) else {
                kept.push(false);
                continue;
            };
            match outcome(rule, variables) {
                Some(false) => kept.push(false),
                Some(true) if only_skips(rule) && self.may_drop(id, at, rules, rule, &ways) => {
                    kept.push(false);
                    let to = place_after(rule, at);
                    let way = here.take();
                    add_way(&mut ways, to, way);
                }
                Some(true) if at >= skipped_to && self.hoist(id, rule, variables) => kept.push(false),
                _ => {
                    kept.push(true);
                    self.stays(rule, variables);
                    let ends = ends_phase(rule).then_some(rules.len());
                    let next = rule.next.map(|next| next as usize);
                    skipped_to = skipped_to.max(next.unwrap_or(0));
                    for to in ends.into_iter().chain(next) {
                        add_way(&mut ways, to, Some(variables.clone()));
                    }
                }
            }
        }
        let exit = ways.into_values().chain(here).reduce(|one, other| join(one, &other));
        (kept, exit.unwrap_or(entry))
    }

    /// Whether the rule may go together with those it skips: a `ctl` that takes it out takes them out as well, and none that
    /// stays skips to one of them.
    fn may_drop(
        &self,
        id: RuleId,
        at: usize,
        rules: &[Turn],
        rule: &PlannedRule,
        ways: &BTreeMap<usize, Variables>,
    ) -> bool {
        let between = at + 1..place_after(rule, at);
        if ways.range(between.clone()).next().is_some() {
            return false;
        }
        let skipped = rules.get(between).unwrap_or_default();
        self.removals.iter().filter_map(|set| self.plan.sets.get(*set as usize)).all(|set| {
            let has = |id: RuleId| set.rules.binary_search(&id).is_ok();
            set.target.is_some() || !has(id) || skipped.iter().all(|turn| has(turn.rule))
        })
    }

    fn removable(&self, id: RuleId) -> bool {
        let sets = self.removals.iter().filter_map(|set| self.plan.sets.get(*set as usize));
        sets.into_iter().any(|set| set.rules.binary_search(&id).is_ok())
    }

    /// Has the rule's effect be there from the beginning, if nothing that stays can tell.
    fn hoist(&mut self, id: RuleId, rule: &PlannedRule, variables: &mut Variables) -> bool {
        let one_value = |link: &PlannedLink| link.targets.len() <= 1 && !link.capture;
        if self.may_have_left
            || !quiet(rule)
            || rule.next.is_some()
            || !rule.controls.is_empty()
            || self.removable(id)
            || !rule.links.iter().all(one_value)
        {
            return false;
        }
        let mut after = variables.clone();
        for action in rule.links.iter().flat_map(|link| &link.actions) {
            let PlannedAction::SetSlot(slot, update) = action else { return false };
            let read = self.read.has(*slot) || self.written.contains(slot);
            let free = !(read || self.may_have_ended && self.logged.has(*slot));
            let Some(value) = updated(*slot, update, &after).filter(|_| free) else { return false };
            if let Some(known) = after.get_mut(*slot as usize) {
                *known = Some(value);
            }
        }
        for action in rule.links.iter().flat_map(|link| &link.actions) {
            let PlannedAction::SetSlot(slot, _) = action else { continue };
            let value = after.get(*slot as usize).cloned().flatten().flatten();
            if let Some(initial) = self.initial.get_mut(*slot as usize) {
                *initial = value;
            }
        }
        *variables = after;
        true
    }

    /// Notes what a rule that stays may read, write and take out.
    fn stays(&mut self, rule: &PlannedRule, variables: &mut Variables) {
        self.reads(&rule.message);
        self.reads(&rule.data);
        match rule.disruptive {
            PlannedDisruption::Plain(Disruptive::Pass) => {}
            PlannedDisruption::Plain(Disruptive::AllowPhase | Disruptive::AllowRequest) => {
                self.may_have_left = true;
            }
            _ => self.may_have_ended = true,
        }
        if let PlannedDisruption::Redirect(to) = &rule.disruptive {
            self.reads(to);
        }
        for link in &rule.links {
            for target in link.targets.iter().filter(|target| target.variable == Variable::Tx) {
                match target.members {
                    Members::Slot(slot) => _ = self.read.slots.insert(slot),
                    _ => self.read.all = true,
                }
            }
            if let Some(text) = link.test.argument() {
                self.reads(text);
            }
            if link.capture {
                for slot in 0..10 {
                    self.writes(slot, variables);
                }
            }
            for action in &link.actions {
                self.acts(action, variables);
            }
        }
        for control in &rule.controls {
            if let PlannedControl::Remove(set) = control {
                self.removals.insert(*set);
            }
        }
    }

    fn reads(&mut self, text: &Expansion) {
        for part in &text.parts {
            match part {
                Part::Slot(slot) => _ = self.read.slots.insert(*slot),
                Part::Variable(Variable::Tx, _) => self.read.all = true,
                _ => {}
            }
        }
    }

    fn writes(&mut self, slot: Slot, variables: &mut Variables) {
        self.written.insert(slot);
        if let Some(known) = variables.get_mut(slot as usize) {
            *known = None;
        }
    }

    fn acts(&mut self, action: &PlannedAction, variables: &mut Variables) {
        match action {
            PlannedAction::SetSlot(slot, update) => {
                if !matches!(update, PlannedUpdate::Set(_)) {
                    self.read.slots.insert(*slot);
                }
                if let Some(text) = update.text() {
                    self.reads(text);
                }
                self.writes(*slot, variables);
            }
            PlannedAction::SetMember(collection, name, update) => {
                self.reads(name);
                if let Some(text) = update.text() {
                    self.reads(text);
                }
                if *collection == Variable::Tx {
                    let front = match name.parts.first() {
                        Some(Part::Text(text)) => text.to_ascii_lowercase(),
                        _ => Vec::new(),
                    };
                    let names = (0..).zip(&self.plan.slots).filter(|(_, slot)| slot.starts_with(&front));
                    let meant: Vec<Slot> = names.map(|(slot, _)| slot).collect();
                    for slot in meant {
                        self.read.slots.insert(slot);
                        self.writes(slot, variables);
                    }
                }
            }
            PlannedAction::Expire(_, one, other) => {
                self.reads(one);
                self.reads(other);
            }
            PlannedAction::Decay(_, text, _)
            | PlannedAction::Begin(_, text)
            | PlannedAction::Environment(_, Some(text)) => self.reads(text),
            PlannedAction::Environment(_, None)
            | PlannedAction::ConcealMatched
            | PlannedAction::Conceal(..) => {}
        }
    }
}

/// Where a request goes on that the rule at this place matches.
fn place_after(rule: &PlannedRule, at: usize) -> usize {
    rule.next.map_or(at + 1, |next| next as usize)
}

fn add_way(ways: &mut BTreeMap<usize, Variables>, to: usize, way: Option<Variables>) {
    let Some(way) = way else { return };
    let joined = match ways.remove(&to) {
        Some(other) => join(way, &other),
        None => way,
    };
    ways.insert(to, joined);
}

/// Whether a match leaves no trace but its actions.
fn quiet(rule: &PlannedRule) -> bool {
    let passes = matches!(rule.disruptive, PlannedDisruption::Plain(Disruptive::Pass));
    passes && !rule.log && !rule.audit && rule.severity.is_none()
}

fn only_skips(rule: &PlannedRule) -> bool {
    let does_nothing = |link: &PlannedLink| link.actions.is_empty() && !link.capture;
    quiet(rule) && rule.controls.is_empty() && rule.links.iter().all(does_nothing)
}

/// Whether nothing after the rule may run in its phase.
fn ends_phase(rule: &PlannedRule) -> bool {
    let stops = rule.controls.iter().any(|control| matches!(control, PlannedControl::Engine(_)));
    stops || !matches!(rule.disruptive, PlannedDisruption::Plain(Disruptive::Pass))
}
