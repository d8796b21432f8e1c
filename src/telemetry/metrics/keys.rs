//! What is told of API keys. Labels are names of consumers and ids of keys: an operator's words, as many as whoever
//! counts lets through.

use super::Metrics;

/// A key, by the name of its consumer and its id.
#[derive(Clone, Copy, Debug)]
pub struct KeyLabels<'a> {
    /// Its consumer.
    pub consumer: &'a str,
    /// Its id.
    pub key: &'a str,
}

impl Metrics {
    /// Shows when keys expire, in Unix time, and how often old ones were used, in place of what was shown before. Two of
    /// these at a time would mix.
    pub fn show_keys<'a>(
        &self,
        expiries: impl Iterator<Item = (KeyLabels<'a>, u64)>,
        old_uses: impl Iterator<Item = (KeyLabels<'a>, u64)>,
    ) {
        self.families.key_expiry.clear();
        for (KeyLabels { consumer, key }, expires) in expiries {
            let seconds = i64::try_from(expires).unwrap_or(i64::MAX);
            self.families.key_expiry.with([consumer, key]).set(seconds);
        }
        self.families.deprecated_key_uses.clear();
        for (KeyLabels { consumer, key }, uses) in old_uses {
            self.families.deprecated_key_uses.with([consumer, key]).inc_by(uses);
        }
    }

    /// A store of keys that changed was read.
    pub fn key_store_read(&self, good: bool) {
        self.families.key_store_reloads.with([outcome(good)]).inc();
    }

    /// The uses of keys were written down.
    pub fn key_uses_kept(&self, good: bool) {
        self.families.key_usage_writes.with([outcome(good)]).inc();
    }

    /// A notice was sent, and taken or not.
    pub fn notice_sent(&self, taken: bool) {
        self.families.notices.with([if taken { "delivered" } else { "failed" }]).inc();
    }

    /// So many notices are still to be taken.
    pub fn notices_waiting(&self, waiting: usize) {
        self.families.notices_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }
}

const fn outcome(good: bool) -> &'static str {
    if good { "success" } else { "failure" }
}
