//! The store of one process: a file, taken over as soon as it changes and stays as it is.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Consumers, Store, Wrong, store};
use crate::auth::keys::{Directory, Document, Usage};
use crate::config::{Diagnostics, Document as File};
use crate::state::{Chore, Watched, Work};

/// How often the file is looked at. A change is taken over at the second look that finds it.
const PERIOD: Duration = Duration::from_secs(1);

/// The file, and how it looked when it was read last.
pub(super) struct Local {
    pub path: PathBuf,
    /// `None` if it is read with the policy alone.
    pub watched: Option<Mutex<Watched>>,
}

impl Local {
    /// Looks at the file before it is read: what changes in between is noticed later.
    pub fn look(path: PathBuf, watch: bool) -> Self {
        let watched = watch.then(|| Mutex::new(Watched::new([path.clone()])));
        Self { path, watched }
    }

    /// All keys, or what is wrong with them. Blocks for the disk.
    pub fn directory(&self, inline: &Document, usage: &Usage) -> Result<Directory, Wrong> {
        let read = match self.path.try_exists() {
            Ok(false) => {
                let hint = "cannot read the file, for there is none: `edgeward keys new` makes it";
                Err(Diagnostics::of_file(&self.path.display().to_string(), hint))
            }
            _ => File::load(&self.path).and_then(|file| Ok((store::document(&file)?, file))),
        };
        let (document, file) = match read {
            Ok(read) => read,
            Err(wrong) => {
                let policy = store::directory(inline, None, usage).err().map(|faults| faults.policy);
                return Err(Wrong { policy: policy.unwrap_or_default(), store: Some(wrong) });
            }
        };
        let label = self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy();
        store::directory(inline, Some((&label, &document)), usage).map_err(|faults| {
            let store = (!faults.store.is_empty()).then(|| store::wrong(&file, &faults.store));
            Wrong { policy: faults.policy, store }
        })
    }

    fn has_changed(&self) -> bool {
        let watched =
            self.watched.as_ref().map(|watched| watched.lock().unwrap_or_else(PoisonError::into_inner));
        watched.is_some_and(|mut watched| !watched.poll().is_empty())
    }
}

impl Consumers {
    /// Takes over the file if it has changed. Blocks for the disk.
    fn follow(&self) {
        let Some(Store::Local(local)) = &self.store else { return };
        if !local.has_changed() {
            return;
        }
        let directory = local.directory(&self.inline, &self.usage);
        self.kept.metrics.key_store_read(directory.is_ok());
        match directory {
            Ok(directory) => {
                log::info!(file:% = local.path.display(), keys = directory.keys().len(); "key store taken over");
                self.ring.replace(directory);
            }
            Err(wrong) => wrong.log(),
        }
    }
}

pub(super) struct Follow(pub Arc<Consumers>);

impl Chore for Follow {
    fn run(self: Arc<Self>) -> Work {
        Box::pin(async move {
            loop {
                self.0.kept.pause(PERIOD).await;
                let consumers = Arc::clone(&self.0);
                if let Err(error) = tokio::task::spawn_blocking(move || consumers.follow()).await {
                    log::error!(error:%; "the look at the key store is lost");
                }
            }
        })
    }
}
