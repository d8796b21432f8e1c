//! What an operator writes: one file, `Policy`, as plain data. Nothing here has been checked beyond its shape;
//! [`policy::compile`](crate::policy::compile) turns it into what runs, or into everything that is wrong with it.
//!
//! The doc comments are the reference: `edgeward schema` and `docs/reference.md` are made from them.

mod api_keys;
mod choice;
mod issuer;
mod limits;
mod list;
mod listener;
mod route;
mod server;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub use api_keys::{ApiKeys, KeyNotices, KeyStore};
pub use choice::{PathMatch, ValueMatch};
pub use issuer::{Issuer, Jwks, Refresh, TokenType};
pub use limits::{Http2Limits, Limits};
pub use list::{Entry, List, ListKind};
pub use listener::{Listener, ProxyProtocol, Redirect};
pub use route::{Conditions, Match, RedirectTo, Respond, Rewrite, Route};
pub use server::{AccessLog, AccessLogTarget, Admin, ForwardedHeader, Log, LogFormat, Server};

use super::Node;
use crate::auth::keys::ConsumerSpec;
use crate::filters::{cache, waf};
use crate::http::path::Rules;
use crate::outbound::redis;
use crate::upstream;

/// An Edgeward policy: everything one process does, in one file.
// What repeats is kept as it stands and read one by one, so that a mistake in one route hides none in another.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The process itself: workers, runtime files, trusted hops.
    #[serde(default)]
    pub server: Server,
    /// The operational log (not the access log).
    #[serde(default)]
    pub log: Log,
    /// One JSON line a request.
    #[serde(default)]
    pub access_log: AccessLog,
    /// Where metrics, health and reload are served. Off unless given.
    pub admin: Option<Admin>,
    /// What any client may cost. A listener and a route may ask for less.
    #[serde(default)]
    pub limits: Limits,
    /// How paths are normalised, once, for routing, filters and upstreams alike.
    #[serde(default)]
    pub paths: Rules,
    /// Where clients connect. At least one.
    #[schemars(with = "Vec<Listener>")]
    pub listeners: Vec<Node>,
    /// The services behind, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, upstream::Spec>")]
    pub upstreams: BTreeMap<String, Node>,
    /// Who issues the tokens that filters such as `jwt` verify, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Issuer>")]
    pub issuers: BTreeMap<String, Node>,
    /// What the processes of a fleet have in common, by name: `api_keys: { store: { redis: NAME } }`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, redis::Spec>")]
    pub redis: BTreeMap<String, Node>,
    /// Lists that expressions refer to: `ip.src in $offices`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, List>")]
    pub lists: BTreeMap<String, Node>,
    /// What the filters called `waf` have in common.
    #[serde(default)]
    pub waf: waf::Settings,
    /// The cache that all filters called `cache` share.
    #[serde(default)]
    pub cache: cache::Store,
    /// Who calls, with their API keys: what the filter `api_key` looks into. `api_keys.store` may name more.
    #[serde(default)]
    #[schemars(with = "Vec<ConsumerSpec>")]
    pub consumers: Vec<Node>,
    /// API keys: where more of them are kept, and who is told of what becomes of them.
    pub api_keys: Option<ApiKeys>,
    /// Filter chains to be used by name: `- chain: NAME` in any list of filters.
    #[serde(default)]
    pub chains: BTreeMap<String, Vec<Node>>,
    /// Filters that every route runs before its own.
    #[serde(default)]
    pub filters: Vec<Node>,
    /// What is exposed. A request that no route names gets 404.
    #[serde(default)]
    #[schemars(with = "Vec<Route>")]
    pub routes: Vec<Node>,
}
