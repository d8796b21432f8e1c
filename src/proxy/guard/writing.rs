//! Writes to a client: gathered into whole records, and never slower than the least rate for long.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pingora_core::protocols::IO;
use tokio::time::Instant;

use super::{Guard, poll_pace};
use crate::proxy::connection::{CLIENT_TOO_SLOW, Fault};

/// Writes are gathered up to one TLS record.
const GATHER: usize = 16 * 1024;

thread_local! {
    /// The buffer of whichever connection of this thread sends next: most responses are gathered and sent in one turn,
    /// so that an idle connection needs none, and a busy one allocates none.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl<S: IO> Guard<S> {
    /// Takes bytes to be sent, at the latest when they are flushed.
    pub(super) fn poll_gather(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.held_back = false;
        if self.gathered.len() + data.len() <= GATHER {
            if self.gathered.capacity() == 0 {
                self.gathered = SPARE.take();
                self.gathered.reserve(GATHER);
            }
            self.gathered.extend_from_slice(data);
            return Poll::Ready(Ok(data.len()));
        }
        // Fill what was gathered up to a whole record, so that the head does not leave alone.
        let room = GATHER.saturating_sub(self.gathered.len());
        if room > 0 && !self.gathered.is_empty() {
            let (now, _) = data.split_at(room.min(data.len()));
            self.gathered.extend_from_slice(now);
            return Poll::Ready(Ok(now.len()));
        }
        ready!(self.poll_gathered(cx))?;
        match Pin::new(&mut self.inner).poll_write(cx, data) {
            Poll::Ready(Ok(count)) => {
                self.write_pace.progress(count, Instant::now);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.wait_for_writing(cx),
        }
    }

    /// Called when nothing comes from the client, so that the task waits for the upstream if it waits at all. What was
    /// gathered must not wait with it: Pingora flushes a body of known length at its end alone. One more turn lets in
    /// what is on its way already, so that a head still leaves with the body behind it.
    pub(super) fn push_out(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        if !std::mem::replace(&mut self.held_back, true) {
            cx.waker().wake_by_ref();
            return Ok(());
        }
        match self.poll_gathered(cx) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }

    /// Writes out what was gathered.
    pub(super) fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
        if self.gathered.capacity() > 0 {
            let mut spare = std::mem::take(&mut self.gathered);
            // After an error it still holds what this client did not get, which is nobody else's.
            spare.clear();
            SPARE.set(spare);
        }
        result
    }

    fn wait_for_writing<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if poll_pace(&mut self.write_pace, &mut self.write_alarm, cx) {
            self.connection.set_fault(Fault { status: 408, reason: CLIENT_TOO_SLOW });
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}
