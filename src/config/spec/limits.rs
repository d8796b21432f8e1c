//! What a client may cost before anyone looks at what it wants.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::values::{Duration, Size};

/// Limits of the front door. Each has a default that ordinary clients never meet.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Longest request target; beyond it 414. Default `8KiB`.
    pub uri: Size,
    /// Most header fields; beyond it 431. Default 100, at most 200.
    pub headers: u16,
    /// Most bytes of the whole request head; beyond it 431. Default `32KiB`, at most `256KiB`.
    pub header_bytes: Size,
    /// Longest request body; beyond it 413. Default `16MiB`.
    pub body: Size,
    /// From the first byte of a request to the end of its head; then 408. Default `10s`.
    pub head_timeout: Duration,
    /// How long a connection may idle between requests; then it is closed. Default `60s`.
    pub idle_timeout: Duration,
    /// How long a TLS handshake, and a PROXY header before it, may take. Default `10s`.
    pub handshake_timeout: Duration,
    /// Least rate at which a body must come in, and a response be taken, per second, once `stall` is used up; slower
    /// clients get 408 or are closed. Default `500B`.
    pub min_rate: Size,
    /// How long a client may fall behind `min_rate`. Default `10s`.
    pub stall: Duration,
    /// Requests on one connection; then it is closed. Default 10000.
    pub requests_per_connection: u32,
    /// Methods known beside those of RFC 9110, PATCH and QUERY, e.g. `[PROPFIND]`; others get 501. So does `TRACE` unless it
    /// is named here: backends answer it by what they were sent, and with it by what proxies put in.
    pub methods: Vec<String>,
    /// HTTP/2 alone.
    pub http2: Http2Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            uri: Size::from_bytes(8 << 10),
            headers: 100,
            header_bytes: Size::from_bytes(32 << 10),
            body: Size::from_bytes(16 << 20),
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(10),
            min_rate: Size::from_bytes(500),
            stall: Duration::from_secs(10),
            requests_per_connection: 10_000,
            methods: Vec::new(),
            http2: Http2Limits::default(),
        }
    }
}

/// Limits of an HTTP/2 connection.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Http2Limits {
    /// Streams open at a time. Default 128.
    pub streams: u32,
    /// Streams the client may reset before we answered, counted together, before the connection is closed with
    /// `ENHANCE_YOUR_CALM` (CVE-2023-44487). Default 64.
    pub resets: u32,
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self { streams: 128, resets: 64 }
    }
}
