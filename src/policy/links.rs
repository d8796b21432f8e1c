//! From lists of filters as written to the chain of a route.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use crate::auth::Issuers;
use crate::auth::keys::Keyring;
use crate::config::{Issue, Node, Target, wording};
use crate::expr::Phase;
use crate::filters::chain::{Chain, Link};
use crate::filters::table::{self, Visitor};
use crate::filters::{Condition, Expressions, Filter, Phases, Site, Spec};
use crate::http::path::Rules;
use crate::outbound::Outbound;
use crate::state::State;

/// The key under which a list names a chain instead of a filter.
const CHAIN: &str = "chain";
/// Chains may name chains, but not for ever.
const DEEPEST: usize = 8;
/// Filters of one route: one bit for each says whether a request is passed by.
const MOST: usize = 64;

/// Whether a filter's decisions count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// They do.
    #[default]
    Enforce,
    /// They are counted and logged, and the request goes on.
    Shadow,
}

/// Makes chains, and collects what is wrong with their filters.
pub(super) struct Links<'a> {
    /// Chains by name.
    pub chains: &'a BTreeMap<String, Vec<Node>>,
    /// What filters keep beyond a reload.
    pub state: &'a State,
    /// Compiles expressions.
    pub expressions: Expressions<'a>,
    /// What filters ask of others.
    pub outbound: &'a Arc<Outbound>,
    /// The keys of consumers, if there are any.
    pub ring: Option<&'a Arc<Keyring>>,
    /// Who issues tokens.
    pub issuers: &'a Issuers,
    /// How paths are normalised.
    pub paths: Rules,
    /// Where relative paths start.
    pub base: &'a Path,
    /// What is wrong.
    pub issues: &'a mut Vec<Issue>,
}

impl Links<'_> {
    /// The chain of a route: these lists, one after the other.
    pub fn chain<'n>(&mut self, route: &str, lists: impl IntoIterator<Item = &'n [Node]>) -> Chain {
        let mut links = Vec::new();
        let mut ordinals = HashMap::new();
        let mut lists_of = None;
        for list in lists {
            lists_of = list.first().or(lists_of);
            self.list(route, list, &mut ordinals, &mut links, 0);
        }
        if let Some(first) = lists_of.filter(|_| links.len() > MOST) {
            self.issues
                .push(first.issue(format_args!("expected at most {MOST} filters, found {}", links.len())));
            links.truncate(MOST);
        }
        Chain::new(links)
    }

    fn list(
        &mut self,
        route: &str,
        list: &[Node],
        ordinals: &mut HashMap<&'static str, usize>,
        links: &mut Vec<Link>,
        depth: usize,
    ) {
        for node in list {
            let Some((name, body)) = self.entry(node) else { continue };
            if name != CHAIN {
                links.extend(self.filter(route, &name, &body, ordinals));
                continue;
            }
            let Some(chain) = body.read::<String>(self.issues) else { continue };
            let Some(list) = self.chains.get(&chain) else {
                let names: Vec<_> = self.chains.keys().map(String::as_str).collect();
                self.issues.push(body.issue(wording::unknown("chain", &chain, &names)));
                continue;
            };
            if depth == DEEPEST {
                self.issues.push(body.issue("chains name each other in a circle, or too deeply"));
            } else {
                self.list(route, list, ordinals, links, depth + 1);
            }
        }
    }

    /// The one key of an entry and what stands under it.
    fn entry(&mut self, node: &Node) -> Option<(String, Node)> {
        let entries = node.as_map().unwrap_or_default();
        if let [(name, body)] = entries.as_slice() {
            return Some(((*name).to_owned(), body.clone()));
        }
        let misplaced = entries.iter().find(|(name, _)| matches!(*name, "mode" | "when"));
        self.issues.push(match misplaced {
            Some((name, _)) => {
                let message = format!("`{name}` belongs to the filter: `- rate_limit: {{ …, {name}: … }}`");
                node.key_issue(name, message)
            }
            None => node.issue("expected one filter, as in `- ip_access: { allow: [10.0.0.0/8] }`"),
        });
        None
    }

    fn filter(
        &mut self,
        route: &str,
        name: &str,
        node: &Node,
        ordinals: &mut HashMap<&'static str, usize>,
    ) -> Option<Link> {
        let (mode, node) = node.take("mode");
        let mode = mode.and_then(|node| Some((node.read::<Mode>(self.issues)?, node)));
        let (when, node) = node.take("when");
        let compile = Compile { route, node: &node, links: self, ordinals };
        let Some(compiled) = table::visit(name, compile) else {
            let mut names = table::KINDS.to_vec();
            names.push(CHAIN);
            self.issues.push(Issue::new(
                node.path().clone(),
                Target::Key,
                wording::unknown("filter", name, &names),
            ));
            return None;
        };
        let (kind, decides, filter) = compiled?;
        let shadow = mode.as_ref().is_some_and(|(mode, _)| *mode == Mode::Shadow);
        if let (true, false, Some((_, node))) = (shadow, decides, mode) {
            let message = format!("`{kind}` decides nothing, so it has no shadow");
            self.issues.push(node.issue(message));
        }
        let when = when.and_then(|when| self.condition(&when, filter.phases()));
        Some(Link { kind, shadow, when, filter })
    }
}

impl Links<'_> {
    /// What stands under `when`, which is asked in the first phase the filter takes part in.
    fn condition(&mut self, node: &Node, phases: Phases) -> Option<Condition> {
        let source = node.read::<String>(self.issues)?;
        let early = phases.contains(Phases::REQUEST) || phases.contains(Phases::REQUEST_BODY);
        let phase = if early { Phase::RequestHead } else { Phase::Response };
        let compiled = self.expressions.condition("", &source, phase);
        compiled.map_err(|problem| self.issues.push(node.problem(&problem))).ok()
    }
}

/// Reads and compiles a spec once its type is known.
struct Compile<'a, 'l> {
    route: &'a str,
    node: &'a Node,
    links: &'a mut Links<'l>,
    ordinals: &'a mut HashMap<&'static str, usize>,
}

impl Visitor for Compile<'_, '_> {
    type Output = Option<(&'static str, bool, Box<dyn Filter>)>;

    fn visit<S: Spec>(self) -> Self::Output {
        let before = self.links.issues.len();
        let spec = self.node.read::<S>(self.links.issues)?;
        let ordinal = self.ordinals.entry(S::KIND).or_insert(0);
        let site = Site {
            route: self.route,
            ordinal: *ordinal,
            state: self.links.state,
            expressions: self.links.expressions,
            outbound: self.links.outbound,
            ring: self.links.ring,
            issuers: self.links.issuers,
            paths: self.links.paths,
            base: self.links.base,
        };
        *ordinal += 1;
        if self.links.issues.len() > before {
            return None;
        }
        match spec.compile(&site) {
            Ok(filter) => Some((S::KIND, S::DECIDES, filter)),
            Err(problem) => {
                self.links.issues.push(Issue::from_problem(self.node.path(), &problem));
                None
            }
        }
    }
}
