//! Upstreams: groups of backends, which of them gets the next request, and which gets none.
//!
//! A [`Spec`] is compiled into an [`Upstream`], part of a snapshot. A request [picks](Upstream::pick) a
//! backend, connects to its [peer](Backend::peer), and tells the [`Pick`] how it went. What is learnt that
//! way and by active checks lives in the [`Registry`] and outlives reloads. [`Upstream::start`] runs checks
//! and name resolution until its [`Tasks`] are dropped. The request path takes no lock and allocates nothing
//! but the peer.

pub mod address;
pub mod backend;
pub mod balance;
mod compile;
pub mod eject;
pub mod events;
pub mod ewma;
pub mod hash;
pub mod health;
pub mod peer;
pub mod pick;
pub mod registry;
pub mod resolve;
pub mod retry;
mod set;
pub mod spec;
mod tasks;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

pub use backend::{Backend, BackendId, Health};
pub use compile::{Site, compile};
pub use events::Events;
pub use hash::{HashKey, key_hash};
pub use pick::{Outcome, Pick, Status};
pub use registry::Registry;
pub use retry::{Reached, is_retryable};
pub use spec::{Protocol, Spec};
pub use tasks::Tasks;

use balance::Algorithm;
use eject::Eject;
use health::Check;
use retry::Retries;
use set::{Set, Source};

use crate::tls::Client;

/// A group of backends that serve the same requests.
pub struct Upstream {
    name: Arc<str>,
    protocol: Protocol,
    source: Source,
    set: ArcSwap<Set>,
    /// Held while a new set is built and swapped in, so that of two changes none is lost.
    rebuild: Mutex<()>,
    /// Says that the set is another one.
    changed: watch::Sender<()>,
    eject: Option<Eject>,
    retries: Retries,
    check: Option<Arc<Check>>,
    events: Arc<dyn Events>,
}

impl Upstream {
    /// Its name in the policy.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What its backends speak.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The part of a request that decides its backend, where the upstream balances by `consistent_hash`.
    #[must_use]
    pub const fn hash_key(&self) -> Option<&HashKey> {
        match &self.source.algorithm {
            Algorithm::ConsistentHash(key) => Some(key),
            _ => None,
        }
    }

    /// The terms of TLS to its backends: certificates to warn about, files to watch.
    #[must_use]
    pub const fn tls(&self) -> Option<&Client> {
        self.source.template.tls.as_ref()
    }

    /// Tries beyond the first that a request may have; 0 where retries are off.
    #[must_use]
    pub fn attempts(&self) -> u8 {
        self.retries.attempts()
    }

    /// Whether the budget has one more try; takes it out. Ask [`is_retryable`] first, and whether there are
    /// [`attempts`](Self::attempts) left.
    #[must_use]
    pub fn may_retry(&self, now_ns: u64) -> bool {
        self.retries.withdraw(now_ns)
    }

    /// Takes up what is known of names by now. Says whether the backends are others than before.
    fn rebuild(&self) -> bool {
        let _alone = registry::held(&self.rebuild);
        let Some(set) = self.source.set_unless(&self.set.load()) else { return false };
        self.set.store(Arc::new(set));
        self.changed.send_replace(());
        true
    }
}

/// Whole nanoseconds, for clocks of 64 bits.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
