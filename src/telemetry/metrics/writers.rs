//! What log writers count, shown as counters that never fall, whichever writers come and go.

use std::sync::Arc;

use prometheus::{IntCounter, Registry};

use super::labels::{Label, Log};
use crate::telemetry::writer::Counts;

/// The counters of every log, and the writers that feed them.
pub(super) struct Writers {
    totals: Vec<Totals>,
    watched: Vec<Watched>,
}

struct Totals {
    written: IntCounter,
    dropped: IntCounter,
    errors: IntCounter,
}

/// A writer, and how much of its counts has been added already.
struct Watched {
    log: Log,
    counts: Arc<Counts>,
    written: u64,
    dropped: u64,
    errors: u64,
}

impl Writers {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let totals =
            Log::ALL.iter().map(|log| Totals::register(log.as_str(), registry)).collect::<Result<_, _>>()?;
        Ok(Self { totals, watched: Vec::new() })
    }

    pub(super) fn watch(&mut self, log: Log, counts: Arc<Counts>) {
        self.watched.push(Watched { log, counts, written: 0, dropped: 0, errors: 0 });
    }

    /// Adds what was counted since the last call, and forgets writers that are gone.
    pub(super) fn refresh(&mut self) {
        let totals = &self.totals;
        self.watched.retain_mut(|watched| {
            // Asked before reading: what a writer counts last is read before it is forgotten.
            let alive = Arc::strong_count(&watched.counts) > 1;
            if let Some(total) = totals.get(watched.log.index()) {
                advance(&total.written, &mut watched.written, watched.counts.written());
                advance(&total.dropped, &mut watched.dropped, watched.counts.dropped());
                advance(&total.errors, &mut watched.errors, watched.counts.errors());
            }
            alive
        });
    }
}

impl Totals {
    fn register(log: &str, registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |what: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(format!("edgeward_{log}_log_{what}_total"), help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        Ok(Self {
            written: counter("written", "Lines written.")?,
            dropped: counter("dropped", "Lines lost because the buffers were full.")?,
            errors: counter("write_errors", "Writes that failed and are tried again.")?,
        })
    }
}

fn advance(total: &IntCounter, seen: &mut u64, now: u64) {
    total.inc_by(now.saturating_sub(*seen));
    *seen = now;
}
