//! What an upstream does in the background: active checks and name resolution.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::resolve::Lookup;
use super::{Upstream, health, resolve};

/// Running background work. It stops when this is dropped.
#[must_use = "the work stops when this is dropped"]
pub struct Tasks {
    _running: JoinSet<()>,
}

impl Upstream {
    /// Starts active checks and name resolution. Call it within a tokio runtime, once for each upstream of a
    /// snapshot that goes into service; let the old snapshot's tasks go once the new one's run.
    pub fn start(self: &Arc<Self>, lookup: &Arc<dyn Lookup>) -> Tasks {
        let mut running = JoinSet::new();
        if let Some(check) = &self.check {
            running.spawn(health::run(Arc::clone(self), Arc::clone(check)));
        }
        for name in self.names() {
            running.spawn(resolve::follow(Arc::clone(self), name, Arc::clone(lookup)));
        }
        Tasks { _running: running }
    }
}
