//! A web application firewall: rules in SecLang, such as the OWASP Core Rule Set, over requests and responses.
//!
//! What always holds: all that rules say of a request's head and body is decided before an upstream has the end of its
//! body; a body that cannot be looked at is refused, unless the policy says otherwise, and then the log says so.

mod audit;
mod body;
mod examination;
mod exclusion;
pub mod files;
pub mod rule_set;
mod scores;
mod shelf;
mod spec;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use pingora::http::ResponseHeader;

pub use audit::{Audit, AuditSpec};
pub use exclusion::is_target;
pub use scores::is_sum;
pub use spec::{OverLimit, Settings, Spec};

use self::examination::Examination;
use self::rule_set::RuleSet;
use self::shelf::Shelf;
use super::{Exchange, Filter, Hold, Origin, Phases, Refusal, Step};
use crate::telemetry::metrics::Metrics;
use crate::waf::body::content_type::{ContentType, Processor};

/// Bodies from this size on are examined aside: that takes as long as a thousand requests without one.
const LARGE_BYTES: usize = 16 << 10;

/// What all firewalls of a policy have in common.
#[derive(Default)]
pub struct Common {
    /// As the policy says it.
    pub settings: Settings,
    /// Who is told of what rules found.
    pub audit: Option<Arc<Audit>>,
}

/// What a request is examined by.
struct Waf {
    rules: Arc<RuleSet>,
    /// Held so that the next policy finds the rules compiled.
    _shelf: Arc<Shelf>,
    metrics: Arc<Metrics>,
    audit: Option<Arc<Audit>>,
    /// Whether it only says what it would have done.
    shadow: bool,
    /// Of a hundred requests, so many are examined.
    sample: u64,
    dice: Dice,
    /// Bytes of a body that are looked at, and of one that may have files in it.
    most_bytes: usize,
    most_upload_bytes: usize,
    over_limit: OverLimit,
    responses: bool,
}

impl Filter for Waf {
    fn phases(&self) -> Phases {
        let phases = Phases::REQUEST.and(Phases::REQUEST_BODY);
        if self.responses { phases.and(Phases::RESPONSE).and(Phases::RESPONSE_BODY) } else { phases }
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        if self.sample < 100 && self.dice.roll() % 100 >= self.sample {
            return Step::NEXT;
        }
        match self.begin(exchange) {
            Ok(examination) => {
                exchange.keep(Shared(Arc::new(Mutex::new(examination))));
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
        let Some(examination) = exchange.slot::<Shared>().cloned() else { return Ok(()) };
        let piece = body.as_deref().unwrap_or_default();
        let mut open = examination.open();
        let Some(bytes) = open.collect(piece, end)? else { return Ok(()) };
        if bytes < LARGE_BYTES {
            return open.request_body();
        }
        drop(open);
        exchange.do_aside(Box::new(move || examination.open().request_body()));
        Ok(())
    }

    fn on_response(&self, exchange: &mut Exchange<'_>, response: &mut ResponseHeader) -> Result<(), Refusal> {
        let Some(examination) = exchange.slot::<Shared>().cloned() else { return Ok(()) };
        let mut open = examination.open();
        // A response that failed on its way is followed by another one, and nothing of it goes with that.
        open.forget_response();
        if exchange.origin != Origin::Upstream {
            return Ok(());
        }
        open.response(response)?;
        if open.awaits_response() {
            exchange.hold_response();
        }
        Ok(())
    }

    fn on_response_body(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Option<Bytes>,
        end: bool,
    ) -> Result<(), Refusal> {
        let Some(examination) = exchange.slot::<Shared>().cloned() else { return Ok(()) };
        let mut open = examination.open();
        let Some(bytes) = open.collect_response(body, end) else { return Ok(()) };
        if bytes < LARGE_BYTES {
            return open.response_body();
        }
        drop(open);
        exchange.do_aside(Box::new(move || examination.open().response_body()));
        Ok(())
    }
}

impl Waf {
    fn begin(&self, exchange: &mut Exchange<'_>) -> Result<Examination, Refusal> {
        let mut examination = Examination::new(self, exchange);
        examination.head(exchange)?;
        if examination.waits() {
            exchange.hold_body(Hold { first: examination.most_bytes() as u64, last: false });
        }
        Ok(examination)
    }

    /// Bytes that are looked at of a body with this head.
    fn most_bytes(&self, headers: &HeaderMap) -> usize {
        let is_upload = |kind: &HeaderValue| {
            ContentType::parse(kind.as_bytes()).processor() == Some(Processor::Multipart)
        };
        let may_have_files = headers.get_all(CONTENT_TYPE).iter().any(is_upload);
        if may_have_files { self.most_upload_bytes } else { self.most_bytes }
    }
}

/// An examination that a thread of its own may go on with.
#[derive(Clone)]
struct Shared(Arc<Mutex<Examination>>);

impl Shared {
    fn open(&self) -> MutexGuard<'_, Examination> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Numbers that nobody outside can foresee, so that nobody can choose not to be examined.
#[derive(Default)]
struct Dice {
    key: RandomState,
    rolled: AtomicU64,
}

impl Dice {
    fn roll(&self) -> u64 {
        self.key.hash_one(self.rolled.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests;
