//! What a quota allows, checked once so that no later arithmetic can overflow.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU32;
use std::time::Duration;

/// The longest period: 30 days.
const PERIOD_MAX: Duration = Duration::from_secs(30 * 86_400);
/// The longest time in which a burst may come back: 100 years of 365 days. Together with 290 years of uptime it fits
/// the 64 bits of a moment in nanoseconds.
const REFILL_MAX_NANOS: u128 = 100 * 365 * 86_400 * 1_000_000_000;

/// So much per period, and a burst on top of an even flow. Belongs to the name it was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub(super) id: u64,
    pub(super) rate: NonZeroU32,
    pub(super) period_nanos: u64,
    pub(super) burst: NonZeroU32,
}

/// Why there can be no such limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// The period is zero.
    #[error("period is zero")]
    ZeroPeriod,
    /// The period is longer than 30 days.
    #[error("period is longer than 30 days")]
    LongPeriod,
    /// The burst would take more than 100 years to come back.
    #[error("burst takes more than 100 years to come back at this rate")]
    LongRefill,
}

impl Limit {
    /// A limit of `rate` per `period`, of which `burst` may come at once. `name` is what keys are counted under; it
    /// must be the same after a reload for the counts to go on, and differ from that of every other limit.
    ///
    /// # Errors
    /// When the period is zero or longer than 30 days, or the burst takes more than 100 years to come back.
    pub fn new(
        name: &str,
        rate: NonZeroU32,
        period: Duration,
        burst: NonZeroU32,
    ) -> Result<Self, LimitError> {
        if period.is_zero() {
            return Err(LimitError::ZeroPeriod);
        }
        if period > PERIOD_MAX {
            return Err(LimitError::LongPeriod);
        }
        let period_nanos = u64::try_from(period.as_nanos()).map_err(|_| LimitError::LongPeriod)?;
        if u128::from(burst.get()) * u128::from(period_nanos) > REFILL_MAX_NANOS * u128::from(rate.get()) {
            return Err(LimitError::LongRefill);
        }
        // Names are the operator's, so a hash without a secret will do.
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Ok(Self { id: hasher.finish(), rate, period_nanos, burst })
    }

    /// How many per period.
    #[must_use]
    pub fn rate(&self) -> NonZeroU32 {
        self.rate
    }

    /// The period.
    #[must_use]
    pub fn period(&self) -> Duration {
        Duration::from_nanos(self.period_nanos)
    }

    /// How many at once.
    #[must_use]
    pub fn burst(&self) -> NonZeroU32 {
        self.burst
    }

    /// Marks entries as this limit's. Two limits of one tag are merely evicted alike.
    pub(super) fn tag(&self) -> u32 {
        let [a, b, c, d, ..] = self.id.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(rate: u32, period: Duration, burst: u32) -> Result<Limit, LimitError> {
        Limit::new("l", NonZeroU32::new(rate).unwrap(), period, NonZeroU32::new(burst).unwrap())
    }

    #[test]
    fn takes_every_rate_with_periods_up_to_thirty_days() {
        for rate in [1, u32::MAX] {
            for period in [Duration::from_nanos(1), Duration::from_secs(60), PERIOD_MAX] {
                let limit = limit(rate, period, 1).unwrap();
                assert_eq!((limit.rate().get(), limit.period(), limit.burst().get()), (rate, period, 1));
            }
        }
        assert!(limit(u32::MAX, PERIOD_MAX, u32::MAX).is_ok());
    }

    #[test]
    fn refuses_limits_that_mean_nothing() {
        assert_eq!(limit(1, Duration::ZERO, 1), Err(LimitError::ZeroPeriod));
        assert_eq!(limit(1, PERIOD_MAX + Duration::from_nanos(1), 1), Err(LimitError::LongPeriod));
        assert_eq!(limit(1, PERIOD_MAX, u32::MAX), Err(LimitError::LongRefill));
    }

    #[test]
    fn belongs_to_its_name() {
        let named = |name| Limit::new(name, NonZeroU32::MIN, PERIOD_MAX, NonZeroU32::MIN).unwrap();
        assert_eq!(named("a"), named("a"));
        assert_ne!(named("a").id, named("b").id);
    }
}
