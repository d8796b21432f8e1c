//! The store of a fleet as one process knows it: the whole of it, in memory, so that no request waits for Redis.
//!
//! What always holds: what is in force was read whole and compiled; a wrong document, one that is gone, and a Redis that
//! is gone change nothing; before there ever was a good one, it is known that nothing is known. What was learnt outlives
//! reloads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use super::fleet::{Fleet, Held, Version};
use super::kept::Remembered;
use super::{Consumers, Store, Wrong, store};
use crate::auth::keys::{Directory, Document, Moment, Usage};
use crate::config::Document as File;
use crate::state::{Chore, Work};
use crate::values::Problem;

/// How often the version is asked for, whatever is announced.
const PERIOD: Duration = Duration::from_secs(2);

/// The store, and what is known of it.
pub(super) struct Shared {
    pub fleet: Fleet,
    known: Mutex<Known>,
}

/// What is known.
#[derive(Default)]
struct Known {
    /// What is in force.
    version: Option<Version>,
    /// What was found wrong, and is not read again.
    refused: Option<Version>,
    /// When the store last said that what is in force is what it holds.
    confirmed: Option<Moment>,
    /// Why it does not, as it was last told.
    trouble: Option<String>,
}

/// What operators are told.
#[derive(Serialize)]
pub(super) struct Standing {
    redis: String,
    version: Option<String>,
    /// When the store last said that these keys are what it holds.
    confirmed: Option<Moment>,
    trouble: Option<String>,
}

impl Shared {
    /// Begins with what the policy before knew, if that was the same store; and all keys as far as they are known.
    ///
    /// # Errors
    /// What is wrong with the policy's own consumers, or between these and the store.
    pub fn begin(
        fleet: Fleet,
        remembered: Option<Remembered>,
        inline: &Document,
        usage: &Usage,
    ) -> Result<(Self, Directory), Vec<Problem>> {
        let label = fleet.label();
        let of_store = remembered.as_ref().map(|remembered| (&*label, &*remembered.document));
        let directory = store::directory(inline, of_store, usage).map_err(|faults| {
            let clash =
                |problem: Problem| Problem::new("api_keys.store", format_args!("in {label}: {problem}"));
            faults.policy.into_iter().chain(faults.store.into_iter().map(clash)).collect::<Vec<_>>()
        })?;
        let directory = if remembered.is_some() { directory } else { directory.without_store() };
        let version = remembered.map(|remembered| remembered.version);
        let known = Known { version, ..Known::default() };
        Ok((Self { fleet, known: Mutex::new(known) }, directory))
    }

    pub fn standing(&self) -> Standing {
        let known = self.known();
        Standing {
            redis: self.fleet.label(),
            version: known.version.as_ref().map(|version| version.as_str().to_owned()),
            confirmed: known.confirmed,
            trouble: known.trouble.clone(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that what is in force may be old; told once.
    fn trouble(&self, why: String) {
        let mut known = self.known();
        if known.trouble.as_ref() != Some(&why) {
            log::error!(store:% = self.fleet.label(), why:%; "key store not confirmed, the keys before stay in force");
            known.trouble = Some(why);
        }
    }

    /// Whether this version is still to be read.
    fn is_news(&self, version: &Version, now: Moment) -> bool {
        let mut known = self.known();
        if known.version.as_ref() == Some(version) {
            if known.trouble.take().is_some() {
                log::info!(store:% = self.fleet.label(); "key store confirmed again");
            }
            known.confirmed = Some(now);
        }
        known.version.as_ref() != Some(version) && known.refused.as_ref() != Some(version)
    }
}

impl Consumers {
    /// Waits for the first look at a store that is not known yet, but not longer than `time`.
    pub async fn learn_within(self: &Arc<Self>, time: Duration) {
        if let Some(Store::Shared(shared)) = &self.store
            && shared.known().version.is_none()
        {
            drop(timeout(time, self.learn(shared)).await);
        }
    }

    /// Takes over the store if it holds something new.
    async fn learn(self: &Arc<Self>, shared: &Shared) {
        let version = match shared.fleet.version().await {
            Ok(Some(version)) => version,
            Ok(None) => return shared.trouble("there is no store; `edgeward keys new` makes one".to_owned()),
            Err(failure) => return shared.trouble(failure.to_string()),
        };
        if !shared.is_news(&version, self.now()) {
            return;
        }
        match shared.fleet.read().await {
            Ok(Some(held)) => {
                let consumers = Arc::clone(self);
                if let Err(error) = tokio::task::spawn_blocking(move || consumers.take(&held)).await {
                    log::error!(error:%; "the look at the key store is lost");
                }
            }
            Ok(None) => shared.trouble("the store is gone".to_owned()),
            Err(unread) => shared.trouble(unread.to_string()),
        }
    }

    /// Puts a document in force, if it is good.
    fn take(&self, held: &Held) {
        let Some(Store::Shared(shared)) = &self.store else { return };
        let label = shared.fleet.label();
        let taken = compiled(&label, &held.text, &self.inline, &self.usage);
        self.kept.metrics.key_store_read(taken.is_ok());
        match taken {
            Ok((document, directory)) => {
                log::info!(store:% = label, version:% = held.version.as_str(), keys = directory.keys().len(); "key store taken over");
                self.ring.replace(directory);
                let (version, confirmed) = (Some(held.version.clone()), Some(self.now()));
                *shared.known() = Known { version, confirmed, ..Known::default() };
                self.kept.remember(Remembered {
                    place: shared.fleet.place(),
                    version: held.version.clone(),
                    document: Arc::new(document),
                });
            }
            Err(wrong) => {
                wrong.log();
                shared.known().refused = Some(held.version.clone());
                shared.trouble(format!("version {} is wrong; the log says what", held.version.as_str()));
            }
        }
    }
}

/// A document and all keys, or what is wrong.
fn compiled(
    label: &str,
    text: &str,
    inline: &Document,
    usage: &Usage,
) -> Result<(Document, Directory), Wrong> {
    let of_store = |store| Wrong { policy: Vec::new(), store: Some(store) };
    let file = File::parse(label, text.as_bytes()).map_err(of_store)?;
    let document = store::document(&file).map_err(of_store)?;
    match store::directory(inline, Some((label, &document)), usage) {
        Ok(directory) => Ok((document, directory)),
        Err(faults) => {
            let store = (!faults.store.is_empty()).then(|| store::wrong(&file, &faults.store));
            Err(Wrong { policy: faults.policy, store })
        }
    }
}

/// Follows the store: at once when a change is announced, and every two seconds in any case.
pub(super) struct Follow(pub Arc<Consumers>);

impl Chore for Follow {
    fn run(self: Arc<Self>) -> Work {
        Box::pin(async move {
            let Some(Store::Shared(shared)) = &self.0.store else { return };
            let mut changes = shared.fleet.changes();
            loop {
                self.0.learn(shared).await;
                // Either is a reason to look.
                drop(timeout(PERIOD, changes.next()).await);
            }
        })
    }
}
