//! `upstreams:` as written. What each part means is in the module that does it; [`compile`](super::compile)
//! puts them together.

mod either;

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::{balance, eject, health, retry};
use crate::tls::ClientSpec;
use crate::values::Duration;

pub(super) use either::word_or_map;

/// A group of backends that serve the same requests.
///
/// ```yaml
/// orders:
///   backends: [10.0.0.1:8080, { address: "orders.internal:8443", weight: 5 }]
///   balance: p2c_ewma
///   health_check: { http: { path: /healthz }, interval: 1s }
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Upstream")]
pub struct Spec {
    /// Where they are, at least one: `10.0.0.1:8080`, `[2001:db8::1]:80`, `unix:/run/app.sock`, or a DNS name
    /// with port. A name stands for all of its addresses; it is resolved at start and again whenever its TTL
    /// ends (at least every 5 minutes). While it cannot be resolved, its last addresses stay in use.
    pub backends: Vec<BackendSpec>,
    /// How requests are spread over them. Default `round_robin`.
    #[serde(default)]
    pub balance: balance::Spec,
    /// Probes that take a backend out of use before requests fail. Without it, only failing requests do
    /// (`eject`). When every backend fails its checks, requests get 503 `no_healthy_backend`; none is sent to
    /// a backend known to be down.
    pub health_check: Option<health::Spec>,
    /// What the backends speak. Default `http1`.
    #[serde(default)]
    pub protocol: Protocol,
    /// Connects with TLS. `{}` verifies the backend's certificate against the system's authorities and its
    /// name, which for a Unix socket is `localhost`; for an IP address `sni` must say it.
    pub tls: Option<ClientSpec>,
    /// How long to wait for what.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Trying again elsewhere.
    #[serde(default)]
    pub retries: retry::Spec,
    /// Keeping out backends whose requests keep failing, or `off`. Default: on, with these limits.
    #[serde(default)]
    pub eject: eject::Spec,
    /// Limits of connections.
    #[serde(default)]
    pub connections: Connections,
}

/// An address, or an address with its weight.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "Backend", untagged)]
pub enum BackendSpec {
    /// Weight 1.
    Address(String),
    /// Any weight.
    Weighted(Weighted),
}

/// An address with its weight.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WeightedBackend")]
pub struct Weighted {
    /// `host:port` or `unix:/path`.
    pub address: String,
    /// Its share relative to the others, 1 to 256. Each address of a name has this weight.
    #[serde(default = "one")]
    pub weight: u32,
}

/// What the backends speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "UpstreamProtocol")]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: by ALPN over TLS, with prior knowledge (h2c) without.
    Http2,
    /// HTTP/2 that carries gRPC: `te: trailers` and trailers pass.
    Grpc,
    /// HTTP/2 where the backend offers it over TLS, else HTTP/1.1. Without TLS always HTTP/1.1.
    Auto,
}

/// How long to wait for a backend.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For the next bytes of a response, from its head on. Not for the whole of it.
    pub read: Duration,
    /// Until a piece of the request is taken.
    pub write: Duration,
    /// How long an unused connection is kept for the next request. Keep it below the backend's own, or
    /// requests meet connections that were just closed.
    pub idle: Duration,
}

/// Limits of connections to one backend.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Connections {
    /// Requests at a time on one HTTP/2 connection; more open another. The backend's own limit counts too.
    pub max_h2_streams: NonZeroUsize,
}

impl BackendSpec {
    pub(super) fn address(&self) -> &str {
        match self {
            Self::Address(address) => address,
            Self::Weighted(weighted) => &weighted.address,
        }
    }

    pub(super) const fn weight(&self) -> u32 {
        match self {
            Self::Address(_) => 1,
            Self::Weighted(weighted) => weighted.weight,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            read: Duration::from_secs(30),
            write: Duration::from_secs(30),
            idle: Duration::from_secs(60),
        }
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self { max_h2_streams: const { NonZeroUsize::new(100).unwrap() } }
    }
}

impl From<String> for BackendSpec {
    fn from(address: String) -> Self {
        Self::Address(address)
    }
}

impl From<Weighted> for BackendSpec {
    fn from(weighted: Weighted) -> Self {
        Self::Weighted(weighted)
    }
}

impl<'de> Deserialize<'de> for BackendSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word_or_map::<_, String, Weighted, _>(deserializer, "an address such as 10.0.0.1:8080")
    }
}

const fn one() -> u32 {
    1
}
