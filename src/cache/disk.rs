//! What is stored on disk: survives restarts and upgrades, is checked to the last byte, bounded, and optionally encrypted.
//!
//! * [`volume`] are the files, [`seal`] and [`format`](mod@format) the bytes in them.
//! * One thread writes: [`log`] appends to segments and evicts. Responses handed to it are found once they are written.
//! * [`index`] says where something is, [`segment`] and [`body`] read it. Nothing is served that was not checked.
//! * [`start`] finds again what was stored, and [`journal`] what was purged.
//!
//! What always holds: no failure of the disk fails a request. What cannot be written is not stored, what cannot be read is
//! removed, and an [`Event`] says so. One process at a time writes; it holds the directory's lock.
//!
//! After a loss of power, what was written in the last seconds may be gone, and so may the removal of single responses;
//! purges are not. Calls with [`Patience::None`] read from the system's memory alone; all others may block.

pub mod body;
pub mod event;
pub mod format;
pub mod incoming;
pub mod index;
pub mod journal;
mod log;
pub mod seal;
pub mod segment;
mod shared;
mod start;
pub mod volume;
mod writer;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use crate::cache::content::Content;
use crate::cache::fleet::Bookmark;
use crate::cache::key::Key;
use crate::cache::purge::{Epoch, Traces};
use event::Event;
use format::Outside;
use incoming::{Incoming, Metadata};
use index::{Index, Place, short};
use journal::{Found, Journal};
use log::{Response, Written};
use seal::{Keys, NO_KEY};
use segment::{Fault, Part, Patience, Record};
use shared::{Limits, Shared};
use volume::Volume;
use writer::Command;

pub use journal::Ask;
pub use shared::{Observer, Random, Refresh};

/// What a store needs to be told.
pub struct Options {
    /// Bytes of all files together, at least a mebibyte. File systems round up what a file takes.
    pub capacity: u64,
    /// Encrypts with the first and reads with all.
    pub keys: Option<Keys>,
    /// For salts and names.
    pub random: Random,
    pub observe: Observer,
    pub refresh: Refresh,
}

/// A store that this process writes.
pub struct Disk {
    shared: Arc<Shared>,
    commands: Sender<Command>,
    journal: Journal,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What an open store knows of purges of before.
pub struct Before {
    pub traces: Traces,
    /// Until where they are all those of a fleet.
    pub bookmark: Option<Bookmark>,
    /// The latest epoch of what is stored.
    pub latest: Epoch,
}

/// A store of less would hold next to nothing.
const SMALLEST: u64 = 1 << 20;

impl Disk {
    /// Opens the store in a volume; `None` if another process has it. `before` is told what was purged, and gives back all
    /// purges that count from now on, and until where those of a fleet are among them. Takes about a second for a million
    /// responses. Each segment is a file that stays open: two thousand of them at most, or four with many large bodies.
    ///
    /// # Errors
    /// When it cannot be read, or cannot be written: there is no use in a store that purges would not hold in.
    pub fn open(
        volume: Arc<dyn Volume>,
        options: Options,
        before: impl FnOnce(&Before) -> (Traces, Option<Bookmark>),
    ) -> io::Result<Option<Self>> {
        let Some(lock) = volume.lock()? else { return Ok(None) };
        let Options { capacity, keys, random, observe, refresh } = options;
        let shared = Arc::new(Shared {
            key: keys.as_ref().map_or(NO_KEY, Keys::first),
            limits: Limits::new(capacity.max(SMALLEST), keys.as_ref()),
            volume,
            keys,
            index: Index::default(),
            used: AtomicU64::new(0),
            oldest_epoch: AtomicU64::new(u64::MAX),
            queued: AtomicU64::new(0),
            next_body: AtomicU64::new(1),
            is_open: AtomicBool::new(true),
            random,
            observe,
            refresh,
            segments: RwLock::default(),
        });
        let (traces, bookmark) = match journal::read(&shared)? {
            Found::Traces(traces, bookmark) => (traces, bookmark),
            Found::Nothing => {
                remove_all(&shared)?;
                (Traces::default(), None)
            }
        };
        let (log, latest) = start::start(shared.clone())?;
        let (traces, bookmark) = before(&Before { traces, bookmark, latest: Epoch::from_number(latest) });
        let journal = Journal::new(shared.clone(), &traces, bookmark)?;
        let (commands, orders) = channel();
        let thread = thread::Builder::new().name("cache-disk".into());
        let thread = thread.spawn(move || writer::run(log, &orders, lock))?;
        Ok(Some(Self { shared, commands, journal, thread: Mutex::new(Some(thread)) }))
    }

    /// Where the responses of a key lie, the most recently stored last. Reads nothing.
    #[must_use]
    pub fn find(&self, key: &Key) -> Vec<Place> {
        if !self.shared.is_open.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.shared.index.find(short(key))
    }

    /// Reads the response at a place, which is removed if that fails; `None` if it is not there.
    ///
    /// # Errors
    /// When it would have to be waited for.
    pub fn read(
        &self,
        key: &Key,
        place: &Place,
        part: Part,
        patience: Patience,
    ) -> Result<Option<Record>, Impatient> {
        let Some(segment) = self.shared.segment(place.segment) else { return Ok(None) };
        let read = segment.read(place, part, patience);
        let Some(record) = self.readable(key, place, read)? else { return Ok(None) };
        let is_it = record.key == *key && record.variant == place.variant;
        // Half a key is not the key; and it may have been replaced while it was read.
        Ok((is_it && self.shared.index.is_used(short(key), place).is_some()).then_some(record))
    }

    /// Opens the body of a record that has it outside; see [`read`](Self::read).
    ///
    /// # Errors
    /// When it would have to be waited for.
    pub fn body(&self, key: &Key, place: &Place, outside: Outside, length: u64) -> Option<body::Reader> {
        let open = || -> Result<body::Reader, Fault> {
            let file = self.shared.volume.open(&body::name(outside.file))?;
            body::Reader::open(file, outside, length, self.shared.keys.as_ref())
        };
        self.readable(key, place, open()).ok().flatten()
    }

    fn readable<T>(&self, key: &Key, place: &Place, read: Result<T, Fault>) -> Result<Option<T>, Impatient> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(fault) if fault.is_impatience() => Err(Impatient),
            Err(fault) => {
                self.fail(key, place, &fault);
                Ok(None)
            }
        }
    }

    /// Removes a response that could not be read, or whose body could not.
    pub fn fail(&self, key: &Key, place: &Place, fault: &Fault) {
        // Whatever was removed since it was found is not damaged.
        if self.shared.index.is_used(short(key), place).is_some() {
            self.shared.tell(&match fault {
                Fault::Io(error) => Event::ReadFailed(error.kind()),
                Fault::Unreadable(_) => Event::Damaged,
            });
            self.remove_place(key, place);
        }
    }

    /// Has the observer know of something.
    pub fn tell(&self, event: &Event) {
        self.shared.tell(event);
    }

    /// The longest body, in bytes.
    #[must_use]
    pub fn largest(&self) -> u64 {
        self.shared.limits.largest
    }

    /// Removes what turned out to be of no use.
    pub fn remove_place(&self, key: &Key, place: &Place) {
        let old = self.shared.index.remove(short(key), |one| one.is(place));
        if !old.is_empty() {
            // By its place alone: what was stored since stays.
            let _ = self.commands.send(Command::Bury { key: *key, old });
        }
    }

    /// Notes that a response was of use, so that it is kept when its segment goes.
    pub fn touch(&self, key: &Key, variant: u32) {
        self.shared.index.touch(short(key), variant);
    }

    /// Stores a response in the place of the variant's former one. Returns at once; whether it is going to be written.
    pub fn put(&self, metadata: Metadata, content: Content) -> bool {
        let fits = content.len() <= self.shared.limits.largest;
        self.write(metadata, Written::Here(content), fits)
    }

    /// Stores metadata anew for a body that stays where it is.
    pub fn update(&self, metadata: Metadata, outside: Outside, length: u64) -> bool {
        self.write(metadata, Written::Kept(outside, length), true)
    }

    fn write(&self, metadata: Metadata, body: Written, fits: bool) -> bool {
        let Metadata { key, variant, epoch, bytes } = metadata;
        if !self.shared.is_open.load(Ordering::Acquire) {
            return false;
        }
        let old = self.shared.index.remove(short(&key), |place| place.variant == variant);
        if !fits || !self.shared.limits.fits_metadata(bytes.len()) {
            let _ = self.commands.send(Command::Remove { key, variant, old });
            return false;
        }
        let response = Response { key, variant, epoch, metadata: bytes, body, old };
        self.shared.queue(&self.commands, response)
    }

    /// Begins a body that comes piece by piece; `None` if nothing can be written. May block, as may all that is done with it.
    #[must_use]
    pub fn begin(&self) -> Option<Incoming> {
        Incoming::new(self.shared.clone(), self.commands.clone())
    }

    /// Removes a variant of a key.
    pub fn remove(&self, key: &Key, variant: u32) {
        let old = self.shared.index.remove(short(key), |place| place.variant == variant);
        let _ = self.commands.send(Command::Remove { key: *key, variant, old });
    }

    /// What batches of purges note from now on, see [`Ask`].
    pub fn follow(&self, ask: Ask) {
        self.journal.follow(ask);
    }

    /// Takes what was purged; its number, to [write](Self::write_purges) it by.
    pub fn queue_purge(&self, purged: Traces) -> u64 {
        self.journal.queue(purged)
    }

    /// Whether somebody must be called to write [what waits](Self::write_waiting): nobody is about to.
    #[must_use]
    pub fn must_be_called(&self) -> bool {
        self.journal.must_call()
    }

    /// Writes down what was purged, up to this number at least; when it returns, that holds whatever happens. Where it
    /// cannot be written, everything that is stored is removed, which purges it as well. May block.
    pub fn write_purges(&self, number: u64, all: impl FnOnce() -> Traces) {
        if !self.shared.is_open.load(Ordering::Acquire) {
            return;
        }
        if let Err(error) = self.journal.write(number) {
            self.shared.tell(&Event::WriteFailed(error.kind()));
            if self.journal.rewrite(all).is_err() {
                self.shared.tell(&Event::PurgesLost);
                self.clear();
            }
        }
    }

    /// Writes down all purges that wait. May block.
    pub fn write_waiting(&self, all: impl FnOnce() -> Traces) {
        self.write_purges(self.journal.last(), all);
    }

    /// Writes down how far a fleet's purges were heard, if that has changed. May block.
    pub fn note(&self, all: impl FnOnce() -> Traces) {
        if self.shared.is_open.load(Ordering::Acquire)
            && let Err(error) = self.journal.note()
        {
            self.shared.tell(&Event::WriteFailed(error.kind()));
            // Nothing can follow what is torn. If this fails, too, the next purge tries it again.
            drop(self.journal.rewrite(all));
        }
    }

    /// Forgets purges that no longer count, if there are many: `all` gives the others. May block.
    pub fn compact(&self, all: impl FnOnce() -> Traces) {
        if self.journal.is_large()
            && let Err(error) = self.journal.rewrite(all)
        {
            self.shared.tell(&Event::WriteFailed(error.kind()));
        }
    }

    /// Compares the oldest segment with what was purged, so that [`oldest_epoch`](Self::oldest_epoch) goes on although
    /// nothing is evicted. Returns at once.
    pub fn renew(&self) {
        let _ = self.commands.send(Command::Renew);
    }

    /// The epoch of purges that all that is stored was compared with.
    #[must_use]
    pub fn oldest_epoch(&self) -> Epoch {
        Epoch::from_number(self.shared.oldest_epoch.load(Ordering::Acquire))
    }

    /// Removes everything. May block.
    pub fn clear(&self) {
        let (reply, answer) = sync_channel(0);
        let _ = self.commands.send(Command::Clear(reply));
        let _ = answer.recv();
    }

    /// Returns when all that was handed over before is written. May block.
    pub fn flush(&self) {
        let (reply, answer) = sync_channel(0);
        let _ = self.commands.send(Command::Flush(reply));
        let _ = answer.recv();
    }

    /// Writes what waits, and gives the store to another process: nothing is found in it or written to it any more. Bodies
    /// that are being read stay readable. May block.
    pub fn release(&self) {
        self.shared.is_open.store(false, Ordering::Release);
        let _ = self.commands.send(Command::Close);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It panics only if an observer does.
            let _ = thread.join();
        }
    }

    /// Responses on disk.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.index.responses()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all files, with those that are about to be written.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.used.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Disk").field("responses", &self.len()).finish_non_exhaustive()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.release();
    }
}

/// What was asked for is not in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the disk has to be read")]
pub struct Impatient;

/// Without knowing what was purged, nothing that is stored can be used.
fn remove_all(shared: &Shared) -> io::Result<()> {
    let files = shared.volume.files()?;
    let mut stored = files.iter().map(|(name, _)| name).filter(|name| is_stored(name)).peekable();
    if stored.peek().is_some() {
        shared.tell(&Event::PurgesLost);
    }
    stored.try_for_each(|name| shared.volume.remove(name))
}

fn is_stored(name: &str) -> bool {
    segment_number(name).is_some() || body::number(name).is_some()
}

fn segment_name(number: u32) -> String {
    format!("{number:08x}.segment")
}

fn segment_number(name: &str) -> Option<u32> {
    let number = u32::from_str_radix(name.strip_suffix(".segment")?, 16).ok();
    number.filter(|number| segment_name(*number) == name)
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
