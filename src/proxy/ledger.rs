//! The one place that counts and logs requests.

use std::borrow::Cow;
use std::time::Duration;

use http::Version;
use http::header;
use pingora::http::RequestHeader;
use pingora_proxy::Session;

use super::context::Context;
use super::guard::is_stand_in;
use super::upstream;
use crate::filters::chain::Shadow;
use crate::http::query;
use crate::telemetry::access_log::{AccessLog, AccessRecord, ShadowRefusal};
use crate::telemetry::metrics::{CacheOutcome, Finished, Label};

/// Counts a finished request, and writes its line.
pub fn record(session: &Session, ctx: &Context, now_ns: u64) {
    let duration = Duration::from_nanos(now_ns.saturating_sub(ctx.facts.received_ns));
    let request = session.req_header();
    let bytes_out = session.body_bytes_sent() as u64;
    // The parser saw a stand-in for what this client sent.
    let understood = !is_stand_in(request);
    let method = if understood { request.method.as_str() } else { "" };
    let metrics = &ctx.route.metrics;
    metrics.finished(Finished { method, status: ctx.status, duration, bytes_in: ctx.body.bytes, bytes_out });
    if let Some(decision) = &ctx.decision {
        metrics.refused(decision.filter, decision.refusal.reason);
    }
    if let Some(outcome) = cache(ctx) {
        metrics.cached(outcome);
    }
    for shadow in ctx.shadows.iter() {
        metrics.shadow_refused(shadow.filter, shadow.reason);
    }
    if let Some(log) = &ctx.snapshot.access_log {
        write(log, session, ctx, (duration, bytes_out));
    }
}

fn write(log: &AccessLog, session: &Session, ctx: &Context, (duration, bytes_out): (Duration, u64)) {
    let request = session.req_header();
    let (method, path, host) = asked(request, ctx);
    let header =
        |name| request.headers.get(name).map_or(&b""[..], |value: &http::HeaderValue| value.as_bytes());
    let tls = ctx.connection.as_ref().and_then(|connection| connection.tls.as_deref());
    let decision = ctx.decision.as_ref();
    let shadow = |shadow: &Shadow| ShadowRefusal { filter: shadow.filter, reason: shadow.reason };
    let shadows: Vec<_> = ctx.shadows.iter().map(shadow).collect();
    let query = without_secrets(request.uri.query().unwrap_or_default(), &ctx.snapshot.secret_parameters);
    let findings = ctx.slots.findings();
    let mut trace_id = [0; 55];
    trace_id.copy_from_slice(&ctx.trace.to_bytes());
    log.write(&AccessRecord {
        time: ctx.facts.time,
        request_id: &ctx.facts.request_id,
        // `00-TRACE_ID-…`
        trace_id: trace_id.get(3..35).and_then(|id| std::str::from_utf8(id).ok()).unwrap_or_default(),
        client_ip: Some(ctx.facts.client_ip),
        peer_ip: Some(ctx.facts.peer_ip),
        method,
        scheme: ctx.facts.scheme,
        host: host.as_bytes(),
        path,
        query: query.as_bytes(),
        protocol: protocol(request.version),
        tls_version: tls.map_or("", |tls| tls.version),
        tls_cipher: tls.map_or("", |tls| tls.cipher),
        tls_sni: tls.and_then(|tls| tls.sni.as_deref()).unwrap_or_default(),
        route: &ctx.route.name,
        upstream: upstream_name(ctx),
        backend: ctx.attempts.backend.as_deref().unwrap_or_default(),
        status: ctx.status,
        reason: decision.map(|decision| decision.refusal.reason),
        filter: decision.map_or("", |decision| decision.filter),
        why: decision.and_then(|decision| decision.refusal.why.as_deref()).unwrap_or_default(),
        findings: &findings,
        shadow_refusals: &shadows,
        bytes_in: ctx.body.bytes,
        bytes_out,
        duration_us: micros(duration),
        upstream_duration_us: ctx.attempts.duration.map(micros),
        retries: ctx.attempts.retries(),
        upstream_status: ctx.attempts.status,
        cache: cache(ctx).map(Label::as_str),
        consumer: ctx.slots.callers().first().map_or("", |caller| &caller.subject),
        consumer_key: ctx.slots.key_id(),
        user_agent: header(header::USER_AGENT),
        referer: header(header::REFERER),
        request_headers: Some(&request.headers),
        response_headers: session.response_written().map(|head| &head.headers),
    });
}

/// Method, path and host: of a head that was refused what could be read of it.
fn asked<'a>(request: &'a RequestHeader, ctx: &'a Context) -> (&'a str, &'a [u8], &'a str) {
    if !is_stand_in(request) {
        return (request.method.as_str(), request.uri.path().as_bytes(), &ctx.facts.host);
    }
    let refused = ctx.connection.as_ref().and_then(|connection| connection.refused());
    refused.map_or(("", b"", ""), |head| (&head.method, &head.path, &head.host))
}

/// The upstream that answered, or would have.
fn upstream_name(ctx: &Context) -> &str {
    let route = || upstream::service(ctx).map_or("", |service| service.name());
    ctx.attempts.upstream.as_deref().unwrap_or_else(route)
}

/// What the cache did; nothing where the request did not come by it.
fn cache(ctx: &Context) -> Option<CacheOutcome> {
    ctx.slots.plan().map(|_| ctx.cache.unwrap_or(CacheOutcome::Bypass))
}

/// The query without what filters take for credentials.
fn without_secrets<'a>(query: &'a str, names: &[Box<str>]) -> Cow<'a, str> {
    names.iter().fold(Cow::Borrowed(query), |query, name| match query::without(&query, name) {
        Some(rest) => Cow::Owned(rest),
        None => query,
    })
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}
