//! From the Redis that a policy names to connections, which go on over reloads where nothing about them changes.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;

use super::Materials;
use crate::config::{Issue, Node};
use crate::outbound::redis::{Redis, Spec};
use crate::values::Problem;

/// More than a process can make sense of.
const MOST: usize = 16;
/// The longest name: it is a metric's label.
const LONGEST_NAME_BYTES: usize = 64;

/// Compiles all of them. `before` are those of the policy in force.
pub(super) fn compile(
    specs: &BTreeMap<String, Node>,
    before: Option<&BTreeMap<String, Arc<Redis>>>,
    materials: &Materials,
    base: &FilePath,
    issues: &mut Vec<Issue>,
) -> BTreeMap<String, Arc<Redis>> {
    let mut compiled = BTreeMap::new();
    for (index, (name, node)) in specs.iter().enumerate() {
        if index >= MOST {
            issues.push(node.issue(format_args!("more than {MOST}")));
            break;
        }
        if !(1..=LONGEST_NAME_BYTES).contains(&name.len()) {
            issues.push(node.issue(format_args!("expected a name of 1 to {LONGEST_NAME_BYTES} bytes")));
            continue;
        }
        let Some(spec) = node.read::<Spec>(issues) else { continue };
        match spec.compile(base) {
            Ok(terms) => {
                let known = before.and_then(|before| before.get(name)).filter(|known| known.is_on(&terms));
                let make = || {
                    let (clock, metrics) = (materials.state.clock.clone(), materials.metrics.redis(name));
                    Redis::new(name, terms, &materials.outbound, clock, metrics)
                };
                compiled.insert(name.clone(), known.cloned().unwrap_or_else(make));
            }
            Err(problems) => issues.extend(problems.iter().map(|problem: &Problem| node.problem(problem))),
        }
    }
    compiled
}
