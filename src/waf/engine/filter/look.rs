//! Looks at values as they arrive.

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton, StateID};

use super::seen::Key;
use super::texts::{TextId, Texts};
use super::{Filter, Findings, Pipeline, Scope, bits, has, insert};
use crate::waf::engine::operators::{self, Operands};
use crate::waf::engine::run::{Runner, argument_of};
use crate::waf::engine::state::State;
use crate::waf::engine::values::ValueRef;
use crate::waf::pattern::LITERAL_BYTES;
use crate::waf::transform::ByteSet;

impl Runner<'_> {
    /// Looks at all values that have arrived since the last time.
    pub(in crate::waf::engine) fn look(&mut self, filter: &Filter) {
        let findings = &mut self.state.findings;
        findings.set.resize(filter.words, 0);
        for (variable, scope) in &filter.singles {
            let bit = 1_u128 << (*variable as u32 % 128);
            if self.state.findings.seen_singles & bit == 0 && self.state.values.single(*variable).is_some() {
                self.state.findings.seen_singles |= bit;
                self.look_at(filter, scope, ValueRef::Single(*variable));
            }
        }
        while self.state.findings.seen < self.state.values.len() && self.state.exhausted.is_none() {
            let Ok(at) = u32::try_from(self.state.findings.seen) else { return };
            self.state.findings.seen += 1;
            let Some(base) = self.state.values.named(at).map(|named| named.base as usize) else { return };
            if let Some(scope) = filter.names.get(base) {
                self.look_at(filter, scope, ValueRef::Name(at));
            }
            if let Some(scope) = filter.values.get(base) {
                self.look_at(filter, scope, ValueRef::Value(at));
            }
        }
    }

    fn look_at(&mut self, filter: &Filter, scope: &Scope, at: ValueRef) {
        if scope.pipelines.is_empty() {
            return;
        }
        let State { values, findings, caches, .. } = &mut *self.state;
        let Some(value) = values.value(at) else { return };
        let name = if scope.by_name { values.name(at) } else { &[] };
        let key = Key::new(scope.number, name, value);
        let Findings { seen_before, set, list, .. } = &mut *findings;
        if let Some(found) = key.and_then(|key| seen_before.find(key)) {
            for bit in found {
                insert(set, *bit);
                list.push((*bit, at));
            }
            return self.spend(0);
        }
        let mut rules = [0_u64; WORDS];
        let Some(rules) = rules.get_mut(..filter.words) else { return };
        rules.copy_from_slice(&scope.all);
        let same = |known: &[u8]| known.len() == name.len() && known.eq_ignore_ascii_case(name);
        for (_, not) in scope.not_named.iter().filter(|(known, _)| same(known)) {
            rules.iter_mut().zip(not).for_each(|(rule, not)| *rule &= !not);
        }
        for (_, also) in scope.named.iter().filter(|(known, _)| same(known)) {
            rules.iter_mut().zip(also).for_each(|(rule, also)| *rule |= also);
        }
        for (pattern, also) in &scope.matching {
            let regex = self.plan.patterns.get(*pattern as usize);
            if regex.is_some_and(|regex| regex.is_match(*pattern as usize, caches, name)) {
                rules.iter_mut().zip(also).for_each(|(rule, also)| *rule |= also);
            }
        }
        if rules.iter().all(|word| *word == 0) {
            return;
        }
        let mut operands = Operands { plan: self.plan, argument: &[], caches };
        let looked = Look { filter, value, rules, at };
        let found = findings.list.len();
        let bytes = looked.pipelines(&scope.pipelines, findings, &mut operands);
        if let Some(key) = key {
            let Findings { seen_before, list, .. } = &mut *findings;
            seen_before.note(key, list.get(found..).unwrap_or_default().iter().map(|(bit, _)| *bit));
        }
        self.spend(bytes);
    }
}

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
    /// Bytes looked at.
    fn pipelines(&self, pipelines: &[u16], findings: &mut Findings, operands: &mut Operands<'_>) -> usize {
        findings.texts.begin(self.value);
        let bytes = findings.texts.bytes(0);
        let mut looked = self.value.len();
        // Most pipelines change nothing of most values: the value is looked at once for all of them.
        let mut unchanged = [0_u64; WORDS];
        let Some(unchanged) = unchanged.get_mut(..self.filter.words) else { return 0 };
        for id in pipelines {
            let Some(pipeline) = self.filter.pipelines.get(usize::from(*id)) else { continue };
            if pipeline.triggers.is_some_and(|triggers| !triggers.intersects(&bytes)) {
                unchanged.iter_mut().zip(&pipeline.rules).for_each(|(all, own)| *all |= own);
            } else if self.rules.iter().zip(&pipeline.rules).any(|(rules, own)| rules & own != 0) {
                looked += self.pipeline(pipeline, findings, operands);
            }
        }
        self.text(0, unchanged, findings, operands);
        looked
    }

    /// Bytes looked at besides the value's.
    fn pipeline(&self, pipeline: &Pipeline, findings: &mut Findings, operands: &mut Operands<'_>) -> usize {
        let mut looked = 0;
        let mut text: TextId = 0;
        if pipeline.multi_match {
            self.text(text, &pipeline.rules, findings, operands);
        }
        for step in &pipeline.steps {
            let Some(next) = findings.texts.make(self.value, text, *step) else {
                // Too many texts: better a test too many than one too few.
                self.pass_all(&pipeline.rules, findings);
                return looked;
            };
            if next != text {
                looked += self.value.len();
                if pipeline.multi_match {
                    self.text(next, &pipeline.rules, findings, operands);
                }
            }
            text = next;
        }
        if !pipeline.multi_match {
            self.text(text, &pipeline.rules, findings, operands);
        }
        looked
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
        if !self.may_have(findings.texts.bytes(id), rules) {
            return;
        }
        let alike = findings.texts.alike(id);
        self.scan(alike, &mut findings.texts);
        let words = self.filter.words;
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

    /// Whether the text has the bytes that any of the rules needs. Spares a scan.
    fn may_have(&self, bytes: ByteSet, rules: &[u64]) -> bool {
        let bytes = bytes.to_ascii_lowercase();
        self.rules.iter().zip(rules).enumerate().any(|(place, (own, rules))| {
            bits(own & rules, place).any(|bit| {
                let screened = self.filter.rules.get(usize::from(bit));
                screened.is_some_and(|screened| screened.bytes.iter().all(|needed| needed.intersects(&bytes)))
            })
        })
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
            let ask = |text: &[u8]| group.any.is_match(group.id, operands.caches, text);
            if !findings.texts.group(self.value, id, place, ask) {
                candidates.iter_mut().zip(&group.rules).for_each(|(all, own)| *all &= !own);
            }
        }
    }

    fn test(&self, bit: u16, id: TextId, findings: &mut Findings, operands: &mut Operands<'_>) {
        let Some(screened) = self.filter.rules.get(usize::from(bit)) else { return };
        let rule = operands.plan.rules.get(screened.rule as usize);
        let Some(link) = rule.and_then(|rule| rule.links.first()) else { return };
        let text = findings.texts.text(self.value, id);
        let mut operands =
            Operands { plan: operands.plan, argument: argument_of(&link.test), caches: operands.caches };
        // A value is kept once, however many of its texts pass.
        let passes = operators::matches(&link.test, text, &mut operands);
        let kept = findings.list.last() == Some(&(bit, self.at))
            || (has(&findings.set, bit) && findings.list.contains(&(bit, self.at)));
        if passes && !kept {
            findings.push(bit, self.at);
        }
    }

    /// Finds the rules for which the text has what they need.
    fn scan(&self, id: TextId, texts: &mut Texts) {
        let words = self.filter.words;
        let (known, _) = texts.candidates(id, words);
        if known {
            return;
        }
        let mut found = [0_u64; WORDS];
        let Some(found) = found.get_mut(..words) else { return };
        found.copy_from_slice(&self.filter.always);
        let bytes = texts.bytes(id).to_ascii_lowercase();
        for byte in bytes.intersection(self.filter.telling_bytes).iter() {
            for (found, also) in
                found.iter_mut().zip(self.filter.by_byte.get(usize::from(byte)).into_iter().flatten())
            {
                *found |= also;
            }
        }
        let mut stamps = std::mem::take(&mut texts.stamps);
        texts.stamp = texts.stamp.wrapping_add(1);
        if texts.stamp == 0 || stamps.len() < self.filter.by_literal.len() {
            stamps.clear();
            stamps.resize(self.filter.by_literal.len(), 0);
            texts.stamp = 1;
        }
        let text = texts.text(self.value, id);
        self.literals(text, texts.stamp, &mut stamps, found);
        for (found, own) in found.iter_mut().zip(self.rules) {
            *found &= own;
        }
        if let Some(fits) = self.filter.by_length.get(text.len()) {
            found.iter_mut().zip(fits).for_each(|(found, fits)| *found &= fits);
        }
        let class = self.filter.by_class.iter().find(|(class, _)| bytes.intersection(*class) == bytes);
        if let Some((_, possible)) = class {
            found.iter_mut().zip(possible).for_each(|(found, possible)| *found &= possible);
        }
        self.drop_lacking(found, text.len(), bytes, (texts.stamp, &stamps));
        texts.stamps = stamps;
        let (_, candidates) = texts.candidates(id, words);
        candidates.copy_from_slice(found);
    }

    fn literals(&self, text: &[u8], stamp: u32, stamps: &mut [u32], found: &mut [u64]) {
        let Some(automaton) = &self.filter.automaton else { return };
        let Ok(start) = automaton.start_state(Anchored::No) else { return };
        let mut hit = |state: StateID| {
            for place in 0..automaton.match_len(state) {
                let literal = automaton.match_pattern(state, place).as_usize();
                let Some(seen) = stamps.get_mut(literal) else { continue };
                if *seen != stamp {
                    *seen = stamp;
                    let rules = self.filter.by_literal.get(literal).into_iter().flatten();
                    rules.for_each(|bit| insert(found, *bit));
                }
            }
        };
        let mut step = |state: &mut StateID, byte: u8| {
            *state = automaton.next_state(Anchored::No, *state, byte);
            if automaton.is_special(*state) && automaton.is_match(*state) {
                hit(*state);
            }
        };
        let quarter = text.len() / 4;
        if quarter >= 4 * LITERAL_BYTES {
            // Each step waits for the table; four at a time wait together. Quarters overlap by what a literal that
            // spans two of them needs.
            let whole = quarter + LITERAL_BYTES - 1;
            let parts =
                [0, quarter, 2 * quarter].map(|start| text.get(start..start + whole).unwrap_or_default());
            let [a, b, c] = parts;
            let rest = text.get(3 * quarter..).unwrap_or_default();
            let (fourth, last) = rest.split_at_checked(whole).unwrap_or((rest, &[]));
            let mut states = [start; 4];
            let [one, two, three, four] = &mut states;
            for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(fourth) {
                step(one, *a);
                step(two, *b);
                step(three, *c);
                step(four, *d);
            }
            if fourth.len() == whole {
                for byte in last {
                    step(four, *byte);
                }
                return;
            }
            // The last quarter is shorter than the others with their overlap: they are finished one by one.
            for (state, part) in [(one, a), (two, b), (three, c)] {
                for byte in part.get(fourth.len()..).unwrap_or_default() {
                    step(state, *byte);
                }
            }
            return;
        }
        let mut state = start;
        for byte in text {
            step(&mut state, *byte);
        }
    }

    /// Takes out the rules that need something else besides, which the text lacks.
    fn drop_lacking(&self, found: &mut [u64], length: usize, bytes: ByteSet, (stamp, stamps): (u32, &[u32])) {
        let has = |literal: &u32| stamps.get(*literal as usize) == Some(&stamp);
        for (place, word) in found.iter_mut().enumerate() {
            for bit in bits(*word, place) {
                let Some(screened) = self.filter.rules.get(usize::from(bit)) else { continue };
                let lacks = length < screened.least_bytes
                    || !screened.bytes.iter().all(|needed| needed.intersects(&bytes))
                    || screened
                        .rest
                        .iter()
                        .any(|needed| !needed.bytes.intersects(&bytes) && !needed.literals.iter().any(has));
                if lacks {
                    *word &= !(1 << (bit % 64));
                }
            }
        }
    }
}
