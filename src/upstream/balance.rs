//! Which backend gets the next request.
//!
//! Choosing locks nothing and allocates nothing. Every algorithm honours weights and asks `usable` before it
//! names a backend, so that health, ejection and earlier tries are decided in one place
//! ([`Upstream::pick`](super::Upstream)).

mod least_connections;
mod p2c_ewma;
mod ring;
mod round_robin;
mod spec;
mod weighted;

use std::sync::Arc;

use fastrand::Rng;

pub use self::spec::{Hash, Spec, Word};

pub(super) use self::ring::Ring;
use self::round_robin::RoundRobin;
use self::weighted::Weighted;
use super::backend::Backend;
use super::hash::HashKey;

/// An algorithm as the policy names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Algorithm {
    RoundRobin,
    Random,
    LeastConnections,
    P2cEwma,
    ConsistentHash(HashKey),
}

/// An algorithm made ready for a fixed list of backends.
#[derive(Debug)]
pub(super) enum Balancer {
    RoundRobin(RoundRobin),
    Random(Weighted),
    LeastConnections,
    P2cEwma,
    /// What has no key to hash is spread at random.
    ConsistentHash(Ring, Weighted),
}

/// What a choice depends on beside the backends.
pub(super) struct Moment<'a> {
    /// Hash of the key, where the request has one.
    pub(super) hash: Option<u64>,
    pub(super) now_ns: u64,
    pub(super) chance: &'a mut Rng,
}

impl Balancer {
    pub(super) fn new(algorithm: &Algorithm, backends: &[Arc<Backend>]) -> Self {
        let weights = || backends.iter().map(|backend| backend.weight.get());
        match algorithm {
            Algorithm::RoundRobin => Self::RoundRobin(RoundRobin::new(weights())),
            Algorithm::Random => Self::Random(Weighted::new(weights())),
            Algorithm::LeastConnections => Self::LeastConnections,
            Algorithm::P2cEwma => Self::P2cEwma,
            Algorithm::ConsistentHash(_) => {
                Self::ConsistentHash(Ring::of(backends), Weighted::new(weights()))
            }
        }
    }

    /// The index of a usable backend of the list it was made for; `None` where none is usable.
    pub(super) fn choose(
        &self,
        backends: &[Arc<Backend>],
        moment: &mut Moment<'_>,
        usable: impl Fn(&Backend) -> bool,
    ) -> Option<usize> {
        let usable = |index: usize| backends.get(index).is_some_and(|backend| usable(backend));
        match self {
            Self::RoundRobin(turns) => turns.choose(moment.chance, usable),
            Self::Random(weighted) => weighted.choose(moment.chance, usable),
            Self::LeastConnections => least_connections::choose(backends, moment.chance, usable),
            Self::P2cEwma => p2c_ewma::choose(backends, moment, usable),
            Self::ConsistentHash(ring, weighted) => match moment.hash {
                Some(hash) => ring.choose(hash, usable),
                None => weighted.choose(moment.chance, usable),
            },
        }
    }
}
