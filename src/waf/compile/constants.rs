//! Variables of `TX` that no rule changes: where tests and actions name them, their text is written instead.
//!
//! CRS keeps its limits and lists in variables, so that nearly all of its numbers and half of its comparisons have macros.
//! Messages keep theirs: `RULE:msg` is a message as it is written.

use crate::waf::engine::plan::{Expansion, Part, Plan, PlannedAction, PlannedDisruption, PlannedLink, Slot};

/// Writes in the first values of all variables but those that a rule `changes`.
pub(super) fn write_in(plan: &mut Plan, changes: impl Fn(Slot) -> bool) {
    let Plan { rules, initial, .. } = plan;
    let mut write = |expansion: &mut Expansion| {
        let mut parts = Vec::with_capacity(expansion.parts.len());
        for part in &expansion.parts {
            let text = match part {
                Part::Slot(slot) if !changes(*slot) => {
                    initial.get(*slot as usize).and_then(Option::as_deref).unwrap_or_default()
                }
                Part::Text(text) => text,
                _ => {
                    parts.push(part.clone());
                    continue;
                }
            };
            match parts.last_mut() {
                Some(Part::Text(before)) => *before = [before, text].concat().into(),
                _ => parts.push(Part::Text(text.into())),
            }
        }
        expansion.parts = parts.into();
    };
    for rule in rules {
        if let PlannedDisruption::Redirect(to) = &mut rule.disruptive {
            write(to);
        }
        for link in &mut rule.links {
            each(link, &mut write);
        }
    }
}

/// All templates of a link.
fn each(link: &mut PlannedLink, write: &mut impl FnMut(&mut Expansion)) {
    link.test.argument_mut().into_iter().for_each(&mut *write);
    for action in &mut link.actions {
        match action {
            PlannedAction::SetSlot(_, update) => update.text_mut().into_iter().for_each(&mut *write),
            PlannedAction::SetMember(_, name, update) => {
                write(name);
                update.text_mut().into_iter().for_each(&mut *write);
            }
            PlannedAction::Expire(_, name, seconds) => {
                write(name);
                write(seconds);
            }
            PlannedAction::Decay(_, text, _)
            | PlannedAction::Begin(_, text)
            | PlannedAction::Environment(_, Some(text)) => write(text),
            PlannedAction::Environment(_, None)
            | PlannedAction::ConcealMatched
            | PlannedAction::Conceal(..) => {}
        }
    }
}
