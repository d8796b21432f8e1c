//! One request and its answer on one connection, which is kept if both ended as they should.
//!
//! Pingora reads the answer: heads of at most 1 MiB and 256 fields, conflicting lengths refused. On top of that
//! `Transfer-Encoding` is `chunked` alone and never beside a `Content-Length` (RFC 9112 §6.1, §6.3): whoever sends
//! both may mean an answer of its own to the next request on the connection.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora_core::connectors::TransportConnector;
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_core::upstreams::peer::{HttpPeer, Peer};
use pingora_core::{BError, Error, ErrorType};

use crate::http::fetch::{Failure, Limits, Part, Request, Response};
use crate::http::fields::{Direction, is_hop_by_hop};

/// Informational answers that are read over before the real one.
const MOST_INFORMATIONAL: usize = 8;
const USER_AGENT: &str = "edgeward";

/// Why there is no answer.
pub(super) struct Broken {
    pub(super) failure: Failure,
    /// Whether nothing of an answer was understood when it happened.
    pub(super) before_answer: bool,
}

/// Asks on `stream`, which leads to `peer`.
pub(super) async fn exchange(
    connector: &TransportConnector,
    stream: Stream,
    peer: &HttpPeer,
    request: &Request,
) -> Result<Response, Broken> {
    let mut session = HttpSession::new_with_options(stream, peer);
    let lost = |error: BError| Broken { before_answer: is_loss(&error), failure: failure(&error, peer) };
    let head = Box::new(head(request).map_err(lost)?);
    session.write_request_header(head).await.map_err(lost)?;
    if !request.body.is_empty() {
        session.write_body(&request.body).await.map_err(lost)?;
    }
    session.finish_body().await.map_err(lost)?;
    session.read_response().await.map_err(lost)?;
    let answer = answer(&mut session, &request.limits, peer).await;
    let answer = answer.map_err(|failure| Broken { failure, before_answer: false })?;
    session.respect_keepalive();
    if session.will_keepalive()
        && let Some(stream) = session.reuse().await
    {
        connector.release_stream(stream, peer.reuse_hash(), peer.options.idle_timeout);
    }
    Ok(answer)
}

/// The request as it is sent.
fn head(request: &Request) -> Result<RequestHeader, BError> {
    let mut head = RequestHeader::build(request.method.clone(), request.url.target().as_bytes(), None)?;
    head.insert_header(header::HOST, request.url.authority())?;
    for (name, value) in &request.headers {
        if !is_ours(name.as_str()) {
            head.append_header(name, value)?;
        }
    }
    let defaults = [(header::USER_AGENT, USER_AGENT), (header::ACCEPT_ENCODING, "identity")];
    for (name, value) in defaults {
        if !request.headers.contains_key(&name) {
            head.insert_header(name, value)?;
        }
    }
    if !request.body.is_empty() || !request.method.is_safe() {
        head.insert_header(header::CONTENT_LENGTH, request.body.len())?;
    }
    Ok(head)
}

/// Whether a field is the client's to write and nobody else's.
fn is_ours(name: &str) -> bool {
    matches!(name, "host" | "content-length" | "expect") || is_hop_by_hop(name.as_bytes(), Direction::Request)
}

/// The answer whose first head has been read.
async fn answer(session: &mut HttpSession, limits: &Limits, peer: &HttpPeer) -> Result<Response, Failure> {
    for _ in 0..MOST_INFORMATIONAL {
        match session.get_status() {
            Some(StatusCode::SWITCHING_PROTOCOLS) => {
                return Err(malformed("nobody asked for another protocol"));
            }
            Some(status) if status.is_informational() => {
                session.read_response().await.map_err(|error| failure(&error, peer))?;
            }
            _ => break,
        }
    }
    let raw = session.get_headers_raw_bytes();
    if raw.len() > limits.head_bytes {
        return Err(Failure::TooLarge { part: Part::Head, limit: limits.head_bytes });
    }
    let head = session.resp_header().ok_or_else(|| malformed("no head"))?;
    check_framing(head, &raw)?;
    let (status, headers) = (head.status, head.headers.clone());
    if status.is_informational() {
        return Err(malformed("nothing but informational answers"));
    }
    let body = body(session, &headers, limits.body_bytes, peer).await?;
    Ok(Response { status, headers, body })
}

/// Refuses what two readers may read differently. `raw` is the head as it came: of two framings Pingora keeps one.
fn check_framing(head: &ResponseHeader, raw: &[u8]) -> Result<(), Failure> {
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(malformed("a transfer coding other than chunked"));
    }
    if head.version != Version::HTTP_11 {
        return Err(malformed("a transfer coding in HTTP/1.0"));
    }
    let mut names =
        raw.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b':').next());
    if names.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"content-length")) {
        return Err(malformed("a length beside a transfer coding"));
    }
    Ok(())
}

async fn body(
    session: &mut HttpSession,
    headers: &HeaderMap,
    limit: usize,
    peer: &HttpPeer,
) -> Result<Bytes, Failure> {
    let too_large = Failure::TooLarge { part: Part::Body, limit };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(length);
    if announced.is_some_and(|announced| announced > limit as u64) && !session.is_body_done() {
        return Err(too_large);
    }
    let mut body = BytesMut::new();
    while let Some(piece) = session.read_body_ref().await.map_err(|error| failure(&error, peer))? {
        if body.len().saturating_add(piece.len()) > limit {
            return Err(too_large);
        }
        body.extend_from_slice(piece);
    }
    Ok(body.freeze())
}

fn length(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}

fn malformed(what: &str) -> Failure {
    Failure::Malformed(what.to_owned())
}

/// Whether the connection went away, rather than that something was wrong with what came by it.
fn is_loss(error: &Error) -> bool {
    matches!(error.etype(), ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError)
}

/// What went wrong with the connection to `peer`, in our words: Pingora's name parts of its own, and show all of a head that
/// it cannot read, with whatever secrets are in it.
pub(super) fn failure(error: &Error, peer: &HttpPeer) -> Failure {
    use ErrorType as E;
    let connect = |why: &str| Failure::Connect(format!("{}: {why}", peer.address()));
    match error.etype() {
        E::ConnectTimedout => connect("not in time"),
        E::ConnectRefused => connect("refused"),
        E::ConnectNoRoute => connect("no route to it"),
        E::ConnectError | E::BindError | E::SocketError => connect(&system(error)),
        E::InvalidCert => Failure::Certificate(handshake(error)),
        E::TLSHandshakeTimedout => Failure::Tls("no handshake in time".to_owned()),
        E::TLSHandshakeFailure | E::TLSWantX509Lookup | E::HandshakeError => Failure::Tls(handshake(error)),
        E::ConnectionClosed => Failure::Closed("closed before all of the answer was there".to_owned()),
        E::ReadTimedout | E::WriteTimedout => Failure::Closed("nothing moved for too long".to_owned()),
        E::ReadError | E::WriteError => Failure::Closed(system(error)),
        E::InvalidHTTPHeader => malformed("a head that is none"),
        _ => malformed("a body that does not end as its head says"),
    }
}

/// What the system said, which is the innermost cause.
fn system(error: &Error) -> String {
    let mut cause: Option<&(dyn std::error::Error + 'static)> =
        error.cause.as_deref().map(|cause| cause as _);
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "an error without a name".to_owned(), ToString::to_string)
}

/// What BoringSSL said, which Pingora has in the middle of its own text.
fn handshake(error: &Error) -> String {
    let text = error.context.as_ref().map_or("", |context| context.as_str());
    let said = text.strip_prefix("TLS connect() failed: ").and_then(|text| text.rsplit_once(", SNI: "));
    said.map_or("the handshake failed", |(said, _)| said).to_owned()
}
