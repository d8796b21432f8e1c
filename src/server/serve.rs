//! Serves one guarded stream until it ends: requests one after the other over HTTP/1, side by side over HTTP/2.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use pingora_core::apps::{HttpPersistentSettings, HttpServerApp};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{H2Accept, H2Options, HttpSession, handshake};
use pingora_core::protocols::{ALPN, Digest, Stream};
use pingora_core::server::ShutdownWatch;
use tokio::io::{AsyncRead, ReadBuf};

use super::farewell::Farewell;
use super::streams::{Open, Streams};
use crate::policy::DoorLimits;
use crate::proxy::Connection;

/// The client's preface of HTTP/2 without TLS (RFC 9113 section 3.4).
const PREFACE_BYTES: usize = 24;
/// RFC 9113 section 7.
const PROTOCOL_ERROR: u32 = 1;
const ENHANCE_YOUR_CALM: u32 = 0xb;
/// Streams that Pingora turned away before they became requests; with one more the connection ends.
const MAX_REJECTED: usize = 32;
/// How long a client may take to leave that has nothing open and was told to. Longer than any round trip.
const LEAVING_PATIENCE: Duration = Duration::from_secs(5);

/// Serves a stream until either side is done with it. Once `shutdown` says so, the present requests, or else the next,
/// are the last. `closing` ends a stream on which nothing was asked yet.
pub async fn serve<A>(
    app: &Arc<A>,
    mut stream: Stream,
    h2c: bool,
    limits: &DoorLimits,
    shutdown: &ShutdownWatch,
    closing: &mut ShutdownWatch,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    let tls = stream.get_ssl_digest().is_some();
    let http2 = if tls {
        stream.selected_alpn_proto() == Some(ALPN::H2)
    } else {
        h2c && tokio::select! {
            biased;
            has_preface = has_preface(&mut stream) => has_preface,
            _ = closing.wait_for(|closing| *closing) => return,
        }
    };
    if http2 {
        // In a box, or each connection of HTTP/1 would hold room for it.
        Box::pin(serve_h2(app, stream, limits, shutdown)).await;
    } else {
        serve_h1(app, stream, shutdown, closing).await;
    }
}

async fn has_preface(stream: &mut Stream) -> bool {
    let mut start = [0; PREFACE_BYTES];
    stream.try_peek(&mut start).await.is_ok() && start == *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
}

async fn serve_h1<A>(app: &Arc<A>, mut stream: Stream, shutdown: &ShutdownWatch, closing: &mut ShutdownWatch)
where
    A: HttpServerApp + Send + Sync + 'static,
{
    let mut settings: Option<HttpPersistentSettings> = None;
    loop {
        tokio::select! {
            biased;
            () = first_byte(&mut stream) => {}
            _ = closing.wait_for(|closing| *closing) => return,
        }
        let mut session = ServerSession::new_http1(stream);
        match settings {
            Some(settings) => settings.apply_to_session(&mut session),
            // The guard under the stream keeps time: no timer of Pingora's runs. Zero means without end.
            None => session.set_keepalive(Some(0)),
        }
        let Some(reused) = app.process_new_http(session, shutdown).await else { return };
        (stream, settings) = reused.consume();
    }
}

/// Resolves once there is something of a request, or of the end of the connection: what parses it is not made before.
async fn first_byte(stream: &mut Stream) {
    // An error comes again where it is handled.
    drop(poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut ReadBuf::new(&mut []))).await);
}

async fn serve_h2<A>(app: &Arc<A>, stream: Stream, limits: &DoorLimits, shutdown: &ShutdownWatch)
where
    A: HttpServerApp + Send + Sync + 'static,
{
    let digest = Arc::new(digest(&stream));
    let stream: Stream = Box::new(Farewell::new(stream));
    let greeted = tokio::time::timeout(limits.head_timeout, handshake(stream, Some(options(limits))));
    let Ok(Ok(mut connection)) = greeted.await else { return };
    let streams = Arc::new(Streams::default());
    let guarded = digest.proxy_digest.as_deref().and_then(Connection::behind).cloned();
    let serving = Arc::new((app.clone(), shutdown.clone()));
    // Each of these lasts as long as the connection: to begin to wait anew for every stream costs as much as a filter.
    let mut told_to_leave = shutdown.clone();
    let mut told_to_leave = pin!(told_to_leave.wait_for(|leave| *leave));
    let mut told = pin!(told(guarded.as_deref()));
    let mut idle = pin!(streams.idle(limits.idle_timeout));
    let (mut leaving, mut calmed) = (false, false);
    let (mut rejected, mut accepted) = (0, 0_u32);
    loop {
        let mut leave = false;
        tokio::select! {
            // Streams come first, and soon there is none to be had: the others are asked then, and not once for each stream.
            biased;
            next = HttpSession::from_h2_conn(&mut connection, digest.clone()) => match next {
                Ok(Some(H2Accept::Session(session))) => {
                    accepted += 1;
                    leave = accepted >= limits.requests && !leaving;
                    serve_stream(serving.clone(), session, streams.clone().begin());
                }
                Ok(Some(H2Accept::Rejected)) if rejected < MAX_REJECTED => rejected += 1,
                Ok(Some(H2Accept::Rejected) | None) | Err(_) => break,
            },
            _ = &mut told_to_leave, if !leaving => leave = true,
            code = &mut told, if !calmed => if let Some(code) = code {
                connection.abrupt_shutdown(code.into());
                calmed = true;
            } else {
                leave = !leaving;
                told.set(self::told(guarded.as_deref()));
            },
            () = &mut idle => {
                if leaving {
                    return;
                }
                leave = true;
            }
        }
        if leave {
            // Told by a first GOAWAY that names no last stream; `h2` sends the final one a round trip later (see
            // `Farewell`), and ends the connection after its last stream.
            connection.graceful_shutdown();
            leaving = true;
            idle.set(streams.idle(LEAVING_PATIENCE.min(limits.idle_timeout)));
        }
    }
    drop(connection);
    // Their last lines are written, and what they cost counts as long as it is there.
    streams.ended().await;
}

/// Resolves once the client is to leave; with the code that tells it why, if it has asked more of the connection than it may.
async fn told(connection: Option<&Connection>) -> Option<u32> {
    let Some(connection) = connection else { return std::future::pending().await };
    let fault = connection.told().await?;
    Some(if fault.status == 400 { PROTOCOL_ERROR } else { ENHANCE_YOUR_CALM })
}

/// What is known of the connection below.
fn digest(stream: &Stream) -> Digest {
    Digest {
        ssl_digest: stream.get_ssl_digest(),
        timing_digest: Vec::new(),
        proxy_digest: stream.get_proxy_digest(),
        socket_digest: stream.get_socket_digest(),
    }
}

fn serve_stream<A>(serving: Arc<(Arc<A>, ShutdownWatch)>, session: HttpSession, open: Open)
where
    A: HttpServerApp + Send + Sync + 'static,
{
    tokio::spawn(async move {
        let (app, shutdown) = &*serving;
        app.process_new_http(ServerSession::new_http2(session), shutdown).await;
        drop(open);
    });
}

fn options(limits: &DoorLimits) -> H2Options {
    let resets = usize::try_from(limits.h2_resets).unwrap_or(usize::MAX);
    let mut options = H2Options::new();
    options
        .max_concurrent_streams(limits.h2_streams)
        .max_header_list_size(u32::try_from(limits.head.head_bytes).unwrap_or(u32::MAX))
        .max_concurrent_reset_streams(resets)
        .max_pending_accept_reset_streams(resets)
        .max_local_error_reset_streams(Some(resets));
    options
}
