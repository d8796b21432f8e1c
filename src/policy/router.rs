//! Which route takes a request.
//!
//! The most specific route that matches wins, in this order: the host (exact, then the longest wildcard, then
//! routes without a host), the path (literal segments before captures, expressions in file order after all exact
//! templates, then the longest `/**`), and last the number of further conditions (headers and query parameters,
//! then methods). Two routes that no request could tell apart are an error when the policy is checked.
//!
//! The cost of a search depends on the depth of the path, not on the number of routes.

use std::collections::HashMap;

use http::{HeaderMap, Method};
use regex::Regex;

use super::pattern::{Pattern, Segment};
use crate::http::query;

/// A route's place among all routes, in file order.
pub type RouteIndex = usize;

/// What else than host and path a route asks for.
#[derive(Debug, Default, Clone)]
pub struct Conditions {
    /// Empty: any. `GET` brings `HEAD`.
    pub methods: Vec<Method>,
    /// Names and tests of headers.
    pub headers: Vec<(http::HeaderName, Test)>,
    /// Names and tests of query parameters.
    pub query: Vec<(Box<str>, Test)>,
}

/// What a value must be.
#[derive(Debug, Clone)]
pub enum Test {
    /// Exactly this.
    Exact(Box<str>),
    /// Something that matches.
    Regex(Regex),
    /// There, or not there.
    Present(bool),
}

/// What a request is routed by.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Lower-case, without port; empty where there is none.
    pub host: &'a str,
    /// Normalised.
    pub path: &'a str,
    /// Without `?`.
    pub query: &'a str,
    /// The method.
    pub method: &'a Method,
    /// The headers.
    pub headers: &'a HeaderMap,
}

/// Where a request belongs.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// This route takes it, by the pattern of this index among the route's.
    Route(RouteIndex),
    /// No route names it: 404.
    NotFound,
    /// Only the method is wrong: 405, with these allowed.
    MethodNotAllowed(Vec<Method>),
}

/// All routes, laid out for the search.
#[derive(Debug, Default)]
pub struct Router {
    exact: HashMap<Box<str>, Paths>,
    /// By the part after `*.`.
    wildcard: HashMap<Box<str>, Paths>,
    any: Paths,
}

/// The routes of one host.
#[derive(Debug, Default)]
struct Paths {
    tree: Node,
    /// In file order; routes with the same expression as those with the same template.
    expressions: Vec<(Regex, Vec<Candidate>)>,
}

#[derive(Debug, Default)]
struct Node {
    literal: HashMap<Box<str>, Node>,
    capture: Option<Box<Node>>,
    /// Routes whose pattern ends here.
    here: Vec<Candidate>,
    /// Routes whose pattern ends here in `/**`.
    below: Vec<Candidate>,
}

#[derive(Debug, Clone)]
struct Candidate {
    route: RouteIndex,
    conditions: std::sync::Arc<Conditions>,
}

/// How a route names its paths.
#[derive(Debug, Clone)]
pub enum PathPattern {
    /// A literal path or a template.
    Template(Pattern),
    /// An expression on the whole normalised path.
    Regex(Regex),
}

impl Router {
    /// Adds one route under one host pattern (`None`: every host) and one path pattern. The error names the route
    /// that already takes all the same requests.
    pub fn add(
        &mut self,
        route: RouteIndex,
        host: Option<&str>,
        path: &PathPattern,
        conditions: &std::sync::Arc<Conditions>,
    ) -> Result<(), RouteIndex> {
        let paths = match host {
            None => &mut self.any,
            Some(host) => match host.strip_prefix("*.") {
                Some(suffix) => self.wildcard.entry(suffix.into()).or_default(),
                None => self.exact.entry(host.into()).or_default(),
            },
        };
        let candidate = Candidate { route, conditions: conditions.clone() };
        match path {
            PathPattern::Regex(regex) => {
                let known = paths.expressions.iter().position(|(known, _)| known.as_str() == regex.as_str());
                if known.is_none() {
                    paths.expressions.push((regex.clone(), Vec::new()));
                }
                let at = known.unwrap_or(paths.expressions.len() - 1);
                paths.expressions.get_mut(at).map_or(Ok(()), |(_, same)| insert(same, candidate))
            }
            PathPattern::Template(pattern) => {
                let node = pattern.segments.iter().fold(&mut paths.tree, |node, segment| match segment {
                    Segment::Literal(text) => node.literal.entry(text.clone()).or_default(),
                    Segment::Capture(_) => node.capture.get_or_insert_default(),
                });
                insert(if pattern.open { &mut node.below } else { &mut node.here }, candidate)
            }
        }
    }

    /// Finds the route for a request.
    #[must_use]
    pub fn find(&self, question: &Question<'_>) -> Answer {
        let mut search = Search { question, allowed: Vec::new() };
        let found = self.hosts(question.host).find_map(|paths| search.paths(paths));
        match found {
            Some(route) => Answer::Route(route),
            None if search.allowed.is_empty() => Answer::NotFound,
            None => Answer::MethodNotAllowed(search.allowed),
        }
    }

    /// The hosts' routes that may apply, most specific first.
    fn hosts<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Paths> {
        let exact = if self.exact.is_empty() { None } else { self.exact.get(host) };
        let mut rest = if self.wildcard.is_empty() { None } else { Some(host) };
        let wildcards = std::iter::from_fn(move || {
            rest = rest.and_then(|host| host.split_once('.')).map(|(_, parent)| parent);
            rest
        });
        exact
            .into_iter()
            .chain(wildcards.filter_map(|parent| self.wildcard.get(parent)))
            .chain(std::iter::once(&self.any))
    }
}

/// Keeps candidates of the same path in the order in which they are to be tried.
fn insert(list: &mut Vec<Candidate>, candidate: Candidate) -> Result<(), RouteIndex> {
    if let Some(same) = list.iter().find(|other| other.conditions.collides_with(&candidate.conditions)) {
        return Err(same.route);
    }
    let weight = candidate.conditions.weight();
    let at = list.partition_point(|other| other.conditions.weight() >= weight);
    list.insert(at, candidate);
    Ok(())
}

struct Search<'a, 'q> {
    question: &'a Question<'q>,
    allowed: Vec<Method>,
}

impl Search<'_, '_> {
    fn paths(&mut self, paths: &Paths) -> Option<RouteIndex> {
        let path = self.question.path.strip_prefix('/').unwrap_or(self.question.path);
        if let Some(route) = self.exact(&paths.tree, Some(path)) {
            return Some(route);
        }
        let matching = paths.expressions.iter().filter(|(regex, _)| regex.is_match(self.question.path));
        for (_, candidates) in matching {
            if let Some(route) = self.first(candidates) {
                return Some(route);
            }
        }
        self.below(&paths.tree, Some(path))
    }

    /// Patterns that end exactly where the path does. The depth is that of the tree.
    fn exact(&mut self, node: &Node, rest: Option<&str>) -> Option<RouteIndex> {
        let Some(rest) = rest else { return self.first(&node.here) };
        let (segment, after) = next(rest);
        if let Some(child) = node.literal.get(segment)
            && let Some(route) = self.exact(child, after)
        {
            return Some(route);
        }
        let child = node.capture.as_deref().filter(|_| !segment.is_empty())?;
        self.exact(child, after)
    }

    /// Patterns that end in `/**`, the longest first.
    fn below(&mut self, node: &Node, rest: Option<&str>) -> Option<RouteIndex> {
        if let Some((segment, after)) = rest.map(next) {
            if let Some(route) = node.literal.get(segment).and_then(|child| self.below(child, after)) {
                return Some(route);
            }
            let capture = node.capture.as_deref().filter(|_| !segment.is_empty());
            if let Some(route) = capture.and_then(|child| self.below(child, after)) {
                return Some(route);
            }
        }
        self.first(&node.below)
    }

    fn first(&mut self, candidates: &[Candidate]) -> Option<RouteIndex> {
        candidates.iter().find(|candidate| self.takes(candidate)).map(|candidate| candidate.route)
    }

    /// Whether the further conditions hold; methods that would have are remembered.
    fn takes(&mut self, candidate: &Candidate) -> bool {
        let conditions = &*candidate.conditions;
        if !conditions.hold(self.question) {
            return false;
        }
        if conditions.allow(self.question.method) {
            return true;
        }
        let head = conditions.methods.contains(&Method::GET).then_some(&Method::HEAD);
        for method in conditions.methods.iter().chain(head) {
            if !self.allowed.contains(method) {
                self.allowed.push(method.clone());
            }
        }
        false
    }
}

fn next(rest: &str) -> (&str, Option<&str>) {
    rest.split_once('/').map_or((rest, None), |(segment, after)| (segment, Some(after)))
}

impl Conditions {
    /// More of them are more specific; methods count least.
    fn weight(&self) -> usize {
        2 * (self.headers.len() + self.query.len()) + usize::from(!self.methods.is_empty())
    }

    fn allow(&self, method: &Method) -> bool {
        self.methods.is_empty()
            || self.methods.contains(method)
            || (method == Method::HEAD && self.methods.contains(&Method::GET))
    }

    fn hold(&self, question: &Question<'_>) -> bool {
        let headers = self.headers.iter().all(|(name, test)| test.any(question.headers.get_all(name).iter()));
        headers
            && self.query.iter().all(|(name, test)| {
                test.any(
                    query::values(question.query, name).map(|value| query::decoded(value.as_bytes().into())),
                )
            })
    }

    /// Whether some request would satisfy both, and neither is more specific. Expressions are taken to overlap.
    fn collides_with(&self, other: &Self) -> bool {
        if self.weight() != other.weight() {
            return false;
        }
        let methods_meet = self.methods.is_empty()
            || other.methods.is_empty()
            || self.methods.iter().any(|method| other.allow(method))
            || other.methods.iter().any(|method| self.allow(method));
        let headers_part = parts(&self.headers, &other.headers);
        methods_meet && !headers_part && !parts(&self.query, &other.query)
    }
}

/// Whether two lists of tests exclude each other on some name.
fn parts<N: PartialEq>(ours: &[(N, Test)], theirs: &[(N, Test)]) -> bool {
    ours.iter()
        .any(|(name, test)| theirs.iter().any(|(other, against)| name == other && test.excludes(against)))
}

impl Test {
    fn any<V: AsRef<[u8]>>(&self, mut values: impl Iterator<Item = V>) -> bool {
        match self {
            Self::Present(wanted) => values.next().is_some() == *wanted,
            Self::Exact(text) => values.any(|value| value.as_ref() == text.as_bytes()),
            Self::Regex(regex) => {
                values.any(|value| std::str::from_utf8(value.as_ref()).is_ok_and(|text| regex.is_match(text)))
            }
        }
    }

    fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(one), Self::Exact(two)) => one != two,
            (Self::Present(false), Self::Present(false)) => false,
            (Self::Present(false), _) | (_, Self::Present(false)) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
