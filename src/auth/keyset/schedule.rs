//! When an issuer is asked for its keys: before they expire, later and later while it fails, and once for unknown
//! keys that come within the cooldown. Pure: time and chance are arguments.

use std::time::Duration;

use super::Settings;

/// After the first failure.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// When to ask next. Attempts are numbered from 1, in the order in which they begin; there is never more than one.
pub(super) struct Schedule {
    chance: fastrand::Rng,
    next_ns: u64,
    /// In a row.
    failures: u32,
    begun: u64,
    ended: u64,
    /// The attempt that somebody waits for; it has ended where nobody does.
    wanted: u64,
    /// When somebody last made an attempt begin sooner.
    asked_ns: Option<u64>,
}

/// What becomes of the wish to know of new keys now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// This attempt will tell.
    Attempt(u64),
    /// There was one so shortly before that another must wait.
    TooSoon,
}

impl Schedule {
    /// Due at once.
    pub(super) fn new(chance: fastrand::Rng) -> Self {
        Self { chance, next_ns: 0, failures: 0, begun: 0, ended: 0, wanted: 0, asked_ns: None }
    }

    /// When the next attempt is due.
    pub(super) fn due_ns(&self) -> u64 {
        if self.wanted > self.ended { 0 } else { self.next_ns }
    }

    /// Makes the next attempt due at once.
    pub(super) fn hurry(&mut self) {
        self.next_ns = 0;
    }

    /// Failures since the last success.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether this attempt, or a later one, has ended.
    pub(super) fn has_ended(&self, attempt: u64) -> bool {
        self.ended >= attempt
    }

    /// Begins an attempt and gives its number.
    pub(super) fn begin(&mut self) -> u64 {
        self.begun += 1;
        self.begun
    }

    /// An attempt has succeeded with an answer that is fresh for `lifetime`, if it says so.
    pub(super) fn succeeded(
        &mut self,
        attempt: u64,
        now_ns: u64,
        lifetime: Option<Duration>,
        settings: &Settings,
    ) {
        (self.ended, self.failures) = (attempt, 0);
        let shortest = settings.shortest.min(settings.longest);
        let period = lifetime.unwrap_or(settings.interval).clamp(shortest, settings.longest);
        // In its last quarter, so that the old keys never expire before the new are there.
        self.next_ns = later(now_ns, period.mul_f64(0.75 + self.chance.f64() / 4.0));
    }

    /// An attempt has failed.
    pub(super) fn failed(&mut self, attempt: u64, now_ns: u64) {
        (self.ended, self.failures) = (attempt, self.failures.saturating_add(1));
        let doubled = 1_u32.checked_shl(self.failures - 1).unwrap_or(u32::MAX);
        let pause = FIRST_BACKOFF.saturating_mul(doubled).min(LONGEST_BACKOFF);
        // So that proxies that failed together do not come back together.
        self.next_ns = later(now_ns, pause.mul_f64(0.5 + self.chance.f64() / 2.0));
    }

    /// Somebody met a key that nobody knows. An attempt that has begun already may have read the keys before the
    /// new one was there, so it is not the one that tells, save the very first.
    pub(super) fn ask(&mut self, now_ns: u64, cooldown: Duration) -> Asked {
        if self.ended == 0 {
            return Asked::Attempt(1);
        }
        if self.wanted > self.ended {
            return Asked::Attempt(self.wanted);
        }
        if self.asked_ns.is_some_and(|asked_ns| now_ns < later(asked_ns, cooldown)) {
            return Asked::TooSoon;
        }
        self.asked_ns = Some(now_ns);
        self.wanted = self.begun + 1;
        Asked::Attempt(self.wanted)
    }
}

/// A moment after another.
pub(super) fn later(now_ns: u64, by: Duration) -> u64 {
    now_ns.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;
    const COOLDOWN: Duration = Duration::from_secs(10);

    fn schedule(seed: u64) -> Schedule {
        Schedule::new(fastrand::Rng::with_seed(seed))
    }

    fn succeed(schedule: &mut Schedule, now_ns: u64, lifetime: Option<u64>) {
        let attempt = schedule.begin();
        let lifetime = lifetime.map(Duration::from_secs);
        schedule.succeeded(attempt, now_ns, lifetime, &Settings::default());
    }

    fn fail(schedule: &mut Schedule, now_ns: u64) {
        let attempt = schedule.begin();
        schedule.failed(attempt, now_ns);
    }

    #[test]
    fn the_first_attempt_is_due_at_once() {
        assert_eq!(schedule(1).due_ns(), 0);
    }

    #[test]
    fn refreshes_in_the_last_quarter_of_what_the_answer_says_within_bounds() {
        // Default 5 min, at least 30 s, at most 1 h.
        for (lifetime, whole) in [(None, 300), (Some(600), 600), (Some(0), 30), (Some(86_400), 3600)] {
            for seed in 0..50 {
                let mut schedule = schedule(seed);
                succeed(&mut schedule, 100 * S, lifetime);
                let due = schedule.due_ns() - 100 * S;
                assert!((whole * S * 3 / 4..=whole * S).contains(&due), "{lifetime:?}: {due}");
            }
        }
    }

    #[test]
    fn proxies_with_other_seeds_come_at_other_times() {
        let due = |seed| {
            let mut schedule = schedule(seed);
            succeed(&mut schedule, 0, None);
            schedule.due_ns()
        };
        assert_eq!(due(1), due(1));
        assert_ne!(due(1), due(2));
    }

    #[test]
    fn waits_twice_as_long_after_each_failure_up_to_a_minute_and_starts_over_after_a_success() {
        let mut schedule = schedule(7);
        for whole in [1, 2, 4, 8, 16, 32, 60, 60] {
            fail(&mut schedule, 0);
            assert!((whole * S / 2..=whole * S).contains(&schedule.due_ns()), "{whole}");
        }
        for _ in 0..100 {
            fail(&mut schedule, 0);
        }
        assert!(schedule.due_ns() <= 60 * S);
        succeed(&mut schedule, 0, None);
        assert_eq!(schedule.failures(), 0);
        fail(&mut schedule, 0);
        assert!(schedule.due_ns() <= S);
    }

    #[test]
    fn many_who_ask_cause_one_attempt_within_the_cooldown() {
        let mut schedule = schedule(1);
        succeed(&mut schedule, 0, None);
        assert_eq!(schedule.ask(S, COOLDOWN), Asked::Attempt(2));
        assert_eq!((schedule.ask(S, COOLDOWN), schedule.due_ns()), (Asked::Attempt(2), 0));
        succeed(&mut schedule, 2 * S, None);
        assert!(schedule.due_ns() > 2 * S);
        assert_eq!(schedule.ask(11 * S - 1, COOLDOWN), Asked::TooSoon);
        assert!(schedule.due_ns() > 2 * S, "nothing is due for who came too soon");
        assert_eq!(schedule.ask(11 * S, COOLDOWN), Asked::Attempt(3));
    }

    #[test]
    fn whoever_asks_before_the_first_attempt_has_ended_waits_for_that_one() {
        let mut schedule = schedule(1);
        assert_eq!(schedule.ask(0, COOLDOWN), Asked::Attempt(1));
        let first = schedule.begin();
        assert_eq!(schedule.ask(0, COOLDOWN), Asked::Attempt(1));
        schedule.succeeded(first, S, None, &Settings::default());
        assert_eq!(schedule.ask(S, COOLDOWN), Asked::Attempt(2), "it has not cost the cooldown");
    }

    #[test]
    fn an_attempt_that_had_begun_before_does_not_tell() {
        let mut schedule = schedule(1);
        succeed(&mut schedule, 0, None);
        let under_way = schedule.begin();
        assert_eq!(schedule.ask(S, COOLDOWN), Asked::Attempt(under_way + 1));
        schedule.succeeded(under_way, S, None, &Settings::default());
        assert_eq!(schedule.due_ns(), 0, "another follows at once");
        assert!(!schedule.has_ended(under_way + 1));
    }

    #[test]
    fn an_attempt_that_was_cut_off_is_made_again() {
        let mut schedule = schedule(1);
        succeed(&mut schedule, 0, None);
        assert_eq!(schedule.ask(S, COOLDOWN), Asked::Attempt(2));
        schedule.begin();
        assert_eq!(schedule.due_ns(), 0);
        succeed(&mut schedule, S, None);
        assert!(schedule.has_ended(2) && schedule.due_ns() > S);
    }
}
