//! A listener as it runs: what it speaks, whom it believes, what it lets a client cost.

use std::sync::Arc;
use std::time::Duration;

use crate::config::spec;
use crate::http::fields;
use crate::http::head::HeadLimits;
use crate::net::{IpSet, ListenAddress};
use crate::telemetry::metrics::ListenerMetrics;
use crate::tls::Acceptor;
use crate::values::Problem;

/// One listener.
pub struct Door {
    /// Where it listens.
    pub address: ListenAddress,
    /// The address as text.
    pub name: Arc<str>,
    /// TLS, unless it speaks cleartext.
    pub tls: Option<Arc<Acceptor>>,
    /// Every request is sent to https, at this port.
    pub redirect: Option<u16>,
    /// HTTP/2 without TLS.
    pub h2c: bool,
    /// Who must, and alone may, send a PROXY header.
    pub proxy_protocol: Option<IpSet>,
    /// What a client may cost.
    pub limits: DoorLimits,
    /// Counts what happens to its connections.
    pub metrics: ListenerMetrics,
}

/// [`spec::Limits`], checked.
#[derive(Debug, Clone)]
pub struct DoorLimits {
    /// Of a request head.
    pub head: HeadLimits,
    /// Longest request body in bytes.
    pub body: u64,
    /// For a whole request head.
    pub head_timeout: Duration,
    /// Between requests.
    pub idle_timeout: Duration,
    /// For TLS, and a PROXY header before it.
    pub handshake_timeout: Duration,
    /// Least bytes per second of a body.
    pub min_rate: u64,
    /// How long a client may fall behind it.
    pub stall: Duration,
    /// On one connection.
    pub requests: u32,
    /// HTTP/2 streams at a time.
    pub h2_streams: u32,
    /// HTTP/2 resets in a row.
    pub h2_resets: u32,
}

impl DoorLimits {
    /// Checks the limits; problems are told relative to them.
    pub(super) fn compile(spec: &spec::Limits) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        if !(1..=200).contains(&spec.headers) {
            problems.push(Problem::new("headers", "expected 1 to 200"));
        }
        if !(256..=256 << 10).contains(&spec.header_bytes.bytes()) {
            problems.push(Problem::new("header_bytes", "expected 256B to 256KiB"));
        }
        if !(16..=spec.header_bytes.bytes()).contains(&spec.uri.bytes()) {
            problems.push(Problem::new("uri", "expected 16B up to `header_bytes`"));
        }
        for (index, method) in spec.methods.iter().enumerate() {
            if !fields::is_token(method.as_bytes()) || method == "CONNECT" {
                problems
                    .push(Problem::new(format!("methods[{index}]"), "expected a method such as `PROPFIND`"));
            }
        }
        if spec.requests_per_connection == 0 {
            problems.push(Problem::new("requests_per_connection", "expected at least 1"));
        }
        if !(1..=10_000).contains(&spec.http2.streams) {
            problems.push(Problem::new("http2.streams", "expected 1 to 10000"));
        }
        if !(1..=10_000).contains(&spec.http2.resets) {
            problems.push(Problem::new("http2.resets", "expected 1 to 10000"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            head: HeadLimits {
                target_bytes: spec.uri.as_usize(),
                fields: usize::from(spec.headers),
                head_bytes: spec.header_bytes.as_usize(),
                more_methods: spec.methods.iter().map(|method| method.as_str().into()).collect(),
            },
            body: spec.body.bytes(),
            head_timeout: *spec.head_timeout,
            idle_timeout: *spec.idle_timeout,
            handshake_timeout: *spec.handshake_timeout,
            min_rate: spec.min_rate.bytes(),
            stall: *spec.stall,
            requests: spec.requests_per_connection,
            h2_streams: spec.http2.streams,
            h2_resets: spec.http2.resets,
        })
    }
}
