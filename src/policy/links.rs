//! From lists of filters as written to the chain of a route.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use crate::auth::Issuers;
use crate::auth::keys::Keyring;
use crate::config::tree::Tree;
use crate::config::{Issue, Node, Target, wording};
use crate::expr::Phase;
use crate::expr::policy::Finders;
use crate::filters::chain::{Chain, Link, each};
use crate::filters::group::{Group, Way};
use crate::filters::table::{self, Visitor};
use crate::filters::{Condition, Expressions, Filter, Phases, Site, Spec};
use crate::filters::{cache, waf};
use crate::http::path::Rules;
use crate::outbound::Outbound;
use crate::state::State;
use crate::telemetry::metrics::Metrics;

/// The key under which a list names a chain instead of a filter.
const CHAIN: &str = "chain";
/// Chains may name chains, but not for ever.
const DEEPEST: usize = 8;
/// Filters of one route: one bit for each says whether a request is passed by.
const MOST: usize = 64;
/// Groups may stand in groups, once.
const DEEPEST_GROUP: usize = 1;

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

/// `any_of` or `all_of` as a map. The list alone says the same.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupSpec {
    filters: Vec<Node>,
}

/// Where a filter is compiled.
struct Place<'p> {
    route: &'p str,
    /// How many filters of each kind came before.
    ordinals: HashMap<&'static str, usize>,
    /// The kinds that came before, and this one.
    before: Vec<&'static str>,
    /// All kinds on the route.
    all: &'p [&'static str],
    /// What paths have names for, of all requests that may come by the list that is read.
    segments: &'p [&'p str],
}

impl<'p> Place<'p> {
    /// What compiles expressions here, where filters of these kinds came before.
    const fn expressions<'e>(&self, of_policy: Expressions<'e>, before: &'e [&'e str]) -> Expressions<'e>
    where
        'p: 'e,
    {
        let finders = Some(Finders { before, all: self.all });
        Expressions { finders, segments: Some(self.segments), ..of_policy }
    }
}

/// What every filter takes beside its own keys.
struct Common {
    mode: Option<(Mode, Node)>,
    when: Option<Node>,
}

impl Common {
    fn is_shadow(&self) -> bool {
        self.mode.as_ref().is_some_and(|(mode, _)| *mode == Mode::Shadow)
    }
}

/// A filter that was read and compiled.
struct Compiled {
    kind: &'static str,
    decides: bool,
    /// The reasons for refusing a client that has shown nothing to go by; none where it does not find out who calls.
    nothing_shown: Vec<&'static str>,
    filter: Box<dyn Filter>,
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
    /// What firewalls have in common.
    pub waf: &'a waf::Common,
    /// How large the cache is.
    pub cache: &'a cache::Store,
    /// All upstreams, by name.
    pub upstreams: &'a [&'a str],
    /// What any route's paths have names for.
    pub segments: &'a [&'a str],
    /// Tells apart the policies of routes: that of the one whose chain is made.
    pub fingerprint: [u8; 32],
    /// What is counted.
    pub metrics: &'a Arc<Metrics>,
    /// Where relative paths start.
    pub base: &'a Path,
    /// Chains that were made for a route.
    pub made: BTreeSet<&'a str>,
    /// What is wrong.
    pub issues: &'a mut Vec<Issue>,
}

impl<'a> Links<'a> {
    /// The chain of a route: the filters it has in common with others, then its own, whose paths have these names.
    pub fn chain(&mut self, route: &str, common: &[Node], own: &[Node], segments: &[&str]) -> Chain {
        let mut links = Vec::new();
        let kinds = self.kinds(&[common, own]);
        let (ordinals, before) = (HashMap::new(), Vec::new());
        let mut place = Place { route, ordinals, before, all: &kinds, segments: self.segments };
        self.list(&mut place, common, &mut links, 0);
        place.segments = segments;
        self.list(&mut place, own, &mut links, 0);
        let filters = each(&links).count();
        if let Some(first) = own.first().or(common.first()).filter(|_| filters > MOST) {
            self.issues.push(first.issue(format_args!("expected at most {MOST} filters, found {filters}")));
            links.clear();
        }
        Chain::new(links)
    }

    /// The kinds of filters in these lists, with those of chains and groups, as far as there are such filters.
    pub fn kinds(&self, lists: &[&[Node]]) -> Vec<&'static str> {
        let (mut kinds, mut visited) = (Vec::new(), HashSet::new());
        let mut open: Vec<Node> = lists.iter().copied().flatten().cloned().collect();
        while let Some(node) = open.pop() {
            for (name, body) in node.as_map().unwrap_or_default() {
                if name == CHAIN {
                    let chain = body.as_str().and_then(|chain| self.chains.get_key_value(chain));
                    open.extend(
                        chain
                            .filter(|(name, _)| visited.insert(*name))
                            .map_or(&[][..], |(_, list)| list)
                            .iter()
                            .cloned(),
                    );
                } else if Way::of(name).is_some() {
                    open.extend(body.take("filters").0.unwrap_or(body).items());
                }
                kinds.extend(table::KINDS.iter().find(|kind| **kind == name));
            }
        }
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    fn list<'p>(&mut self, place: &mut Place<'p>, list: &[Node], links: &mut Vec<Link>, depth: usize)
    where
        'a: 'p,
    {
        for node in list {
            let Some((name, body)) = self.entry(node) else { continue };
            if name != CHAIN {
                links.extend(self.link(place, &name, &body));
                continue;
            }
            let Some(chain) = body.read::<String>(self.issues) else { continue };
            let Some((name, list)) = self.chains.get_key_value(&chain) else {
                let names: Vec<_> = self.chains.keys().map(String::as_str).collect();
                self.issues.push(body.issue(wording::unknown("chain", &chain, &names)));
                continue;
            };
            self.made.insert(name);
            if depth == DEEPEST {
                self.issues.push(body.issue("chains name each other in a circle, or too deeply"));
            } else {
                // Other routes may name it, too.
                let segments = std::mem::replace(&mut place.segments, self.segments);
                self.list(place, list, links, depth + 1);
                place.segments = segments;
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
            None => node.issue(no_single_filter(node, &entries)),
        });
        None
    }

    /// A filter of a chain, or a group of them.
    fn link(&mut self, place: &mut Place<'_>, name: &str, node: &Node) -> Option<Link> {
        let before = place.before.clone();
        let (common, compiled) = if let Some(way) = Way::of(name) {
            self.group(place, way, node, 0)?
        } else {
            let groups = Way::BOTH.map(Way::kind);
            self.filter(place, name, node, table::KINDS.iter().copied().chain([CHAIN]).chain(groups))?
        };
        let shadow = common.is_shadow();
        if let (true, false, Some((_, node))) = (shadow, compiled.decides, common.mode) {
            let message = format!("`{}` decides nothing, so it has no shadow", compiled.kind);
            self.issues.push(node.issue(message));
        }
        let Compiled { kind, filter, .. } = compiled;
        let expressions = place.expressions(self.expressions, &before);
        let when = common.when.and_then(|when| self.condition(&when, filter.phases(), expressions));
        Some(Link { kind, shadow, when, filter })
    }

    /// `any_of` or `all_of`: a list of filters, or a map that has one.
    fn group(
        &mut self,
        place: &mut Place<'_>,
        way: Way,
        node: &Node,
        depth: usize,
    ) -> Option<(Common, Compiled)> {
        let (common, members) = if node.as_map().is_some() {
            let (common, rest) = self.common(node);
            (common, rest.read::<GroupSpec>(self.issues)?.filters)
        } else {
            (Common { mode: None, when: None }, node.read::<Vec<Node>>(self.issues)?)
        };
        if members.is_empty() {
            self.issues.push(node.issue("expected filters that find out who calls, such as `basic_auth`"));
        }
        let (mut links, mut nothing_shown) = (Vec::new(), Vec::new());
        for node in &members {
            if let Some((link, reasons)) = self.member(place, way, node, depth) {
                links.push(link);
                nothing_shown.extend(reasons);
            }
        }
        // With one of them missing, all that follows would follow from that.
        if links.len() < members.len() {
            return None;
        }
        let filter = Box::new(Group::new(way, links, &nothing_shown));
        Some((common, Compiled { kind: way.kind(), decides: true, nothing_shown, filter }))
    }

    /// A filter of a group, and the reasons with which it refuses a client that has shown nothing.
    fn member(
        &mut self,
        place: &mut Place<'_>,
        of: Way,
        node: &Node,
        depth: usize,
    ) -> Option<(Link, Vec<&'static str>)> {
        let (name, body) = self.entry(node)?;
        let before = place.before.clone();
        let (common, compiled) = match Way::of(&name) {
            Some(_) if depth == DEEPEST_GROUP => {
                self.issues.push(node.issue("groups stand in groups once at most"));
                return None;
            }
            Some(way) => self.group(place, way, &body, depth + 1)?,
            None => self.filter(place, &name, &body, authenticators().chain(Way::BOTH.map(Way::kind)))?,
        };
        if let Some((_, mode)) = &common.mode {
            self.issues.push(mode.issue(format_args!("`mode` belongs to `{}` as a whole", of.kind())));
        }
        if compiled.nothing_shown.is_empty() {
            let message = format!("`{name}` does not find out who calls: it stands beside `{}`", of.kind());
            self.issues.push(node.key_issue(&name, message));
        }
        self.refuse_optional(of, &body);
        let Compiled { kind, filter, nothing_shown, .. } = compiled;
        let expressions = place.expressions(self.expressions, &before);
        let when = common.when.and_then(|when| self.condition(&when, filter.phases(), expressions));
        Some((Link { kind, shadow: false, when, filter }, nothing_shown))
    }

    /// An alternative that lets everybody in would leave the others without a say.
    fn refuse_optional(&mut self, of: Way, body: &Node) {
        let (Some(optional), _) = body.take("optional") else { return };
        // What is wrong with it was told when the filter was read.
        if optional.read::<bool>(&mut Vec::new()) == Some(true) {
            let message =
                format_args!("lets in who shows nothing, which `{}` is there to prevent", of.kind());
            self.issues.push(optional.issue(message));
        }
    }

    /// Takes off what every filter takes.
    fn common(&mut self, node: &Node) -> (Common, Node) {
        let (mode, node) = node.take("mode");
        let mode = mode.and_then(|node| Some((node.read::<Mode>(self.issues)?, node)));
        let (when, node) = node.take("when");
        (Common { mode, when }, node)
    }

    /// A filter by its name, which is one of `names`.
    fn filter<'n>(
        &mut self,
        place: &mut Place<'_>,
        name: &str,
        node: &Node,
        names: impl Iterator<Item = &'n str>,
    ) -> Option<(Common, Compiled)> {
        let (common, node) = self.common(node);
        let shadow = common.is_shadow();
        if let Some(compiled) = table::visit(name, Compile { node: &node, shadow, links: self, place }) {
            return Some((common, compiled?));
        }
        let message = wording::unknown("filter", name, &names.collect::<Vec<_>>());
        self.issues.push(Issue::new(node.path().clone(), Target::Key, message));
        None
    }

    /// What stands under `when`, which is asked in the first phase the filter takes part in.
    fn condition(&mut self, node: &Node, phases: Phases, expressions: Expressions<'_>) -> Option<Condition> {
        let source = node.read::<String>(self.issues)?;
        let early = phases.contains(Phases::REQUEST) || phases.contains(Phases::REQUEST_BODY);
        let phase = if early { Phase::RequestHead } else { Phase::Response };
        let compiled = expressions.condition("", &source, phase);
        compiled.map_err(|problem| self.issues.push(node.problem(&problem))).ok()
    }
}

/// What is wrong with an entry that is not one filter: most often a word alone, or keys in the filter's own column.
fn no_single_filter(node: &Node, entries: &[(&str, Node)]) -> String {
    let expected = "expected one filter, as in `- ip_access: { allow: [10.0.0.0/8] }`";
    match (node.as_str(), entries) {
        (Some(name), _) if table::KINDS.contains(&name) => format!("{expected}; write {{ {name}: {{}} }}"),
        (None, [(name, body), (key, _), ..]) if *body.tree() == Tree::Null => {
            format!("{expected}; indent `{key}` deeper than `{name}` if it belongs to it")
        }
        (None, [_, (name, _), ..]) => format!("{expected}; begin `{name}` with `- ` if it is the next one"),
        _ => expected.to_owned(),
    }
}

/// The filters that may stand in a group.
fn authenticators() -> impl Iterator<Item = &'static str> {
    table::KINDS.iter().copied().filter(|kind| table::visit(kind, Authenticates).unwrap_or(false))
}

struct Authenticates;

impl Visitor for Authenticates {
    type Output = bool;

    fn visit<S: Spec>(self) -> bool {
        S::NOTHING_SHOWN.is_some()
    }
}

/// Reads and compiles a spec once its type is known.
struct Compile<'a, 'l, 'p> {
    node: &'a Node,
    shadow: bool,
    links: &'a mut Links<'l>,
    place: &'a mut Place<'p>,
}

impl Visitor for Compile<'_, '_, '_> {
    type Output = Option<Compiled>;

    fn visit<S: Spec>(self) -> Option<Compiled> {
        let before = self.links.issues.len();
        if S::LETS_IN && !self.shadow && self.place.before.contains(&cache::Spec::KIND) {
            let (kind, cache) = (S::KIND, cache::Spec::KIND);
            let message =
                format!("`{kind}` would not be asked where `{cache}` answers: name `{cache}` after it");
            self.links.issues.push(Issue::new(self.node.path().clone(), Target::Key, message));
        }
        // What it finds out itself, its own expressions may use; and nothing is to follow from what is wrong with it.
        self.place.before.push(S::KIND);
        let spec = self.node.read::<S>(self.links.issues)?;
        let next = self.place.ordinals.entry(S::KIND).or_insert(0);
        let ordinal = *next;
        *next += 1;
        let site = Site {
            route: self.place.route,
            ordinal,
            shadow: self.shadow,
            state: self.links.state,
            expressions: self.place.expressions(self.links.expressions, &self.place.before),
            outbound: self.links.outbound,
            ring: self.links.ring,
            issuers: self.links.issuers,
            paths: self.links.paths,
            waf: self.links.waf,
            cache: self.links.cache,
            upstreams: self.links.upstreams,
            fingerprint: &self.links.fingerprint,
            identifies: authenticators().any(|kind| self.place.before.contains(&kind)),
            metrics: self.links.metrics,
            base: self.links.base,
        };
        if self.links.issues.len() > before {
            return None;
        }
        match spec.compile(&site) {
            Ok(filter) => {
                let nothing_shown = S::NOTHING_SHOWN.into_iter().collect();
                Some(Compiled { kind: S::KIND, decides: S::DECIDES, nothing_shown, filter })
            }
            Err(problem) => {
                self.links.issues.push(Issue::from_problem(self.node.path(), &problem));
                None
            }
        }
    }
}
