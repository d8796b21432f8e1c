//! The head with the filters while the body can be read.
//!
//! What always holds: what is read here counts like any other piece, is shown to all who look at bodies afterwards, and
//! goes upstream; a client that is gone, or sends too much, ends the request whatever filters make of it.

use bytes::Bytes;
use http::{StatusCode, header};
use pingora_core::{Error, Result};
use pingora_proxy::Session;

use super::{Body, count, length, may_go_on, most, next, waits_to_be_asked, within};
use crate::filters::chain::{Decision, Outcome};
use crate::filters::{self, Beginning, Exchange, Reading, Refusal};
use crate::proxy::connection::Connection;
use crate::proxy::context::Context;
use crate::proxy::forward;
use crate::proxy::rescue::refused;

/// Passes the head through the filters.
///
/// # Errors
/// When a filter had the body read, and the client is gone or sends more than is allowed.
pub async fn ask_filters(session: &mut Session, ctx: &mut Context) -> Result<Outcome> {
    if !ctx.facts.has_body {
        let request = session.req_header_mut();
        let mut exchange = Exchange::new(request, &ctx.facts, ctx.origin, &mut ctx.slots, 0);
        return Ok(ctx.route.chain.request(&mut exchange, &mut ctx.shadows).await);
    }
    let (length, most) = (length(session), most(ctx));
    let waits = waits_to_be_asked(session.req_header());
    // Filters have it while the session is read; how the body is framed, Pingora has noted.
    let mut request = std::mem::replace(session.req_header_mut(), forward::nothing());
    let (body, connection) = (&mut ctx.body, ctx.connection.as_deref());
    let mut coming = Coming { session, body, connection, length, most, waits, ended: None };
    let outcome = {
        let exchange = Exchange::new(&mut request, &ctx.facts, ctx.origin, &mut ctx.slots, 0);
        ctx.route.chain.request(&mut exchange.with_body(&mut coming), &mut ctx.shadows).await
    };
    let (asked, ended) = (waits && !coming.waits, coming.ended);
    if asked {
        request.remove_header(&header::EXPECT);
    }
    *session.req_header_mut() = request;
    match ended {
        None => Ok(outcome),
        Some(End::Gone(error)) => Err(error),
        Some(End::Refused(decision)) => Err(refused(ctx, decision)),
    }
}

/// A body of which nothing or some has come.
struct Coming<'a> {
    session: &'a mut Session,
    body: &'a mut Body,
    connection: Option<&'a Connection>,
    length: Option<u64>,
    /// Bytes that it may have.
    most: u64,
    /// Whether the client waits to be asked for it.
    waits: bool,
    /// Why no more is read.
    ended: Option<End>,
}

enum End {
    Gone(Box<Error>),
    Refused(Decision),
}

impl From<Box<Error>> for End {
    fn from(error: Box<Error>) -> Self {
        Self::Gone(error)
    }
}

impl filters::Arriving for Coming<'_> {
    fn read(&mut self, most: u64) -> Reading<'_> {
        Box::pin(async move {
            let read = match &self.ended {
                None => self.beginning(most).await,
                Some(_) => return Err(over()),
            };
            read.map_err(|end| {
                self.ended = Some(end);
                over()
            })
        })
    }
}

impl Coming<'_> {
    async fn beginning(&mut self, most: u64) -> Result<Beginning, End> {
        if std::mem::take(&mut self.waits) {
            self.session.write_continue_response().await?;
        }
        let mut pieces: Vec<Bytes> = Vec::new();
        let mut whole = false;
        if let Some(early) = self.body.early.take() {
            whole = early.whole;
            pieces.push(early.bytes);
        }
        while !whole && self.body.bytes <= most && may_go_on(self.session, self.body, self.length) {
            let (piece, end) = next(self.session, self.body, self.length).await?;
            count(self.body, self.connection, piece.as_ref(), end);
            within(self.body.bytes, self.most).map_err(End::Refused)?;
            pieces.extend(piece);
            whole = end;
        }
        let bytes = match <[Bytes; 1]>::try_from(pieces) {
            Ok([bytes]) => bytes,
            Err(pieces) => pieces.concat().into(),
        };
        let beginning = Beginning { bytes, whole };
        self.body.early = Some(beginning.clone());
        Ok(beginning)
    }
}

/// Nobody is told.
const fn over() -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "client_gone")
}
