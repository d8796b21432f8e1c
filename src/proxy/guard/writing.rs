//! Writes to a client: gathered into whole records, and never slower than the least rate for long.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use memchr::memmem;
use pingora_core::protocols::IO;
use tokio::time::Instant;

use super::{Guard, poll_pace};
use crate::proxy::connection::{CLIENT_TOO_SLOW, Date, Fault};

/// Writes are gathered up to one TLS record.
const GATHER: usize = 16 * 1024;

/// Puts another date in the place of that in a head. A head without one stays as it is.
fn redate(head: &mut [u8], date: &Date) {
    let Some(at) = memmem::find(head, b"\r\nDate: ") else { return };
    let value = head.get_mut(at + b"\r\nDate: ".len()..).unwrap_or_default();
    if let Some((place, [b'\r', b'\n', ..])) = value.split_first_chunk_mut::<29>() {
        *place = *date;
    }
}

thread_local! {
    /// The buffer of whichever connection of this thread sends next: most responses are gathered and sent in one turn,
    /// so that an idle connection needs none, and a busy one allocates none.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl<S: IO> Guard<S> {
    /// Takes bytes to be sent, at the latest when they are flushed.
    pub(super) fn poll_gather(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.held_back = false;
        // It is for what is written next alone; a head that is too long to be gathered goes without.
        let date = self.connection.take_date();
        if self.gathered.len() + data.len() <= GATHER {
            if self.gathered.capacity() == 0 {
                self.gathered = SPARE.take();
                self.gathered.reserve(GATHER);
            }
            self.gather(data, date);
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

    /// `date` is for a head, which is all of the write.
    fn gather(&mut self, data: &[u8], date: Option<Date>) {
        let start = self.gathered.len();
        self.gathered.extend_from_slice(data);
        if let (true, Some(date)) = (data.starts_with(b"HTTP/1."), date) {
            redate(self.gathered.get_mut(start..).unwrap_or_default(), &date);
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

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &Date = b"Sun, 06 Nov 1994 08:49:37 GMT";

    fn redated(head: &str) -> String {
        let mut head = head.as_bytes().to_vec();
        redate(&mut head, DATE);
        String::from_utf8(head).unwrap()
    }

    #[test]
    fn a_date_takes_the_place_of_another() {
        let head = "HTTP/1.1 200 OK\r\nDate: Mon, 07 Nov 1994 08:49:37 GMT\r\nX-Date: a\r\n\r\n";
        assert_eq!(redated(head), head.replace("Mon, 07", "Sun, 06"));
    }

    #[test]
    fn what_has_no_date_stays_as_it_is() {
        for head in
            ["", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nDate: soon\r\n\r\nand so on, for a long time"]
        {
            assert_eq!(redated(head), head);
        }
    }
}
