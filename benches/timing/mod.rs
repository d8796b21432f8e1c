//! Plain timing loops: the median of 15 rounds of at least 20 ms, so that a busy machine shows as a wide range and not
//! as a slow part. Inputs and results go through `black_box`.

use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(20);

/// What the columns are.
pub fn heading() {
    println!("{:<44} {:>10}   range", "part", "median");
}

/// Times `work`, and prints what one call takes. The median, in nanoseconds.
pub fn time<T>(name: &str, mut work: impl FnMut() -> T) -> f64 {
    let mut calls: u32 = 1;
    while elapsed(calls, &mut work) < ROUND {
        calls = calls.saturating_mul(2);
    }
    let mut rounds: Vec<f64> =
        (0..ROUNDS).map(|_| elapsed(calls, &mut work).as_secs_f64() * 1e9 / f64::from(calls)).collect();
    rounds.sort_by(f64::total_cmp);
    let (least, median, most) = (rounds[0], rounds[ROUNDS / 2], rounds[ROUNDS - 1]);
    println!("{name:<44} {median:>7.0} ns   {least:.0} to {most:.0}");
    median
}

fn elapsed<T>(calls: u32, work: &mut impl FnMut() -> T) -> Duration {
    let began = Instant::now();
    for _ in 0..calls {
        black_box(work());
    }
    began.elapsed()
}
