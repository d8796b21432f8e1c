//! What is not HTTP/1: the frames of HTTP/2, and connections that were upgraded.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pingora_core::protocols::IO;
use tokio::io::ReadBuf;
use tokio::time::Instant;

use super::{Expect, Guard, poll_pace};
use crate::proxy::connection::Fault;

/// How long the other side of an upgraded connection may speak after the client has said its last.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl<S: IO> Guard<S> {
    /// An upgraded connection: bytes pass untouched.
    pub(super) fn poll_opaque(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.take_unchecked(out) {
            return Poll::Ready(Ok(()));
        }
        if self.ended_since.is_none() {
            let before = out.filled().len();
            let polled = Pin::new(&mut self.inner).poll_read(cx, out);
            if !matches!(polled, Poll::Ready(Ok(()))) || out.filled().len() > before {
                return polled;
            }
            self.ended_since = Some(Instant::now());
        }
        self.wait_for_end(cx, LAST_WORDS)
    }

    /// HTTP/2: `h2` checks the frames, but it has no sense of time and no measure for what is merely useless.
    pub(super) fn poll_frames(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        let polled = if self.take_unchecked(out) {
            Poll::Ready(Ok(()))
        } else {
            Pin::new(&mut self.inner).poll_read(cx, out)
        };
        let fed = out.filled().get(before..).unwrap_or_default();
        if !fed.is_empty()
            && let Expect::Frames(frames) = &mut self.expect
            && let Err(fault) = frames.feed(fed, Instant::now)
        {
            out.set_filled(before);
            return self.overrun(fault);
        }
        self.keep_pace(polled, cx)
    }

    /// Bodies have a least rate, and a frame that has begun must end.
    fn keep_pace(&mut self, polled: Poll<io::Result<()>>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Expect::Frames(frames) = &mut self.expect else { return polled };
        // A body is waited for once its head was read, which is after this: no frame of a client that sends no more would
        // ever lead here again.
        if polled.is_pending() && frames.take_announced() {
            self.connection.wake_on_change(cx.waker());
        }
        let begun = frames.begun();
        let (waiting, bytes) = self.connection.bodies();
        if bytes > 0 || !waiting {
            self.read_pace.progress(usize::try_from(bytes).unwrap_or(usize::MAX), Instant::now);
        }
        if !waiting {
            self.read_pace.reset();
        }
        if polled.is_ready() {
            return polled;
        }
        if waiting && poll_pace(&mut self.read_pace, &mut self.read_alarm, cx) {
            return self.give_up("body_too_slow");
        }
        let patience = self.connection.door.limits.head_timeout;
        if begun.is_some_and(|since| self.read_alarm.rings(cx, since + patience)) {
            return self.give_up("head_timeout");
        }
        polled
    }

    fn give_up(&mut self, reason: &'static str) -> Poll<io::Result<()>> {
        self.connection.set_fault(Fault { status: 408, reason });
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads no more; whoever serves the connection ends it.
    fn overrun(&mut self, fault: Fault) -> Poll<io::Result<()>> {
        self.expect = Expect::Silence;
        self.connection.overrun(fault);
        Poll::Pending
    }

    fn take_unchecked(&mut self, out: &mut ReadBuf<'_>) -> bool {
        let count = self.unchecked.len().min(out.remaining());
        if count == 0 {
            return false;
        }
        out.put_slice(&self.unchecked.split_to(count));
        true
    }
}
