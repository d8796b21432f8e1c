//! What a limit tells the client: how much is left, and when to come back.

use std::io::Write;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue, StatusCode};
use pingora::http::ResponseHeader;

use super::NAME_BYTES;
use crate::filters::Refusal;
use crate::state::quota::{Decision, Limit};
use crate::values::Problem;

/// The reason of a refusal by a limit, whichever filter counts.
const REASON: &str = "rate_limit";

/// What a response tells of the decision on its request.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    remaining: u32,
    more_after: Duration,
}

impl From<Decision> for Counted {
    fn from(Decision { remaining, more_after, .. }: Decision) -> Self {
        Self { remaining, more_after }
    }
}

/// A request beyond a limit.
pub fn refusal(status: StatusCode, decision: &Decision) -> Refusal {
    let wait = whole_seconds(decision.retry_after).max(1);
    Refusal::new(status, REASON).header(RETRY_AFTER, wait.into())
}

/// Rounded up: a client that waits so long never comes too early.
const fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add((duration.subsec_nanos() > 0) as u64)
}

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The header fields of one limit (draft-ietf-httpapi-ratelimit-headers-10), as far as they are known beforehand.
pub struct Fields {
    /// `"default";q=100;w=60`
    policy: HeaderValue,
    /// `"default";r=`
    start: Box<str>,
}

impl Fields {
    /// For a limit that is told under this name, of at most 64 bytes.
    ///
    /// # Errors
    /// When the name cannot stand in a header.
    pub fn new(name: &str, limit: &Limit) -> Result<Self, Problem> {
        let (quota, period) = (limit.rate(), limit.period());
        let policy = match period.subsec_nanos() {
            0 => format!("\"{name}\";q={quota};w={}", period.as_secs()),
            // A window is told in whole seconds, or not at all.
            _ => format!("\"{name}\";q={quota}"),
        };
        let policy = HeaderValue::try_from(policy).map_err(|error| Problem::new("name", error))?;
        Ok(Self { policy, start: format!("\"{name}\";r=").into() })
    }

    /// Appends, because several limits of a route make one list. `t` is when there is more, not when there is all (section
    /// 4.1 of the draft): after a refusal the same moment as `Retry-After`.
    pub fn append(&self, counted: &Counted, response: &mut ResponseHeader) {
        // A name of 64 bytes and two numbers of 20 digits fit.
        let mut line = [0_u8; NAME_BYTES + 64];
        let mut rest = line.as_mut_slice();
        let written =
            write!(rest, "{}{};t={}", self.start, counted.remaining, whole_seconds(counted.more_after));
        let unused = rest.len();
        let text = line.get(..line.len() - unused).unwrap_or_default();
        if let (Ok(()), Ok(value)) = (written, HeaderValue::from_bytes(text)) {
            _ = response.append_header(RATE_LIMIT, value);
            _ = response.append_header(RATE_LIMIT_POLICY, self.policy.clone());
        }
    }
}
