//! What a policy says of caching.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use http::HeaderName;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Cache;
use super::disk::Disk;
use crate::cache::directives::EDGEWARD_CACHE_CONTROL;
use crate::cache::freshness::Rules;
use crate::cache::keeper::Terms;
use crate::cache::key::{Keep, Name};
use crate::cache::{Query, Shared};
use crate::filters::{Filter, Site};
use crate::net::IpSet;
use crate::state::State;
use crate::telemetry::metrics::Metrics;
use crate::values::nearest::suggestion;
use crate::values::{Duration, DurationOrZero, Problem, Size};

/// Answers from memory and disk what the upstream said may be used again (RFC 9111), and asks it once for all who ask at the
/// same time.
///
/// By itself it does what the upstream's header fields say: `Cache-Control`, or `CDN-Cache-Control` and
/// `Edgeward-Cache-Control` in its place (RFC 9213), `Expires`, `Vary`, `ETag`, `Last-Modified`, `stale-while-revalidate`
/// and `stale-if-error` (RFC 5861). Conditional requests and ranges are answered from what is stored; what is stale is
/// validated; writes (`POST`, `PUT` …) that succeed make what is stored for their URL untrue. Every answer says in
/// `Cache-Status` (RFC 9211) how it came about.
///
/// Nothing is stored that sets a cookie or is `private`. The answer to a request that proves who asks (by `Authorization`,
/// or to a filter such as `jwt` or `api_key`) is stored for all only if the upstream says `public`, `s-maxage` or
/// `must-revalidate`; otherwise not at all, or with `per_identity` for the same caller alone. Filters that let in by who
/// asks must stand before this one; name it after those that edit request headers, too.
///
/// ```yaml
/// - cache: { ttl: { "404": 10s }, stale_if_error: 1h }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Cache")]
pub struct Spec {
    /// How long responses are fresh that do not say it themselves, by status, by class (`5xx`) or by range (`400-499`). The
    /// first that fits counts, exact statuses first; a 401 is meant by `401` alone, for the next client may have the
    /// credentials that it asks for. Default: none. Example: `{ "200": 1m, "404": 10s }`.
    #[serde(deserialize_with = "lifetimes")]
    pub ttl: BTreeMap<String, DurationOrZero>,
    /// Responses without a lifetime of any kind are fresh for a tenth of the time since they were last modified, and so
    /// long at most. Default `1d`; `0s`: never.
    pub heuristic_max: DurationOrZero,
    /// Longer responses are not stored. Default `16MiB`; an eighth of the cache's memory, or of its disk if that is more, is
    /// the most there can be.
    pub max_object: Size,
    /// What tells requests apart, beside scheme, host, path and the route's policy.
    pub key: KeySpec,
    /// Whether responses are stored for each caller apart, as filters before this one verified it. Needs a filter that finds
    /// out who calls. Default `false`.
    pub per_identity: bool,
    /// How long a stale response is used while the upstream is asked for a fresh one, where it does not say. Default `0s`.
    pub stale_while_revalidate: DurationOrZero,
    /// How long a stale response is used while the upstream fails, where it does not say. Default `0s`.
    pub stale_if_error: DurationOrZero,
    /// How long a stale response is used at least while the upstream cannot be reached at all, unless it says
    /// `must-revalidate` or the like. Default `5m`.
    pub stale_if_unreachable: DurationOrZero,
    /// How long a request waits for what another one asks for, before it asks by itself. Default `10s`.
    pub lock_timeout: Duration,
    /// Response headers with tags to purge by. Clients are not shown them. Default `[surrogate-key, cache-tag]`.
    pub tags: Vec<String>,
    /// Whether clients may ask for fresher answers than there are (`Cache-Control: no-cache`, `max-age` …), as RFC 9111 has
    /// it. Default `true`. With `false` nobody reaches the upstream by pressing reload; `no-store` holds all the same.
    pub request_directives: bool,
    /// Whether answers say in `Cache-Status` what the cache did. Default `true`.
    pub status_header: bool,
    /// An upstream whose backends are Edgewards with this cache filter, asked before the route's own: what is not stored here
    /// comes from the one of them that all of a fleet ask for it, by consistent hash, so that the fleet asks the origin once.
    /// Requests that prove who asks, and all but GET, go straight to the route's upstream, as everything does where no parent
    /// answers. The parents must name this process in `server.trusted_proxies`, and both have the same `cache.purges`.
    /// Default: none.
    pub parents: Option<String>,
    /// Networks whose `PURGE` requests remove what is stored for their URL; all others get 403 `purge`. Default: none, and
    /// the method is like any other. The route must take the method.
    #[schemars(with = "Vec<String>")]
    pub purge_from: Vec<IpNet>,
}

/// What tells requests apart.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CacheKey")]
pub struct KeySpec {
    /// Which parameters of the query count. The others are taken off, also from what the upstream sees.
    pub query: QuerySpec,
    /// Request headers whose values count. Default: none. Example: `[x-tenant]`.
    pub headers: Vec<String>,
    /// Cookies whose values count. Default: none. Example: `[currency]`.
    pub cookies: Vec<String>,
}

/// Which parameters of a query count.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CacheQuery")]
pub struct QuerySpec {
    /// These alone; an empty list: none. Names may end with `*`. Default: all.
    pub only: Option<Vec<String>>,
    /// All but these, such as those of advertisers. Default: none. Example: `[utm_*, gclid, fbclid]`.
    pub except: Vec<String>,
    /// Whether they are put in the order of their names first. Default `false`.
    pub sort: bool,
}

/// Lifetimes by status, with an error that shows the form.
fn lifetimes<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, DurationOrZero>, D::Error> {
    struct Lifetimes;
    impl<'de> Visitor<'de> for Lifetimes {
        type Value = BTreeMap<String, DurationOrZero>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(r#"lifetimes by status such as { "404": 10s, "5xx": 1s }"#)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            Deserialize::deserialize(MapAccessDeserializer::new(map))
        }
    }
    from.deserialize_map(Lifetimes)
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            ttl: BTreeMap::new(),
            heuristic_max: DurationOrZero::from_secs(86_400),
            max_object: Size::from_mib(16),
            key: KeySpec::default(),
            per_identity: false,
            stale_while_revalidate: DurationOrZero::ZERO,
            stale_if_error: DurationOrZero::ZERO,
            stale_if_unreachable: DurationOrZero::from_secs(300),
            lock_timeout: Duration::from_secs(10),
            tags: vec!["surrogate-key".into(), "cache-tag".into()],
            request_directives: true,
            status_header: true,
            parents: None,
            purge_from: Vec::new(),
        }
    }
}

/// The cache that all routes share.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CacheStore")]
pub struct Store {
    /// How much of it is kept in memory. Default `256MiB`. What is on its way takes up to a quarter of it besides.
    pub memory: Size,
    /// Where more is kept, and beyond restarts; with `purges`, it counts once those of meanwhile are heard. Default: nowhere.
    /// Example: `{ path: /var/cache/edgeward, size: 10GiB }`.
    pub disk: Option<Disk>,
    /// Has what is purged in one process of a fleet, or made untrue by a write, purged in all of them. Default: in this one
    /// alone.
    pub purges: Option<Purges>,
}

/// Where the processes of a fleet tell each other what is purged. One that was away catches up; if it was away for longer than
/// 65,536 orders or 16 MiB of them, or Redis has lost them, it purges everything it has stored. While Redis is gone, purges
/// hold where they are given, the answer says so, and the others are told later.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CachePurges")]
pub struct Purges {
    /// The name of one of those in `redis`.
    pub redis: String,
}

impl Default for Store {
    fn default() -> Self {
        Self { memory: Size::from_mib(256), disk: None, purges: None }
    }
}

/// A cache smaller than this holds nothing worth while.
const LEAST: u64 = 1 << 20;

impl Store {
    /// What it says of the disk; `base` is the directory of the policy.
    ///
    /// # Errors
    /// When something is too small to be of use, or a key is.
    pub fn terms(&self, base: &Path) -> Result<Option<Terms>, Problem> {
        if self.memory.bytes() < LEAST {
            return Err(Problem::new("memory", "expected at least 1MiB"));
        }
        let terms = self.disk.as_ref().map(|disk| disk.terms(base, self.purges.is_some())).transpose();
        terms.map_err(|problem| problem.under("disk"))
    }

    /// Its size, as memory is made with.
    #[must_use]
    pub fn size(&self) -> crate::cache::memory::Size {
        crate::cache::memory::Size { bytes: self.memory.bytes(), largest: u64::MAX }
    }
}

/// The cache of the process: the one there is, or else a new one.
#[must_use]
pub fn shared(state: &State, store: &Store, metrics: &Metrics) -> Arc<Shared> {
    let shared = state
        .kept
        .find_or("cache", || Shared::new(store.size(), store.disk.is_some(), metrics, state.clock.wall()));
    shared.show(metrics);
    shared
}

/// What the filter of a route goes by.
#[derive(Clone)]
pub struct Settings {
    pub shared: Arc<Shared>,
    /// Tells apart the policies under which responses come to be.
    pub(super) policy: [u8; 32],
    pub rules: Rules,
    pub query: Query,
    pub(super) headers: Vec<HeaderName>,
    pub(super) cookies: Vec<Box<str>>,
    pub(super) per_identity: bool,
    pub(super) honours_requests: bool,
    pub(super) purgers: Option<IpSet>,
    /// In bytes.
    pub max_object: u64,
    /// How long a request waits for another's response.
    pub patience: StdDuration,
    /// Fields with tags.
    pub tags: Vec<HeaderName>,
    /// Fields that are between the origin and the cache.
    pub hidden: Vec<HeaderName>,
    /// Whether clients are told what the cache did.
    pub tells: bool,
    /// The upstream that is asked before the route's own.
    pub parents: Option<Box<str>>,
}

impl crate::filters::Spec for Spec {
    const KIND: &'static str = "cache";
    const DECIDES: bool = false;

    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        Ok(Box::new(Cache::new(self.settings(site)?)))
    }
}

impl Spec {
    pub(super) fn settings(self, site: &Site<'_>) -> Result<Settings, Problem> {
        let mut lifetimes = Vec::with_capacity(self.ttl.len());
        for (text, ttl) in &self.ttl {
            let statuses = statuses(text).ok_or_else(|| {
                let expected = "expected a status from 200 to 599 such as `404`, a class such as `5xx`, or a range such as `400-499`";
                Problem::new(format!("ttl.{text}"), expected)
            })?;
            lifetimes.push((statuses, seconds(*ttl)));
        }
        lifetimes.sort_by_key(|(statuses, _)| (statuses.end() - statuses.start(), *statuses.start()));
        if self.per_identity && !site.identifies {
            let message =
                "no filter before this one finds out who calls, so there is nothing to tell callers apart by";
            return Err(Problem::new("per_identity", message));
        }
        let tags = names("tags", &self.tags)?;
        let parents = self.parents.map(|name| parents(name, site)).transpose()?;
        let purgers = (!self.purge_from.is_empty()).then(|| IpSet::new(self.purge_from));
        Ok(Settings {
            shared: site.shared_cache(),
            policy: *site.fingerprint,
            rules: Rules {
                heuristic_max: seconds(self.heuristic_max),
                default_lifetimes: lifetimes,
                stale_while_revalidate: seconds(self.stale_while_revalidate),
                stale_if_error: seconds(self.stale_if_error),
                stale_if_unreachable: seconds(self.stale_if_unreachable),
            },
            query: self.key.query.compile()?,
            headers: names("key.headers", &self.key.headers)?,
            cookies: self.key.cookies.into_iter().map(String::into_boxed_str).collect(),
            per_identity: self.per_identity,
            honours_requests: self.request_directives,
            purgers,
            max_object: self.max_object.bytes(),
            patience: *self.lock_timeout,
            hidden: tags.iter().cloned().chain([EDGEWARD_CACHE_CONTROL]).collect(),
            tags,
            tells: self.status_header,
            parents,
        })
    }
}

/// An upstream that is one, in a fleet that shares its purges: else a parent would give back what was purged here.
fn parents(name: String, site: &Site<'_>) -> Result<Box<str>, Problem> {
    if !site.upstreams.contains(&&*name) {
        let suggestion = suggestion(&name, site.upstreams.iter().copied());
        return Err(Problem::new("parents", format_args!("no such upstream: {name:?}{suggestion}")));
    }
    if site.cache.purges.is_none() {
        let message = "what is purged here would come back from the parents: share purges by `cache: { purges: { redis: … } }`";
        return Err(Problem::new("parents", message));
    }
    Ok(name.into())
}

impl QuerySpec {
    fn compile(&self) -> Result<Query, Problem> {
        let names = |list: &[String]| list.iter().map(|name| Name::new(name)).collect::<Vec<_>>();
        let keep = match (&self.only, self.except.as_slice()) {
            (Some(_), [_, ..]) => {
                return Err(Problem::new("key.query", "expected at most one of `only` and `except`"));
            }
            (Some(only), []) => Keep::Only(names(only)),
            (None, []) => Keep::All,
            (None, except) => Keep::Except(names(except)),
        };
        Ok(Query { sort: self.sort, keep })
    }
}

fn names(at: &str, texts: &[String]) -> Result<Vec<HeaderName>, Problem> {
    let name = |(index, text): (usize, &String)| {
        let parsed = HeaderName::from_bytes(text.as_bytes());
        parsed.map_err(|_| Problem::new(format!("{at}[{index}]"), "expected the name of a header"))
    };
    texts.iter().enumerate().map(name).collect()
}

/// `404`, `5xx`, `400-499`.
fn statuses(text: &str) -> Option<RangeInclusive<u16>> {
    let status = |text: &str| {
        let is_status = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|status| is_status && (200..600).contains(status))
    };
    if let Some((first, last)) = text.split_once('-') {
        return Some(status(first)?..=status(last)?).filter(|statuses| !statuses.is_empty());
    }
    match text.strip_suffix("xx") {
        Some(class) => Some(status(&format!("{class}00"))?..=status(&format!("{class}99"))?),
        None => status(text).map(|status| status..=status),
    }
}

fn seconds(length: DurationOrZero) -> u32 {
    u32::try_from(length.as_secs()).unwrap_or(u32::MAX)
}
