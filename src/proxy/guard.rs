//! The guard between a client and the HTTP parser.
//!
//! Every byte of an HTTP/1 connection is checked here first, by a grammar that knows no leniency, so that a request
//! the parser would have interpreted, repaired or merely survived never reaches it. What the guard refuses it
//! replaces by a stand-in, a harmless request that no client can send; the gateway recognises it and answers with
//! the fault that [`Connection::fault`] holds. Thus refused heads are answered, counted and logged like any other
//! request. HTTP/2 passes unread, for its frames are checked by `h2`.
//!
//! The guard also keeps time: a head has a deadline, an idle connection another, and bodies have a least rate.
//! It gathers small writes, so that a head and a short body leave in one TLS record and one system call.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, IO, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::alarm::Alarm;
use super::connection::{Activity, Connection, Fault};
use super::pace::Pace;
use crate::http::framing::{ChunkLimits, Framing};
use crate::http::head::{self, HeadFault, Upgrade};

/// What the parser is given in place of a refused head. `GET *` is not valid (RFC 9112 section 3.2.4), so the guard
/// itself would refuse it, and so no client can make the gateway see one.
const STAND_IN: &[u8] = b"GET * HTTP/1.1\r\nhost: stand-in.invalid\r\nconnection: close\r\n\r\n";
/// The target by which the gateway knows the stand-in.
pub const STAND_IN_TARGET: &str = "*";

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What most responses fit in.
const GATHER_FIRST: usize = 4 * 1024;
/// Writes are gathered up to one TLS record.
const GATHER: usize = 16 * 1024;

/// What the next bytes from the client are.
enum Expect {
    /// A request head.
    Head,
    /// The body of the request whose head has passed.
    Body(Framing),
    /// Whatever comes after a request to upgrade, once that is decided.
    Decision,
    /// Bytes that are not HTTP/1: HTTP/2, or an upgraded connection.
    Opaque,
    /// Nothing any more.
    Nothing,
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
    read_pace: Pace,
    read_alarm: Alarm,
    gathered: Vec<u8>,
    write_pace: Pace,
    write_alarm: Alarm,
}

impl<S: IO> Guard<S> {
    /// Guards a stream from its first byte of HTTP on.
    pub fn new(inner: S, connection: Arc<Connection>) -> Self {
        let limits = &connection.door.limits;
        let expect = if inner.selected_alpn_proto() == Some(ALPN::H2) { Expect::Opaque } else { Expect::Head };
        Self {
            digest: connection.digest(),
            expect,
            checked: BytesMut::new(),
            unchecked: BytesMut::new(),
            searched: 0,
            head_since: None,
            read_pace: Pace::new(limits.stall, limits.min_rate),
            read_alarm: Alarm::default(),
            gathered: Vec::new(),
            write_pace: Pace::new(limits.stall, limits.min_rate),
            write_alarm: Alarm::default(),
            inner,
            connection,
        }
    }

    /// Reads into `unchecked`; how many bytes came.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut scratch = [std::mem::MaybeUninit::uninit(); 4096];
        let mut scratch = ReadBuf::uninit(&mut scratch);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut scratch))?;
        self.unchecked.extend_from_slice(scratch.filled());
        Poll::Ready(Ok(scratch.filled().len()))
    }

    /// Reads and checks a head. Ready without bytes in `out` or `checked` means that the connection has ended.
    fn poll_head(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if !self.unchecked.is_empty() && self.check_head() {
                return Poll::Ready(Ok(()));
            }
            let read = if self.unchecked.is_empty() {
                self.poll_whole_head(cx, out)
            } else {
                self.poll_more(cx).map_ok(|count| if count == 0 { Came::End } else { Came::Part })
            };
            match read {
                Poll::Ready(Ok(Came::Part)) => self.begin_head(),
                Poll::Ready(Ok(Came::Whole | Came::End)) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.wait_for_head(cx),
            }
        }
    }

    /// The usual case: one read brings one whole request, which is checked where it lies.
    fn poll_whole_head(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<Came>> {
        let before = out.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, out))?;
        let bytes = out.filled().get(before..).unwrap_or_default();
        if bytes.is_empty() {
            return Poll::Ready(Ok(Came::End));
        }
        if let Verdict::Passes(length, expect) = judge(&self.connection, bytes, 0) {
            if length == bytes.len() {
                self.pass(expect);
                return Poll::Ready(Ok(Came::Whole));
            }
        }
        self.unchecked.extend_from_slice(bytes);
        out.set_filled(before);
        Poll::Ready(Ok(Came::Part))
    }

    fn begin_head(&mut self) {
        self.head_since.get_or_insert_with(Instant::now);
    }

    /// Moves a head from `unchecked` to `checked`, or the stand-in in its place. False: it is not complete.
    fn check_head(&mut self) -> bool {
        match judge(&self.connection, &self.unchecked, self.searched) {
            Verdict::Incomplete => {
                self.searched = self.unchecked.len();
                return false;
            }
            Verdict::Passes(length, expect) => {
                let head = self.unchecked.split_to(length);
                self.checked.extend_from_slice(&head);
                self.pass(expect);
            }
            Verdict::Fails(fault) => self.fail(fault),
        }
        true
    }

    fn pass(&mut self, expect: Expect) {
        self.read_alarm.busy();
        self.searched = 0;
        self.connection.set_activity(Activity::Busy);
        self.head_since = None;
        self.read_pace.reset();
        self.expect = expect;
    }

    fn fail(&mut self, fault: Fault) {
        self.connection.set_fault(fault);
        self.connection.set_activity(Activity::Busy);
        self.checked.extend_from_slice(STAND_IN);
        self.unchecked = BytesMut::new();
        self.expect = Expect::Nothing;
    }

    /// Nothing to read: how long may that last? An idle connection gives its buffers back meanwhile.
    fn wait_for_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let limits = &self.connection.door.limits;
        if self.head_since.is_none() && self.connection.activity() == Activity::Busy {
            // The client waits for us.
            return Poll::Pending;
        }
        let begun = self.head_since;
        let patience = if begun.is_some() { limits.head_timeout } else { limits.idle_timeout };
        let since = begun.unwrap_or_else(|| self.read_alarm.idle_since());
        if !self.read_alarm.rings(cx, since + patience) {
            return Poll::Pending;
        }
        if begun.is_some() {
            self.fail(Fault { status: 408, reason: "head_timeout" });
        }
        self.expect = Expect::Nothing;
        Poll::Ready(Ok(()))
    }

    /// Reads and checks some of a body.
    fn poll_body(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        if self.unchecked.is_empty() {
            match Pin::new(&mut self.inner).poll_read(cx, out) {
                Poll::Pending => return self.wait_for_body(cx),
                Poll::Ready(result) => result?,
            }
        } else {
            let count = self.unchecked.len().min(out.remaining());
            out.put_slice(&self.unchecked.split_to(count));
        }
        let bytes = out.filled().get(before..).unwrap_or_default();
        self.read_pace.progress(bytes.len(), Instant::now);
        let Expect::Body(framing) = &mut self.expect else { return Poll::Ready(Ok(())) };
        match framing.feed(bytes) {
            Err(fault) => {
                self.connection.set_fault(Fault { status: 400, reason: fault.reason });
                self.expect = Expect::Nothing;
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault.reason)));
            }
            Ok(used) => {
                if framing.is_done() {
                    self.expect = Expect::Head;
                    let mut next = BytesMut::from(bytes.get(used..).unwrap_or_default());
                    next.unsplit(std::mem::take(&mut self.unchecked));
                    self.unchecked = next;
                    out.set_filled(before + used);
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn wait_for_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !poll_pace(&mut self.read_pace, &mut self.read_alarm, cx) {
            return Poll::Pending;
        }
        self.connection.set_fault(Fault { status: 408, reason: "body_too_slow" });
        self.expect = Expect::Nothing;
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// After a request to upgrade: what comes next depends on the answer.
    fn poll_decision(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.connection.wake_on_change(cx.waker());
        self.expect = match self.connection.activity() {
            Activity::Busy => return Poll::Pending,
            Activity::Upgraded => Expect::Opaque,
            Activity::Idle => Expect::Head,
        };
        Poll::Ready(())
    }

    fn poll_opaque(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.unchecked.is_empty() {
            let count = self.unchecked.len().min(out.remaining());
            out.put_slice(&self.unchecked.split_to(count));
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut self.inner).poll_read(cx, out);
        let (waiting, bytes) = self.connection.bodies();
        if bytes > 0 || !waiting {
            self.read_pace.progress(usize::try_from(bytes).unwrap_or(usize::MAX), Instant::now);
        }
        if !waiting {
            self.read_pace.reset();
        } else if polled.is_pending() && poll_pace(&mut self.read_pace, &mut self.read_alarm, cx) {
            self.connection.set_fault(Fault { status: 408, reason: "body_too_slow" });
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }

    /// Writes out what was gathered.
    fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut done = 0;
        let result = loop {
            let rest = self.gathered.get(done..).unwrap_or_default();
            if rest.is_empty() {
                break Poll::Ready(Ok(()));
            }
            match Pin::new(&mut self.inner).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => done += count,
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        if done > 0 {
            self.write_pace.progress(done, Instant::now);
            self.gathered.drain(..done);
        }
        if result.is_pending() {
            return self.wait_for_writing(cx);
        }
        // An idle connection keeps no buffer.
        self.gathered = Vec::new();
        result
    }

    fn wait_for_writing<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if poll_pace(&mut self.write_pace, &mut self.write_alarm, cx) {
            self.connection.set_fault(Fault { status: 408, reason: "client_too_slow" });
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

/// What a read for a head brought.
enum Came {
    /// One whole request head, already with the parser.
    Whole,
    /// Something that has to be looked at again.
    Part,
    /// The end of the connection.
    End,
}

/// What is to be thought of the bytes that should be a head.
enum Verdict {
    Incomplete,
    /// So many bytes are a good head, and this comes after it.
    Passes(usize, Expect),
    Fails(Fault),
}

/// `searched` is how much of it has been looked at before.
fn judge(connection: &Connection, bytes: &[u8], searched: usize) -> Verdict {
    let limits = &connection.door.limits.head;
    let Some(length) = head::head_length(bytes, searched) else {
        return if bytes.len() > limits.head_bytes {
            Verdict::Fails(head::outgrown(bytes, limits).into())
        } else {
            Verdict::Incomplete
        };
    };
    match head::check_head(bytes.get(..length).unwrap_or_default(), limits) {
        Err(fault) => Verdict::Fails(fault.into()),
        Ok(head) if !head.body.is_empty() => {
            Verdict::Passes(length, Expect::Body(Framing::of(head.body, ChunkLimits::default())))
        }
        Ok(head) if head.upgrade == Upgrade::WebSocket => Verdict::Passes(length, Expect::Decision),
        Ok(_) => Verdict::Passes(length, Expect::Head),
    }
}

impl From<HeadFault> for Fault {
    fn from(fault: HeadFault) -> Self {
        Self { status: fault.status, reason: fault.reason }
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

impl<S: IO> AsyncRead for Guard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = out.filled().len();
        loop {
            if !this.checked.is_empty() {
                let count = this.checked.len().min(out.remaining());
                out.put_slice(this.checked.get(..count).unwrap_or_default());
                this.checked.advance(count);
                return Poll::Ready(Ok(()));
            }
            match &this.expect {
                Expect::Head => ready!(this.poll_head(cx, out))?,
                Expect::Body(_) => {
                    ready!(this.poll_body(cx, out))?;
                    // Only the end of the stream reads nothing and leaves the body unfinished.
                    return Poll::Ready(Ok(()));
                }
                Expect::Decision => {
                    ready!(this.poll_decision(cx));
                    continue;
                }
                Expect::Opaque => return this.poll_opaque(cx, out),
                Expect::Nothing => return Poll::Ready(Ok(())),
            }
            if out.filled().len() > before || this.checked.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: IO> AsyncWrite for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.gathered.len() + data.len() <= GATHER {
            if this.gathered.capacity() == 0 {
                // A head and a short body without growing; nothing while the connection is idle.
                this.gathered.reserve(GATHER_FIRST.max(data.len()));
            }
            this.gathered.extend_from_slice(data);
            return Poll::Ready(Ok(data.len()));
        }
        if this.gathered.is_empty() {
            let polled = Pin::new(&mut this.inner).poll_write(cx, data);
            return match polled {
                Poll::Ready(Ok(count)) => {
                    this.write_pace.progress(count, Instant::now);
                    Poll::Ready(Ok(count))
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => this.wait_for_writing(cx),
            };
        }
        // Fill what was gathered up to a whole record, so that the head does not leave alone.
        let room = GATHER - this.gathered.len().min(GATHER);
        if room > 0 {
            let (now, _) = data.split_at(room.min(data.len()));
            this.gathered.extend_from_slice(now);
            return Poll::Ready(Ok(now.len()));
        }
        ready!(this.poll_gathered(cx))?;
        Pin::new(this).poll_write(cx, data)
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
        let deadline = Instant::now() + self.connection.door.limits.idle_timeout;
        while self.unchecked.len() < buffer.len() && PREFACE.starts_with(&self.unchecked) {
            let read = poll_fn(|cx| {
                if let Poll::Ready(result) = self.poll_more(cx) {
                    return Poll::Ready(result);
                }
                if self.read_alarm.rings(cx, deadline) { Poll::Ready(Ok(0)) } else { Poll::Pending }
            });
            if read.await? == 0 {
                break;
            }
        }
        let count = buffer.len().min(self.unchecked.len());
        for (to, from) in buffer.iter_mut().zip(self.unchecked.iter()) {
            *to = *from;
        }
        if count == PREFACE.len() && self.unchecked.starts_with(PREFACE) {
            self.expect = Expect::Opaque;
        } else if !self.unchecked.is_empty() {
            self.begin_head();
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
