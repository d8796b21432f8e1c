//! The segment that grows.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::format::{BLOCK, ENTRY, Entry, HEAD, Head, Header, IDENTITY, Kind, Trailer, What};
use super::super::index::{Place, short};
use super::super::seal::{Broken, MAX_TAG, Seal};
use super::super::segment::Segment;
use super::super::segment_name;
use super::super::shared::Shared;
use crate::cache::content::Content;
use crate::cache::key::Key;

/// What a segment takes beside records and entries: header, the index's tag, trailer.
pub const FRAME: u64 = (HEAD + MAX_TAG + HEAD) as u64;

pub struct Active {
    pub segment: Arc<Segment>,
    /// Bytes in the file.
    pub length: u64,
    /// Bytes that come next, and the records in them.
    pub pending: Vec<u8>,
    pub waiting: Vec<Waiting>,
    pub entries: Vec<Entry>,
    pub weight: u64,
    pub epoch: u64,
}

/// A record on its way to the file.
pub struct Waiting {
    pub key: Key,
    pub entry: Entry,
    pub place: Place,
    /// The places that it makes free.
    pub old: Vec<Place>,
    /// The place that it is a copy of.
    pub copy_of: Option<Place>,
}

/// A record to append.
pub struct Record<'a> {
    pub key: &'a Key,
    pub variant: u32,
    pub epoch: u64,
    pub what: What,
    pub metadata: &'a [u8],
    pub body: &'a Content,
    pub body_bytes: u64,
}

impl Active {
    pub fn begin(shared: &Shared, number: u32) -> io::Result<Self> {
        let salt = shared.salt()?;
        let seal = Seal::new(shared.keys.as_ref(), shared.key, &salt).ok_or(io::ErrorKind::InvalidInput)?;
        let file = shared.volume.create(&segment_name(number))?;
        let header = Header { kind: Kind::Segment, key: shared.key, salt };
        if let Err(error) = file.write_at(&header.encode(), 0) {
            shared.remove_file(&segment_name(number));
            return Err(error);
        }
        shared.used.fetch_add(FRAME, Ordering::Relaxed);
        let segment = Arc::new(Segment { file, seal, number });
        shared.add_segment(segment.clone());
        Ok(Self {
            segment,
            length: HEAD as u64,
            pending: Vec::new(),
            waiting: Vec::new(),
            entries: Vec::new(),
            weight: FRAME,
            epoch: u64::MAX,
        })
    }

    /// Whether a record of so many bytes, entry and all, still fits.
    pub fn has_room(&self, bytes: u64, shared: &Shared) -> bool {
        let entries = ((self.entries.len() + self.waiting.len()) * ENTRY) as u64;
        let length = self.length + self.pending.len() as u64 + entries + FRAME + bytes;
        length <= shared.limits.segment && self.weight < shared.limits.segment
    }

    /// Appends a record to what is pending; what the index says of it.
    ///
    /// # Errors
    /// When there is no memory; nothing is appended then.
    pub fn encode(&mut self, record: &Record<'_>) -> io::Result<Entry> {
        let start = self.pending.len();
        let entry = self.try_to_encode(record, start);
        if entry.is_none() {
            self.pending.truncate(start);
        }
        entry.ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    fn try_to_encode(&mut self, record: &Record<'_>, start: usize) -> Option<Entry> {
        let (seal, at) = (&self.segment.seal, self.length + start as u64);
        let metadata = u32::try_from(IDENTITY + record.metadata.len()).ok()?;
        let head = Head { what: record.what, metadata, body: record.body_bytes, epoch: record.epoch };
        let head = head.encode(seal, at);
        self.pending.extend_from_slice(&head);
        self.pending.extend_from_slice(record.key.as_bytes());
        self.pending.extend_from_slice(&record.variant.to_le_bytes());
        self.pending.extend_from_slice(record.metadata);
        seal.seal(&mut self.pending, start + HEAD, at + HEAD as u64, &head).ok()?;
        self.encode_body(record.body).ok()?;
        Some(Entry {
            key: short(record.key),
            variant: record.variant,
            offset: u32::try_from(at).ok()?,
            length: u32::try_from(self.pending.len() - start).ok()?,
            epoch: record.epoch,
            other: record.what.other(),
            is_gone: matches!(record.what, What::Gone { .. }),
        })
    }

    fn encode_body(&mut self, body: &Content) -> Result<(), Broken> {
        let (seal, bytes) = (&self.segment.seal, &mut self.pending);
        let mut block = bytes.len();
        for mut piece in body.pieces().iter().map(|piece| &piece[..]) {
            while let Some((part, rest)) =
                piece.split_at_checked(piece.len().min(BLOCK + block - bytes.len()))
                && !part.is_empty()
            {
                bytes.extend_from_slice(part);
                piece = rest;
                if bytes.len() - block == BLOCK {
                    seal.seal(bytes, block, self.length + block as u64, &[])?;
                    block = bytes.len();
                }
            }
        }
        if bytes.len() > block {
            seal.seal(bytes, block, self.length + block as u64, &[])?;
        }
        Ok(())
    }
}

/// Writes the index at the end of a segment. How long the file is then.
///
/// # Errors
/// When it cannot be written; the records can be read without it.
pub fn write_index(segment: &Segment, end: u64, entries: &[Entry], shared: &Shared) -> io::Result<u64> {
    let salt = shared.salt()?;
    let trailer = Trailer { index_at: end, entries: u32::try_from(entries.len()).unwrap_or(u32::MAX), salt };
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY + MAX_TAG + HEAD);
    for entry in entries {
        entry.encode(&mut bytes);
    }
    let sealed = segment.seal.derived(&salt).and_then(|seal| seal.seal(&mut bytes, 0, end, &[]));
    sealed.map_err(io::Error::other)?;
    bytes.extend_from_slice(&trailer.encode(&segment.seal));
    segment.file.write_at(&bytes, end)?;
    Ok(end + bytes.len() as u64)
}
