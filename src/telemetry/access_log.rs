//! The access log: one JSON line per request, of the fields a policy selects, in their order.
//!
//! What always holds: rendering allocates nothing once a thread is warm; every value is bounded ([`Field`] says how);
//! the query string is written only where selected, as it often carries secrets; header values are written only where
//! named, and those that carry credentials cannot be named.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue};

pub use selection::{Field, Misselected, Selection, SelectionError};

use super::json::{JsonLine, clip};
use super::timestamp;
use super::writer::LineWriter;

mod selection;

/// Longest host, user agent, referer or header value, in bytes.
const VALUE_LIMIT: usize = 512;
/// Longest path, and longest query.
const PATH_LIMIT: usize = 4096;
/// Longest of all other texts: names from the policy, identifiers, a consumer.
const NAME_LIMIT: usize = 256;
/// Most shadow refusals of one request.
const SHADOW_LIMIT: usize = 16;

/// A refusal that a filter in shadow mode would have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShadowRefusal<'a> {
    /// The filter.
    pub filter: &'a str,
    /// Its reason.
    pub reason: &'static str,
}

/// What is known of a finished request, borrowed from where it is known. What is `None` or empty is left out of the
/// line; bytes that are no UTF-8 are replaced.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// When the request head had arrived.
    pub time: SystemTime,
    /// The id of this request.
    pub request_id: &'a str,
    /// The W3C trace id, 32 hex digits.
    pub trace_id: &'a str,
    /// Who asked, as far as trusted hops tell. `None` on a Unix socket.
    pub client_ip: Option<IpAddr>,
    /// Who is at the other end of the connection.
    pub peer_ip: Option<IpAddr>,
    /// The method as sent.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The host asked for.
    pub host: &'a [u8],
    /// The normalised path, without the query.
    pub path: &'a [u8],
    /// The query, without its question mark.
    pub query: &'a [u8],
    /// `HTTP/1.1`, `HTTP/2` …
    pub protocol: &'static str,
    /// The TLS version, e.g. `TLSv1.3`.
    pub tls_version: &'a str,
    /// The TLS cipher suite.
    pub tls_cipher: &'a str,
    /// The server name in the TLS handshake.
    pub tls_sni: &'a str,
    /// The route that matched.
    pub route: &'a str,
    /// The upstream of the route.
    pub upstream: &'a str,
    /// The backend that answered, or was tried last.
    pub backend: &'a str,
    /// The status sent to the client; 0 if it left before one was.
    pub status: u16,
    /// Why the request was refused.
    pub reason: Option<&'static str>,
    /// The filter that refused it.
    pub filter: &'a str,
    /// What exactly made the filter refuse it.
    pub why: &'a str,
    /// What was found in the response that should not leave.
    pub findings: &'a str,
    /// What filters in shadow mode would have refused.
    pub shadow_refusals: &'a [ShadowRefusal<'a>],
    /// Body bytes received from the client.
    pub bytes_in: u64,
    /// Body bytes sent to the client.
    pub bytes_out: u64,
    /// From the request head to the last byte sent, in microseconds.
    pub duration_us: u64,
    /// The part of it spent on the upstream, in microseconds.
    pub upstream_duration_us: Option<u64>,
    /// Attempts after the first.
    pub retries: u32,
    /// The status the backend sent.
    pub upstream_status: Option<u16>,
    /// The `User-Agent` header.
    pub user_agent: &'a [u8],
    /// The `Referer` header.
    pub referer: &'a [u8],
    /// What the cache did: `hit`, `miss` …
    pub cache: Option<&'static str>,
    /// Who the request was proved to come from.
    pub consumer: &'a str,
    /// The id of the API key presented.
    pub consumer_key: &'a str,
    /// Where named request headers are looked up.
    pub request_headers: Option<&'a HeaderMap>,
    /// Where named response headers are looked up.
    pub response_headers: Option<&'a HeaderMap>,
}

impl Default for AccessRecord<'_> {
    /// A record of nothing, at the Unix epoch.
    fn default() -> Self {
        Self {
            time: SystemTime::UNIX_EPOCH,
            request_id: "",
            trace_id: "",
            client_ip: None,
            peer_ip: None,
            method: "",
            scheme: "",
            host: b"",
            path: b"",
            query: b"",
            protocol: "",
            tls_version: "",
            tls_cipher: "",
            tls_sni: "",
            route: "",
            upstream: "",
            backend: "",
            status: 0,
            reason: None,
            filter: "",
            why: "",
            findings: "",
            shadow_refusals: &[],
            bytes_in: 0,
            bytes_out: 0,
            duration_us: 0,
            upstream_duration_us: None,
            retries: 0,
            upstream_status: None,
            user_agent: b"",
            referer: b"",
            cache: None,
            consumer: "",
            consumer_key: "",
            request_headers: None,
            response_headers: None,
        }
    }
}

/// A compiled access log: what is written, and where to.
pub struct AccessLog {
    fields: Vec<Field>,
    request_headers: Vec<NamedHeader>,
    response_headers: Vec<NamedHeader>,
    writer: Arc<LineWriter>,
}

/// A header that the policy names, with the key of its field.
#[derive(Debug)]
struct NamedHeader {
    key: String,
    name: HeaderName,
}

impl AccessLog {
    /// Compiles a selection.
    ///
    /// # Errors
    /// All that is wrong with the selection: repeated fields, and headers that cannot be named.
    pub fn compile(selection: &Selection, writer: Arc<LineWriter>) -> Result<Self, Vec<Misselected>> {
        let checked = selection.check()?;
        let named = |prefix: &str, names: Vec<HeaderName>| {
            let header = |name: HeaderName| NamedHeader { key: format!("{prefix}.{name}"), name };
            names.into_iter().map(header).collect()
        };
        Ok(Self {
            fields: checked.fields,
            request_headers: named("request_header", checked.request_headers),
            response_headers: named("response_header", checked.response_headers),
            writer,
        })
    }

    /// Writes one line. Never waits; the line is dropped and counted if the writer is full.
    pub fn write(&self, record: &AccessRecord<'_>) {
        self.writer.append_rendered(|out| self.render(record, out));
    }

    /// Appends the line of a record, without a line end.
    pub fn render(&self, record: &AccessRecord<'_>, out: &mut Vec<u8>) {
        let mut line = JsonLine::new(out);
        for &field in &self.fields {
            write_field(&mut line, field, record);
        }
        write_headers(&mut line, &self.request_headers, record.request_headers);
        write_headers(&mut line, &self.response_headers, record.response_headers);
        line.finish();
    }

    /// The writer, to reopen and flush.
    #[must_use]
    pub fn writer(&self) -> &Arc<LineWriter> {
        &self.writer
    }
}

fn write_field(line: &mut JsonLine<'_>, field: Field, record: &AccessRecord<'_>) {
    let key = field.rendered_key();
    match field {
        Field::Time => _ = line.time(key, timestamp::unix_ms(record.time)),
        Field::RequestId => name(line, key, record.request_id),
        Field::TraceId => name(line, key, record.trace_id),
        Field::ClientIp => address(line, key, record.client_ip),
        Field::PeerIp => address(line, key, record.peer_ip),
        Field::Method => name(line, key, record.method),
        Field::Scheme => name(line, key, record.scheme),
        Field::Host => bytes(line, key, record.host, VALUE_LIMIT),
        Field::Path => bytes(line, key, record.path, PATH_LIMIT),
        Field::Query => bytes(line, key, record.query, PATH_LIMIT),
        Field::Protocol => name(line, key, record.protocol),
        Field::TlsVersion => name(line, key, record.tls_version),
        Field::TlsCipher => name(line, key, record.tls_cipher),
        Field::TlsSni => name(line, key, record.tls_sni),
        Field::Route => name(line, key, record.route),
        Field::Upstream => name(line, key, record.upstream),
        Field::Backend => name(line, key, record.backend),
        Field::Status => _ = line.u64(key, record.status.into()),
        Field::Reason => name(line, key, record.reason.unwrap_or_default()),
        Field::Filter => name(line, key, record.filter),
        Field::Why => name(line, key, record.why),
        Field::Findings => name(line, key, record.findings),
        Field::ShadowRefusals => shadow_refusals(line, key, record.shadow_refusals),
        Field::BytesIn => _ = line.u64(key, record.bytes_in),
        Field::BytesOut => _ = line.u64(key, record.bytes_out),
        Field::DurationMs => _ = line.f64_ms(key, record.duration_us),
        Field::UpstreamDurationMs => _ = record.upstream_duration_us.map(|us| _ = line.f64_ms(key, us)),
        Field::Retries => number(line, key, (record.retries > 0).then_some(record.retries.into())),
        Field::UpstreamStatus => number(line, key, record.upstream_status.map(u64::from)),
        Field::UserAgent => bytes(line, key, record.user_agent, VALUE_LIMIT),
        Field::Referer => bytes(line, key, without_query(record.referer), VALUE_LIMIT),
        Field::Cache => name(line, key, record.cache.unwrap_or_default()),
        Field::Consumer => name(line, key, record.consumer),
        Field::ConsumerKey => name(line, key, record.consumer_key),
    }
}

fn name(line: &mut JsonLine<'_>, key: &str, value: &str) {
    bytes(line, key, value.as_bytes(), NAME_LIMIT);
}

fn bytes(line: &mut JsonLine<'_>, key: &str, value: &[u8], limit: usize) {
    if !value.is_empty() {
        line.bytes_lossy(key, clip(value, limit));
    }
}

fn address(line: &mut JsonLine<'_>, key: &str, value: Option<IpAddr>) {
    if let Some(value) = value {
        line.ip(key, value);
    }
}

fn number(line: &mut JsonLine<'_>, key: &str, value: Option<u64>) {
    if let Some(value) = value {
        line.u64(key, value);
    }
}

fn shadow_refusals(line: &mut JsonLine<'_>, key: &str, refusals: &[ShadowRefusal<'_>]) {
    if refusals.is_empty() {
        return;
    }
    let mut list = line.list(key);
    for refusal in refusals.iter().take(SHADOW_LIMIT) {
        list.display(format_args!("{}:{}", refusal.filter, refusal.reason), NAME_LIMIT);
    }
}

/// A header sent more than once is written as its values with commas between, as RFC 9110 section 5.3 reads it.
fn write_headers(line: &mut JsonLine<'_>, named: &[NamedHeader], headers: Option<&HeaderMap>) {
    let Some(headers) = headers else { return };
    for NamedHeader { key, name } in named {
        let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
        let Some(first) = values.next() else { continue };
        // Borrowed unless there is more than one, which is rare.
        let mut joined = Cow::Borrowed(first);
        for value in values {
            if joined.len() > VALUE_LIMIT {
                break;
            }
            joined.to_mut().extend([b", ", value].concat());
        }
        line.bytes_lossy(key, clip(&joined, VALUE_LIMIT));
    }
}

/// A referer's query holds secrets as often as the request's own.
fn without_query(referer: &[u8]) -> &[u8] {
    referer.split(|&byte| byte == b'?' || byte == b'#').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
