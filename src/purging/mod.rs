//! Purges of a fleet: what is purged in one process is purged in all that have the same [log](stream) in a Redis.
//!
//! What always holds: a purge is carried out where it is given, whatever becomes of Redis; it is told until that succeeds,
//! as long as the process lives; and who may have missed one purges everything, and hard: a purge that was missed may have
//! been an order to show something no more, which what is only stale may break.

mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::cache::Shared;
use crate::cache::fleet::Heard;
use crate::cache::purge::{How, Scope};
use crate::outbound::redis::{Failure, Redis};
use crate::state::{Chore, Work};
use crate::values::nearest::suggestion;
use stream::{Entry, Log};

/// How often the log is looked at, whatever is announced.
const PERIOD: Duration = Duration::from_secs(2);
/// Until what could not be told is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// See the module.
pub struct Purging {
    shared: Arc<Shared>,
    log: Log,
}

impl Purging {
    /// Shares the purges of this cache with all that use this Redis.
    #[must_use]
    pub fn new(shared: Arc<Shared>, redis: &Arc<Redis>) -> Arc<Self> {
        Arc::new(Self { shared, log: Log::new(Arc::clone(redis)) })
    }

    /// Waits for the place in the log where it stands before anything is stored, but not longer than `time`. Who learns it
    /// later has to purge what was stored meanwhile.
    pub async fn learn_within(&self, time: Duration) {
        if self.shared.fleet.heard(&self.log.place()) == Heard::Nothing
            && let Ok(Ok(head)) = timeout(time, self.log.head()).await
        {
            self.shared.fleet.hear(Heard::Nothing, head);
        }
    }

    /// Tells the others what is given here.
    async fn tell(&self) {
        let fleet = &self.shared.fleet;
        // The policy before may still be at it.
        let _alone = fleet.telling.lock().await;
        let mut is_late = false;
        loop {
            let Some(batch) = fleet.next() else {
                fleet.given().await;
                continue;
            };
            let orders: Vec<_> = batch.orders.iter().map(|order| fleet.write(order)).collect();
            match self.log.append(&orders).await {
                Ok(position) => {
                    is_late = false;
                    fleet.told(&batch, position);
                    self.shared.metrics().purges_sent(orders.len());
                }
                Err(failure) => {
                    if !std::mem::replace(&mut is_late, true) {
                        log::warn!(redis = self.log.name(), error:% = failure; "purges wait, the fleet is told later");
                    }
                    fleet.not_told();
                    // Whoever gives another one wants to know how it stands.
                    drop(timeout(RETRY, fleet.given()).await);
                }
            }
        }
    }

    /// Carries out what others were given: at once when it is announced, and every two seconds in any case.
    async fn hear(&self) {
        let fleet = &self.shared.fleet;
        let _alone = fleet.hearing.lock().await;
        let mut changes = self.log.changes();
        loop {
            if let Err(failure) = self.catch_up().await {
                log::debug!(redis = self.log.name(), error:% = failure; "the fleet's purges are not heard");
            }
            // Each is a reason to look.
            tokio::select! {
                () = changes.next() => {}
                () = fleet.rewound() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    async fn catch_up(&self) -> Result<(), Failure> {
        let fleet = &self.shared.fleet;
        loop {
            let heard = fleet.heard(&self.log.place());
            if let Some(from) = fleet.resumed() {
                fleet.go_back(from, self.log.after(from).await?.is_some());
                continue;
            }
            let entries = match heard {
                Heard::Until(position) => self.log.after(position).await?,
                Heard::Nothing | Heard::TooLittle => None,
            };
            let Some(entries) = entries else { return self.begin_anew(heard).await };
            let Some(last) = entries.last().map(|entry| entry.position) else {
                self.catch_up_ends(heard);
                return Ok(());
            };
            for entry in &entries {
                self.carry_out(entry);
            }
            fleet.hear(heard, last);
        }
    }

    /// Nobody knows what was missed.
    async fn begin_anew(&self, heard: Heard) -> Result<(), Failure> {
        // What comes after this and before the purge is purged twice.
        let head = self.log.head().await?;
        self.purge(&[Scope::All], How::Hard);
        self.shared.metrics().purges_missed();
        self.shared.fleet.hear(heard, head);
        self.catch_up_ends(Heard::Until(head));
        log::warn!(redis = self.log.name(), since:? = heard; "purges of the fleet may have been missed, everything stored is purged");
        Ok(())
    }

    fn catch_up_ends(&self, heard: Heard) {
        if self.shared.fleet.is_up_to_date(heard) {
            log::info!(redis = self.log.name(); "what the fleet purged meanwhile is purged on the cache's disk");
        }
    }

    fn carry_out(&self, entry: &Entry) {
        // The first of a log says nothing.
        if entry.text.is_empty() {
            return;
        }
        match self.shared.fleet.read(&entry.text) {
            Ok(received) if received.is_own => {}
            Ok(received) => {
                self.purge(&received.order.scopes, received.order.how);
                self.shared.metrics().purges_received();
                log::debug!(position:% = entry.position, scopes = received.order.scopes.len(); "purged for the fleet");
            }
            Err(wrong) => {
                log::error!(position:% = entry.position, error:% = wrong; "a purge of the fleet is not understood, everything stored is purged");
                self.purge(&[Scope::All], How::Hard);
                self.shared.metrics().purges_missed();
            }
        }
    }

    fn purge(&self, scopes: &[Scope], how: How) {
        self.shared.store.purge(scopes, how).write_soon();
    }
}

impl Chore for Purging {
    fn run(self: Arc<Self>) -> Work {
        // From now on, not from when its turn comes.
        let member = self.shared.fleet.join();
        Box::pin(async move {
            let _member = member;
            tokio::join!(self.tell(), self.hear());
        })
    }
}

/// The Redis of this name, among those of the policy.
///
/// # Errors
/// A message: there is none.
pub fn named<'r>(name: &str, redis: &'r BTreeMap<String, Arc<Redis>>) -> Result<&'r Arc<Redis>, String> {
    redis.get(name).ok_or_else(|| {
        let suggestion = suggestion(name, redis.keys().map(String::as_str));
        format!("`redis` has no {name:?}{suggestion}")
    })
}
