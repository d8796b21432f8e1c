//! What is known of variables of `TX` before any request comes, and what rules make of what is known.

use crate::waf::engine::plan::{
    Expansion, Members, Part, Plan, PlannedLink, PlannedRule, PlannedTarget, PlannedUpdate, Slot,
};
use crate::waf::engine::{add_text, simple_match, transformed};
use crate::waf::ir::Variable;

/// A variable: its value or that it is not set, if that is known.
pub(super) type Known = Option<Option<Box<[u8]>>>;
/// All of them, by slot.
pub(super) type Variables = Vec<Known>;

/// What is known before any rule has run.
pub(super) fn before_any_rule(plan: &Plan) -> Variables {
    plan.initial.iter().cloned().map(Some).collect()
}

/// What is known whichever of two ways a request came.
pub(super) fn join(mut one: Variables, other: &Variables) -> Variables {
    for (known, other) in one.iter_mut().zip(other) {
        if known != other {
            *known = None;
        }
    }
    one
}

/// Whether the rule matches, if that is known.
pub(super) fn outcome(rule: &PlannedRule, variables: &Variables) -> Option<bool> {
    let mut all = true;
    for (at, link) in rule.links.iter().enumerate() {
        match passes(link, variables) {
            // The first rule of a chain has done its actions by then.
            Some(false) if at == 0 => return Some(false),
            Some(true) if all => {}
            _ => all = false,
        }
    }
    all.then_some(true)
}

fn passes(link: &PlannedLink, variables: &Variables) -> Option<bool> {
    if link.targets.is_empty() {
        return Some(true);
    }
    let argument = match link.test.argument() {
        Some(expansion) => expand(expansion, variables)?,
        None => Vec::new(),
    };
    let mut any = false;
    for target in &link.targets {
        let value = value(target, variables)?;
        let Some(value) = value else { continue };
        let text = transformed(&link.pipeline, &value);
        any |= simple_match(&link.test, &text, &argument)? != link.negated;
    }
    (link.excluded.is_empty() && !link.multi_match).then_some(any)
}

fn value(target: &PlannedTarget, variables: &Variables) -> Known {
    let Members::Slot(slot) = target.members else { return None };
    if target.variable != Variable::Tx {
        return None;
    }
    let known = variables.get(slot as usize)?.clone()?;
    Some(if target.count { Some(known.map_or(b"0", |_| b"1")[..].into()) } else { known })
}

fn expand(expansion: &Expansion, variables: &Variables) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    for part in &expansion.parts {
        match part {
            Part::Text(part) => text.extend_from_slice(part),
            Part::Slot(slot) => text
                .extend_from_slice(variables.get(*slot as usize)?.as_ref()?.as_deref().unwrap_or_default()),
            Part::Variable(..) => return None,
        }
    }
    Some(text)
}

/// What an update makes of a variable, if that is known.
pub(super) fn updated(slot: Slot, update: &PlannedUpdate, variables: &Variables) -> Known {
    let old =
        || variables.get(slot as usize)?.as_ref().map(|known| known.as_deref().unwrap_or_default().to_vec());
    Some(match update {
        PlannedUpdate::Remove => None,
        PlannedUpdate::Set(text) => Some(expand(text, variables)?.into()),
        PlannedUpdate::Add(text) => Some(add_text(&old()?, &expand(text, variables)?, 1).into()),
        PlannedUpdate::Subtract(text) => Some(add_text(&old()?, &expand(text, variables)?, -1).into()),
    })
}
