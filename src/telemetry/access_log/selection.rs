//! What a policy says about the access log's fields, and the check that it asks for nothing secret.

use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parts of names of headers that carry credentials. Their values are never logged, whatever a policy says.
const SECRET_PARTS: [&str; 10] = [
    "api-key",
    "apikey",
    "assertion",
    "authorization",
    "cookie",
    "credential",
    "dpop",
    "passw",
    "secret",
    "token",
];

/// Most headers named in each direction.
const HEADERS_LIMIT: usize = 32;

/// One `Field` enum, its key in the line, and the list of all: they cannot part ways.
macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident = $key:literal,)+) => {
        /// A field of the access log, named as in the line. Names and identifiers are cut after 256 bytes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[schemars(rename = "AccessLogField")]
        pub enum Field {
            $($(#[$doc])* #[serde(rename = $key)] $variant,)+
        }

        impl Field {
            /// Every field.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The field's key in a line, and its name in a policy.
            #[must_use]
            pub fn key(self) -> &'static str {
                match self { $(Self::$variant => $key,)+ }
            }

            /// The key as it stands in a line, with its quotes and colon.
            pub(super) fn rendered_key(self) -> &'static str {
                match self { $(Self::$variant => concat!("\"", $key, "\":"),)+ }
            }
        }
    };
}

fields! {
    /// When the request head had arrived: RFC 3339, UTC, milliseconds.
    Time = "time",
    /// The id of this request.
    RequestId = "request_id",
    /// The W3C trace id.
    TraceId = "trace_id",
    /// Who asked, as far as trusted hops tell.
    ClientIp = "client_ip",
    /// The address at the other end of the connection.
    PeerIp = "peer_ip",
    /// The method.
    Method = "method",
    /// `http` or `https`.
    Scheme = "scheme",
    /// The host asked for, up to 512 bytes.
    Host = "host",
    /// The normalised path without the query, up to 4096 bytes.
    Path = "path",
    /// The query, up to 4096 bytes. May hold secrets: not written by default.
    Query = "query",
    /// The HTTP version.
    Protocol = "protocol",
    /// The TLS version.
    TlsVersion = "tls_version",
    /// The TLS cipher suite.
    TlsCipher = "tls_cipher",
    /// The server name of the TLS handshake.
    TlsSni = "tls_sni",
    /// The route that matched.
    Route = "route",
    /// The route's upstream.
    Upstream = "upstream",
    /// The backend that answered, or was tried last.
    Backend = "backend",
    /// The status sent; 0 if the client left before.
    Status = "status",
    /// Why the request was refused.
    Reason = "reason",
    /// The filter that refused it.
    Filter = "filter",
    /// What exactly made the filter refuse it, where it has more to say than its reason.
    Why = "why",
    /// What was found in the response that should not leave, and how often: `card 2, aws 1`.
    Findings = "findings",
    /// What filters in shadow mode would have refused, as `filter:reason`, up to 16.
    ShadowRefusals = "shadow_refusals",
    /// Body bytes received.
    BytesIn = "bytes_in",
    /// Body bytes sent.
    BytesOut = "bytes_out",
    /// The whole duration in milliseconds.
    DurationMs = "duration_ms",
    /// The upstream's part of it, in milliseconds.
    UpstreamDurationMs = "upstream_duration_ms",
    /// Attempts after the first, if there were any.
    Retries = "retries",
    /// The status the backend sent.
    UpstreamStatus = "upstream_status",
    /// The `User-Agent` header, up to 512 bytes.
    UserAgent = "user_agent",
    /// The `Referer` header without its query, up to 512 bytes.
    Referer = "referer",
    /// What the cache did.
    Cache = "cache",
    /// Who the request was proved to come from.
    Consumer = "consumer",
    /// The id of the API key presented. If the reason is `key_unknown`, it is what the client says.
    ConsumerKey = "consumer_key",
}

/// What each line of the access log holds, in which order. Fields come first, then headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Selection {
    /// The fields, each at most once.
    pub fields: Vec<Field>,
    /// Request headers to write, each as `request_header.NAME`, up to 512 bytes; at most 32. Those that carry
    /// credentials by their name (`authorization`, `set-cookie`, `x-api-key`, `x-auth-token` and the like) are refused.
    pub request_headers: Vec<String>,
    /// Response headers to write, each as `response_header.NAME`; the same limits hold.
    pub response_headers: Vec<String>,
}

impl Default for Selection {
    /// All that it takes to follow a request and to explain a refusal, and no query, referer or header.
    fn default() -> Self {
        use Field::{
            Backend, BytesIn, BytesOut, Cache, ClientIp, Consumer, ConsumerKey, DurationMs, Filter, Findings,
            Host, Method, Path, Protocol, Reason, RequestId, Retries, Route, ShadowRefusals, Status, Time,
            TlsVersion, TraceId, Upstream, UpstreamDurationMs, UpstreamStatus, UserAgent, Why,
        };
        let fields = vec![
            Time,
            RequestId,
            TraceId,
            ClientIp,
            Method,
            Host,
            Path,
            Protocol,
            TlsVersion,
            Route,
            Status,
            Reason,
            Filter,
            Why,
            Findings,
            ShadowRefusals,
            Consumer,
            ConsumerKey,
            Cache,
            Upstream,
            Backend,
            UpstreamStatus,
            Retries,
            BytesIn,
            BytesOut,
            DurationMs,
            UpstreamDurationMs,
            UserAgent,
        ];
        Self { fields, request_headers: Vec::new(), response_headers: Vec::new() }
    }
}

/// What is wrong with a selection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// A field is selected twice.
    #[error("field {0:?} is selected twice")]
    RepeatedField(&'static str),
    /// A header is named twice.
    #[error("header {0:?} is named twice")]
    RepeatedHeader(String),
    /// The name is no header name (RFC 9110 section 5.1).
    #[error("{0:?} is no header name")]
    NoHeaderName(String),
    /// The header carries credentials.
    #[error("header {0:?} carries credentials and is never logged")]
    SecretHeader(String),
    /// Too many headers in one direction.
    #[error("{0} headers are named, at most {HEADERS_LIMIT} can be")]
    TooManyHeaders(usize),
}

/// What is wrong with a selection, and where in it: `request_headers[1]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misselected {
    /// The key, and the index of the item.
    pub at: String,
    pub error: SelectionError,
}

/// A selection that is right.
pub(super) struct Checked {
    pub(super) fields: Vec<Field>,
    pub(super) request_headers: Vec<HeaderName>,
    pub(super) response_headers: Vec<HeaderName>,
}

impl Selection {
    /// Everything that is wrong, or what is selected.
    pub(super) fn check(&self) -> Result<Checked, Vec<Misselected>> {
        let mut errors = Vec::new();
        let fields = check_fields(&self.fields, &mut errors);
        let request_headers = check_headers("request_headers", &self.request_headers, &mut errors);
        let response_headers = check_headers("response_headers", &self.response_headers, &mut errors);
        if errors.is_empty() {
            Ok(Checked { fields, request_headers, response_headers })
        } else {
            Err(errors)
        }
    }
}

fn check_fields(selected: &[Field], errors: &mut Vec<Misselected>) -> Vec<Field> {
    let mut fields = Vec::new();
    for (index, &field) in selected.iter().enumerate() {
        if fields.contains(&field) {
            let error = SelectionError::RepeatedField(field.key());
            errors.push(Misselected { at: format!("fields[{index}]"), error });
        } else {
            fields.push(field);
        }
    }
    fields
}

fn check_headers(key: &str, named: &[String], errors: &mut Vec<Misselected>) -> Vec<HeaderName> {
    if named.len() > HEADERS_LIMIT {
        let error = SelectionError::TooManyHeaders(named.len());
        errors.push(Misselected { at: key.to_owned(), error });
        return Vec::new();
    }
    let mut headers = Vec::new();
    for (index, name) in named.iter().enumerate() {
        // Parsing folds the case, so no spelling of a secret's name gets past the list.
        let error = match name.parse::<HeaderName>() {
            Err(_) => SelectionError::NoHeaderName(name.clone()),
            Ok(header) if SECRET_PARTS.iter().any(|part| header.as_str().contains(part)) => {
                SelectionError::SecretHeader(name.clone())
            }
            Ok(header) if headers.contains(&header) => SelectionError::RepeatedHeader(name.clone()),
            Ok(header) => {
                headers.push(header);
                continue;
            }
        };
        errors.push(Misselected { at: format!("{key}[{index}]"), error });
    }
    headers
}
