//! The writing thread's side: takes what the shards hold, and writes it in order however often that fails.

use std::io;
use std::mem;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::sink::Sink;
use super::{Control, Shared};

/// Owned by the writing thread alone.
pub(super) struct Drain {
    sink: Box<dyn Sink>,
    shared: Arc<Shared>,
    /// Whole lines taken from the shards.
    batch: Vec<u8>,
    batch_lines: u64,
    /// How much of the batch the sink has taken; may stand inside a line after an error.
    taken: usize,
    /// Empty. Changes places with a shard's buffer, so that a shard is held for a moment only and memory is reused.
    spare: Vec<u8>,
    reopen_due: bool,
}

/// What one pass is for.
struct Order {
    ticket: u64,
    reopen: bool,
    stop: bool,
}

impl Drain {
    pub(super) fn new(sink: Box<dyn Sink>, shared: Arc<Shared>) -> Self {
        Self { sink, shared, batch: vec![], batch_lines: 0, taken: 0, spare: vec![], reopen_due: false }
    }

    pub(super) fn run(mut self, interval: Duration) {
        loop {
            let order = self.next_order(interval);
            self.reopen_due |= order.reopen;
            self.reopen_if_due();
            let clean = self.pass();
            self.report(order.ticket, clean);
            if order.stop {
                return;
            }
        }
    }

    /// Waits for the interval to end or for someone in a hurry.
    fn next_order(&self, interval: Duration) -> Order {
        let idle = |control: &mut Control| control.passes_asked == control.passes_done;
        let (mut control, _) = self
            .shared
            .wake
            .wait_timeout_while(self.shared.control(), interval, idle)
            .unwrap_or_else(PoisonError::into_inner);
        Order { ticket: control.passes_asked, reopen: mem::take(&mut control.reopen), stop: control.stop }
    }

    fn report(&self, ticket: u64, clean: bool) {
        let mut control = self.shared.control();
        control.passes_done = ticket;
        control.last_pass_clean = clean;
        drop(control);
        self.shared.served.notify_all();
    }

    fn reopen_if_due(&mut self) {
        if !self.reopen_due {
            return;
        }
        match self.sink.reopen() {
            Ok(different) => {
                self.reopen_due = false;
                if different {
                    self.back_to_line_start();
                }
            }
            Err(_) => self.count_error(),
        }
    }

    /// The new file begins with a whole line, should the old one have ended inside one.
    fn back_to_line_start(&mut self) {
        let taken = self.batch.get(..self.taken).unwrap_or_default();
        self.taken = taken.iter().rposition(|&byte| byte == b'\n').map_or(0, |line_end| line_end + 1);
    }

    /// Writes what an earlier pass could not, then what has come since. Returns whether nothing is left.
    fn pass(&mut self) -> bool {
        if !self.write_batch() {
            return false;
        }
        self.take_shards();
        self.write_batch()
    }

    fn take_shards(&mut self) {
        for shard in &self.shared.shards {
            let mut queue = shard.lock();
            mem::swap(&mut queue.bytes, &mut self.spare);
            self.batch_lines += mem::take(&mut queue.lines);
            drop(queue);
            if self.batch.is_empty() {
                mem::swap(&mut self.batch, &mut self.spare);
            } else {
                self.batch.extend_from_slice(&self.spare);
                self.spare.clear();
            }
        }
    }

    /// Writes the rest of the batch; on an error keeps it, for the next pass to go on with.
    fn write_batch(&mut self) -> bool {
        while let Some(rest) = self.batch.get(self.taken..).filter(|rest| !rest.is_empty()) {
            match self.sink.write(rest) {
                Ok(count) if count > 0 => self.taken += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => {
                    self.count_error();
                    return false;
                }
            }
        }
        self.shared.counts.written.fetch_add(mem::take(&mut self.batch_lines), Ordering::Relaxed);
        self.batch.clear();
        self.taken = 0;
        true
    }

    /// Counting is all that can be done: this may be the log itself.
    fn count_error(&self) {
        self.shared.counts.errors.fetch_add(1, Ordering::Relaxed);
    }
}
