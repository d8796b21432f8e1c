//! What was found out about an issuer, asked for when somebody first needs it, now and then anew, and used on while the
//! issuer is silent.
//!
//! Always holds: one asks at a time, and those who come meanwhile wait for that answer; who came while it failed does not
//! ask again, so nobody waits for more than one question.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::state::Clock;

/// How long it is taken as it is.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// How long it is used while the issuer says nothing new.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// Between two questions where the first had no answer, and nothing is known.
const PAUSE: Duration = Duration::from_secs(2);
/// The same where something is known, so that few wait in vain for an issuer that hangs.
const LONGER_PAUSE: Duration = Duration::from_secs(60);

/// What was found out, if anything was.
#[derive(Debug)]
pub struct Found<T> {
    clock: Clock,
    known: Mutex<Known<T>>,
}

#[derive(Debug)]
struct Known<T> {
    found: Option<(Arc<T>, u64)>,
    failed_ns: Option<u64>,
}

impl<T> Found<T> {
    /// Nothing yet.
    #[must_use]
    pub fn nothing(clock: Clock) -> Self {
        Self { clock, known: Mutex::new(Known { found: None, failed_ns: None }) }
    }

    /// What is known, or what `ask` finds out. `told` hears why it found nothing; what is known may be of use all the same.
    pub async fn get<E>(
        &self,
        ask: impl AsyncFnOnce() -> Result<T, E>,
        told: impl FnOnce(E),
    ) -> Option<Arc<T>> {
        let mut known = self.known.lock().await;
        let now = self.clock.nanos();
        let age = |since: u64| Duration::from_nanos(now.saturating_sub(since));
        let within = |time| known.found.as_ref().filter(|(_, since)| age(*since) < time);
        if let Some((found, _)) = within(FRESH) {
            return Some(Arc::clone(found));
        }
        let usable = within(STALE).map(|(found, _)| Arc::clone(found));
        let pause = if usable.is_some() { LONGER_PAUSE } else { PAUSE };
        if known.failed_ns.is_some_and(|since| age(since) < pause) {
            return usable;
        }
        match ask().await {
            Ok(found) => {
                let found = Arc::new(found);
                *known = Known { found: Some((Arc::clone(&found), now)), failed_ns: None };
                Some(found)
            }
            Err(error) => {
                known.failed_ns = Some(self.clock.nanos());
                told(error);
                usable
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::time::SystemTime;

    use super::*;

    #[tokio::test]
    async fn asks_when_it_has_to_and_uses_what_it_knows_while_nobody_answers() {
        let (clock, hand) = Clock::manual(SystemTime::UNIX_EPOCH);
        let found = Found::nothing(clock);
        let (answer, asked, told) = (Cell::new(Err("down")), Cell::new(0), RefCell::new(Vec::new()));
        let get = async || {
            let ask = async || {
                asked.set(asked.get() + 1);
                answer.get()
            };
            let got = found.get(ask, |why: &str| told.borrow_mut().push(why)).await;
            (got.map(|found| *found), asked.get())
        };
        let (hour, second) = (Duration::from_secs(3600), Duration::from_secs(1));
        assert_eq!((get().await, get().await), ((None, 1), (None, 1)), "who waited does not ask again");
        hand.advance(PAUSE);
        assert_eq!(get().await, (None, 2));
        hand.advance(PAUSE);
        answer.set(Ok("a"));
        assert_eq!((get().await, get().await), ((Some("a"), 3), (Some("a"), 3)));
        answer.set(Ok("b"));
        hand.advance(Duration::from_secs(3599));
        assert_eq!(get().await, (Some("a"), 3));
        hand.advance(second);
        assert_eq!(get().await, (Some("b"), 4), "it may have moved");
        answer.set(Err("gone"));
        hand.advance(hour);
        assert_eq!((get().await, get().await), ((Some("b"), 5), (Some("b"), 5)), "used on");
        hand.advance(LONGER_PAUSE);
        assert_eq!(get().await, (Some("b"), 6));
        hand.advance(23 * hour);
        assert_eq!(get().await, (None, 7), "not for ever");
        assert_eq!(*told.borrow(), ["down", "down", "gone", "gone", "gone"]);
    }
}
