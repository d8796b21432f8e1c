//! The prefilter: which rules are worth a test on which values, and which of those pass.
//!
//! A rule's first link, or the first of a chain before which nothing is done, is tested here, when a value arrives, if its
//! test depends on the value's text alone. The test is made where the text has what it needs: one automaton finds the
//! literals of all rules in one pass, bytes are compared as sets. What passes is kept as [`Findings`], and the rule runs on
//! those values when its turn comes. So the results are those of testing each rule on each value, by construction: the
//! order of everything that has one is the runner's.

mod build;
mod classes;
mod literals;
mod look;
mod scopes;
mod screen;
mod seen;
mod stamps;
mod texts;
mod worth;

use super::plan::RuleId;
use super::values::{ValueRef, Values};
use crate::waf::pattern::{Caches, Regex};
use crate::waf::transform::Transformation;
use classes::{ClassSet, Classes};
use literals::Literals;
use scopes::Scopes;
use screen::Screen;
use seen::Seen;
use texts::Texts;

/// Findings for which memory is kept between requests.
const KEPT_FINDINGS: usize = 4_096;

/// A set of rules, a bit each.
type Bits = Box<[u64]>;

/// What the prefilter knows of all rules. Immutable and shared.
#[derive(Debug)]
pub(in crate::waf) struct Filter {
    /// Words of a set of rules.
    words: usize,
    /// By bit.
    rules: Vec<Screened>,
    classes: Classes,
    screen: Screen,
    /// Rules that need a literal, and not any other.
    need_literal: Bits,
    /// Bytes that do instead of the literal.
    instead: Vec<(ClassSet, Bits)>,
    literals: Literals,
    pipelines: Vec<Pipeline>,
    /// All steps of the pipelines.
    steps: Box<[Step]>,
    scopes: Scopes,
    groups: Vec<Group>,
    /// Rules that a text of so many bytes is long enough for; the last, for any longer one.
    by_length: Vec<Bits>,
}

/// Rules are told by the length of texts up to so many bytes.
const SHORT_BYTES: usize = 32;
/// Names longer than this are not looked for by name here.
const NAME_BYTES: usize = 64;

/// Rules whose patterns most texts are candidates for. One automaton tells whether any of them matches.
#[derive(Debug)]
struct Group {
    rules: Bits,
    any: Regex,
    /// Its place among the engine's patterns, for its cache.
    id: usize,
}

/// A rule that is screened.
#[derive(Debug)]
struct Screened {
    rule: RuleId,
    /// By which link.
    link: u16,
    /// What must be there besides.
    rest: Box<[Needed]>,
}

/// One of these must be in the text, which is in lower case.
#[derive(Debug)]
struct Needed {
    classes: ClassSet,
    literals: Box<[u32]>,
}

/// Transformations that rules have in common.
#[derive(Debug)]
struct Pipeline {
    steps: Box<[Step]>,
    /// The same as a set.
    step_set: u64,
    /// Whether the text is tested before and after each.
    multi_match: bool,
    rules: Bits,
}

/// One transformation, and the classes of which a text must have one to be changed.
#[derive(Debug, Clone, Copy)]
struct Step {
    by: Transformation,
    changes: ClassSet,
}

/// What was found in the values of one transaction.
#[derive(Debug, Default)]
pub(in crate::waf) struct Findings {
    /// In the order of the values.
    list: Vec<Finding>,
    /// Rules that have findings.
    rules: Vec<u64>,
    /// By rule that has findings: the first and the last.
    ends: Vec<(u32, u32)>,
    /// Values looked at.
    seen: usize,
    seen_singles: u128,
    texts: Texts,
    /// Of all transactions before.
    seen_before: Seen,
}

/// What looking at values writes to. Of a thread, while it looks: transactions wait for clients, and are many.
#[derive(Debug, Default)]
pub(in crate::waf) struct Scratch {
    pub(super) caches: Caches,
    texts: Texts,
    seen_before: Seen,
}

/// A value that passes a rule's test.
#[derive(Debug, Clone, Copy)]
struct Finding {
    /// The rule's.
    bit: u16,
    at: ValueRef,
    /// The rule's next finding. Itself, if it is the last.
    next: u32,
}

impl Findings {
    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.list.shrink_to(KEPT_FINDINGS);
        self.rules.fill(0);
        self.seen = 0;
        self.seen_singles = 0;
    }

    /// Takes what a thread has, or gives it back.
    pub(super) fn exchange(&mut self, scratch: &mut Scratch) {
        self.texts.clear();
        std::mem::swap(&mut self.texts, &mut scratch.texts);
        std::mem::swap(&mut self.seen_before, &mut scratch.seen_before);
    }

    /// Leaves all values that are there by now as if they had been looked at.
    pub(super) fn look_no_more(&mut self, values: &Values) {
        self.seen = values.len();
        self.seen_singles = u128::MAX;
    }

    /// How many rules in a row no value passes the test of, of so many from this one on.
    pub(super) fn none_from(&self, bit: u16, row: u16) -> u16 {
        let mut place = usize::from(bit) / 64;
        let mut below = u64::MAX << (bit % 64);
        let end = bit.saturating_add(row);
        while let Some(word) = self.rules.get(place).filter(|_| place * 64 < usize::from(end)) {
            if let Some(next) = bits(word & below, place).next() {
                return next.min(end) - bit;
            }
            (place, below) = (place + 1, u64::MAX);
        }
        row
    }

    /// The values that pass the rule's test.
    pub(super) fn of(&self, bit: u16) -> impl Iterator<Item = ValueRef> {
        let mut place = self.ends_of(bit).map(|(first, _)| first);
        std::iter::from_fn(move || {
            let at = place?;
            let found = self.list.get(at as usize)?;
            place = Some(found.next).filter(|next| *next != at);
            Some(found.at)
        })
    }

    fn ends_of(&self, bit: u16) -> Option<(u32, u32)> {
        let word = self.rules.get(usize::from(bit) / 64)?;
        (word & 1 << (bit % 64) != 0).then(|| self.ends.get(usize::from(bit)).copied())?
    }

    /// Notes that the value passes the rule's test; once, however many of its texts do.
    fn push(&mut self, bit: u16, at: ValueRef) {
        let Ok(place) = u32::try_from(self.list.len()) else { return };
        let ends = self.ends_of(bit);
        let last = ends.and_then(|(_, last)| self.list.get_mut(last as usize));
        match last {
            Some(last) if last.at == at => return,
            Some(last) => last.next = place,
            None => {}
        }
        if self.ends.len() <= usize::from(bit) {
            self.ends.resize(usize::from(bit) + 1, (0, 0));
            self.rules.resize(usize::from(bit) / 64 + 1, 0);
        }
        insert(&mut self.rules, bit);
        if let Some(known) = self.ends.get_mut(usize::from(bit)) {
            *known = (ends.map_or(place, |(first, _)| first), place);
        }
        self.list.push(Finding { bit, at, next: place });
    }
}

fn insert(set: &mut [u64], bit: u16) {
    if let Some(word) = set.get_mut(usize::from(bit) / 64) {
        *word |= 1 << (bit % 64);
    }
}

/// The bits that are set in one word of a set, by their number in the set.
fn bits(mut word: u64, place: usize) -> impl Iterator<Item = u16> {
    let first = u16::try_from(place * 64).unwrap_or(u16::MAX);
    std::iter::from_fn(move || {
        let bit = u16::try_from(word.trailing_zeros()).ok().filter(|bit| *bit < 64)?;
        word &= word - 1;
        Some(first.saturating_add(bit))
    })
}
