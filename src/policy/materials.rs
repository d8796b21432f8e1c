//! What policies are made with, and what outlives each of them.

use std::io;
use std::sync::Arc;

use boring::error::ErrorStack;

use crate::auth::Memory;
use crate::consumers::Kept;
use crate::filters::waf;
use crate::outbound::Outbound;
use crate::state::{Clock, State};
use crate::telemetry::logs::Logs;
use crate::telemetry::metrics::{Build, Metrics};
use crate::upstream::Registry;
use crate::upstream::resolve::{Lookup, System};

/// What a policy is made with. All of it outlives the policy.
pub struct Materials {
    /// Counters and clocks.
    pub state: Arc<State>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Health of backends.
    pub backends: Registry,
    /// Open log files.
    pub logs: Logs,
    /// Finds the addresses of names.
    pub lookup: Arc<dyn Lookup>,
    /// What we ourselves ask of others.
    pub outbound: Arc<Outbound>,
    /// What is counted and told of API keys.
    pub consumers: Arc<Kept>,
    /// Tokens that were verified, and keys of issuers.
    pub memory: Arc<Memory>,
    /// Who is told of what firewalls find, in place of whom the policy names.
    pub findings: Option<Arc<waf::Audit>>,
}

/// Why there is nothing to make policies with.
#[derive(Debug, thiserror::Error)]
pub enum MaterialsError {
    /// Metrics contradict each other, which is a mistake in the program.
    #[error("cannot register metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The resolver's configuration is of no use.
    #[error("cannot read the resolver's configuration: {0}")]
    Resolver(#[from] io::Error),
    /// The system has no randomness.
    #[error("no randomness: {0}")]
    Randomness(#[from] ErrorStack),
}

impl Materials {
    /// For a process that serves.
    ///
    /// # Errors
    /// See [`MaterialsError`].
    pub fn new() -> Result<Self, MaterialsError> {
        Self::with(Logs::new, false)
    }

    /// For a look at a policy: nothing is written anywhere.
    ///
    /// # Errors
    /// As [`Materials::new`].
    pub fn dry() -> Result<Self, MaterialsError> {
        Self::with(Logs::dry, true)
    }

    fn with(logs: fn(Arc<Metrics>) -> Logs, dry: bool) -> Result<Self, MaterialsError> {
        let version = env!("CARGO_PKG_VERSION");
        let metrics = Arc::new(Metrics::new(Build { version, revision: crate::REVISION, tls: "boringssl" })?);
        let logs = logs(metrics.clone());
        let state = Arc::new(State::new(Clock::system()));
        let lookup: Arc<dyn Lookup> = Arc::new(System::new()?);
        let outbound = Outbound::new(lookup.clone(), state.clock.clone());
        let consumers = Kept::new(state.clock.clone(), metrics.clone(), outbound.clone(), dry);
        let memory = Arc::new(Memory::new(state.clock.clone())?);
        let backends = Registry::default();
        Ok(Self { state, metrics, backends, logs, lookup, outbound, consumers, memory, findings: None })
    }
}
