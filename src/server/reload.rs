//! A new policy in place of the one in force: all of it, or nothing.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::Shared;
use super::sockets::BindError;
use crate::config::{Diagnostics, Document};
use crate::net::ListenAddress;
use crate::policy::{Materials, Snapshot, compile};

/// How long the start and a reload may wait for what a new policy has to know before it serves: keys in a
/// Redis, addresses of names.
pub(super) const LEARN_WITHIN: Duration = Duration::from_secs(2);

/// Why the policy in force stays.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The new policy is wrong.
    #[error(transparent)]
    Wrong(#[from] Diagnostics),
    /// Some of its addresses cannot be taken.
    #[error("cannot listen: {}", join(.0))]
    Bind(Vec<BindError>),
    /// This process ends.
    #[error("this process drains; its successor, if there is one, has a policy of its own")]
    Draining,
    /// The task that compiled it died.
    #[error("the policy could not be compiled")]
    Lost,
}

fn join(errors: &[BindError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Reads and compiles a policy. A few milliseconds of work, or more with large rule sets: not for a thread that serves.
pub fn read(
    path: &std::path::Path,
    materials: &Materials,
    before: Option<&Snapshot>,
) -> Result<Snapshot, Diagnostics> {
    let document = Document::load(path)?;
    compile(&document, materials, before)
}

/// Every address that a policy listens on, for clients or for operators.
pub fn addresses(snapshot: &Snapshot) -> Vec<ListenAddress> {
    let doors = snapshot.doors.iter().map(|door| &door.address);
    doors.chain(snapshot.operators()).cloned().collect()
}

/// What identifies a policy in metrics: the start of its hash.
pub fn fingerprint(snapshot: &Snapshot) -> String {
    let hash = Sha256::digest(snapshot.redacted.as_bytes());
    let start = hash.iter().take(6).fold(0, |number, byte| number << 8 | u64::from(*byte));
    format!("{start:012x}")
}

impl Shared {
    /// Puts the policy file's present content in force.
    ///
    /// # Errors
    /// With any error nothing has changed: the policy before serves on, and no socket was opened or closed.
    pub async fn reload(self: &Arc<Self>) -> Result<(), ReloadError> {
        self.reload_and_tell(|| {}).await
    }

    /// The same; `begun` is told when the file is about to be read. Before, it may wait for a hand-over to succeed or
    /// fail.
    pub(super) async fn reload_and_tell(self: &Arc<Self>, begun: impl FnOnce()) -> Result<(), ReloadError> {
        let _alone = self.reloading.lock().await;
        if *self.draining.borrow() {
            return Err(ReloadError::Draining);
        }
        begun();
        self.notify.reloading();
        let result = self.try_reload().await;
        let status = match &result {
            Ok(()) => {
                log::info!(policy:% = self.policy.display(); "policy reloaded");
                "serving".to_owned()
            }
            Err(error) => {
                self.materials.metrics.reload_failed();
                log::error!(error:% = error; "policy not reloaded, the one before serves on");
                match error {
                    ReloadError::Wrong(wrong) => {
                        format!("serving; last reload failed with {} errors", wrong.len())
                    }
                    error => format!("serving; last reload failed: {error}"),
                }
            }
        };
        self.notify.ready(&status);
        result
    }

    async fn try_reload(self: &Arc<Self>) -> Result<(), ReloadError> {
        let shared = self.clone();
        let compiled = tokio::task::spawn_blocking(move || {
            read(&shared.policy, &shared.materials, Some(&shared.snapshot.load()))
        });
        let snapshot = compiled.await.map_err(|_| ReloadError::Lost)??;
        snapshot.learn_within(&self.materials.lookup, LEARN_WITHIN).await;
        let wanted = addresses(&snapshot);
        self.sockets().reconcile(&wanted).map_err(ReloadError::Bind)?;
        self.put_in_force(snapshot);
        if let Some(workers) = self.workers.get() {
            workers.follow().await;
        }
        self.follow_operators();
        self.sockets().sweep();
        Ok(())
    }

    /// Swaps the policy.
    fn put_in_force(&self, snapshot: Snapshot) {
        let snapshot = Arc::new(snapshot);
        self.snapshot.store(snapshot.clone());
        self.begin(&snapshot);
    }

    /// Begins what a policy does beside serving. Health checks begin before those of the policy before end.
    pub(super) fn begin(&self, snapshot: &Arc<Snapshot>) {
        let tasks = snapshot
            .services
            .values()
            .map(|service| service.upstream().start(&self.materials.lookup))
            .collect();
        *self.held(&self.tasks) = tasks;
        let chores = snapshot.chores.iter().map(|chore| chore.clone().run()).collect();
        *self.held(&self.chores) = chores;
        self.watch_files(snapshot);
        self.show_certificates();
        self.materials.metrics.reload_succeeded(&fingerprint(snapshot), SystemTime::now());
    }
}
