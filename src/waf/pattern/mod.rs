//! Regular expressions as rules have them: PCRE's syntax on bytes, run in linear time.
//!
//! A pattern is translated ([`translate`]), compiled to one NFA, and run as a lazy DFA whose memory belongs to the caller's
//! [`Caches`], so that it has one bound for all patterns of a thread. What groups captured is asked for after a match
//! only, and looked for within it. What a text must have for a pattern to match ([`Required`]) is read off the syntax
//! tree.
//!
//! What no automaton knows, references and lookaround within a pattern, is searched by backtracking where one finds that it
//! may be there ([`exact`]).
//!
//! Linear time may still be long: a text made so that each of its bytes asks for a new state costs some microseconds a
//! byte. So a search pays for what it does from [`Caches::meter`], and finds nothing once that is empty.

mod exact;
mod lazy;
mod lookaround;
mod required;
mod translate;

use regex_automata::nfa::thompson;
use regex_automata::nfa::thompson::backtrack::{self, BoundedBacktracker};
use regex_automata::nfa::thompson::pikevm::{self, PikeVM};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::Hir;

use super::meter::Meter;
use exact::Exact;
use lazy::{Lazy, LazyCaches};

pub use required::{Clause, LITERAL_BYTES, Required};
pub use translate::{Untranslatable, translate};

/// Memory of one pattern's automaton. CRS' largest come to some MiB.
const NFA_BYTES: usize = 32 << 20;
/// Visited bits of the backtracker, which is faster than the simulation on short texts.
const BACKTRACK_BYTES: usize = 32 << 10;
/// Of a match that is longer, the whole is told and no groups: looking for them may take a microsecond a byte, and cannot
/// be stopped.
const GROUPS_BYTES: usize = 4 << 10;
/// Texts up to this are searched for groups without finding where the match starts first.
const SHORT_BYTES: usize = 64;
/// Groups that anybody may ask for: the match and `TX.1` to `TX.9`.
pub const GROUPS: usize = 10;

/// Whether names compare without regard to case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Case {
    Sensitive,
    Insensitive,
}

/// A compiled pattern.
#[derive(Debug)]
pub struct Regex {
    forward: Lazy,
    /// From the end of a match to its start.
    reverse: Lazy,
    simulation: PikeVM,
    backtracker: BoundedBacktracker,
    /// Slots of all groups.
    slots: usize,
    /// Where what the automata find is not all that the pattern asks for.
    exact: Option<Exact>,
    /// As it was written.
    text: Box<[u8]>,
}

/// What a search writes to. One per thread, for all patterns of an engine.
#[derive(Debug, Default)]
pub struct Caches {
    /// Pays for all searches.
    pub meter: Meter,
    lazy: LazyCaches,
    /// Of the last pattern whose groups were asked for.
    simulation: Option<(usize, Box<pikevm::Cache>)>,
    backtracker: Option<(usize, Box<backtrack::Cache>)>,
    slots: Vec<Option<NonMaxUsize>>,
}

/// Where a pattern's groups matched: start and end in bytes.
pub type Groups = [Option<(usize, usize)>; GROUPS];

impl Regex {
    /// Compiles a pattern, and tells what a text must have for it to match.
    ///
    /// # Errors
    /// What cannot be done in linear time, is no pattern, or is too large.
    pub fn new(pattern: &[u8], case: Case) -> Result<(Self, Required), Untranslatable> {
        let (hir, exact) = parse(pattern, case)?;
        let regex = Self::from_hirs(std::slice::from_ref(&hir), exact, pattern)?;
        Ok((regex, Required::of(&hir)))
    }

    /// Matches what any of the patterns may match, which have been compiled each.
    ///
    /// # Errors
    /// If they are too large together.
    pub fn any_of<'a>(patterns: impl Iterator<Item = &'a Self>) -> Result<Self, Untranslatable> {
        let patterns = patterns.map(|pattern| parse(&pattern.text, Case::Sensitive).map(|(hir, _)| hir));
        Self::from_hirs(&patterns.collect::<Result<Vec<_>, _>>()?, None, b"")
    }

    fn from_hirs(hirs: &[Hir], exact: Option<Exact>, text: &[u8]) -> Result<Self, Untranslatable> {
        let nfa = compiler(false).build_many_from_hir(hirs).map_err(wrong)?;
        let backwards = compiler(true).build_many_from_hir(hirs).map_err(wrong)?;
        let backtracker = BoundedBacktracker::builder()
            .configure(BoundedBacktracker::config().visited_capacity(BACKTRACK_BYTES))
            .build_from_nfa(nfa.clone());
        Ok(Self {
            slots: nfa.group_info().slot_len(),
            reverse: Lazy::new(backwards, MatchKind::All)?,
            simulation: PikeVM::new_from_nfa(nfa.clone()).map_err(wrong)?,
            backtracker: backtracker.map_err(wrong)?,
            forward: Lazy::new(nfa, MatchKind::LeftmostFirst)?,
            exact,
            text: text.into(),
        })
    }

    /// Whether the text has a match. `id` is the pattern's place in the engine, for its cache.
    pub fn is_match(&self, id: usize, caches: &mut Caches, text: &[u8]) -> bool {
        let may_match = self.forward.end(2 * id, caches, text, 0, true).is_some();
        match &self.exact {
            Some(exact) if may_match => exact.search(&mut caches.meter, text, 0).is_some(),
            _ => may_match,
        }
    }

    /// Whether the text may have a match. Errs where finding out costs more than it spares.
    pub fn may_match(&self, id: usize, caches: &mut Caches, text: &[u8]) -> bool {
        !self.forward.is_worth_it(2 * id, caches, text.len()) || self.is_match(id, caches, text)
    }

    /// Where the leftmost match is and what its groups captured, if there is one.
    pub fn groups(&self, id: usize, caches: &mut Caches, text: &[u8], from: usize) -> Option<Groups> {
        let end = self.forward.end(2 * id, caches, text, from, false)?;
        if let Some(exact) = &self.exact {
            return exact.search(&mut caches.meter, text, from);
        }
        // Where there are no groups but the whole, the automata say all.
        let is_bare = self.slots == 2;
        let is_short = !is_bare && end.saturating_sub(from) <= SHORT_BYTES;
        let start = if is_short { from } else { self.reverse.start(2 * id + 1, caches, text, from..end)? };
        let length = end.saturating_sub(start);
        let mut groups = Groups::default();
        if is_bare || length > GROUPS_BYTES {
            groups[0] = Some((start, end));
            return Some(groups);
        }
        caches.slots.clear();
        caches.slots.resize(self.slots, None);
        let anchored = if is_short { Anchored::No } else { Anchored::Yes };
        // The text stays whole: what is around the match is seen by `\b` and `$`.
        let input = Input::new(text).range(start..end).anchored(anchored);
        if length <= self.backtracker.max_haystack_len() {
            let cache = cache_of(&mut caches.backtracker, id, || self.backtracker.create_cache());
            _ = self.backtracker.try_search_slots(cache, &input, &mut caches.slots).ok()?;
        } else {
            let cache = cache_of(&mut caches.simulation, id, || self.simulation.create_cache());
            _ = self.simulation.search_slots(cache, &input, &mut caches.slots);
        }
        caches.meter.spend(length.saturating_mul(self.forward.state_ns));
        for (group, pair) in groups.iter_mut().zip(caches.slots.chunks(2)) {
            if let [Some(start), Some(end)] = pair {
                *group = Some((start.get(), end.get()));
            }
        }
        groups[0].is_some().then_some(groups)
    }
}

fn wrong(error: impl std::fmt::Display) -> Untranslatable {
    Untranslatable::Wrong(error.to_string())
}

fn compiler(reverse: bool) -> thompson::Compiler {
    let config = thompson::Config::new().utf8(false).nfa_size_limit(Some(NFA_BYTES)).shrink(false);
    let config =
        if reverse { config.reverse(true).which_captures(thompson::WhichCaptures::None) } else { config };
    let mut compiler = thompson::Compiler::new();
    compiler.configure(config);
    compiler
}

fn cache_of<C>(slot: &mut Option<(usize, Box<C>)>, id: usize, create: impl FnOnce() -> C) -> &mut C {
    if slot.as_ref().is_none_or(|(owner, _)| *owner != id) {
        *slot = None;
    }
    &mut slot.get_or_insert_with(|| (id, Box::new(create()))).1
}

/// A pattern that is searched rarely, or that was not known when rules were compiled.
///
/// # Errors
/// What cannot be done in linear time, is no pattern, or is too large.
pub fn plain(pattern: &[u8]) -> Result<regex::bytes::Regex, Untranslatable> {
    regex::bytes::RegexBuilder::new(&translate(pattern)?)
        .unicode(false)
        .dot_matches_new_line(true)
        .size_limit(1 << 20)
        .dfa_size_limit(1 << 20)
        .build()
        .map_err(wrong)
}

/// Whether a pattern can be compiled, as far as its syntax tells.
///
/// # Errors
/// What is no pattern, or cannot be done.
pub fn check(pattern: &[u8]) -> Result<(), Untranslatable> {
    parse(pattern, Case::Sensitive).map(drop)
}

/// The syntax tree of a pattern, on bytes, with `.` meaning any of them, as ModSecurity compiles it.
///
/// Of one with parts that no automaton knows, what it matches at least, and how to search it exactly.
fn parse(pattern: &[u8], case: Case) -> Result<(Hir, Option<Exact>), Untranslatable> {
    let text = translate::with_specials(pattern)?;
    let hir = regex_syntax::ParserBuilder::new()
        .utf8(false)
        .unicode(false)
        .dot_matches_new_line(true)
        .case_insensitive(case == Case::Insensitive)
        .nest_limit(250)
        .build()
        .parse(&text)
        .map_err(|error| Untranslatable::Wrong(error.to_string()))?;
    let (linear, is_special) = exact::approximated(&hir, &mut 0);
    if !is_special {
        return Ok((hir, None));
    }
    let ignores_case = case == Case::Insensitive || text.contains("(?i");
    Ok((linear, Some(Exact::new(&hir, ignores_case)?)))
}

#[cfg(test)]
mod tests;
