//! By place of a value: the rules that look at it.

use std::collections::BTreeMap;

use super::{Bits, NAME_BYTES, Pipeline, insert};
use crate::waf::engine::collect::{Stored, stored};
use crate::waf::engine::plan::{Members, PatternId, PlannedTarget};
use crate::waf::engine::values::BASES;
use crate::waf::ir::Variable;

/// The rules that look at values of a place.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// Whatever their name is.
    pub(super) all: Bits,
    /// Of this name, in lower case.
    pub(super) named: Vec<(Box<[u8]>, Bits)>,
    /// Not of this name.
    pub(super) not_named: Vec<(Box<[u8]>, Bits)>,
    pub(super) matching: Vec<(PatternId, Bits)>,
    /// Whether the name of a value has a say in it.
    pub(super) by_name: bool,
    /// Its number.
    pub(super) number: u16,
    /// Which of [`Filter::pipelines`](super::Filter::pipelines) they have, a bit each.
    pub(super) pipelines: u128,
    /// The transformations of those.
    pub(super) steps: u64,
}

/// All scopes.
#[derive(Debug)]
pub(super) struct Scopes {
    /// By base of the values.
    pub(super) values: Vec<Scope>,
    /// By base of the names.
    pub(super) names: Vec<Scope>,
    pub(super) singles: Vec<(Variable, Scope)>,
}

/// What a rule looks at, and what it does not.
pub(super) struct Looks {
    /// The rule's.
    pub(super) bit: u16,
    pub(super) at: Vec<PlannedTarget>,
    pub(super) not_at: Vec<PlannedTarget>,
}

impl Scopes {
    /// Of rules; a set of them has so many words.
    pub(super) fn new(rules: &[Looks], words: usize, pipelines: &[Pipeline]) -> Self {
        let mut scopes = BTreeMap::new();
        for looks in rules {
            add_targets(&mut scopes, words, looks);
        }
        for (scope, number) in scopes.values_mut().zip(0_u16..) {
            finish_scope(scope, number, pipelines);
        }
        let [values, names] = [Place::Values, Place::Names].map(|place| by_base(&scopes, place));
        Self { values, names, singles: singles(scopes) }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Place {
    Single(Variable),
    /// Values of a base, by its number.
    Values(u8),
    /// Names of a base.
    Names(u8),
}

fn by_base(scopes: &BTreeMap<Place, Scope>, place: fn(u8) -> Place) -> Vec<Scope> {
    let bases = 0..u8::try_from(BASES).unwrap_or(u8::MAX);
    bases.map(|base| scopes.get(&place(base)).cloned().unwrap_or_default()).collect()
}

fn singles(scopes: BTreeMap<Place, Scope>) -> Vec<(Variable, Scope)> {
    let single = |(place, scope)| match place {
        Place::Single(variable) => Some((variable, scope)),
        _ => None,
    };
    scopes.into_iter().filter_map(single).collect()
}

fn places(variable: Variable) -> Vec<Place> {
    match stored(variable) {
        Stored::Single => vec![Place::Single(variable)],
        Stored::Values(bases) => bases.iter().map(|base| Place::Values(*base as u8)).collect(),
        Stored::Names(bases) => bases.iter().map(|base| Place::Names(*base as u8)).collect(),
        Stored::Elsewhere => Vec::new(),
    }
}

fn add_targets(
    scopes: &mut BTreeMap<Place, Scope>,
    words: usize,
    Looks { bit, at: targets, not_at: excluded }: &Looks,
) {
    let empty = || -> Bits { vec![0; words].into() };
    for target in targets {
        for place in places(target.variable) {
            let scope = scopes.entry(place).or_insert_with(|| Scope { all: empty(), ..Scope::default() });
            match &target.members {
                Members::Named(name) => insert(entry(&mut scope.named, name, empty), *bit),
                // A pattern may stand twice: its rules are added each time.
                Members::Matching(pattern) => {
                    let mut rules = empty();
                    insert(&mut rules, *bit);
                    scope.matching.push((*pattern, rules));
                }
                Members::All | Members::Slot(_) | Members::Slots(..) => insert(&mut scope.all, *bit),
            }
        }
    }
    // What is excluded by name need not be tested, if the same place is not named besides. The runner leaves it out
    // in any case.
    for target in excluded {
        let Members::Named(name) = &target.members else { continue };
        let same = |other: &PlannedTarget| {
            other.variable != target.variable
                && places(other.variable).iter().any(|place| places(target.variable).contains(place))
        };
        if name.len() > NAME_BYTES || targets.iter().any(same) {
            continue;
        }
        for place in places(target.variable) {
            if let Some(scope) = scopes.get_mut(&place) {
                insert(entry(&mut scope.not_named, name, empty), *bit);
            }
        }
    }
}

fn entry<'a>(
    sets: &'a mut Vec<(Box<[u8]>, Bits)>,
    name: &[u8],
    empty: impl FnOnce() -> Bits,
) -> &'a mut [u64] {
    let at = sets.iter().position(|(known, _)| **known == *name).unwrap_or_else(|| {
        sets.push((name.into(), empty()));
        sets.len() - 1
    });
    sets.get_mut(at).map_or(&mut [], |(_, set)| set)
}

fn finish_scope(scope: &mut Scope, number: u16, pipelines: &[Pipeline]) {
    scope.number = number;
    scope.by_name = !(scope.named.is_empty() && scope.not_named.is_empty() && scope.matching.is_empty());
    let sets = scope
        .named
        .iter()
        .map(|(_, rules)| rules)
        .chain(scope.matching.iter().map(|(_, rules)| rules))
        .chain([&scope.all]);
    let mut any = vec![0; scope.all.len()];
    for set in sets {
        any.iter_mut().zip(set).for_each(|(any, word)| *any |= word);
    }
    let meets = |pipeline: &Pipeline| pipeline.rules.iter().zip(&any).any(|(a, b)| a & b != 0);
    for (at, pipeline) in pipelines.iter().enumerate().filter(|(_, pipeline)| meets(pipeline)) {
        scope.pipelines |= 1 << at;
        scope.steps |= pipeline.step_set;
    }
}
