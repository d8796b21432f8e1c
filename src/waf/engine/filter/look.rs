//! Looks at values as they arrive.

use aho_corasick::Anchored;
use aho_corasick::automaton::Automaton;

use super::texts::{TextId, Texts};
use super::{Filter, Findings, Place, bits, has, insert};
use crate::waf::engine::operators::{self, Operands};
use crate::waf::engine::run::{Runner, argument_of};
use crate::waf::engine::state::State;
use crate::waf::engine::values::ValueRef;

impl Runner<'_> {
    /// Looks at all values that have arrived since the last time.
    pub(in crate::waf::engine) fn look(&mut self, filter: &Filter) {
        let findings = &mut self.state.findings;
        findings.set.resize(filter.words, 0);
        for variable in &filter.singles {
            let bit = 1_u128 << (*variable as u32 % 128);
            if self.state.findings.seen_singles & bit == 0 && self.state.values.single(*variable).is_some() {
                self.state.findings.seen_singles |= bit;
                self.look_at(filter, Place::Single(*variable), ValueRef::Single(*variable));
            }
        }
        while self.state.findings.seen < self.state.values.len() && self.state.exhausted.is_none() {
            let Ok(at) = u32::try_from(self.state.findings.seen) else { return };
            self.state.findings.seen += 1;
            let Some(base) = self.state.values.named(at).map(|named| named.base as u8) else { return };
            self.look_at(filter, Place::Names(base), ValueRef::Name(at));
            self.look_at(filter, Place::Values(base), ValueRef::Value(at));
        }
    }

    fn look_at(&mut self, filter: &Filter, place: Place, at: ValueRef) {
        let Some(scope) = filter.scopes.get(&place) else { return };
        let State { values, findings, caches, .. } = &mut *self.state;
        let Some(value) = values.value(at) else { return };
        let mut rules = [0_u64; WORDS];
        let Some(rules) = rules.get_mut(..filter.words) else { return };
        rules.copy_from_slice(&scope.all);
        let name = values.name(at);
        if !scope.named.is_empty() || !scope.not_named.is_empty() {
            let mut lower = [0_u8; 64];
            if let Some(lower) = lower.get_mut(..name.len()) {
                lower.copy_from_slice(name);
                lower.make_ascii_lowercase();
                for (rule, not) in rules.iter_mut().zip(scope.not_named.get(lower).into_iter().flatten()) {
                    *rule &= !not;
                }
                for (rule, also) in rules.iter_mut().zip(scope.named.get(lower).into_iter().flatten()) {
                    *rule |= also;
                }
            } else {
                // No name in a rule is so long; all that are looked for by name are left to the runner.
                debug_assert!(scope.named.keys().all(|known| known.len() <= lower.len()));
            }
        }
        for (pattern, also) in &scope.matching {
            let regex = self.plan.patterns.get(*pattern as usize);
            if regex.is_some_and(|regex| regex.is_match(*pattern as usize, caches, name)) {
                for (rule, also) in rules.iter_mut().zip(also) {
                    *rule |= also;
                }
            }
        }
        if rules.iter().all(|word| *word == 0) {
            return;
        }
        let mut operands = Operands { plan: self.plan, argument: &[], caches };
        let looked = Look { filter, value, rules, at };
        let bytes = looked.pipelines(&scope.pipelines, findings, &mut operands);
        self.spend(bytes);
    }
}

/// Words of the largest set of rules.
pub(super) const WORDS: usize = 64;

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
        let mut bytes = self.value.len();
        for id in pipelines {
            let Some(pipeline) = self.filter.pipelines.get(usize::from(*id)) else { continue };
            if !self.rules.iter().zip(&pipeline.rules).any(|(rules, own)| rules & own != 0) {
                continue;
            }
            let mut text: TextId = 0;
            if pipeline.multi_match {
                self.text(text, &pipeline.rules, findings, operands);
            }
            for step in &pipeline.steps {
                let Some(next) = findings.texts.make(self.value, text, *step) else {
                    // Too many texts: better a test too many than one too few.
                    self.pass_all(&pipeline.rules, findings);
                    break;
                };
                if pipeline.multi_match && next != text {
                    self.text(next, &pipeline.rules, findings, operands);
                }
                if next != text {
                    bytes += self.value.len();
                }
                text = next;
            }
            if !pipeline.multi_match {
                self.text(text, &pipeline.rules, findings, operands);
            }
        }
        bytes
    }

    fn pass_all(&self, rules: &[u64], findings: &mut Findings) {
        let both: Vec<u64> = rules.iter().zip(self.rules).map(|(a, b)| a & b).collect();
        for bit in bits(&both) {
            findings.push(bit, self.at);
        }
    }

    /// Tests those rules on the text that it is worth it for.
    fn text(&self, id: TextId, rules: &[u64], findings: &mut Findings, operands: &mut Operands<'_>) {
        let alike = findings.texts.alike(id);
        self.scan(alike, &mut findings.texts);
        let words = self.filter.words;
        for place in 0..words {
            let (_, candidates) = findings.texts.candidates(alike, words);
            let both = candidates.get(place).zip(rules.get(place)).map_or(0, |(a, b)| a & b);
            for bit in bits(&[both]) {
                let bit = bit + u16::try_from(place * 64).unwrap_or(0);
                self.test(bit, id, findings, operands);
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
            for (found, also) in found.iter_mut().zip(self.filter.by_byte.get(usize::from(byte)).into_iter().flatten())
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
        self.drop_lacking(found, text.len(), bytes, (texts.stamp, &stamps));
        texts.stamps = stamps;
        let (_, candidates) = texts.candidates(id, words);
        candidates.copy_from_slice(found);
    }

    fn literals(&self, text: &[u8], stamp: u32, stamps: &mut [u32], found: &mut [u64]) {
        let Some(automaton) = &self.filter.automaton else { return };
        let Ok(mut state) = automaton.start_state(Anchored::No) else { return };
        for byte in text {
            state = automaton.next_state(Anchored::No, state, *byte);
            if automaton.is_special(state) && automaton.is_match(state) {
                for place in 0..automaton.match_len(state) {
                    let literal = automaton.match_pattern(state, place).as_usize();
                    let Some(seen) = stamps.get_mut(literal) else { continue };
                    if *seen != stamp {
                        *seen = stamp;
                        let rules = self.filter.by_literal.get(literal).into_iter().flatten();
                        rules.for_each(|bit| insert(found, *bit));
                    }
                }
            }
        }
    }

    /// Takes out the rules that need something else besides, which the text lacks.
    fn drop_lacking(
        &self,
        found: &mut [u64],
        length: usize,
        bytes: crate::waf::transform::ByteSet,
        (stamp, stamps): (u32, &[u32]),
    ) {
        for place in 0..found.len() {
            let Some(word) = found.get(place).copied() else { return };
            for bit in bits(&[word]) {
                let whole = usize::from(bit) + place * 64;
                let Some(screened) = self.filter.rules.get(whole) else { continue };
                let has = |literal: &u32| stamps.get(*literal as usize) == Some(&stamp);
                let lacks = length < screened.least_bytes
                    || screened.rest.iter().any(|needed| {
                        !needed.bytes.intersects(&bytes) && !needed.literals.iter().any(has)
                    });
                if lacks && let Some(word) = found.get_mut(place) {
                    *word &= !(1 << bit);
                }
            }
        }
    }
}
