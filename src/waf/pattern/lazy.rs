//! Searches with automata that are built as they run, each step paid for.
//!
//! The library's own searches run to their end whatever it costs. These are its transitions, a piece of the text at a
//! time: states that are there already are looked up, and one that must be made is paid for by the size of the NFA.

use std::collections::HashMap;
use std::ops::Range;

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::NFA;
use regex_automata::{Anchored, Input, MatchKind};

use super::{Caches, Untranslatable, wrong};
use crate::waf::meter::{Meter, byte_ns};

/// Memory of one lazy DFA, per thread; when full it starts anew. Enough for some hundred states of CRS' largest.
const CACHE_BYTES: usize = 1 << 20;
/// Memory of all lazy DFAs of a thread; when full all start anew.
const CACHES_BYTES: usize = 24 << 20;
/// Bytes for each time that an automaton which could be done without may start anew.
const ANEW_BYTES: usize = 1 << 20;
/// Bytes searched at a time.
const PIECE_BYTES: usize = 4 << 10;
/// What a state of the NFA may cost each time one of the lazy DFA is made, in nanoseconds.
const NFA_STATE_NS: usize = 2;

/// An automaton that is built as it runs.
#[derive(Debug)]
pub(super) struct Lazy {
    dfa: DFA,
    /// What making a state may cost.
    pub(super) state_ns: usize,
}

/// What automata have built, by their numbers.
#[derive(Debug, Default)]
pub(super) struct LazyCaches {
    list: Vec<Option<Box<Cache>>>,
    bytes: usize,
    /// Bytes that an automaton was to search which could be done without.
    asked_bytes: HashMap<usize, usize>,
}

impl LazyCaches {
    fn of(&mut self, number: usize, dfa: &DFA) -> &mut Cache {
        if self.bytes > CACHES_BYTES {
            self.list.clear();
            self.asked_bytes.clear();
            self.bytes = 0;
        }
        if self.list.len() <= number {
            self.list.resize_with(number + 1, || None);
        }
        let bytes = &mut self.bytes;
        #[allow(clippy::indexing_slicing, reason = "made long enough above")]
        self.list[number].get_or_insert_with(|| {
            let cache = Box::new(dfa.create_cache());
            *bytes += cache.memory_usage();
            cache
        })
    }
}

impl Lazy {
    pub(super) fn new(nfa: NFA, kind: MatchKind) -> Result<Self, Untranslatable> {
        let state_ns = nfa.states().len() * NFA_STATE_NS;
        let config =
            DFA::config().cache_capacity(CACHE_BYTES).skip_cache_capacity_check(true).match_kind(kind);
        let dfa = DFA::builder().configure(config).build_from_nfa(nfa).map_err(wrong)?;
        Ok(Self { dfa, state_ns })
    }

    /// Whether a search of so many bytes is worth it, where it only spares others. Texts that ask for ever new states make it
    /// start anew again and again, and cost ten times what it spares; after a while it is tried again.
    pub(super) fn is_worth_it(&self, number: usize, caches: &mut Caches, bytes: usize) -> bool {
        let clears = caches.lazy.of(number, &self.dfa).clear_count();
        let asked_bytes = caches.lazy.asked_bytes.entry(number).or_insert(ANEW_BYTES);
        *asked_bytes = asked_bytes.saturating_add(bytes);
        clears.saturating_mul(ANEW_BYTES) <= *asked_bytes
    }

    /// Where the leftmost match from `from` on ends; if `earliest`, where any does.
    pub(super) fn end(
        &self,
        number: usize,
        caches: &mut Caches,
        text: &[u8],
        from: usize,
        earliest: bool,
    ) -> Option<usize> {
        let input = Input::new(text).range(from..);
        let start = |cache: &mut Cache| self.dfa.start_state_forward(cache, &input).ok();
        let pieces = text.get(from..)?.chunks(PIECE_BYTES).map(<[u8]>::iter);
        self.search(number, caches, start, pieces, Way::On { earliest }).map(|bytes| from + bytes)
    }

    /// Where the leftmost match within the range starts that ends where the range does.
    pub(super) fn start(
        &self,
        number: usize,
        caches: &mut Caches,
        text: &[u8],
        range: Range<usize>,
    ) -> Option<usize> {
        let input = Input::new(text).range(range.clone()).anchored(Anchored::Yes);
        let start = |cache: &mut Cache| self.dfa.start_state_reverse(cache, &input).ok();
        let pieces = text.get(range.clone())?.rchunks(PIECE_BYTES).map(|piece| piece.iter().rev());
        let before = range.start.checked_sub(1).and_then(|at| text.get(at)).copied();
        self.search(number, caches, start, pieces, Way::Back { before })
            .and_then(|bytes| range.end.checked_sub(bytes))
    }

    /// After how many bytes of the pieces the match is that counts.
    fn search<'a, P: Iterator<Item = &'a u8> + ExactSizeIterator>(
        &self,
        number: usize,
        caches: &mut Caches,
        start: impl FnOnce(&mut Cache) -> Option<LazyStateID>,
        pieces: impl Iterator<Item = P>,
        way: Way,
    ) -> Option<usize> {
        let Caches { lazy, meter, .. } = caches;
        let cache = lazy.of(number, &self.dfa);
        let before = cache.memory_usage();
        let found = start(cache).and_then(|state| {
            let walk = Walk { lazy: self, cache, meter, state, taken: 0, found: None };
            walk.run(pieces, way)
        });
        let after = cache.memory_usage();
        lazy.bytes = (lazy.bytes + after).saturating_sub(before);
        found
    }
}

/// Where a search goes.
#[derive(Clone, Copy)]
enum Way {
    /// To the end of the text, or to the first match.
    On { earliest: bool },
    /// Back, up to where this byte is before.
    Back { before: Option<u8> },
}

/// One search.
struct Walk<'a> {
    lazy: &'a Lazy,
    cache: &'a mut Cache,
    meter: &'a mut Meter,
    state: LazyStateID,
    /// Bytes.
    taken: usize,
    /// After how many bytes a match was, the last of them.
    found: Option<usize>,
}

impl Walk<'_> {
    fn run<'a, P: Iterator<Item = &'a u8> + ExactSizeIterator>(
        mut self,
        pieces: impl Iterator<Item = P>,
        way: Way,
    ) -> Option<usize> {
        let earliest = matches!(way, Way::On { earliest: true });
        for piece in pieces {
            if !self.meter.spend(piece.len() * byte_ns::SCAN) {
                return None;
            }
            if !self.piece(piece, earliest)? {
                return self.found;
            }
        }
        if !self.meter.spend(self.lazy.state_ns / 16) {
            return None;
        }
        let Lazy { dfa, .. } = self.lazy;
        let last = match way {
            Way::Back { before: Some(byte) } => dfa.next_state(self.cache, self.state, byte),
            _ => dfa.next_eoi_state(self.cache, self.state),
        };
        if last.is_ok_and(|state| state.is_match()) { Some(self.taken) } else { self.found }
    }

    /// Takes a piece. Whether there may be a match after it, or a better one; nothing, if nobody pays.
    #[inline]
    fn piece<'a>(&mut self, bytes: impl Iterator<Item = &'a u8>, earliest: bool) -> Option<bool> {
        let Lazy { dfa, state_ns } = self.lazy;
        let mut state = self.state;
        for byte in bytes {
            let work_ns = if state.is_tagged() {
                // After a match. Whether the next state is there is not told: it mostly is.
                *state_ns / 8
            } else {
                let next = dfa.next_state_untagged(self.cache, state, *byte);
                if !next.is_tagged() {
                    state = next;
                    self.taken += 1;
                    continue;
                }
                if next.is_unknown() { *state_ns } else { 0 }
            };
            if !self.meter.spend(work_ns) {
                return None;
            }
            state = dfa.next_state(self.cache, state, *byte).ok()?;
            // A match is told one byte late, so that what is after it is known.
            if state.is_match() {
                self.found = Some(self.taken);
            }
            if state.is_dead() || state.is_quit() || (earliest && self.found.is_some()) {
                return Some(false);
            }
            self.taken += 1;
        }
        self.state = state;
        Some(true)
    }
}
