//! What the cache counts for all routes together.

use std::sync::Arc;

use prometheus::{IntCounter, IntGauge};

use super::families::Families;
use super::labels::{DiskBypass, Label as _};

/// The cache's series. Clones are the same.
#[derive(Clone)]
pub struct CacheMetrics {
    families: Arc<Families>,
    entries: IntGauge,
    bytes: IntGauge,
    coming: IntGauge,
    evictions: IntCounter,
    stored: IntCounter,
    stored_bytes: IntCounter,
    purges: IntCounter,
    purges_sent: IntCounter,
    purges_received: IntCounter,
    purges_missed: IntCounter,
    purges_waiting: IntGauge,
    parents_failed: IntCounter,
}

impl CacheMetrics {
    pub(super) fn new(families: &Arc<Families>) -> Self {
        Self {
            families: families.clone(),
            entries: families.cache_entries.clone(),
            bytes: families.cache_bytes.clone(),
            coming: families.cache_coming.clone(),
            evictions: families.cache_evictions.clone(),
            stored: families.cache_stored.clone(),
            stored_bytes: families.cache_stored_bytes.clone(),
            purges: families.cache_purges.clone(),
            purges_sent: families.cache_purges_sent.clone(),
            purges_received: families.cache_purges_received.clone(),
            purges_missed: families.cache_purges_missed.clone(),
            purges_waiting: families.cache_purges_waiting.clone(),
            parents_failed: families.cache_parents_failed.clone(),
        }
    }

    /// Counts a response that was stored, of so many bytes.
    pub fn stored(&self, bytes: u64) {
        self.stored.inc();
        self.stored_bytes.inc_by(bytes);
    }

    /// Counts what was asked to be purged.
    pub fn purged(&self, scopes: usize) {
        self.purges.inc_by(scopes as u64);
    }

    /// Counts orders to purge that the fleet was told.
    pub fn purges_sent(&self, orders: usize) {
        self.purges_sent.inc_by(orders as u64);
    }

    /// Counts an order to purge that came from the fleet.
    pub fn purges_received(&self) {
        self.purges_received.inc();
    }

    /// Counts that everything was purged, for nobody knows what the fleet has purged.
    pub fn purges_missed(&self) {
        self.purges_missed.inc();
    }

    /// Shows how many orders to purge the fleet is still to be told.
    pub fn show_waiting(&self, orders: usize) {
        self.purges_waiting.set(i64::try_from(orders).unwrap_or(i64::MAX));
    }

    /// Counts a question that went to the origin because no parent answered it.
    pub fn parents_failed(&self) {
        self.parents_failed.inc();
    }

    /// Shows what there is, and how many keys had to go so far.
    pub fn show(&self, entries: u64, bytes: u64, coming: u64, evictions: u64) {
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.entries.set(gauge(entries));
        self.bytes.set(gauge(bytes));
        self.coming.set(gauge(coming));
        self.evictions.inc_by(evictions.saturating_sub(self.evictions.get()));
    }

    /// Shows the responses and bytes on disk; `None` if there is none now.
    pub fn show_disk(&self, disk: Option<(u64, u64)>) {
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let (entries, bytes) = disk.unwrap_or_default();
        self.families.cache_disk_attached.set(disk.is_some().into());
        self.families.cache_disk_entries.set(gauge(entries));
        self.families.cache_disk_bytes.set(gauge(bytes));
    }

    /// Counts a response that was found on disk.
    pub fn read_from_disk(&self) {
        self.families.cache_disk_reads.inc();
    }

    /// Counts responses that were written to disk.
    pub fn written_to_disk(&self, responses: u64) {
        self.families.cache_disk_writes.inc_by(responses);
    }

    /// Counts responses that had to go from disk for others.
    pub fn evicted_from_disk(&self, responses: u64) {
        self.families.cache_disk_evictions.inc_by(responses);
    }

    /// Counts what was found damaged on disk.
    pub fn damaged_on_disk(&self) {
        self.families.cache_disk_corrupt.inc();
    }

    /// Counts what was done without the disk.
    pub fn bypassed_disk(&self, why: DiskBypass) {
        self.families.cache_disk_bypasses.with([why.as_str()]).inc();
    }
}
