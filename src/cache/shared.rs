//! The cache of a process: what is stored, what is being asked, and how much of either there may be. Outlives reloads.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::RequestDirectives;
use super::content::{Budget, Fill};
use super::fleet::{Fleet, Telling};
use super::flights::Flights;
use super::freshness::{Freshness, Verdict};
use super::memory::{Memory, Size, Stored};
use super::purge::{Epoch, How, Scope};
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

/// See the module.
pub struct Shared {
    pub store: Memory,
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
    Holds(Arc<Stored>),
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
    /// Nothing is stored yet.
    #[must_use]
    pub fn new(size: Size, metrics: &Metrics) -> Self {
        Self {
            store: Memory::new(size),
            flights: Flights::new(MAX_APART),
            budget: Arc::new(Budget::new(size.bytes / COMING_PART)),
            fleet: Arc::default(),
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

    /// Stores, and counts that.
    pub fn put(&self, key: super::Key, stored: Arc<Stored>) {
        let bytes = stored.weight();
        if self.store.put(key, stored) {
            self.metrics.stored(bytes);
        }
    }

    /// Purges, here at once, and counts that.
    pub fn purge(&self, scopes: &[Scope], how: How) -> Telling {
        self.store.purge(scopes, how);
        self.metrics.purged(scopes.len());
        self.fleet.give(scopes, how)
    }

    /// What counts.
    #[must_use]
    pub const fn metrics(&self) -> &CacheMetrics {
        &self.metrics
    }
}

impl Show for Shared {
    fn show(&self) {
        let (entries, bytes) = (self.store.len() as u64, self.store.bytes());
        self.metrics.show(entries, bytes, self.store.evictions(), self.budget.used());
        self.metrics.show_waiting(self.fleet.waiting());
    }
}

/// Compares what is stored with what was purged, by and by, so that marks of purges do not pile up.
pub struct Sweeper(pub Arc<Shared>);

impl Chore for Sweeper {
    fn run(self: Arc<Self>) -> Work {
        Box::pin(async move {
            let mut looks = 0;
            loop {
                tokio::time::sleep(LOOK).await;
                looks += 1;
                let marks = self.0.store.marks();
                if marks == 0 || (marks < FEW_MARKS && looks < PATIENCE) {
                    continue;
                }
                looks = 0;
                let shared = self.0.clone();
                // It looks at all that is stored, which takes a moment.
                drop(tokio::task::spawn_blocking(move || shared.store.sweep(Epoch::LAST)).await);
            }
        })
    }
}
