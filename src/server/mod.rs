//! The process: sockets, workers, operators, reload, hand-over and the end.
//!
//! Sockets and accept loops are ours, not Pingora's, because its upgrade stops the old process before the new one is
//! known to work. Here both accept on the same sockets until the successor says that it serves.

mod accept;
mod admin;
mod certificates;
mod drain;
mod echo;
mod farewell;
mod handover;
mod life;
mod notify;
mod operators;
mod reload;
mod runtime_dir;
mod serve;
mod signals;
mod sockets;
mod streams;
mod succession;
mod workers;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora_proxy::HttpProxy;
use tokio::sync::watch::{Receiver, Sender};
use tokio::task::JoinSet;

pub use handover::Relaunch;
pub use life::{Options, RunError, run};
pub use reload::{ReloadError, read};
pub use sockets::Sockets;

use crate::net::ListenAddress;
use crate::policy::{Materials, Snapshot};
use crate::proxy::Gateway;
use crate::state::Watched;
use crate::telemetry::metrics::CertificateMetrics;
use crate::upstream::Tasks;
use notify::Notify;
use sockets::Listener;
use workers::Workers;

/// How long the last lines of the logs may take.
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);

/// What all parts of the process share.
pub struct Shared {
    /// The policy's file.
    pub policy: PathBuf,
    /// What policies are made with.
    pub materials: Materials,
    /// The policy in force.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    proxy: Arc<HttpProxy<Gateway>>,
    notify: Notify,
    draining: Sender<bool>,
    /// Whether connections on which nothing was asked are to end at once.
    closing: Sender<bool>,
    open: AtomicU32,
    /// Told when the last connection ends.
    closed: tokio::sync::Notify,
    sockets: Mutex<Sockets>,
    workers: OnceLock<Workers>,
    operators: Mutex<HashMap<ListenAddress, tokio::task::JoinHandle<()>>>,
    tasks: Mutex<Vec<Tasks>>,
    chores: Mutex<JoinSet<()>>,
    watched: Mutex<Watched>,
    certificates: Mutex<Vec<CertificateMetrics>>,
    /// Held by a reload, so that each begins with what the one before left, and by a hand-over.
    reloading: Arc<tokio::sync::Mutex<()>>,
}

/// One open connection.
pub struct Open(Arc<Shared>);

impl Shared {
    /// Whether the process lets its connections end.
    pub fn draining(&self) -> Receiver<bool> {
        self.draining.subscribe()
    }

    /// Whether connections on which nothing was asked are to end at once.
    pub fn closing(&self) -> Receiver<bool> {
        self.closing.subscribe()
    }

    /// Counts one more connection, unless there are too many.
    fn open(self: &Arc<Self>, most: u32) -> Option<Open> {
        if self.open.fetch_add(1, Ordering::AcqRel) >= most {
            self.open.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        Some(Open(self.clone()))
    }

    /// Connections that are open.
    fn open_connections(&self) -> u32 {
        self.open.load(Ordering::Acquire)
    }

    fn listener(&self, address: &ListenAddress) -> io::Result<Listener> {
        self.sockets().listener(address)
    }

    fn sockets(&self) -> MutexGuard<'_, Sockets> {
        self.held(&self.sockets)
    }

    /// The lock, also after a thread panicked with it: each change under it is a single step.
    #[expect(clippy::unused_self, reason = "reads as what it is at each call")]
    fn held<'a, T>(&self, lock: &'a Mutex<T>) -> MutexGuard<'a, T> {
        lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings up to date what is only looked at when metrics are read.
    fn refresh_metrics(&self) {
        let now_ns = self.materials.state.clock.nanos();
        let snapshot = self.snapshot.load();
        for service in snapshot.services.values() {
            service.refresh(now_ns);
        }
        match &snapshot.consumers {
            Some(consumers) => consumers.refresh(),
            None => self.materials.metrics.show_keys(std::iter::empty(), std::iter::empty()),
        }
    }

    /// Has log files opened anew, after they were moved away.
    fn reopen_logs(&self) {
        for log in self.materials.logs.all() {
            log.reopen();
        }
    }

    /// Writes out what the logs hold.
    fn flush_logs(&self) {
        for log in self.materials.logs.all() {
            if let Err(error) = log.flush(FLUSH_PATIENCE) {
                log::error!(error:%; "log not flushed");
            }
        }
    }

    /// Closes the listeners for clients; those for operators stay.
    fn close_doors(&self) {
        let operators: Vec<_> = self.snapshot.load().operators().cloned().collect();
        // Nothing is bound anew, so nothing can fail.
        drop(self.sockets().reconcile(&operators));
    }

    /// Stops listening for good.
    fn close_sockets(&self) {
        std::mem::take(&mut *self.sockets()).close();
    }

    /// Watches the files of a policy, if it asks for that.
    fn watch_files(&self, snapshot: &Snapshot) {
        let files = if snapshot.process.watch { snapshot.files.clone() } else { Vec::new() };
        *self.held(&self.watched) = Watched::new(files);
    }

    /// Whether a watched file has changed.
    fn files_changed(&self) -> bool {
        let mut watched = self.held(&self.watched);
        let changed = watched.poll();
        for path in &changed {
            log::info!(file:% = Path::display(path); "changed");
        }
        !changed.is_empty()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.closed.notify_waiters();
        }
    }
}
