//! A route: which requests, through which filters, to where.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::choice::{PathMatch, ValueMatch};
use crate::config::Node;
use crate::values::{Duration, OneOrMany, Size};

/// One thing that is exposed. Exactly one of `upstream`, `respond` and `redirect` says what happens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Unique; it names the route in metrics, logs and counters that outlive reloads.
    pub name: String,
    /// Which requests. Without it: all of them.
    #[serde(rename = "match", default)]
    pub matching: Match,
    /// What they pass, in this order; responses pass it backwards.
    #[serde(default)]
    pub filters: Vec<Node>,
    /// Proxies to the upstream of this name.
    pub upstream: Option<String>,
    /// Answers by itself.
    pub respond: Option<Respond>,
    /// Sends the client elsewhere.
    pub redirect: Option<RedirectTo>,
    /// What the upstream sees instead of the client's path and host.
    #[serde(default)]
    pub rewrite: Rewrite,
    /// How long the upstream may stay silent before it is given up, in place of the upstream's own `read` timeout.
    pub timeout: Option<Duration>,
    /// Longest request body, in place of the listener's; beyond it 413.
    pub max_body: Option<Size>,
    /// Whether `Upgrade: websocket` is passed on. Default `true`.
    #[serde(default = "yes")]
    pub websocket: bool,
}

const fn yes() -> bool {
    true
}

/// Which requests a route takes. Everything given must hold.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// `api.example.com`, `*.example.com` (any depth below, not `example.com` itself), or a list of them.
    pub host: Option<OneOrMany<String>>,
    /// `/exact`, `/below/**`, `/users/{id}/orders`, or `{ regex: "^/v[0-9]+/" }`, or a list of them.
    pub path: Option<OneOrMany<PathMatch>>,
    /// Methods, e.g. `[GET, POST]`; `GET` includes `HEAD`. Without it: all.
    pub methods: Vec<String>,
    /// Request headers that must be there, with `value`, `{ regex: … }` or `{ present: true }`.
    pub headers: Conditions,
    /// Query parameters that must be there, likewise; compared with `%XX` and `+` decoded.
    pub query: Conditions,
}

/// Names, and what each one's value must be.
pub type Conditions = BTreeMap<String, ValueMatch>;

/// An answer made here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    /// 200 to 599. Default 200.
    #[serde(default = "ok")]
    pub status: u16,
    /// Headers of the answer.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body as text; sets `content-type` to `text/plain` where `headers` does not.
    pub body: Option<String>,
    /// The body as JSON; sets `content-type` where `headers` does not.
    pub json: Option<serde_json::Value>,
    /// The body from a file, read when the policy loads; at most 1 MiB.
    pub file: Option<PathBuf>,
}

const fn ok() -> u16 {
    200
}

/// A redirect made here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedirectTo {
    /// The location. `{host}`, `{path}`, `{query}` and template segments of the matched path are filled in.
    pub to: String,
    /// 301, 302, 303, 307 or 308. Default 308.
    #[serde(default = "permanent")]
    pub status: u16,
}

const fn permanent() -> u16 {
    308
}

/// What the upstream sees in place of what the client asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rewrite {
    /// A new path, in which segments of the matched template are filled in: `/v2/orders/{id}`.
    pub path: Option<String>,
    /// Takes this prefix off the path: `/api` makes `/api/orders` into `/orders`.
    pub strip_prefix: Option<String>,
    /// The `Host` the upstream gets. Default: the client's.
    pub host: Option<String>,
}
