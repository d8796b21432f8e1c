//! Everything a request needs to know of the policy, as one immutable value. A request holds on to the one it began
//! with; a reload puts another in its place for those that come after.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use tokio::task::JoinSet;

use super::door::Door;
use super::route::Route;
use super::router::{Answer, Question, Router};
use super::service::Service;
use crate::cache::Shared;
use crate::consumers::Consumers;
use crate::http::path::Rules;
use crate::net::forwarded::Style;
use crate::net::{IpSet, ListenAddress};
use crate::outbound::redis::Redis;
use crate::purging::Purging;
use crate::state::Chore;
use crate::telemetry::access_log::AccessLog;
use crate::upstream::resolve::Lookup;
use crate::values::SecretString;

/// A policy that runs.
pub struct Snapshot {
    /// The listeners.
    pub doors: Vec<Arc<Door>>,
    /// All upstreams by name; each is checked and resolved whether or not a route uses it.
    pub services: BTreeMap<String, Arc<Service>>,
    /// Whose word about clients is taken.
    pub forwarding: Forwarding,
    /// How paths are normalised.
    pub paths: Rules,
    /// Where lines about requests go.
    pub access_log: Option<AccessLog>,
    /// The listener for operators.
    pub admin: Option<AdminDoor>,
    /// The process itself.
    pub process: Process,
    /// The request headers by which filters tell upstreams who calls. What clients send under these names, or under what
    /// many servers cannot tell from them, is removed from every request.
    pub vouched: Vec<HeaderName>,
    /// Who calls, by which keys.
    pub consumers: Option<Arc<Consumers>>,
    /// What is stored of responses; `None` if no route has a cache.
    pub cache: Option<Arc<Shared>>,
    /// What shares the purges of the cache with a fleet.
    pub purging: Option<Arc<Purging>>,
    /// What a fleet has in common, by name.
    pub redis: BTreeMap<String, Arc<Redis>>,
    /// The query parameters by which filters are given credentials; no log shows their values.
    pub secret_parameters: Vec<Box<str>>,
    /// The cookies that are between browsers and filters alone. They and their parts go to no upstream.
    pub secret_cookies: Vec<Box<str>>,
    /// What goes on in the background while the policy is in force.
    pub chores: Vec<Arc<dyn Chore>>,
    /// The policy file and every file it names.
    pub files: Vec<PathBuf>,
    /// The policy as written, without secrets, for `/config`.
    pub redacted: String,
    pub(super) router: Router,
    pub(super) routes: Vec<Arc<Route>>,
    pub(super) unrouted: Arc<Route>,
}

/// What the policy says of the process.
#[derive(Debug, Clone)]
pub struct Process {
    /// The echo backend's address.
    pub echo: Option<ListenAddress>,
    /// Most open connections.
    pub max_connections: u32,
    /// How long connections may take to end.
    pub drain: Duration,
    /// Worker threads; `None`: one a core. Takes effect at start alone.
    pub workers: Option<u16>,
    /// Where the upgrade socket and the pid file live, if the policy says so. Takes effect at start alone.
    pub runtime_directory: Option<PathBuf>,
    /// Whether to reload when one of the policy's files changes.
    pub watch: bool,
}

/// Whose word about a client's address is taken, and where it stands.
pub struct Forwarding {
    /// These hops.
    pub trusted: IpSet,
    /// In this header.
    pub style: Style,
}

/// The admin listener as it runs.
#[derive(Debug, Clone)]
pub struct AdminDoor {
    /// Where it listens.
    pub address: ListenAddress,
    /// What it asks for.
    pub token: Option<SecretString>,
}

impl Snapshot {
    /// The route for a request. Where none takes it, the one that stands for all that is not exposed, and the methods
    /// that would have been right.
    pub fn route(&self, question: &Question<'_>) -> (&Arc<Route>, Vec<http::Method>) {
        match self.router.find(question) {
            Answer::Route(index) => (self.routes.get(index).unwrap_or(&self.unrouted), Vec::new()),
            Answer::NotFound => (&self.unrouted, Vec::new()),
            Answer::MethodNotAllowed(methods) => (&self.unrouted, methods),
        }
    }

    /// Waits for what is to be known before requests come, but not longer than `time`.
    pub async fn learn_within(&self, lookup: &Arc<dyn Lookup>, time: Duration) {
        let names: JoinSet<()> = self
            .services
            .values()
            .map(|service| (service.upstream().clone(), lookup.clone()))
            .map(|(upstream, lookup)| async move { upstream.learn_within(&lookup, time).await })
            .collect();
        let consumers = async {
            if let Some(consumers) = &self.consumers {
                consumers.learn_within(time).await;
            }
        };
        let purging = async {
            if let Some(purging) = &self.purging {
                purging.learn_within(time).await;
            }
        };
        tokio::join!(consumers, purging, names.join_all());
    }

    /// The addresses that are for operators, not for clients.
    pub fn operators(&self) -> impl Iterator<Item = &ListenAddress> {
        let admin = self.admin.as_ref().map(|admin| &admin.address);
        admin.into_iter().chain(&self.process.echo)
    }

    /// The route of this name.
    pub fn named(&self, name: &str) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| *route.name == *name)
    }

    /// How many routes there are.
    pub fn route_count(&self) -> usize {
        self.routes.len()
    }

    /// The listener at an address.
    pub fn door(&self, address: &ListenAddress) -> Option<&Arc<Door>> {
        self.doors.iter().find(|door| door.address == *address)
    }

    /// The route that stands for everything that is not exposed.
    pub fn unrouted(&self) -> &Arc<Route> {
        &self.unrouted
    }
}
