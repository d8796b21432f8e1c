//! Which literals a scan has found, without a table to be cleared for the next.

/// Matching states that are remembered, a power of two.
const STATES: usize = 1_024;

/// Each scan has a number, and whatever bears it was seen in this scan.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    scan: u32,
    /// By literal: the last scan in which it was found.
    literals: Vec<u32>,
    /// States of the automaton, and the last scan that came to them. One that another has pushed out is looked at again.
    states: Vec<(u32, u32)>,
}

impl Stamps {
    /// Begins a scan for so many literals.
    pub(super) fn begin(&mut self, literals: usize) {
        self.scan = self.scan.wrapping_add(1);
        if self.scan == 0 || self.literals.len() < literals {
            self.literals.clear();
            self.literals.resize(literals, 0);
            self.states.clear();
            self.states.resize(STATES, (0, 0));
            self.scan = 1;
        }
    }

    /// Whether the scan comes to a state for the first time, as far as is remembered.
    #[inline]
    pub(super) fn comes_to(&mut self, state: u32) -> bool {
        // States are numbered by their place in a table, so that the lower bits of all are the same.
        let place = state.wrapping_mul(0x9e37_79b9) >> 22;
        let Some(known) = self.states.get_mut(place as usize % STATES) else { return true };
        let is_new = *known != (state, self.scan);
        *known = (state, self.scan);
        is_new
    }

    /// Notes that a literal was found. Whether it is the first time in this scan.
    #[inline]
    pub(super) fn find(&mut self, literal: u32) -> bool {
        let Some(seen) = self.literals.get_mut(literal as usize) else { return false };
        std::mem::replace(seen, self.scan) != self.scan
    }

    /// Whether the literal was found.
    pub(super) fn has(&self, literal: u32) -> bool {
        self.literals.get(literal as usize) == Some(&self.scan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_this_scan_has_found_and_nothing_of_the_last() {
        let mut stamps = Stamps::default();
        stamps.begin(3);
        assert!(!stamps.has(0) && stamps.find(0) && !stamps.find(0) && stamps.has(0));
        assert!(stamps.comes_to(64) && !stamps.comes_to(64));
        stamps.begin(3);
        assert!(!stamps.has(0) && stamps.find(0));
        assert!(stamps.comes_to(64));
    }

    #[test]
    fn numbers_that_begin_anew_find_nothing_of_before() {
        let mut stamps = Stamps::default();
        stamps.begin(1);
        assert!(stamps.find(0));
        stamps.scan = u32::MAX;
        stamps.begin(1);
        assert!(!stamps.has(0) && stamps.scan == 1);
    }

    #[test]
    fn states_that_share_a_place_push_each_other_out() {
        let mut stamps = Stamps::default();
        stamps.begin(1);
        for state in 0..4 * u32::try_from(STATES).unwrap() {
            assert!(stamps.comes_to(state));
        }
    }
}
