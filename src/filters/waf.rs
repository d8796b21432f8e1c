//! A web application firewall: rules in SecLang, such as the OWASP Core Rule Set, over requests and responses.
//!
//! What always holds: all that rules say of a request's head and body is decided before an upstream has the end of its
//! body; a body that cannot be looked at is refused, unless the policy says otherwise, and then the log says so.

mod body;
mod examination;
pub mod files;
pub mod rule_set;
mod shelf;
mod spec;

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use pingora::http::ResponseHeader;

pub use spec::{Exclusion, OverLimit, Settings, Spec};

use self::examination::Examination;
use self::rule_set::RuleSet;
use self::shelf::Shelf;
use super::{Exchange, Filter, Hold, Origin, Phases, Refusal, Step};
use crate::telemetry::metrics::Metrics;

/// What a request is examined by.
struct Waf {
    rules: Arc<RuleSet>,
    /// Held so that the next policy finds the rules compiled.
    _shelf: Arc<Shelf>,
    metrics: Arc<Metrics>,
    /// Bytes of a body that are looked at.
    most_bytes: usize,
    over_limit: OverLimit,
    responses: bool,
}

impl Filter for Waf {
    fn phases(&self) -> Phases {
        let phases = Phases::REQUEST.and(Phases::REQUEST_BODY);
        if self.responses { phases.and(Phases::RESPONSE).and(Phases::RESPONSE_BODY) } else { phases }
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        match self.begin(exchange) {
            Ok(examination) => {
                exchange.keep(examination);
                Step::NEXT
            }
            Err(refusal) => refusal.into(),
        }
    }

    fn on_request_body(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Option<Bytes>,
        end: bool,
    ) -> Result<(), Refusal> {
        match exchange.slot::<Examination>() {
            Some(examination) => examination.request_body(body.as_deref().unwrap_or_default(), end),
            None => Ok(()),
        }
    }

    fn on_response(&self, exchange: &mut Exchange<'_>, response: &mut ResponseHeader) -> Result<(), Refusal> {
        let of_upstream = exchange.origin == Origin::Upstream;
        match exchange.slot::<Examination>().filter(|_| of_upstream) {
            Some(examination) => examination.response(response),
            None => Ok(()),
        }
    }

    fn on_response_body(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Option<Bytes>,
        end: bool,
    ) -> Result<(), Refusal> {
        match exchange.slot::<Examination>() {
            Some(examination) => examination.response_body(body, end),
            None => Ok(()),
        }
    }
}

impl Waf {
    fn begin(&self, exchange: &mut Exchange<'_>) -> Result<Examination, Refusal> {
        let mut examination = Examination::new(self, exchange);
        examination.head(exchange)?;
        if examination.waits() {
            exchange.hold_body(Hold { first: self.most_bytes as u64, last: false });
        }
        Ok(examination)
    }
}

/// A body that is longer than is looked at.
fn too_large() -> Refusal {
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "waf_body_too_large")
}

#[cfg(test)]
mod tests;
