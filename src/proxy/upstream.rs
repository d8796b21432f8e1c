//! A request's tries at backends: which to take, whether there may be another, and what is learnt from each.

use std::sync::Arc;
use std::time::Duration;

use pingora::http::RequestHeader;
use pingora_core::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora_core::{Error, ErrorType, RetryType};
use pingora_proxy::Session;

use super::caching::Errand;
use super::context::Context;
use super::rescue::decision;
use crate::filters::Fields;
use crate::filters::chain::Decision;
use crate::http::fields::{Direction, is_hop_by_hop};
use crate::policy::{Action, Route, Service, Snapshot};
use crate::telemetry::metrics::{RetryOutcome, UpstreamOutcome};
use crate::upstream::{BackendId, Outcome, Pick, Reached, is_retryable};

/// How many connections that are being closed a request may meet. A backend that closes many at once, because each has
/// had its number of requests or because it restarts, is as good as before.
const MOST_CLOSED: u8 = 6;

/// The tries of one request.
#[derive(Default)]
pub struct Attempts {
    /// The one that goes on.
    current: Option<Pick>,
    /// Those that failed.
    tried: Vec<BackendId>,
    /// How many of these met a connection that was being closed, and were no tries at their backend.
    closed: u8,
    begun: bool,
    /// When the first began, and when the present one did.
    first_ns: u64,
    started_ns: u64,
    /// When the head of the answer came.
    answered_ns: Option<u64>,
    /// What the upstream answered.
    pub status: Option<u16>,
    /// The time spent, once there is an answer.
    pub duration: Option<Duration>,
    /// Tries beyond the first that an errand of the cache's had.
    pub retries_elsewhere: u32,
    /// The upstream, for the log, where it is not the route's.
    pub upstream: Option<Arc<str>>,
    /// The backend's address, for the log.
    pub backend: Option<Arc<str>>,
}

impl Attempts {
    /// Tries beyond the first.
    pub fn retries(&self) -> u32 {
        u32::try_from(self.tried.len()).unwrap_or(u32::MAX).saturating_add(self.retries_elsewhere)
    }

    /// The time since the present try began, or the last one.
    pub fn since_start(&self, now_ns: u64) -> Duration {
        Duration::from_nanos(now_ns.saturating_sub(self.started_ns))
    }

    /// What the backend of the present try is called, for a request that names no host.
    pub fn authority(&self) -> Option<&str> {
        self.current.as_ref().map(|pick| &*pick.backend().authority)
    }

    /// Ends the present try.
    fn end(&mut self, service: &Service, outcome: UpstreamOutcome, now_ns: u64) {
        let Some(pick) = self.current.take() else { return };
        service.counters.backend(&pick.backend().label, |backend| backend.attempt(outcome));
        let verdict = match outcome {
            UpstreamOutcome::Success => Outcome::Success,
            UpstreamOutcome::ServerError if !matches!(self.status, Some(502..=504)) => Outcome::Success,
            UpstreamOutcome::ServerError | UpstreamOutcome::Broken => Outcome::Failed5xx,
            UpstreamOutcome::ConnectFailure => Outcome::ConnectFailed,
            UpstreamOutcome::Timeout => Outcome::TimedOut,
            UpstreamOutcome::Abandoned => Outcome::ClientGone,
        };
        let until_ns = self.answered_ns.unwrap_or(now_ns);
        pick.finished(verdict, Duration::from_nanos(until_ns.saturating_sub(self.started_ns)), now_ns);
    }
}

/// The service that a request's present try goes to: the one behind its route, or a cache's parents.
pub fn service(ctx: &Context) -> Option<&Arc<Service>> {
    present(&ctx.route, ctx.errand.as_deref())
}

fn present<'c>(route: &'c Route, errand: Option<&'c Errand>) -> Option<&'c Arc<Service>> {
    match (errand.and_then(|errand| errand.parents.as_ref()), &route.action) {
        (Some(parents), _) => Some(&parents.service),
        (None, Action::Upstream(service)) => Some(service),
        _ => None,
    }
}

/// A parent for the next try of an errand; from the first time that there is none, the origin is asked.
fn choose_parent(
    errand: Option<&mut Errand>,
    attempts: &mut Attempts,
    snapshot: &Snapshot,
    now_ns: u64,
) -> Option<Pick> {
    let errand = errand?;
    let parents = errand.parents.as_ref()?;
    let pick = parents.service.pick_shard(parents.shard, &attempts.tried, now_ns);
    match &pick {
        Some(_) => attempts.upstream = Some(parents.service.name().clone()),
        None => leave_parents(errand, attempts, snapshot),
    }
    pick
}

fn leave_parents(errand: &mut Errand, attempts: &mut Attempts, snapshot: &Snapshot) {
    errand.parents = None;
    snapshot.cache.iter().for_each(|cache| cache.metrics().parents_failed());
    attempts.upstream = None;
    // The origin has tries of its own.
    attempts.retries_elsewhere = attempts.retries();
    attempts.tried.clear();
    attempts.closed = 0;
}

/// Chooses a backend for the next try.
pub fn choose(session: &Session, ctx: &mut Context, now_ns: u64) -> Result<Box<HttpPeer>, Decision> {
    let Action::Upstream(service) = &ctx.route.action else {
        return Err(decision(http::StatusCode::NOT_FOUND, "no_route"));
    };
    let fields = Fields::new(session.req_header(), &ctx.facts, ctx.slots.callers());
    let hash = service.hash_key().and_then(|key| key.hash(&fields));
    let attempts = &mut ctx.attempts;
    let parent = choose_parent(ctx.errand.as_deref_mut(), attempts, &ctx.snapshot, now_ns);
    let Some(pick) = parent.or_else(|| service.pick(hash, &attempts.tried, now_ns)) else {
        return Err(decision(http::StatusCode::SERVICE_UNAVAILABLE, "no_healthy_backend"));
    };
    if !std::mem::replace(&mut attempts.begun, true) {
        attempts.first_ns = now_ns;
    }
    attempts.started_ns = now_ns;
    attempts.answered_ns = None;
    let mut peer = pick.backend().peer();
    if let Some(timeout) = ctx.route.timeout {
        peer.options.read_timeout = Some(timeout);
    }
    let head = Look::over(session.req_header());
    if !ctx.facts.has_body && !session.is_upgrade_req() && head.is_taken_at_once() {
        // There is nothing to wait for, and each write would set a timer.
        peer.options.write_timeout = None;
    }
    if !head.ends_here {
        // Pingora would ask the head for each of a dozen fields that it does not have.
        peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::preserve();
    }
    attempts.backend = Some(pick.backend().label.clone());
    attempts.current = Some(pick);
    Ok(peer)
}

/// What one look over a request's head tells.
struct Look {
    bytes: usize,
    /// Whether any field concerns the client's connection alone, or says which fields do.
    ends_here: bool,
}

impl Look {
    fn over(head: &RequestHeader) -> Self {
        let mut look = Self { bytes: head.raw_path().len(), ends_here: false };
        for (name, value) in &head.headers {
            look.bytes += name.as_str().len() + value.len();
            look.ends_here |= is_hop_by_hop(name.as_str().as_bytes(), Direction::Both);
        }
        look
    }

    /// Whether the kernel takes all of it, with what is added here, whatever the backend reads: an unused send buffer
    /// holds more than 4 KiB on any system.
    fn is_taken_at_once(&self) -> bool {
        self.bytes < 2048
    }
}

/// How far a try came that failed on its connection. Ask before Pingora's [`RetryType`] is decided.
///
/// Of a stream that was refused, or that lies beyond a `GOAWAY`, HTTP/2 says that nobody has looked at it (RFC 9113
/// section 8.7): a backend that closes its connections after so many requests, as nginx does, must not cost a POST.
pub fn reached(error: &Error) -> Reached {
    if error.retry == RetryType::Decided(true) && !speaks_otherwise(error) {
        Reached::Nothing
    } else {
        Reached::Backend
    }
}

/// Whether the backend does not speak HTTP/2 as it should, or does not want to: for Pingora, a reason to try again.
fn speaks_otherwise(error: &Error) -> bool {
    matches!(error.etype(), ErrorType::H2Downgrade | ErrorType::InvalidH2)
}

/// The present try failed: what is learnt from it, and whether there may be another.
pub fn failed(session: &mut Session, ctx: &mut Context, error: &mut Error, reached: Reached, now_ns: u64) {
    let Some(service) = present(&ctx.route, ctx.errand.as_deref()) else { return };
    // A kept connection that the backend had closed, or was closing, says nothing against the backend.
    let stale = error.retry() && !speaks_otherwise(error);
    let answering = session.response_written().is_some() || ctx.waiting.is_some();
    let reached = if answering { Reached::Client } else { reached };
    let retryable = ctx.decision.is_none()
        && *error.esource() != pingora_core::ErrorSource::Downstream
        && is_retryable(&session.req_header().method, reached, ctx.body.is_replayable(session));
    let outcome = if stale { UpstreamOutcome::Abandoned } else { outcome(error) };
    let backend = ctx.attempts.current.as_ref().map(|pick| pick.backend().id());
    ctx.attempts.end(service, outcome, now_ns);
    let retries =
        u8::try_from(ctx.attempts.tried.len()).unwrap_or(u8::MAX).saturating_sub(ctx.attempts.closed);
    let sensible = match outcome {
        // Who was too slow will not be faster for being asked again.
        UpstreamOutcome::Timeout => service.has_other(&ctx.attempts.tried, backend),
        _ if stale => service.attempts() > 0 && ctx.attempts.closed < MOST_CLOSED,
        _ => true,
    } && (stale || retries < service.attempts());
    // What nobody has looked at is not asked for twice: it costs no backend anything, and the budget nothing.
    let free = stale && reached == Reached::Nothing;
    let again = retryable && sensible && (free || service.may_retry(now_ns));
    if again {
        ctx.attempts.tried.extend(backend);
        ctx.attempts.closed += u8::from(stale);
    }
    if retryable && sensible {
        let outcome = if again { RetryOutcome::Tried } else { RetryOutcome::BudgetExhausted };
        service.counters.upstream.retry(outcome);
    }
    // No parent can help any more, but the origin was not asked yet.
    let left = ctx.errand.as_deref_mut().filter(|errand| retryable && !again && errand.parents.is_some());
    let elsewhere = left.is_some();
    if let Some(errand) = left {
        leave_parents(errand, &mut ctx.attempts, &ctx.snapshot);
    }
    error.set_retry(again || elsewhere);
}

fn outcome(error: &Error) -> UpstreamOutcome {
    use ErrorType as E;
    if *error.esource() == pingora_core::ErrorSource::Downstream {
        return UpstreamOutcome::Abandoned;
    }
    match error.etype() {
        E::ConnectTimedout | E::TLSHandshakeTimedout | E::ReadTimedout | E::WriteTimedout => {
            UpstreamOutcome::Timeout
        }
        E::ConnectRefused
        | E::ConnectNoRoute
        | E::ConnectError
        | E::SocketError
        | E::InvalidCert
        | E::TLSHandshakeFailure
        | E::HandshakeError => UpstreamOutcome::ConnectFailure,
        _ => UpstreamOutcome::Broken,
    }
}

/// The head of the answer has come.
pub fn answered(ctx: &mut Context, status: u16, now_ns: u64) {
    let attempts = &mut ctx.attempts;
    attempts.status = Some(status);
    attempts.answered_ns = Some(now_ns);
    attempts.duration = Some(Duration::from_nanos(now_ns.saturating_sub(attempts.first_ns)));
}

/// The request is over, and with it the present try.
pub fn finished(ctx: &mut Context, error: Option<&Error>, now_ns: u64) {
    let Some(service) = present(&ctx.route, ctx.errand.as_deref()) else { return };
    let outcome = match (ctx.attempts.status, error) {
        (_, Some(error)) => outcome(error),
        (Some(500..), None) => UpstreamOutcome::ServerError,
        (_, None) => UpstreamOutcome::Success,
    };
    ctx.attempts.end(service, outcome, now_ns);
    if ctx.attempts.begun {
        let spent = Duration::from_nanos(now_ns.saturating_sub(ctx.attempts.first_ns));
        service.counters.upstream.finished(spent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(fields: &[(&'static str, &str)]) -> Look {
        let mut head = RequestHeader::build("GET", b"/", None).unwrap();
        for (name, value) in fields {
            head.append_header(*name, *value).unwrap();
        }
        Look::over(&head)
    }

    #[test]
    fn sees_whatever_pingora_would_take_out() {
        let taken_out = [
            "connection",
            "keep-alive",
            "proxy-connection",
            "proxy-authenticate",
            "proxy-authorization",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "http2-settings",
        ];
        for name in taken_out {
            assert!(look(&[("host", "a"), (name, "x"), ("accept", "*/*")]).ends_here, "{name}");
        }
        assert!(!look(&[("host", "a"), ("accept", "*/*"), ("x-upgrade", "x")]).ends_here);
    }

    #[test]
    fn a_head_of_two_kibibytes_may_have_to_wait() {
        assert!(look(&[("host", &"a".repeat(2000))]).is_taken_at_once());
        assert!(!look(&[("host", &"a".repeat(1000)), ("cookie", &"b".repeat(1100))]).is_taken_at_once());
    }
}
