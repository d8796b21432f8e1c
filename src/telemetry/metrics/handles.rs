//! What requests, connections and checks count through: series resolved beforehand.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use prometheus::{Gauge, IntGauge};

use super::durations::Durations;
use super::families::{Families, Family, Ledger, PerLabel};
use super::labels::{
    CacheOutcome, CheckOutcome, CloseReason, FetchOutcome, HandshakeFailure, Label, Method, RetryOutcome,
    StatusClass, UpstreamOutcome,
};
use super::lease::{Lease, Leases, Retire};
use super::tally::{Tally, TallyVec};
use super::unix_seconds;

/// A lease of a route's series.
pub type RouteMetrics = Lease<RouteSeries>;
/// A lease of an upstream's series.
pub type UpstreamMetrics = Lease<UpstreamSeries>;
/// A lease of a backend's series.
pub type BackendMetrics = Lease<BackendSeries>;
/// A lease of a listener's series.
pub type ListenerMetrics = Lease<ListenerSeries>;
/// A lease of a certificate's series.
pub type CertificateMetrics = Lease<CertificateSeries>;

/// A lease of an issuer's series.
pub type IssuerMetrics = Lease<IssuerSeries>;

/// A lease of a Redis' series.
pub type RedisMetrics = Lease<RedisSeries>;

/// Methods times status classes.
const REQUEST_SERIES: usize = Method::ALL.len() * StatusClass::ALL.len();
/// Most pairs of filter and reason that a route counts apart; filters and reasons are the policy's, so this is a
/// stop for mistakes only.
const REFUSAL_SERIES: usize = 256;
/// Filter and reason of refusals past that.
const OVERFLOW: &str = "other";

/// What a finished request adds to its route.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    /// The method token as sent.
    pub method: &'a str,
    /// The status sent; 0 for none.
    pub status: u16,
    /// From the request head to the last byte sent.
    pub duration: Duration,
    /// Body bytes received from the client.
    pub bytes_in: u64,
    /// Body bytes sent to the client.
    pub bytes_out: u64,
}

/// A route's series. Each is made when it first counts: a thousand routes with sixty pairs of method and status class
/// would make every scrape tell of sixty thousand zeros.
pub struct RouteSeries {
    name: String,
    families: Arc<Families>,
    ledger: Ledger,
    requests: [OnceLock<Tally>; REQUEST_SERIES],
    totals: OnceLock<RouteTotals>,
    refusals: Refusals,
    shadow_refusals: Refusals,
    findings: Refusals,
    cached: OnceLock<PerLabel<CacheOutcome>>,
}

struct RouteTotals {
    duration: Durations,
    bytes_in: Tally,
    bytes_out: Tally,
}

impl RouteSeries {
    pub(super) fn new(name: &str, families: &Arc<Families>) -> Self {
        Self {
            name: name.to_owned(),
            families: families.clone(),
            ledger: Ledger::default(),
            requests: [const { OnceLock::new() }; REQUEST_SERIES],
            totals: OnceLock::new(),
            refusals: Refusals::default(),
            shadow_refusals: Refusals::default(),
            findings: Refusals::default(),
            cached: OnceLock::new(),
        }
    }

    /// Counts a finished request.
    pub fn finished(&self, request: Finished<'_>) {
        let (method, class) = (Method::of(request.method), StatusClass::of(request.status));
        if let Some(cell) = self.requests.get(method.index() * StatusClass::ALL.len() + class.index()) {
            cell.get_or_init(|| {
                self.ledger.series(&self.families.requests, [&self.name, method.as_str(), class.as_str()])
            })
            .inc();
        }
        let totals = self.totals.get_or_init(|| self.make_totals());
        totals.duration.observe(request.duration);
        if request.bytes_in > 0 {
            totals.bytes_in.inc_by(request.bytes_in);
        }
        totals.bytes_out.inc_by(request.bytes_out);
    }

    /// Counts a request refused by `filter` for `reason`.
    pub fn refused(&self, filter: &str, reason: &'static str) {
        self.refusals.count(filter, reason, 1, |labels| self.refusal_series(&self.families.refusals, labels));
    }

    /// Counts a request that `filter`, in shadow mode, would have refused for `reason`.
    pub fn shadow_refused(&self, filter: &str, reason: &'static str) {
        let family = &self.families.shadow_refusals;
        self.shadow_refusals.count(filter, reason, 1, |labels| self.refusal_series(family, labels));
    }

    /// Counts what was found in a response, by its name in the policy and what became of it.
    pub fn found(&self, kind: &str, action: &'static str, count: u64) {
        let family = &self.families.response_findings;
        self.findings.count(kind, action, count, |labels| self.refusal_series(family, labels));
    }

    /// Counts what the cache did with a request.
    pub fn cached(&self, outcome: CacheOutcome) {
        let family = &self.families.cache_requests;
        let cached = self.cached.get_or_init(|| self.ledger.per_label(family, |label| [&self.name, label]));
        cached.inc(outcome);
    }

    fn refusal_series(&self, family: &Family<TallyVec, 3>, [filter, reason]: [&str; 2]) -> Tally {
        self.ledger.series(family, [&self.name, filter, reason])
    }

    fn make_totals(&self) -> RouteTotals {
        let route = [self.name.as_str()];
        RouteTotals {
            duration: self.ledger.series(&self.families.request_duration, route),
            bytes_in: self.ledger.series(&self.families.request_bytes, route),
            bytes_out: self.ledger.series(&self.families.response_bytes, route),
        }
    }
}

/// The few pairs of filter and reason that a route has refused with, or of what was found and what became of it; a scan over
/// them is faster than a hash.
#[derive(Default)]
struct Refusals(RwLock<Vec<Refusal>>);

struct Refusal {
    filter: Box<str>,
    reason: &'static str,
    count: Tally,
}

impl Refusals {
    fn count(&self, filter: &str, reason: &'static str, by: u64, make: impl FnOnce([&str; 2]) -> Tally) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(refusal) = find(&known, filter, reason) {
            return refusal.count.inc_by(by);
        }
        let full = known.len() >= REFUSAL_SERIES;
        drop(known);
        let (filter, reason) = if full { (OVERFLOW, OVERFLOW) } else { (filter, reason) };
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been here first.
        if let Some(refusal) = find(&known, filter, reason) {
            return refusal.count.inc_by(by);
        }
        let count = make([filter, reason]);
        count.inc_by(by);
        known.push(Refusal { filter: filter.into(), reason, count });
    }
}

fn find<'a>(known: &'a [Refusal], filter: &str, reason: &str) -> Option<&'a Refusal> {
    known.iter().find(|refusal| refusal.reason == reason && *refusal.filter == *filter)
}

/// An upstream's series.
pub struct UpstreamSeries {
    name: String,
    families: Arc<Families>,
    ledger: Ledger,
    backends: Leases<BackendSeries>,
    duration: Durations,
    retries: PerLabel<RetryOutcome>,
}

impl UpstreamSeries {
    pub(super) fn new(name: &str, families: &Arc<Families>, backends: &Leases<BackendSeries>) -> Self {
        let ledger = Ledger::default();
        Self {
            duration: ledger.series(&families.upstream_duration, [name]),
            retries: ledger.per_label(&families.upstream_retries, |outcome| [name, outcome]),
            name: name.to_owned(),
            families: families.clone(),
            backends: backends.clone(),
            ledger,
        }
    }

    /// Leases the series of one of its backends, named by its address.
    #[must_use]
    pub fn backend(&self, name: &str) -> BackendMetrics {
        // Neither name can hold a NUL, so no two pairs meet.
        let key = format!("{}\0{name}", self.name);
        self.backends.lease(&key, || BackendSeries::new(&self.name, name, &self.families))
    }

    /// Counts the time that a request spent on the upstream.
    pub fn finished(&self, duration: Duration) {
        self.duration.observe(duration);
    }

    /// Counts a wish to retry.
    pub fn retry(&self, outcome: RetryOutcome) {
        self.retries.inc(outcome);
    }
}

/// A backend's series.
pub struct BackendSeries {
    ledger: Ledger,
    up: IntGauge,
    requests: PerLabel<UpstreamOutcome>,
    ejections: Tally,
    health_checks: PerLabel<CheckOutcome>,
}

impl BackendSeries {
    fn new(upstream: &str, backend: &str, families: &Families) -> Self {
        let ledger = Ledger::default();
        Self {
            up: ledger.series(&families.backend_up, [upstream, backend]),
            requests: ledger.per_label(&families.upstream_requests, |outcome| [upstream, backend, outcome]),
            ejections: ledger.series(&families.ejections, [upstream, backend]),
            health_checks: ledger.per_label(&families.health_checks, |outcome| [upstream, backend, outcome]),
            ledger,
        }
    }

    /// Shows whether the backend takes requests; it does not until told so.
    pub fn set_up(&self, up: bool) {
        self.up.set(up.into());
    }

    /// Counts an attempt.
    pub fn attempt(&self, outcome: UpstreamOutcome) {
        self.requests.inc(outcome);
    }

    /// Counts that the backend was taken out for failing requests.
    pub fn ejected(&self) {
        self.ejections.inc();
    }

    /// Counts an active health check.
    pub fn health_check(&self, outcome: CheckOutcome) {
        self.health_checks.inc(outcome);
    }
}

/// A listener's series.
pub struct ListenerSeries {
    ledger: Ledger,
    open: IntGauge,
    accepted: Tally,
    closed: PerLabel<CloseReason>,
    handshake_failures: PerLabel<HandshakeFailure>,
}

impl ListenerSeries {
    pub(super) fn new(name: &str, families: &Families) -> Self {
        let ledger = Ledger::default();
        Self {
            open: ledger.series(&families.connections, [name]),
            accepted: ledger.series(&families.connections_accepted, [name]),
            closed: ledger.per_label(&families.connections_closed, |reason| [name, reason]),
            handshake_failures: ledger.per_label(&families.handshake_failures, |reason| [name, reason]),
            ledger,
        }
    }

    /// Counts a connection as accepted and open. Each is followed by one [`closed`](Self::closed).
    pub fn accepted(&self) {
        self.accepted.inc();
        self.open.inc();
    }

    /// Counts the end of a connection.
    pub fn closed(&self, reason: CloseReason) {
        self.closed.inc(reason);
        self.open.dec();
    }

    /// Counts a TLS handshake that failed. The connection's end is counted apart.
    pub fn handshake_failed(&self, reason: HandshakeFailure) {
        self.handshake_failures.inc(reason);
    }
}

/// A certificate's series.
pub struct CertificateSeries {
    ledger: Ledger,
    expiry: Gauge,
}

impl CertificateSeries {
    pub(super) fn new(name: &str, families: &Families) -> Self {
        let ledger = Ledger::default();
        Self { expiry: ledger.series(&families.certificate_expiry, [name]), ledger }
    }

    /// Shows when the certificate stops being valid.
    pub fn set_expiry(&self, expiry: SystemTime) {
        self.expiry.set(unix_seconds(expiry));
    }
}

/// An issuer's series.
pub struct IssuerSeries {
    ledger: Ledger,
    keys: IntGauge,
    age: Gauge,
    fetches: PerLabel<FetchOutcome>,
}

impl IssuerSeries {
    pub(super) fn new(name: &str, families: &Families) -> Self {
        let ledger = Ledger::default();
        Self {
            keys: ledger.series(&families.issuer_keys, [name]),
            age: ledger.series(&families.issuer_keys_age, [name]),
            fetches: ledger.per_label(&families.issuer_fetches, |outcome| [name, outcome]),
            ledger,
        }
    }

    /// Counts an attempt to fetch the keys.
    pub fn fetched(&self, outcome: FetchOutcome) {
        self.fetches.inc(outcome);
    }

    /// Shows how many keys verify, and how long ago they were confirmed; not a number before they ever were.
    pub fn show_keys(&self, keys: usize, age: Option<Duration>) {
        self.keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
        self.age.set(age.map_or(f64::NAN, |age| age.as_secs_f64()));
    }
}

/// A Redis' series.
pub struct RedisSeries {
    ledger: Ledger,
    up: IntGauge,
    good: Tally,
    bad: Tally,
}

impl RedisSeries {
    pub(super) fn new(name: &str, families: &Families) -> Self {
        let ledger = Ledger::default();
        Self {
            up: ledger.series(&families.redis_up, [name]),
            good: ledger.series(&families.redis_commands, [name, "success"]),
            bad: ledger.series(&families.redis_commands, [name, "failure"]),
            ledger,
        }
    }

    /// Counts a command that was answered or not.
    pub fn asked(&self, answered: bool) {
        if answered { &self.good } else { &self.bad }.inc();
    }

    /// Shows whether it answers.
    pub fn show_up(&self, up: bool) {
        self.up.set(up.into());
    }
}

macro_rules! retire_by_ledger {
    ($($series:ty),+) => {
        $(impl Retire for $series {
            fn retire(&self) {
                self.ledger.remove_all();
            }
        })+
    };
}

retire_by_ledger!(
    RouteSeries,
    UpstreamSeries,
    BackendSeries,
    ListenerSeries,
    CertificateSeries,
    IssuerSeries,
    RedisSeries
);
