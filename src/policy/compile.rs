//! From a document to a [`Snapshot`], or to everything that is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use boring::error::ErrorStack;
use http::HeaderName;
use sha2::{Digest, Sha256};

use super::door::{Door, DoorLimits};
use super::issuers;
use super::links::Links;
use super::lists;
use super::redis;
use super::route::Route;
use super::routes::{self, Routed, Routes};
use super::service::{Counters, Service};
use super::snapshot::{AdminDoor, Forwarding, Process, Snapshot};
use crate::auth::client_cert;
use crate::auth::keys::{ConsumerSpec, Keyring};
use crate::auth::{Issuers, Memory};
use crate::cache::Shared;
use crate::cache::keeper::Attendant;
use crate::cache::shared::Sweeper;
use crate::config::spec::{self, AccessLogTarget, ForwardedHeader, KeyStore, Policy};
use crate::config::tree::Tree;
use crate::config::{Diagnostics, Document, Issue, Node, Outcome, Path, Target};
use crate::consumers::{Consumers, Kept, Parts};
use crate::filters::chain::Chain;
use crate::filters::{Expressions, Spec, cache, waf};
use crate::net::forwarded::Style;
use crate::net::{IpSet, ListenAddress};
use crate::outbound::Outbound;
use crate::outbound::redis::Redis;
use crate::purging::{self, Purging};
use crate::state::{Chore, Clock, State};
use crate::telemetry::access_log::{AccessLog, Selection};
use crate::telemetry::log::Filter;
use crate::telemetry::logs::Logs;
use crate::telemetry::metrics::{Build, Metrics};
use crate::telemetry::writer::Destination;
use crate::tls::Acceptor;
use crate::upstream::resolve::{Lookup, System};
use crate::upstream::{self, Registry};
use crate::values::Problem;

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

/// Makes the policy that `document` describes. `before` is the one in force, whose TLS state goes on where it fits.
///
/// # Errors
/// All that is wrong, in the order of the text.
pub fn compile(
    document: &Document,
    materials: &Materials,
    before: Option<&Snapshot>,
) -> Result<Snapshot, Diagnostics> {
    let mut issues = Vec::new();
    let base = FilePath::new(document.name()).parent().unwrap_or(FilePath::new("")).to_owned();
    let policy = document.root().read::<Policy>(&mut issues);
    let mut compiler = Compiler { materials, before, base, issues, elsewhere: None };
    let snapshot = policy.map(|policy| compiler.snapshot(document, &policy));
    match (snapshot, compiler.elsewhere) {
        (Some(snapshot), None) if compiler.issues.is_empty() => Ok(snapshot),
        (_, elsewhere) => {
            let wrong = Diagnostics::new(document, compiler.issues);
            Err(elsewhere.into_iter().fold(wrong, Diagnostics::and))
        }
    }
}

struct Compiler<'a> {
    materials: &'a Materials,
    before: Option<&'a Snapshot>,
    base: PathBuf,
    issues: Vec<Issue>,
    /// What is wrong in another file.
    elsewhere: Option<Diagnostics>,
}

impl Compiler<'_> {
    fn snapshot(&mut self, document: &Document, policy: &Policy) -> Snapshot {
        self.log_level(&policy.log);
        let doors = self.doors(policy);
        let lists = lists::compile(&policy.lists, &self.base, &mut self.issues);
        let expressions = Expressions { lists: &lists, finders: None, segments: None };
        let services = self.services(policy, expressions);
        let before = self.before.map(|before| &before.redis);
        let redis = redis::compile(&policy.redis, before, self.materials, &self.base, &mut self.issues);
        let (ring, consumers) = self.consumers(policy, &redis);
        let (issuers, mut chores) =
            issuers::compile(&policy.issuers, self.materials, &self.base, &mut self.issues);
        chores.extend(consumers.iter().flat_map(Consumers::chores));
        let known = (&issuers, ring.as_ref());
        let Routed { router, routes, unrouted } = self.routes(policy, &services, known, expressions);
        self.check_logged_headers(&policy.access_log, &routes, &unrouted);
        let cache = self.cache(&policy.cache, routes.iter().chain([&unrouted]), &mut chores);
        let purging = self.purging(policy, cache.as_ref(), &redis);
        chores.extend(purging.clone().map(|purging| -> Arc<dyn Chore> { purging }));
        let chains = || routes.iter().chain([&unrouted]).map(|route| &route.chain);
        Snapshot {
            doors,
            forwarding: Forwarding {
                trusted: IpSet::new(policy.server.trusted_proxies.iter().copied()),
                style: match policy.server.forwarded_header {
                    ForwardedHeader::XForwardedFor => Style::XForwardedFor,
                    ForwardedHeader::Forwarded => Style::Forwarded,
                },
            },
            paths: policy.paths,
            access_log: self.access_log(&policy.access_log),
            admin: policy.admin.as_ref().and_then(|admin| self.admin(admin)),
            process: Process {
                echo: policy.server.echo.clone(),
                max_connections: policy.server.max_connections,
                drain: *policy.server.drain,
                workers: policy.server.workers,
                runtime_directory: policy.server.runtime_directory.clone(),
                watch: policy.server.watch,
            },
            vouched: vouched(&routes, &unrouted),
            secret_parameters: each_once(chains().flat_map(Chain::secret_parameters)),
            secret_cookies: each_once(chains().flat_map(Chain::secret_cookies)),
            chores,
            files: self.files(document, consumers.as_ref().and_then(|consumers| consumers.followed())),
            consumers,
            cache,
            purging,
            redis,
            redacted: redacted(document.root().tree()).to_string(),
            services,
            router,
            routes,
            unrouted,
        }
    }

    fn issue(&mut self, path: Path, message: impl std::fmt::Display) {
        self.issues.push(Issue::new(path, Target::Value, message));
    }

    fn problems(&mut self, at: &Path, problems: impl IntoIterator<Item = Problem>) {
        self.issues.extend(problems.into_iter().map(|problem| Issue::from_problem(at, &problem)));
    }

    fn doors(&mut self, policy: &Policy) -> Vec<Arc<Door>> {
        let at = Path::root().key("listeners");
        if policy.listeners.is_empty() {
            self.issue(at, "expected at least one listener");
        }
        let mut listeners = Vec::new();
        for node in &policy.listeners {
            listeners.extend(node.read::<spec::Listener>(&mut self.issues).map(|listener| (node, listener)));
        }
        let https = https_port(listeners.iter().map(|(_, listener)| listener));
        let mut doors: Vec<Arc<Door>> = Vec::new();
        for (node, listener) in &listeners {
            let other = doors.iter().map(|door| &door.address).find(|other| clash(other, &listener.address));
            if let Some(other) = other {
                self.issue(node.path().key("address"), format_args!("overlaps the listener at {other}"));
            }
            doors.extend(self.door(listener, node.path(), policy, https).map(Arc::new));
        }
        self.operators(policy, &listeners);
        doors
    }

    /// What is not for clients needs addresses of its own.
    fn operators(&mut self, policy: &Policy, listeners: &[(&Node, spec::Listener)]) {
        let at = |section, key| Path::root().key(section).key(key);
        let admin = policy.admin.as_ref().map(|admin| (at("admin", "address"), &admin.address));
        let echo = policy.server.echo.as_ref().map(|echo| (at("server", "echo"), echo));
        for (at, address) in admin.iter().chain(&echo) {
            let addresses = listeners.iter().map(|(_, listener)| &listener.address);
            if let Some(other) = addresses.into_iter().find(|other| clash(other, address)) {
                self.issue(at.clone(), format_args!("overlaps the listener at {other}"));
            }
        }
        if let (Some((_, admin)), Some((at, echo))) = (&admin, &echo)
            && clash(admin, echo)
        {
            self.issue(at.clone(), format_args!("overlaps the admin listener at {admin}"));
        }
    }

    fn door(&mut self, spec: &spec::Listener, at: &Path, policy: &Policy, https: u16) -> Option<Door> {
        let own = spec.limits.as_ref().map(|limits| (limits, at.clone()));
        let (limits, limits_at) = own.unwrap_or((&policy.limits, Path::root()));
        let compiled = DoorLimits::compile(limits);
        let limits = compiled.map_err(|problems| self.problems(&limits_at.key("limits"), problems)).ok();
        if spec.redirect.is_some() && spec.tls.is_some() {
            self.issue(at.key("redirect"), "this listener speaks https already");
        }
        if spec.h2c && spec.tls.is_some() {
            self.issue(at.key("h2c"), "h2c is HTTP/2 without TLS; with TLS, HTTP/2 is negotiated by itself");
        }
        let tls = match &spec.tls {
            Some(tls) => Some(self.acceptor(tls, &spec.address, &at.key("tls"))?),
            None => None,
        };
        Some(Door {
            address: spec.address.clone(),
            name: spec.address.to_string().into(),
            tls,
            redirect: spec.redirect.map(|_| https),
            h2c: spec.h2c,
            proxy_protocol: spec
                .proxy_protocol
                .as_ref()
                .map(|proxy| IpSet::new(proxy.trusted.iter().copied())),
            limits: limits?,
            metrics: self.materials.metrics.listener(&spec.address.to_string()),
        })
    }

    /// The acceptor in force goes on where the new policy would make the same, so that session tickets stay good.
    fn acceptor(
        &mut self,
        spec: &crate::tls::ServerSpec,
        address: &ListenAddress,
        at: &Path,
    ) -> Option<Arc<Acceptor>> {
        let before = self.before.and_then(|before| before.door(address)).and_then(|door| door.tls.clone());
        if let Some(acceptor) = before.filter(|acceptor| acceptor.serves(spec, &self.base)) {
            return Some(acceptor);
        }
        match Acceptor::load(spec, &self.base) {
            Ok(acceptor) => Some(Arc::new(acceptor)),
            Err(problems) => {
                self.problems(at, problems);
                None
            }
        }
    }

    fn services(&mut self, policy: &Policy, expressions: Expressions<'_>) -> BTreeMap<String, Arc<Service>> {
        let mut services = BTreeMap::new();
        for (name, node) in &policy.upstreams {
            let Some(spec) = node.read::<upstream::Spec>(&mut self.issues) else { continue };
            let counters = Counters::new(self.materials.metrics.upstream(name));
            let events: Arc<dyn upstream::Events> = counters.clone();
            let registry = &self.materials.backends;
            match upstream::compile(
                name,
                spec,
                &upstream::Site { registry, events: &events, base: &self.base, expressions },
            ) {
                Ok(upstream) => {
                    services.insert(name.clone(), Arc::new(Service::new(upstream, counters)));
                }
                Err(problems) => self.problems(node.path(), problems),
            }
        }
        services
    }

    /// Who may call; none at all if the policy knows of nobody and has no store. If something is wrong with them, filters
    /// find a ring without keys, so that nothing follows from it.
    fn consumers(
        &mut self,
        policy: &Policy,
        redis: &BTreeMap<String, Arc<Redis>>,
    ) -> (Option<Arc<Keyring>>, Option<Arc<Consumers>>) {
        if policy.consumers.is_empty() && policy.api_keys.is_none() {
            return (None, None);
        }
        let before = self.issues.len();
        let read = |node: &Node| node.read::<ConsumerSpec>(&mut self.issues);
        let consumers = policy.consumers.iter().filter_map(read).collect();
        if self.issues.len() > before {
            return (Some(Arc::default()), None);
        }
        // Of one that is there and wrong it is told what is wrong; that there is none would only follow from that.
        let named = policy.api_keys.as_ref().and_then(|keys| match &keys.store {
            Some(KeyStore::Redis { redis }) => Some(redis),
            _ => None,
        });
        if named.is_some_and(|name| policy.redis.contains_key(name) && !redis.contains_key(name)) {
            return (Some(Arc::default()), None);
        }
        let parts = Parts {
            inline: crate::auth::keys::Document { consumers },
            keys: policy.api_keys.as_ref(),
            redis,
            state_directory: policy.server.state_directory.as_deref(),
            base: &self.base,
        };
        match Consumers::compile(parts, &self.materials.consumers) {
            Ok(consumers) => (Some(consumers.ring.clone()), Some(consumers)),
            Err(wrong) => {
                self.problems(&Path::root(), wrong.policy);
                self.elsewhere = wrong.store;
                (Some(Arc::default()), None)
            }
        }
    }

    fn routes(
        &mut self,
        policy: &Policy,
        services: &BTreeMap<String, Arc<Service>>,
        (issuers, ring): (&Issuers, Option<&Arc<Keyring>>),
        expressions: Expressions<'_>,
    ) -> Routed {
        let names: Vec<_> = policy.upstreams.keys().map(String::as_str).collect();
        let (mut specs, mut fingerprints, mut rests) = (Vec::new(), Vec::new(), Vec::new());
        for node in &policy.routes {
            match node.read_part::<spec::Route>(&mut self.issues) {
                Outcome::Whole(spec) => {
                    fingerprints.push(fingerprint(policy, node, &spec));
                    specs.push((node.path().clone(), spec));
                }
                Outcome::Rest(spec) => rests.push((node.path().clone(), spec)),
                Outcome::Nothing => {}
            }
        }
        let waf = self.firewalls(&policy.waf);
        let segments = routes::segments(specs.iter().chain(&rests));
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        let links = Links {
            chains: &policy.chains,
            state: &self.materials.state,
            expressions,
            outbound: &self.materials.outbound,
            ring,
            issuers,
            paths: policy.paths,
            waf: &waf,
            cache: &policy.cache,
            upstreams: &names,
            segments: &segments,
            fingerprint: [0; 32],
            metrics: &self.materials.metrics,
            base: &self.base,
            issues: &mut self.issues,
        };
        let metrics = &self.materials.metrics;
        Routes { common: &policy.filters, services, names: &names, metrics, links }.compile(
            &specs,
            &fingerprints,
            &rests,
        )
    }

    /// The cache, if a route uses it, as large as the policy wants it, and what is to be done for it.
    fn cache<'r>(
        &mut self,
        spec: &cache::Store,
        mut routes: impl Iterator<Item = &'r Arc<Route>>,
        chores: &mut Vec<Arc<dyn Chore>>,
    ) -> Option<Arc<Shared>> {
        let terms = spec.terms(&self.base);
        let terms = terms.map_err(|problem| self.problems(&Path::root().key("cache"), [problem])).ok()?;
        let is_used = routes.any(|route| route.chain.kinds().any(|kind| kind == <cache::Spec as Spec>::KIND));
        if !is_used || !self.issues.is_empty() {
            return None;
        }
        let shared = cache::shared(&self.materials.state, spec, &self.materials.metrics);
        shared.store.memory().resize(spec.size());
        chores.push(Arc::new(Sweeper(shared.clone())));
        chores.push(Arc::new(Attendant { shared: shared.clone(), terms }));
        Some(shared)
    }

    /// What shares the purges of the cache with a fleet, if the policy says so.
    fn purging(
        &mut self,
        policy: &Policy,
        cache: Option<&Arc<Shared>>,
        redis: &BTreeMap<String, Arc<Redis>>,
    ) -> Option<Arc<Purging>> {
        let name = &policy.cache.purges.as_ref()?.redis;
        // Of one that is there and wrong, that is told.
        if policy.redis.contains_key(name) && !redis.contains_key(name) {
            return None;
        }
        match purging::named(name, redis) {
            Ok(redis) => cache.map(|cache| Purging::new(Arc::clone(cache), redis)),
            Err(message) => {
                self.issue(Path::root().key("cache").key("purges").key("redis"), message);
                None
            }
        }
    }

    /// The level takes effect at start alone, but must be good at any time.
    fn log_level(&mut self, spec: &spec::Log) {
        if let Err(error) = spec.level.parse::<Filter>() {
            self.issue(Path::root().key("log").key("level"), error);
        }
    }

    fn firewalls(&mut self, settings: &waf::Settings) -> waf::Common {
        let mut audit = self.materials.findings.clone();
        if let Some(to) = settings.audit.to.as_ref().filter(|_| audit.is_none()) {
            let destination = match to.to_str() {
                Some("stdout") => Destination::Stdout,
                _ => Destination::File(self.base.join(to)),
            };
            match self.materials.logs.open(destination) {
                Ok(to) => audit = Some(Arc::new(waf::Audit::Log { to, values: settings.audit.values })),
                Err(error) => self.issue(Path::root().key("waf").key("audit").key("to"), error),
            }
        }
        waf::Common { settings: settings.clone(), audit }
    }

    fn access_log(&mut self, spec: &spec::AccessLog) -> Option<AccessLog> {
        let at = Path::root().key("access_log");
        let destination = match &spec.to {
            AccessLogTarget::Off => return None,
            AccessLogTarget::Stdout => Destination::Stdout,
            AccessLogTarget::File(path) => Destination::File(self.base.join(path)),
        };
        let writer = match self.materials.logs.open(destination) {
            Ok(writer) => writer,
            Err(error) => {
                self.issue(at.key("to"), error);
                return None;
            }
        };
        let selection = Selection {
            fields: spec.fields.clone().unwrap_or_else(|| Selection::default().fields),
            request_headers: spec.request_headers.clone(),
            response_headers: spec.response_headers.clone(),
        };
        match AccessLog::compile(&selection, writer) {
            Ok(log) => Some(log),
            Err(errors) => {
                for error in errors {
                    self.issue(at.clone(), error);
                }
                None
            }
        }
    }

    /// What holds credentials on one route is logged on none.
    fn check_logged_headers(&mut self, spec: &spec::AccessLog, routes: &[Arc<Route>], unrouted: &Arc<Route>) {
        let at = Path::root().key("access_log").key("request_headers");
        for (index, name) in spec.request_headers.iter().enumerate() {
            let holds = |route: &&Arc<Route>| {
                route.chain.secret_headers().any(|secret| name.eq_ignore_ascii_case(secret.as_str()))
            };
            if let Some(route) = routes.iter().chain([unrouted]).find(holds) {
                let message = format!("{name} holds credentials on the route {}", route.name);
                self.issue(at.index(index), message);
            }
        }
    }

    fn admin(&mut self, spec: &spec::Admin) -> Option<AdminDoor> {
        let at = Path::root().key("admin");
        let token = match spec.token.as_ref().map(|token| token.resolve(&self.base)).transpose() {
            Ok(token) => token,
            Err(error) => {
                self.issue(at.key("token"), error);
                return None;
            }
        };
        if token.is_none() && !spec.address.is_local() {
            self.issue(at.key("address"), "not a loopback address, so `token` is needed");
        }
        Some(AdminDoor { address: spec.address.clone(), token })
    }

    /// The policy and every file it names: whatever text in it is the path of a file. But not the one that is followed by
    /// itself.
    fn files(&self, document: &Document, followed: Option<&FilePath>) -> Vec<PathBuf> {
        let mut files = vec![PathBuf::from(document.name())];
        // What is written to changes all the time, and says nothing.
        let read = |(key, _): &&(String, Tree)| !matches!(key.as_str(), "access_log" | "log");
        let mut nodes: Vec<&Tree> = match document.root().tree() {
            Tree::Map(entries) => entries.iter().filter(read).map(|(_, tree)| tree).collect(),
            _ => Vec::new(),
        };
        while let Some(tree) = nodes.pop() {
            match tree {
                Tree::Map(entries) => nodes.extend(entries.iter().map(|(_, tree)| tree)),
                Tree::List(items) => nodes.extend(items.iter().map(|(_, tree)| tree)),
                Tree::Text(text) if !text.is_empty() && text.len() < 4096 && !text.contains('\0') => {
                    let path = self.base.join(text);
                    if path.is_file() && followed != Some(path.as_path()) {
                        files.push(path);
                    }
                }
                _ => {}
            }
        }
        files.sort();
        files.dedup();
        files
    }
}

/// The names under which filters tell upstreams who calls, each once; those of RFC 9440 also where no filter uses them
/// (its section 2.4).
fn vouched(routes: &[Arc<Route>], unrouted: &Arc<Route>) -> Vec<HeaderName> {
    let routes = routes.iter().chain([unrouted]);
    let mut names: Vec<HeaderName> = routes.flat_map(|route| route.chain.vouched()).cloned().collect();
    names.extend([client_cert::CLIENT_CERT, client_cert::CLIENT_CERT_CHAIN]);
    names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    names.dedup();
    names
}

/// Tells apart all policies under which a route may answer: what is written for it, for all routes, in chains, and for
/// its upstream. A stored response is of use under one of them alone.
fn fingerprint(policy: &Policy, node: &Node, spec: &spec::Route) -> [u8; 32] {
    let chains = policy.chains.values().flatten();
    let upstream = spec.upstream.as_ref().and_then(|name| policy.upstreams.get(name));
    let mut hash = Sha256::new();
    for node in [node].into_iter().chain(&policy.filters).chain(chains).chain(upstream) {
        let text = node.tree().to_json().to_string();
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

/// What the chains of all routes name, each once.
fn each_once<'r>(routes: impl Iterator<Item = &'r str>) -> Vec<Box<str>> {
    let names: BTreeSet<&str> = routes.collect();
    names.into_iter().map(Into::into).collect()
}

/// Whether two listeners cannot both have their address.
fn clash(one: &ListenAddress, other: &ListenAddress) -> bool {
    one == other || one.overlaps(other)
}

/// Where `redirect: https` leads: 443, unless TLS is spoken on other ports alone.
fn https_port<'a>(listeners: impl Iterator<Item = &'a spec::Listener>) -> u16 {
    const HTTPS: u16 = 443;
    let with_tls = listeners.filter(|listener| listener.tls.is_some());
    let ports: Vec<_> = with_tls
        .filter_map(|listener| match listener.address {
            ListenAddress::Ip(address) => Some(address.port()),
            ListenAddress::Unix(_) => None,
        })
        .collect();
    if ports.contains(&HTTPS) { HTTPS } else { ports.first().copied().unwrap_or(HTTPS) }
}

/// The policy as JSON, without what might be a secret.
fn redacted(tree: &Tree) -> serde_json::Value {
    const SECRET: [&str; 6] = ["users", "token", "secret", "password", "credential", "sha256"];
    let hide = |key: &str, tree: &Tree| {
        let secret = SECRET.iter().any(|word| key.contains(word)) && !matches!(tree, Tree::Map(_));
        if secret { serde_json::Value::from("***") } else { redacted(tree) }
    };
    match tree {
        Tree::Map(entries) => serde_json::Value::Object(
            entries.iter().map(|(key, tree)| (key.clone(), hide(key, tree))).collect(),
        ),
        Tree::List(items) => items.iter().map(|(_, tree)| redacted(tree)).collect(),
        scalar => scalar.to_json(),
    }
}
