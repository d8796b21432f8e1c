//! Names of backends: resolved at start, and again whenever their TTL ends.
//!
//! Always holds: what was resolved once stays in use until a lookup gives something else. A failing or empty
//! answer changes nothing but the time of the next lookup.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{Resolver, TokioResolver};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Upstream;
use super::address::Address;

/// A lookup takes no longer than this, whatever the system's resolver is configured for.
const LOOKUP_DEADLINE: Duration = Duration::from_secs(10);
const SHORTEST_TTL: Duration = Duration::from_secs(1);
const LONGEST_TTL: Duration = Duration::from_secs(300);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// Turns names into addresses.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// The IPv4 and IPv6 addresses of a name.
    ///
    /// # Errors
    /// With one lowercase fragment, when there are none or nobody who knows answers.
    async fn addresses(&self, name: &str) -> Result<Answer, String>;
}

/// Addresses of a name, and how long they may be used.
#[derive(Debug, Clone)]
pub struct Answer {
    pub addresses: Vec<IpAddr>,
    pub ttl: Duration,
}

/// The system's resolver: `/etc/hosts`, then the servers and search domains of `/etc/resolv.conf`, both as
/// they are when it is made.
pub struct System(TokioResolver);

impl System {
    /// Reads the system's configuration. Where there is none, `/etc/hosts` alone is used.
    ///
    /// # Errors
    /// When no resolver can be made of it.
    pub fn new() -> io::Result<Self> {
        let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
            log::warn!("no resolver is configured, names come from /etc/hosts alone: {error}");
            let nobody = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
            Resolver::builder_with_config(nobody, TokioRuntimeProvider::default())
        });
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        builder.build().map(Self).map_err(io::Error::other)
    }
}

#[async_trait]
impl Lookup for System {
    async fn addresses(&self, name: &str) -> Result<Answer, String> {
        let answer = self.0.lookup_ip(name).await.map_err(|error| error.to_string())?;
        let ttl = answer.valid_until().saturating_duration_since(Instant::now());
        Ok(Answer { addresses: answer.iter().collect(), ttl })
    }
}

impl Upstream {
    /// Resolves the names of which nothing is known yet once, for as long as `deadline` lets it. Never fails: a name that
    /// is not resolved by then has no backends until [`start`](Self::start)'s tasks resolve it. Call it before the first
    /// request is let in; after a reload, the addresses known before serve at once.
    pub async fn learn_within(self: &Arc<Self>, lookup: &Arc<dyn Lookup>, deadline: Duration) {
        let mut lookups = JoinSet::new();
        for name in self.names() {
            if self.source.kept.name(&name).0.load().is_empty() {
                let (upstream, lookup) = (Arc::clone(self), Arc::clone(lookup));
                lookups.spawn(async move { upstream.resolve(&name, &*lookup).await });
            }
        }
        // Those that are late are dropped with the set, and tried again by the tasks.
        let _ = timeout(deadline, async { while lookups.join_next().await.is_some() {} }).await;
    }

    /// The names among its backends, each once.
    pub(super) fn names(&self) -> Vec<Box<str>> {
        let mut names: Vec<Box<str>> = Vec::new();
        for written in &self.source.written {
            if let Address::Name { host, .. } = &written.address
                && !names.contains(host)
            {
                names.push(host.clone());
            }
        }
        names
    }

    /// Looks a name up once and takes up what has changed. Gives the time its addresses are good for.
    async fn resolve(&self, name: &str, lookup: &dyn Lookup) -> Result<Duration, ()> {
        let why = match timeout(LOOKUP_DEADLINE, lookup.addresses(name)).await {
            Ok(Ok(answer)) if !answer.addresses.is_empty() => {
                self.resolved(name, answer.addresses);
                return Ok(answer.ttl);
            }
            Ok(Ok(_)) => "no addresses".to_owned(),
            Ok(Err(why)) => why,
            Err(_) => format!("no answer within {LOOKUP_DEADLINE:?}"),
        };
        self.events.resolve_failed(&self.name, name, &why);
        Err(())
    }

    fn resolved(&self, name: &str, mut addresses: Vec<IpAddr>) {
        addresses.sort_unstable();
        addresses.dedup();
        let known = self.source.kept.name(name);
        let count = addresses.len();
        known.0.store(Arc::new(addresses));
        if self.rebuild() {
            self.events.resolved(&self.name, name, count);
        }
    }
}

/// Keeps the addresses of a name fresh, for ever.
pub(super) async fn follow(upstream: Arc<Upstream>, name: Box<str>, lookup: Arc<dyn Lookup>) {
    let mut failures = 0;
    loop {
        let pause = if let Ok(ttl) = upstream.resolve(&name, &*lookup).await {
            failures = 0;
            ttl.clamp(SHORTEST_TTL, LONGEST_TTL)
        } else {
            failures += 1;
            backoff(failures)
        };
        sleep(pause).await;
    }
}

/// One second after the first failure, then twice as long each time, up to half a minute.
fn backoff(failures: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    Duration::from_secs(1).saturating_mul(doubled).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests;
