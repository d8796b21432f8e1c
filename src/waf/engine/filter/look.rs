//! Looks at values as they arrive.

use super::classes::ClassSet;
use super::scopes::Scope;
use super::seen::Key;
use super::texts::{Known, TextId, Texts};
use super::{Filter, Findings, Needed, Pipeline, bits};
use crate::waf::engine::operators::{self, Operands};
use crate::waf::engine::run::{Runner, argument_of};
use crate::waf::engine::state::State;
use crate::waf::engine::values::ValueRef;
use crate::waf::meter::{Meter, byte_ns};

impl Runner<'_> {
    /// Looks at all values that have arrived since the last time.
    pub(in crate::waf::engine) fn look(&mut self, filter: &Filter) {
        for (variable, scope) in &filter.scopes.singles {
            let bit = 1_u128 << (*variable as u32 % 128);
            if self.state.findings.seen_singles & bit == 0 && self.state.values.single(*variable).is_some() {
                self.state.findings.seen_singles |= bit;
                self.look_at(filter, scope, ValueRef::Single(*variable));
            }
        }
        while self.state.findings.seen < self.state.values.len() && !self.state.caches.meter.is_empty() {
            let Ok(at) = u32::try_from(self.state.findings.seen) else { return };
            self.state.findings.seen += 1;
            let Some(base) = self.state.values.named(at).map(|named| named.base as usize) else { return };
            if let Some(scope) = filter.scopes.names.get(base) {
                self.look_at(filter, scope, ValueRef::Name(at));
            }
            if let Some(scope) = filter.scopes.values.get(base) {
                self.look_at(filter, scope, ValueRef::Value(at));
            }
        }
    }

    fn look_at(&mut self, filter: &Filter, scope: &Scope, at: ValueRef) {
        if scope.pipelines == 0 {
            return;
        }
        let State { values, findings, caches, .. } = &mut *self.state;
        let Some(value) = values.value(at) else { return };
        let name = if scope.by_name { values.name(at) } else { &[] };
        let mut rules = [0_u64; WORDS];
        let Some(rules) = rules.get_mut(..filter.words) else { return };
        rules.copy_from_slice(&scope.all);
        let mut by_name = false;
        let same = |known: &[u8]| known.len() == name.len() && known.eq_ignore_ascii_case(name);
        for (_, not) in scope.not_named.iter().filter(|(known, _)| same(known)) {
            rules.iter_mut().zip(not).for_each(|(rule, not)| *rule &= !not);
            by_name = true;
        }
        for (_, also) in scope.named.iter().filter(|(known, _)| same(known)) {
            rules.iter_mut().zip(also).for_each(|(rule, also)| *rule |= also);
            by_name = true;
        }
        for (pattern, also) in &scope.matching {
            let regex = self.plan.patterns.get(*pattern as usize);
            if regex.is_some_and(|regex| regex.is_match(*pattern as usize, caches, name)) {
                rules.iter_mut().zip(also).for_each(|(rule, also)| *rule |= also);
                by_name = true;
            }
        }
        if rules.iter().all(|word| *word == 0) {
            return;
        }
        // Most names change nothing: what is found is the same under all of those.
        let key = Key::new(scope.number, by_name.then_some(name), value);
        if let Some(found) = key.and_then(|key| findings.seen_before.find(key)) {
            for bit in found.bits() {
                findings.push(*bit, at);
            }
            caches.meter.spend(SEEN_NS);
            return;
        }
        let mut operands = Operands { plan: self.plan, argument: &[], caches };
        let looked = Look { filter, value, rules, at };
        let found = findings.list.len();
        looked.pipelines(scope, findings, &mut operands);
        // What was not looked at to its end is not known.
        if operands.caches.meter.spend(VALUE_NS)
            && let Some(key) = key
        {
            let Findings { seen_before, list, .. } = &mut *findings;
            seen_before.note(key, list.get(found..).unwrap_or_default().iter().map(|found| found.bit));
        }
    }
}

/// What a value may take besides its bytes, one that was looked at before and one that was not.
const SEEN_NS: usize = 100;
const VALUE_NS: usize = 2_000;
/// Bytes of a value for which it is found out beforehand which transformations change it.
const SHORT_VALUE: usize = 256;

/// Words of the largest set of rules.
pub(super) const WORDS: usize = 16;

/// One value, and the rules that look at it.
struct Look<'a> {
    filter: &'a Filter,
    value: &'a [u8],
    rules: &'a [u64],
    at: ValueRef,
}

impl Look<'_> {
    /// Makes the texts that the pipelines make of the value, and looks at each for all rules that are to.
    fn pipelines(&self, scope: &Scope, findings: &mut Findings, operands: &mut Operands<'_>) {
        let (filter, texts) = (self.filter, &mut findings.texts);
        texts.begin(self.value, &filter.classes);
        let classes = texts.classes(0);
        let mut remembered = std::mem::take(&mut texts.remembered);
        let told = filter.screen.tell(classes, &filter.pipelines, &mut remembered);
        // Most pipelines change nothing of most values: the value is looked at once for all of them.
        texts.look_for(0, &told.unchanged);
        let steps = self.effective(told.steps & scope.steps, texts, &mut operands.caches.meter);
        let mut changing = told.changing & scope.pipelines;
        findings.texts.remembered = remembered;
        while changing != 0 {
            let pipeline = filter.pipelines.get(changing.trailing_zeros() as usize);
            changing &= changing - 1;
            match pipeline.filter(|pipeline| meet(self.rules, &pipeline.rules)) {
                Some(pipeline) if pipeline.step_set & steps == 0 => {
                    findings.texts.look_for(0, &pipeline.rules);
                }
                Some(pipeline) => self.pipeline(pipeline, findings, &mut operands.caches.meter),
                None => {}
            }
        }
        let mut rules = [0_u64; WORDS];
        let Some(rules) = rules.get_mut(..filter.words) else { return };
        for id in findings.texts.all() {
            if operands.caches.meter.is_empty() {
                return;
            }
            if findings.texts.rules(id, rules) {
                self.text(id, rules, findings, operands);
            }
        }
    }

    /// Which of the transformations change the value. Of long values all that may: not all pipelines begin with it.
    fn effective(&self, steps: u64, texts: &mut Texts, meter: &mut Meter) -> u64 {
        if self.value.len() > SHORT_VALUE {
            return steps;
        }
        let mut effective = 0;
        for step in self.filter.steps.iter().filter(|step| steps & step.by.bit() != 0) {
            if !matches!(texts.make(self.value, 0, *step, (&self.filter.classes, &mut *meter)), Ok(0)) {
                effective |= step.by.bit();
            }
        }
        effective
    }

    fn pipeline(&self, pipeline: &Pipeline, findings: &mut Findings, meter: &mut Meter) {
        let texts = &mut findings.texts;
        let mut text: TextId = 0;
        if pipeline.multi_match {
            texts.look_for(text, &pipeline.rules);
        }
        for step in &pipeline.steps {
            let Ok(next) = texts.make(self.value, text, *step, (&self.filter.classes, &mut *meter)) else {
                // Too many texts: better a test too many than one too few.
                return self.pass_all(&pipeline.rules, findings);
            };
            if next != text && pipeline.multi_match {
                texts.look_for(next, &pipeline.rules);
            }
            text = next;
        }
        if !pipeline.multi_match {
            texts.look_for(text, &pipeline.rules);
        }
    }

    fn pass_all(&self, rules: &[u64], findings: &mut Findings) {
        for (place, (own, rules)) in self.rules.iter().zip(rules).enumerate() {
            for bit in bits(own & rules, place) {
                findings.push(bit, self.at);
            }
        }
    }

    /// Tests those rules on the text that it is worth it for.
    fn text(&self, id: TextId, rules: &[u64], findings: &mut Findings, operands: &mut Operands<'_>) {
        let words = self.filter.words;
        let alike = findings.texts.alike(id);
        self.screen(alike, &mut findings.texts);
        let (known, screened) = findings.texts.candidates(alike, words);
        if !meet(screened, rules) {
            return;
        }
        if *known == Known::Screened && meet_all([screened, rules, &self.filter.need_literal]) {
            self.scan(alike, &mut findings.texts, &mut operands.caches.meter);
        }
        let mut candidates = [0_u64; WORDS];
        let Some(candidates) = candidates.get_mut(..words) else { return };
        let (_, known) = findings.texts.candidates(alike, words);
        candidates.iter_mut().zip(known).zip(rules).for_each(|((both, known), own)| *both = *known & own);
        self.drop_groups(id, candidates, findings, operands);
        for (place, word) in candidates.iter().enumerate() {
            for bit in bits(*word, place) {
                self.test(bit, id, findings, operands);
            }
        }
    }

    /// Takes out the candidates of groups of which none matches.
    fn drop_groups(
        &self,
        id: TextId,
        candidates: &mut [u64],
        findings: &mut Findings,
        operands: &mut Operands<'_>,
    ) {
        for (place, group) in self.filter.groups.iter().enumerate() {
            let count: u32 = candidates.iter().zip(&group.rules).map(|(a, b)| (a & b).count_ones()).sum();
            if count < 2 {
                continue;
            }
            let ask = |text: &[u8]| group.any.may_match(group.id, operands.caches, text);
            if !findings.texts.group(self.value, id, place, ask) {
                candidates.iter_mut().zip(&group.rules).for_each(|(all, own)| *all &= !own);
            }
        }
    }

    fn test(&self, bit: u16, id: TextId, findings: &mut Findings, operands: &mut Operands<'_>) {
        let Some(screened) = self.filter.rules.get(usize::from(bit)) else { return };
        let rule = operands.plan.rules.get(screened.rule as usize);
        let Some(link) = rule.and_then(|rule| rule.links.get(usize::from(screened.link))) else { return };
        let text = findings.texts.text(self.value, id);
        let mut operands =
            Operands { plan: operands.plan, argument: argument_of(&link.test), caches: operands.caches };
        if operators::matches(&link.test, text, &mut operands) != link.negated {
            findings.push(bit, self.at);
        }
    }

    /// Finds the rules that the text is long enough for and has the bytes for.
    fn screen(&self, id: TextId, texts: &mut Texts) {
        let filter = self.filter;
        let classes = texts.classes(id);
        let length = texts.text(self.value, id).len();
        let mut remembered = std::mem::take(&mut texts.remembered);
        let (known, screened) = texts.candidates(id, filter.words);
        if *known == Known::Nothing {
            *known = Known::Screened;
            let told = filter.screen.tell(classes, &filter.pipelines, &mut remembered);
            let fits = filter.by_length.get(length).or(filter.by_length.last());
            let fits = fits.into_iter().flatten();
            for (((screened, own), fits), possible) in
                screened.iter_mut().zip(self.rules).zip(fits).zip(&told.possible)
            {
                *screened = own & fits & possible;
            }
        }
        texts.remembered = remembered;
    }

    /// Takes out the rules that need literals which the text lacks.
    fn scan(&self, id: TextId, texts: &mut Texts, meter: &mut Meter) {
        let classes = texts.classes(id);
        let mut found = [0_u64; WORDS];
        let Some(found) = found.get_mut(..self.filter.words) else { return };
        for (_, rules) in self.filter.instead.iter().filter(|(enough, _)| enough & classes != 0) {
            found.iter_mut().zip(rules).for_each(|(found, also)| *found |= also);
        }
        let mut stamps = std::mem::take(&mut texts.stamps);
        let text = texts.text(self.value, id);
        meter.spend(text.len() * byte_ns::SCAN);
        self.filter.literals.find(text, &mut stamps, found);
        let (known, candidates) = texts.candidates(id, self.filter.words);
        *known = Known::Scanned;
        for ((candidates, literal), found) in
            candidates.iter_mut().zip(&self.filter.need_literal).zip(&*found)
        {
            *candidates &= !literal | found;
        }
        self.drop_lacking(candidates, classes, |literal| stamps.has(literal));
        texts.stamps = stamps;
    }

    /// Takes out the rules that need other literals besides, which the text lacks.
    fn drop_lacking(&self, candidates: &mut [u64], classes: ClassSet, has: impl Fn(u32) -> bool) {
        let words = candidates.iter_mut().zip(&self.filter.need_literal).enumerate();
        for (place, (word, literal)) in words {
            for bit in bits(*word & literal, place) {
                let Some(screened) = self.filter.rules.get(usize::from(bit)) else { continue };
                let lacks = |needed: &Needed| {
                    needed.classes & classes == 0 && !needed.literals.iter().any(|literal| has(*literal))
                };
                if screened.rest.iter().any(lacks) {
                    *word &= !(1 << (bit % 64));
                }
            }
        }
    }
}

/// Whether a rule is in both sets.
fn meet(one: &[u64], other: &[u64]) -> bool {
    one.iter().zip(other).any(|(a, b)| a & b != 0)
}

/// Whether a rule is in all of them.
fn meet_all([one, two, three]: [&[u64]; 3]) -> bool {
    one.iter().zip(two).zip(three).any(|((a, b), c)| a & b & c != 0)
}
