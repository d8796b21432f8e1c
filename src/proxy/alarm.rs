//! A timer that is rarely touched.
//!
//! Deadlines of a busy connection move later with every request. Setting a timer anew each time would cost a lock;
//! so it is left to ring early, finds that there is time left, and is set once more.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// Wakes a task at a deadline, or somewhat before.
#[derive(Default)]
pub(super) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    /// When waiting without anything begun began.
    idle_since: Option<Instant>,
}

impl Alarm {
    /// Whether the deadline has passed; otherwise the task will be woken at that time or earlier.
    pub(super) fn rings(&mut self, cx: &mut Context<'_>, deadline: Instant) -> bool {
        loop {
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if sleep.deadline() > deadline {
                sleep.as_mut().reset(deadline);
            }
            match sleep.as_mut().poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(()) if Instant::now() >= deadline => {
                    self.sleep = None;
                    self.idle_since = None;
                    return true;
                }
                Poll::Ready(()) => sleep.as_mut().reset(deadline),
            }
        }
    }

    /// When the present idle time began: at the first call after [`Alarm::busy`].
    pub(super) fn idle_since(&mut self) -> Instant {
        *self.idle_since.get_or_insert_with(Instant::now)
    }

    /// No longer idle.
    pub(super) fn busy(&mut self) {
        self.idle_since = None;
    }
}
