//! The one place that answers for Edgeward: refusals, failures, `respond:` and redirects.
//!
//! Every such answer passes the route's response filters like an upstream's does, so that security headers, CORS and
//! error pages hold for all of them. Clients learn what they did wrong; of the backends they learn nothing but that
//! one failed (RFC 9209).

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use pingora::http::ResponseHeader;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_proxy::Session;

use super::connection::{Activity, CLIENT_TOO_SLOW};
use super::context::Context;
use crate::filters::chain::Decision;
use crate::filters::{Exchange, Origin, Refusal};
use crate::http::length;
use crate::http::problem::{self, Problem};

/// The label of decisions that no filter made.
pub const PROXY: &str = "proxy";
const CLIENT_GONE: &str = "client_gone";
/// RFC 9209.
const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// A decision of the proxy itself.
pub fn decision(status: StatusCode, reason: &'static str) -> Decision {
    Decision { filter: PROXY, refusal: Box::new(Refusal::new(status, reason)) }
}

/// The error that ends a phase once `ctx.decision` says why.
#[expect(clippy::unnecessary_box_returns, reason = "Pingora's results have their errors in a box")]
pub fn refused(ctx: &mut Context, decision: Decision) -> Box<Error> {
    let status = decision.refusal.status.as_u16();
    ctx.decision = Some(decision);
    Error::new_down(ErrorType::HTTPStatus(status))
}

/// Answers for a phase that failed. Says the status, 0 where the client is gone, and whether the connection may go on.
pub async fn rescue(session: &mut Session, error: &Error, ctx: &mut Context) -> (u16, bool) {
    let fault = ctx.connection.as_ref().and_then(|connection| connection.fault());
    let decision = decide(error, ctx);
    if is_gone(error) && matches!(decision.refusal.reason, CLIENT_GONE | CLIENT_TOO_SLOW) {
        ctx.decision = Some(decision);
        return (0, false);
    }
    let begun = session.response_written().is_some_and(|head| !head.status.is_informational());
    if begun {
        // Half of a response is out. Cutting the connection is the only way left to say that it is not whole.
        ctx.decision = Some(decision);
        return (0, false);
    }
    let status = decision.refusal.status;
    let keeps = !closes(status) && !decision.refusal.closes && fault.is_none() && !ctx.broken;
    if !keeps {
        session.set_keepalive(None);
    }
    let answered = refuse(session, ctx, decision).await;
    (status.as_u16(), keeps && answered.is_ok())
}

/// Why a phase failed.
pub fn decide(error: &Error, ctx: &mut Context) -> Decision {
    let fault = ctx.connection.as_ref().and_then(|connection| connection.fault());
    match (ctx.decision.take(), fault) {
        (Some(decision), _) => decision,
        (None, Some(fault)) if *error.esource() == ErrorSource::Downstream => {
            decision(StatusCode::from_u16(fault.status).unwrap_or(StatusCode::BAD_REQUEST), fault.reason)
        }
        (None, _) => {
            log::debug!(request_id:% = ctx.facts.request_id, error:%; "request failed");
            diagnose(error)
        }
    }
}

/// The error that ends a request whose answer came, whole, before its body did. Whoever answers without reading may
/// take what was not read for the next request (CL.0 desync): neither connection is used again.
pub async fn answered_early(session: &mut Session, ctx: &mut Context) -> Box<Error> {
    // The client is sent all of the answer first; if it is gone, there is nobody to send it to.
    drop(session.as_mut().finish_body().await);
    refused(ctx, decision(StatusCode::from_u16(ctx.status).unwrap_or(StatusCode::OK), "answered_early"))
}

/// What goes wrong with framing leaves nobody knowing where the next request begins.
fn closes(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 408 | 413 | 414 | 417 | 431 | 501 | 505)
}

fn is_gone(error: &Error) -> bool {
    use ErrorType::{ConnectionClosed, H2Error, ReadError, WriteError, WriteTimedout};
    *error.esource() == ErrorSource::Downstream
        && matches!(error.etype(), ConnectionClosed | H2Error | ReadError | WriteError | WriteTimedout)
}

/// Tells failures apart: 502 an upstream that answers wrongly or not at all, 504 one that is too slow, 500 ourselves.
fn diagnose(error: &Error) -> Decision {
    use ErrorType as E;
    if is_gone(error) {
        let reason = if *error.etype() == ErrorType::WriteTimedout { CLIENT_TOO_SLOW } else { CLIENT_GONE };
        return decision(StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST), reason);
    }
    let (status, reason) = match (error.esource(), error.etype()) {
        (ErrorSource::Upstream, etype) => match etype {
            E::ConnectTimedout | E::TLSHandshakeTimedout => (504, "connection_timeout"),
            E::ReadTimedout => (504, "http_response_timeout"),
            E::WriteTimedout => (504, "connection_write_timeout"),
            E::ConnectRefused | E::ConnectNoRoute => (502, "connection_refused"),
            E::ConnectError | E::ConnectProxyFailure | E::SocketError | E::BindError => {
                (502, "destination_unavailable")
            }
            E::InvalidCert => (502, "tls_certificate_error"),
            E::TLSHandshakeFailure | E::TLSWantX509Lookup | E::HandshakeError => (502, "tls_protocol_error"),
            E::ConnectionClosed | E::ReadError | E::WriteError => (502, "connection_terminated"),
            _ => (502, "http_protocol_error"),
        },
        (ErrorSource::Downstream, E::ReadTimedout) => (408, "body_too_slow"),
        (ErrorSource::Downstream, _) => (400, "bad_request"),
        _ => (500, "proxy_internal_error"),
    };
    decision(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), reason)
}

/// The error type that RFC 9209 has for a reason (section 2.3), whose names are the reasons of [`diagnose`]. What filters
/// refuse says nothing of the way to the upstream.
fn proxy_error(reason: &'static str) -> Option<&'static str> {
    match reason {
        // "A health check may indicate that it is down."
        "no_healthy_backend" => Some("destination_unavailable"),
        "connection_refused"
        | "connection_terminated"
        | "connection_timeout"
        | "connection_write_timeout"
        | "destination_unavailable"
        | "http_protocol_error"
        | "http_response_timeout"
        | "proxy_internal_error"
        | "tls_certificate_error"
        | "tls_protocol_error" => Some(reason),
        _ => None,
    }
}

/// Answers with a refusal.
pub async fn refuse(session: &mut Session, ctx: &mut Context, mut decision: Decision) -> Result<()> {
    if let Some(reply) = decision.refusal.answer.take() {
        ctx.decision = Some(decision);
        return answer(session, ctx, reply.head, reply.body).await;
    }
    let refusal = &decision.refusal;
    let problem = Problem {
        status: refusal.status,
        reason: refusal.reason,
        request_id: Some(&ctx.facts.request_id),
        detail: refusal.detail.as_deref(),
        instance: None,
    };
    let body = Bytes::from(problem.to_json());
    let mut head = ResponseHeader::build(refusal.status, Some(8))?;
    head.insert_header(header::CONTENT_TYPE, HeaderValue::from_static(problem::CONTENT_TYPE))?;
    head.insert_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))?;
    if let Some(error) = proxy_error(refusal.reason) {
        head.insert_header(PROXY_STATUS, format!("edgeward; error={error}"))?;
    }
    for (name, value) in &refusal.headers {
        head.append_header(name.clone(), value.clone())?;
    }
    ctx.decision = Some(decision);
    answer(session, ctx, head, body).await
}

/// Sends a response made here, through the route's response filters.
pub async fn answer(
    session: &mut Session,
    ctx: &mut Context,
    head: ResponseHeader,
    body: Bytes,
) -> Result<()> {
    deliver(session, ctx, head, body, Origin::Edgeward).await
}

/// Sends a response that is there as a whole, through the route's response filters.
pub async fn deliver(
    session: &mut Session,
    ctx: &mut Context,
    mut head: ResponseHeader,
    body: Bytes,
    origin: Origin,
) -> Result<()> {
    ctx.origin = origin;
    let mut body = Some(body);
    {
        let chain = &ctx.route.chain;
        let request = session.req_header_mut();
        let mut exchange = Exchange::new(request, &ctx.facts, ctx.origin, &mut ctx.slots, 0);
        let shadows = &mut ctx.shadows;
        let mut filtered = chain.response(&mut exchange, shadows, &mut head);
        if filtered.is_ok() && chain.has_response_body() {
            filtered = chain.response_body_aside(&mut exchange, shadows, &mut body, true).await;
        }
        // A refusal of a refusal would never end: the first one stands, with the headers it has so far.
        if let (Err(decision), Origin::Upstream) = (filtered, origin) {
            return Err(refused(ctx, decision));
        }
    }
    let body = body.unwrap_or_default();
    let status = head.status;
    let bodiless = status.is_informational() || matches!(status.as_u16(), 204 | 304);
    // A filter that did not know the length may have asked for chunks. Now it is known.
    head.remove_header(&header::TRANSFER_ENCODING);
    if bodiless {
        head.remove_header(&header::CONTENT_LENGTH);
    } else if length::read(&head.headers) != Some(body.len() as u64) {
        head.insert_header(header::CONTENT_LENGTH, length::value(body.len() as u64))?;
    }
    ctx.status = status.as_u16();
    let silent = bodiless || body.is_empty() || session.req_header().method == Method::HEAD;
    if let (true, Some(connection)) = (session.is_http2(), &ctx.connection) {
        session.set_write_timeout(Some(connection.write_patience(body.len())));
    }
    keep_date(session, ctx, &head);
    session.write_response_header(Box::new(head), silent).await.map_err(Error::into_down)?;
    if !silent {
        session.write_response_body(Some(body), true).await.map_err(Error::into_down)?;
    }
    Ok(())
}

/// Has the head that goes next say when the origin made the response. Of HTTP/2 the guard, which sees to that, sees no heads.
pub fn keep_date(session: &Session, ctx: &Context, head: &ResponseHeader) {
    if let (false, Some(connection)) = (session.is_http2(), &ctx.connection) {
        connection.set_date(head);
    }
}

/// Forgets the request in what the connection knows of it, once it is over.
pub fn release(session: &Session, ctx: &mut Context) {
    let Some(connection) = &ctx.connection else { return };
    if session.is_http2() {
        connection.request_ended(ctx.status != 0);
        let slow = |decision: &Decision| decision.refusal.reason == CLIENT_TOO_SLOW;
        if ctx.decision.as_ref().is_some_and(slow) {
            connection.dismiss();
        }
    }
    if std::mem::take(&mut ctx.body.open) {
        connection.body_closed();
    }
    connection.set_activity(Activity::Idle);
}
