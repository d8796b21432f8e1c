//! Peak-sensitive, time-decayed latency of a backend, as in Finagle's and linkerd's "peak EWMA".
//!
//! A sample above the average replaces it at once; samples below pull it down with a time constant of ten
//! seconds; and it decays towards zero while nothing is measured, so that a backend that was slow is tried
//! again. Average and time stamp share one atomic word, so a reader never sees half an update.

use std::sync::atomic::{AtomicU64, Ordering};

/// One tick is 2^16 ns (65.5 µs); 32 bits of ticks wrap after 78 hours, when everything has long decayed.
const TICK_SHIFT: u32 = 16;
/// Ten seconds, in ticks.
const DECAY_TICKS: f32 = 152_588.0;
/// What a request to a backend costs that has one in flight and was never measured: more than any latency, so
/// that a new backend proves itself with one request before it gets many.
const UNPROVEN: f64 = 1e15;

/// The average; zero bits mean that nothing was measured yet.
#[derive(Debug, Default)]
pub struct Ewma(AtomicU64);

#[derive(Clone, Copy)]
struct Sample {
    nanos: f32,
    tick: u32,
}

impl Ewma {
    /// Takes a latency into account.
    pub fn observe(&self, latency_ns: u64, now_ns: u64) {
        #[expect(clippy::cast_precision_loss, reason = "24 bits of a latency are plenty")]
        let latency = latency_ns.max(1) as f32;
        let now = tick(now_ns);
        let update = |bits| {
            let last = Sample::unpack(bits);
            let weight = last.weight(now);
            let nanos =
                if latency > last.nanos { latency } else { last.nanos * weight + latency * (1.0 - weight) };
            Some(Sample { nanos, tick: last.later(now) }.pack())
        };
        // The update always gives a value, so this cannot fail.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
    }

    /// The average, decayed to `now_ns`; zero where nothing was measured.
    #[must_use]
    pub fn nanos(&self, now_ns: u64) -> f64 {
        let last = Sample::unpack(self.0.load(Ordering::Relaxed));
        f64::from(last.nanos * last.weight(tick(now_ns)))
    }

    /// What one more request would cost while `in_flight` are not answered yet, in nanoseconds.
    #[must_use]
    pub fn cost(&self, in_flight: u32, now_ns: u64) -> f64 {
        let waiting = f64::from(in_flight);
        match (self.0.load(Ordering::Relaxed), in_flight) {
            (0, 0) => 0.0,
            (0, _) => UNPROVEN + waiting,
            _ => self.nanos(now_ns) * (waiting + 1.0),
        }
    }
}

impl Sample {
    fn unpack(bits: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the word")]
        let (high, low) = ((bits >> 32) as u32, bits as u32);
        Self { nanos: f32::from_bits(high), tick: low }
    }

    fn pack(self) -> u64 {
        u64::from(self.nanos.to_bits()) << 32 | u64::from(self.tick)
    }

    /// How much of the average is left at `now`, from 1 (nothing has decayed) to 0.
    fn weight(self, now: u32) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "24 bits of an age are plenty")]
        let age = self.age(now) as f32;
        (-age / DECAY_TICKS).exp()
    }

    /// Ticks since the sample. A clock read a little earlier on another thread counts as no time.
    fn age(self, now: u32) -> u32 {
        match now.wrapping_sub(self.tick) {
            age if age <= u32::MAX / 2 => age,
            _ => 0,
        }
    }

    fn later(self, now: u32) -> u32 {
        self.tick.wrapping_add(self.age(now))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "ticks wrap by design")]
const fn tick(now_ns: u64) -> u32 {
    (now_ns >> TICK_SHIFT) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const MILLI: u64 = 1_000_000;

    #[track_caller]
    fn near(value: f64, expected: f64) {
        assert!((value / expected - 1.0).abs() < 0.01, "{value} is not about {expected}");
    }

    #[test]
    fn takes_a_peak_at_once() {
        let ewma = Ewma::default();
        ewma.observe(MILLI, SECOND);
        ewma.observe(100 * MILLI, SECOND);
        near(ewma.nanos(SECOND), 1e8);
    }

    #[test]
    fn comes_down_with_a_time_constant_of_ten_seconds() {
        let ewma = Ewma::default();
        ewma.observe(100 * MILLI, SECOND);
        ewma.observe(MILLI, 11 * SECOND);
        near(ewma.nanos(11 * SECOND), 1e8 * 0.3679 + 1e6 * 0.6321);
    }

    #[test]
    fn decays_while_nothing_is_measured() {
        let ewma = Ewma::default();
        ewma.observe(100 * MILLI, SECOND);
        near(ewma.nanos(21 * SECOND), 1e8 * 0.1353);
        assert!(ewma.nanos(1_000 * SECOND) < 1.0);
    }

    #[test]
    fn low_samples_within_one_tick_do_not_erase_a_peak() {
        let ewma = Ewma::default();
        ewma.observe(100 * MILLI, SECOND);
        for _ in 0..1_000 {
            ewma.observe(MILLI, SECOND + 1);
        }
        near(ewma.nanos(SECOND), 1e8);
    }

    #[test]
    fn a_clock_that_reads_earlier_changes_nothing_but_peaks() {
        let ewma = Ewma::default();
        ewma.observe(10 * MILLI, 100 * SECOND);
        ewma.observe(MILLI, 99 * SECOND);
        near(ewma.nanos(99 * SECOND), 1e7);
        ewma.observe(20 * MILLI, 99 * SECOND);
        near(ewma.nanos(100 * SECOND), 2e7);
    }

    #[test]
    fn an_unmeasured_backend_gets_one_request_before_it_gets_many() {
        let (new, slow) = (Ewma::default(), Ewma::default());
        slow.observe(30 * SECOND, SECOND);
        assert!(new.cost(0, SECOND) < slow.cost(0, SECOND));
        assert!(new.cost(1, SECOND) > slow.cost(100, SECOND));
        assert!(new.cost(1, SECOND) < new.cost(2, SECOND));
    }

    #[test]
    fn cost_grows_with_requests_in_flight() {
        let ewma = Ewma::default();
        ewma.observe(10 * MILLI, SECOND);
        near(ewma.cost(0, SECOND), 1e7);
        near(ewma.cost(3, SECOND), 4e7);
    }
}
