//! How slow a client may be.
//!
//! A client has `stall` worth of patience. Waiting for it uses patience up, each byte gives some back at the least
//! rate, and only time in which we were really waiting counts: a slow upstream costs the client nothing. One drip
//! of a byte now and then therefore buys next to nothing, which is what defeats slow bodies and slow reads.

use std::time::Duration;

use tokio::time::Instant;

/// At most, and never so much that using it up again and again would pay.
const LAST_CHANCE: Duration = Duration::from_secs(1);
const LAST_CHANCE_SHARE: u32 = 4;

/// The patience left with one direction of a connection.
#[derive(Debug)]
pub(super) struct Pace {
    stall: Duration,
    nanos_per_byte: u64,
    patience: Duration,
    waiting_since: Option<Instant>,
    warned: bool,
}

impl Pace {
    /// Full patience. `bytes_per_second` of zero means that any progress at all gives it back in full.
    pub(super) fn new(stall: Duration, bytes_per_second: u64) -> Self {
        let nanos_per_byte = 1_000_000_000u64.checked_div(bytes_per_second).unwrap_or(u64::MAX);
        Self { stall, nanos_per_byte, patience: stall, waiting_since: None, warned: false }
    }

    /// Waiting, since now or earlier; says when patience ends.
    pub(super) fn wait(&mut self, now: Instant) -> Instant {
        *self.waiting_since.get_or_insert(now) + self.patience
    }

    /// Bytes went through: the wait, if any, is paid for.
    pub(super) fn progress(&mut self, bytes: usize, now: impl FnOnce() -> Instant) {
        let Some(since) = self.waiting_since.take() else { return };
        let earned = Duration::from_nanos(self.nanos_per_byte.saturating_mul(bytes as u64));
        let left = self.patience.saturating_sub(now().saturating_duration_since(since));
        self.patience = left.saturating_add(earned).min(self.stall);
        self.warned &= self.patience < self.stall / 2;
    }

    /// Whether patience has ended. It ends once more after a last second: a task that had no use for the client's
    /// bytes for a while finds the deadline passed although the client did nothing wrong.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        let over = self.waiting_since.is_some_and(|since| now >= since + self.patience);
        if !over || self.warned {
            return over;
        }
        self.warned = true;
        self.waiting_since = Some(now);
        self.patience = LAST_CHANCE.min(self.stall / LAST_CHANCE_SHARE);
        false
    }

    /// Full patience again: something new has begun.
    pub(super) fn reset(&mut self) {
        *self = Self { patience: self.stall, waiting_since: None, warned: false, ..*self };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_drip_uses_patience_up() {
        let mut pace = Pace::new(10 * SECOND, 500);
        let start = Instant::now();
        let mut now = start;
        for _ in 0..3 {
            assert!(pace.wait(now) > now + 3 * SECOND);
            now += 3 * SECOND;
            pace.progress(1, || now);
        }
        assert!(pace.wait(now) < now + 2 * SECOND);
    }

    #[test]
    fn a_drip_within_the_last_chance_is_cut_all_the_same() {
        let mut pace = Pace::new(10 * SECOND, 500);
        let mut now = Instant::now();
        let cut = (0..100).any(|_| {
            pace.wait(now);
            now += SECOND;
            let over = pace.is_over(now) || pace.is_over(now);
            pace.progress(1, || now);
            over
        });
        assert!(cut);
    }

    #[test]
    fn a_short_patience_is_used_up_likewise() {
        let mut pace = Pace::new(SECOND / 4, 1000);
        let mut now = Instant::now();
        let cut = (0..100).any(|_| {
            let deadline = pace.wait(now);
            now += SECOND / 50;
            let over = now >= deadline && (pace.is_over(now) || pace.is_over(now));
            pace.progress(1, || now);
            over
        });
        assert!(cut);
    }

    #[test]
    fn a_task_that_looked_away_gets_a_last_chance() {
        let mut pace = Pace::new(10 * SECOND, 500);
        let now = Instant::now();
        pace.wait(now);
        assert!(!pace.is_over(now + 60 * SECOND));
        assert!(pace.is_over(now + 61 * SECOND));
    }

    #[test]
    fn the_least_rate_keeps_patience_full() {
        let mut pace = Pace::new(10 * SECOND, 500);
        let mut now = Instant::now();
        for _ in 0..100 {
            pace.wait(now);
            now += SECOND;
            pace.progress(500, || now);
        }
        assert!(pace.wait(now) >= now + 9 * SECOND);
    }

    #[test]
    fn time_in_which_nobody_waits_costs_nothing() {
        let mut pace = Pace::new(10 * SECOND, 500);
        let now = Instant::now();
        pace.progress(1, || now + 100 * SECOND);
        assert_eq!(pace.wait(now + 100 * SECOND), now + 110 * SECOND);
    }
}
