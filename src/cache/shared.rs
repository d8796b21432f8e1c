//! The cache of a process: what is stored, what is being asked, and how much of either there may be. Outlives reloads.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::RequestDirectives;
use super::content::{Budget, Fill};
use super::fleet::{Fleet, Reach, Telling};
use super::flights::Flights;
use super::freshness::{Freshness, Verdict};
use super::keeper::Keeper;
use super::memory::Size;
use super::purge::{How, Scope};
use super::tiered::{Found, Purged, Tiered};
use super::vary::{Fingerprint, Selector};
use crate::state::{Chore, Work};
use crate::telemetry::metrics::{CacheMetrics, Metrics, Show};

/// Keys whose responses are known to be for nobody else: three megabytes.
const MAX_APART: NonZeroUsize = NonZeroUsize::new(1 << 16).expect("it is not zero");
/// Questions to origins that no client waits for.
const MAX_BACKGROUND: usize = 256;
/// Of the memory for what is stored, the part there is beside it for what is on its way.
const COMING_PART: u64 = 4;
/// Marks of purges that stay until there is time for them.
const FEW_MARKS: usize = 10_000;
/// How often marks are looked after, and after how many looks few of them are many.
const LOOK: Duration = Duration::from_secs(1);
const PATIENCE: u32 = 60;
/// After how many looks the disk is told how far the fleet was heard: what came since is heard again after a crash.
const UNNOTED: u32 = 60;

/// See the module.
pub struct Shared {
    pub store: Arc<Tiered>,
    /// Which disk it has.
    pub keeper: Keeper,
    pub flights: Arc<Flights<Landing>>,
    /// For what is on its way.
    pub budget: Arc<Budget>,
    /// What is purged for others, too.
    pub fleet: Arc<Fleet>,
    background: Arc<Semaphore>,
    metrics: CacheMetrics,
    shown: AtomicBool,
}

/// What comes for all who asked for a key at the same time.
#[derive(Clone)]
pub enum Landing {
    /// A response that may be used for others.
    Coming(Arc<Coming>),
    /// What was stored holds on.
    Holds(Found),
    /// The origin answers with an error of this status, or not at all.
    Failed(Option<StatusCode>),
}

/// A response whose content may still be on its way.
pub struct Coming {
    pub status: StatusCode,
    /// As they are stored.
    pub fields: HeaderMap,
    pub freshness: Freshness,
    /// Of the content, in bytes, if the origin told.
    pub length: Option<u64>,
    /// Whom it fits.
    pub variant: (Selector, Fingerprint),
    pub content: Fill,
}

impl Coming {
    /// Whether a request may be answered with it that asked while the origin was asked, or after that (`late`), when it is
    /// like any stored response (RFC 9111 §4).
    #[must_use]
    pub fn fits(&self, request: &HeaderMap, wants: &RequestDirectives, late: bool, now: SystemTime) -> bool {
        let (selector, fingerprint) = &self.variant;
        let wants = if late { *wants } else { RequestDirectives::default() };
        selector.fingerprint(request) == *fingerprint && is_of_use(&self.freshness, &wants, now)
    }
}

/// Whether what has just come may be used for others without asking the origin again.
#[must_use]
pub fn is_of_use(freshness: &Freshness, wants: &RequestDirectives, now: SystemTime) -> bool {
    matches!(freshness.judge(wants, now), Verdict::Fresh | Verdict::StaleWhileRevalidate)
}

impl Shared {
    /// Nothing is stored yet; `expects_disk` if more is to be found on a disk soon.
    #[must_use]
    pub fn new(size: Size, expects_disk: bool, metrics: &Metrics, now: SystemTime) -> Self {
        let counted = metrics.cache();
        let tell = Box::new(move |bytes| counted.stored(bytes));
        let fleet = Arc::<Fleet>::default();
        let store = Arc::new(Tiered::new(size, expects_disk, fleet.clone(), now, tell));
        Self {
            keeper: Keeper::new(store.clone(), metrics.cache()),
            store,
            flights: Flights::new(MAX_APART),
            budget: Arc::new(Budget::new(size.bytes / COMING_PART)),
            fleet,
            background: Arc::new(Semaphore::new(MAX_BACKGROUND)),
            metrics: metrics.cache(),
            shown: AtomicBool::new(false),
        }
    }

    /// Has metrics tell of it from now on.
    pub fn show(self: &Arc<Self>, metrics: &Metrics) {
        if !self.shown.swap(true, Ordering::Relaxed) {
            let shown: Arc<dyn Show> = self.clone();
            metrics.show(&shown);
        }
    }

    /// Leave to ask an origin while no client waits; `None` if enough do.
    #[must_use]
    pub fn background(&self) -> Option<OwnedSemaphorePermit> {
        self.background.clone().try_acquire_owned().ok()
    }

    /// Purges, here at once, and counts that.
    pub fn purge(&self, scopes: &[Scope], how: How) -> Ordered {
        let purged = self.store.purge(scopes, how);
        self.metrics.purged(scopes.len());
        Ordered { purged, telling: self.fleet.give(scopes, how) }
    }

    /// What counts.
    #[must_use]
    pub const fn metrics(&self) -> &CacheMetrics {
        &self.metrics
    }
}

/// A purge that holds in this process.
#[must_use = "it holds across a restart only when it was written down"]
pub struct Ordered {
    purged: Purged,
    telling: Telling,
}

impl Ordered {
    /// Returns when it holds across a restart, and the fleet was told as far as that takes no longer than `patience`.
    pub async fn within(self, patience: Duration) -> Reach {
        self.purged.written().await;
        self.telling.within(patience).await
    }

    /// Has both done while nobody waits.
    pub fn soon(self) {
        self.purged.write_soon();
    }
}

impl Drop for Shared {
    /// Nobody is to wait for what is written then.
    fn drop(&mut self) {
        if self.store.disk().is_some() {
            let store = self.store.clone();
            drop(thread::Builder::new().spawn(move || store.detach()));
        }
    }
}

impl Show for Shared {
    fn show(&self) {
        let memory = self.store.memory();
        let (entries, bytes) = (memory.len() as u64, memory.bytes());
        self.metrics.show(entries, bytes, self.budget.used(), memory.evictions());
        let disk = self.store.disk().filter(|_| !self.fleet.catches_up());
        self.metrics.show_disk(disk.map(|disk| (disk.len() as u64, disk.bytes())));
        self.metrics.show_waiting(self.fleet.waiting());
    }
}

/// Compares what is stored with what was purged, by and by, so that marks of purges do not pile up.
pub struct Sweeper(pub Arc<Shared>);

impl Chore for Sweeper {
    fn run(self: Arc<Self>) -> Work {
        Box::pin(async move {
            let (mut looks, mut unnoted) = (0, 0);
            loop {
                tokio::time::sleep(LOOK).await;
                looks += 1;
                unnoted += 1;
                if unnoted >= UNNOTED {
                    unnoted = 0;
                    let store = self.0.store.clone();
                    drop(tokio::task::spawn_blocking(move || store.note()).await);
                }
                let store = &self.0.store;
                let is_early = store.memory().marks() < FEW_MARKS && looks < PATIENCE;
                if is_early || !store.wants_sweeping() {
                    continue;
                }
                looks = 0;
                let store = store.clone();
                // It looks at all that is stored, which takes a moment.
                drop(tokio::task::spawn_blocking(move || store.sweep()).await);
            }
        })
    }
}
