//! From a document to a [`Snapshot`], or to everything that is wrong with it.

mod doors;
mod logs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use http::HeaderName;
use sha2::{Digest, Sha256};

use super::issuers;
use super::links::Links;
use super::lists;
use super::materials::Materials;
use super::redis;
use super::route::Route;
use super::routes::{self, Routed, Routes};
use super::service::{Counters, Service};
use super::snapshot::{AdminDoor, Forwarding, Process, Snapshot};
use crate::auth::Issuers;
use crate::auth::client_cert;
use crate::auth::keys::{ConsumerSpec, Keyring};
use crate::cache::Shared;
use crate::cache::keeper::Attendant;
use crate::cache::shared::Sweeper;
use crate::config::spec::{self, ForwardedHeader, KeyStore, Policy};
use crate::config::tree::Tree;
use crate::config::{Diagnostics, Document, Issue, Node, Outcome, Path, Target};
use crate::consumers::{Consumers, Parts};
use crate::filters::chain::Chain;
use crate::filters::{Expressions, Spec, cache, waf};
use crate::net::IpSet;
use crate::net::forwarded::Style;
use crate::outbound::redis::Redis;
use crate::purging::{self, Purging};
use crate::state::Chore;
use crate::telemetry::writer::Destination;
use crate::upstream;
use crate::values::Problem;

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
    if *document.root().tree() == Tree::Null {
        let message = "the policy is empty: it needs `listeners`, and `routes` to answer anything but 404";
        return Err(Diagnostics::new(document, vec![document.root().issue(message)]));
    }
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

/// Routes as they are written.
#[derive(Default)]
struct RouteSpecs {
    whole: Vec<(Path, spec::Route)>,
    fingerprints: Vec<[u8; 32]>,
    /// What is left of those of which something is wrong.
    rests: Vec<(Path, spec::Route)>,
    /// Whether nothing is known of one.
    unreadable: bool,
}

impl RouteSpecs {
    fn all(&self) -> impl Iterator<Item = &(Path, spec::Route)> {
        self.whole.iter().chain(&self.rests)
    }

    /// What the paths of routes to an upstream have names for, if all of that is known.
    fn segments_towards(&self, upstream: &str) -> Option<BTreeSet<String>> {
        let is_towards = |(_, route): &&(Path, spec::Route)| route.upstream.as_deref() == Some(upstream);
        let mut there = self.whole.iter().filter(is_towards).peekable();
        let is_known = !self.unreadable && self.rests.is_empty() && there.peek().is_some();
        is_known.then(|| routes::segments(there))
    }
}

impl Compiler<'_> {
    fn snapshot(&mut self, document: &Document, policy: &Policy) -> Snapshot {
        self.log_level(&policy.log);
        let doors = self.doors(policy);
        let lists = lists::compile(&policy.lists, &self.base, &mut self.issues);
        let expressions = Expressions { lists: &lists, finders: None, segments: None };
        let specs = self.route_specs(policy);
        let services = self.services(policy, &specs, expressions);
        let before = self.before.map(|before| &before.redis);
        let redis = redis::compile(&policy.redis, before, self.materials, &self.base, &mut self.issues);
        let (ring, consumers) = self.consumers(policy, &redis);
        let (issuers, mut chores) =
            issuers::compile(&policy.issuers, self.materials, &self.base, &mut self.issues);
        chores.extend(consumers.iter().flat_map(Consumers::chores));
        let known = (&issuers, ring.as_ref());
        let Routed { router, routes, unrouted } = self.routes(policy, &specs, &services, known, expressions);
        if doors.len() == policy.listeners.len() {
            self.check_methods(&specs.whole, &doors);
        }
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
            admin: policy.admin.as_ref().and_then(|admin| self.admin(admin, document.root())),
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

    fn route_specs(&mut self, policy: &Policy) -> RouteSpecs {
        let mut specs = RouteSpecs::default();
        for node in &policy.routes {
            match node.read_part::<spec::Route>(&mut self.issues) {
                Outcome::Whole(spec) => {
                    specs.fingerprints.push(fingerprint(policy, node, &spec));
                    specs.whole.push((node.path().clone(), spec));
                }
                Outcome::Rest(spec) => specs.rests.push((node.path().clone(), spec)),
                Outcome::Nothing => specs.unreadable = true,
            }
        }
        specs
    }

    fn services(
        &mut self,
        policy: &Policy,
        specs: &RouteSpecs,
        expressions: Expressions<'_>,
    ) -> BTreeMap<String, Arc<Service>> {
        let mut services = BTreeMap::new();
        for (name, node) in &policy.upstreams {
            let Some(spec) = node.read::<upstream::Spec>(&mut self.issues) else { continue };
            let counters = Counters::new(self.materials.metrics.upstream(name));
            let events: Arc<dyn upstream::Events> = counters.clone();
            let registry = &self.materials.backends;
            let segments = specs.segments_towards(name);
            let segments =
                segments.as_ref().map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
            let expressions = Expressions { segments: segments.as_deref(), ..expressions };
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
        specs: &RouteSpecs,
        services: &BTreeMap<String, Arc<Service>>,
        (issuers, ring): (&Issuers, Option<&Arc<Keyring>>),
        expressions: Expressions<'_>,
    ) -> Routed {
        let names: Vec<_> = policy.upstreams.keys().map(String::as_str).collect();
        let waf = self.firewalls(&policy.waf);
        let segments = routes::segments(specs.all());
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
            made: BTreeSet::new(),
            issues: &mut self.issues,
        };
        let metrics = &self.materials.metrics;
        Routes { common: &policy.filters, services, names: &names, metrics, links }.compile(
            &specs.whole,
            &specs.fingerprints,
            &specs.rests,
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

    fn admin(&mut self, spec: &spec::Admin, root: &Node) -> Option<AdminDoor> {
        let at = Path::root().key("admin");
        let token = match spec.token.as_ref().map(|token| token.resolve(&self.base)).transpose() {
            Ok(token) => token,
            Err(error) => {
                self.issue(at.key("token"), error);
                return None;
            }
        };
        // One that is there and wrong has been told of already.
        let is_written = || root.take("admin").0.is_some_and(|admin| admin.take("token").0.is_some());
        if token.is_none() && !spec.address.is_local() && !is_written() {
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

/// The policy as JSON, without what might be a secret.
fn redacted(tree: &Tree) -> serde_json::Value {
    const SECRET: [&str; 9] = [
        "users",
        "token",
        "secret",
        "password",
        "credential",
        "sha256",
        // Headers that a filter sets.
        "authorization",
        "cookie",
        "api-key",
    ];
    let hide = |key: &str, tree: &Tree| {
        let key = key.to_ascii_lowercase();
        let word = SECRET.iter().any(|word| key.contains(word));
        let secret = word && !matches!(tree, Tree::Map(_) | Tree::Bool(_));
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
