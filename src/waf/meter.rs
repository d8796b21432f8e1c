//! What a transaction may cost, and when to look at the clock.
//!
//! The bound is time; when to look is decided by work. Whoever does something says beforehand how many nanoseconds it
//! may take at worst ([`Meter::spend`]), and each [`LOOK_NS`] of that the clock is asked. So a long text, an automaton
//! that has to be built state by state, or a thousand small values each are noticed within a hundredth of the usual
//! budget, and a request of ordinary size hardly ever asks. A count of work alone would be the same on each machine,
//! but is no bound for what nobody thought of: a cache that misses costs ten times what one that hits does.

use std::sync::Arc;

/// Tells the time. An argument, so that tests do not wait.
pub trait Clock: Send + Sync {
    /// Nanoseconds since some moment, never going back. Time of the thread's CPU is best where it can be had: then a
    /// busy machine does not make rules give up that an idle one would finish.
    fn monotonic_ns(&self) -> u64;

    /// Milliseconds since 1970, UTC.
    fn unix_ms(&self) -> u64;
}

/// Work between two looks at the clock, in nanoseconds that it may take at worst.
const LOOK_NS: usize = 200_000;
/// One part of so many of the budget is kept for the log.
const FOR_LOG: u64 = 10;

/// Nanoseconds that a byte may take at worst, by what is done with it. Measured on a machine of 2.5 GHz, and rounded up.
pub mod byte_ns {
    /// A step of an automaton whose table is not in the cache, or a comparison.
    pub const SCAN: usize = 4;
    /// A byte written by a transformation.
    pub const TRANSFORM: usize = 8;
    /// A byte of SQL or HTML cut into tokens.
    pub const TOKENS: usize = 20;
}

/// The time that is left.
#[derive(Default)]
pub struct Meter {
    clock: Option<Arc<dyn Clock>>,
    limit_ns: u64,
    /// What the phases before took.
    spent_ns: u64,
    /// When the phase that runs was measured from, if it had enough to do to be measured.
    since_ns: Option<u64>,
    /// Work since the clock was looked at last.
    work_ns: usize,
    is_empty: bool,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Meter").field("spent_ns", &self.spent_ns).finish_non_exhaustive()
    }
}

impl Meter {
    /// Begins a transaction of at most `limit_ns` nanoseconds.
    pub fn begin(&mut self, clock: &Arc<dyn Clock>, limit_ns: u64) {
        *self = Self { clock: Some(Arc::clone(clock)), limit_ns, ..Self::default() };
    }

    /// Says that work begins that may take so long. False if there is no time left.
    #[inline]
    pub fn spend(&mut self, work_ns: usize) -> bool {
        self.work_ns = self.work_ns.saturating_add(work_ns);
        if self.work_ns >= LOOK_NS {
            self.look();
        }
        !self.is_empty
    }

    /// Says that what comes would take too long.
    pub const fn exhaust(&mut self) {
        self.is_empty = true;
    }

    /// Whether there is no time left.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// A phase ends. What passes until the next one is for the client or the upstream to spend. Small phases are taken to
    /// have cost what they may at worst, which spares a look at the clock.
    pub fn pause(&mut self) {
        match self.since_ns.take() {
            None => self.spent_ns = self.spent_ns.saturating_add(self.work_ns as u64),
            Some(since_ns) => {
                self.spent_ns = self.spent_ns.saturating_add(self.now().saturating_sub(since_ns));
            }
        }
        self.work_ns = 0;
        self.is_empty |= self.clock.is_some() && self.spent_ns > self.limit_ns;
    }

    /// Leaves some time for the log, whatever was spent.
    pub fn leave_some(&mut self) {
        self.spent_ns = self.spent_ns.min(self.limit_ns - self.limit_ns / FOR_LOG);
        self.is_empty = false;
    }

    /// Milliseconds since 1970, UTC.
    pub fn unix_ms(&self) -> u64 {
        self.clock.as_ref().map_or(0, |clock| clock.unix_ms())
    }

    fn now(&self) -> u64 {
        self.clock.as_ref().map_or(0, |clock| clock.monotonic_ns())
    }

    #[cold]
    fn look(&mut self) {
        let now_ns = self.now();
        // The first piece of a phase is counted, and the rest measured.
        if self.since_ns.is_none() {
            self.spent_ns = self.spent_ns.saturating_add(self.work_ns.min(LOOK_NS) as u64);
        }
        self.work_ns = 0;
        let since_ns = *self.since_ns.get_or_insert(now_ns);
        let spent_ns = self.spent_ns.saturating_add(now_ns.saturating_sub(since_ns));
        self.is_empty |= self.clock.is_some() && spent_ns > self.limit_ns;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Moves on by a millisecond with each look.
    #[derive(Default)]
    struct Steps(AtomicU64);

    impl Clock for Steps {
        fn monotonic_ns(&self) -> u64 {
            self.0.fetch_add(1_000_000, Ordering::Relaxed)
        }

        fn unix_ms(&self) -> u64 {
            0
        }
    }

    fn meter(limit_ns: u64) -> (Meter, Arc<Steps>) {
        let clock = Arc::new(Steps::default());
        let mut meter = Meter::default();
        meter.begin(&(Arc::clone(&clock) as Arc<dyn Clock>), limit_ns);
        (meter, clock)
    }

    #[test]
    fn looks_at_the_clock_by_work_alone() {
        let (mut meter, clock) = meter(u64::MAX);
        let looks = || clock.0.load(Ordering::Relaxed) / 1_000_000;
        assert!((0..LOOK_NS - 1).step_by(1_000).all(|_| meter.spend(999)));
        assert_eq!(looks(), 0);
        for _ in 0..10 {
            meter.spend(LOOK_NS);
        }
        assert_eq!(looks(), 10);
    }

    #[test]
    fn is_empty_when_the_time_is_over_and_leaves_a_tenth_for_the_log() {
        let (mut meter, _) = meter(10_000_000);
        let looks = |meter: &mut Meter| (0..100).take_while(|_| meter.spend(LOOK_NS)).count();
        assert_eq!(looks(&mut meter), 10);
        assert!(meter.is_empty());
        meter.pause();
        meter.leave_some();
        assert_eq!(looks(&mut meter), 1);
    }

    #[test]
    fn small_phases_add_up_and_what_is_between_them_does_not() {
        let (mut meter, clock) = meter(1_000_000);
        for _ in 0..10 {
            assert!(meter.spend(100_000));
            meter.pause();
            clock.0.fetch_add(1_000_000_000, Ordering::Relaxed);
        }
        assert!(!meter.is_empty());
        meter.spend(1);
        meter.pause();
        assert!(meter.is_empty());
    }

    #[test]
    fn without_a_clock_there_is_no_end() {
        let mut meter = Meter::default();
        assert!((0..1_000).all(|_| meter.spend(LOOK_NS)));
    }
}
