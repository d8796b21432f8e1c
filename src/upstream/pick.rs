//! Choosing a backend for a try, and learning from how the try went.

use std::sync::Arc;
use std::time::Duration;

use super::Upstream;
use super::backend::{Backend, BackendId, Health};
use super::balance::Moment;
use super::set::Wanted;

/// The least latency that a failure counts as.
const FAILURE_COSTS: Duration = Duration::from_secs(1);

/// A backend chosen for one try. Counts as a request in flight until it is dropped or finished.
pub struct Pick {
    backend: Arc<Backend>,
    upstream: Arc<Upstream>,
}

/// How a try went, as far as the backend is to praise or blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It answered with any status but 502, 503 and 504.
    Success,
    /// No connection, in time or at all.
    ConnectFailed,
    /// It answered with 502, 503 or 504, broke off, or made no sense.
    Failed5xx,
    /// It did not answer in time.
    TimedOut,
    /// The client left or the request was stopped here: nothing is learnt about the backend.
    ClientGone,
}

/// A backend as it is now, for metrics and the admin listener.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    pub backend: Arc<str>,
    /// [`Health::Unknown`] where the upstream has no active checks.
    pub health: Health,
    pub ejected: bool,
    pub in_flight: u32,
    /// Decayed average, in which failures count at least a second; zero where nothing was measured lately.
    pub latency: Duration,
}

impl Upstream {
    /// Chooses a backend for the next try of a request. `hash` is the [`key_hash`](super::key_hash) of its
    /// [`hash_key`](Upstream::hash_key), `tried` names the backends of its earlier tries.
    ///
    /// Backends that fail their checks are never chosen: when all do, the answer is `None` and the client's
    /// 503 `no_healthy_backend`. There is no panic mode as Envoy's, which would send requests to backends
    /// known to be dead; HAProxy and nginx users expect this. Ejected ones and those in `tried` are chosen
    /// only when nothing else is left, first those tried before (a connection may just have been stale), then
    /// those ejected.
    #[must_use]
    pub fn pick(self: &Arc<Self>, hash: Option<u64>, tried: &[BackendId], now_ns: u64) -> Option<Pick> {
        self.pick_with(hash, tried, now_ns, &mut fastrand::Rng::new())
    }

    /// Chooses the backend that this shard belongs to, by consistent hash, whatever the upstream balances by; as
    /// [`pick`](Self::pick) where it is not usable, but `None` once all were tried: whoever asks has another way.
    #[must_use]
    pub fn pick_shard(self: &Arc<Self>, shard: u64, tried: &[BackendId], now_ns: u64) -> Option<Pick> {
        if tried.is_empty() {
            self.retries.deposit();
        }
        let set = self.set.load();
        let wanted =
            Wanted { checked: self.check.is_some(), unejected: self.eject.is_some(), untried: tried };
        let backend = set.choose_shard(wanted, shard, now_ns)?;
        Some(Pick::of(Arc::clone(backend), Arc::clone(self)))
    }

    /// [`pick`](Self::pick) with a random generator of the caller's.
    #[must_use]
    pub fn pick_with(
        self: &Arc<Self>,
        hash: Option<u64>,
        tried: &[BackendId],
        now_ns: u64,
        chance: &mut fastrand::Rng,
    ) -> Option<Pick> {
        if tried.is_empty() {
            self.retries.deposit();
        }
        let set = self.set.load();
        let checked = self.check.is_some();
        let mut moment = Moment { hash, now_ns, chance };
        let backend = [(true, tried), (true, &[]), (false, tried), (false, &[])].into_iter().find_map(
            |(unejected, untried)| {
                let unejected = unejected && self.eject.is_some();
                set.choose(Wanted { checked, unejected, untried }, &mut moment)
            },
        )?;
        Some(Pick::of(Arc::clone(backend), Arc::clone(self)))
    }

    /// Whether there is a backend beside those tried and the `last` one that its checks do not call down.
    #[must_use]
    pub fn has_other(&self, tried: &[BackendId], last: Option<BackendId>) -> bool {
        let others = |id| Some(id) != last && !tried.contains(&id);
        let usable = |backend: &Backend| self.check.is_none() || backend.state.health() != Health::Down;
        self.set.load().backends.iter().any(|backend| others(backend.id()) && usable(backend))
    }

    /// Every backend as it is now.
    #[must_use]
    pub fn status(&self, now_ns: u64) -> Vec<Status> {
        let status = |backend: &Arc<Backend>| Status {
            backend: Arc::clone(&backend.label),
            health: if self.check.is_some() { backend.state.health() } else { Health::Unknown },
            ejected: self.eject.is_some() && backend.state.is_ejected(now_ns),
            in_flight: backend.state.in_flight(),
            latency: Duration::try_from_secs_f64(backend.state.latency().nanos(now_ns) / 1e9)
                .unwrap_or_default(),
        };
        self.set.load().backends.iter().map(status).collect()
    }

    /// Ejects a backend that failed once more, if it has failed enough and enough others are left.
    fn failed(&self, backend: &Backend, now_ns: u64) {
        let failures = backend.state.failed();
        let Some(eject) = self.eject.filter(|eject| failures >= eject.failures) else { return };
        if backend.state.is_ejected(now_ns) {
            return;
        }
        let set = self.set.load();
        if set.ejected(now_ns) >= eject.most(set.backends.len()) {
            return;
        }
        let until_ns = now_ns.saturating_add(super::nanos(eject.period));
        if backend.state.eject(now_ns, until_ns) {
            self.events.ejected(&self.name, &backend.label, eject.period);
        }
    }
}

impl Pick {
    pub(super) fn of(backend: Arc<Backend>, upstream: Arc<Upstream>) -> Self {
        backend.state.started();
        Self { backend, upstream }
    }

    /// The chosen backend.
    #[must_use]
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// Tells how the try went. `latency` is the time from the start of the try to the head of the response,
    /// or to the failure.
    ///
    /// A failure counts as an answer that took a second, however fast it came: a broken backend must not
    /// attract requests by failing quickly.
    pub fn finished(self, outcome: Outcome, latency: Duration, now_ns: u64) {
        let state = &self.backend.state;
        match outcome {
            Outcome::Success => {
                state.latency().observe(super::nanos(latency), now_ns);
                state.succeeded();
            }
            Outcome::ConnectFailed | Outcome::Failed5xx | Outcome::TimedOut => {
                state.latency().observe(super::nanos(latency.max(FAILURE_COSTS)), now_ns);
                self.upstream.failed(&self.backend, now_ns);
            }
            Outcome::ClientGone => {}
        }
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.backend.state.ended();
    }
}
