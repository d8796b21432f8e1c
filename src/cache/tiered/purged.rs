//! Purges on their way to disk.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::cache::disk::Disk;
use crate::cache::purge::{Purges, Traces};

/// A purge that holds in this process. Without a disk there is nothing left to do.
#[must_use = "it holds across a restart only when it was written down"]
pub struct Purged(Option<Unwritten>);

struct Unwritten {
    disk: Arc<Disk>,
    number: u64,
    purges: Arc<Purges>,
}

impl Purged {
    /// Waits to be written at once, so that what the disk notes of a fleet's purges is never ahead of them.
    pub(super) fn new(disk: Option<Arc<Disk>>, traces: Traces, purges: Arc<Purges>) -> Self {
        Self(disk.map(|disk| {
            let number = disk.queue_purge(traces);
            Unwritten { disk, number, purges }
        }))
    }

    /// Returns when it holds whatever happens.
    pub async fn written(self) {
        let Some(Unwritten { disk, number, purges }) = self.0 else { return };
        // It panics only if an observer does.
        let _ = spawn_blocking(move || disk.write_purges(number, || purges.traces())).await;
    }

    /// Has it written soon, with all others that come meanwhile: a write to disk for each would be no more than the disk
    /// does in a second, and as many threads.
    pub fn write_soon(self) {
        let Some(Unwritten { disk, purges, .. }) = self.0 else { return };
        if disk.must_be_called() {
            drop(spawn_blocking(move || disk.write_waiting(|| purges.traces())));
        }
    }
}
