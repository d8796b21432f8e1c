//! The first phase: from what a client sent to a request that has one reading, a caller and a route.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, StatusCode, Uri, Version};
use pingora::http::RequestHeader;
use pingora_core::{Error, Result};
use pingora_proxy::Session;

use super::claims::remove_claims;
use super::connection::{Connection, Named};
use super::context::Context;
use super::forward::edit;
use super::guard::is_stand_in;
use super::rescue::{decision, refused};
use crate::cache::parents::{Child, EDGEWARD_CHILD};
use crate::filters::chain::Decision;
use crate::filters::{Facts, Spec, cors};
use crate::http::fields::list;
use crate::http::trace::TraceParent;
use crate::http::{head, path};
use crate::net::forwarded::{self, Style};
use crate::policy::{Forwarding, Question};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Makes sense of a request, or refuses it.
pub fn enter(session: &mut Session, ctx: &mut Context, draining: bool) -> Result<()> {
    let Some(connection) = Connection::of(session).cloned() else {
        return Err(Error::explain(pingora_core::ErrorType::InternalError, "a session without a connection"));
    };
    prepare(session, &connection, draining);
    let understood = understand(session, ctx, &connection);
    ctx.connection = Some(connection);
    understood.map_err(|decision| refused(ctx, decision))
}

/// Timeouts and keep-alive are the guard's business; Pingora's own would only cost timers.
fn prepare(session: &mut Session, connection: &Connection, draining: bool) {
    let limits = &connection.door.limits;
    let last = draining || connection.count_request() >= limits.requests;
    if session.is_http2() {
        session.set_write_timeout(Some(connection.write_patience(0)));
    } else {
        session.set_read_timeout(None);
        session.set_pipelining_enabled(true);
        // RFC 9110 section 15.2: HTTP/1.0 knows no interim responses.
        let old = session.req_header().version == Version::HTTP_10;
        session.set_ignore_info_resp(old);
    }
    // The client's own wish to close stays: `None` is the only way this ever changes it.
    if last {
        session.set_keepalive(None);
    } else if session.get_keepalive().is_some() {
        session.set_keepalive(Some(0));
    }
    session.set_total_drain_timeout(Some(limits.stall));
}

fn understand(
    session: &mut Session,
    ctx: &mut Context,
    connection: &Arc<Connection>,
) -> Result<(), Decision> {
    let http2 = session.is_http2();
    let request = session.req_header_mut();
    // First of all, so that the line about a refusal says whom it concerns.
    identify(&mut ctx.facts, &ctx.snapshot.forwarding, connection, &request.headers);
    trace(ctx, request);
    if is_stand_in(request) {
        let fault = connection.fault();
        let (status, reason) = fault.map_or((400, "bad_request"), |fault| (fault.status, fault.reason));
        return Err(decision(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), reason));
    }
    let named = named(request, connection);
    if let Ok(named) = &named {
        ctx.facts.host = named.host.clone();
    }
    if http2 {
        head::check_h2(&request.method, &request.uri, &request.headers, &connection.door.limits.head)
            .map_err(|fault| bad(fault.status, fault.reason))?;
    }
    if request.method == Method::CONNECT {
        return Err(bad(501, "connect"));
    }
    check_child(&ctx.snapshot.forwarding, connection, &request.headers)?;
    let in_target = request.uri.authority().is_some();
    let named = named?;
    let target = normalise(request.raw_path(), &request.uri, ctx.snapshot.paths)?;
    let sent =
        request.uri.path_and_query().filter(|sent| target.as_ref().is_some_and(|target| target != *sent));
    ctx.facts.sent_target = sent.map(|sent| sent.as_str().into());
    edit(request, |parts| {
        if let Some(target) = target {
            parts.uri = Uri::from(target);
        }
        if in_target {
            // To stand in `Host` from here on: one name for one thing. It says the same as a `Host` that came too, or the
            // head would not have passed.
            parts.headers.insert(header::HOST, named.authority);
        }
        if !http2 {
            settle_upgrade(parts);
        }
        remove_claims(&mut parts.headers, &ctx.snapshot.vouched);
    });
    find_route(ctx, request, &named.host);
    ctx.facts.route = ctx.route.name.clone();
    ctx.facts.to_grpc = ctx.route.is_grpc();
    ctx.facts.segments = ctx.route.segments(session.req_header().uri.path());
    Ok(())
}

/// Who says that it is a cache's child decides which purges count for it, and under what its answers are kept. One that is
/// not known to be one is told so: taken for a client, two processes that are each other's parents would ask each other
/// without end.
fn check_child(
    forwarding: &Forwarding,
    connection: &Connection,
    headers: &HeaderMap,
) -> Result<(), Decision> {
    if !headers.contains_key(EDGEWARD_CHILD) {
        return Ok(());
    }
    if !forwarding.trusted.contains(connection.client_ip) {
        return Err(bad(403, "child_not_trusted"));
    }
    Child::read(headers).map(|_| ()).ok_or_else(|| bad(400, "bad_child"))
}

/// WebSocket is the one protocol that is upgraded to, and asking for it has one spelling from here on. Other offers may
/// be ignored (RFC 9110 section 7.8); passed on, they would be accepted by someone who does not know whom he speaks to.
fn settle_upgrade(request: &mut Parts) {
    let headers = &mut request.headers;
    if !headers.contains_key(header::UPGRADE) {
        return;
    }
    let lists = |name: HeaderName| headers.get_all(name).iter().flat_map(|value| list(value.as_bytes()));
    let websocket = {
        let mut offers = lists(header::UPGRADE);
        offers.next().is_some_and(|offer| offer.eq_ignore_ascii_case(b"websocket")) && offers.next().is_none()
    };
    let nominated = lists(header::CONNECTION).any(|option| option.eq_ignore_ascii_case(b"upgrade"));
    if websocket && nominated && request.version == Version::HTTP_11 && request.method == Method::GET {
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    } else {
        headers.remove(header::UPGRADE);
    }
}

/// Whom the request is for, as its target or its `Host` says; nobody where HTTP/1.0 does not say it.
fn named(request: &RequestHeader, connection: &Connection) -> Result<Named, Decision> {
    let target = request.uri.authority().map(|authority| authority.as_str().as_bytes());
    let given = target.or_else(|| request.headers.get(header::HOST).map(HeaderValue::as_bytes));
    if given.is_none() && request.version == Version::HTTP_2 {
        return Err(bad(400, "missing_host"));
    }
    connection.named(given.unwrap_or_default()).ok_or_else(|| bad(400, "bad_host"))
}

fn find_route(ctx: &mut Context, request: &RequestHeader, host: &str) {
    let question = Question {
        host,
        path: request.uri.path(),
        query: request.uri.query().unwrap_or_default(),
        method: &request.method,
        headers: &request.headers,
    };
    let (mut route, mut allowed) = ctx.snapshot.route(&question);
    // A preflight asks for another request, and that request's route has the answer, if it does CORS at all.
    if let (false, Some(method)) = (allowed.is_empty(), preflight(request)) {
        let (other, _) = ctx.snapshot.route(&Question { method: &method, ..question });
        if other.chain.kinds().any(|kind| kind == <cors::Spec as Spec>::KIND) {
            (route, allowed) = (other, Vec::new());
        }
    }
    ctx.route = route.clone();
    ctx.allowed = allowed;
}

/// The method that a CORS preflight asks for.
fn preflight(request: &RequestHeader) -> Option<Method> {
    let method = request.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    let asks = request.method == Method::OPTIONS && request.headers.contains_key(header::ORIGIN);
    asks.then(|| Method::from_bytes(method.as_bytes()).ok())?
}

fn bad(status: u16, reason: &'static str) -> Decision {
    decision(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), reason)
}

/// The one path that routing, filters and upstream all see; `None` where the client's is it already.
fn normalise(raw: &[u8], uri: &Uri, rules: path::Rules) -> Result<Option<PathAndQuery>, Decision> {
    if raw == b"*" {
        return Ok(None);
    }
    let origin_form = raw.first() == Some(&b'/');
    let target = match uri.path_and_query() {
        _ if origin_form => raw,
        Some(target) => target.as_str().as_bytes(),
        None => b"/",
    };
    let normal = path::normalise(target, &rules).map_err(|error| bad(400, error.reason()))?;
    if origin_form && !normal.is_rewritten() {
        // HTTP/2 has the authority in the same URI: it is taken out.
        return Ok(uri.authority().and(uri.path_and_query()).cloned());
    }
    let target = normal.to_target().try_into();
    target.map(Some).map_err(|_: http::uri::InvalidUri| bad(400, "bad_target"))
}

/// Who calls, and under which name we speak of the request.
fn identify(facts: &mut Facts, forwarding: &Forwarding, connection: &Connection, headers: &HeaderMap) {
    facts.peer_ip = connection.peer_ip;
    facts.client_ip = client_ip(connection.client_ip, forwarding, headers);
    facts.scheme = if connection.tls.is_some() { "https" } else { "http" };
    facts.tls.clone_from(&connection.tls);
    facts.listener = connection.door.name.clone();
}

fn client_ip(peer: IpAddr, forwarding: &Forwarding, headers: &HeaderMap) -> IpAddr {
    if forwarding.trusted.is_empty() {
        return peer;
    }
    let name = match forwarding.style {
        Style::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
        Style::Forwarded => header::FORWARDED,
    };
    forwarded::client(peer, &forwarding.trusted, headers.get_all(name), forwarding.style).address
}

/// Continues the caller's trace, or begins one (W3C Trace Context).
fn trace(ctx: &mut Context, request: &mut RequestHeader) {
    let mut lines = request.headers.get_all(&TRACEPARENT).iter();
    let given = match (lines.next(), lines.next()) {
        (Some(line), None) => TraceParent::parse(line.as_bytes()),
        // More than one counts as none.
        _ => None,
    };
    if given.is_none() && request.headers.contains_key(&TRACEPARENT) {
        // What follows `traceparent` then means nothing either.
        request.remove_header(&TRACEPARENT);
    }
    let span = fastrand::u64(1..);
    ctx.trace = match given {
        Some(parent) => parent.child(span),
        None => TraceParent::start(fastrand::u128(1..), span, false),
    };
}
