//! Compresses responses with gzip, Brotli or Zstandard as they stream by.
//!
//! What always holds: a response that says how it is encoded, or that it must not be changed, is left alone; whenever
//! `Accept-Encoding` could have changed the outcome, `Vary` says so; memory per response is bounded by
//! [`encoder`]'s windows, however long the response is.
//!
//! Compression over TLS tells an observer how well a secret in the response matches text beside it that the observer
//! chose (BREACH). Leave this filter off routes that answer with a secret and a piece of the request in one body, or
//! let the upstream mark such responses `Cache-Control: no-transform`.

mod encoder;
mod spec;

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};
pub use spec::Spec;

use self::encoder::{Coding, Encoder, Then};
use super::media_type::MediaRange;
use super::representation::length_changes;
use super::{Exchange, Filter, Phases, Refusal, Step};
use crate::http::fields::{Negotiated, list, negotiate_coding};
use crate::http::length;
use crate::http::media_type::{EVENT_STREAM, essence, is_of_grpc};

struct Compress {
    /// In order of preference.
    codings: Box<[Coding]>,
    /// The name of each coding.
    names: Box<[&'static str]>,
    least_bytes: u64,
    event_streams: bool,
    types: Box<[MediaRange]>,
}

/// What the filter keeps of an exchange.
struct Progress {
    /// What the client would take, noted before later filters may take `Accept-Encoding` off the request.
    chosen: Option<Coding>,
    /// There while a response body is being compressed.
    encoding: Option<Encoding>,
}

struct Encoding {
    /// The lock is never taken; it makes the encoders, which are only `Send`, `Sync`.
    encoder: Mutex<Encoder>,
    each_piece: Then,
}

impl Filter for Compress {
    fn phases(&self) -> Phases {
        Phases::REQUEST.and(Phases::RESPONSE).and(Phases::RESPONSE_BODY)
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        let chosen = self.choose(exchange.request);
        exchange.keep(Progress { chosen, encoding: None });
        Step::NEXT
    }

    fn on_response(&self, exchange: &mut Exchange<'_>, response: &mut ResponseHeader) -> Result<(), Refusal> {
        let chosen = match exchange.slot::<Progress>() {
            Some(progress) => {
                // A response that failed on its way is followed by another one, which starts anew.
                progress.encoding = None;
                progress.chosen
            }
            None => self.choose(exchange.request),
        };
        if !self.may_change(exchange.request, response) {
            return Ok(());
        }
        add_vary(response);
        let Some(coding) = chosen else { return Ok(()) };
        weaken_etag(response);
        if response.status == StatusCode::NOT_MODIFIED {
            return Ok(());
        }
        let length = length::read(&response.headers);
        length_changes(exchange.request, response);
        _ = response.insert_header(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        if exchange.request.method == Method::HEAD {
            return Ok(());
        }
        let encoder = Mutex::new(Encoder::new(coding, length).map_err(|_| failed())?);
        let each_piece = if length.is_some() { Then::GoOn } else { Then::Flush };
        exchange.keep(Progress { chosen, encoding: Some(Encoding { encoder, each_piece }) });
        Ok(())
    }

    fn on_response_body(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Option<Bytes>,
        end: bool,
    ) -> Result<(), Refusal> {
        let Some(progress) = exchange.slot::<Progress>() else { return Ok(()) };
        let Some(encoding) = &mut progress.encoding else { return Ok(()) };
        let piece = body.take().unwrap_or_default();
        if piece.is_empty() && !end {
            return Ok(());
        }
        let encoder = encoding.encoder.get_mut().unwrap_or_else(PoisonError::into_inner);
        let then = if end { Then::Finish } else { encoding.each_piece };
        let ready = encoder.encode(&piece, then).map_err(|_| failed())?;
        if !ready.is_empty() {
            *body = Some(ready.into());
        }
        if end {
            progress.encoding = None;
        }
        Ok(())
    }
}

fn failed() -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "compress_failed")
}

impl Compress {
    fn choose(&self, request: &RequestHeader) -> Option<Coding> {
        // Negotiation goes over the lines several times; nobody honest sends more than these.
        let line = |index| request.headers.get_all(ACCEPT_ENCODING).iter().nth(index);
        let lines = (0..4).map_while(|index| line(index).map(HeaderValue::as_bytes));
        match negotiate_coding(lines, &self.names) {
            Negotiated::Coding(index) => self.codings.get(index).copied(),
            Negotiated::Identity | Negotiated::Nothing => None,
        }
    }

    /// Whether a client that accepts a coding would get another response than one that accepts none.
    fn may_change(&self, request: &RequestHeader, response: &ResponseHeader) -> bool {
        let headers = &response.headers;
        let content_type = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
        let of_type = match (content_type, response.status) {
            // A 304 need not say what it is about, but its ETag and Vary must be those of the 200 (RFC 9110 15.4.5).
            (content_type, StatusCode::NOT_MODIFIED) => content_type.is_none_or(|name| self.takes(name)),
            (_, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT) => false,
            (content_type, status) => {
                !status.is_informational()
                    && content_type.is_some_and(|name| self.takes(name))
                    && length::read(headers).is_none_or(|bytes| bytes > 0 && bytes >= self.least_bytes)
            }
        };
        of_type
            && !headers.contains_key(CONTENT_ENCODING)
            && !headers.contains_key(CONTENT_RANGE)
            && !must_not_transform(headers)
            && !must_not_transform(&request.headers)
            && request.method != Method::CONNECT
    }

    fn takes(&self, content_type: &str) -> bool {
        let name = essence(content_type);
        let unwanted_stream = !self.event_streams && name.eq_ignore_ascii_case(EVENT_STREAM);
        !is_of_grpc(name.as_bytes())
            && !unwanted_stream
            && self.types.iter().any(|range| range.contains(name))
    }
}

/// RFC 9111 sections 5.2.1.6 and 5.2.2.6.
fn must_not_transform(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(CACHE_CONTROL).iter();
    lines.flat_map(|line| list(line.as_bytes())).any(|member| member.eq_ignore_ascii_case(b"no-transform"))
}

fn add_vary(response: &mut ResponseHeader) {
    let lines = response.headers.get_all(VARY).iter();
    let covers = |name: &[u8]| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding");
    let covered = lines.flat_map(|line| list(line.as_bytes())).any(covers);
    if !covered {
        _ = response.append_header(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

/// A strong validator promises equal bytes (RFC 9110 section 8.8.1), and those of the upstream's are other bytes.
fn weaken_etag(response: &mut ResponseHeader) {
    let Some(etag) = response.headers.get(ETAG).filter(|etag| etag.as_bytes().starts_with(b"\"")) else {
        return;
    };
    if let Ok(weak) = HeaderValue::from_bytes(&[b"W/", etag.as_bytes()].concat()) {
        _ = response.insert_header(ETAG, weak);
    }
}

#[cfg(test)]
mod tests;
