//! A response on its way from an upstream, through the filters, to the client.
//!
//! What always holds: filters are shown the end of each body once, also where trailers come instead of it; and a head
//! that a filter has wait goes right before the first byte of its body, so that a refusal until then is an answer.
//!
//! Pingora writes each message that came, and no filter can drop one. But heads of interim answers it leaves out, over
//! HTTP/2 always and over HTTP/1 where it is told to: such a head goes in the place of one that waits.

use std::pin::pin;
use std::task::{self, Poll, Waker};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Version, header};
use pingora::http::ResponseHeader;
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;

use super::connection::Activity;
use super::context::Context;
use super::rescue::{self, refused};
use crate::filters::Exchange;
use crate::http::length;

/// A head that waits is written without waiting for the client, so it has to fit into what the guard gathers (16 KiB), with
/// the fields that Pingora adds. A longer one goes at once.
const LONGEST_WAITING: usize = 15 * 1024;

/// Passes the head through the filters, and has it wait where one wants that.
///
/// # Errors
/// When a filter refuses it.
pub fn head(session: &mut Session, ctx: &mut Context, head: &mut ResponseHeader) -> Result<()> {
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        ctx.status = 101;
        ctx.connection.iter().for_each(|connection| connection.set_activity(Activity::Upgraded));
        return Ok(());
    }
    if head.status.is_informational() {
        return Ok(());
    }
    ctx.status = head.status.as_u16();
    if ctx.route.chain.has_response() {
        let request = session.req_header_mut();
        let mut exchange = Exchange::new(request, &ctx.facts, ctx.origin, &mut ctx.slots, 0);
        let result = ctx.route.chain.response(&mut exchange, &mut ctx.shadows, head);
        result.map_err(|decision| refused(ctx, decision))?;
    }
    reframe(session, head)?;
    if ctx.slots.holds_response() && has_body(session, head) && bytes(head) <= LONGEST_WAITING {
        let stand_in = ResponseHeader::build(StatusCode::EARLY_HINTS, None)?;
        ctx.waiting = Some(Box::new(std::mem::replace(head, stand_in)));
        session.as_mut().set_ignore_info_resp(true);
    } else {
        rescue::keep_date(session, ctx, head);
    }
    Ok(())
}

/// Passes a piece of the body through the filters; before the first that goes on goes the head.
///
/// # Errors
/// When a filter refuses it, or the client is gone.
pub fn piece(session: &mut Session, ctx: &mut Context, piece: &mut Option<Bytes>, end: bool) -> Result<()> {
    if let (true, Some(connection), Some(piece)) = (session.is_http2(), &ctx.connection, &*piece) {
        session.set_write_timeout(Some(connection.write_patience(piece.len())));
    }
    if ctx.status == 101 {
        return Ok(());
    }
    ctx.answered_whole |= end;
    if ctx.route.chain.has_response_body() {
        let request = session.req_header_mut();
        let mut exchange = Exchange::new(request, &ctx.facts, ctx.origin, &mut ctx.slots, 0);
        let result = ctx.route.chain.response_body(&mut exchange, &mut ctx.shadows, piece, end);
        result.map_err(|decision| refused(ctx, decision))?;
    }
    if end || piece.as_ref().is_some_and(|piece| !piece.is_empty()) {
        send_head(session, ctx)?;
    }
    Ok(())
}

/// Trailers end a body whose last piece did not say that it was. What filters have kept of it goes in their place.
///
/// This phase cannot fail. If what is left is refused, Pingora goes on with the trailers: that fails over HTTP/2 while the
/// head waits, and over HTTP/1 [`finish`] answers. A head that has gone is followed by what had passed until then.
pub fn trailers(session: &mut Session, ctx: &mut Context) -> Option<Bytes> {
    let mut last = None;
    piece(session, ctx, &mut last, true).ok()?;
    last.filter(|last| !last.is_empty())
}

/// Answers for what ended while its head waited: a response whose head alone did not say that there is no body, or trailers
/// that were the end of what was refused.
pub async fn finish(session: &mut Session, ctx: &mut Context) {
    if ctx.waiting.is_none() {
        return;
    }
    let mut last = None;
    if ctx.decision.is_none() {
        // What is refused says so by a decision.
        drop(piece(session, ctx, &mut last, true));
    }
    // If the client is gone, there is nobody to tell.
    drop(match ctx.decision.take() {
        Some(decision) => rescue::refuse(session, ctx, decision).await,
        None => session.write_response_body(last, true).await,
    });
}

/// Sends the head that waits, if one does. No phase of Pingora's that sees the body can wait for the client.
fn send_head(session: &mut Session, ctx: &mut Context) -> Result<()> {
    let Some(head) = ctx.waiting.take() else { return Ok(()) };
    rescue::keep_date(session, ctx, &head);
    let sending = pin!(session.write_response_header(head, false));
    match sending.poll(&mut task::Context::from_waker(Waker::noop())) {
        Poll::Ready(sent) => sent.map_err(Error::into_down),
        Poll::Pending => Err(Error::explain(ErrorType::InternalError, "a head that waited is too long")),
    }
}

/// Whether a body may follow, as far as the head says.
fn has_body(session: &Session, head: &ResponseHeader) -> bool {
    session.req_header().method != Method::HEAD
        && !matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        && length::read(&head.headers) != Some(0)
}

/// How long the head is, as HTTP/1 has it.
fn bytes(head: &ResponseHeader) -> usize {
    head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum()
}

/// A filter that changes a body's length takes `Content-Length` away, after Pingora has decided on the framing.
///
/// # Errors
/// None that can happen: a field that is always valid.
pub fn reframe(session: &Session, response: &mut ResponseHeader) -> Result<()> {
    let request = session.req_header();
    if request.version == Version::HTTP_10 {
        // RFC 9112 section 6.1: no transfer codings for a client of HTTP/1.0; the end of the connection ends the body.
        response.remove_header(&header::TRANSFER_ENCODING);
        return Ok(());
    }
    let bodiless = request.method == Method::HEAD || matches!(response.status.as_u16(), 204 | 304);
    let framed = response.headers.contains_key(header::CONTENT_LENGTH)
        || response.headers.contains_key(header::TRANSFER_ENCODING);
    if !framed && !bodiless && request.version == Version::HTTP_11 {
        response.insert_header(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"))?;
    }
    Ok(())
}
