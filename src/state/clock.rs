//! Time as an argument: the monotonic clock that deadlines and quotas run by, and the wall clock that people read.
//! Whoever needs either takes a [`Clock`], so that tests move time by hand and never wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;

/// A cheap handle on a clock; clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { start: Instant },
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    nanos: AtomicU64,
    /// What the wall clock showed when the monotonic one stood at zero, in nanoseconds since the Unix epoch.
    epoch_nanos: AtomicU64,
    /// Told when time has passed.
    passed: Notify,
}

/// Moves a manual [`Clock`].
#[derive(Clone, Debug)]
pub struct ClockHand(Arc<Manual>);

impl Clock {
    /// The system's clocks; the monotonic one begins at zero now. Make one per process, and clone it.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System { start: Instant::now() })
    }

    /// A clock that stands still at zero, and at `wall`, until its hand is moved. Wall times from 1970 to 2554 fit.
    #[must_use]
    pub fn manual(wall: SystemTime) -> (Self, ClockHand) {
        let epoch_nanos = AtomicU64::new(unix_nanos(wall));
        let shared = Arc::new(Manual { nanos: AtomicU64::new(0), epoch_nanos, passed: Notify::new() });
        (Self(Source::Manual(shared.clone())), ClockHand(shared))
    }

    /// Nanoseconds since the clock was made. Never falls, whatever happens to the wall clock; lasts for 584 years.
    #[must_use]
    pub fn nanos(&self) -> u64 {
        match &self.0 {
            Source::System { start } => saturating_nanos(start.elapsed()),
            Source::Manual(manual) => manual.nanos.load(Ordering::Relaxed),
        }
    }

    /// Waits until [`nanos`](Self::nanos) has come to `nanos`; not at all if it has. On a manual clock that is when
    /// its hand is moved so far.
    pub async fn sleep_until(&self, nanos: u64) {
        match &self.0 {
            Source::System { .. } => {
                let left = nanos.saturating_sub(self.nanos());
                tokio::time::sleep(Duration::from_nanos(left)).await;
            }
            Source::Manual(manual) => loop {
                // Made before the look, so that what passes in between is not missed.
                let passed = manual.passed.notified();
                if manual.nanos.load(Ordering::Acquire) >= nanos {
                    return;
                }
                passed.await;
            },
        }
    }

    /// The time of day, for what people and certificates say. It may jump, and may be 4 ms late: every request asks for it,
    /// and the kernel's last tick costs a tenth of the present moment.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            Source::System { .. } => {
                let tick = clock_gettime(ClockId::RealtimeCoarse);
                let seconds = u64::try_from(tick.tv_sec).unwrap_or_default();
                let nanos = u32::try_from(tick.tv_nsec).unwrap_or_default();
                SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos)
            }
            Source::Manual(manual) => {
                let nanos = manual.epoch_nanos.load(Ordering::Relaxed);
                let since_epoch = nanos.saturating_add(manual.nanos.load(Ordering::Relaxed));
                SystemTime::UNIX_EPOCH + Duration::from_nanos(since_epoch)
            }
        }
    }
}

impl ClockHand {
    /// Lets time pass, on both clocks.
    pub fn advance(&self, by: Duration) {
        self.0.nanos.fetch_add(saturating_nanos(by), Ordering::AcqRel);
        self.0.passed.notify_waiters();
    }

    /// Sets the wall clock, as an administrator or NTP might. The monotonic clock does not notice.
    pub fn set_wall(&self, wall: SystemTime) {
        let passed = self.0.nanos.load(Ordering::Relaxed);
        self.0.epoch_nanos.store(unix_nanos(wall).saturating_sub(passed), Ordering::Relaxed);
    }
}

/// Whole seconds of Unix time; zero before 1970.
#[must_use]
pub fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn unix_nanos(time: SystemTime) -> u64 {
    saturating_nanos(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

fn saturating_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_system_clock_begins_near_zero_and_never_falls() {
        let clock = Clock::system();
        let (first, second) = (clock.nanos(), clock.clone().nanos());
        assert!(first <= second && second < 60_000_000_000);
        let minute = Duration::from_secs(60);
        let now = SystemTime::now();
        assert!(clock.wall() > now - minute && clock.wall() < now + minute);
    }

    #[test]
    fn a_manual_clock_moves_by_its_hand_alone() {
        let (clock, hand) = Clock::manual(at(1000));
        assert_eq!((clock.nanos(), clock.wall()), (0, at(1000)));
        hand.advance(Duration::from_secs(5));
        assert_eq!((clock.clone().nanos(), clock.wall()), (5_000_000_000, at(1005)));
    }

    #[tokio::test]
    async fn a_sleeper_on_a_manual_clock_wakes_when_its_time_has_come() {
        let (clock, hand) = Clock::manual(at(1000));
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(5_000_000_000).await }
        });
        for _ in 0..4 {
            tokio::task::yield_now().await;
            hand.advance(Duration::from_secs(1));
        }
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        hand.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        clock.sleep_until(5_000_000_000).await;
    }

    #[tokio::test]
    async fn a_sleeper_on_the_systems_clock_sleeps_no_shorter() {
        let clock = Clock::system();
        let until = clock.nanos() + 1_000_000;
        clock.sleep_until(until).await;
        assert!(clock.nanos() >= until);
    }

    #[test]
    fn setting_the_wall_clock_leaves_the_monotonic_one_alone() {
        let (clock, hand) = Clock::manual(at(1000));
        hand.advance(Duration::from_secs(5));
        hand.set_wall(at(500));
        assert_eq!((clock.nanos(), clock.wall()), (5_000_000_000, at(500)));
        hand.advance(Duration::from_secs(1));
        assert_eq!(clock.wall(), at(501));
    }
}
