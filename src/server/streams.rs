//! How many streams of an HTTP/2 connection are being served, and since when there are none.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The streams of one connection that are being served.
pub struct Streams {
    open: AtomicUsize,
    none: Notify,
    /// When there were none last, in milliseconds from `since`.
    ended_ms: AtomicU64,
    since: Instant,
}

/// One of them.
pub struct Open(Arc<Streams>);

impl Default for Streams {
    fn default() -> Self {
        Self {
            open: AtomicUsize::new(0),
            none: Notify::new(),
            ended_ms: AtomicU64::new(0),
            since: Instant::now(),
        }
    }
}

impl Streams {
    /// One more stream, until what is returned is dropped.
    pub fn begin(self: Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::AcqRel);
        Open(self)
    }

    /// Resolves after `patience` without any stream, counted from the call at the earliest.
    pub async fn idle(&self, patience: Duration) {
        let mut until = Instant::now() + patience;
        loop {
            self.ended().await;
            until = until.max(self.ended_at() + patience);
            tokio::time::sleep_until(until).await;
            if self.open.load(Ordering::Acquire) == 0 && self.ended_at() + patience <= until {
                return;
            }
        }
    }

    fn ended_at(&self) -> Instant {
        self.since + Duration::from_millis(self.ended_ms.load(Ordering::Acquire))
    }

    /// Resolves when there is no stream.
    pub async fn ended(&self) {
        loop {
            let none = pin!(self.none.notified());
            if self.open.load(Ordering::Acquire) == 0 {
                return;
            }
            none.await;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            let ended_ms = u64::try_from(self.0.since.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.0.ended_ms.store(ended_ms, Ordering::Release);
            self.0.none.notify_waiters();
        }
    }
}
