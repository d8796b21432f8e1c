//! The one who writes: appends records to the youngest segment, and removes the oldest when there is no room.
//!
//! Segments are written from front to back and removed as a whole, oldest first; what of one was asked for since it was
//! written is appended anew before (FIFO with reinsertion). So the disk sees sequential writes alone, and the bound on bytes
//! is exact: one segment's bytes are kept free for what is appended anew.
//!
//! **After a failed write** the segment is given up where it was whole, and for a while, counted in responses, nothing is
//! written.

mod active;
mod bodies;
mod evict;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::event::Event;
use super::format::{ENTRY, Entry, HEAD, Outside, What};
use super::index::{Place, short};
use super::segment::Segment;
use super::shared::Shared;
use super::{body, segment_name};
use crate::cache::content::Content;
use crate::cache::key::Key;
use active::{Active, FRAME, Record, Waiting};
use bodies::Bodies;

pub use active::write_index;

/// Appends, seals and evicts.
pub struct Log {
    pub(super) shared: Arc<Shared>,
    active: Option<Active>,
    /// Complete, the oldest first.
    pub(super) sealed: VecDeque<Sealed>,
    /// Bodies in files of their own.
    pub(super) bodies: Bodies,
    /// The next number of a segment.
    pub(super) next_segment: u32,
    failures: u32,
    /// Responses to leave out before writing is tried again.
    to_skip: u32,
}

/// A segment that gets no more records.
pub struct Sealed {
    pub segment: Arc<Segment>,
    /// Bytes of the file.
    pub bytes: u64,
    /// With the bodies that its records had in files of their own.
    pub weight: u64,
    /// The oldest epoch of its records.
    pub epoch: u64,
}

/// What is to be written.
pub struct Response {
    pub key: Key,
    pub variant: u32,
    pub epoch: u64,
    pub metadata: Bytes,
    pub body: Written,
    /// The places of what it takes the place of; they are out of the index already.
    pub old: Vec<Place>,
}

/// The body of what is to be written.
pub enum Written {
    Here(Content),
    /// In a new file, so many bytes.
    Outside(Outside, u64),
    /// In the file of what it takes the place of.
    Kept(Outside, u64),
}

/// The longest run of responses that is left out after failures.
const MOST_SKIPPED: u32 = 1024;
/// Bytes that are written at once if more is waiting.
pub const BATCH: usize = 1 << 20;

impl Log {
    #[must_use]
    pub fn new(shared: Arc<Shared>, next_segment: u32) -> Self {
        Self {
            shared,
            active: None,
            sealed: VecDeque::new(),
            bodies: Bodies::default(),
            next_segment,
            failures: 0,
            to_skip: 0,
        }
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.active.as_ref().map_or(0, |active| active.pending.len())
    }

    /// Appends a response; it is found after the next [`flush`](Self::flush).
    pub fn write(&mut self, response: Response) {
        if self.to_skip > 0 {
            self.to_skip -= 1;
            self.shared.tell(&Event::Skipped);
            self.give_up(response);
        } else if let Written::Kept(outside, _) = response.body
            && self.bodies.bytes(outside.file).is_none()
        {
            // It was evicted meanwhile.
            self.give_up(response);
        } else if let Err(error) = self.try_to_write(&response) {
            self.fail(&error);
            self.give_up(response);
        }
    }

    fn try_to_write(&mut self, response: &Response) -> io::Result<()> {
        let Response { key, variant, epoch, metadata, .. } = response;
        let (variant, epoch) = (*variant, *epoch);
        let nothing = Content::default();
        let (what, body, body_bytes) = match &response.body {
            Written::Here(content) if self.shared.limits.is_inline(content.len(), metadata.len()) => {
                (What::Inline, content, content.len())
            }
            Written::Here(content) => (What::Outside(self.write_body(content)?), &nothing, content.len()),
            Written::Outside(outside, length) => {
                self.bodies.add(outside.file, self.shared.limits.body_bytes(*length));
                (What::Outside(*outside), &nothing, *length)
            }
            Written::Kept(outside, length) => (What::Outside(*outside), &nothing, *length),
        };
        let record = Record { key, variant, epoch, what, metadata, body, body_bytes };
        let appended = if self.make_room(self.shared.limits.record_bytes(metadata.len(), body.len())) {
            self.append(&record, response.old.clone(), None)
        } else {
            Err(io::ErrorKind::StorageFull.into())
        };
        if let (Err(_), What::Outside(outside)) = (&appended, what) {
            self.disown(outside.file);
        }
        appended.map(drop)
    }

    /// What is not written makes what it should have replaced untrue.
    fn give_up(&mut self, response: Response) {
        if let Written::Outside(outside, length) = response.body {
            self.bodies.add(outside.file, self.shared.limits.body_bytes(length));
            self.disown(outside.file);
        }
        self.remove(&response.key, response.variant, response.old);
    }

    /// Removes the file of a body if it is no record's.
    pub(super) fn disown(&mut self, file: u64) {
        if let Some(bytes) = self.bodies.disown(file) {
            self.shared.remove_file(&body::name(file));
            self.shared.give_back(bytes);
        }
    }

    /// Writes a body to a file of its own.
    fn write_body(&mut self, content: &Content) -> io::Result<Outside> {
        let bytes = self.shared.limits.body_bytes(content.len());
        if !self.make_room(bytes) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut writer = self.shared.new_body()?;
        let file = writer.number();
        let written = content.pieces().iter().try_for_each(|piece| writer.write(piece));
        match written.and_then(|()| writer.finish()) {
            Ok((outside, _)) => {
                self.shared.used.fetch_add(bytes, Ordering::Relaxed);
                self.bodies.add(file, bytes);
                Ok(outside)
            }
            Err(error) => {
                self.shared.remove_file(&body::name(file));
                Err(error)
            }
        }
    }

    /// Begins a body's file for another thread; `None` while writing fails.
    pub fn begin_body(&mut self) -> Option<body::Writer> {
        if self.to_skip > 0 {
            self.to_skip -= 1;
            self.shared.tell(&Event::Skipped);
            return None;
        }
        self.shared.new_body().inspect_err(|error| self.fail(error)).ok()
    }

    /// Removes a variant of a key for good, and what was at the places `old`, which are out of the index already.
    pub fn remove(&mut self, key: &Key, variant: u32, mut old: Vec<Place>) {
        // What waits would come after its removal.
        self.flush();
        old.extend(self.shared.index.remove(short(key), |place| place.variant == variant));
        self.remove_places(key, old);
    }

    /// Removes what was at these places, which are out of the index already.
    pub fn remove_places(&mut self, key: &Key, places: Vec<Place>) {
        for place in places {
            self.leave(&place);
            if self.make_room(self.shared.limits.record_bytes(0, 0)) {
                self.bury(key, &place);
            }
        }
    }

    /// Notes on disk that the record at a place is gone. If that cannot be written, it may come back at the next start.
    fn bury(&mut self, key: &Key, place: &Place) {
        let what = What::Gone { segment: place.segment, offset: place.offset };
        let body = &Content::default();
        let (variant, epoch) = (place.variant, u64::MAX);
        let record = Record { key, variant, epoch, what, metadata: &[], body, body_bytes: 0 };
        if let Err(error) = self.append(&record, Vec::new(), None) {
            self.fail(&error);
        }
    }

    pub(super) fn leave(&mut self, place: &Place) {
        if let Some((file, bytes)) = self.bodies.leave(place) {
            self.shared.remove_file(&body::name(file));
            self.shared.give_back(bytes);
        }
    }

    /// Removes the oldest until there is room for so many bytes more.
    pub fn make_room(&mut self, bytes: u64) -> bool {
        while self.shared.used.load(Ordering::Relaxed) + bytes > self.shared.limits.filled {
            if !self.evict() {
                return false;
            }
        }
        true
    }

    fn append(&mut self, record: &Record<'_>, old: Vec<Place>, copy_of: Option<Place>) -> io::Result<Place> {
        let bytes = self.shared.limits.record_bytes(record.metadata.len(), record.body.len());
        let outside = match record.what {
            What::Outside(outside) => Some((outside.file, self.bodies.bytes(outside.file).unwrap_or(0))),
            What::Inline | What::Gone { .. } => None,
        };
        if self.active.as_ref().is_some_and(|active| !active.has_room(bytes, &self.shared)) {
            self.seal();
        }
        let active = match &mut self.active {
            Some(active) => active,
            none => {
                let active = Active::begin(&self.shared, self.next_segment)?;
                self.next_segment += 1;
                none.insert(active)
            }
        };
        let entry = active.encode(record)?;
        let place = Place {
            segment: active.segment.number,
            offset: entry.offset,
            length: entry.length,
            variant: entry.variant,
            is_used: false,
        };
        active.weight += u64::from(entry.length) + outside.map_or(0, |(_, bytes)| bytes);
        active.epoch = active.epoch.min(entry.epoch);
        self.shared.oldest_epoch.fetch_min(entry.epoch, Ordering::AcqRel);
        active.waiting.push(Waiting { key: *record.key, entry, place, old, copy_of });
        self.shared.used.fetch_add(u64::from(entry.length) + ENTRY as u64, Ordering::Relaxed);
        if let Some((file, _)) = outside {
            self.bodies.assign(file, &place);
        }
        Ok(place)
    }

    /// Writes what waits, and lets it be found.
    pub fn flush(&mut self) {
        let Some(active) = self.active.as_mut().filter(|active| !active.pending.is_empty()) else { return };
        let written = active.segment.file.write_at(&active.pending, active.length);
        let waiting = std::mem::take(&mut active.waiting);
        if let Err(error) = written {
            let bytes = active.pending.len() as u64 + (waiting.len() * ENTRY) as u64;
            active.pending.clear();
            self.shared.give_back(bytes);
            let _ = active.segment.file.cut(active.length);
            self.fail(&error);
            self.seal();
            for lost in waiting {
                self.lose(lost);
            }
            return;
        }
        active.length += active.pending.len() as u64;
        active.pending.clear();
        active.entries.extend(waiting.iter().map(|waiting| waiting.entry));
        self.failures = 0;
        let responses = waiting.iter().filter(|waiting| !waiting.entry.is_gone).count() as u64;
        for waiting in waiting {
            self.settle(waiting);
        }
        self.shared.tell(&Event::Written { responses });
    }

    /// A record could not be written: what it stands for is gone, and what it should have replaced is untrue.
    fn lose(&mut self, lost: Waiting) {
        let Waiting { key, entry, place, mut old, copy_of } = lost;
        self.leave(&place);
        match copy_of {
            Some(original) => self.drop_place(short(&key), &original),
            None if entry.is_gone => {}
            None => {
                old.extend(self.shared.index.remove(short(&key), |one| one.variant == place.variant));
                self.remove_places(&key, old);
            }
        }
    }

    /// A record is in its file.
    fn settle(&mut self, waiting: Waiting) {
        let Waiting { key, entry, place, old, copy_of } = waiting;
        if entry.is_gone {
            return;
        }
        let index = &self.shared.index;
        let gone = match copy_of {
            None => index.insert(short(&key), place),
            Some(original) if index.replace(short(&key), &original, place) => vec![original],
            Some(original) => {
                // Something newer came, or it was removed, while it was copied.
                self.bury(&key, &place);
                vec![original, place]
            }
        };
        gone.iter().chain(&old).for_each(|place| self.leave(place));
    }

    /// Completes the youngest segment.
    pub fn seal(&mut self) {
        self.flush();
        let Some(active) = self.active.take() else { return };
        let Active { segment, length, entries, weight, epoch, .. } = active;
        if entries.is_empty() {
            self.shared.forget_segment(segment.number);
            self.shared.remove_file(&segment_name(segment.number));
            self.shared.give_back(FRAME);
            return;
        }
        let written = write_index(&segment, length, &entries, &self.shared);
        let bytes = written.unwrap_or_else(|error| {
            self.shared.tell(&Event::WriteFailed(error.kind()));
            // Half an index would be found to be none at the next start, and costs space.
            let _ = segment.file.cut(length);
            length
        });
        self.shared.give_back(FRAME + length - HEAD as u64 + (entries.len() * ENTRY) as u64);
        self.shared.used.fetch_add(bytes, Ordering::Relaxed);
        self.sealed.push_back(Sealed { segment, bytes, weight, epoch });
        self.note_epoch();
    }

    /// What can be said of all that is stored: it was compared with the purges until this epoch.
    pub fn note_epoch(&self) {
        let epochs = self.sealed.iter().map(|sealed| sealed.epoch);
        let epoch = epochs.chain(self.active.as_ref().map(|active| active.epoch)).min();
        self.shared.oldest_epoch.store(epoch.unwrap_or(u64::MAX), Ordering::Release);
    }

    fn fail(&mut self, error: &io::Error) {
        self.shared.tell(&Event::WriteFailed(error.kind()));
        self.failures = (self.failures + 1).min(MOST_SKIPPED.ilog2());
        self.to_skip = 1 << self.failures;
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.seal();
        self.shared.index.clear();
        while let Some(sealed) = self.sealed.pop_front() {
            self.shared.forget_segment(sealed.segment.number);
            self.shared.remove_file(&segment_name(sealed.segment.number));
            self.shared.give_back(sealed.bytes);
        }
        for (file, bytes) in self.bodies.take() {
            self.shared.remove_file(&body::name(file));
            self.shared.give_back(bytes);
        }
        self.note_epoch();
    }
}

impl Sealed {
    /// Where the record of an entry lies.
    #[must_use]
    pub fn place(&self, entry: &Entry) -> Place {
        let Entry { offset, length, variant, .. } = *entry;
        Place { segment: self.segment.number, offset, length, variant, is_used: false }
    }
}
