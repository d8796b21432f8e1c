//! Limits how often: an exact quota for each key, counted by [`Quotas`] beyond reloads.
//!
//! What always holds: requests that lack what they should be counted by never share one count; counts go on over a
//! reload as long as the route, or the limit itself, keeps its name. Judging a request allocates nothing but what its
//! response's header fields are made from.

mod key;
mod told;

use std::num::NonZeroU32;
use std::sync::Arc;

use http::StatusCode;
use pingora::http::ResponseHeader;
use schemars::JsonSchema;
use serde::Deserialize;

pub use self::key::{IpPrefix, KeySpec, OnMissing};
use self::key::{Key, Missing};
pub(super) use self::told::{Counted, Fields, refusal};
use super::{Exchange, Filter, Phases, Refusal, Site, Step};
use crate::state::Quotas;
use crate::state::quota::{Limit, LimitError};
use crate::values::{Problem, Rate};

/// Limits how many requests each client, consumer or route may make.
///
/// The count is exact (GCRA, ITU-T I.371): a `limit` of `100/1m` lets one more request pass every 600 ms, and up to
/// `burst` at once after a pause. So in any stretch of time `t` at most `burst + limit × t` pass. A request beyond
/// that costs nothing and gets 429 `rate_limit` with `Retry-After`.
///
/// ```yaml
/// - rate_limit: { limit: 100/1m }
/// - rate_limit: { limit: 5/1s, burst: 10, key: jwt.sub }
/// - rate_limit: { limit: 1/1s, key: [ip, 'http.request.headers["x-device"][0]'] }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// How many requests in which time, e.g. `100/1m`. At most 30 days.
    pub limit: Rate,
    /// How many may come at once, e.g. `20`. Default: the count of `limit`.
    pub burst: Option<NonZeroU32>,
    /// By what requests are counted: `ip`, `route` (all requests of the route together), an expression such as `jwt.sub`
    /// or `http.request.headers["x-device"][0]`, or a list of these, whose combination counts. Default `ip`. Clients
    /// choose headers and cookies freely: check them with another filter before this one, or add a limit by `ip`.
    #[serde(default)]
    pub key: KeySpec,
    /// What happens to a request in which a value of `key` is missing or empty. Default `ip`: it counts for the client's
    /// address, apart from those that have one.
    pub on_missing: Option<OnMissing>,
    /// How many leading bits of an address make one client, also where an expression of `key` is one. Default `{ v4: 32, v6:
    /// 64 }`: whoever has IPv6 has a whole /64 to send from.
    pub ip_prefix: Option<IpPrefix>,
    /// Limits of the same name, on whatever routes, share their counts; give them the same `limit` and `key`. It is
    /// also the policy's name in the response's header fields. Letters, digits, `_`, `-`, `.` and `:`, at most 64.
    /// Default: the limit counts by itself, as long as the route keeps its name, and is called `default`.
    pub name: Option<String>,
    /// The status of a refusal, 400 to 599. Default 429.
    #[serde(default = "too_many_requests")]
    pub status: u16,
    /// Whether responses tell how much is left, in `RateLimit` and `RateLimit-Policy`
    /// (draft-ietf-httpapi-ratelimit-headers-10). Default `true`.
    #[serde(default = "yes")]
    pub headers: bool,
}

const fn too_many_requests() -> u16 {
    429
}

const fn yes() -> bool {
    true
}

impl super::Spec for Spec {
    const KIND: &'static str = "rate_limit";
    const DECIDES: bool = true;

    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        let status = match self.status {
            code @ 400..=599 => StatusCode::from_u16(code).unwrap_or(StatusCode::TOO_MANY_REQUESTS),
            code => {
                return Err(Problem::new(
                    "status",
                    format_args!("expected a status from 400 to 599, found {code}"),
                ));
            }
        };
        let name = self.name.as_deref().map(checked_name).transpose()?;
        let counted_as = match name {
            Some(name) => format!("rate_limit name {name}"),
            None => format!("rate_limit route {} {}", site.route, site.ordinal),
        };
        let burst = self.burst.unwrap_or(self.limit.count());
        let limit =
            Limit::new(&counted_as, self.limit.count(), self.limit.period(), burst).map_err(problem)?;
        let told_as = match (name, site.ordinal) {
            (Some(name), _) => name.to_owned(),
            (None, 0) => "default".to_owned(),
            (None, ordinal) => format!("default-{}", ordinal + 1),
        };
        Ok(Box::new(RateLimit {
            limit,
            key: Key::compile(self.key, self.on_missing, self.ip_prefix, site.route, site.expressions)?,
            status,
            fields: self.headers.then(|| Fields::new(&told_as, &limit)).transpose()?,
            quotas: Arc::clone(&site.state.quotas),
        }))
    }
}

/// Longest name of a limit.
const NAME_BYTES: usize = 64;

fn checked_name(name: &str) -> Result<&str, Problem> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    if (1..=NAME_BYTES).contains(&name.len()) && name.bytes().all(known) {
        return Ok(name);
    }
    Err(Problem::new("name", "expected 1 to 64 letters, digits, `_`, `-`, `.` or `:`"))
}

fn problem(error: LimitError) -> Problem {
    match error {
        LimitError::LongRefill => Problem::new("burst", error),
        LimitError::ZeroPeriod | LimitError::LongPeriod => Problem::new("limit", error),
    }
}

struct RateLimit {
    limit: Limit,
    key: Key,
    status: StatusCode,
    /// Where responses tell how much is left.
    fields: Option<Fields>,
    quotas: Arc<Quotas>,
}

impl Filter for RateLimit {
    fn phases(&self) -> Phases {
        match self.fields {
            Some(_) => Phases::REQUEST.and(Phases::RESPONSE),
            None => Phases::REQUEST,
        }
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        let key = match self.key.of(exchange) {
            Ok(key) => key,
            Err(Missing::Refused) => return Step::refuse(StatusCode::BAD_REQUEST, "rate_limit_key"),
            Err(Missing::Unlimited) => return Step::NEXT,
        };
        let decision = self.quotas.check(&self.limit, key.as_bytes(), 1, exchange.facts.received_ns);
        if self.fields.is_some() {
            exchange.keep(Counted::from(decision));
        }
        if decision.allowed {
            return Step::NEXT;
        }
        refusal(self.status, &decision).into()
    }

    fn on_response(&self, exchange: &mut Exchange<'_>, response: &mut ResponseHeader) -> Result<(), Refusal> {
        if let (Some(fields), Some(counted)) = (&self.fields, exchange.slot()) {
            fields.append(counted, response);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
