//! Sends a client what is stored, or what comes for it, through the route's response filters like anything else.

use std::ops::Range;

use bytes::Bytes;
use http::header::{AGE, CONNECTION, SET_COOKIE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use pingora::http::ResponseHeader;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_proxy::Session;

use crate::cache::answer::{Answer, Extent, Selected};
use crate::cache::content::{Broken, Content, Reader};
use crate::cache::status::{self, CACHE_STATUS, Handled, Report};
use crate::cache::tiered::{Body, Found, Outlet, Portion, Tier};
use crate::filters::cache::Settings;
use crate::filters::{Exchange, Origin};
use crate::proxy::context::Context;
use crate::proxy::forward::edit_response;
use crate::proxy::rescue::{self, refused};
use crate::proxy::response::reframe;
use crate::state::Clock;

/// The name of this cache in `Cache-Status`.
const NAME: &str = "edgeward";

/// Where the content comes from.
pub enum Source {
    Pieces(std::vec::IntoIter<Bytes>),
    Disk(Outlet),
    Coming(Cut),
}

/// A part of what comes.
pub struct Cut {
    reader: Reader,
    skip: u64,
    left: u64,
}

impl Cut {
    /// This range of it; `None`: all.
    pub fn new(reader: Reader, range: Option<Range<u64>>) -> Self {
        let range = range.unwrap_or(0..u64::MAX);
        Self { reader, skip: range.start, left: range.end - range.start }
    }

    async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        while self.left > 0 {
            let mut piece = match self.reader.next().await? {
                Ok(piece) => piece,
                Err(broken) => return Some(Err(broken)),
            };
            let skipped = self.skip.min(piece.len() as u64);
            self.skip -= skipped;
            drop(piece.split_to(usize::try_from(skipped).unwrap_or(usize::MAX)));
            piece.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= piece.len() as u64;
            if !piece.is_empty() {
                return Some(Ok(piece));
            }
        }
        None
    }
}

impl Source {
    async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        match self {
            Self::Pieces(pieces) => pieces.next().map(Ok),
            Self::Disk(outlet) => outlet.next().await,
            Self::Coming(cut) => cut.next().await,
        }
    }
}

/// Takes out of a response what is between the origin and this cache, and says what the cache did.
pub fn tell(fields: &mut HeaderMap, settings: &Settings, report: &Report<'_>) {
    for name in &settings.hidden {
        fields.remove(name);
    }
    if settings.tells {
        fields.append(CACHE_STATUS, report.to_value(NAME));
    }
}

/// Sends what is stored. `cookies` are for this client alone.
pub async fn stored(
    session: &mut Session,
    ctx: &mut Context,
    (found, settings): (&Found, &Settings),
    handled: Handled,
    cookies: Vec<HeaderValue>,
    clock: &Clock,
) -> Result<()> {
    let now = clock.wall();
    let Found { stored, freshness, body, tier } = found;
    let mut fields = stored.record.to_fields();
    fields.insert(AGE, status::age(freshness.age(now)));
    let detail = (*tier == Tier::Disk).then_some("disk");
    let report = Report { handled, ttl: Some(freshness.ttl(now)), key: None, detail };
    tell(&mut fields, settings, &report);
    let request = session.req_header();
    let asked = (&request.method, &request.headers);
    let answer = Answer::new(asked, (stored.status, fields), Extent::Whole(found.length()), now);
    let mut head = head(answer.status, answer.fields);
    for cookie in cookies {
        head.append_header(SET_COOKIE, cookie)?;
    }
    if let Body::Disk(body) = body {
        let outlet = Outlet::new(body.clone(), portions(answer.content));
        return stream(session, ctx, head, Source::Disk(outlet)).await;
    }
    if let (Selected::Whole, [piece]) = (&answer.content, stored.content.pieces()) {
        return rescue::deliver(session, ctx, head, piece.clone(), Origin::Upstream).await;
    }
    let pieces = pieces(&stored.content, answer.content);
    stream(session, ctx, head, Source::Pieces(pieces.into_iter())).await
}

fn pieces(content: &Content, selected: Selected) -> Vec<Bytes> {
    match selected {
        Selected::Nothing => Vec::new(),
        Selected::Whole => content.pieces().to_vec(),
        Selected::Part(range) => content.part(&range).collect(),
        Selected::Parts(multipart) => {
            let mut pieces = Vec::new();
            for (head, range) in multipart.parts {
                pieces.push(head);
                pieces.extend(content.part(&range));
            }
            pieces.push(multipart.end);
            pieces
        }
    }
}

/// The same of what is on disk.
fn portions(selected: Selected) -> Vec<Portion> {
    match selected {
        Selected::Nothing => Vec::new(),
        Selected::Whole => vec![Portion::Part(0..u64::MAX)],
        Selected::Part(range) => vec![Portion::Part(range)],
        Selected::Parts(multipart) => {
            let part = |(head, range)| [Portion::Bytes(head), Portion::Part(range)];
            multipart.parts.into_iter().flat_map(part).chain([Portion::Bytes(multipart.end)]).collect()
        }
    }
}

/// Sends what comes, whose content is so long, if that is known.
pub async fn coming(
    session: &mut Session,
    ctx: &mut Context,
    (status, fields): (StatusCode, HeaderMap),
    (reader, length): (Reader, Option<u64>),
    clock: &Clock,
) -> Result<()> {
    let request = session.req_header();
    let asked = (&request.method, &request.headers);
    let answer = Answer::new(asked, (status, fields), Extent::Coming(length), clock.wall());
    let range = match answer.content {
        Selected::Part(range) => Some(range),
        Selected::Nothing | Selected::Parts(_) => Some(0..0),
        Selected::Whole => None,
    };
    let source = Source::Coming(Cut::new(reader, range));
    stream(session, ctx, head(answer.status, answer.fields), source).await
}

/// Sends what comes as it is.
pub async fn untouched(
    session: &mut Session,
    ctx: &mut Context,
    mut head: ResponseHeader,
    reader: Reader,
) -> Result<()> {
    edit_response(&mut head, |parts| parts.headers = of_the_message(&parts.headers));
    stream(session, ctx, head, Source::Coming(Cut::new(reader, None))).await
}

/// The fields that belong to the message and not to the connection it came by.
pub fn of_the_message(fields: &HeaderMap) -> HeaderMap {
    let mut fields = fields.clone();
    // Written anew for each client.
    for name in [TRANSFER_ENCODING, CONNECTION] {
        fields.remove(name);
    }
    fields
}

fn head(status: StatusCode, fields: HeaderMap) -> ResponseHeader {
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = status;
    parts.headers = fields;
    ResponseHeader::from(parts)
}

async fn stream(
    session: &mut Session,
    ctx: &mut Context,
    mut head: ResponseHeader,
    mut source: Source,
) -> Result<()> {
    ctx.origin = Origin::Upstream;
    if ctx.route.chain.has_response() {
        let request = session.req_header_mut();
        let mut exchange = Exchange::new(request, &ctx.facts, ctx.origin, &mut ctx.slots, 0);
        let filtered = ctx.route.chain.response(&mut exchange, &mut ctx.shadows, &mut head);
        filtered.map_err(|decision| refused(ctx, decision))?;
    }
    reframe(session, &mut head)?;
    ctx.status = head.status.as_u16();
    let bodiless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let silent = bodiless || session.req_header().method == Method::HEAD;
    // Once a head has gone, a refusal can only cut the response.
    let mut waiting = Some(head);
    if silent || !ctx.slots.holds_response() {
        begin(session, ctx, &mut waiting, silent).await?;
    }
    if silent {
        return Ok(());
    }
    loop {
        let piece = tokio::select! {
            biased;
            piece = source.next() => piece,
            gone = gone(session) => return Err(gone),
        };
        let end = piece.is_none();
        let mut piece = piece.transpose().map_err(broken)?;
        filter(session, ctx, &mut piece, end).await?;
        if waiting.is_some() && !end && piece.as_ref().is_none_or(Bytes::is_empty) {
            continue;
        }
        begin(session, ctx, &mut waiting, false).await?;
        write(session, ctx, piece, end).await?;
        if end {
            return Ok(());
        }
    }
}

/// Sends the head, if it has not gone.
async fn begin(
    session: &mut Session,
    ctx: &Context,
    head: &mut Option<ResponseHeader>,
    silent: bool,
) -> Result<()> {
    let Some(head) = head.take() else { return Ok(()) };
    rescue::keep_date(session, ctx, &head);
    session.write_response_header(Box::new(head), silent).await.map_err(Error::into_down)
}

/// Passes a piece through the route's filters. What takes them long is done aside.
async fn filter(
    session: &mut Session,
    ctx: &mut Context,
    piece: &mut Option<Bytes>,
    end: bool,
) -> Result<()> {
    if !ctx.route.chain.has_response_body() {
        return Ok(());
    }
    let chain = &ctx.route.chain;
    let request = session.req_header_mut();
    let mut exchange = Exchange::new(request, &ctx.facts, ctx.origin, &mut ctx.slots, 0);
    let filtered = chain.response_body_aside(&mut exchange, &mut ctx.shadows, piece, end).await;
    filtered.map_err(|decision| refused(ctx, decision))
}

async fn write(session: &mut Session, ctx: &Context, piece: Option<Bytes>, end: bool) -> Result<()> {
    if let (true, Some(connection)) = (session.is_http2(), &ctx.connection) {
        let bytes = piece.as_ref().map_or(0, Bytes::len);
        session.set_write_timeout(Some(connection.write_patience(bytes)));
    }
    session.write_response_body(piece, end).await.map_err(Error::into_down)
}

#[expect(clippy::unnecessary_box_returns, reason = "Pingora's results have their errors in a box")]
fn broken(error: Broken) -> Box<Error> {
    let mut error = Error::because(ErrorType::ReadError, "the response for the cache", error);
    error.esource = ErrorSource::Upstream;
    error
}

/// Resolves when the client is gone.
pub async fn gone(session: &mut Session) -> Box<Error> {
    loop {
        if let Err(error) = session.as_mut().read_body_or_idle(true).await {
            return error.into_down();
        }
    }
}
