//! Whether a failed try may be repeated on another backend: only where it is safe, and only as often as a
//! budget allows.
//!
//! Without a budget, retries multiply the load on backends that fail because of load. The budget is
//! Finagle's: each request deposits a share of a retry, each retry takes a whole one out, and a small
//! allowance per second lets quiet upstreams retry too. Atomics only; tokens outlive reloads.

use std::num::NonZeroU8;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;

use super::registry::Kept;
use crate::values::Problem;

const MOST_ATTEMPTS: u8 = 10;
/// What one retry costs, so that a deposit of one percent is one unit.
const RETRY: u64 = 100;
/// Deposits that are kept: 1,000 retries. More would let a long quiet time pay for a storm.
const MOST_DEPOSITED: u64 = 1_000 * RETRY;
/// The allowance may be saved up for this long.
const SAVED_SECONDS: u64 = 10;
const SECOND_NS: u64 = 1_000_000_000;

/// Repeating requests that failed before any of the response was passed on.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Retries")]
pub struct Spec {
    /// Tries beyond the first, 0 to 10; 0 turns retries off. Only idempotent requests (RFC 9110 §9.2.2) are
    /// tried again, and others only while nothing of them was sent, or where HTTP/2 says that nobody has looked at them.
    /// A connection that was being closed counts as no try.
    pub attempts: u8,
    /// How many retries all requests together may cause.
    pub budget: Budget,
}

/// Limits of retries, over all requests to the upstream.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RetryBudget")]
pub struct Budget {
    /// Retries per hundred requests, 0 to 100. At most 1,000 unused ones are kept.
    pub percent: u8,
    /// Retries per second beside those. May be saved up for ten seconds.
    pub min_per_second: u32,
}

/// How often and how far an upstream retries.
pub struct Retries(Option<Enabled>);

struct Enabled {
    attempts: NonZeroU8,
    percent: u64,
    /// Nanoseconds after which the allowance has grown by one; `None` where there is none.
    allowance_ns: Option<u64>,
    kept: Arc<Kept>,
}

/// What is in the budget. Outlives reloads.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    deposited: AtomicU64,
    /// When the allowance would be unused again (the "theoretical arrival time" of GCRA).
    allowance_until_ns: AtomicU64,
}

/// How far a try came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// The backend cannot have processed any of it: no connection was made, or HTTP/2 said so
    /// (`REFUSED_STREAM`, a `GOAWAY` below the stream).
    Nothing,
    /// The backend may have got it, whole or in part.
    Backend,
    /// Some of the response went to the client.
    Client,
}

/// Whether repeating the request does no harm (RFC 9110 §9.2.2). `body_replayable` says that the whole body
/// is still at hand, or that there is none.
#[must_use]
pub fn is_retryable(method: &Method, reached: Reached, body_replayable: bool) -> bool {
    body_replayable
        && match reached {
            Reached::Nothing => true,
            Reached::Backend => method.is_idempotent(),
            Reached::Client => false,
        }
}

impl Spec {
    pub(super) fn compile(self, kept: &Arc<Kept>) -> Result<Retries, Vec<Problem>> {
        let mut problems = Vec::new();
        if self.attempts > MOST_ATTEMPTS {
            problems.push(Problem::new("attempts", format_args!("expected 0 to {MOST_ATTEMPTS}")));
        }
        if self.budget.percent > 100 {
            problems.push(Problem::new("budget.percent", "expected 0 to 100"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Retries(NonZeroU8::new(self.attempts).map(|attempts| Enabled {
            attempts,
            percent: self.budget.percent.into(),
            allowance_ns: SECOND_NS.checked_div(self.budget.min_per_second.into()).map(|ns| ns.max(1)),
            kept: Arc::clone(kept),
        })))
    }
}

impl Default for Spec {
    fn default() -> Self {
        Self { attempts: 2, budget: Budget::default() }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { percent: 20, min_per_second: 10 }
    }
}

impl Retries {
    /// Tries beyond the first; 0 where retries are off.
    #[must_use]
    pub fn attempts(&self) -> u8 {
        self.0.as_ref().map_or(0, |enabled| enabled.attempts.get())
    }

    /// Counts a request, which adds to the budget.
    pub(super) fn deposit(&self) {
        if let Some(enabled) = &self.0 {
            enabled.kept.tokens.deposit(enabled.percent);
        }
    }

    /// Takes one retry out of the budget, if it allows one more.
    pub(super) fn withdraw(&self, now_ns: u64) -> bool {
        self.0.as_ref().is_some_and(|enabled| {
            let tokens = &enabled.kept.tokens;
            let allowed = |allowance_ns| tokens.use_allowance(allowance_ns, now_ns);
            tokens.withdraw() || enabled.allowance_ns.is_some_and(allowed)
        })
    }
}

impl Tokens {
    fn deposit(&self, percent: u64) {
        // A full budget, the usual state, is only read: cores do not fight for the line. Threads that add at
        // once may pass the limit by a deposit each, which `withdraw` cuts off.
        if self.deposited.load(Ordering::Relaxed) < MOST_DEPOSITED {
            self.deposited.fetch_add(percent, Ordering::Relaxed);
        }
    }

    fn withdraw(&self) -> bool {
        let take = |deposited: u64| deposited.min(MOST_DEPOSITED).checked_sub(RETRY);
        self.deposited.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn use_allowance(&self, allowance_ns: u64, now_ns: u64) -> bool {
        let latest = now_ns.saturating_add(SAVED_SECONDS * SECOND_NS);
        let take = |until: u64| {
            let until = until.max(now_ns).saturating_add(allowance_ns);
            (until <= latest).then_some(until)
        };
        self.allowance_until_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

#[cfg(test)]
mod tests;
