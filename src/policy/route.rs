//! A route as it runs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use pingora::http::ResponseHeader;

use super::pattern::Pattern;
use super::rewrite::Template;
use super::service::Service;
use crate::filters::chain::Chain;
use crate::telemetry::metrics::RouteMetrics;
use crate::upstream::Protocol;

/// Which filters, and then what.
pub struct Route {
    /// Its name in metrics, logs and counters.
    pub name: Arc<str>,
    /// The filters.
    pub chain: Chain,
    /// What happens to what they let pass.
    pub action: Action,
    /// The path patterns, for what they capture.
    pub patterns: Vec<Pattern>,
    /// What the upstream sees instead.
    pub rewrite: Rewrite,
    /// How long the upstream may stay silent.
    pub timeout: Option<Duration>,
    /// Longest request body in bytes.
    pub max_body: Option<u64>,
    /// Whether an upgrade to WebSocket is passed on.
    pub websocket: bool,
    /// Its counters.
    pub metrics: RouteMetrics,
}

impl Route {
    /// What the path has where the route's template has names.
    #[must_use]
    pub fn segments(&self, path: &str) -> Vec<(Arc<str>, Box<str>)> {
        if self.patterns.iter().all(|pattern| pattern.captures().next().is_none()) {
            return Vec::new();
        }
        let pattern = self.patterns.iter().find(|pattern| pattern.matches(path));
        pattern.map(|pattern| pattern.captured(path)).unwrap_or_default()
    }

    /// Whether its upstream speaks gRPC.
    #[must_use]
    pub fn is_grpc(&self) -> bool {
        matches!(&self.action, Action::Upstream(service) if service.protocol() == Protocol::Grpc)
    }
}

/// What happens at the end of a chain.
pub enum Action {
    /// Proxied.
    Upstream(Arc<Service>),
    /// Answered here.
    Respond(Box<Response>),
    /// Sent elsewhere.
    Redirect(StatusCode, Template),
    /// Not exposed: 404, or 405 where another method would be.
    Nothing,
}

/// A ready answer.
pub struct Response {
    /// Status and headers.
    pub head: ResponseHeader,
    /// The body.
    pub body: Bytes,
}

/// What the upstream sees in place of the client's path and host.
#[derive(Default)]
pub struct Rewrite {
    /// Instead of the path.
    pub path: Option<Template>,
    /// Taken off the path.
    pub strip_prefix: Option<Box<str>>,
    /// Instead of the host.
    pub host: Option<http::HeaderValue>,
}
