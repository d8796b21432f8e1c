//! Every number that the process shows to Prometheus, in one place.
//!
//! A request does no label lookup: it counts through handles that were resolved when its snapshot was compiled
//! ([`RouteMetrics`], [`UpstreamMetrics`] …). A handle is a lease. Leases of the same name share their series, so a
//! reload that keeps a route keeps its counters; when the last lease of a name ends, its series go, so routes that no
//! longer exist do not haunt the dashboards. Label values are names from the policy and members of closed lists:
//! nothing that a client sends becomes a label.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{Encoder, Registry, TextEncoder};

pub use cache::CacheMetrics;
pub use handles::{
    BackendMetrics, BackendSeries, CertificateMetrics, CertificateSeries, Finished, IssuerMetrics,
    IssuerSeries, ListenerMetrics, ListenerSeries, RedisMetrics, RedisSeries, RouteMetrics, RouteSeries,
    UpstreamMetrics, UpstreamSeries,
};
pub use keys::KeyLabels;
pub use labels::{
    CacheOutcome, CheckOutcome, CloseReason, DiskBypass, FetchOutcome, HandshakeFailure, Label, Log, Method,
    RetryOutcome, StatusClass, UpstreamOutcome,
};
pub use lease::Lease;

use super::writer::LineWriter;
use families::Families;
use lease::Leases;
use process::Process;
use tally::Tally;
use writers::Writers;

mod cache;
mod durations;
mod families;
mod handles;
mod keys;
mod labels;
mod lease;
mod process;
mod series;
mod shards;
mod tally;
mod writers;

/// The media type of what [`Metrics::encode`] makes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The `route` label of requests that matched no route; not a name for a route.
pub const UNROUTED: &str = "-";

/// Which program this is, as labels of `edgeward_build_info`.
#[derive(Clone, Copy, Debug)]
pub struct Build<'a> {
    /// The released version.
    pub version: &'a str,
    /// The source revision, or empty.
    pub revision: &'a str,
    /// The TLS library.
    pub tls: &'a str,
}

/// Something whose numbers change without anybody counting, such as the age of keys.
pub trait Show: Send + Sync {
    /// Shows them as they are now.
    fn show(&self);
}

/// All metrics of a process, with a registry of their own. Shared in an `Arc`; outlives every reload.
pub struct Metrics {
    registry: Registry,
    families: Arc<Families>,
    routes: Leases<RouteSeries>,
    upstreams: Leases<UpstreamSeries>,
    backends: Leases<BackendSeries>,
    listeners: Leases<ListenerSeries>,
    certificates: Leases<CertificateSeries>,
    issuers: Leases<IssuerSeries>,
    redis: Leases<RedisSeries>,
    shown: Mutex<Vec<Weak<dyn Show>>>,
    process: Process,
    writers: Mutex<Writers>,
}

impl Metrics {
    /// Makes and registers every family.
    ///
    /// # Errors
    /// When a family is named wrongly or twice, which a test would have found.
    pub fn new(build: Build<'_>) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let families = Families::register(&registry)?;
        families.build_info.with([build.version, build.revision, build.tls]).set(1);
        Ok(Self {
            process: Process::register(&registry)?,
            writers: Mutex::new(Writers::register(&registry)?),
            families: Arc::new(families),
            registry,
            routes: Leases::default(),
            upstreams: Leases::default(),
            backends: Leases::default(),
            listeners: Leases::default(),
            certificates: Leases::default(),
            issuers: Leases::default(),
            redis: Leases::default(),
            shown: Mutex::default(),
        })
    }

    /// Leases the series of a route.
    #[must_use]
    pub fn route(&self, name: &str) -> RouteMetrics {
        self.routes.lease(name, || RouteSeries::new(name, &self.families))
    }

    /// Leases the series of an upstream; those of its backends are leased from them.
    #[must_use]
    pub fn upstream(&self, name: &str) -> UpstreamMetrics {
        self.upstreams.lease(name, || UpstreamSeries::new(name, &self.families, &self.backends))
    }

    /// Leases the series of a listener, named by its address.
    #[must_use]
    pub fn listener(&self, name: &str) -> ListenerMetrics {
        self.listeners.lease(name, || ListenerSeries::new(name, &self.families))
    }

    /// Leases the series of a certificate.
    #[must_use]
    pub fn certificate(&self, name: &str) -> CertificateMetrics {
        self.certificates.lease(name, || CertificateSeries::new(name, &self.families))
    }

    /// Leases the series of an issuer.
    #[must_use]
    pub fn issuer(&self, name: &str) -> IssuerMetrics {
        self.issuers.lease(name, || IssuerSeries::new(name, &self.families))
    }

    /// Leases the series of a Redis.
    #[must_use]
    pub fn redis(&self, name: &str) -> RedisMetrics {
        self.redis.lease(name, || RedisSeries::new(name, &self.families))
    }

    /// Has something show what it stands at before each scrape, for as long as anybody else holds it.
    pub fn show(&self, shown: &Arc<dyn Show>) {
        self.shown().push(Arc::downgrade(shown));
    }

    fn shown(&self) -> MutexGuard<'_, Vec<Weak<dyn Show>>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request as in flight until the guard is dropped.
    pub fn begin_request(&self) -> InFlight {
        self.families.requests_in_flight.inc();
        InFlight(self.families.requests_in_flight.clone())
    }

    /// What the cache counts through.
    #[must_use]
    pub fn cache(&self) -> CacheMetrics {
        CacheMetrics::new(&self.families)
    }

    /// A rule of the firewall matched. The rules of policies are all there are, so the labels are bounded.
    pub fn waf_matched(&self, rule: u64) {
        self.families.waf_matches.with([rule.to_string().as_str()]).inc();
    }

    /// A policy was put in use: `policy` identifies it, e.g. by a hash of its text.
    pub fn reload_succeeded(&self, policy: &str, now: SystemTime) {
        self.families.reloads.with(["success"]).inc();
        self.families.last_reload_success.set(1);
        self.families.last_reload.set(unix_seconds(now));
        self.families.policy_info.clear();
        self.families.policy_info.with([policy]).set(1);
    }

    /// A policy was refused; the one before serves on.
    pub fn reload_failed(&self) {
        self.families.reloads.with(["failure"]).inc();
        self.families.last_reload_success.set(0);
    }

    /// Shows what a log writer counts, from now until it is dropped. Writers of the same log are added up.
    pub fn watch(&self, log: Log, writer: &LineWriter) {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner).watch(log, writer.counts());
    }

    /// All metrics in the Prometheus text format, read at this moment.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.process.refresh();
        self.shown().retain(|shown| {
            let Some(alive) = shown.upgrade() else { return false };
            alive.show();
            true
        });
        self.writers.lock().unwrap_or_else(PoisonError::into_inner).refresh();
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            log::error!("cannot write metrics: {error}");
        }
        text
    }
}

/// A request in flight.
#[must_use = "the request counts as finished when this is dropped"]
pub struct InFlight(Tally);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Seconds since the Unix epoch, 0 before it.
fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).as_ref().map_or(0.0, Duration::as_secs_f64)
}

#[cfg(test)]
mod tests;
