use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::*;

const SECOND: u64 = 1_000_000_000;
const DAY: Duration = Duration::from_secs(86_400);

fn limit(rate: u32, period: Duration, burst: u32) -> Limit {
    named("limit", rate, period, burst)
}

fn named(name: &str, rate: u32, period: Duration, burst: u32) -> Limit {
    Limit::new(name, NonZeroU32::new(rate).unwrap(), period, NonZeroU32::new(burst).unwrap()).unwrap()
}

fn quotas(max_keys: usize) -> Quotas {
    Quotas::new(NonZeroUsize::new(max_keys).unwrap())
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (mixed ^ (mixed >> 32)) % below
    }

    fn pick<T: Copy, const N: usize>(&mut self, from: [T; N]) -> T {
        from[usize::try_from(self.next(N as u64)).unwrap()]
    }
}

/// A bucket of tokens in exact fractions: levels are counted in 1/period of a token, at times given by the test.
struct Model {
    level: u128,
    filled_at: u64,
}

impl Model {
    fn check(&mut self, limit: &Limit, cost: u32, now: u64) -> Decision {
        let (rate, period) = (u128::from(limit.rate().get()), limit.period().as_nanos());
        let full = u128::from(limit.burst().get()) * period;
        self.level = full.min(self.level + u128::from(now - self.filled_at) * rate);
        self.filled_at = now;
        let price = u128::from(cost) * period;
        let allowed = price <= self.level;
        let missing = price.saturating_sub(self.level);
        self.level -= if allowed { price } else { 0 };
        // Waiting is found by trying, not by the formula under test.
        let wait = |missing: u128| {
            (missing / rate..=missing / rate + 1).find(|nanos| nanos * rate >= missing).unwrap()
        };
        let duration = |nanos: u128| Duration::from_nanos(u64::try_from(nanos).unwrap());
        Decision {
            allowed,
            limit: limit.burst().get(),
            remaining: u32::try_from(self.level / period).unwrap(),
            more_after: duration(wait(((self.level / period + 1) * period).min(full) - self.level)),
            retry_after: if price > full { Duration::MAX } else { duration(wait(missing)) },
        }
    }
}

#[test]
fn lets_a_burst_through_then_the_rate() {
    let (quotas, limit) = (quotas(100), limit(60, seconds(60), 3));
    let check = |now| quotas.check(&limit, b"alice", 1, now);
    for remaining in [2, 1, 0] {
        let decision = check(0);
        assert_eq!((decision.allowed, decision.limit, decision.remaining), (true, 3, remaining));
        assert_eq!(decision.retry_after, Duration::ZERO);
    }
    let refused = check(SECOND / 2);
    assert!(!refused.allowed);
    assert_eq!(refused.retry_after, Duration::from_millis(500));
    assert_eq!(refused.more_after, refused.retry_after, "one more is what was asked for");
    assert!(!check(SECOND - 1).allowed, "a nanosecond early is early");
    assert!(check(SECOND).allowed, "what was refused has cost nothing");
    assert!(!check(SECOND).allowed);
}

#[test]
fn agrees_with_a_bucket_of_exact_fractions_on_random_schedules() {
    let mut numbers = Numbers(7);
    let limits = [
        limit(7, seconds(60), 5),
        limit(100, seconds(60), 100),
        limit(1, DAY * 30, 3),
        limit(u32::MAX, seconds(1), 1),
        limit(u32::MAX, DAY * 30, u32::MAX),
        limit(3, Duration::from_nanos(1), 2),
        limit(999_999_937, Duration::from_millis(1001), 17),
    ];
    for limit in limits {
        let quotas = quotas(100);
        let mut model =
            Model { level: u128::from(limit.burst().get()) * limit.period().as_nanos(), filled_at: 0 };
        let interval = u64::try_from(limit.period().as_nanos()).unwrap() / u64::from(limit.rate().get());
        let (mut now, mut passed) = (0, 0);
        for step in 0..4000 {
            let steps = [0, 1, numbers.next(interval + 1), numbers.next(4 * interval + 2)];
            now += numbers.pick(steps);
            let cost = numbers.pick([0, 1, 1, 2, limit.burst().get(), u32::MAX]);
            let decision = quotas.check(&limit, b"key", cost, now);
            assert_eq!(
                decision,
                model.check(&limit, cost, now),
                "step {step}: cost {cost} at {now} of {limit:?}"
            );
            passed += u32::from(decision.allowed && cost > 0);
        }
        assert!(passed > 100, "the schedule must let something through: {passed}");
    }
}

#[test]
fn does_not_drift_over_a_million_fractions() {
    // Three per ten nanoseconds: no interval is a whole number of nanoseconds. Asked each nanosecond.
    let admitted = |burst| {
        let (quotas, limit) = (quotas(100), limit(3, Duration::from_nanos(10), burst));
        (0..1_000_000).filter(|&now| quotas.check(&limit, b"key", 1, now).allowed).count()
    };
    assert_eq!(admitted(1), 250_000, "a burst of one can save nothing: every fourth nanosecond");
    assert_eq!(admitted(2), 300_001, "a burst of two, and three in ten ever after");
}

#[test]
fn says_that_no_waiting_helps_where_the_cost_exceeds_the_burst() {
    let (quotas, limit) = (quotas(100), limit(1, seconds(1), 5));
    assert_eq!(quotas.check(&limit, b"key", 6, 0).retry_after, Duration::MAX);
    assert_eq!(quotas.keys(), 0, "what is refused takes no memory");
    assert!(quotas.check(&limit, b"key", 5, 0).allowed);
}

#[test]
fn keeps_keys_and_limits_apart() {
    let quotas = quotas(100);
    let (one, other) = (named("one", 1, DAY, 1), named("other", 1, DAY, 1));
    assert!(quotas.check(&one, b"alice", 1, 0).allowed);
    assert!(!quotas.check(&one, b"alice", 1, 0).allowed);
    assert!(quotas.check(&one, b"bob", 1, 0).allowed);
    assert!(quotas.check(&one, b"", 1, 0).allowed);
    assert!(quotas.check(&other, b"alice", 1, 0).allowed);
}

#[test]
fn a_limit_compiled_anew_goes_on_counting() {
    let quotas = quotas(100);
    assert!(quotas.check(&limit(10, DAY, 10), b"key", 10, 0).allowed);
    assert!(!quotas.check(&limit(10, DAY, 10), b"key", 1, 0).allowed, "the same limit after a reload");
    assert_eq!(
        quotas.check(&limit(10, DAY, 20), b"key", 0, 0).remaining,
        10,
        "a larger burst is granted at once"
    );
}

#[test]
fn a_limit_made_milder_does_not_hold_keys_to_the_old_one() {
    let (quotas, milder) = (quotas(100), limit(1, seconds(1), 5));
    assert!(quotas.check(&limit(1, DAY, 1), b"key", 1, 0).allowed);
    let refused = quotas.check(&milder, b"key", 1, 0);
    assert_eq!((refused.allowed, refused.retry_after, refused.more_after), (false, seconds(1), seconds(1)));
    assert!(quotas.check(&milder, b"key", 1, SECOND).allowed, "the wait is as long as was said");
}

#[test]
fn time_that_runs_backwards_lets_nothing_more_through() {
    let (quotas, limit) = (quotas(100), limit(1, seconds(1), 2));
    assert!(quotas.check(&limit, b"key", 2, 100 * SECOND).allowed);
    for now in [0, 50 * SECOND, 100 * SECOND] {
        assert!(!quotas.check(&limit, b"key", 1, now).allowed);
        assert_eq!(quotas.check(&limit, b"key", 1, now).retry_after, seconds(1));
    }
    assert!(quotas.check(&limit, b"key", 1, 101 * SECOND).allowed);
}

#[test]
fn never_refuses_a_new_client_however_many_there_are() {
    let limit = limit(1, DAY, 1);
    for max_keys in [1_000_000, 1000, 1] {
        let quotas = quotas(max_keys);
        for client in 0..50_000_u32 {
            assert!(quotas.check(&limit, &client.to_be_bytes(), 1, 0).allowed, "{client} of {max_keys}");
        }
    }
}

#[test]
fn holds_no_more_keys_than_it_was_given_room_for() {
    let (quotas, limit) = (quotas(640), limit(1, DAY, 1));
    for client in 0..100_000_u32 {
        assert!(quotas.check(&limit, &client.to_be_bytes(), 1, 0).allowed);
    }
    assert_eq!(quotas.keys(), 640);
    assert_eq!(quotas.evictions(), 100_000 - 640);
}

#[test]
fn forgets_nothing_while_there_is_room() {
    let (quotas, limit) = (quotas(200_000), limit(1, DAY, 1));
    for client in 0..50_000_u32 {
        assert!(quotas.check(&limit, &client.to_be_bytes(), 1, 0).allowed);
    }
    let admitted = (0..50_000_u32).filter(|client| quotas.check(&limit, &client.to_be_bytes(), 1, 0).allowed);
    assert_eq!((admitted.count(), quotas.evictions()), (0, 0));
}

#[test]
fn removes_keys_that_are_whole_again_as_others_come() {
    let (quotas, limit) = (quotas(1_000_000), limit(1, seconds(1), 1));
    for client in 0..100_000_u64 {
        // A thousand a second, each whole again after one.
        assert!(quotas.check(&limit, &client.to_be_bytes(), 1, client * SECOND / 1000).allowed);
    }
    assert!(quotas.keys() < 5000, "{}", quotas.keys());
    assert_eq!(quotas.evictions(), 0);
}

/// Uses up a key's burst, floods a full table with keys used once, and asks whether the key was forgotten.
fn survives(victim: &Limit, residents: &Limit, flood: &Limit) -> bool {
    let quotas = quotas(6400);
    let times = |limit: &Limit, prefix: &str, count: u32| {
        for number in 0..count {
            assert!(quotas.check(limit, format!("{prefix}{number}").as_bytes(), 1, 0).allowed);
        }
    };
    times(residents, "resident", 3200);
    assert!(quotas.check(victim, b"victim", victim.burst().get(), 0).allowed);
    times(residents, "late resident", 6400);
    times(flood, "flood", 40_000);
    !quotas.check(victim, b"victim", 1, 0).allowed
}

#[test]
fn a_flood_of_keys_does_not_reset_one_that_is_used_up() {
    let (brief, long) = (named("brief", 100, seconds(60), 100), named("long", 1, DAY, 1));
    assert!(survives(&brief, &brief, &brief), "on the same limit");
    assert!(survives(&brief, &long, &brief), "on the same limit, in a table full of another");
    assert!(survives(&brief, &brief, &long), "on a limit whose keys owe for longer");
    // What it is measured against: a key that owes as little as the flood's own is forgotten.
    let quotas = quotas(640);
    assert!(quotas.check(&brief, b"light", 1, 0).allowed);
    for number in 0..100_000_u32 {
        assert!(quotas.check(&brief, &number.to_be_bytes(), 1, 0).allowed);
    }
    assert_eq!(quotas.check(&brief, b"light", 0, 0).remaining, 100);
}

#[test]
fn removes_keys_that_are_whole_and_leaves_the_others_as_they_are() {
    let (brief, long) = (named("brief", 1, seconds(1), 1), named("long", 100, DAY, 100));
    let mut shard = Shard::new(100, 1);
    for number in 0..50_u32 {
        assert!(shard.check(Key(0, number.into()), &long, number + 1, 0).allowed);
        assert!(shard.check(Key(0, (1000 + number).into()), &brief, 1, 0).allowed);
    }
    // The shard is full; there is room for these only where the brief ones were.
    for number in 0..25_u32 {
        assert!(shard.check(Key(0, (2000 + number).into()), &long, number + 51, 2 * SECOND).allowed);
    }
    assert_eq!(shard.evicted(), 0);
    for number in 0..50_u32 {
        // Two seconds bring back a small part of one in a hundred a day.
        let decision = shard.check(Key(0, number.into()), &long, 0, 2 * SECOND);
        assert_eq!(decision.remaining, 100 - number - 1);
    }
    for number in 0..25_u32 {
        let decision = shard.check(Key(0, (2000 + number).into()), &long, 0, 2 * SECOND);
        assert_eq!(decision.remaining, 100 - number - 51);
    }
}

#[test]
fn threads_together_get_no_more_than_the_limit() {
    let (quotas, limit) = (quotas(1000), limit(1000, seconds(1), 50));
    let (clock, admitted) = (AtomicU64::new(0), AtomicU64::new(0));
    let asked = 4 * 50_000;
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..asked / 4 {
                    // Threads see times out of order, as with a real clock.
                    let now = clock.fetch_add(SECOND / 100_000, Ordering::Relaxed);
                    let allowed = quotas.check(&limit, b"shared", 1, now).allowed;
                    admitted.fetch_add(allowed.into(), Ordering::Relaxed);
                }
            });
        }
    });
    let (last, admitted) = ((asked - 1) * (SECOND / 100_000), admitted.into_inner());
    let most = 50 + last * 1000 / SECOND;
    assert!(admitted <= most, "{admitted} of {most}");
    assert!(admitted > most * 9 / 10, "{admitted} of {most}");
}

#[test]
fn spreads_keys_over_all_shards() {
    let (quotas, limit) = (quotas(1_000_000), limit(1, DAY, 1));
    for client in 0..64_000_u32 {
        assert!(quotas.check(&limit, &client.to_be_bytes(), 1, 0).allowed);
    }
    let sizes: HashMap<bool, usize> = quotas.all_shards().fold(HashMap::new(), |mut sizes, shard| {
        *sizes.entry((700..1300).contains(&shard.len())).or_default() += 1;
        sizes
    });
    assert_eq!(sizes, HashMap::from([(true, SHARDS)]), "a thousand each, give or take ten deviations");
}
