//! Purges on their way to disk.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::spawn_blocking;

use crate::cache::disk::Disk;
use crate::cache::purge::{Purges, Traces};

/// A purge that holds in this process. Without a disk there is nothing left to do.
#[must_use = "it holds across a restart only when it was written down"]
pub struct Purged(Option<Unwritten>);

struct Unwritten {
    disk: Arc<Disk>,
    traces: Traces,
    purges: Arc<Purges>,
    backlog: Arc<Backlog>,
}

impl Purged {
    pub(super) fn new(
        disk: Option<Arc<Disk>>,
        traces: Traces,
        purges: Arc<Purges>,
        backlog: Arc<Backlog>,
    ) -> Self {
        Self(disk.map(|disk| Unwritten { disk, traces, purges, backlog }))
    }

    /// Returns when it holds whatever happens.
    pub async fn written(self) {
        let Some(Unwritten { disk, traces, purges, .. }) = self.0 else { return };
        // It panics only if an observer does.
        let _ = spawn_blocking(move || disk.purge(&traces, || purges.traces())).await;
    }

    /// Has it written soon, with all others that come meanwhile: a write to disk for each would be no more than the disk does in
    /// a second, and as many threads.
    pub fn write_soon(self) {
        let Some(Unwritten { disk, traces, purges, backlog }) = self.0 else { return };
        if backlog.add(traces) {
            drop(spawn_blocking(move || {
                while let Some(traces) = backlog.take() {
                    disk.purge(&traces, || purges.traces());
                }
            }));
        }
    }
}

/// What waits to be written while something is.
#[derive(Default)]
pub struct Backlog(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: Option<Traces>,
    is_writing: bool,
}

impl Backlog {
    /// Whether somebody must begin to write.
    fn add(&self, traces: Traces) -> bool {
        let mut state = self.state();
        match &mut state.waiting {
            Some(waiting) => {
                waiting.traces.extend(traces.traces);
                waiting.epoch = waiting.epoch.max(traces.epoch);
                waiting.swept = waiting.swept.max(traces.swept);
            }
            none => *none = Some(traces),
        }
        !std::mem::replace(&mut state.is_writing, true)
    }

    fn take(&self) -> Option<Traces> {
        let mut state = self.state();
        let waiting = state.waiting.take();
        state.is_writing = waiting.is_some();
        waiting
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
