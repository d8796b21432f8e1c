//! Builds the prefilter from a plan.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aho_corasick::dfa::DFA;
use aho_corasick::{MatchKind, StartKind};

use super::look::WORDS;
use super::{Bits, Filter, Needed, Pipeline, Place, Scope, Screened, insert};
use crate::waf::compile::RequiredOf;
use crate::waf::engine::collect::{Stored, stored};
use crate::waf::engine::plan::{Members, Plan, PlannedLink, PlannedTarget, RuleId, Test};
use crate::waf::engine::run::argument_is_constant;
use crate::waf::ir::Variable;
use crate::waf::pattern::{Clause, Required};
use crate::waf::transform::ByteSet;

/// Rules that are screened; more are tested as they run.
const RULES: usize = WORDS * 64;
/// Names longer than this are not looked for by name here.
const NAME_BYTES: usize = 64;

impl Filter {
    /// Takes up each rule that can be screened, and marks it so.
    ///
    /// # Errors
    /// If the automaton of all literals cannot be built.
    pub(in crate::waf) fn new(plan: &mut Plan, required: &RequiredOf) -> Result<Self, String> {
        let mut builder = Builder::default();
        let live: Vec<RuleId> = plan.phases.iter().flatten().copied().collect();
        for id in live {
            let link = plan.rules.get(id as usize).and_then(|rule| rule.links.first());
            let Some(link) = link.filter(|link| can_be_screened(link) && builder.rules.len() < RULES) else {
                continue;
            };
            let required = required_of(link, required.get(&(id, 0)));
            let bit = builder.rule(id, link, required);
            if let Some(rule) = plan.rules.get_mut(id as usize) {
                rule.filtered = Some(bit);
            }
        }
        builder.finish(plan)
    }
}

/// Whether the test's outcome depends on the text alone, and its values, once there, do not change.
fn can_be_screened(link: &PlannedLink) -> bool {
    let stays = |target: &PlannedTarget| {
        let short = !matches!(&target.members, Members::Named(name) if name.len() > NAME_BYTES);
        !target.count && short && match stored(target.variable) {
            Stored::Values(_) | Stored::Names(_) => true,
            Stored::Single => SETTLED.contains(&target.variable),
            Stored::Elsewhere => false,
        }
    };
    let pure = match &link.test {
        Test::Always | Test::Never | Test::RegexExpansion(..) => false,
        test => argument_is_constant(test),
    };
    pure && !link.negated && !link.targets.is_empty() && link.targets.iter().all(stays)
}

/// Single variables that are set once.
const SETTLED: &[Variable] = &[
    Variable::QueryString,
    Variable::RemoteAddr,
    Variable::RequestBasename,
    Variable::RequestBody,
    Variable::RequestFilename,
    Variable::RequestLine,
    Variable::RequestMethod,
    Variable::RequestProtocol,
    Variable::RequestUri,
    Variable::RequestUriRaw,
    Variable::ResponseBody,
    Variable::ResponseProtocol,
    Variable::ResponseStatus,
];

/// What a text needs for the link's test to pass.
fn required_of(link: &PlannedLink, of_pattern: Option<&Required>) -> Required {
    let one_of = |bytes: ByteSet| Clause { bytes: bytes.to_ascii_lowercase(), literals: BTreeSet::new() };
    let needs = |least_bytes, clauses| Required { clauses, least_bytes };
    match &link.test {
        Test::BytesOutside(allowed) => needs(1, vec![one_of(allowed.complement())]),
        Test::BadUrlEncoding => needs(1, vec![one_of(ByteSet::of(b"%"))]),
        Test::BadUtf8 => needs(1, vec![one_of(ByteSet::range(0x80, 0xff))]),
        // One word is one token, and no fingerprint of an attack has one alone.
        Test::SqlInjection => {
            let word = ByteSet::range(b'a', b'z').union(ByteSet::range(b'0', b'9')).union(ByteSet::of(b"_"));
            let word = word.union(ByteSet::range(b'A', b'Z'));
            needs(2, vec![one_of(word.complement())])
        }
        // A tag needs `<`, an attribute a value.
        Test::Xss => needs(2, vec![one_of(ByteSet::of(b"<="))]),
        _ => of_pattern.cloned().unwrap_or_default(),
    }
}

#[derive(Default)]
struct Builder {
    rules: Vec<Screened>,
    always: Vec<u16>,
    by_byte: BTreeMap<u8, Vec<u16>>,
    literals: HashMap<Vec<u8>, u32>,
    by_literal: Vec<Vec<u16>>,
    pipelines: Vec<(Vec<crate::waf::transform::Transformation>, bool, Vec<u16>)>,
    targets: Vec<(u16, Vec<PlannedTarget>, Vec<PlannedTarget>)>,
}

impl Builder {
    fn rule(&mut self, id: RuleId, link: &PlannedLink, required: Required) -> u16 {
        let bit = u16::try_from(self.rules.len()).unwrap_or(u16::MAX);
        let mut clauses = required.clauses.into_iter();
        match clauses.next() {
            None => self.always.push(bit),
            Some(first) => {
                for byte in first.bytes.iter() {
                    self.by_byte.entry(byte).or_default().push(bit);
                }
                for literal in first.literals {
                    let at = self.literal(literal);
                    if let Some(rules) = self.by_literal.get_mut(at as usize) {
                        rules.push(bit);
                    }
                }
            }
        }
        let rest = clauses.map(|clause| Needed {
            bytes: clause.bytes,
            literals: clause.literals.into_iter().map(|literal| self.literal(literal)).collect(),
        });
        let rest = rest.collect();
        self.rules.push(Screened { rule: id, least_bytes: required.least_bytes, rest });
        let steps = link.pipeline.to_vec();
        match self.pipelines.iter_mut().find(|(known, multi, _)| *known == steps && *multi == link.multi_match) {
            Some((_, _, rules)) => rules.push(bit),
            None => self.pipelines.push((steps, link.multi_match, vec![bit])),
        }
        self.targets.push((bit, link.targets.to_vec(), link.excluded.to_vec()));
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
            bits.iter().for_each(|bit| insert(&mut set, *bit));
            set
        };
        let mut literals: Vec<(&Vec<u8>, &u32)> = self.literals.iter().collect();
        literals.sort_by_key(|(_, at)| **at);
        let automaton = match literals.is_empty() {
            true => None,
            false => Some(
                DFA::builder()
                    .ascii_case_insensitive(true)
                    .match_kind(MatchKind::Standard)
                    .start_kind(StartKind::Unanchored)
                    .prefilter(false)
                    .build(literals.iter().map(|(literal, _)| literal.as_slice()))
                    .map_err(|error| error.to_string())?,
            ),
        };
        let mut scopes = HashMap::new();
        for (bit, targets, excluded) in &self.targets {
            add_targets(&mut scopes, words, *bit, targets, excluded);
        }
        let pipelines: Vec<_> = self
            .pipelines
            .iter()
            .map(|(steps, multi_match, rules)| Pipeline {
                steps: steps.clone().into(),
                multi_match: *multi_match,
                rules: set(rules),
            })
            .collect();
        for scope in scopes.values_mut() {
            choose_pipelines(scope, &pipelines);
        }
        let telling: Vec<u8> = self.by_byte.keys().copied().collect();
        let singles = scopes.keys().filter_map(|place| match place {
            Place::Single(variable) => Some(*variable),
            _ => None,
        });
        let mut singles: Vec<Variable> = singles.collect();
        singles.sort_unstable();
        debug_assert!(plan.rules.len() >= self.rules.len());
        Ok(Filter {
            words,
            always: set(&self.always),
            by_byte: (0..=255).map(|byte| set(self.by_byte.get(&byte).map_or(&[], Vec::as_slice))).collect(),
            telling_bytes: ByteSet::of(&telling),
            by_literal: self.by_literal.into_iter().map(Into::into).collect(),
            rules: self.rules,
            automaton,
            pipelines,
            scopes,
            singles,
        })
    }
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
    scopes: &mut HashMap<Place, Scope>,
    words: usize,
    bit: u16,
    targets: &[PlannedTarget],
    excluded: &[PlannedTarget],
) {
    let empty = || -> Bits { vec![0; words].into() };
    for target in targets {
        for place in places(target.variable) {
            let scope = scopes.entry(place).or_insert_with(|| Scope { all: empty(), ..Scope::default() });
            match &target.members {
                Members::Named(name) => insert(scope.named.entry(name.clone()).or_insert_with(empty), bit),
                Members::Matching(pattern) => match scope.matching.iter_mut().find(|(known, _)| known == pattern) {
                    Some((_, rules)) => insert(rules, bit),
                    None => {
                        let mut rules = empty();
                        insert(&mut rules, bit);
                        scope.matching.push((*pattern, rules));
                    }
                },
                Members::All | Members::Slot(_) => insert(&mut scope.all, bit),
            }
        }
    }
    // What is excluded by name need not be tested, if the same place is not named besides. The runner leaves it out
    // in any case.
    for target in excluded {
        let Members::Named(name) = &target.members else { continue };
        let same = |other: &PlannedTarget| {
            other.variable != target.variable && places(other.variable).iter().any(|place| places(target.variable).contains(place))
        };
        if name.len() > NAME_BYTES || targets.iter().any(same) {
            continue;
        }
        for place in places(target.variable) {
            if let Some(scope) = scopes.get_mut(&place) {
                insert(scope.not_named.entry(name.clone()).or_insert_with(empty), bit);
            }
        }
    }
}

fn choose_pipelines(scope: &mut Scope, pipelines: &[Pipeline]) {
    let sets = scope.named.values().chain(scope.matching.iter().map(|(_, rules)| rules)).chain([&scope.all]);
    let mut any = vec![0; scope.all.len()];
    for set in sets {
        any.iter_mut().zip(set).for_each(|(any, word)| *any |= word);
    }
    let meets = |pipeline: &Pipeline| pipeline.rules.iter().zip(&any).any(|(a, b)| a & b != 0);
    let own = (0_u16..).zip(pipelines).filter(|(_, pipeline)| meets(pipeline)).map(|(at, _)| at);
    scope.pipelines = own.collect();
}
