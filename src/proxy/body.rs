//! A request's body on its way from the client, through the filters, to an upstream.
//!
//! What always holds: filters are shown each byte once, also where it is sent to a second backend; the end of a body that
//! is refused reaches no upstream; and of a request whose body is held to its end, nothing does before.
//!
//! Pingora sends an upstream the head before it passes on any of the body, so what a filter wants to have seen first is
//! read before that ([`read_ahead`]). It then asks for a body that it takes for read only if its own buffer has something
//! in it, which is meant for retries and holds 64 KiB: when more comes, all of it is dropped. So that buffer is switched
//! on when the last 64 KiB of a body begin. Where a length is not announced, nobody knows when that is; such bodies are
//! read ahead as far as their end is sure to be found with something in the buffer, and the rest waits where it passes
//! ([`pass`]): the upstream has the head then, and none of the body.
//!
//! A filter that has to know the body before it says anything of the head has it read where it stands in the chain
//! ([`arriving`]). What came then is shown to the others afterwards, as if it had come only now.
//!
//! Traps in what Pingora makes of a piece: `None` is the end, also where it is not said to be (before trailers, towards
//! HTTP/2); `None` given back ends the upstream's body, whatever the client still sends; and an empty piece at the end is
//! written as a chunk, which ends the body twice.

mod arriving;

use bytes::{Bytes, BytesMut};
use http::{StatusCode, Version, header};
use pingora::http::RequestHeader;
use pingora_core::Result;
use pingora_proxy::Session;

pub use self::arriving::ask_filters;
use super::connection::Connection;
use super::context::Context;
use super::rescue::{decision, refused};
use crate::filters::chain::Decision;
use crate::filters::{Beginning, Exchange, Hold};

/// What Pingora's buffer holds.
const BUFFER_BYTES: u64 = 64 * 1024;
/// The largest piece of a body in HTTP/2: a frame, as Edgeward announces it.
const PIECE_BYTES: u64 = 16 * 1024;

/// What became of a body so far.
#[derive(Default)]
pub struct Body {
    /// Bytes of it that have come.
    pub bytes: u64,
    /// Whether the connection still waits for it (HTTP/2).
    pub open: bool,
    /// Whether filters have seen its end.
    ended: bool,
    /// How many bytes had come when Pingora began to keep them.
    kept_from: Option<u64>,
    /// Whether the next piece is what Pingora kept, so that filters know it.
    again: bool,
    /// What was read while the head was with the filters, until they are shown it.
    early: Option<Beginning>,
    hold: Hold,
    held: Held,
}

/// What filters have seen and the upstream has not.
#[derive(Default)]
enum Held {
    /// Nothing is held.
    #[default]
    Nothing,
    /// All of it, to be given to each backend once.
    Whole { body: Bytes, given: bool },
    /// The beginning, and the piece that came last.
    Waiting { first: BytesMut, last: Bytes },
    /// Some of it went to an upstream; the piece that came last waits.
    Passing { last: Bytes },
}

impl Body {
    /// Whether another backend can be sent all of it.
    pub fn is_replayable(&self, session: &Session) -> bool {
        match self.held {
            Held::Nothing => !session.retry_buffer_truncated(),
            Held::Whole { .. } | Held::Waiting { .. } => true,
            Held::Passing { .. } => false,
        }
    }

    /// A backend is about to be asked.
    pub fn begin_try(&mut self, session: &Session) {
        self.again =
            self.kept_from.is_some_and(|from| self.bytes > from) && !session.retry_buffer_truncated();
        self.kept_from = self.kept_from.or(Some(self.bytes));
        if let Held::Whole { given, .. } = &mut self.held {
            *given = false;
        }
    }

    /// Puts a piece that filters have seen to what is held, and says what may go.
    fn exchange(&mut self, piece: Option<Bytes>, end: bool) -> Option<Bytes> {
        let piece = piece.filter(|piece| !piece.is_empty());
        let past = end || self.bytes > self.hold.first;
        match &mut self.held {
            Held::Nothing | Held::Whole { .. } => piece,
            Held::Waiting { first, last } => {
                if let Some(piece) = piece {
                    first.extend_from_slice(&std::mem::replace(last, piece));
                }
                if !past {
                    return None;
                }
                let (mut going, mut last) = (std::mem::take(first), std::mem::take(last));
                if end || !self.hold.last {
                    going.extend_from_slice(&std::mem::take(&mut last));
                }
                self.held = Held::Passing { last };
                Some(going.freeze())
            }
            Held::Passing { last } if !self.hold.last => piece,
            Held::Passing { last } => {
                let before = match piece {
                    Some(piece) => std::mem::replace(last, piece),
                    None => Bytes::new(),
                };
                if !end {
                    return Some(before);
                }
                Some([before, std::mem::take(last)].concat().into())
            }
        }
    }
}

/// Whether the head announces more than is allowed, or more has come.
pub fn check_length(session: &Session, ctx: &Context) -> Result<(), Decision> {
    within(length(session).unwrap_or(0).max(ctx.body.bytes), most(ctx))
}

fn length(session: &Session) -> Option<u64> {
    crate::http::length::read(&session.req_header().headers)
}

/// Bytes that a body may have.
fn most(ctx: &Context) -> u64 {
    let of_listener = ctx.connection.as_ref().map_or(u64::MAX, |connection| connection.door.limits.body);
    ctx.route.max_body.unwrap_or(of_listener)
}

fn within(bytes: u64, most: u64) -> Result<(), Decision> {
    if bytes > most {
        return Err(decision(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"));
    }
    Ok(())
}

/// Reads as much of the body as filters want to see before an upstream hears of the request.
///
/// # Errors
/// When they refuse it, or the client is gone.
pub async fn read_ahead(session: &mut Session, ctx: &mut Context) -> Result<()> {
    let hold = ctx.slots.hold();
    let mut early = ctx.body.early.take();
    if (hold == Hold::default() && early.is_none()) || !ctx.facts.has_body {
        return Ok(());
    }
    if early.is_none() {
        invite(session).await?;
    }
    ctx.body.hold = hold;
    ctx.body.held = Held::Waiting { first: BytesMut::new(), last: Bytes::new() };
    let length = length(session);
    loop {
        let (mut piece, end) = if let Some(early) = early.take() {
            (Some(early.bytes).filter(|bytes| !bytes.is_empty()), early.whole)
        } else {
            let (piece, end) = next(session, &mut ctx.body, length).await?;
            let counted = count_within(ctx, piece.as_ref(), end);
            counted.map_err(|decision| refused(ctx, decision))?;
            (piece, end)
        };
        show(session, ctx, &mut piece, end).await.map_err(|decision| refused(ctx, decision))?;
        if end {
            let body = ctx.body.exchange(piece, true).unwrap_or_default();
            ctx.body.held = Held::Whole { body, given: false };
            return Ok(());
        }
        let Held::Waiting { first, last } = &mut ctx.body.held else { return Ok(()) };
        first.extend_from_slice(&std::mem::replace(last, piece.unwrap_or_default()));
        if ctx.body.bytes > hold.first || !may_go_on(session, &ctx.body, length) {
            return Ok(());
        }
    }
}

/// The next piece, before an upstream hears of the request, and whether it is the last.
async fn next(session: &mut Session, body: &mut Body, length: Option<u64>) -> Result<(Option<Bytes>, bool)> {
    if length.is_none_or(|length| length.saturating_sub(body.bytes) <= BUFFER_BYTES) {
        session.enable_retry_buffering();
        body.kept_from = body.kept_from.or(Some(body.bytes));
    }
    // HTTP/2 may have ended it since the head was looked at.
    let mut piece = None;
    if !session.is_body_done() {
        piece = session.read_request_body().await.map_err(pingora::Error::into_down)?;
    }
    let end = piece.is_none() || session.is_body_done();
    Ok((piece, end))
}

/// Whether the body can be read on without its end being found while Pingora's buffer is empty. In HTTP/2 a piece may bring
/// the end with it. In HTTP/1 the end comes by itself where no length is announced: if the piece before was too much for
/// the buffer, the end is still to come, and Pingora asks for it.
fn may_go_on(session: &Session, body: &Body, length: Option<u64>) -> bool {
    length.is_some()
        || if session.is_http2() {
            body.bytes + PIECE_BYTES <= BUFFER_BYTES
        } else {
            !session.retry_buffer_truncated()
        }
}

/// Asks for the body a client that waits to be asked (RFC 9110 section 10.1.1), as its upstream will not.
async fn invite(session: &mut Session) -> Result<()> {
    if !waits_to_be_asked(session.req_header()) {
        return Ok(());
    }
    session.req_header_mut().remove_header(&header::EXPECT);
    session.write_continue_response().await
}

/// Whether the client sends its body when it is asked to. HTTP/1.0 does not know how.
pub fn waits_to_be_asked(request: &RequestHeader) -> bool {
    request.version >= Version::HTTP_11 && request.headers.contains_key(header::EXPECT)
}

/// A piece on its way to the upstream.
///
/// # Errors
/// When a filter refuses the body, or it is too long.
pub async fn pass(
    session: &mut Session,
    ctx: &mut Context,
    piece: &mut Option<Bytes>,
    end: bool,
) -> Result<(), Decision> {
    if session.was_upgraded() {
        count(&mut ctx.body, ctx.connection.as_deref(), piece.as_ref(), end);
        return Ok(());
    }
    let end = end || piece.is_none();
    if ctx.body.ended {
        if let Held::Whole { body, given } = &mut ctx.body.held {
            *piece = (!std::mem::replace(given, true)).then(|| body.clone());
        }
    } else if std::mem::take(&mut ctx.body.again) {
        if end {
            receive(session, ctx, &mut None, true).await?;
        }
        if !matches!(ctx.body.held, Held::Nothing) {
            *piece = ctx.body.exchange(None, end);
        }
    } else {
        receive(session, ctx, piece, end).await?;
        *piece = ctx.body.exchange(piece.take(), end);
    }
    *piece = match piece.take() {
        None if !end => Some(Bytes::new()),
        Some(piece) if end && piece.is_empty() => None,
        piece => piece,
    };
    Ok(())
}

/// A piece that has come from the client, shown to all who look at bodies.
async fn receive(
    session: &mut Session,
    ctx: &mut Context,
    piece: &mut Option<Bytes>,
    end: bool,
) -> Result<(), Decision> {
    count_within(ctx, piece.as_ref(), end)?;
    show(session, ctx, piece, end).await
}

/// Shows a piece to all who look at bodies.
async fn show(
    session: &mut Session,
    ctx: &mut Context,
    piece: &mut Option<Bytes>,
    end: bool,
) -> Result<(), Decision> {
    ctx.body.ended = end;
    if !ctx.route.chain.has_request_body() {
        return Ok(());
    }
    let mut exchange = Exchange::new(session.req_header_mut(), &ctx.facts, ctx.origin, &mut ctx.slots, 0);
    ctx.route.chain.request_body(&mut exchange, &mut ctx.shadows, piece, end).await
}

fn count_within(ctx: &mut Context, piece: Option<&Bytes>, end: bool) -> Result<(), Decision> {
    count(&mut ctx.body, ctx.connection.as_deref(), piece, end);
    within(ctx.body.bytes, most(ctx))
}

fn count(body: &mut Body, connection: Option<&Connection>, piece: Option<&Bytes>, end: bool) {
    let bytes = piece.map_or(0, Bytes::len);
    body.bytes += bytes as u64;
    if !body.open {
        return;
    }
    body.open = !end;
    if let Some(connection) = connection {
        connection.body_progress(bytes);
        if end {
            connection.body_closed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(first: u64, last: bool) -> Body {
        let held = Held::Waiting { first: BytesMut::new(), last: Bytes::new() };
        Body { hold: Hold { first, last }, held, ..Body::default() }
    }

    /// What goes after each of these pieces, the last of which is the end.
    fn passed(mut body: Body, pieces: &[&'static str]) -> Vec<String> {
        let mut gone = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            body.bytes += piece.len() as u64;
            let piece = (!piece.is_empty()).then(|| Bytes::from_static(piece.as_bytes()));
            let going = body.exchange(piece, at + 1 == pieces.len());
            gone.push(String::from_utf8(going.unwrap_or_default().to_vec()).unwrap());
        }
        gone
    }

    #[test]
    fn what_nobody_holds_goes_as_it_comes() {
        assert_eq!(passed(Body::default(), &["ab", "", "c"]), ["ab", "", "c"]);
    }

    #[test]
    fn a_short_body_goes_with_its_end() {
        assert_eq!(passed(waiting(4, false), &["ab", "", "cd", ""]), ["", "", "", "abcd"]);
        assert_eq!(passed(waiting(4, true), &["ab", "cd"]), ["", "abcd"]);
    }

    #[test]
    fn beyond_what_is_held_pieces_go_in_order() {
        assert_eq!(passed(waiting(2, false), &["ab", "cd", "ef", ""]), ["", "abcd", "ef", ""]);
    }

    #[test]
    fn the_last_piece_waits_for_the_next_or_for_the_end() {
        assert_eq!(passed(waiting(2, true), &["ab", "cd", "ef", "", ""]), ["", "ab", "cd", "", "ef"]);
        assert_eq!(passed(waiting(0, true), &["ab", "cd", "ef"]), ["", "ab", "cdef"]);
    }
}
