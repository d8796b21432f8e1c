//! Consumers: who calls, by which keys. The policy names some, a store others; both are compiled into one directory,
//! and what changes in the store is taken over while the policy stays. Beside requests, uses are written down and
//! notices are sent.
//!
//! What always holds: a wrong store changes nothing; what was counted and told outlives reloads ([`Kept`]), and
//! restarts by two files in the state directory; no file is touched by a mere look at a policy.

mod follow;
mod kept;
mod notices;
mod report;
pub mod state_dir;
pub mod store;
mod usage;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use kept::Kept;
pub use usage::FILE as USAGE_FILE;

use crate::auth::keys::headers::DocumentationLink;
use crate::auth::keys::{Directory, Document, Fault, Keyring, Moment, Source, Usage};
use crate::config::spec::ApiKeys;
use crate::config::{Diagnostics, Document as File};
use crate::state::{Chore, Watched};
use crate::values::Problem;
use notices::Notices;

/// What the policy says of consumers.
pub struct Parts<'a> {
    /// Those in the policy itself.
    pub inline: Document,
    /// `api_keys`.
    pub keys: Option<&'a ApiKeys>,
    /// `server.state_directory`.
    pub state_directory: Option<&'a Path>,
    /// Relative paths in the policy start from here.
    pub base: &'a Path,
}

/// What is wrong.
#[derive(Debug, Default)]
pub struct Wrong {
    /// With the policy, as seen from its root.
    pub policy: Vec<Problem>,
    /// With the store.
    pub store: Option<Diagnostics>,
}

/// The consumers of a policy that is in force.
pub struct Consumers {
    /// Their keys, for filters.
    pub ring: Arc<Keyring>,
    inline: Document,
    store: Option<Store>,
    usage: Arc<Usage>,
    kept: Arc<Kept>,
    notices: Option<Arc<Notices>>,
}

/// The store, and how it looked when it was read last.
struct Store {
    path: PathBuf,
    /// `None` if it is read with the policy alone.
    watched: Option<Mutex<Watched>>,
}

impl Consumers {
    /// Reads the store and compiles all consumers.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn compile(parts: Parts<'_>, kept: &Arc<Kept>) -> Result<Arc<Self>, Wrong> {
        let Parts { inline, keys, state_directory, base } = parts;
        let mut wrong = Wrong::default();
        let path = keys.and_then(|keys| keys.store.as_ref()).map(|path| base.join(path));
        let watch = keys.is_some_and(|keys| keys.watch);
        // Looked at before it is read: what changes in between is noticed later.
        let look = |path: PathBuf| {
            let watched = watch.then(|| Mutex::new(Watched::new([path.clone()])));
            Store { path, watched }
        };
        let store = path.map(look);
        let state = state_dir::resolve(state_directory.map(|path| base.join(path)).as_deref());
        let usage = kept.usage(&state);
        let directory =
            directory(&inline, store.as_ref().map(|store| store.path.as_path()), &usage, &mut wrong);
        let docs = keys.and_then(|keys| keys.docs.as_deref()).map(DocumentationLink::new).transpose();
        let docs = docs.map_err(|error| wrong.policy.push(Problem::new("api_keys.docs", error)));
        let notices = keys.and_then(|keys| keys.notices.as_ref());
        let notices = notices.map(|spec| Notices::compile(spec, &state, base, kept)).transpose();
        let notices = notices.map_err(|problems| {
            wrong.policy.extend(problems.into_iter().map(|problem| problem.under("api_keys.notices")));
        });
        match (directory, docs, notices) {
            (Some(directory), Ok(docs), Ok(notices)) => {
                let ring = Arc::new(Keyring::new(directory, docs, store.is_none()));
                let notices = notices.map(Arc::new);
                Ok(Arc::new(Self { ring, inline, store, usage, kept: Arc::clone(kept), notices }))
            }
            _ => Err(wrong),
        }
    }

    /// What goes on while the policy is in force.
    pub fn chores(self: &Arc<Self>) -> Vec<Arc<dyn Chore>> {
        let mut chores: Vec<Arc<dyn Chore>> = vec![Arc::new(usage::Keep(Arc::clone(&self.kept)))];
        if self.store.as_ref().is_some_and(|store| store.watched.is_some()) {
            chores.push(Arc::new(follow::Follow(Arc::clone(self))));
        }
        if let Some(notices) = &self.notices {
            chores
                .push(Arc::new(notices::Tell { notices: Arc::clone(notices), consumers: Arc::clone(self) }));
        }
        chores
    }

    /// The store, if it is followed: a change of it is no reason to load the policy again.
    pub fn followed(&self) -> Option<&Path> {
        self.store.as_ref().filter(|store| store.watched.is_some()).map(|store| store.path.as_path())
    }

    fn now(&self) -> Moment {
        self.kept.now()
    }

    /// Takes over the store if it has changed. Blocks for the disk.
    fn follow(&self) {
        let Some(Store { path, watched: Some(watched) }) = &self.store else { return };
        if watched.lock().unwrap_or_else(PoisonError::into_inner).poll().is_empty() {
            return;
        }
        let mut wrong = Wrong::default();
        let directory = directory(&self.inline, Some(path), &self.usage, &mut wrong);
        self.kept.metrics.key_store_read(directory.is_some());
        if let Some(directory) = directory {
            log::info!(file:% = path.display(), keys = directory.keys().len(); "key store taken over");
            self.ring.replace(directory);
        } else {
            let told: Vec<_> = wrong.policy.iter().map(ToString::to_string).collect();
            let store = wrong.store.map(|store| store.to_string()).unwrap_or_default();
            log::error!(error:% = store, policy:% = told.join("; "); "key store not taken over, the keys before stay in force");
        }
    }
}

/// All keys, or what is wrong with them.
fn directory(inline: &Document, store: Option<&Path>, usage: &Usage, wrong: &mut Wrong) -> Option<Directory> {
    let read = |path| File::load(path).and_then(|file| Ok((store::document(&file)?, file)));
    let of_policy = Source { label: "the policy", document: inline };
    let (path, document, file) = match store.map(|path| (path, read(path))) {
        Some((path, Ok((document, file)))) => (path, document, file),
        other => {
            let compiled = Directory::compile(&[of_policy], usage);
            let tell =
                |faults: Vec<Fault>| faults.into_iter().for_each(|fault| wrong.policy.push(fault.problem));
            let directory = compiled.map_err(tell).ok();
            wrong.store = other.and_then(|(_, read)| read.err());
            return directory.filter(|_| wrong.store.is_none());
        }
    };
    let label = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let compiled = Directory::compile(&[of_policy, Source { label: &label, document: &document }], usage);
    let tell = |faults: Vec<Fault>| {
        let (policy, of_store): (Vec<_>, Vec<_>) = faults.into_iter().partition(|fault| fault.source == 0);
        wrong.policy.extend(policy.into_iter().map(|fault| fault.problem));
        let problems: Vec<_> = of_store.into_iter().map(|fault| fault.problem).collect();
        wrong.store = (!problems.is_empty()).then(|| store::wrong(&file, &problems));
    };
    compiled.map_err(tell).ok()
}

#[cfg(test)]
mod tests;
