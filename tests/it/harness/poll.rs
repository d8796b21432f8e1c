//! Waiting for what happens elsewhere: looked at again and again, to a deadline.

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up. Generous: it is only ever used up by a failure.
pub const DEADLINE: Duration = Duration::from_secs(15);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// The first value that `look` finds.
///
/// # Panics
/// When it finds none to the deadline; `what` says what was waited for.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::park_timeout(PAUSE);
    }
}

/// Waits until `look` says yes.
pub fn soon(what: &str, mut look: impl FnMut() -> bool) {
    eventually(what, || look().then_some(()));
}
