//! Builds the prefilter from a plan.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aho_corasick::dfa::DFA;
use aho_corasick::{MatchKind, StartKind};

use super::classes::{ClassSet, Classes};
use super::look::WORDS;
use super::screen::Screen;
use super::{Bits, Filter, Group, Needed, Pipeline, SHORT_BYTES, Scope, Screened, Step, insert};
use crate::waf::compile::RequiredOf;
use crate::waf::engine::collect::{Stored, stored};
use crate::waf::engine::plan::{Members, Plan, PlannedLink, PlannedTarget, RuleId, ScreenedLink, Test};
use crate::waf::engine::run::argument_is_constant;
use crate::waf::engine::values::BASES;
use crate::waf::ir::Variable;
use crate::waf::pattern::{Clause, Regex, Required};
use crate::waf::transform::{ByteSet, Transformation};

/// Rules that are screened; more are tested as they run.
const RULES: usize = WORDS * 64;
/// Pipelines of rules that are screened.
const PIPELINES: usize = 128;
/// From this likelihood on a rule's text is a candidate more often than not worth it.
const COMMON: f64 = 0.25;
/// Patterns of one group.
const GROUP: usize = 8;
/// Names longer than this are not looked for by name here.
const NAME_BYTES: usize = 64;

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

/// Whether nothing comes of the link but that the next one is tested.
fn does_nothing(link: &PlannedLink) -> bool {
    link.actions.is_empty() && (link.negated || !link.capture)
}

/// How many requests have a value that is worth a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Odds {
    /// Those with a text that few have.
    Few,
    /// Those that have a member of a name.
    Some,
    Most,
}

fn odds(link: &PlannedLink, required: &Required) -> Odds {
    let is_named = |target: &PlannedTarget| matches!(target.members, Members::Named(_));
    let is_usual = |target: &PlannedTarget| USUAL.contains(&target.variable);
    if !is_likely(required) && !link.targets.iter().any(is_usual) {
        Odds::Few
    } else if link.targets.iter().all(is_named) {
        Odds::Some
    } else {
        Odds::Most
    }
}

/// Whether many texts have what it takes.
fn is_likely(required: &Required) -> bool {
    required.clauses.first().is_none_or(|clause| clause.likelihood() > COMMON)
}

/// Whether the test's outcome depends on the text alone, and its values, once there, do not change.
fn can_be_screened(link: &PlannedLink) -> bool {
    let stays = |target: &PlannedTarget| {
        let short = !matches!(&target.members, Members::Named(name) if name.len() > NAME_BYTES);
        !target.count
            && short
            && match stored(target.variable) {
                Stored::Values(_) | Stored::Names(_) => true,
                Stored::Single => SETTLED.contains(&target.variable),
                Stored::Elsewhere => false,
            }
    };
    let pure = match &link.test {
        Test::Always | Test::Never | Test::RegexExpansion(..) => false,
        test => argument_is_constant(test),
    };
    pure && !link.targets.is_empty() && link.targets.iter().all(stays)
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

/// Those that are the same for most requests, and so most often what a rule looks for.
const USUAL: &[Variable] = &[
    Variable::RequestLine,
    Variable::RequestMethod,
    Variable::RequestProtocol,
    Variable::ResponseProtocol,
    Variable::ResponseStatus,
];

/// What a text needs for the link's test to pass.
fn required_of(link: &PlannedLink, of_pattern: Option<&Required>) -> Required {
    let one_of = |bytes: ByteSet| Clause { bytes: bytes.to_ascii_lowercase(), literals: BTreeSet::new() };
    let needs = |least_bytes, clauses| Required { clauses, least_bytes };
    match &link.test {
        // Any text may lack what the test looks for.
        _ if link.negated => Required::default(),
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

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Place {
    Single(Variable),
    /// Values of a base, by its number.
    Values(u8),
    /// Names of a base.
    Names(u8),
}

#[derive(Default)]
struct Builder {
    rules: Vec<(RuleId, u16)>,
    rest: Vec<Vec<(ByteSet, Box<[u32]>)>>,
    least_bytes: Vec<usize>,
    needs: Vec<(ByteSet, Vec<u16>)>,
    literal: Vec<u16>,
    instead: Vec<(ByteSet, Vec<u16>)>,
    literals: HashMap<Vec<u8>, u32>,
    by_literal: Vec<Vec<u16>>,
    pipelines: Vec<(Vec<Transformation>, bool, Vec<u16>)>,
    targets: Vec<(u16, Vec<PlannedTarget>, Vec<PlannedTarget>)>,
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
            self.literal.push(bit);
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
            for bit in bits {
                insert(&mut set, *bit);
            }
            set
        };
        let automaton = automaton(&self.literals)?;
        let mut scopes = BTreeMap::new();
        for (bit, targets, excluded) in &self.targets {
            add_targets(&mut scopes, words, *bit, targets, excluded);
        }
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
        for (scope, number) in scopes.values_mut().zip(0_u16..) {
            finish_scope(scope, number, &pipelines);
        }
        let [values, names] = [Place::Values, Place::Names].map(|place| by_base(&scopes, place));
        let singles = singles(scopes);
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
            literal: set(&self.literal),
            instead: sets(&self.instead),
            by_literal: self.by_literal.into_iter().map(Into::into).collect(),
            rules: screened(&self.rules, self.rest, &classes),
            automaton,
            steps: with_classes(&steps, &classes),
            pipelines,
            values,
            names,
            singles,
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

/// One automaton of all literals, numbered as they are.
fn automaton(literals: &HashMap<Vec<u8>, u32>) -> Result<Option<DFA>, String> {
    if literals.is_empty() {
        return Ok(None);
    }
    let mut literals: Vec<_> = literals.iter().collect();
    literals.sort_by_key(|(_, at)| **at);
    let built = DFA::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .start_kind(StartKind::Unanchored)
        .prefilter(false)
        .build(literals.iter().map(|(literal, _)| literal.as_slice()));
    built.map(Some).map_err(|error| error.to_string())
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
    bit: u16,
    targets: &[PlannedTarget],
    excluded: &[PlannedTarget],
) {
    let empty = || -> Bits { vec![0; words].into() };
    for target in targets {
        for place in places(target.variable) {
            let scope = scopes.entry(place).or_insert_with(|| Scope { all: empty(), ..Scope::default() });
            match &target.members {
                Members::Named(name) => insert(entry(&mut scope.named, name, empty), bit),
                // A pattern may stand twice: its rules are added each time.
                Members::Matching(pattern) => {
                    let mut rules = empty();
                    insert(&mut rules, bit);
                    scope.matching.push((*pattern, rules));
                }
                Members::All | Members::Slot(_) | Members::Slots(..) => insert(&mut scope.all, bit),
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
                insert(entry(&mut scope.not_named, name, empty), bit);
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
