//! The literals of all rules, found by one automaton in one pass over a text.

use std::collections::HashMap;

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind, StartKind};

use super::insert;
use super::stamps::Stamps;
use crate::waf::pattern::LITERAL_BYTES;

/// Immutable and shared.
#[derive(Debug)]
pub(super) struct Literals {
    /// Nothing, if there are no literals.
    automaton: Option<DFA>,
    /// By literal: rules for which it may be enough.
    rules: Vec<Box<[u16]>>,
}

impl Literals {
    /// Of literals with their numbers, and by number the rules for which one may be enough.
    ///
    /// # Errors
    /// If there are too many for an automaton.
    pub(super) fn new(literals: &HashMap<Vec<u8>, u32>, rules: Vec<Vec<u16>>) -> Result<Self, String> {
        Ok(Self { automaton: automaton(literals)?, rules: rules.into_iter().map(Into::into).collect() })
    }

    /// Stamps the literals that are in the text, and adds the rules for which one of them may be enough.
    pub(super) fn find(&self, text: &[u8], stamps: &mut Stamps, found: &mut [u64]) {
        stamps.begin(self.rules.len());
        let Some(automaton) = &self.automaton else { return };
        let Ok(start) = automaton.start_state(Anchored::No) else { return };
        let mut hit = |state: StateID| {
            // Text of many words comes to the same few states again and again.
            if !stamps.comes_to(state.as_u32()) {
                return;
            }
            for place in 0..automaton.match_len(state) {
                let literal = automaton.match_pattern(state, place);
                if stamps.find(literal.as_u32()) {
                    let rules = self.rules.get(literal.as_usize()).into_iter().flatten();
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
}

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
