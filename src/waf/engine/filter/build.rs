//! Builds the prefilter from a plan: which link of which rule it tests, and by what it knows where.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::classes::{ClassSet, Classes};
use super::literals::Literals;
use super::look::WORDS;
use super::scopes::{Looks, Scopes};
use super::screen::Screen;
use super::worth::{Odds, can_be_screened, does_nothing, is_likely, odds, required_of};
use super::{Bits, Filter, Group, Needed, Pipeline, SHORT_BYTES, Screened, Step, insert};
use crate::waf::compile::RequiredOf;
use crate::waf::engine::plan::{Plan, PlannedLink, RuleId, ScreenedLink, Test};
use crate::waf::ir::Variable;
use crate::waf::pattern::{Clause, Regex, Required};
use crate::waf::transform::{ByteSet, Transformation};

/// Rules that are screened; more are tested as they run.
const RULES: usize = WORDS * 64;
/// Pipelines of rules that are screened.
const PIPELINES: usize = 128;
/// Patterns of one group.
const GROUP: usize = 8;

impl Filter {
    /// Takes up each rule that can be screened, and marks it so; chains `by_later` links, too, where nobody asks for
    /// what the first matched in vain and fewer requests come to those.
    ///
    /// # Errors
    /// If the automaton of all literals cannot be built.
    pub(in crate::waf) fn new(
        plan: &mut Plan,
        required: &RequiredOf,
        by_later: bool,
    ) -> Result<Self, String> {
        let mut builder = Builder::default();
        let Plan { phases, rules, .. } = plan;
        for turn in phases.iter_mut().flatten() {
            let Some(rule) = rules.get(turn.rule as usize) else { continue };
            let mut rarest: Option<(Odds, _, _, _)> = None;
            for (link, at) in rule.links.iter().zip(0_u16..) {
                let required = required_of(link, required.get(&(turn.rule, at.into())));
                let odds = odds(link, &required);
                let is_worth_it = match &rarest {
                    None => at == 0 || odds < Odds::Most,
                    Some((known, ..)) => odds < *known,
                };
                if is_worth_it && can_be_screened(link) && builder.has_room(link) {
                    rarest = Some((odds, link, at, required));
                }
                if !by_later || !does_nothing(link) {
                    break;
                }
            }
            if let Some((_, link, at, required)) = rarest {
                let bit = builder.rule((turn.rule, at), link, required);
                turn.screened = Some(ScreenedLink { bit, link: at });
            }
        }
        for turns in phases {
            let mut row = 0;
            for turn in turns.iter_mut().rev() {
                row = if turn.screened.is_some() { row + 1 } else { 0 };
                turn.row = row;
            }
        }
        builder.finish(plan)
    }
}

#[derive(Default)]
struct Builder {
    rules: Vec<(RuleId, u16)>,
    rest: Vec<Vec<(ByteSet, Box<[u32]>)>>,
    least_bytes: Vec<usize>,
    needs: Vec<(ByteSet, Vec<u16>)>,
    need_literal: Vec<u16>,
    instead: Vec<(ByteSet, Vec<u16>)>,
    literals: HashMap<Vec<u8>, u32>,
    by_literal: Vec<Vec<u16>>,
    pipelines: Vec<(Vec<Transformation>, bool, Vec<u16>)>,
    targets: Vec<Looks>,
    /// Rules that most texts are candidates for, with their patterns, by what they look at.
    common: BTreeMap<Vec<Variable>, Vec<(u16, u32)>>,
}

impl Builder {
    fn has_room(&self, link: &PlannedLink) -> bool {
        self.rules.len() < RULES
            && (self.pipelines.len() < PIPELINES
                || self.pipelines.iter().any(|known| same_pipeline(known, link)))
    }

    fn rule(&mut self, place: (RuleId, u16), link: &PlannedLink, required: Required) -> u16 {
        let bit = u16::try_from(self.rules.len()).unwrap_or(u16::MAX);
        if let (true, false, Test::Regex(pattern)) = (is_likely(&required), link.negated, &link.test) {
            let variables = link.targets.iter().map(|target| target.variable).collect();
            self.common.entry(variables).or_default().push((bit, *pattern));
        }
        self.least_bytes.push(required.least_bytes);
        let (bytes, mut literals): (Vec<_>, Vec<_>) =
            required.clauses.into_iter().partition(|clause| clause.literals.is_empty());
        for clause in bytes {
            note(&mut self.needs, clause.bytes, bit);
        }
        let rest = if literals.is_empty() { Vec::new() } else { literals.split_off(1) };
        if let Some(first) = literals.pop() {
            self.need_literal.push(bit);
            if first.bytes != ByteSet::EMPTY {
                note(&mut self.instead, first.bytes, bit);
            }
            for literal in first.literals {
                let at = self.literal(literal);
                if let Some(rules) = self.by_literal.get_mut(at as usize) {
                    rules.push(bit);
                }
            }
        }
        let mut numbered = |clause: Clause| {
            (clause.bytes, clause.literals.into_iter().map(|literal| self.literal(literal)).collect())
        };
        let rest = rest.into_iter().map(&mut numbered).collect();
        self.rest.push(rest);
        self.rules.push(place);
        let steps = link.pipeline.to_vec();
        match self.pipelines.iter_mut().find(|known| same_pipeline(known, link)) {
            Some((_, _, rules)) => rules.push(bit),
            None => self.pipelines.push((steps, link.multi_match, vec![bit])),
        }
        self.targets.push(Looks { bit, at: link.targets.to_vec(), not_at: link.excluded.to_vec() });
        bit
    }

    fn literal(&mut self, literal: Vec<u8>) -> u32 {
        let next = u32::try_from(self.by_literal.len()).unwrap_or(u32::MAX);
        let at = *self.literals.entry(literal).or_insert(next);
        if at == next {
            self.by_literal.push(Vec::new());
        }
        at
    }

    fn finish(self, plan: &Plan) -> Result<Filter, String> {
        let words = self.rules.len().div_ceil(64).max(1);
        let set = |bits: &[u16]| {
            let mut set: Bits = vec![0; words].into();
            for bit in bits {
                insert(&mut set, *bit);
            }
            set
        };
        let steps: BTreeSet<_> = self.pipelines.iter().flat_map(|(steps, ..)| steps).copied().collect();
        let classes = self.classes(&steps);
        let pipelines: Vec<_> = self
            .pipelines
            .iter()
            .map(|(steps, multi_match, rules)| Pipeline {
                steps: with_classes(steps, &classes),
                step_set: steps.iter().fold(0, |set, step| set | step.bit()),
                multi_match: *multi_match,
                rules: set(rules),
            })
            .collect();
        let scopes = Scopes::new(&self.targets, words, &pipelines);
        let groups = groups(plan, &self.common, set);
        let fits = |length: usize| -> Bits {
            let fit = (0_u16..).zip(&self.least_bytes).filter(|(_, least)| **least <= length);
            set(&fit.map(|(bit, _)| bit).collect::<Vec<_>>())
        };
        let sets = |by_bytes: &[(ByteSet, Vec<u16>)]| -> Vec<(ClassSet, Bits)> {
            by_bytes.iter().map(|(bytes, rules)| (classes.small(*bytes), set(rules))).collect()
        };
        let every: Vec<u16> = (0..).take(self.rules.len()).collect();
        Ok(Filter {
            words,
            by_length: (0..=SHORT_BYTES).map(fits).chain([fits(usize::MAX)]).collect(),
            screen: Screen { needs: sets(&self.needs), all: set(&every) },
            need_literal: set(&self.need_literal),
            instead: sets(&self.instead),
            literals: Literals::new(&self.literals, self.by_literal)?,
            rules: screened(&self.rules, self.rest, &classes),
            steps: with_classes(&steps, &classes),
            pipelines,
            scopes,
            groups,
            classes,
        })
    }

    fn classes(&self, steps: &BTreeSet<Transformation>) -> Classes {
        let asked = self.needs.iter().chain(&self.instead).map(|(bytes, _)| bytes);
        Classes::new(asked.chain(self.rest.iter().flatten().map(|(bytes, _)| bytes)), steps)
    }
}

fn screened(
    rules: &[(RuleId, u16)],
    rest: Vec<Vec<(ByteSet, Box<[u32]>)>>,
    classes: &Classes,
) -> Vec<Screened> {
    let needed = |(bytes, literals)| Needed { classes: classes.small(bytes), literals };
    let rest = rest.into_iter().map(|rest| rest.into_iter().map(needed).collect());
    rules.iter().zip(rest).map(|((rule, link), rest)| Screened { rule: *rule, link: *link, rest }).collect()
}

fn with_classes<'a>(steps: impl IntoIterator<Item = &'a Transformation>, classes: &Classes) -> Box<[Step]> {
    steps.into_iter().map(|by| Step { by: *by, changes: classes.changed_by(*by) }).collect()
}

fn note(sets: &mut Vec<(ByteSet, Vec<u16>)>, bytes: ByteSet, bit: u16) {
    match sets.iter_mut().find(|(known, _)| *known == bytes) {
        Some((_, rules)) => rules.push(bit),
        None => sets.push((bytes, vec![bit])),
    }
}

fn same_pipeline(
    (steps, multi_match, _): &(Vec<Transformation>, bool, Vec<u16>),
    link: &PlannedLink,
) -> bool {
    *steps == *link.pipeline && *multi_match == link.multi_match
}

/// Groups of rules whose patterns are compiled together, too.
///
/// Only rules that look at the same are: one that matches nearly everything would have the others tested, too.
fn groups(
    plan: &Plan,
    common: &BTreeMap<Vec<Variable>, Vec<(u16, u32)>>,
    set: impl Fn(&[u16]) -> Bits,
) -> Vec<Group> {
    let mut groups = Vec::new();
    for rules in common.values().flat_map(|rules| rules.chunks(GROUP)).take(64) {
        if rules.len() < 2 {
            continue;
        }
        let patterns = rules.iter().filter_map(|(_, pattern)| plan.patterns.get(*pattern as usize));
        // Too large together: they are tested one by one.
        let Ok(any) = Regex::any_of(patterns) else { continue };
        let bits: Vec<u16> = rules.iter().map(|(bit, _)| *bit).collect();
        groups.push(Group { rules: set(&bits), any, id: plan.patterns.len() + groups.len() });
    }
    groups
}
