//! A segment as it is read: one record, the index at its end, or record by record where there is none.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::format::{
    BLOCK, ENTRY, Entry, HEAD, Head, Header, IDENTITY, Kind, Outside, Trailer, Unreadable, What, blocks_bytes,
};
use super::index::{Place, short};
use super::seal::{Broken, Keys, Seal};
use super::volume::File;
use crate::cache::content::Content;
use crate::cache::key::Key;

/// A segment, complete or still growing.
pub struct Segment {
    pub file: Arc<dyn File>,
    pub seal: Seal,
    /// Its number.
    pub number: u32,
}

/// Whether a read may wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It fails with `WouldBlock` instead.
    None,
    Any,
}

/// What of a record is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All but the body.
    Metadata,
    Whole,
}

/// A response as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub key: Key,
    pub variant: u32,
    pub epoch: u64,
    pub metadata: Bytes,
    pub body: Body,
}

/// Where the body of a response is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Here, checked to its last byte.
    Whole(Content),
    /// In a file of its own, so many bytes.
    Outside(Outside, u64),
    /// In the segment, but was not asked for.
    Unread,
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl Fault {
    /// Whether only patience is missing.
    #[must_use]
    pub fn is_impatience(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl From<Broken> for Fault {
    fn from(_: Broken) -> Self {
        Unreadable::Damaged.into()
    }
}

/// `None` at the end.
fn read<const N: usize>(file: &dyn File, offset: u64) -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    let length = file.read_at(&mut bytes, offset)?;
    if length < N { Err(Unreadable::Damaged.into()) } else { Ok(bytes) }
}

/// Reads the header of a file.
///
/// # Errors
/// When it cannot be read, or is no header of this kind and a key at hand.
pub fn open(file: &dyn File, kind: Kind, keys: Option<&Keys>) -> Result<Seal, Fault> {
    Ok(Header::parse(&read::<HEAD>(file, 0)?, kind, keys)?)
}

impl Segment {
    /// # Errors
    /// When its header cannot be read.
    pub fn open(file: Arc<dyn File>, number: u32, keys: Option<&Keys>) -> Result<Self, Fault> {
        let seal = open(&*file, Kind::Segment, keys)?;
        Ok(Self { file, seal, number })
    }

    /// Reads the record at a place, and checks all that is read of it.
    ///
    /// # Errors
    /// When it cannot be read, is not what was written, or would have to be waited for.
    pub fn read(&self, place: &Place, part: Part, patience: Patience) -> Result<Record, Fault> {
        let offset = u64::from(place.offset);
        let length = match part {
            Part::Whole => place.length as usize,
            Part::Metadata => (place.length as usize).min(GUESS),
        };
        let mut bytes = vec![0; length];
        self.fill(&mut bytes, offset, patience)?;
        let head = bytes.first_chunk().and_then(|head| Head::parse(head, &self.seal, offset));
        let head = head.ok_or(Unreadable::Damaged)?;
        let needed = match part {
            Part::Whole => head.length(&self.seal),
            Part::Metadata => head.body_at(&self.seal),
        };
        if needed > u64::from(place.length) {
            return Err(Unreadable::Damaged.into());
        }
        let needed = usize::try_from(needed).unwrap_or(usize::MAX);
        if needed > bytes.len() {
            bytes.resize(needed, 0);
            self.fill(&mut bytes, offset, patience)?;
        }
        self.opened(bytes, offset, &head, part)
    }

    fn fill(&self, bytes: &mut [u8], offset: u64, patience: Patience) -> Result<(), Fault> {
        let length = match patience {
            Patience::Any => self.file.read_at(bytes, offset)?,
            Patience::None => self.file.read_at_once(bytes, offset)?,
        };
        if length < bytes.len() { Err(Unreadable::Damaged.into()) } else { Ok(()) }
    }

    /// The parts of a record in memory, which become slices of it.
    fn opened(&self, mut bytes: Vec<u8>, offset: u64, head: &Head, part: Part) -> Result<Record, Fault> {
        let body_at = usize::try_from(head.body_at(&self.seal)).unwrap_or(usize::MAX);
        let (start, blocks) = bytes.split_at_mut_checked(body_at).ok_or(Unreadable::Damaged)?;
        let (head_bytes, metadata) = start.split_at_mut_checked(HEAD).ok_or(Unreadable::Damaged)?;
        let metadata = self.seal.open(metadata, offset + HEAD as u64, head_bytes)?;
        let (key, rest) = metadata.split_first_chunk().ok_or(Unreadable::Damaged)?;
        let variant = rest.first_chunk().ok_or(Unreadable::Damaged)?;
        let (key, variant) = (Key::from_bytes(*key), u32::from_le_bytes(*variant));
        let mut pieces = Vec::new();
        if part == Part::Whole && head.what == What::Inline {
            let stride = BLOCK + self.seal.tag_bytes();
            let mut at = body_at;
            let blocks =
                blocks.get_mut(..usize::try_from(blocks_bytes(head.body, &self.seal)).unwrap_or(usize::MAX));
            for block in blocks.ok_or(Unreadable::Damaged)?.chunks_mut(stride) {
                let content = self.seal.open(block, offset + at as u64, &[])?.len();
                pieces.push(at..at + content);
                at += stride;
            }
        }
        let bytes = Bytes::from(bytes);
        let body = match (head.what, part) {
            (What::Inline, Part::Whole) => {
                Body::Whole(Content::new(pieces.into_iter().map(|piece| bytes.slice(piece)).collect()))
            }
            (What::Outside(outside), _) => Body::Outside(outside, head.body),
            (What::Inline, Part::Metadata) | (What::Gone { .. }, _) => Body::Unread,
        };
        let metadata = bytes.slice(HEAD + IDENTITY..HEAD + head.metadata as usize);
        Ok(Record { key, variant, epoch: head.epoch, metadata, body })
    }

    /// The index at the end of a segment of this length; `None` if there is none, or it is damaged.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn entries(&self, length: u64) -> io::Result<Option<Vec<Entry>>> {
        let read = || -> Result<Vec<Entry>, Fault> {
            let trailer_at = length.checked_sub(HEAD as u64).ok_or(Unreadable::Damaged)?;
            let trailer = Trailer::parse(&read::<HEAD>(&*self.file, trailer_at)?, &self.seal);
            let trailer = trailer.ok_or(Unreadable::Damaged)?;
            let index_bytes = u64::from(trailer.entries) * ENTRY as u64 + self.seal.tag_bytes() as u64;
            if trailer.index_at.checked_add(index_bytes) != Some(trailer_at) {
                return Err(Unreadable::Damaged.into());
            }
            let mut bytes = vec![0; usize::try_from(index_bytes).unwrap_or(usize::MAX)];
            self.fill(&mut bytes, trailer.index_at, Patience::Any)?;
            let seal = self.seal.derived(&trailer.salt)?;
            let entries = seal.open(&mut bytes, trailer.index_at, &[])?;
            Ok(entries.as_chunks().0.iter().map(Entry::parse).collect())
        };
        match read() {
            Ok(entries) => Ok(Some(entries)),
            Err(Fault::Unreadable(_)) => Ok(None),
            Err(Fault::Io(error)) => Err(error),
        }
    }

    /// Reads a segment of this length record by record. All that are whole, to their last byte, and where they end: what is
    /// damaged is left out, and nothing after a damaged head is found.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn scan(&self, length: u64) -> io::Result<(Vec<Entry>, u64)> {
        let (mut entries, mut at) = (Vec::new(), HEAD as u64);
        loop {
            let head = match read::<HEAD>(&*self.file, at) {
                Ok(head) => Head::parse(&head, &self.seal, at),
                Err(Fault::Io(error)) => return Err(error),
                Err(Fault::Unreadable(_)) => None,
            };
            let Some(head) = head else { return Ok((entries, at)) };
            let record = head.length(&self.seal);
            let place = match (u32::try_from(at), u32::try_from(record)) {
                (Ok(offset), Ok(record)) if at + u64::from(record) <= length => {
                    Place { segment: self.number, offset, length: record, variant: 0, is_used: false }
                }
                _ => return Ok((entries, at)),
            };
            match self.read(&place, Part::Whole, Patience::Any) {
                Ok(record) => entries.push(entry(&head, &record, &place)),
                Err(Fault::Io(error)) => return Err(error),
                Err(Fault::Unreadable(_)) => {}
            }
            at += record;
        }
    }
}

/// What is read at first for the metadata alone: most of it is shorter.
const GUESS: usize = 4096;

fn entry(head: &Head, record: &Record, place: &Place) -> Entry {
    Entry {
        key: short(&record.key),
        variant: record.variant,
        offset: place.offset,
        length: place.length,
        epoch: head.epoch,
        other: head.what.other(),
        is_gone: matches!(head.what, What::Gone { .. }),
    }
}
