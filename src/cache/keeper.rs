//! Which disk the cache of a process has: the one that the policy in force names, as soon as no other process holds it.
//!
//! A successor begins with memory alone, and takes the disk when its predecessor lets go of it, which is when it serves. A
//! reload that changes nothing about the disk leaves it alone. A disk that cannot be used is tried again and again; no
//! request waits for it.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::disk::Observer;
use super::disk::event::Event;
use super::disk::seal::Keys;
use super::disk::volume::Directory;
use super::shared::Shared;
use super::tiered::{OnDisk, Tiered};
use crate::state::{Chore, Work};
use crate::telemetry::metrics::{CacheMetrics, DiskBypass};

/// How often a disk is asked for that another process has.
const WHILE_HELD: Duration = Duration::from_millis(100);
/// How often a disk is tried that cannot be used.
const WHILE_UNUSABLE: Duration = Duration::from_secs(10);

/// What a policy says of the disk.
#[derive(Clone, PartialEq, Eq)]
pub struct Terms {
    /// Its directory.
    pub path: PathBuf,
    /// Bytes.
    pub capacity: u64,
    /// `None`: what is stored is not encrypted.
    pub keys: Option<Keys>,
    /// Whether purges come from a fleet, too: those that were given while no process had the disk are to be heard first.
    pub is_fleets: bool,
}

/// Takes disks and lets go of them.
pub struct Keeper {
    store: Arc<Tiered>,
    metrics: CacheMetrics,
    /// The terms of the disk that it has. Held while a disk is taken or let go of.
    held: Mutex<Option<Terms>>,
    /// Counts who said last which disk is to be had.
    word: AtomicU64,
}

/// What came of an attempt.
enum Settled {
    Done,
    /// Another process has the disk.
    NotYet,
}

impl Keeper {
    #[must_use]
    pub fn new(store: Arc<Tiered>, metrics: CacheMetrics) -> Self {
        Self { store, metrics, held: Mutex::default(), word: AtomicU64::new(0) }
    }

    /// Leaves the disk to another process; none is taken again until a policy comes into force. May block.
    pub fn let_go(&self) {
        self.word.fetch_add(1, Ordering::AcqRel);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = None;
        self.store.detach();
    }

    /// May block.
    fn settle(&self, word: u64, terms: Option<&Terms>) -> io::Result<Settled> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_outdated = self.word.load(Ordering::Acquire) != word;
        if is_outdated || held.as_ref() == terms {
            return Ok(Settled::Done);
        }
        if held.take().is_some() || terms.is_none() {
            self.store.detach();
        }
        let Some(terms) = terms else { return Ok(Settled::Done) };
        let on_disk = OnDisk {
            volume: Arc::new(Directory::new(&terms.path)?),
            capacity: terms.capacity,
            keys: terms.keys.clone(),
            is_fleets: terms.is_fleets,
            random: boring::rand::rand_bytes,
            observe: self.observer(),
        };
        if !self.store.attach(on_disk)? {
            return Ok(Settled::NotYet);
        }
        *held = Some(terms.clone());
        let (responses, bytes) = self.store.disk().map_or((0, 0), |disk| (disk.len(), disk.bytes()));
        log::info!(path:% = terms.path.display(), responses, bytes; "the cache has its disk");
        if self.store.catches_up() {
            log::info!("the cache's disk waits for what the fleet purged meanwhile");
        }
        Ok(Settled::Done)
    }

    fn observer(&self) -> Observer {
        let metrics = self.metrics.clone();
        Arc::new(move |event| note(&metrics, event))
    }
}

/// Counts what befalls the disk, and says so in the log, which holds back what repeats.
fn note(metrics: &CacheMetrics, event: &Event) {
    match event {
        Event::Served => metrics.read_from_disk(),
        Event::Written { responses } => metrics.written_to_disk(*responses),
        Event::Evicted { gone, .. } => metrics.evicted_from_disk(*gone),
        Event::Skipped => metrics.bypassed_disk(DiskBypass::Paused),
        Event::Overloaded => metrics.bypassed_disk(DiskBypass::Overloaded),
        Event::Slow => {
            metrics.bypassed_disk(DiskBypass::Slow);
            log::warn!("the cache's disk is slow, and is done without");
        }
        Event::WriteFailed(kind) => {
            metrics.bypassed_disk(match kind {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DiskBypass::Full,
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => DiskBypass::ReadOnly,
                _ => DiskBypass::WriteFailed,
            });
            log::warn!(error:% = kind; "the cache cannot write to its disk, and does without");
        }
        Event::ReadFailed(kind) => {
            metrics.bypassed_disk(DiskBypass::ReadFailed);
            log::warn!(error:% = kind; "the cache cannot read from its disk, and does without");
        }
        Event::Damaged => {
            metrics.damaged_on_disk();
            log::warn!("a stored response is damaged, and was removed from the cache's disk");
        }
        Event::FileUnusable { name, why } => {
            metrics.damaged_on_disk();
            log::warn!(file = name.as_str(), reason:% = why; "a file cannot be used, and was removed from the cache's disk");
        }
        Event::Recovered { name, responses } => {
            log::info!(file = name.as_str(), responses = *responses; "the cache's disk was not closed; what was whole is kept");
        }
        Event::PurgesLost => {
            log::warn!("what was purged is not known for certain: the cache's disk was emptied");
        }
    }
}

/// Gives the cache the disk of a policy, for as long as it is in force.
pub struct Attendant {
    pub shared: Arc<Shared>,
    pub terms: Option<Terms>,
}

impl Chore for Attendant {
    fn run(self: Arc<Self>) -> Work {
        Box::pin(async move {
            let word = self.shared.keeper.word.fetch_add(1, Ordering::AcqRel) + 1;
            let mut is_waiting = false;
            loop {
                let own = self.clone();
                let settled =
                    spawn_blocking(move || own.shared.keeper.settle(word, own.terms.as_ref())).await;
                match settled {
                    Ok(Ok(Settled::NotYet)) => {
                        if !std::mem::replace(&mut is_waiting, true) {
                            log::info!("the cache waits for its disk, which another process has");
                        }
                        sleep(WHILE_HELD).await;
                    }
                    Ok(Err(error)) => {
                        self.shared.keeper.metrics.bypassed_disk(DiskBypass::Unusable);
                        let path = self.terms.as_ref().map(|terms| terms.path.display().to_string());
                        log::error!(path = path.unwrap_or_default(), error:%; "the cache's disk cannot be used, and is done without");
                        sleep(WHILE_UNUSABLE).await;
                    }
                    // It panics only if the log does.
                    Ok(Ok(Settled::Done)) | Err(_) => return,
                }
            }
        })
    }
}
