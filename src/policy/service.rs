//! An upstream together with what counts it.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::telemetry::metrics::{BackendMetrics, CheckOutcome, UpstreamMetrics};
use crate::upstream::{Events, Health, Upstream};

/// An upstream that routes send requests to.
pub struct Service {
    upstream: Arc<Upstream>,
    /// Its counters.
    pub counters: Arc<Counters>,
}

/// The counters of an upstream and of its backends, which come and go.
pub struct Counters {
    /// Of the upstream.
    pub upstream: UpstreamMetrics,
    backends: RwLock<HashMap<Box<str>, BackendMetrics>>,
}

impl Service {
    /// Puts them together.
    pub(super) fn new(upstream: Arc<Upstream>, counters: Arc<Counters>) -> Self {
        Self { upstream, counters }
    }

    /// The upstream, to be started.
    #[must_use]
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// Shows which backends there are and which of them take requests, for a scrape.
    pub fn refresh(&self, now_ns: u64) {
        let all = self.upstream.status(now_ns);
        let mut backends = self.counters.backends.write().unwrap_or_else(PoisonError::into_inner);
        backends.retain(|label, _| all.iter().any(|status| *status.backend == **label));
        drop(backends);
        for status in all {
            let up = status.health != Health::Down && !status.ejected;
            self.counters.backend(&status.backend, |backend| backend.set_up(up));
        }
    }
}

impl Deref for Service {
    type Target = Arc<Upstream>;

    fn deref(&self) -> &Arc<Upstream> {
        &self.upstream
    }
}

impl Counters {
    /// Counters of an upstream without known backends.
    pub(super) fn new(upstream: UpstreamMetrics) -> Arc<Self> {
        Arc::new(Self { upstream, backends: RwLock::default() })
    }

    /// Counts something of one backend.
    pub fn backend(&self, label: &str, count: impl FnOnce(&BackendMetrics)) {
        let known = self.backends.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(metrics) = known.get(label) {
            return count(metrics);
        }
        drop(known);
        let metrics = self.upstream.backend(label);
        count(&metrics);
        let mut known = self.backends.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(label.into(), metrics);
    }
}

impl Events for Counters {
    fn health_changed(&self, upstream: &str, backend: &str, up: bool, why: &str) {
        if up {
            log::info!(upstream, backend; "backend is up");
        } else {
            log::warn!(upstream, backend, why; "backend is down");
        }
        self.backend(backend, |metrics| metrics.set_up(up));
    }

    fn checked(&self, _: &str, backend: &str, passed: bool) {
        let outcome = if passed { CheckOutcome::Passed } else { CheckOutcome::Failed };
        self.backend(backend, |metrics| metrics.health_check(outcome));
    }

    fn ejected(&self, upstream: &str, backend: &str, period: Duration) {
        log::warn!(upstream, backend, seconds = period.as_secs(); "backend keeps failing, it gets no requests for a while");
        self.backend(backend, |metrics| metrics.ejected());
    }

    fn resolve_failed(&self, upstream: &str, name: &str, why: &str) {
        log::warn!(upstream, name, why; "name does not resolve, its last addresses stay in use");
    }
}
