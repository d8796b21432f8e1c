//! The families: names, help and label names. The only file to edit for a new one, next to whoever counts it.

use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::proto::MetricType;
use prometheus::{Gauge, GaugeVec, IntCounter, IntGauge, IntGaugeVec, Opts, Registry};

use super::durations::{self, DurationsVec};
use super::labels::Label;
use super::series;
use super::tally::{self, Tally, TallyVec};

/// A family with `N` labels. That the number is in the type is what makes [`Self::with`] safe to call.
pub(super) struct Family<V, const N: usize>(V);

impl<T: MetricVecBuilder, const N: usize> Family<MetricVec<T>, N> {
    /// The series with these label values, made if it is new.
    pub(super) fn with(&self, labels: [&str; N]) -> T::M {
        // Panics on a wrong number of labels alone.
        self.0.with_label_values(&labels)
    }

    /// Removes every series.
    pub(super) fn clear(&self) {
        self.0.reset();
    }
}

/// Makes families of each kind.
struct Factory<'a>(&'a Registry);

impl Factory<'_> {
    fn counters<const N: usize>(&self, name: &str, help: &str, labels: [&str; N]) -> Made<TallyVec, N> {
        self.tallies(MetricType::COUNTER, name, help, labels)
    }

    fn gauges<const N: usize>(&self, name: &str, help: &str, labels: [&str; N]) -> Made<IntGaugeVec, N> {
        self.family(IntGaugeVec::new(Opts::new(name, help), &labels)?)
    }

    fn float_gauges<const N: usize>(&self, name: &str, help: &str, labels: [&str; N]) -> Made<GaugeVec, N> {
        self.family(GaugeVec::new(Opts::new(name, help), &labels)?)
    }

    fn durations<const N: usize>(&self, name: &str, help: &str, labels: [&str; N]) -> Made<DurationsVec, N> {
        self.family(series::family(MetricType::HISTOGRAM, durations::Builder, (name, help), &labels)?)
    }

    /// A gauge of requests, without labels.
    fn level(&self, name: &str, help: &str) -> Result<Tally, prometheus::Error> {
        Ok(self.tallies(MetricType::GAUGE, name, help, [])?.with([]))
    }

    fn tallies<const N: usize>(
        &self,
        kind: MetricType,
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> Made<TallyVec, N> {
        self.family(series::family(kind, tally::Builder(kind), (name, help), &labels)?)
    }

    fn family<V: Collector + Clone + 'static, const N: usize>(&self, family: V) -> Made<V, N> {
        self.0.register(Box::new(family.clone()))?;
        Ok(Family(family))
    }

    fn single<M: Collector + Clone + 'static>(&self, metric: M) -> Result<M, prometheus::Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

type Made<V, const N: usize> = Result<Family<V, N>, prometheus::Error>;

/// Every family that has handles.
pub(super) struct Families {
    pub(super) build_info: Family<IntGaugeVec, 3>,
    pub(super) policy_info: Family<IntGaugeVec, 1>,
    pub(super) reloads: Family<TallyVec, 1>,
    pub(super) last_reload: Gauge,
    pub(super) last_reload_success: IntGauge,
    pub(super) certificate_expiry: Family<GaugeVec, 1>,

    pub(super) key_expiry: Family<IntGaugeVec, 2>,
    pub(super) deprecated_key_uses: Family<TallyVec, 2>,
    pub(super) key_store_reloads: Family<TallyVec, 1>,
    pub(super) key_usage_writes: Family<TallyVec, 1>,
    pub(super) notices: Family<TallyVec, 1>,
    pub(super) notices_waiting: IntGauge,

    pub(super) connections: Family<IntGaugeVec, 1>,
    pub(super) connections_accepted: Family<TallyVec, 1>,
    pub(super) connections_closed: Family<TallyVec, 2>,
    pub(super) handshake_failures: Family<TallyVec, 2>,

    pub(super) requests_in_flight: Tally,
    pub(super) requests: Family<TallyVec, 3>,
    pub(super) request_duration: Family<DurationsVec, 1>,
    pub(super) request_bytes: Family<TallyVec, 1>,
    pub(super) response_bytes: Family<TallyVec, 1>,
    pub(super) refusals: Family<TallyVec, 3>,
    pub(super) shadow_refusals: Family<TallyVec, 3>,

    pub(super) upstream_duration: Family<DurationsVec, 1>,
    pub(super) upstream_retries: Family<TallyVec, 2>,
    pub(super) upstream_requests: Family<TallyVec, 3>,
    pub(super) backend_up: Family<IntGaugeVec, 2>,
    pub(super) ejections: Family<TallyVec, 2>,
    pub(super) health_checks: Family<TallyVec, 3>,

    pub(super) issuer_keys: Family<IntGaugeVec, 1>,
    pub(super) issuer_keys_age: Family<GaugeVec, 1>,
    pub(super) issuer_fetches: Family<TallyVec, 2>,

    pub(super) redis_up: Family<IntGaugeVec, 1>,
    pub(super) redis_commands: Family<TallyVec, 2>,

    pub(super) waf_matches: Family<TallyVec, 1>,
    pub(super) response_findings: Family<TallyVec, 3>,

    pub(super) cache_requests: Family<TallyVec, 2>,
    pub(super) cache_entries: IntGauge,
    pub(super) cache_bytes: IntGauge,
    pub(super) cache_coming: IntGauge,
    pub(super) cache_evictions: IntCounter,
    pub(super) cache_stored: IntCounter,
    pub(super) cache_stored_bytes: IntCounter,
    pub(super) cache_purges: IntCounter,
    pub(super) cache_disk_attached: IntGauge,
    pub(super) cache_disk_entries: IntGauge,
    pub(super) cache_disk_bytes: IntGauge,
    pub(super) cache_disk_reads: IntCounter,
    pub(super) cache_disk_writes: IntCounter,
    pub(super) cache_disk_evictions: IntCounter,
    pub(super) cache_disk_corrupt: IntCounter,
    pub(super) cache_disk_bypasses: Family<TallyVec, 1>,
    pub(super) cache_purges_sent: IntCounter,
    pub(super) cache_purges_received: IntCounter,
    pub(super) cache_purges_missed: IntCounter,
    pub(super) cache_purges_waiting: IntGauge,
    pub(super) cache_parents_failed: IntCounter,
}

impl Families {
    #[expect(clippy::too_many_lines, reason = "a table, one family a line or two")]
    #[rustfmt::skip] // One family a line or two.
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let make = Factory(registry);
        Ok(Self {
            build_info: make.gauges("edgeward_build_info",
                "The program that runs; always 1.", ["version", "revision", "tls"])?,
            policy_info: make.gauges("edgeward_policy_info", "The policy in use; always 1.", ["policy"])?,
            reloads: make.counters("edgeward_reloads_total",
                "Policies read, the first one included, by outcome.", ["outcome"])?,
            last_reload: make.single(Gauge::new("edgeward_last_reload_timestamp_seconds",
                "When the policy in use was put in use.")?)?,
            last_reload_success: make.single(IntGauge::new("edgeward_last_reload_success",
                "Whether the policy read last was put in use.")?)?,
            certificate_expiry: make.float_gauges("edgeward_certificate_expiry_timestamp_seconds",
                "When a certificate stops being valid.", ["certificate"])?,

            key_expiry: make.gauges("edgeward_api_key_expiry_timestamp_seconds",
                "When an API key expires; of those that do, the next thousand.", ["consumer", "key"])?,
            deprecated_key_uses: make.counters("edgeward_api_key_deprecated_uses_total",
                "Requests with an API key that has a successor.", ["consumer", "key"])?,
            key_store_reloads: make.counters("edgeward_key_store_reloads_total",
                "Times the store of API keys changed and was read, by outcome.", ["outcome"])?,
            key_usage_writes: make.counters("edgeward_key_usage_writes_total",
                "Times the uses of API keys were written down, by outcome.", ["outcome"])?,
            notices: make.counters("edgeward_notices_total",
                "Notices about API keys that were sent, by outcome.", ["outcome"])?,
            notices_waiting: make.single(IntGauge::new("edgeward_notices_waiting",
                "Notices about API keys that are still to be taken.")?)?,

            connections: make.gauges("edgeward_connections",
                "Connections from clients that are open.", ["listener"])?,
            connections_accepted: make.counters("edgeward_connections_accepted_total",
                "Connections accepted from clients.", ["listener"])?,
            connections_closed: make.counters("edgeward_connections_closed_total",
                "Connections from clients that ended, by reason.", ["listener", "reason"])?,
            handshake_failures: make.counters("edgeward_handshake_failures_total",
                "TLS handshakes with clients that failed, by reason.", ["listener", "reason"])?,

            requests_in_flight: make.level("edgeward_requests_in_flight", "Requests that are not finished.")?,
            requests: make.counters("edgeward_requests_total",
                "Finished requests by route, method and class of the status sent.", ["route", "method", "status_class"])?,
            request_duration: make.durations("edgeward_request_duration_seconds",
                "Time from the request head to the last byte sent.", ["route"])?,
            request_bytes: make.counters("edgeward_request_bytes_total",
                "Body bytes received from clients.", ["route"])?,
            response_bytes: make.counters("edgeward_response_bytes_total",
                "Body bytes sent to clients.", ["route"])?,
            refusals: make.counters("edgeward_refusals_total",
                "Requests refused, by filter and reason.", ["route", "filter", "reason"])?,
            shadow_refusals: make.counters("edgeward_shadow_refusals_total",
                "Requests that a filter in shadow mode would have refused.", ["route", "filter", "reason"])?,

            upstream_duration: make.durations("edgeward_upstream_duration_seconds",
                "Time spent on the upstream, all attempts together.", ["upstream"])?,
            upstream_retries: make.counters("edgeward_upstream_retries_total",
                "Retries wished for, by what became of them.", ["upstream", "outcome"])?,
            upstream_requests: make.counters("edgeward_upstream_requests_total",
                "Attempts at a backend, by outcome.", ["upstream", "backend", "outcome"])?,
            backend_up: make.gauges("edgeward_upstream_backend_up",
                "Whether a backend takes requests.", ["upstream", "backend"])?,
            ejections: make.counters("edgeward_upstream_ejections_total",
                "Times a backend was taken out for failing requests.", ["upstream", "backend"])?,
            health_checks: make.counters("edgeward_health_checks_total",
                "Active health checks by outcome.", ["upstream", "backend", "outcome"])?,

            issuer_keys: make.gauges("edgeward_issuer_keys",
                "Keys of an issuer that verify tokens now.", ["issuer"])?,
            issuer_keys_age: make.float_gauges("edgeward_issuer_keys_age_seconds",
                "Time since the issuer last confirmed its keys.", ["issuer"])?,
            issuer_fetches: make.counters("edgeward_issuer_fetches_total",
                "Attempts to fetch the keys of an issuer, by outcome.", ["issuer", "outcome"])?,

            redis_up: make.gauges("edgeward_redis_up",
                "Whether a Redis answers: 1, or 0.", ["redis"])?,
            redis_commands: make.counters("edgeward_redis_commands_total",
                "Commands for a Redis, by outcome; several that go together are one.", ["redis", "outcome"])?,

            waf_matches: make.counters("edgeward_waf_matches_total",
                "Requests and responses that a rule of the firewall matched, refused or not.", ["rule"])?,
            response_findings: make.counters("edgeward_response_findings_total",
                "What was found in responses that should not leave, by what became of it.", ["route", "kind", "action"])?,

            cache_requests: make.counters("edgeward_cache_requests_total",
                "Requests on routes with a cache, by what it did.", ["route", "outcome"])?,
            cache_entries: make.single(IntGauge::new("edgeward_cache_entries",
                "Keys that responses are stored for in memory.")?)?,
            cache_bytes: make.single(IntGauge::new("edgeward_cache_bytes",
                "Bytes of all responses stored in memory.")?)?,
            cache_coming: make.single(IntGauge::new("edgeward_cache_coming_bytes",
                "Bytes of responses that are on their way and to be stored.")?)?,
            cache_evictions: make.single(IntCounter::new("edgeward_cache_evictions_total",
                "Keys whose responses had to go for others.")?)?,
            cache_stored: make.single(IntCounter::new("edgeward_cache_stored_total",
                "Responses that were stored.")?)?,
            cache_stored_bytes: make.single(IntCounter::new("edgeward_cache_stored_bytes_total",
                "Bytes of responses that were stored.")?)?,
            cache_purges: make.single(IntCounter::new("edgeward_cache_purges_total",
                "URLs, prefixes and tags that were purged.")?)?,
            cache_disk_attached: make.single(IntGauge::new("edgeward_cache_disk_attached",
                "Whether the cache has its disk: 1, or 0.")?)?,
            cache_disk_entries: make.single(IntGauge::new("edgeward_cache_disk_entries",
                "Responses stored on disk.")?)?,
            cache_disk_bytes: make.single(IntGauge::new("edgeward_cache_disk_bytes",
                "Bytes of all files of the cache on disk.")?)?,
            cache_disk_reads: make.single(IntCounter::new("edgeward_cache_disk_reads_total",
                "Responses that were found on disk.")?)?,
            cache_disk_writes: make.single(IntCounter::new("edgeward_cache_disk_writes_total",
                "Responses that were written to disk.")?)?,
            cache_disk_evictions: make.single(IntCounter::new("edgeward_cache_disk_evictions_total",
                "Responses that had to go from disk for others.")?)?,
            cache_disk_corrupt: make.single(IntCounter::new("edgeward_cache_disk_corrupt_total",
                "Responses and files on disk that were not what was written, and were removed.")?)?,
            cache_disk_bypasses: make.counters("edgeward_cache_disk_bypasses_total",
                "What was done without the disk, by the reason.", ["reason"])?,
            cache_purges_sent: make.single(IntCounter::new("edgeward_cache_purges_sent_total",
                "Orders to purge that the fleet was told.")?)?,
            cache_purges_received: make.single(IntCounter::new("edgeward_cache_purges_received_total",
                "Orders to purge that came from the fleet.")?)?,
            cache_purges_missed: make.single(IntCounter::new("edgeward_cache_purges_missed_total",
                "Times everything was purged, for nobody knew any more what the fleet had purged.")?)?,
            cache_purges_waiting: make.single(IntGauge::new("edgeward_cache_purges_waiting",
                "Orders to purge that the fleet is still to be told.")?)?,
            cache_parents_failed: make.single(IntCounter::new("edgeward_cache_parents_failed_total",
                "Questions that went to the origin because no parent answered.")?)?,
        })
    }
}

/// Makes series, and knows how to remove them from their families again.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Vec<Removal>>);

type Removal = Box<dyn FnOnce() + Send>;

impl Ledger {
    /// A series that is entered in this ledger.
    pub(super) fn series<T, const N: usize>(
        &self,
        family: &Family<MetricVec<T>, N>,
        labels: [&str; N],
    ) -> T::M
    where
        T: MetricVecBuilder + 'static,
    {
        let (vector, owned) = (family.0.clone(), labels.map(str::to_owned));
        // An error means that the series is gone already.
        let removal = move || _ = vector.remove_label_values(&owned);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(removal));
        family.with(labels)
    }

    /// A counter for each value of a label, which comes last in the family.
    pub(super) fn per_label<'n, L: Label, const N: usize>(
        &self,
        family: &Family<TallyVec, N>,
        labels: impl Fn(&'static str) -> [&'n str; N],
    ) -> PerLabel<L> {
        let counter = |value: &L| self.series(family, labels(value.as_str()));
        PerLabel { counters: L::ALL.iter().map(counter).collect(), label: PhantomData }
    }

    /// Removes every series entered so far.
    pub(super) fn remove_all(&self) {
        for remove in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            remove();
        }
    }
}

/// A counter for each value of a label, found by its index.
pub(super) struct PerLabel<L> {
    counters: Box<[Tally]>,
    label: PhantomData<fn(L)>,
}

impl<L: Label> PerLabel<L> {
    pub(super) fn inc(&self, label: L) {
        if let Some(counter) = self.counters.get(label.index()) {
            counter.inc();
        }
    }
}
