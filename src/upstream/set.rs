//! The backends of an upstream at one moment, and the balancer made for them. Immutable: when a name's
//! addresses change, a new set takes its place in one swap, and what is known of each backend carries over.

use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

use pingora_core::protocols::l4::socket::SocketAddr as Endpoint;

use super::address::Address;
use super::backend::{Backend, BackendId};
use super::balance::{Algorithm, Balancer, Moment, Ring};
use super::peer::Template;
use super::registry::{Addresses, Kept};

/// See the module.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) backends: Box<[Arc<Backend>]>,
    balancer: Balancer,
    /// Made when it is first asked for.
    shards: OnceLock<Ring>,
}

/// Everything that decides which backends there are.
pub(super) struct Source {
    pub(super) written: Box<[Written]>,
    pub(super) algorithm: Algorithm,
    pub(super) template: Template,
    pub(super) kept: Arc<Kept>,
}

/// A backend as the policy has it.
pub(super) struct Written {
    pub(super) address: Address,
    pub(super) weight: NonZeroU32,
    /// Last known addresses, where it is a name.
    pub(super) resolved: Option<Arc<Addresses>>,
}

/// What makes a backend fit for the next try.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Respect the verdicts of active checks.
    pub(super) checked: bool,
    /// Respect ejections.
    pub(super) unejected: bool,
    /// Not one of these.
    pub(super) untried: &'a [BackendId],
}

impl Source {
    /// The set as of now.
    pub(super) fn set(&self) -> Set {
        Set::new(&self.algorithm, self.backends())
    }

    /// The set as of now, unless its backends are those of `current`.
    pub(super) fn set_unless(&self, current: &Set) -> Option<Set> {
        let backends = self.backends();
        let ids = |backends: &[Arc<Backend>]| backends.iter().map(|backend| backend.id()).collect::<Vec<_>>();
        (ids(&backends) != ids(&current.backends)).then(|| Set::new(&self.algorithm, backends))
    }

    /// Two names with an address in common give one backend, with the weight of the first.
    fn backends(&self) -> Vec<Arc<Backend>> {
        let mut backends: Vec<Arc<Backend>> = Vec::new();
        for written in &self.written {
            for endpoint in written.endpoints() {
                let backend = self.backend(written, endpoint);
                if backends.iter().all(|known| known.id() != backend.id()) {
                    backends.push(Arc::new(backend));
                }
            }
        }
        backends
    }

    fn backend(&self, written: &Written, endpoint: Endpoint) -> Backend {
        let label = match &endpoint {
            Endpoint::Inet(socket) => socket.to_string(),
            Endpoint::Unix(_) => written.address.to_string(),
        };
        Backend {
            state: self.kept.backend(&label),
            label: label.into(),
            authority: written.address.authority().into(),
            weight: written.weight,
            peer: Box::new(self.template.peer(endpoint, &written.address.host())),
        }
    }
}

impl Written {
    fn endpoints(&self) -> Vec<Endpoint> {
        match (&self.address, &self.resolved) {
            (Address::Name { port, .. }, Some(addresses)) => {
                let endpoint = |ip: &_| Endpoint::Inet((*ip, *port).into());
                addresses.0.load().iter().map(endpoint).collect()
            }
            (address, _) => address.endpoint().into_iter().collect(),
        }
    }
}

impl Set {
    fn new(algorithm: &Algorithm, backends: Vec<Arc<Backend>>) -> Self {
        let balancer = Balancer::new(algorithm, &backends);
        Self { backends: backends.into(), balancer, shards: OnceLock::new() }
    }

    /// A backend that is as wanted, by the upstream's algorithm.
    pub(super) fn choose(&self, wanted: Wanted<'_>, moment: &mut Moment<'_>) -> Option<&Arc<Backend>> {
        let now_ns = moment.now_ns;
        let index = self.balancer.choose(&self.backends, moment, |backend| wanted.fits(backend, now_ns))?;
        self.backends.get(index)
    }

    /// The backend as wanted that the shard belongs to.
    pub(super) fn choose_shard(&self, wanted: Wanted<'_>, shard: u64, now_ns: u64) -> Option<&Arc<Backend>> {
        let ring = self.shards.get_or_init(|| Ring::of(&self.backends));
        let usable =
            |index: usize| self.backends.get(index).is_some_and(|backend| wanted.fits(backend, now_ns));
        self.backends.get(ring.choose(shard, usable)?)
    }

    /// How many are ejected.
    pub(super) fn ejected(&self, now_ns: u64) -> usize {
        self.backends.iter().filter(|backend| backend.state.is_ejected(now_ns)).count()
    }
}

impl Wanted<'_> {
    fn fits(self, backend: &Backend, now_ns: u64) -> bool {
        use super::backend::Health;
        let state = &backend.state;
        let down = self.checked && state.health() == Health::Down;
        let ejected = self.unejected && state.is_ejected(now_ns);
        !down && !ejected && !self.untried.contains(&backend.id())
    }
}
