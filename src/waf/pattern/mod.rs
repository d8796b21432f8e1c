//! Regular expressions as rules have them: PCRE's syntax on bytes, run in linear time.
//!
//! A pattern is translated ([`translate`]), compiled to one NFA, and run as a lazy DFA whose memory belongs to the caller's
//! [`Caches`], so that it has one bound for all patterns of a thread. What groups captured is asked for after a match
//! only. What a text must have for a pattern to match ([`Required`]) is read off the syntax tree.

mod required;
mod translate;

use regex_automata::hybrid::dfa::{Cache as LazyCache, DFA};
use regex_automata::nfa::thompson::backtrack::{self, BoundedBacktracker};
use regex_automata::nfa::thompson::pikevm::{self, PikeVM};
use regex_automata::nfa::thompson::{self, NFA};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::Hir;

pub use required::{Clause, LITERAL_BYTES, Required};
pub use translate::{Untranslatable, translate};

/// Memory of one pattern's automaton. CRS' largest come to some MiB.
const NFA_BYTES: usize = 32 << 20;
/// Memory of one pattern's lazy DFA, per thread; when full it starts anew. Enough for some hundred states of CRS' largest.
const LAZY_BYTES: usize = 1 << 20;
/// Memory of all lazy DFAs of a thread; when full all start anew.
const CACHES_BYTES: usize = 24 << 20;
/// Visited bits of the backtracker, which is faster than the simulation on short texts.
const BACKTRACK_BYTES: usize = 64 << 10;
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
    lazy: DFA,
    simulation: PikeVM,
    backtracker: BoundedBacktracker,
    /// Slots of all groups.
    slots: usize,
    /// As it was written.
    text: Box<[u8]>,
}

/// What a search writes to. One per thread, for all patterns of an engine.
#[derive(Debug, Default)]
pub struct Caches {
    lazy: Vec<Option<Box<LazyCache>>>,
    /// Of the last pattern whose groups were asked for.
    simulation: Option<(usize, Box<pikevm::Cache>)>,
    backtracker: Option<(usize, Box<backtrack::Cache>)>,
    slots: Vec<Option<NonMaxUsize>>,
    bytes: usize,
}

/// Where a pattern's groups matched: start and end in bytes.
pub type Groups = [Option<(usize, usize)>; GROUPS];

impl Regex {
    /// Compiles a pattern, and tells what a text must have for it to match.
    ///
    /// # Errors
    /// What cannot be done in linear time, is no pattern, or is too large.
    pub fn new(pattern: &[u8], case: Case) -> Result<(Self, Required), Untranslatable> {
        let hir = parse(pattern, case)?;
        let nfa =
            compiler().build_from_hir(&hir).map_err(|error| Untranslatable::Wrong(error.to_string()))?;
        let regex = Self::from_nfa(nfa, pattern).map_err(Untranslatable::Wrong)?;
        Ok((regex, Required::of(&hir)))
    }

    /// Matches what any of the patterns matches, which have been compiled each.
    ///
    /// # Errors
    /// If they are too large together.
    pub fn any_of<'a>(patterns: impl Iterator<Item = &'a Self>) -> Result<Self, Untranslatable> {
        let patterns = patterns.map(|pattern| parse(&pattern.text, Case::Sensitive));
        let patterns = patterns.collect::<Result<Vec<_>, _>>()?;
        let nfa = compiler().build_many_from_hir(&patterns);
        let nfa = nfa.map_err(|error| Untranslatable::Wrong(error.to_string()))?;
        Self::from_nfa(nfa, b"").map_err(Untranslatable::Wrong)
    }

    fn from_nfa(nfa: NFA, text: &[u8]) -> Result<Self, String> {
        let slots = nfa.group_info().slot_len();
        let lazy = DFA::builder()
            .configure(DFA::config().cache_capacity(LAZY_BYTES).skip_cache_capacity_check(true))
            .build_from_nfa(nfa.clone())
            .map_err(|error| error.to_string())?;
        let simulation = PikeVM::new_from_nfa(nfa.clone()).map_err(|error| error.to_string())?;
        let backtracker = BoundedBacktracker::builder()
            .configure(BoundedBacktracker::config().visited_capacity(BACKTRACK_BYTES))
            .build_from_nfa(nfa)
            .map_err(|error| error.to_string())?;
        Ok(Self { lazy, simulation, backtracker, slots, text: text.into() })
    }

    /// Whether the text has a match. `id` is the pattern's place in the engine, for its cache.
    pub fn is_match(&self, id: usize, caches: &mut Caches, text: &[u8]) -> bool {
        self.end(id, caches, &Input::new(text).earliest(true)).is_some()
    }

    /// Where the leftmost match is and what its groups captured, if there is one.
    pub fn groups(&self, id: usize, caches: &mut Caches, text: &[u8], from: usize) -> Option<Groups> {
        let end = self.end(id, caches, &Input::new(text).range(from..))?;
        caches.slots.clear();
        caches.slots.resize(self.slots, None);
        // The text stays whole: what is after the match is seen by `\b` and `$`.
        let input = Input::new(text).range(from..end).anchored(Anchored::No);
        if end.saturating_sub(from) <= self.backtracker.max_haystack_len() {
            let cache = cache_of(&mut caches.backtracker, id, || self.backtracker.create_cache());
            _ = self.backtracker.try_search_slots(cache, &input, &mut caches.slots).ok()?;
        } else {
            let cache = cache_of(&mut caches.simulation, id, || self.simulation.create_cache());
            _ = self.simulation.search_slots(cache, &input, &mut caches.slots);
        }
        let mut groups = Groups::default();
        for (group, pair) in groups.iter_mut().zip(caches.slots.chunks(2)) {
            if let [Some(start), Some(end)] = pair {
                *group = Some((start.get(), end.get()));
            }
        }
        groups[0].is_some().then_some(groups)
    }

    fn end(&self, id: usize, caches: &mut Caches, input: &Input<'_>) -> Option<usize> {
        let cache = caches.lazy(id, &self.lazy);
        let before = cache.memory_usage();
        // It neither gives up nor has bytes to stop at, so there is no error.
        let found = self.lazy.try_search_fwd(cache, input).ok().flatten();
        let after = cache.memory_usage();
        caches.bytes = (caches.bytes + after).saturating_sub(before);
        found.map(|found| found.offset())
    }

    /// Heap bytes of the automaton.
    pub fn memory_bytes(&self) -> usize {
        self.lazy.memory_usage() + self.simulation.get_nfa().memory_usage()
    }
}

fn compiler() -> thompson::Compiler {
    let config = thompson::Config::new().utf8(false).nfa_size_limit(Some(NFA_BYTES)).shrink(false);
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

impl Caches {
    fn lazy(&mut self, id: usize, dfa: &DFA) -> &mut LazyCache {
        if self.bytes > CACHES_BYTES {
            self.lazy.clear();
            self.bytes = 0;
        }
        if self.lazy.len() <= id {
            self.lazy.resize_with(id + 1, || None);
        }
        let bytes = &mut self.bytes;
        #[allow(clippy::indexing_slicing, reason = "made long enough above")]
        self.lazy[id].get_or_insert_with(|| {
            let cache = Box::new(dfa.create_cache());
            *bytes += cache.memory_usage();
            cache
        })
    }
}

/// Whether a pattern can be compiled, as far as its syntax tells.
///
/// # Errors
/// What cannot be done in linear time, or is no pattern.
pub fn check(pattern: &[u8]) -> Result<(), Untranslatable> {
    parse(pattern, Case::Sensitive).map(drop)
}

/// The syntax tree of a pattern, on bytes, with `.` meaning any of them, as ModSecurity compiles it.
fn parse(pattern: &[u8], case: Case) -> Result<Hir, Untranslatable> {
    let text = translate(pattern)?;
    regex_syntax::ParserBuilder::new()
        .utf8(false)
        .unicode(false)
        .dot_matches_new_line(true)
        .case_insensitive(case == Case::Insensitive)
        .nest_limit(250)
        .build()
        .parse(&text)
        .map_err(|error| Untranslatable::Wrong(error.to_string()))
}

#[cfg(test)]
mod tests;
