//! Consumers: who calls, by which keys. The policy names some, a store others; both are compiled into one directory,
//! and what changes in the store is taken over while the policy stays. Beside requests, uses are written down and
//! notices are sent.
//!
//! What always holds: a wrong store changes nothing; what was counted and told outlives reloads ([`Kept`]), and
//! restarts by two files in the state directory, or by the Redis that has the store; neither is touched by a mere look
//! at a policy.

pub mod fleet;
mod kept;
mod local;
mod notices;
mod report;
mod shared;
pub mod state_dir;
pub mod store;
mod usage;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use kept::Kept;
pub use usage::FILE as USAGE_FILE;

use crate::auth::keys::headers::DocumentationLink;
use crate::auth::keys::{Directory, Document, Keyring, Moment, Usage};
use crate::config::Diagnostics;
use crate::config::spec::{ApiKeys, KeyStore};
use crate::outbound::redis::Redis;
use crate::state::Chore;
use crate::values::Problem;
use crate::values::nearest::suggestion;
use fleet::Fleet;
use local::Local;
use notices::Notices;
use shared::Shared;

/// How long the last uses may take to be written down at the end of the process.
const FINISH_WITHIN: Duration = Duration::from_secs(3);

/// What the policy says of consumers.
pub struct Parts<'a> {
    /// Those in the policy itself.
    pub inline: Document,
    /// `api_keys`.
    pub keys: Option<&'a ApiKeys>,
    /// `redis`, by name.
    pub redis: &'a BTreeMap<String, Arc<Redis>>,
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

impl Wrong {
    fn log(&self) {
        let told: Vec<_> = self.policy.iter().map(ToString::to_string).collect();
        let store = self.store.as_ref().map(ToString::to_string).unwrap_or_default();
        log::error!(error:% = store, policy:% = told.join("; "); "key store not taken over, the keys before stay in force");
    }
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

/// Where consumers are besides the policy.
enum Store {
    Local(Local),
    Shared(Box<Shared>),
}

impl Consumers {
    /// Compiles all consumers: those in a file are read, those in a Redis are what is known of them.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn compile(parts: Parts<'_>, kept: &Arc<Kept>) -> Result<Arc<Self>, Wrong> {
        let mut wrong = Wrong::default();
        let Parts { keys, base, state_directory, .. } = parts;
        let state = state_dir::resolve(state_directory.map(|path| base.join(path)).as_deref());
        let in_redis = keys.is_some_and(|keys| matches!(keys.store, Some(KeyStore::Redis { .. })));
        let usage = kept.usage((!in_redis).then_some(&*state));
        let stored = parts.store(&usage, kept).map_err(|found| wrong = found);
        let docs = keys.and_then(|keys| keys.docs.as_deref()).map(DocumentationLink::new).transpose();
        let docs = docs.map_err(|error| wrong.policy.push(Problem::new("api_keys.docs", error)));
        let notices = keys.and_then(|keys| keys.notices.as_ref());
        let notices = notices.map(|spec| Notices::compile(spec, &state, base, kept)).transpose();
        let notices = notices.map_err(|problems| {
            wrong.policy.extend(problems.into_iter().map(|problem| problem.under("api_keys.notices")));
        });
        match (stored, docs, notices) {
            (Ok((store, directory)), Ok(docs), Ok(notices)) => {
                let ring = Arc::new(Keyring::new(directory, docs, store.is_none()));
                let (notices, kept) = (notices.map(Arc::new), Arc::clone(kept));
                Ok(Arc::new(Self { ring, inline: parts.inline, store, usage, kept, notices }))
            }
            _ => Err(wrong),
        }
    }

    /// What goes on while the policy is in force.
    pub fn chores(self: &Arc<Self>) -> Vec<Arc<dyn Chore>> {
        let mut chores: Vec<Arc<dyn Chore>> = vec![Arc::new(usage::Keep(Arc::clone(self)))];
        match &self.store {
            Some(Store::Local(local)) if local.watched.is_some() => {
                chores.push(Arc::new(local::Follow(Arc::clone(self))));
            }
            Some(Store::Shared(_)) => chores.push(Arc::new(shared::Follow(Arc::clone(self)))),
            _ => {}
        }
        if let Some(notices) = &self.notices {
            chores
                .push(Arc::new(notices::Tell { notices: Arc::clone(notices), consumers: Arc::clone(self) }));
        }
        chores
    }

    /// The file of the store, if it is followed: a change of it is no reason to load the policy again.
    pub fn followed(&self) -> Option<&Path> {
        match &self.store {
            Some(Store::Local(local)) if local.watched.is_some() => Some(&local.path),
            _ => None,
        }
    }

    /// The end of the process, when nothing is served any more: what was counted is written down.
    pub async fn finish(self: &Arc<Self>) {
        if tokio::time::timeout(FINISH_WITHIN, self.keep_uses()).await.is_err() {
            log::error!("the last uses of keys are not written down in time");
        }
    }

    fn fleet(&self) -> Option<&Fleet> {
        match &self.store {
            Some(Store::Shared(shared)) => Some(&shared.fleet),
            _ => None,
        }
    }

    fn now(&self) -> Moment {
        self.kept.now()
    }
}

impl Parts<'_> {
    /// The store, and all keys.
    fn store(&self, usage: &Usage, kept: &Kept) -> Result<(Option<Store>, Directory), Wrong> {
        let of_policy = |policy| Wrong { policy, store: None };
        let Some((keys, store)) = self.keys.and_then(|keys| Some((keys, keys.store.as_ref()?))) else {
            let directory = store::directory(&self.inline, None, usage);
            return Ok((None, directory.map_err(|faults| of_policy(faults.policy))?));
        };
        match store {
            KeyStore::File(path) => {
                let local = Local::look(self.base.join(path), keys.watch);
                let directory = local.directory(&self.inline, usage)?;
                Ok((Some(Store::Local(local)), directory))
            }
            KeyStore::Redis { redis: name } => {
                let redis = self.named(name, keys).map_err(|problem| of_policy(vec![problem]))?;
                let fleet = Fleet::new(Arc::clone(redis));
                let remembered = kept.remembered(&fleet.place());
                let begun = Shared::begin(fleet, remembered, &self.inline, usage);
                let (shared, directory) = begun.map_err(of_policy)?;
                Ok((Some(Store::Shared(Box::new(shared))), directory))
            }
        }
    }

    fn named(&self, name: &str, keys: &ApiKeys) -> Result<&Arc<Redis>, Problem> {
        if !keys.watch {
            return Err(Problem::new("api_keys.watch", "a store in redis is always followed"));
        }
        self.redis.get(name).ok_or_else(|| {
            let suggestion = suggestion(name, self.redis.keys().map(String::as_str));
            Problem::new("api_keys.store.redis", format_args!("`redis` has no {name:?}{suggestion}"))
        })
    }
}

#[cfg(test)]
mod tests;
