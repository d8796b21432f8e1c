//! The process: workers, runtime files, logs and the admin listener.

use std::path::PathBuf;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::net::ListenAddress;
use crate::telemetry::access_log::Field;
use crate::values::{Duration, Secret};

/// The process itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Worker threads that serve traffic. Default: one for each core.
    pub workers: Option<u16>,
    /// Where the upgrade socket and the pid file live. Default: `$RUNTIME_DIRECTORY`, else
    /// `$XDG_RUNTIME_DIR/edgeward`, else `/run/edgeward`.
    pub runtime_directory: Option<PathBuf>,
    /// Where what must survive a restart is kept: how often each API key was used, and which notices were sent. Made when
    /// something is to be kept. Default: `$STATE_DIRECTORY`, else `/var/lib/edgeward`. Takes effect at start alone.
    pub state_directory: Option<PathBuf>,
    /// How long connections may take to end after a hand-over or a stop, e.g. `5m`. Default `1m`: a restart waits that
    /// long for a WebSocket, and nobody is served meanwhile. Where only upgrades happen, longer costs nothing.
    pub drain: Duration,
    /// Reload by itself when the policy file or a file it names changes. Default `false`: a reload is asked for by
    /// SIGHUP or `POST /reload`.
    pub watch: bool,
    /// Networks whose `X-Forwarded-For` or `Forwarded` is believed, e.g. `10.0.0.0/8`. Default: none, and what a
    /// client sends in these headers is replaced.
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<IpNet>,
    /// Which of the two headers trusted hops write: `x_forwarded_for` (default) or `forwarded` (RFC 7239).
    pub forwarded_header: ForwardedHeader,
    /// Open connections over all listeners, beyond which new ones are closed at once. Default 100000.
    pub max_connections: u32,
    /// Serves a small echo backend at this address, for trials. Off unless given.
    pub echo: Option<ListenAddress>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            workers: None,
            runtime_directory: None,
            state_directory: None,
            drain: Duration::from_secs(60),
            watch: false,
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
            max_connections: 100_000,
            echo: None,
        }
    }
}

/// The header in which trusted hops tell the client's address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For: client, proxy1`.
    #[default]
    XForwardedFor,
    /// `Forwarded: for=client;proto=https` (RFC 7239).
    Forwarded,
}

/// The operational log.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Least level, optionally by module: `info` or `warn,edgeward=debug`. Default `info`.
    pub level: String,
    /// `json`, `text`, or `auto` (text on a terminal, else JSON). Default `auto`.
    pub format: LogFormat,
    /// A file instead of standard error; reopened on SIGUSR1.
    pub file: Option<PathBuf>,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::default(), file: None }
    }
}

/// How a line of the operational log looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// One JSON line a request, written in batches by a thread of its own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessLog {
    /// `stdout` (default), `off`, or a file's path; a file is reopened on SIGUSR1.
    pub to: AccessLogTarget,
    /// Which fields, in this order. Default: what it takes to follow a request and to explain a refusal.
    pub fields: Option<Vec<Field>>,
    /// Request headers to write too, each as `request_header.NAME`. Those that carry credentials are refused.
    pub request_headers: Vec<String>,
    /// Response headers likewise, each as `response_header.NAME`.
    pub response_headers: Vec<String>,
}

/// Where access log lines go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AccessLogTarget {
    /// Standard output.
    #[default]
    Stdout,
    /// Nowhere.
    Off,
    /// A file, appended to.
    File(PathBuf),
}

impl<'de> Deserialize<'de> for AccessLogTarget {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match String::deserialize(deserializer)?.as_str() {
            "stdout" => Self::Stdout,
            "off" => Self::Off,
            path => Self::File(path.into()),
        })
    }
}

impl JsonSchema for AccessLogTarget {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AccessLogTarget".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "`stdout`, `off`, or a file's path." })
    }
}

/// The listener for operators.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Where it listens, e.g. `127.0.0.1:9901` or `unix:/run/edgeward/admin.sock`.
    pub address: ListenAddress,
    /// Asked for as `Authorization: Bearer …`. Needed where the address is not loopback.
    pub token: Option<Secret>,
}
