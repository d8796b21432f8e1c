//! What outlives the policy: how often keys were used, and what was told of them.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::{state_dir, usage};
use crate::auth::keys::{Moment, Notices, Records, Usage};
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
    uses: OnceLock<Uses>,
    /// Held while the uses are written: two at once would count twice.
    writing: Mutex<()>,
    pub(super) desk: Desk,
}

struct Uses {
    usage: Arc<Usage>,
    directory: PathBuf,
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
            writing: Mutex::default(),
            desk,
        })
    }

    /// The uses of keys, from the state directory of the first policy that asks.
    pub(super) fn usage(&self, directory: &Path) -> Arc<Usage> {
        if self.dry {
            return Arc::default();
        }
        let uses = self.uses.get_or_init(|| {
            let records = Records::load_from_file(&directory.join(usage::FILE)).unwrap_or_else(|error| {
                log::error!(error:% = told(&error); "the uses of keys so far are not known");
                Records::default()
            });
            Uses { usage: Arc::new(Usage::from_records(&records)), directory: directory.to_owned() }
        });
        Arc::clone(&uses.usage)
    }

    /// Writes down what was counted. Blocks for the disk.
    pub(super) fn flush(&self) {
        let Some(Uses { usage, directory }) = self.uses.get() else { return };
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

    /// The end of the process, when nothing is served any more. Blocks for the disk.
    pub fn finish(&self) {
        self.flush();
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
