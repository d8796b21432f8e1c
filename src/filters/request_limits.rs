//! Tightens the listener's limits on one route: how long a target, how many headers, how large a body of what kind.
//!
//! What a head declares is judged before anything goes upstream. A body is measured again as it passes, because its
//! length need not be declared, and an HTTP/2 head does not say whether a body follows.

use std::num::NonZeroU16;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{Method, StatusCode};
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use super::media_type::MediaRange;
use super::{Exchange, Filter, Phases, Refusal, Site, Step};
use crate::values::{Problem, Size};

/// Tightens the limits of the listener for one route. Each limit is off unless given; at least one must be.
///
/// ```yaml
/// - request_limits: { max_body: 64KiB, content_types: [application/json] }
/// ```
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// Longest request body, e.g. `1MiB`; beyond it 413 `body_too_large`, at once where `Content-Length` says so, else
    /// as soon as more has come in. `0B` refuses every body.
    pub max_body: Option<Size>,
    /// Longest path and query together, e.g. `2KiB`; beyond it 414 `uri_too_long`.
    pub max_uri: Option<Size>,
    /// Most query parameters, e.g. `32`; beyond it 400 `too_many_query_args`.
    pub max_query_args: Option<u16>,
    /// Most header fields, e.g. `64`; beyond it 431 `too_many_headers`.
    pub max_headers: Option<NonZeroU16>,
    /// Most bytes of all header fields, e.g. `16KiB`: names and values, and 4 bytes for each field as HTTP/1.1 adds
    /// them; beyond it 431 `header_bytes`.
    pub max_header_bytes: Option<Size>,
    /// What a body may be, e.g. `[application/json, "application/*+json"]`; a body of another type, or of none, gets
    /// 415 `content_type`. Parameters such as `charset` don't count.
    pub content_types: Option<Vec<MediaRange>>,
    /// Whether a body needs a `Content-Length`; without one 411 `length_required`. Default `false`.
    pub require_content_length: bool,
    /// The methods that may have a body, e.g. `[POST, PUT, PATCH]`; with another one a body gets 400
    /// `body_not_allowed`.
    pub body_methods: Option<Vec<String>>,
}

impl super::Spec for Spec {
    const KIND: &'static str = "request_limits";
    const DECIDES: bool = true;

    fn compile(self, _: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        let bytes_at_least = |at, size: Option<Size>, least| match size {
            Some(size) if size.bytes() < least => {
                Err(Problem::new(at, format_args!("no request fits into less than {least}B")))
            }
            size => Ok(size.map(Size::as_usize)),
        };
        let limits = RequestLimits {
            uri_bytes: bytes_at_least("max_uri", self.max_uri, 1)?,
            query_args: self.max_query_args.map(usize::from),
            headers: self.max_headers.map(|most| most.get().into()),
            header_bytes: bytes_at_least("max_header_bytes", self.max_header_bytes, 64)?,
            body: BodyLimits {
                bytes: self.max_body.map(Size::bytes),
                types: not_empty("content_types", self.content_types)?,
                methods: methods(self.body_methods)?,
                declared: self.require_content_length,
            },
        };
        if limits == RequestLimits::default() {
            return Err(Problem::whole("sets no limit: name at least one, e.g. max_body: 1MiB"));
        }
        Ok(Box::new(limits))
    }
}

fn methods(names: Option<Vec<String>>) -> Result<Option<Vec<Method>>, Problem> {
    let Some(names) = not_empty("body_methods", names)? else { return Ok(None) };
    let parse = |(index, name): (usize, String)| match Method::from_bytes(name.as_bytes()) {
        Ok(method) if name.bytes().all(|byte| !byte.is_ascii_lowercase()) => Ok(method),
        _ => Err(Problem::new(
            format!("body_methods[{index}]"),
            format_args!("expected a method such as POST, found {name:?}"),
        )),
    };
    names.into_iter().enumerate().map(parse).collect::<Result<_, _>>().map(Some)
}

fn not_empty<T>(at: &str, list: Option<Vec<T>>) -> Result<Option<Vec<T>>, Problem> {
    match list {
        Some(list) if list.is_empty() => {
            Err(Problem::new(at, "is empty: to refuse every body, write max_body: 0B"))
        }
        list => Ok(list),
    }
}

#[derive(Debug, Default, PartialEq)]
struct RequestLimits {
    uri_bytes: Option<usize>,
    query_args: Option<usize>,
    headers: Option<usize>,
    header_bytes: Option<usize>,
    body: BodyLimits,
}

#[derive(Debug, Default, PartialEq)]
struct BodyLimits {
    bytes: Option<u64>,
    types: Option<Vec<MediaRange>>,
    methods: Option<Vec<Method>>,
    declared: bool,
}

/// How much of the body has passed, in bytes. Kept once any has.
struct Passed(u64);

impl Filter for RequestLimits {
    fn phases(&self) -> Phases {
        if self.body == BodyLimits::default() {
            return Phases::REQUEST;
        }
        Phases::REQUEST.and(Phases::REQUEST_BODY)
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        let request = &*exchange.request;
        let checked = self.target(request).and_then(|()| self.fields(request));
        match checked.and_then(|()| self.body.declaration(request)) {
            Ok(()) => Step::NEXT,
            Err(refusal) => refusal.into(),
        }
    }

    fn on_request_body(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Option<Bytes>,
        _end: bool,
    ) -> Result<(), Refusal> {
        let length = body.as_ref().map_or(0, Bytes::len) as u64;
        if length == 0 {
            return Ok(());
        }
        let passed = if let Some(Passed(bytes)) = exchange.slot() {
            *bytes = bytes.saturating_add(length);
            *bytes
        } else {
            exchange.keep(Passed(length));
            self.body.kind(exchange.request)?;
            length
        };
        self.body.size(passed)
    }
}

impl RequestLimits {
    fn target(&self, request: &RequestHeader) -> Result<(), Refusal> {
        let length = request.uri.path_and_query().map_or(0, |target| target.as_str().len());
        within(length, self.uri_bytes, StatusCode::URI_TOO_LONG, "uri_too_long")?;
        let Some(most) = self.query_args else { return Ok(()) };
        let query = request.uri.query().unwrap_or_default();
        let count = query.split('&').filter(|argument| !argument.is_empty()).count();
        within(count, Some(most), StatusCode::BAD_REQUEST, "too_many_query_args")
    }

    fn fields(&self, request: &RequestHeader) -> Result<(), Refusal> {
        const STATUS: StatusCode = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        within(request.headers.len(), self.headers, STATUS, "too_many_headers")?;
        let Some(most) = self.header_bytes else { return Ok(()) };
        let fields = request.headers.iter();
        let bytes = fields.map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        within(bytes, Some(most), STATUS, "header_bytes")
    }
}

fn within(
    value: usize,
    most: Option<usize>,
    status: StatusCode,
    reason: &'static str,
) -> Result<(), Refusal> {
    match most {
        Some(most) if value > most => Err(Refusal::new(status, reason)),
        _ => Ok(()),
    }
}

impl BodyLimits {
    /// Judges the body by what the head says of it, where it says that there is one.
    fn declaration(&self, request: &RequestHeader) -> Result<(), Refusal> {
        match request.headers.get(CONTENT_LENGTH) {
            // A number that does not fit is larger than any limit.
            Some(length) => match length.to_str().unwrap_or_default().parse().unwrap_or(u64::MAX) {
                0 => Ok(()),
                length => self.size(length).and_then(|()| self.kind(request)),
            },
            None if request.headers.contains_key(TRANSFER_ENCODING) => self.kind(request),
            None => Ok(()),
        }
    }

    /// Whether a request with this head may have a body at all.
    fn kind(&self, request: &RequestHeader) -> Result<(), Refusal> {
        if self.methods.as_ref().is_some_and(|methods| !methods.contains(&request.method)) {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "body_not_allowed"));
        }
        if self.declared && !request.headers.contains_key(CONTENT_LENGTH) {
            return Err(Refusal::new(StatusCode::LENGTH_REQUIRED, "length_required"));
        }
        let Some(types) = &self.types else { return Ok(()) };
        let mut lines = request.headers.get_all(CONTENT_TYPE).iter();
        // Two lines may be read as one type here and as the other behind us.
        let content_type = match (lines.next(), lines.next()) {
            (Some(line), None) => line.to_str().unwrap_or_default(),
            _ => "",
        };
        if types.iter().any(|range| range.contains(content_type)) {
            return Ok(());
        }
        Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type"))
    }

    fn size(&self, bytes: u64) -> Result<(), Refusal> {
        match self.bytes {
            Some(most) if bytes > most => Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
