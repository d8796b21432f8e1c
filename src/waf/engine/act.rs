//! What rules do for each value that passes: variables, collections that last, and what changes for the rest of the request.

use super::numbers::{self, atoi};
use super::plan::{Expansion, Part, PlannedAction, PlannedControl, PlannedLink, PlannedRule, PlannedUpdate};
use super::run::Runner;
use crate::waf::ir::{Switch, Variable};

/// Variables of the environment.
const ENVIRONMENT: usize = 64;

impl Runner<'_> {
    /// What the link does for each value, in order.
    pub(super) fn actions(&mut self, link: &PlannedLink) {
        for action in &link.actions {
            self.action(action);
        }
    }

    /// What the rule changes for the rest of the request, once all of it has matched: `ctl:ruleEngine=Off` above a chain means
    /// the requests that all of the chain means.
    pub(super) fn controls(&mut self, rule: &PlannedRule) {
        for control in &rule.controls {
            self.control(control);
        }
    }

    /// What it expands to, in a buffer that may be given back.
    fn expanded(&mut self, expansion: &Expansion) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.state.argument);
        text.clear();
        self.state.expand(self.plan, self.lasting, expansion, &mut text);
        text
    }

    fn action(&mut self, action: &PlannedAction) {
        match action {
            PlannedAction::SetSlot(slot, PlannedUpdate::Remove) => self.state.tx.remove(*slot),
            PlannedAction::SetSlot(slot, PlannedUpdate::Set(value)) => {
                if let Some(text) = value.as_text() {
                    self.state.tx.set(*slot, text);
                } else {
                    let text = self.expanded(value);
                    self.state.tx.set(*slot, &text);
                    self.state.argument = text;
                }
            }
            PlannedAction::SetSlot(slot, PlannedUpdate::Add(amount)) => self.add(*slot, amount, 1),
            PlannedAction::SetSlot(slot, PlannedUpdate::Subtract(amount)) => self.add(*slot, amount, -1),
            PlannedAction::SetMember(collection, name, update) => {
                let name = self.expanded(name).to_ascii_lowercase();
                self.set_member(*collection, &name, update);
            }
            PlannedAction::Expire(collection, name, seconds) => self.expire(*collection, name, seconds),
            PlannedAction::Decay(collection, name, by) => {
                let name = self.expanded(name).to_ascii_lowercase();
                let state = &mut *self.state;
                let now = state.unix_seconds();
                if let Some(begun) = state.begun.iter_mut().find(|begun| begun.variable == *collection) {
                    self.lasting.decay(begun, &name, now, *by);
                }
            }
            PlannedAction::Begin(collection, key) => {
                let key = self.expanded(key);
                self.state.begun.retain(|begun| begun.variable != *collection);
                let begun = self.lasting.begin(*collection, key, self.state.unix_seconds());
                self.state.begun.push(begun);
            }
            PlannedAction::Environment(name, value) => {
                let value = value.as_ref().map(|value| self.expanded(value));
                self.state.environment.retain(|(known, _)| known != name);
                if let Some(value) = value.filter(|_| self.state.environment.len() < ENVIRONMENT) {
                    self.state.environment.push((name.clone(), value));
                }
            }
            PlannedAction::ConcealMatched => {
                let name = self.state.last_name.clone();
                self.state.conceal(name);
            }
            PlannedAction::Conceal(variable, member) => {
                self.state.conceal([variable.name().as_bytes(), b":", member].concat());
            }
        }
    }

    fn control(&mut self, control: &PlannedControl) {
        let state = &mut *self.state;
        match control {
            PlannedControl::Remove(set) => {
                let Some(removal) = self.plan.sets.get(*set as usize) else { return };
                if removal.target.is_none() {
                    for rule in &removal.rules {
                        state.remove(*rule);
                    }
                } else if !state.removed_targets.contains(set) {
                    state.removed_targets.push(*set);
                }
            }
            PlannedControl::Engine(to) => state.engine = *to,
            PlannedControl::BodyProcessor(processor) => state.read_as(*processor),
            PlannedControl::ForceRequestBody(switch) => state.force_body = *switch == Switch::On,
            PlannedControl::RequestBody(switch) => state.read_request_body = *switch == Switch::On,
            PlannedControl::ResponseBody(switch) => state.read_response_body = *switch == Switch::On,
            PlannedControl::Audit(switch) => {
                state.audit = switch.map(|switch| switch == Switch::On);
            }
        }
    }

    /// No number is 0, and so is what is not set.
    fn add(&mut self, slot: u32, amount: &Expansion, sign: i64) {
        let number = |slot| self.state.tx.get(slot).map_or(0, atoi);
        let old = number(slot);
        let amount = match &*amount.parts {
            [Part::Text(text)] => atoi(text),
            [Part::Slot(slot)] => number(*slot),
            _ => atoi(&self.expanded(amount)),
        };
        self.state.tx.set_number(slot, old.saturating_add(amount.saturating_mul(sign)));
    }

    fn set_member(&mut self, collection: Variable, name: &[u8], update: &PlannedUpdate) {
        let (amount, sign) = match update {
            PlannedUpdate::Remove => (Vec::new(), 0),
            PlannedUpdate::Set(value) => (self.expanded(value), 0),
            PlannedUpdate::Add(value) => (self.expanded(value), 1),
            PlannedUpdate::Subtract(value) => (self.expanded(value), -1),
        };
        let removes = matches!(update, PlannedUpdate::Remove);
        let change = |old: Option<&[u8]>| match (removes, sign) {
            (true, _) => None,
            (false, 0) => Some(amount),
            (false, sign) => Some(numbers::add(old.unwrap_or_default(), &amount, sign)),
        };
        let state = &mut *self.state;
        if collection == Variable::Tx {
            let old = state.tx.find(self.plan, name).and_then(|at| state.tx.value(at));
            match change(old) {
                Some(value) => _ = state.tx.set_named(self.plan, name, &value),
                None => state.tx.remove_named(self.plan, name),
            }
            return;
        }
        let now = state.unix_seconds();
        if let Some(begun) = state.begun.iter_mut().find(|begun| begun.variable == collection) {
            self.lasting.update(begun, name, now, change);
        }
    }

    fn expire(&mut self, collection: Variable, name: &Expansion, seconds: &Expansion) {
        let name = self.expanded(name).to_ascii_lowercase();
        let seconds = u64::try_from(atoi(&self.expanded(seconds))).unwrap_or(0);
        let state = &*self.state;
        if let Some(begun) = state.begun.iter().find(|begun| begun.variable == collection) {
            let now = state.unix_seconds();
            self.lasting.expire(begun, &name, now, now.saturating_add(seconds));
        }
    }
}
