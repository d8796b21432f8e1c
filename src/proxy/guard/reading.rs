//! Heads and bodies of HTTP/1 requests, checked before the parser sees them.
//!
//! A head passes only once the request before it is over, so faults and upgrades always concern the request that is
//! being served. What has come of a body together with its head is checked together with it: a request that is
//! malformed in one piece is never begun.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use pingora_core::protocols::IO;
use tokio::io::ReadBuf;
use tokio::time::Instant;

use super::{Expect, Guard, STAND_IN, poll_pace};
use crate::http::framing::{ChunkLimits, Framing};
use crate::http::head::{self, Glimpse, HeadFault, Upgrade};
use crate::proxy::arrival::Arrival;
use crate::proxy::connection::{Activity, Connection, Fault};

/// What is read ahead of the next request while one is being served.
const AHEAD: usize = 4096;
/// What of a chunked body is checked before its request is begun, if it has come by then.
const ALONG: usize = 16 * 1024;

/// What a read for a head brought.
enum Came {
    /// A whole request head, and no more than its body, already with the parser.
    Whole,
    /// Something that has to be looked at again.
    Part,
    /// The end of the connection.
    End,
}

/// What is to be thought of the bytes that should be a request.
enum Verdict {
    Incomplete,
    /// So many bytes are a good head and as much of its body as has come; `expect` comes after them. With `escape`, the
    /// target is to be escaped before the parser sees it.
    Passes {
        length: usize,
        expect: Expect,
        escape: bool,
    },
    Fails(Fault),
}

impl<S: IO> Guard<S> {
    /// Reads and checks a head. Ready without bytes in `out` or `checked` means that the connection has ended.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.connection.activity() {
            Activity::Idle => {}
            Activity::Busy => return self.poll_ahead(cx),
            Activity::Upgraded => return Poll::Ready(Ok(())),
        }
        loop {
            if !self.unchecked.is_empty() {
                if self.check_head(cx) {
                    return Poll::Ready(Ok(()));
                }
                self.begin_head();
            }
            let read = if self.ended_since.is_some() {
                Poll::Ready(Ok(Came::End))
            } else if self.unchecked.is_empty() {
                self.poll_whole_head(cx, out)
            } else {
                self.poll_more(cx).map_ok(|count| if count == 0 { Came::End } else { Came::Part })
            };
            match read {
                Poll::Ready(Ok(Came::Part)) => {}
                Poll::Ready(Ok(Came::Whole)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(Came::End)) => {
                    if !self.unchecked.is_empty() {
                        self.fail(Fault { status: 400, reason: "incomplete_head" });
                    }
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.wait_for_head(cx),
            }
        }
    }

    /// While a request is being served, what comes is kept for later. A client that says no more may still listen
    /// (RFC 9112 section 9.6), so its end is told only after a while.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ended_since.is_none() && self.unchecked.len() < AHEAD {
            match self.poll_more(cx) {
                Poll::Ready(Ok(0)) => self.ended_since = Some(Instant::now()),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        let patience = self.connection.door.limits.stall;
        self.wait_for_end(cx, patience)
    }

    /// Ready once the client has been silent for good for so long.
    pub(super) fn wait_for_end(
        &mut self,
        cx: &mut Context<'_>,
        patience: std::time::Duration,
    ) -> Poll<io::Result<()>> {
        match self.ended_since {
            Some(since) if self.read_alarm.rings(cx, since + patience) => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }

    /// Reads into `unchecked`; how many bytes came.
    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut scratch = [std::mem::MaybeUninit::uninit(); AHEAD];
        let mut scratch = ReadBuf::uninit(&mut scratch);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut scratch))?;
        self.unchecked.extend_from_slice(scratch.filled());
        Poll::Ready(Ok(scratch.filled().len()))
    }

    /// The usual case: one read brings one whole request, which is checked where it lies.
    fn poll_whole_head(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<Came>> {
        let before = out.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, out))?;
        let bytes = out.filled().get(before..).unwrap_or_default();
        if bytes.is_empty() {
            return Poll::Ready(Ok(Came::End));
        }
        match judge(&self.connection, bytes, 0) {
            // The rest of a chunked body may be there, too.
            Verdict::Passes { expect: Expect::Body(framing), .. } if framing.is_chunked() => {}
            Verdict::Passes { length, expect, escape: false } if length == bytes.len() => {
                self.pass(expect);
                return Poll::Ready(Ok(Came::Whole));
            }
            _ => {}
        }
        self.unchecked.extend_from_slice(bytes);
        out.set_filled(before);
        Poll::Ready(Ok(Came::Part))
    }

    pub(super) fn begin_head(&mut self) {
        self.head_since.get_or_insert_with(Instant::now);
    }

    /// Moves a request from `unchecked` to `checked`, or the stand-in in its place. False: it is not complete.
    fn check_head(&mut self, cx: &mut Context<'_>) -> bool {
        let mut verdict = judge(&self.connection, &self.unchecked, self.searched);
        // More of a chunked body may have come, and a fault may be in that.
        if matches!(&verdict, Verdict::Passes { expect: Expect::Body(framing), .. } if framing.is_chunked())
            && self.read_along(cx)
        {
            verdict = judge(&self.connection, &self.unchecked, self.searched);
        }
        match verdict {
            Verdict::Incomplete => {
                self.searched = self.unchecked.len();
                return false;
            }
            Verdict::Passes { length, expect, escape } => {
                let rest = self.unchecked.split_off(length);
                self.checked = std::mem::replace(&mut self.unchecked, rest);
                if escape {
                    self.checked = BytesMut::from(&*head::escape_target(&self.checked));
                }
                self.pass(expect);
            }
            Verdict::Fails(fault) => self.fail(fault),
        }
        true
    }

    /// Reads what of a body is there already, within limits. Whether there was anything.
    fn read_along(&mut self, cx: &mut Context<'_>) -> bool {
        let most = self.connection.door.limits.head.head_bytes + ALONG;
        let before = self.unchecked.len();
        while self.unchecked.len() < most && matches!(self.poll_more(cx), Poll::Ready(Ok(1..))) {}
        self.unchecked.len() > before
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
        self.connection.set_refused(Glimpse::of(&self.unchecked));
        self.connection.set_activity(Activity::Busy);
        self.checked = BytesMut::from(STAND_IN);
        self.unchecked = BytesMut::new();
        self.expect = Expect::Nothing;
    }

    /// Reads the first bytes of a connection, as far as time allows.
    pub(super) fn poll_start(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self.poll_more(cx) {
            Poll::Pending => self.wait_for_head(cx).map_ok(|()| 0),
            read @ Poll::Ready(_) => read,
        }
    }

    /// Nothing to read: how long may that last?
    fn wait_for_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let limits = &self.connection.door.limits;
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

    /// Reads and checks some of a body. The end of the connection reads as nothing and leaves the body unfinished.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
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
        if bytes.is_empty() {
            self.connection.set_fault(Fault { status: 400, reason: "incomplete_body" });
            self.expect = Expect::Nothing;
            return Poll::Ready(Ok(()));
        }
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
    pub(super) fn poll_decision(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.connection.wake_on_change(cx.waker());
        self.expect = match self.connection.activity() {
            Activity::Busy => return Poll::Pending,
            Activity::Upgraded => Expect::Opaque,
            Activity::Idle => Expect::Head,
        };
        Poll::Ready(())
    }
}

impl<S: IO + Arrival> Guard<S> {
    /// Waits for the first byte of a head as long as a connection may idle. Where that is not what comes next, there
    /// is nothing to wait for here.
    pub(super) fn poll_first_byte(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let idle = matches!(self.expect, Expect::Head)
            && self.checked.is_empty()
            && self.unchecked.is_empty()
            && self.ended_since.is_none()
            && self.connection.activity() == Activity::Idle;
        if !idle || self.inner.poll_arrival(cx)?.is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.wait_for_head(cx)
    }
}

/// `searched` is how much of it has been looked at before.
fn judge(connection: &Connection, bytes: &[u8], searched: usize) -> Verdict {
    let limits = &connection.door.limits.head;
    let Some(length) = head::head_length(bytes, searched) else {
        return if bytes.len() > limits.head_bytes {
            Verdict::Fails(head::outgrown(bytes, limits).into())
        } else if let Some(fault) = head::early_fault(bytes, searched, limits) {
            Verdict::Fails(fault.into())
        } else {
            Verdict::Incomplete
        };
    };
    let head = match head::check_head(bytes.get(..length).unwrap_or_default(), limits) {
        Err(fault) => return Verdict::Fails(fault.into()),
        Ok(head) => head,
    };
    let passes = |length, expect| Verdict::Passes { length, expect, escape: head.unescaped_target };
    if !head.body.is_empty() {
        let mut framing = Framing::of(head.body, ChunkLimits::default());
        return match framing.feed(bytes.get(length..).unwrap_or_default()) {
            Err(fault) => Verdict::Fails(Fault { status: 400, reason: fault.reason }),
            Ok(used) if framing.is_done() => passes(length + used, Expect::Head),
            Ok(used) => passes(length + used, Expect::Body(framing)),
        };
    }
    passes(length, if head.upgrade == Upgrade::WebSocket { Expect::Decision } else { Expect::Head })
}

impl From<HeadFault> for Fault {
    fn from(fault: HeadFault) -> Self {
        Self { status: fault.status, reason: fault.reason }
    }
}
