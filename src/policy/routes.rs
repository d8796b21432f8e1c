//! From routes as written to routes as they run, and to the router that finds them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv6Addr;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use pingora::http::ResponseHeader;
use regex::Regex;

use super::links::Links;
use super::pattern::Pattern;
use super::rewrite::Template;
use super::route::{Action, Response, Rewrite, Route};
use super::router::{Answer, Conditions, PathPattern, Question, Router, Test};
use super::service::Service;
use crate::config::spec::{self, PathMatch, ValueMatch};
use crate::config::{Issue, Node, Path, Target, wording};
use crate::expr::policy::is_found;
use crate::filters::header_edits::is_reserved;
use crate::telemetry::metrics::Metrics;
use crate::values::OneOrMany;

/// A file that is sent as a body.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The name of the route that stands for everything that is not exposed.
pub(super) const UNROUTED: &str = "-";

/// What routes are made with.
pub(super) struct Routes<'a> {
    /// Filters every route begins with.
    pub common: &'a [Node],
    /// Upstreams by name.
    pub services: &'a BTreeMap<String, Arc<Service>>,
    /// All upstream names, including those that did not compile.
    pub names: &'a [&'a str],
    /// Counters.
    pub metrics: &'a Metrics,
    /// Makes the chains and holds what is wrong.
    pub links: Links<'a>,
}

/// All routes, ready to serve.
pub(super) struct Routed {
    pub router: Router,
    pub routes: Vec<Arc<Route>>,
    pub unrouted: Arc<Route>,
}

impl Routes<'_> {
    /// Compiles all routes. Of those that did not read well, the rests are searched for more that is wrong: their paths and
    /// filters are, for what a route takes and does would only be wrong because something is not there.
    pub fn compile(
        mut self,
        specs: &[(Path, spec::Route)],
        fingerprints: &[[u8; 32]],
        rests: &[(Path, spec::Route)],
    ) -> Routed {
        for (at, rest) in rests {
            self.patterns(&rest.matching, &at.key("match"));
            // Where its path is what does not read, the names in that may be any.
            self.links.chain(&rest.name, self.common, &rest.filters, self.links.segments);
        }
        let mut router = Router::default();
        let mut routes = Vec::with_capacity(specs.len());
        let mut names = HashMap::new();
        for (index, (at, spec)) in specs.iter().enumerate() {
            if let Some(first) = names.insert(spec.name.as_str(), at) {
                let message = format!("{first} has the name \"{}\" too", spec.name);
                self.issue(at.key("name"), message);
            } else if spec.name.is_empty() || spec.name == UNROUTED || spec.name.len() > 128 {
                self.issue(at.key("name"), "expected a name of 1 to 128 characters other than `-`");
            }
            let patterns = self.patterns(&spec.matching, &at.key("match"));
            self.enter(&mut router, specs, index, &patterns);
            self.links.fingerprint = fingerprints.get(index).copied().unwrap_or_default();
            routes.push(Arc::new(self.route(spec, &patterns, at)));
        }
        let chain = self.links.chain(UNROUTED, self.common, &[], &[]);
        let unrouted = Arc::new(Route {
            name: UNROUTED.into(),
            chain,
            action: Action::Nothing,
            patterns: Vec::new(),
            rewrite: Rewrite::default(),
            timeout: None,
            max_body: None,
            websocket: false,
            metrics: self.metrics.route(UNROUTED),
        });
        self.check_answers(&router, specs, &routes, &unrouted);
        if self.links.issues.is_empty() {
            self.warn_of_unused_chains();
        }
        Routed { router, routes, unrouted }
    }

    /// What a chain's filters may use depends on where it stands, so one that stands nowhere cannot be checked.
    fn warn_of_unused_chains(&self) {
        for name in self.links.chains.keys().filter(|name| !self.links.made.contains(name.as_str())) {
            log::warn!(chain = name.as_str(); "no route has this chain, so nothing of it was checked");
        }
    }

    /// Paths that a filter answers itself must lead to a route that runs it.
    fn check_answers(
        &mut self,
        router: &Router,
        specs: &[(Path, spec::Route)],
        routes: &[Arc<Route>],
        unrouted: &Arc<Route>,
    ) {
        let headers = HeaderMap::new();
        for ((at, spec), route) in specs.iter().zip(routes) {
            for (kind, path) in route.chain.answers() {
                for host in sample_hosts(&spec.matching) {
                    let host = &*host;
                    let question =
                        Question { host, path, query: "", method: &Method::GET, headers: &headers };
                    let taker = match router.find(&question) {
                        Answer::Route(index) => routes.get(index).unwrap_or(unrouted),
                        Answer::NotFound | Answer::MethodNotAllowed(_) => unrouted,
                    };
                    if taker.chain.answers().any(|answer| answer == (kind, path)) {
                        continue;
                    }
                    let message = if taker.name == unrouted.name {
                        format!("`{kind}` answers GET {path}, which no route takes")
                    } else {
                        format!(
                            "`{kind}` answers GET {path}, which the route \"{}\" takes without it",
                            taker.name
                        )
                    };
                    self.issue(at.clone(), message);
                    break;
                }
            }
        }
    }

    fn issue(&mut self, path: Path, message: impl std::fmt::Display) {
        self.links.issues.push(Issue::new(path, Target::Value, message));
    }

    /// A problem's value, or `None` once it is reported.
    fn sound<T, E: std::fmt::Display>(&mut self, at: &Path, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.issue(at.clone(), error)).ok()
    }

    fn patterns(&mut self, spec: &spec::Match, at: &Path) -> Vec<PathPattern> {
        let Some(paths) = &spec.path else {
            return vec![PathPattern::Template(Pattern { segments: Vec::new(), open: true })];
        };
        let at = at.key("path");
        let many = matches!(paths, OneOrMany::Many(_));
        if paths.as_slice().is_empty() {
            self.issue(at.clone(), "names no path: leave it out to take all");
        }
        let mut patterns = Vec::new();
        for (index, path) in paths.as_slice().iter().enumerate() {
            let at = if many { at.index(index) } else { at.clone() };
            patterns.extend(match path {
                PathMatch::Template(text) => {
                    let rules = self.links.paths;
                    let parsed = Pattern::parse(text).and_then(|pattern| pattern.normal(rules));
                    self.sound(&at, parsed).map(PathPattern::Template)
                }
                PathMatch::Regex { regex } => {
                    let regex = self.regex(&at.key("regex"), regex);
                    regex.map(PathPattern::Regex)
                }
            });
        }
        patterns
    }

    fn regex(&mut self, at: &Path, text: &str) -> Option<Regex> {
        let built = regex::RegexBuilder::new(text).size_limit(1 << 20).build();
        self.sound(at, built)
    }

    /// Makes the route known to the router under each of its hosts and paths.
    fn enter(
        &mut self,
        router: &mut Router,
        specs: &[(Path, spec::Route)],
        index: usize,
        patterns: &[PathPattern],
    ) {
        let Some((at, spec)) = specs.get(index) else { return };
        let conditions = Arc::new(self.conditions(&spec.matching, &at.key("match")));
        let hosts = self.hosts(&spec.matching, &at.key("match").key("host"));
        for host in &hosts {
            for pattern in patterns {
                if let Err(other) = router.add(index, host.as_deref(), pattern, &conditions) {
                    let Some((other_at, other)) = specs.get(other) else { return };
                    let message =
                        format!("takes the same requests as the route \"{}\" ({other_at})", other.name);
                    self.links.issues.push(Issue::new(at.key("match"), Target::Key, message));
                    return;
                }
            }
        }
    }

    fn hosts(&mut self, spec: &spec::Match, at: &Path) -> Vec<Option<String>> {
        let Some(hosts) = &spec.host else { return vec![None] };
        let many = matches!(hosts, OneOrMany::Many(_));
        if hosts.as_slice().is_empty() {
            self.issue(at.clone(), "names no host: leave it out to take all");
        }
        let mut good = Vec::new();
        for (index, host) in hosts.as_slice().iter().enumerate() {
            let at = if many { at.index(index) } else { at.clone() };
            let lower = host.to_ascii_lowercase();
            let bare = lower.strip_prefix("*.").unwrap_or(&lower);
            let label = |label: &str| {
                !label.is_empty()
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            };
            let address = lower.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            if let Some(Ok(address)) = address.map(str::parse::<Ipv6Addr>) {
                // As clients write it (RFC 5952).
                good.push(Some(format!("[{address}]")));
            } else if !bare.is_empty() && bare.split('.').all(label) {
                good.push(Some(lower));
            } else {
                let message = match lower.as_str() {
                    "*" | "_" | "" => "leave `host` out for every host",
                    _ => "expected a host without port, such as `api.example.com` or `*.example.com`",
                };
                self.issue(at, message);
            }
        }
        good
    }

    fn conditions(&mut self, spec: &spec::Match, at: &Path) -> Conditions {
        let mut conditions = Conditions::default();
        for (index, method) in spec.methods.iter().enumerate() {
            let at = at.key("methods").index(index);
            let upper = method.to_ascii_uppercase();
            if upper != *method {
                self.issue(at, format_args!("methods are case-sensitive, did you mean `{upper}`?"));
            } else if method == "CONNECT" {
                self.issue(at, "CONNECT is never proxied");
            } else if let Some(method) = self.sound(&at, Method::from_bytes(method.as_bytes())) {
                conditions.methods.push(method);
            }
        }
        for (name, value) in &spec.headers {
            let at = at.key("headers").key(name);
            let parsed = HeaderName::from_bytes(name.as_bytes());
            let test = self.test(value, &at);
            if let (Some(name), Some(test)) = (self.sound(&at, parsed), test) {
                conditions.headers.push((name, test));
            }
        }
        for (name, value) in &spec.query {
            let test = self.test(value, &at.key("query").key(name));
            conditions.query.extend(test.map(|test| (name.as_str().into(), test)));
        }
        conditions
    }

    fn test(&mut self, value: &ValueMatch, at: &Path) -> Option<Test> {
        Some(match value {
            ValueMatch::Exact(text) => Test::Exact(text.as_str().into()),
            ValueMatch::Present { present } => Test::Present(*present),
            ValueMatch::Regex { regex } => Test::Regex(self.regex(&at.key("regex"), regex)?),
        })
    }

    fn route(&mut self, spec: &spec::Route, patterns: &[PathPattern], at: &Path) -> Route {
        let patterns: Vec<Pattern> = templates(patterns).cloned().collect();
        let captures = common_captures(spec, &patterns);
        let kinds = self.links.kinds(&[self.common, &spec.filters]);
        let segments: Vec<_> = patterns.iter().flat_map(Pattern::captures).collect();
        let chain = self.links.chain(&spec.name, self.common, &spec.filters, &segments);
        Route {
            name: spec.name.as_str().into(),
            action: self.action(spec, &kinds, &captures, at),
            chain,
            rewrite: self.rewrite(&spec.rewrite, &captures, &at.key("rewrite")),
            timeout: spec.timeout.map(|timeout| *timeout),
            max_body: spec.max_body.map(crate::values::Size::bytes),
            websocket: spec.websocket,
            metrics: self.metrics.route(&spec.name),
            patterns,
        }
    }

    fn action(&mut self, spec: &spec::Route, kinds: &[&str], captures: &[&str], at: &Path) -> Action {
        let given = [spec.upstream.is_some(), spec.respond.is_some(), spec.redirect.is_some()];
        if given.iter().filter(|given| **given).count() != 1 {
            self.issue(at.clone(), "expected exactly one of `upstream`, `respond` and `redirect`");
            return Action::Nothing;
        }
        let spec::Rewrite { path, strip_prefix, host } = &spec.rewrite;
        let rewritten = path.is_some() || strip_prefix.is_some() || host.is_some();
        for (key, given) in [("rewrite", rewritten), ("timeout", spec.timeout.is_some())] {
            if given && spec.upstream.is_none() {
                self.issue(
                    at.key(key),
                    "says what an upstream sees or how long it may take, and there is none",
                );
            }
        }
        let action = if let Some(name) = &spec.upstream {
            self.upstream(name, kinds, &at.key("upstream"))
        } else if let Some(respond) = &spec.respond {
            self.respond(respond, &at.key("respond"))
        } else if let Some(redirect) = &spec.redirect {
            self.redirect(redirect, captures, &at.key("redirect"))
        } else {
            None
        };
        action.unwrap_or(Action::Nothing)
    }

    fn upstream(&mut self, name: &str, kinds: &[&str], at: &Path) -> Option<Action> {
        if let Some(service) = self.services.get(name) {
            let uses = service.hash_key().map_or(&[][..], |key| key.expression().uses());
            if let Some((field, _)) = uses.iter().find(|(field, _)| !is_found(*field, kinds)) {
                let message =
                    format!("\"{name}\" balances by {field}, which no filter of this route finds out");
                self.issue(at.clone(), message);
            }
            return Some(Action::Upstream(service.clone()));
        }
        if !self.names.contains(&name) {
            let message = wording::unknown("upstream", name, self.names);
            self.issue(at.clone(), message);
        }
        None
    }

    fn redirect(&mut self, spec: &spec::RedirectTo, captures: &[&str], at: &Path) -> Option<Action> {
        let template = self.sound(&at.key("to"), Template::parse(&spec.to, captures));
        if !matches!(spec.status, 301 | 302 | 303 | 307 | 308) {
            self.issue(at.key("status"), "expected 301, 302, 303, 307 or 308");
            return None;
        }
        Some(Action::Redirect(StatusCode::from_u16(spec.status).ok()?, template?))
    }

    fn respond(&mut self, spec: &spec::Respond, at: &Path) -> Option<Action> {
        if !(200..600).contains(&spec.status) {
            self.issue(at.key("status"), "expected a status from 200 to 599");
            return None;
        }
        let body = self.body(spec, at)?;
        if matches!(spec.status, 204 | 304) && !body.is_empty() {
            self.issue(at.key("status"), format_args!("{} has no body", spec.status));
        }
        let mut head = ResponseHeader::build(spec.status, Some(spec.headers.len() + 2)).ok()?;
        for (name, value) in &spec.headers {
            let at = at.key("headers").key(name);
            let value = self.sound(&at, HeaderValue::from_str(value));
            let parsed = self.sound(&at, HeaderName::from_bytes(name.as_bytes()));
            if parsed.as_ref().is_some_and(is_reserved) {
                self.issue(at, "frames the message or belongs to its connection: Edgeward writes it itself");
            } else if let (Some(name), Some(value)) = (parsed, value) {
                let added = head.append_header(name, value);
                self.sound(&at, added);
            }
        }
        let content_type = match (&spec.body, &spec.json) {
            (Some(_), _) => Some("text/plain; charset=utf-8"),
            (None, Some(_)) => Some("application/json"),
            (None, None) => None,
        };
        if let Some(content_type) = content_type.filter(|_| !head.headers.contains_key(CONTENT_TYPE)) {
            let added = head.insert_header(CONTENT_TYPE, content_type);
            self.sound(at, added);
        }
        Some(Action::Respond(Box::new(Response { head, body })))
    }

    fn body(&mut self, spec: &spec::Respond, at: &Path) -> Option<Bytes> {
        match (&spec.body, &spec.json, &spec.file) {
            (None, None, None) => Some(Bytes::new()),
            (Some(text), None, None) => Some(text.clone().into_bytes().into()),
            (None, Some(json), None) => Some(json.to_string().into_bytes().into()),
            (None, None, Some(file)) => {
                let read = read_file(&self.links.base.join(file));
                self.sound(&at.key("file"), read).map(Bytes::from)
            }
            _ => {
                self.issue(at.clone(), "expected at most one of `body`, `json` and `file`");
                None
            }
        }
    }

    fn rewrite(&mut self, spec: &spec::Rewrite, captures: &[&str], at: &Path) -> Rewrite {
        if let (Some(_), Some(_)) = (&spec.path, &spec.strip_prefix) {
            self.issue(at.clone(), "expected at most one of `path` and `strip_prefix`");
        }
        for (key, text) in [("path", &spec.path), ("strip_prefix", &spec.strip_prefix)] {
            if text.as_ref().is_some_and(|text| !text.starts_with('/')) {
                self.issue(at.key(key), "expected a path that begins with `/`");
            }
        }
        let path = spec.path.as_ref();
        let path = path.and_then(|path| self.sound(&at.key("path"), Template::parse(path, captures)));
        let host = spec.host.as_ref();
        let host = host.and_then(|host| self.sound(&at.key("host"), HeaderValue::from_str(host)));
        let strip_prefix = spec.strip_prefix.as_ref().map(|prefix| prefix.trim_end_matches('/').into());
        Rewrite { path, strip_prefix, host }
    }
}

fn templates(patterns: &[PathPattern]) -> impl Iterator<Item = &Pattern> {
    patterns.iter().filter_map(|pattern| match pattern {
        PathPattern::Template(pattern) => Some(pattern),
        PathPattern::Regex(_) => None,
    })
}

/// A host of each pattern of a route.
fn sample_hosts(spec: &spec::Match) -> Vec<String> {
    let Some(hosts) = &spec.host else { return vec![String::new()] };
    hosts.as_slice().iter().map(|host| host.to_ascii_lowercase().replace('*', "any")).collect()
}

/// What the paths of any route have names for.
pub(super) fn segments<'a>(specs: impl Iterator<Item = &'a (Path, spec::Route)>) -> BTreeSet<String> {
    let paths = specs.filter_map(|(_, spec)| spec.matching.path.as_ref());
    let templates = paths.flat_map(OneOrMany::as_slice).filter_map(|path| match path {
        PathMatch::Template(text) => Pattern::parse(text).ok(),
        PathMatch::Regex { .. } => None,
    });
    templates.flat_map(|pattern| pattern.captures().map(ToOwned::to_owned).collect::<Vec<_>>()).collect()
}

/// The captures that every path of a route defines: only these can be relied on.
fn common_captures<'a>(spec: &spec::Route, patterns: &'a [Pattern]) -> Vec<&'a str> {
    let written = spec.matching.path.as_ref().map_or(0, |paths| paths.as_slice().len());
    match patterns.split_first() {
        Some((first, others)) if written == patterns.len() => first
            .captures()
            .filter(|name| others.iter().all(|other| other.captures().any(|capture| capture == *name)))
            .collect(),
        _ => Vec::new(),
    }
}

fn read_file(path: &FilePath) -> Result<Vec<u8>, String> {
    let told = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let length = std::fs::metadata(path).map_err(told)?.len();
    if length > MAX_FILE_BYTES {
        return Err(format!("{} has {length} bytes, at most {MAX_FILE_BYTES} are sent", path.display()));
    }
    std::fs::read(path).map_err(told)
}
