//! What the cache counts for all routes together.

use prometheus::{IntCounter, IntGauge};

use super::families::Families;

/// The cache's series. Clones are the same.
#[derive(Clone)]
pub struct CacheMetrics {
    entries: IntGauge,
    bytes: IntGauge,
    coming: IntGauge,
    evictions: IntCounter,
    stored: IntCounter,
    stored_bytes: IntCounter,
    purges: IntCounter,
}

impl CacheMetrics {
    pub(super) fn new(families: &Families) -> Self {
        Self {
            entries: families.cache_entries.clone(),
            bytes: families.cache_bytes.clone(),
            coming: families.cache_coming.clone(),
            evictions: families.cache_evictions.clone(),
            stored: families.cache_stored.clone(),
            stored_bytes: families.cache_stored_bytes.clone(),
            purges: families.cache_purges.clone(),
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

    /// Shows what there is, and how many keys had to go so far.
    pub fn show(&self, entries: u64, bytes: u64, coming: u64, evictions: u64) {
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.entries.set(gauge(entries));
        self.bytes.set(gauge(bytes));
        self.coming.set(gauge(coming));
        self.evictions.inc_by(evictions.saturating_sub(self.evictions.get()));
    }
}
