//! What the threads of a disk store share.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError, RwLock};

use boring::error::ErrorStack;
use bytes::Bytes;

use super::body;
use super::event::Event;
use super::format::{BLOCK, ENTRY, HEAD, IDENTITY, LARGEST_INLINE, LARGEST_METADATA};
use super::index::Index;
use super::log::{Response, Written};
use super::seal::{KeyId, Keys, MAX_TAG, Salt};
use super::segment::Segment;
use super::volume::Volume;
use super::writer::{self, Command};

/// Fills with random bytes.
pub type Random = fn(&mut [u8]) -> Result<(), ErrorStack>;
/// Is told what happens.
pub type Observer = Arc<dyn Fn(&Event) + Send + Sync>;
/// Takes the metadata of a response that would be appended anew and the epoch it is true for, and gives those to be stored
/// now; `None` if the response was purged.
pub type Refresh = Arc<dyn Fn(&Bytes, u64) -> Option<(Bytes, u64)> + Send + Sync>;

/// Sizes in bytes that follow from the capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest segment.
    pub segment: u64,
    /// What is filled; the rest of the capacity is for copies.
    pub filled: u64,
    /// The longest body.
    pub largest: u64,
    /// What a block takes for its tag.
    tag: u64,
}

const SMALLEST_SEGMENT: u64 = 64 << 10;
const USUAL_SEGMENT: u64 = 64 << 20;
/// A segment's file is held open, and offsets have 32 bits.
const MOST_SEGMENTS: u64 = 2048;
const LARGEST_SEGMENT: u64 = 2 << 30;
/// A store has at least so many segments, and the longest body is as large as two of them.
const FEWEST_SEGMENTS: u64 = 16;

impl Limits {
    #[must_use]
    pub fn new(capacity: u64, keys: Option<&Keys>) -> Self {
        let usual = (capacity / FEWEST_SEGMENTS).min(USUAL_SEGMENT);
        let segment = usual.max(capacity / MOST_SEGMENTS).clamp(SMALLEST_SEGMENT, LARGEST_SEGMENT);
        let tag = if keys.is_some() { MAX_TAG as u64 } else { 4 };
        Self { segment, filled: capacity.saturating_sub(segment), largest: capacity / 8, tag }
    }

    /// Bytes of a record, with its entry.
    #[must_use]
    pub const fn record_bytes(&self, metadata: usize, body: u64) -> u64 {
        let blocks = body.saturating_add(body.div_ceil(BLOCK as u64).saturating_mul(self.tag));
        (HEAD + IDENTITY + metadata + ENTRY) as u64 + self.tag + blocks
    }

    /// Bytes of the file of a body.
    #[must_use]
    pub const fn body_bytes(&self, body: u64) -> u64 {
        (HEAD as u64)
            .saturating_add(body.saturating_add(body.div_ceil(BLOCK as u64).saturating_mul(self.tag)))
    }

    /// Whether metadata is short enough to be stored.
    #[must_use]
    pub const fn fits_metadata(&self, metadata: usize) -> bool {
        metadata <= LARGEST_METADATA && self.record_bytes(metadata, 0) <= self.segment / 4
    }

    /// Whether a body goes into a segment.
    #[must_use]
    pub fn is_inline(&self, body: u64, metadata: usize) -> bool {
        body <= LARGEST_INLINE && self.record_bytes(metadata, body) <= self.segment / 4
    }
}

/// Bytes of responses that may wait to be written; a single one may have more.
const MOST_QUEUED: u64 = 32 << 20;

/// Shared by readers and the writer.
pub struct Shared {
    pub volume: Arc<dyn Volume>,
    pub keys: Option<Keys>,
    /// The key that seals.
    pub key: KeyId,
    pub index: Index,
    pub limits: Limits,
    /// Bytes that are used, or taken for what is being written.
    pub used: AtomicU64,
    /// All that is stored was compared with the purges until this epoch.
    pub oldest_epoch: AtomicU64,
    /// Bytes that wait to be written.
    pub queued: AtomicU64,
    /// The next number of a body.
    pub next_body: AtomicU64,
    /// Whether it still reads and writes.
    pub is_open: AtomicBool,
    pub random: Random,
    pub observe: Observer,
    pub refresh: Refresh,
    pub segments: RwLock<HashMap<u32, Arc<Segment>>>,
}

impl Shared {
    pub fn tell(&self, event: &Event) {
        (self.observe)(event);
    }

    pub fn salt(&self) -> io::Result<Salt> {
        let mut salt = [0; 32];
        (self.random)(&mut salt).map_err(io::Error::other)?;
        Ok(salt)
    }

    /// The segment of this number; `None` if it was removed.
    pub fn segment(&self, number: u32) -> Option<Arc<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    pub fn add_segment(&self, segment: Arc<Segment>) {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        segments.insert(segment.number, segment);
    }

    pub fn forget_segment(&self, number: u32) {
        self.segments.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }

    /// A file that cannot be removed is found again at the next start.
    pub fn remove_file(&self, name: &str) {
        match self.volume.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.tell(&Event::WriteFailed(error.kind()));
            }
            _ => {}
        }
    }

    pub fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Hands a response to the thread that writes, or if too much waits there, has what it replaces removed: that is no
    /// longer true.
    pub fn queue(&self, commands: &Sender<Command>, response: Response) -> bool {
        let weight = writer::weight(&response);
        let waiting = self.queued.fetch_add(weight, Ordering::Relaxed);
        // What has its body on disk already is short.
        let is_long = matches!(response.body, Written::Here(_));
        let is_too_much = is_long && waiting + weight > MOST_QUEUED && waiting > 0;
        let command = if is_too_much {
            self.queued.fetch_sub(weight, Ordering::Relaxed);
            self.tell(&Event::Overloaded);
            let Response { key, variant, old, .. } = response;
            Command::Remove { key, variant, old }
        } else {
            Command::Write(Box::new(response))
        };
        // After it was closed, nobody takes it.
        commands.send(command).is_ok() && !is_too_much
    }

    /// Begins the file of a body.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new_body(&self) -> io::Result<body::Writer> {
        let number = self.next_body.fetch_add(1, Ordering::Relaxed);
        let name = body::name(number);
        let salt = self.salt()?;
        let file = self.volume.create(&name)?;
        body::Writer::new(file, number, self.keys.as_ref(), self.key, salt)
            .inspect_err(|_| self.remove_file(&name))
    }
}
