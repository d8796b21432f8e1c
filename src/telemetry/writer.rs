//! A bounded log writer that costs a request one append to memory. A request never waits for a disk, never wakes a
//! thread (but for the few appends that fill half a buffer) and never makes a system call.
//!
//! Threads append whole lines to one of [`SHARDS`] buffers; one thread of the writer's own takes what they hold every
//! [`Settings::interval`] and writes it out. What always holds:
//!
//! * Lines are whole and never interleaved. Those of one thread keep their order; those of different threads may
//!   change places within an interval.
//! * Memory is bounded by [`Settings::capacity_bytes`]. Over it, lines are dropped and counted; nobody waits.
//! * A failed write (disk full) is counted and tried again from the byte where it stopped.
//!
//! A process that is killed loses what it has not written: at most an interval. The writer owns a thread, which does
//! not survive `fork`: open writers after the process has become a daemon.

use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use drain::Drain;
use sink::{FileSink, Sink, StreamSink};

mod drain;
mod sink;

/// Buffers that threads spread over: enough that a handful of workers seldom meet.
const SHARDS: usize = 4;

/// How long a writer that is dropped waits for a destination that takes nothing.
const DROP_PATIENCE: Duration = Duration::from_secs(5);

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
    /// A file, made if it is missing (mode 0640: lines hold client addresses) and only ever appended to.
    File(PathBuf),
}

/// What a writer is opened with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where lines go.
    pub destination: Destination,
    /// Most bytes held in memory, half of them waiting and half being written. Each of the [`SHARDS`] buffers takes
    /// its equal part, so one busy thread has an eighth of this, and is served early when half of that is full.
    pub capacity_bytes: usize,
    /// Longest time a line waits before it is written.
    pub interval: Duration,
}

impl Settings {
    /// 4 MiB and 100 ms.
    #[must_use]
    pub fn new(destination: Destination) -> Self {
        Self { destination, capacity_bytes: 4 << 20, interval: Duration::from_millis(100) }
    }
}

/// Why a writer cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be opened for appending.
    #[error("cannot open log file {}", path.display())]
    File {
        /// The file as the policy names it.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The standard stream is closed.
    #[error("cannot use the standard stream")]
    Stream(#[source] io::Error),
    /// No thread can be started.
    #[error("cannot start the log writer thread")]
    Thread(#[source] io::Error),
}

/// Why [`LineWriter::flush`] gives up. The lines stay queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlushError {
    /// The destination takes nothing, e.g. a pipe that nobody reads.
    #[error("log destination did not take all lines in time")]
    TimedOut,
    /// The destination reports errors, e.g. a full disk.
    #[error("log destination refuses lines")]
    Refused,
}

/// What a writer has done since it was opened. Outlives the writer, for whoever shows the numbers.
#[derive(Debug, Default)]
pub struct Counts {
    written: AtomicU64,
    dropped: AtomicU64,
    errors: AtomicU64,
}

impl Counts {
    /// Lines that the destination has taken.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Lines lost because the buffers were full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes and reopenings that failed. Each is tried again, so this counts trouble, not loss.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }
}

/// The handle that lines are appended to, shared in an `Arc`. Dropping it writes what is queued.
pub struct LineWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl LineWriter {
    /// Opens the destination and starts the writing thread.
    ///
    /// # Errors
    /// When the file or stream cannot be opened, or no thread can be started.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let sink: Box<dyn Sink> = match &settings.destination {
            Destination::Stdout => Box::new(StreamSink::stdout().map_err(OpenError::Stream)?),
            Destination::Stderr => Box::new(StreamSink::stderr().map_err(OpenError::Stream)?),
            Destination::File(path) => Box::new(
                FileSink::open(path).map_err(|source| OpenError::File { path: path.clone(), source })?,
            ),
        };
        Self::start(sink, settings).map_err(OpenError::Thread)
    }

    fn start(sink: Box<dyn Sink>, settings: &Settings) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(settings.capacity_bytes));
        let (drain, interval) = (Drain::new(sink, shared.clone()), settings.interval);
        let thread = thread::Builder::new().name("log-writer".into()).spawn(move || drain.run(interval))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Queues `record` as one line; the line end is added. Never waits for the destination: with no room left the
    /// record is dropped and counted. A record with a line end inside would read as two: callers escape them.
    pub fn append(&self, record: &[u8]) {
        self.append_rendered(|out| out.extend_from_slice(record));
    }

    /// The same of what `render` puts behind the lines that wait already, so that it is copied nowhere. It must not come back
    /// to this writer, whose buffer it has.
    pub fn append_rendered(&self, render: impl FnOnce(&mut Vec<u8>)) {
        let shared = &*self.shared;
        let Some(mut queue) = shared.queue_of_this_thread() else { return };
        let before = queue.bytes.len();
        render(&mut queue.bytes);
        queue.bytes.push(b'\n');
        let after = queue.bytes.len();
        if after > shared.shard_limit {
            queue.bytes.truncate(before);
            drop(queue);
            shared.counts.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.lines += 1;
        drop(queue);
        let half = shared.shard_limit / 2;
        if before < half && after >= half {
            self.nudge();
        }
    }

    /// Has what is queued written soon rather than at the end of the interval. Wakes a thread: not for each request.
    pub fn nudge(&self) {
        self.shared.ask_for_pass(&mut self.shared.control());
    }

    /// Opens the file anew by its path before the next write, after it was rotated away. While that fails (counted,
    /// tried again each interval) lines go on to the old file. Standard streams stay as they are.
    pub fn reopen(&self) {
        let mut control = self.shared.control();
        control.reopen = true;
        self.shared.ask_for_pass(&mut control);
    }

    /// Waits until everything appended before this call has been written and each reopening asked for has been tried.
    ///
    /// # Errors
    /// When the destination reports an error, or takes longer than `patience`.
    pub fn flush(&self, patience: Duration) -> Result<(), FlushError> {
        self.wait_for_pass(self.shared.control(), patience)
    }

    /// Asks for one more pass and waits for its end. What else is asked for under the same lock belongs to that pass.
    fn wait_for_pass(
        &self,
        mut control: MutexGuard<'_, Control>,
        patience: Duration,
    ) -> Result<(), FlushError> {
        let ticket = self.shared.ask_for_pass(&mut control);
        let (control, _) = self
            .shared
            .served
            .wait_timeout_while(control, patience, |control| control.passes_done < ticket)
            .unwrap_or_else(PoisonError::into_inner);
        if control.passes_done < ticket {
            return Err(FlushError::TimedOut);
        }
        if control.last_pass_clean { Ok(()) } else { Err(FlushError::Refused) }
    }

    /// The live counts, for metrics.
    #[must_use]
    pub fn counts(&self) -> Arc<Counts> {
        self.shared.counts.clone()
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        let mut control = self.shared.control();
        control.stop = true;
        // A thread stuck in a write that never returns is left behind, not waited for.
        let stuck = self.wait_for_pass(control, DROP_PATIENCE) == Err(FlushError::TimedOut);
        if let (Some(thread), false) = (self.thread.take(), stuck) {
            // An error would be a panic of that thread; there is nobody left to tell.
            _ = thread.join();
        }
    }
}

/// What appending threads and the writing thread both see.
struct Shared {
    shards: [Shard; SHARDS],
    shard_limit: usize,
    next_shard: AtomicUsize,
    control: Mutex<Control>,
    /// The writing thread waits here.
    wake: Condvar,
    /// Flushing threads wait here.
    served: Condvar,
    counts: Arc<Counts>,
}

/// What the writing thread is asked to do. A pass takes all that is queued and tries to write it.
#[derive(Default)]
struct Control {
    passes_asked: u64,
    passes_done: u64,
    last_pass_clean: bool,
    reopen: bool,
    stop: bool,
}

/// A buffer on cache lines of its own, so that threads on different shards do not slow each other.
#[derive(Default)]
#[repr(align(128))]
struct Shard(Mutex<Queue>);

/// Lines not yet taken by the writing thread.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    lines: u64,
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn new(capacity_bytes: usize) -> Self {
        Self {
            shards: Default::default(),
            shard_limit: capacity_bytes / 2 / SHARDS,
            next_shard: AtomicUsize::new(0),
            control: Mutex::default(),
            wake: Condvar::new(),
            served: Condvar::new(),
            counts: Arc::default(),
        }
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the writing thread for one more pass, and returns its number.
    fn ask_for_pass(&self, control: &mut Control) -> u64 {
        control.passes_asked += 1;
        self.wake.notify_one();
        control.passes_asked
    }

    /// Threads take shards in turn when they first write, and keep them; one number serves all writers of a thread.
    fn queue_of_this_thread(&self) -> Option<MutexGuard<'_, Queue>> {
        thread_local! {
            static SHARD: Cell<Option<usize>> = const { Cell::new(None) };
        }
        let number = SHARD.get().unwrap_or_else(|| {
            let number = self.next_shard.fetch_add(1, Ordering::Relaxed) % SHARDS;
            SHARD.set(Some(number));
            number
        });
        self.shards.get(number).map(Shard::lock)
    }
}

#[cfg(test)]
mod tests;
