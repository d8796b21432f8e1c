//! Which variables of `TX` a pattern means, found out once: of most, the names are known before any request comes.
//!
//! The Core Rule Set 3.3 asks at the end of each request for variables by patterns; to search some fifty names for each
//! of them costs more than most attacks do.

use crate::waf::engine::plan::{Members, PatternId, Plan, Slot};
use crate::waf::ir::Variable;
use crate::waf::pattern::{Caches, Regex};

/// Finds the slots for all that links look at.
pub(super) fn resolve(plan: &mut Plan) {
    let Plan { rules, patterns, slots, .. } = plan;
    let mut caches = Caches::default();
    let links = rules.iter_mut().flat_map(|rule| &mut rule.links);
    let targets = links.flat_map(|link| &mut link.targets);
    for target in targets.filter(|target| target.variable == Variable::Tx) {
        if let Members::Matching(id) = target.members {
            let named = named(patterns, id, slots, &mut caches);
            target.members = Members::Slots(id, named);
        }
    }
}

/// The slots that have the pattern in their names.
fn named(patterns: &[Regex], id: PatternId, slots: &[Box<[u8]>], caches: &mut Caches) -> Box<[Slot]> {
    let Some(pattern) = patterns.get(id as usize) else { return Box::default() };
    let meant = (0..).zip(slots).filter(|(_, name)| pattern.is_match(id as usize, caches, name));
    meant.map(|(slot, _)| slot).collect()
}
