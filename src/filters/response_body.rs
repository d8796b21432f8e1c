//! Keeps what must not leave in what upstreams answer.
//!
//! What always holds: nothing goes out that was not looked at, unless the policy says so; an answer is never held as a
//! whole, and what is held of it is bounded; what is found is counted and logged by its kind alone.
//!
//! A strong `ETag` stays strong, unlike with `compress`: the same bytes of an upstream become the same bytes here for every
//! client, and `If-Match` needs it.

mod kind;
mod passage;
mod spec;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, IF_RANGE, RANGE};
use http::{HeaderValue, Method, StatusCode};
use pingora::http::ResponseHeader;

pub use spec::Spec;

use self::kind::{Kind, is_wide};
use self::passage::{Finding, Parts, Passage, refuse};
use self::spec::{Errors, Otherwise};
use super::error_pages::Replacement;
use super::media_type::MediaRange;
use super::representation::{bytes_change, length_changes};
use super::{Exchange, Filter, Origin, Phases, Refusal, Step};
use crate::dlp::Detectors;
use crate::dlp::json::{Rewriter, Rules};
use crate::http::decompress::{DecodeLimits, Decoder};
use crate::http::length;
use crate::http::media_type::{essence, is_of_grpc};
use crate::telemetry::metrics::RouteMetrics;

/// Names of what is counted beside findings.
const FIELD: &str = "field";
const ERROR: &str = "error";
const UNREADABLE: &str = "unreadable";
const OVER_LIMIT: &str = "over_limit";

struct ResponseBody {
    detectors: Option<Arc<Detectors>>,
    json: Option<Json>,
    errors: Errors,
    types: Box<[MediaRange]>,
    limits: Limits,
    metrics: RouteMetrics,
    /// Whether it only says what it would have done.
    shadow: bool,
}

/// Rules for JSON.
struct Json {
    /// For 2xx.
    good: Arc<Rules>,
    /// For other answers, for which no list of what is allowed was made.
    others: Arc<Rules>,
}

/// How far answers are looked at.
#[derive(Debug, Clone, Copy)]
struct Limits {
    most_bytes: u64,
    over_limit: Otherwise,
    unreadable: Otherwise,
}

/// What the filter keeps of an exchange.
enum Kept {
    Replacement(Replacement),
    /// The lock is never taken; it makes decoders, which are only `Send`, `Sync`.
    Passage(Box<Mutex<Passage>>),
    Nothing,
}

/// Why an answer cannot be looked at.
enum Unseen {
    TooLong,
    Unreadable(&'static str),
}

impl Filter for ResponseBody {
    fn phases(&self) -> Phases {
        Phases::REQUEST.and(Phases::RESPONSE).and(Phases::RESPONSE_BODY)
    }

    fn wants_whole(&self) -> bool {
        true
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        // Two parts of an answer could each have half of what is looked for.
        exchange.request.remove_header(&RANGE);
        exchange.request.remove_header(&IF_RANGE);
        // Fails for malformed names and values alone.
        _ = exchange.request.insert_header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Step::NEXT
    }

    fn on_response(&self, exchange: &mut Exchange<'_>, response: &mut ResponseHeader) -> Result<(), Refusal> {
        // A response that failed on its way is followed by another one, which starts anew.
        if let Some(kept) = exchange.slot::<Kept>() {
            *kept = Kept::Nothing;
        }
        if exchange.origin != Origin::Upstream {
            return Ok(());
        }
        if response.status.is_server_error() && self.errors == Errors::Replace {
            let replacement = Replacement::problem(exchange, response);
            exchange.keep(Kept::Replacement(replacement));
            self.count(exchange, &[(ERROR.into(), "replace", 1)]);
            return Ok(());
        }
        if let Some(passage) = self.passage(exchange, response)? {
            exchange.keep(Kept::Passage(Box::new(Mutex::new(passage))));
        }
        Ok(())
    }

    fn on_response_body(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Option<Bytes>,
        end: bool,
    ) -> Result<(), Refusal> {
        let passage = match exchange.slot::<Kept>() {
            None | Some(Kept::Nothing) => return Ok(()),
            Some(Kept::Replacement(replacement)) => {
                replacement.apply(body);
                return Ok(());
            }
            Some(Kept::Passage(passage)) => passage.get_mut().unwrap_or_else(PoisonError::into_inner),
        };
        let piece = body.take().unwrap_or_default();
        if piece.is_empty() && !end {
            return Ok(());
        }
        let passed = passage.pass(&piece, end);
        let news = passage.news();
        if end {
            exchange.keep(Kept::Nothing);
        }
        self.count(exchange, &news);
        let passed = passed?;
        if !passed.is_empty() {
            *body = Some(passed.into());
        }
        Ok(())
    }
}

impl ResponseBody {
    /// What an answer's body has to pass, if anything; makes the head that of what comes out.
    fn passage(
        &self,
        exchange: &mut Exchange<'_>,
        response: &mut ResponseHeader,
    ) -> Result<Option<Passage>, Refusal> {
        let bodiless = exchange.request.method == Method::HEAD
            || matches!(response.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let content_type = response.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
        let kind = content_type.map_or(Kind::Unknown, Kind::of);
        let rules = self.json.as_ref().map(|json| json.rules(response.status));
        let is_list = rules.is_some_and(|rules| rules.is_allow_list());
        let is_json = matches!(kind, Kind::Json | Kind::JsonLines | Kind::Unknown);
        let rules_hold = rules.filter(|rules| is_json && !rules.is_empty());
        let searched = content_type.is_none_or(|name| self.takes(name));
        let detectors = self.detectors.as_ref().filter(|_| searched);
        if is_list && !is_json && !bodiless && length::read(&response.headers) != Some(0) {
            return self.unreadable(exchange, "response_not_json", "its media type");
        }
        if rules_hold.is_none() && detectors.is_none() {
            return Ok(None);
        }
        let decoder = match self.decoder(response, kind) {
            Ok(decoder) => decoder,
            Err(_) if bodiless => None,
            Err(Unseen::TooLong) => return Err(refuse("response_too_long")),
            Err(Unseen::Unreadable(why)) => return self.unreadable(exchange, "response_unreadable", why),
        };
        let removes = rules_hold.is_some_and(|rules| rules.removes());
        if decoder.is_some() || removes {
            length_changes(exchange.request, response);
            response.remove_header(&CONTENT_ENCODING);
        } else {
            bytes_change(response);
        }
        if bodiless {
            return Ok(None);
        }
        let limits = match kind {
            Kind::EventStream => Limits { most_bytes: u64::MAX, ..self.limits },
            _ => self.limits,
        };
        // Whoever opens an event stream waits for its head, and maybe long for an event.
        if kind != Kind::EventStream {
            exchange.hold_response();
        }
        let must_be_json = is_list || kind != Kind::Unknown;
        let many = kind == Kind::JsonLines || !must_be_json;
        let rewriter = rules_hold.map(|rules| Rewriter::new(Arc::clone(rules), many));
        let detectors = detectors.map(|detectors| (Arc::clone(detectors), is_json));
        Ok(Some(Passage::new(limits, Parts { decoder, rewriter, must_be_json, detectors })))
    }

    /// What cannot be looked at.
    fn unreadable(
        &self,
        exchange: &mut Exchange<'_>,
        reason: &'static str,
        why: &'static str,
    ) -> Result<Option<Passage>, Refusal> {
        match self.limits.unreadable {
            Otherwise::Block => Err(refuse(reason).why(why)),
            Otherwise::Pass => {
                self.count(exchange, &[(UNREADABLE.into(), "pass", 1)]);
                Ok(None)
            }
        }
    }

    /// What undoes an answer's content coding, if it can be looked at.
    fn decoder(&self, response: &ResponseHeader, kind: Kind) -> Result<Option<Decoder>, Unseen> {
        let content_type = response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if response.status == StatusCode::PARTIAL_CONTENT {
            return Err(Unseen::Unreadable("a part of something"));
        }
        if content_type.is_some_and(is_wide) {
            return Err(Unseen::Unreadable("its charset"));
        }
        let length = length::read(&response.headers);
        let blocks = kind != Kind::EventStream && self.limits.over_limit == Otherwise::Block;
        if blocks && length.is_some_and(|bytes| bytes > self.limits.most_bytes) {
            return Err(Unseen::TooLong);
        }
        // A body that has none, whatever its head says, needs none.
        if length == Some(0) {
            return Ok(None);
        }
        // What comes out goes on at once; `Limits` has the last word on how much that is.
        let lines = response.headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes);
        Decoder::new(lines, DecodeLimits::of_response(usize::MAX))
            .map_err(|_| Unseen::Unreadable("its content coding"))
    }

    fn takes(&self, content_type: &str) -> bool {
        let name = essence(content_type);
        !is_of_grpc(name.as_bytes()) && self.types.iter().any(|range| range.contains(name))
    }

    fn count(&self, exchange: &mut Exchange<'_>, news: &[Finding]) {
        for (kind, action, count) in news {
            self.metrics.found(kind, if self.shadow { "report" } else { action }, *count);
            exchange.note_finding(kind, *count);
        }
    }
}

impl Json {
    fn rules(&self, status: StatusCode) -> &Arc<Rules> {
        if status.is_success() { &self.good } else { &self.others }
    }
}

#[cfg(test)]
mod tests;
