//! Active checks: probing every backend at its own pace and keeping those out that fail.
//!
//! The checks of `pingora-load-balancing` do not fit: the HTTP check never shows the body, the TCP check knows
//! no client certificate, a check is given an address and so no name to verify, there is none for gRPC, and
//! all backends share one round, so that a hanging one delays the others. The connectors are Pingora's.
//!
//! A backend that was never checked gets requests; its first check comes at once and decides alone. Verdicts
//! outlive reloads. Every probe has a new connection, so it also proves that the backend accepts one.

mod failure;
mod grpc;
mod http;
mod spec;
mod tcp;

use std::collections::HashMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pingora_core::connectors::TransportConnector;
use pingora_core::connectors::http::Connector as HttpConnector;
use pingora_core::upstreams::peer::HttpPeer;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

pub use failure::Failure;
pub use spec::{Grpc, Http, Spec, Tcp};

use super::Upstream;
use super::backend::{Backend, BackendId, Health};

/// Probes of one upstream that may run at the same time.
const AT_ONCE: usize = 32;

/// How an upstream's backends are checked.
pub struct Check {
    probe: Probe,
    interval: Duration,
    timeout: Duration,
    rise: NonZeroU32,
    fall: NonZeroU32,
    port: Option<NonZeroU16>,
    connectors: Arc<Connectors>,
}

enum Probe {
    Tcp,
    Http(http::Probe),
    Grpc(grpc::Probe),
}

/// Pingora's connectors, shared by all checks and made when first needed: each reads the system's
/// authorities.
#[derive(Default)]
pub(super) struct Connectors {
    transport: OnceLock<TransportConnector>,
    http: OnceLock<HttpConnector>,
}

impl Connectors {
    fn transport(&self) -> &TransportConnector {
        self.transport.get_or_init(|| TransportConnector::new(None))
    }

    fn http(&self) -> &HttpConnector {
        self.http.get_or_init(|| HttpConnector::new(None))
    }
}

impl Check {
    /// Probes a backend once.
    ///
    /// # Errors
    /// Why it is not fit for requests.
    pub async fn probe(&self, backend: &Backend) -> Result<(), Failure> {
        let peer = self.peer(backend);
        let answer = async {
            match &self.probe {
                Probe::Tcp => tcp::probe(self.connectors.transport(), &peer).await,
                Probe::Http(probe) => probe.probe(self.connectors.http(), &peer, &backend.authority).await,
                Probe::Grpc(probe) => probe.probe(self.connectors.http(), *peer, &backend.authority).await,
            }
        };
        timeout(self.timeout, answer).await.unwrap_or(Err(Failure::TimedOut(self.timeout)))
    }

    fn peer(&self, backend: &Backend) -> Box<HttpPeer> {
        let mut peer = backend.peer();
        if let Some(port) = self.port {
            peer._address.set_port(port.get());
        }
        // A connection for one stream is closed afterwards; one for several would be kept for the next probe.
        peer.options.max_h2_streams = 1;
        peer
    }
}

/// Checks the backends of an upstream for ever, whichever they are at the time.
pub(super) async fn run(upstream: Arc<Upstream>, check: Arc<Check>) {
    let mut changed = upstream.changed.subscribe();
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    // Dropped with this task, and all within it.
    let mut watches = JoinSet::new();
    let mut watched: HashMap<BackendId, AbortHandle> = HashMap::new();
    loop {
        let set = upstream.set.load_full();
        watched.retain(|id, watch| {
            let stays = set.backends.iter().any(|backend| backend.id() == *id);
            if !stays {
                watch.abort();
            }
            stays
        });
        for backend in &set.backends {
            watched.entry(backend.id()).or_insert_with(|| {
                let watch = Watch {
                    upstream: Arc::clone(&upstream),
                    check: Arc::clone(&check),
                    backend: Arc::clone(backend),
                    slots: Arc::clone(&slots),
                };
                watches.spawn(watch.run(fastrand::Rng::new()))
            });
        }
        drop(set);
        // Those that were stopped are taken off, or they would pile up as names change.
        while watches.try_join_next().is_some() {}
        if changed.changed().await.is_err() {
            return;
        }
    }
}

/// The checks of one backend.
struct Watch {
    upstream: Arc<Upstream>,
    check: Arc<Check>,
    backend: Arc<Backend>,
    slots: Arc<Semaphore>,
}

impl Watch {
    /// The first check at once, the second at a random time within the interval, so that backends and proxies
    /// spread out, then one each interval.
    async fn run(self, mut chance: fastrand::Rng) {
        self.once().await;
        sleep(self.check.interval.mul_f64(chance.f64())).await;
        loop {
            let next = Instant::now() + self.check.interval;
            self.once().await;
            sleep_until(next).await;
        }
    }

    async fn once(&self) {
        // The semaphore is never closed.
        let Ok(_slot) = self.slots.acquire().await else { return };
        let result = self.check.probe(&self.backend).await;
        self.upstream.events.checked(&self.upstream.name, &self.backend.label, result.is_ok());
        let verdict = self.backend.state.checked(result.is_ok(), self.check.rise, self.check.fall);
        if let Some(verdict) = verdict {
            let why = result.err().map(|failure| failure.to_string()).unwrap_or_default();
            let up = verdict == Health::Up;
            self.upstream.events.health_changed(&self.upstream.name, &self.backend.label, up, &why);
        }
    }
}

#[cfg(test)]
mod tests;
