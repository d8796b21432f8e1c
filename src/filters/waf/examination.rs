//! One request and its response under the rules.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, COOKIE, EXPECT, HOST, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use pingora::http::ResponseHeader;

use super::audit::{About, Audit, Finding};
use super::body::{Collected, Unseen};
use super::{Exchange, OverLimit, Refusal, Waf, scores};
use crate::http::decompress::DecodeLimits;
use crate::http::{cookie, length, media_type};
use crate::telemetry::metrics::Metrics;
use crate::waf::{Disruption, Exhausted, Limits, Transaction, Verdict};

/// Bytes of a response's body that are taken: by one more than are looked at rules know that it is longer.
const MOST_RESPONSE_BYTES: usize = Limits::DEFAULT.response_body_bytes + 1;

/// A request that is examined. When it is over, the rules for the log run, and what matched is counted.
pub(super) struct Examination {
    transaction: Transaction,
    metrics: Arc<Metrics>,
    over_limit: OverLimit,
    most_bytes: usize,
    request_id: Box<str>,
    audit: Option<(Arc<Audit>, About)>,
    shadow: bool,
    /// The reason of the refusal; empty without one.
    refused: &'static str,
    /// What went on without having been examined to its end.
    unexamined: Vec<String>,
    /// The request's body, while it comes.
    body: Option<Collected>,
    /// The response's body, while it waits.
    response: Option<(Collected, BytesMut)>,
    /// What of it is to be examined.
    whole_response: Option<Collected>,
}

impl Drop for Examination {
    fn drop(&mut self) {
        self.transaction.logging();
        let matches = self.transaction.matches();
        for found in matches.iter().filter(|found| found.log) {
            self.metrics.waf_matched(found.rule);
        }
        let matches: Vec<_> = matches.iter().filter(|found| found.audit).collect();
        let is_told = self.transaction.audit().unwrap_or(!matches.is_empty() || !self.unexamined.is_empty());
        if let Some((audit, about)) = self.audit.as_ref().filter(|_| is_told) {
            audit.write(&Finding {
                about,
                request_id: &self.request_id,
                decision: match (self.refused, self.shadow) {
                    ("", _) => "passed",
                    (_, true) => "would_refuse",
                    (_, false) => "refused",
                },
                reason: self.refused,
                unexamined: &self.unexamined,
                scores: &scores::all(&self.transaction),
                conceals: &|variable| self.transaction.conceals(variable),
                matches: &matches,
            });
        }
    }
}

impl Examination {
    pub(super) fn new(waf: &Waf, exchange: &Exchange<'_>) -> Self {
        let request_id = exchange.facts.request_id.clone();
        Self {
            transaction: waf.rules.engine.begin(&request_id),
            metrics: Arc::clone(&waf.metrics),
            over_limit: waf.over_limit,
            most_bytes: waf.most_bytes(&exchange.request.headers),
            request_id,
            audit: waf.audit.clone().map(|audit| (audit, About::new(exchange.request, exchange.facts))),
            shadow: waf.shadow,
            refused: "",
            unexamined: Vec::new(),
            body: None,
            response: None,
            whole_response: None,
        }
    }

    /// Bytes of the request's body that are looked at.
    pub(super) const fn most_bytes(&self) -> usize {
        self.most_bytes
    }

    /// Whether the body is still to come.
    pub(super) const fn waits(&self) -> bool {
        self.body.is_some()
    }

    /// Examines the head, and the body where none is to come.
    pub(super) fn head(&mut self, exchange: &Exchange<'_>) -> Result<(), Refusal> {
        let headers = &exchange.request.headers;
        let is_grpc = || headers.get(CONTENT_TYPE).is_some_and(|kind| media_type::is_grpc(kind.as_bytes()));
        let is_seen = exchange.facts.has_body && !(exchange.facts.to_grpc && is_grpc());
        let body = is_seen.then(|| self.expect_body(headers));
        self.tell_head(exchange, matches!(body, Some(Ok(_))));
        let verdict = self.transaction.request_headers();
        self.judge(&verdict)?;
        match body.filter(|_| self.transaction.wants_request_body()) {
            None => self.end_of_request(),
            Some(Ok(collected)) => {
                self.body = Some(collected);
                Ok(())
            }
            Some(Err(unseen)) => self.unseen(unseen).and_then(|()| self.end_of_request()),
        }
    }

    fn expect_body(&self, headers: &HeaderMap) -> Result<Collected, Unseen> {
        if length::read(headers).is_some_and(|bytes| bytes > self.most_bytes as u64)
            && self.over_limit != OverLimit::InspectPrefix
        {
            return Err(Unseen::TooLong);
        }
        Collected::new(codings(headers), DecodeLimits::of_request(self.most_bytes))
    }

    /// Rules see a body decoded, and are not told of the coding that they do not see, nor of what was done with a client
    /// that waits to be asked for its body: the Core Rule Set refuses both, because other engines can do neither.
    fn tell_head(&mut self, exchange: &Exchange<'_>, is_decoded: bool) {
        let (request, facts) = (&*exchange.request, exchange.facts);
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let server = facts.listener.parse().unwrap_or(nowhere);
        self.transaction.connection(SocketAddr::new(facts.client_ip, 0), server);
        let path = request.uri.path_and_query().map_or("/", |target| target.as_str());
        let target = facts.sent_target.as_deref().unwrap_or(path);
        let method = request.method.as_str().as_bytes();
        self.transaction.request(method, target.as_bytes(), protocol(request.version));
        if let Some(authority) = request.uri.authority().filter(|_| !request.headers.contains_key(HOST)) {
            self.transaction.request_header(b"host", authority.as_str().as_bytes());
        }
        // In several lines, which HTTP/2 allows, they go to the upstream as one, in which quotes may close.
        if let Some(cookies) = cookie::line(&request.headers) {
            self.transaction.request_header(b"cookie", &cookies);
        }
        for (name, value) in &request.headers {
            let is_invited = || value.as_bytes().eq_ignore_ascii_case(b"100-continue");
            let is_done = name == COOKIE
                || name == CONTENT_ENCODING && is_decoded
                || name == EXPECT && exchange.facts.has_body && is_invited();
            if !is_done {
                self.transaction.request_header(name.as_str().as_bytes(), value.as_bytes());
            }
        }
    }

    /// Takes a piece of the request's body. When it is complete, or longer than is looked at, it is time for
    /// [`Examination::request_body`]: says how many bytes that is about.
    pub(super) fn collect(&mut self, piece: &[u8], end: bool) -> Result<Option<usize>, Refusal> {
        let Some(body) = self.body.as_mut().filter(|body| !body.is_complete()) else { return Ok(None) };
        let taken = body.take(piece).and_then(|()| if end { body.finish() } else { Ok(()) });
        let bytes = body.bytes().len();
        if let Err(unseen) = taken {
            self.unseen(unseen)?;
            self.transaction.request_body_is_cut();
            if self.over_limit == OverLimit::Skip {
                self.body = None;
                return Ok(Some(0));
            }
        }
        Ok((end || taken.is_err()).then_some(bytes))
    }

    /// Examines the request's body.
    pub(super) fn request_body(&mut self) -> Result<(), Refusal> {
        if let Some(body) = self.body.take() {
            self.transaction.request_body(body.bytes());
        }
        self.end_of_request()
    }

    fn end_of_request(&mut self) -> Result<(), Refusal> {
        let verdict = self.transaction.request_body_end();
        self.judge(&verdict)
    }

    /// Examines a response's head.
    pub(super) fn response(&mut self, response: &ResponseHeader) -> Result<(), Refusal> {
        if response.status.is_informational() {
            return Ok(());
        }
        self.transaction.response(protocol(response.version), response.status.as_u16());
        for (name, value) in &response.headers {
            // The Core Rule Set does not look at bodies that have a coding.
            if name != CONTENT_ENCODING {
                self.transaction.response_header(name.as_str().as_bytes(), value.as_bytes());
            }
        }
        let verdict = self.transaction.response_headers();
        self.judge(&verdict)?;
        if self.transaction.wants_response_body() {
            let limits = DecodeLimits::of_response(MOST_RESPONSE_BYTES);
            let collected = Collected::new(codings(&response.headers), limits);
            let collected = collected.unwrap_or_else(|_| Collected::undecoded(MOST_RESPONSE_BYTES));
            self.response = Some((collected, BytesMut::new()));
        }
        Ok(())
    }

    /// Drops what waits of a response's body.
    pub(super) fn forget_response(&mut self) {
        self.response = None;
        self.whole_response = None;
    }

    /// Whether the response's body is to be examined.
    pub(super) const fn awaits_response(&self) -> bool {
        self.response.is_some()
    }

    /// Takes a piece of the response's body, of which nothing goes on until all has come, or more than is looked at. Then
    /// it is time for [`Examination::response_body`], and all that waited goes on if that is good: says how many bytes
    /// there are to look at.
    pub(super) fn collect_response(&mut self, body: &mut Option<Bytes>, end: bool) -> Option<usize> {
        let (collected, waiting) = self.response.as_mut()?;
        let piece = body.take().unwrap_or_default();
        waiting.extend_from_slice(&piece);
        let mut taken = collected.take(&piece);
        if end && taken.is_ok() {
            taken = collected.finish();
        }
        if taken == Err(Unseen::Coding) {
            // It is not what its coding says, such as an error in plain text, and there are clients that show it as it is.
            taken = collected.undecode(waiting);
        }
        let over = taken.is_err();
        let (collected, waiting) = self.response.take_if(|_| end || over)?;
        if let Err(unseen) = taken {
            self.note(&unseen);
        }
        *body = Some(waiting.freeze());
        let bytes = collected.bytes().len();
        self.whole_response = Some(collected);
        Some(bytes)
    }

    /// Examines the response's body.
    pub(super) fn response_body(&mut self) -> Result<(), Refusal> {
        if let Some(body) = self.whole_response.take() {
            self.transaction.response_body(body.bytes());
        }
        let verdict = self.transaction.response_body_end();
        self.judge(&verdict)
    }

    fn judge(&mut self, verdict: &Verdict) -> Result<(), Refusal> {
        match verdict {
            Verdict::Pass => Ok(()),
            Verdict::Refuse(disruption) => {
                let refusal = refusal(disruption).why(scores::why(&self.transaction));
                self.refuse(refusal)
            }
            Verdict::Exhausted(Exhausted::BodyBytes) => self.unseen(Unseen::TooLong),
            Verdict::Exhausted(limit) if self.over_limit == OverLimit::Reject => {
                self.refuse(Refusal::new(StatusCode::FORBIDDEN, "waf_limit").why(limit.to_string()))
            }
            Verdict::Exhausted(limit) => {
                self.note(limit);
                Ok(())
            }
        }
    }

    /// What becomes of a body that cannot be looked at to its end.
    fn unseen(&mut self, unseen: Unseen) -> Result<(), Refusal> {
        match (self.over_limit, unseen) {
            (OverLimit::Reject, Unseen::TooLong) => {
                self.refuse(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "waf_body_too_large"))
            }
            (OverLimit::Reject, Unseen::Coding) => {
                self.refuse(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "waf_body_encoding"))
            }
            _ => {
                self.note(&unseen);
                Ok(())
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal) -> Result<(), Refusal> {
        self.refused = refusal.reason;
        Err(refusal)
    }

    /// Of many in a second the operational log tells one, and the audit all.
    fn note(&mut self, limit: &dyn std::error::Error) {
        let request_id = &*self.request_id;
        log::info!(request_id, limit:%; "an exchange went on without having been examined to its end");
        let limit = limit.to_string();
        if !self.unexamined.contains(&limit) {
            self.unexamined.push(limit);
        }
    }
}

/// What becomes of a request that a rule refuses. A location that is no header, since a client has a say in it, is none.
fn refusal(disruption: &Disruption) -> Refusal {
    let with = |status: u16| {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        Refusal::new(status, "waf_blocked")
    };
    let forbidden = || with(StatusCode::FORBIDDEN.as_u16());
    match disruption {
        Disruption::Deny { status } => with(*status),
        Disruption::Drop => forbidden().closing(),
        Disruption::Redirect { status, location } => HeaderValue::from_bytes(location)
            .map_or_else(|_| forbidden(), |location| with(*status).header(LOCATION, location)),
    }
}

fn codings(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes)
}

/// As ModSecurity has it.
const fn protocol(version: Version) -> &'static [u8] {
    match version {
        Version::HTTP_10 => b"HTTP/1.0",
        Version::HTTP_2 => b"HTTP/2.0",
        Version::HTTP_3 => b"HTTP/3.0",
        _ => b"HTTP/1.1",
    }
}
