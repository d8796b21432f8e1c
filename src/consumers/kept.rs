//! What outlives the policy: how often keys were used, and what was told of them.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::fleet::Version;
use super::{state_dir, usage};
use crate::auth::keys::{Document, Moment, Notices, Records, Usage};
use crate::outbound::Outbound;
use crate::state::Clock;
use crate::telemetry::metrics::Metrics;

/// What all policies of a process have in common about consumers.
pub struct Kept {
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) outbound: Arc<Outbound>,
    /// Whether this is but a look at a policy, which touches no file.
    dry: bool,
    uses: OnceLock<Arc<Usage>>,
    /// Where uses are written down, unless a fleet has them in common: by the first policy that says so.
    directory: OnceLock<PathBuf>,
    /// Held while the uses are written: two at once would count twice.
    writing: Mutex<()>,
    /// Held while uses are exchanged with a fleet, likewise.
    pub(super) exchanging: tokio::sync::Mutex<()>,
    /// What a fleet's store held last.
    remembered: Mutex<Option<Remembered>>,
    pub(super) desk: Desk,
}

/// A good document of a store that a fleet has in common.
#[derive(Clone)]
pub(super) struct Remembered {
    /// Which store.
    pub place: String,
    pub version: Version,
    pub document: Arc<Document>,
}

/// Notices, and who sends them.
pub(super) struct Desk {
    /// Held by the one who sends: of two policies, the new one waits for the old one to end.
    pub alone: tokio::sync::Mutex<()>,
    /// `None` until the file is read.
    pub notices: Mutex<Option<Notices>>,
    /// Whether this process sends no more, for its successor does.
    pub closed: watch::Sender<bool>,
}

impl Kept {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(clock: Clock, metrics: Arc<Metrics>, outbound: Arc<Outbound>, dry: bool) -> Arc<Self> {
        let desk = Desk {
            alone: tokio::sync::Mutex::default(),
            notices: Mutex::default(),
            closed: watch::channel(false).0,
        };
        Arc::new(Self {
            clock,
            metrics,
            outbound,
            dry,
            uses: OnceLock::new(),
            directory: OnceLock::new(),
            writing: Mutex::default(),
            exchanging: tokio::sync::Mutex::default(),
            remembered: Mutex::default(),
            desk,
        })
    }

    /// The uses of keys, from the state directory of the first policy that asks, if it names one.
    pub(super) fn usage(&self, directory: Option<&Path>) -> Arc<Usage> {
        if self.dry {
            return Arc::default();
        }
        let load = |directory: &PathBuf| {
            Records::load_from_file(&directory.join(usage::FILE)).unwrap_or_else(|error| {
                log::error!(error:% = told(&error); "the uses of keys so far are not known");
                Records::default()
            })
        };
        let directory = directory.map(|directory| self.directory.get_or_init(|| directory.to_owned()));
        let begin = || {
            Arc::new(directory.map(load).map_or_else(Usage::default, |records| Usage::from_records(&records)))
        };
        Arc::clone(self.uses.get_or_init(begin))
    }

    /// Writes down what was counted. Blocks for the disk.
    pub(super) fn flush(&self) {
        let Some((usage, directory)) = self.uses.get().zip(self.directory.get()) else { return };
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if !usage.is_unflushed() {
            return;
        }
        let written = state_dir::make(directory)
            .map_err(|error| format!("cannot make {}: {error}", directory.display()))
            .and_then(|()| {
                usage.flush_to_file(&directory.join(usage::FILE), self.now()).map_err(|error| told(&error))
            });
        self.metrics.key_uses_kept(written.is_ok());
        if let Err(error) = written {
            log::error!(error:%; "the uses of keys are not written down; they will be tried again");
        }
    }

    /// Leaves notices to a successor, or to the next start.
    pub fn close_desk(&self) {
        self.desk.closed.send_replace(true);
    }

    /// The end of a process whose policy has no consumers any more. Blocks for the disk.
    pub fn finish(&self) {
        self.flush();
    }

    /// What the store at this place held last, if that is known.
    pub(super) fn remembered(&self, place: &str) -> Option<Remembered> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.as_ref().filter(|remembered| remembered.place == place).cloned()
    }

    pub(super) fn remember(&self, remembered: Remembered) {
        *self.remembered.lock().unwrap_or_else(PoisonError::into_inner) = Some(remembered);
    }

    pub(super) fn now(&self) -> Moment {
        Moment::from(self.clock.wall())
    }

    pub(super) async fn pause(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.clock.sleep_until(self.clock.nanos().saturating_add(nanos)).await;
    }
}

/// An error and its causes on one line.
pub(super) fn told(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (**error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
