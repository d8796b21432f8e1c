//! `health_check:` as written, and what it means.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration as StdDuration;

use http::{HeaderName, HeaderValue, Method, Uri};
use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Check, Connectors, Probe, grpc, http as http_probe};
use crate::values::{Duration, Problem};

const SHORTEST_INTERVAL: StdDuration = StdDuration::from_millis(100);
/// Longest name of a gRPC service.
const LONGEST_SERVICE: usize = 1024;

/// Probes each backend: exactly one of `tcp`, `http` and `grpc`. They use the upstream's TLS settings.
///
/// ```yaml
/// health_check: { http: { path: /healthz, status: [200, 204] }, interval: 500ms }
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HealthCheck")]
pub struct Spec {
    /// Passes when a connection can be made, TLS included. Written `tcp: {}`.
    pub tcp: Option<Tcp>,
    /// Passes when a request is answered as expected.
    pub http: Option<Http>,
    /// Passes when the gRPC health service says `SERVING` (`grpc.health.v1.Health/Check`), over HTTP/2 or
    /// h2c.
    pub grpc: Option<Grpc>,
    /// From one check of a backend to the next, at least `100ms`. Default `1s`.
    #[serde(default = "one_second")]
    pub interval: Duration,
    /// For a whole check, connecting included. Default `1s`.
    #[serde(default = "one_second")]
    pub timeout: Duration,
    /// Passes in a row that bring a backend back. Default 2. The first check after the start decides alone.
    #[serde(default = "two")]
    pub rise: NonZeroU32,
    /// Failures in a row that take a backend out. Default 3.
    #[serde(default = "three")]
    pub fall: NonZeroU32,
    /// Another port than the backend's own.
    pub port: Option<NonZeroU16>,
}

/// A connection and nothing else.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TcpCheck")]
pub struct Tcp {}

/// A request and the answer it must get.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HttpCheck")]
pub struct Http {
    /// What to ask for, with its query, e.g. `/healthz`.
    pub path: String,
    /// The `Host` to ask for. Default: the backend as written.
    pub host: Option<String>,
    /// Default `GET`.
    pub method: Option<String>,
    /// Statuses that pass, e.g. `[200, 204]`. Default: any from 200 to 299.
    #[serde(default)]
    pub status: Vec<u16>,
    /// Headers the answer must have, with these very values.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Regular expression to find in the first 64 KiB of the body.
    pub body: Option<String>,
}

/// A call of the gRPC health service.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GrpcCheck")]
pub struct Grpc {
    /// The service to ask about, e.g. `orders.v1.Orders`. Default: the server as a whole.
    #[serde(default)]
    pub service: String,
}

impl Spec {
    pub(in crate::upstream) fn compile(self, connectors: Arc<Connectors>) -> Result<Check, Vec<Problem>> {
        let mut problems = Vec::new();
        if *self.interval < SHORTEST_INTERVAL {
            problems.push(Problem::new("interval", "expected at least 100ms"));
        }
        let probe = match (self.tcp, self.http, self.grpc) {
            (Some(Tcp {}), None, None) => Some(Probe::Tcp),
            (None, Some(http), None) => http.compile(&mut problems).map(Probe::Http),
            (None, None, Some(grpc)) => grpc.compile(&mut problems).map(Probe::Grpc),
            _ => {
                problems.push(Problem::whole("expected exactly one of tcp, http and grpc"));
                None
            }
        };
        match probe {
            Some(probe) if problems.is_empty() => Ok(Check {
                probe,
                interval: *self.interval,
                timeout: *self.timeout,
                rise: self.rise,
                fall: self.fall,
                port: self.port,
                connectors,
            }),
            _ => Err(problems),
        }
    }
}

impl Http {
    fn compile(self, problems: &mut Vec<Problem>) -> Option<http_probe::Probe> {
        let mut wrong =
            |at: &str, message: String| problems.push(Problem::new(format!("http.{at}"), message));
        let is_path = self.path.starts_with('/') && self.path.parse::<Uri>().is_ok();
        if !is_path {
            wrong("path", format!("expected a path such as /healthz, found {:?}", self.path));
        }
        let method = match self.method.as_deref().unwrap_or("GET").parse::<Method>() {
            Ok(Method::CONNECT) | Err(_) => {
                wrong("method", "expected a method such as GET or HEAD".to_owned());
                None
            }
            Ok(method) => Some(method),
        };
        let host = self.host.as_deref().map(HeaderValue::from_str).transpose();
        let host = host.map_err(|_| wrong("host", "expected a host such as api.internal".to_owned())).ok();
        for (index, status) in self.status.iter().enumerate() {
            if !(200..=599).contains(status) {
                wrong(&format!("status[{index}]"), "expected a status from 200 to 599".to_owned());
            }
        }
        let body = self.body.as_deref().map(Regex::new).transpose();
        let body = body.map_err(|error| wrong("body", format!("not a regular expression: {error}"))).ok();
        let headers = headers(&self.headers, &mut wrong);
        let well = problems.is_empty();
        let (path, status) = (self.path, self.status);
        let probe = http_probe::Probe { method: method?, path, host: host?, status, headers, body: body? };
        well.then_some(probe)
    }
}

fn headers(
    written: &BTreeMap<String, String>,
    wrong: &mut impl FnMut(&str, String),
) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (name, value) in written {
        match (name.parse(), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => headers.push((name, value)),
            _ => wrong("headers", format!("{name:?}: {value:?} is no header")),
        }
    }
    headers
}

impl Grpc {
    fn compile(self, problems: &mut Vec<Problem>) -> Option<grpc::Probe> {
        if self.service.len() > LONGEST_SERVICE {
            problems.push(Problem::new("grpc.service", format_args!("longer than {LONGEST_SERVICE} bytes")));
            return None;
        }
        Some(grpc::Probe::new(&self.service))
    }
}

const fn one_second() -> Duration {
    Duration::from_secs(1)
}

const fn two() -> NonZeroU32 {
    const { NonZeroU32::new(2).unwrap() }
}

const fn three() -> NonZeroU32 {
    const { NonZeroU32::new(3).unwrap() }
}
