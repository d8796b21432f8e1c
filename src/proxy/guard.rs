//! The guard between a client and the HTTP parser.
//!
//! Every byte of an HTTP/1 connection is checked here first, by a grammar that knows no leniency, so that a request
//! the parser would have interpreted, repaired or merely survived never reaches it. What the guard refuses it
//! replaces by a stand-in, a harmless request that no client can send; the gateway recognises it and answers with
//! the fault that [`Connection::fault`] holds. Thus refused heads are answered, counted and logged like any other
//! request. HTTP/2 passes as it is, for its frames are checked by `h2`; here they are only timed and counted.
//!
//! The guard also keeps time: a head has a deadline, an idle connection another, and bodies have a least rate.
//! It gathers small writes, so that a head and a short body leave in one TLS record and one system call.

mod frames;
mod opaque;
mod reading;
mod trailer;
mod writing;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use http::{Method, Version};
use pingora::http::RequestHeader;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, IO, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use self::frames::Frames;
use super::alarm::Alarm;
use super::arrival::Arrival;
use super::connection::Connection;
use super::pace::Pace;
use crate::http::framing::Framing;

/// What the parser is given in place of a refused head. `GET *` is not valid (RFC 9112 section 3.2.4), so the guard
/// itself would refuse it, and so no client can make the gateway see one.
const STAND_IN: &[u8] = b"GET * HTTP/1.1\r\nhost: stand-in.invalid\r\nconnection: close\r\n\r\n";

/// Whether the gateway was given the stand-in. Of HTTP/2 nothing is replaced, and what asks so there is refused later.
pub fn is_stand_in(request: &RequestHeader) -> bool {
    request.raw_path() == b"*" && request.method == Method::GET && request.version == Version::HTTP_11
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the next bytes from the client are.
enum Expect {
    /// A request head.
    Head,
    /// The body of the request whose head has passed.
    Body(Framing),
    /// Whatever comes after a request to upgrade, once that is decided.
    Decision,
    /// An upgraded connection.
    Opaque,
    /// HTTP/2.
    Frames(Frames),
    /// Nothing any more.
    Nothing,
    /// Nothing that we would read.
    Silence,
}

/// A client's stream, checked and timed.
pub struct Guard<S> {
    inner: S,
    connection: Arc<Connection>,
    digest: Option<Arc<ProxyDigest>>,
    expect: Expect,
    /// Checked, to be read by the parser.
    checked: BytesMut,
    /// Read, but not yet checked: an incomplete head, or what follows the present request.
    unchecked: BytesMut,
    /// How much of `unchecked` was searched for the end of a head.
    searched: usize,
    /// When the present head began to come.
    head_since: Option<Instant>,
    /// When the client said that it sends no more.
    ended_since: Option<Instant>,
    read_pace: Pace,
    read_alarm: Alarm,
    gathered: Vec<u8>,
    /// Whether `gathered` has waited for a turn.
    held_back: bool,
    write_pace: Pace,
    write_alarm: Alarm,
}

impl<S: IO> Guard<S> {
    /// Guards a stream from its first byte of HTTP on.
    pub fn new(inner: S, connection: Arc<Connection>) -> Self {
        let limits = &connection.door.limits;
        let http2 = inner.selected_alpn_proto() == Some(ALPN::H2);
        Self {
            digest: connection.digest(),
            expect: if http2 { Expect::Frames(Frames::new(PREFACE.len())) } else { Expect::Head },
            checked: BytesMut::new(),
            unchecked: BytesMut::new(),
            searched: 0,
            head_since: None,
            ended_since: None,
            read_pace: Pace::new(limits.stall, limits.min_rate),
            read_alarm: Alarm::default(),
            gathered: Vec::new(),
            held_back: false,
            write_pace: Pace::new(limits.stall, limits.min_rate),
            write_alarm: Alarm::default(),
            inner,
            connection,
        }
    }

    /// Gives out what has been checked.
    fn take_checked(&mut self, out: &mut ReadBuf<'_>) {
        let count = self.checked.len().min(out.remaining());
        out.put_slice(self.checked.get(..count).unwrap_or_default());
        self.checked.advance(count);
        if self.checked.is_empty() {
            // An idle connection keeps no buffer.
            self.checked = BytesMut::new();
        }
    }
}

/// Whether patience has ended; otherwise the task is woken when it may have.
fn poll_pace(pace: &mut Pace, alarm: &mut Alarm, cx: &mut Context<'_>) -> bool {
    loop {
        let deadline = pace.wait(Instant::now());
        if !alarm.rings(cx, deadline) {
            return false;
        }
        if pace.is_over(Instant::now()) {
            return true;
        }
    }
}

impl<S: IO> Guard<S> {
    /// The next bytes for the parser.
    fn poll_next(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        loop {
            if !self.checked.is_empty() {
                self.take_checked(out);
                return Poll::Ready(Ok(()));
            }
            match &self.expect {
                Expect::Head => ready!(self.poll_head(cx, out))?,
                Expect::Body(_) => return self.poll_body(cx, out),
                Expect::Decision => {
                    ready!(self.poll_decision(cx));
                    continue;
                }
                Expect::Opaque => return self.poll_opaque(cx, out),
                Expect::Frames(_) => return self.poll_frames(cx, out),
                Expect::Nothing => return Poll::Ready(Ok(())),
                Expect::Silence => return Poll::Pending,
            }
            if out.filled().len() > before || self.checked.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: IO + Arrival> AsyncRead for Guard<S> {
    /// A read without room for a byte is ready once one with room may bring a request.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = if out.remaining() == 0 { this.poll_first_byte(cx) } else { this.poll_next(cx, out) };
        if polled.is_pending() {
            this.push_out(cx)?;
        }
        polled
    }
}

impl<S: IO> AsyncWrite for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_gather(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_gathered(cx))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_gathered(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

#[async_trait]
impl<S: IO> Peek for Guard<S> {
    /// Looks whether the client begins with the HTTP/2 preface. If so, what follows is not HTTP/1.
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        while self.unchecked.len() < buffer.len() && PREFACE.starts_with(&self.unchecked) {
            if poll_fn(|cx| self.poll_start(cx)).await? == 0 {
                break;
            }
            self.begin_head();
        }
        let count = buffer.len().min(self.unchecked.len());
        for (to, from) in buffer.iter_mut().zip(self.unchecked.iter()) {
            *to = *from;
        }
        if count == PREFACE.len() && self.unchecked.starts_with(PREFACE) {
            self.expect = Expect::Frames(Frames::new(PREFACE.len()));
            self.head_since = None;
        }
        Ok(true)
    }
}

#[async_trait]
impl<S: IO> Shutdown for Guard<S> {
    async fn shutdown(&mut self) {
        // What was gathered is lost if the client is gone; there is nobody to tell.
        drop(poll_fn(|cx| self.poll_gathered(cx)).await);
        self.inner.shutdown().await;
    }
}

impl<S> Drop for Guard<S> {
    fn drop(&mut self) {
        let unread = !self.unchecked.is_empty() || matches!(self.expect, Expect::Body(_) | Expect::Nothing);
        self.connection.set_unread(unread && self.ended_since.is_none());
    }
}

impl<S: IO> UniqueID for Guard<S> {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl<S: IO> Ssl for Guard<S> {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }
}

impl<S: IO> GetTimingDigest for Guard<S> {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        // Asked for at every request, and of no use here.
        Vec::new()
    }
}

impl<S: IO> GetProxyDigest for Guard<S> {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.digest.clone()
    }
}

impl<S: IO> GetSocketDigest for Guard<S> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }
}

impl<S> fmt::Debug for Guard<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("client", &self.connection.client_ip).finish_non_exhaustive()
    }
}
