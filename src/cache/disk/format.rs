//! The bytes of a disk store's files. Numbers are little-endian.
//!
//! Every file begins with a [`Header`]: which format, which key, which salt. What follows in a **segment**:
//!
//! ```text
//! record*   [head 64] [key 32, variant 4, metadata][tag]  ([up to 64 KiB of the body][tag])*
//! index     [entry 48]* [tag]
//! trailer   64 bytes
//! ```
//!
//! Index and trailer are there once no more records come; without them the records are read one by one. A body longer than
//! [`LARGEST_INLINE`] lies in a **body** file, header and blocks, and its record says in which. Tags are a CRC of four bytes, or
//! sixteen bytes of GCM; see [`super::seal`].
//!
//! A head can be read without a key, and the metadata's tag covers it: lengths cannot be changed unnoticed.

use bytes::{Buf, BufMut};

use super::seal::{KeyId, Keys, NO_KEY, Salt, Seal};

/// Written into every file; files of any other number are not read.
pub const VERSION: u16 = 1;

/// Bytes of a file's header, of a record's head and of a segment's trailer.
pub const HEAD: usize = 64;
/// Bytes of an entry in the index of a segment.
pub const ENTRY: usize = 48;
/// Bytes of a body that have a tag of their own. Reading any part of it reads all of it.
pub const BLOCK: usize = 64 * 1024;
/// The longest body that lies in a segment: it is read and checked as a whole before anything of it is sent.
pub const LARGEST_INLINE: u64 = 1 << 20;
/// The longest metadata; what has more is not stored.
pub const LARGEST_METADATA: usize = 1 << 20;
/// Key and variant before the metadata.
pub const IDENTITY: usize = 36;

const MAGIC: &[u8; 8] = b"edgeward";
const RECORD: u32 = u32::from_le_bytes(*b"rec1");
const TRAILER: u32 = u32::from_le_bytes(*b"end1");

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Segment = 1,
    Body = 2,
    Purges = 3,
}

/// Why a file or a record cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is not what was written, or not all of it.
    #[error("it is damaged")]
    Damaged,
    /// It is of another version.
    #[error("its format is version {0}")]
    Version(u16),
    /// It is sealed with a key that is not at hand, or not sealed although there are keys.
    #[error("its key is not at hand")]
    Key,
}

/// The first 64 bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub kind: Kind,
    pub key: KeyId,
    pub salt: Salt,
}

impl Header {
    #[must_use]
    pub fn encode(&self) -> [u8; HEAD] {
        let mut bytes = Vec::with_capacity(HEAD);
        bytes.put_slice(MAGIC);
        bytes.put_u16_le(VERSION);
        bytes.put_u8(self.kind as u8);
        bytes.put_slice(&self.key);
        bytes.put_slice(&self.salt);
        closed(bytes, crc32fast::hash)
    }

    /// Reads it, and finds the key.
    ///
    /// # Errors
    /// When it is anything else than a header of this kind, version and a key at hand.
    pub fn parse(bytes: &[u8; HEAD], kind: Kind, keys: Option<&Keys>) -> Result<Seal, Unreadable> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(Unreadable::Damaged)?;
        let (version, found) = (rest.get_u16_le(), rest.get_u8());
        // Of another version, nothing else is known.
        if version != VERSION {
            return Err(Unreadable::Version(version));
        }
        let is_whole = opened(bytes, crc32fast::hash).is_some();
        if !is_whole || found != kind as u8 {
            return Err(Unreadable::Damaged);
        }
        let (mut key, mut salt) = (NO_KEY, [0; 32]);
        rest.copy_to_slice(&mut key);
        rest.copy_to_slice(&mut salt);
        Seal::new(keys, key, &salt).ok_or(Unreadable::Key)
    }
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A response whose body follows.
    Inline,
    /// A response whose body is in another file.
    Outside(Outside),
    /// The response at this place is gone.
    Gone { segment: u32, offset: u32 },
}

impl What {
    /// What an [`Entry`] says of it.
    #[must_use]
    pub fn other(&self) -> u64 {
        match *self {
            Self::Inline => 0,
            Self::Outside(outside) => outside.file,
            Self::Gone { segment, offset } => u64::from(segment) << 32 | u64::from(offset),
        }
    }
}

/// Which body file a record means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outside {
    /// The file's number.
    pub file: u64,
    /// The first bytes of its salt.
    pub identity: u64,
}

/// The first 64 bytes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub what: What,
    /// Bytes of metadata with key and variant.
    pub metadata: u32,
    /// Bytes of the body.
    pub body: u64,
    /// The epoch of purges that the response was compared with.
    pub epoch: u64,
}

impl Head {
    #[must_use]
    pub fn encode(&self, seal: &Seal, offset: u64) -> [u8; HEAD] {
        let (kind, first, second) = match self.what {
            What::Inline => (1, 0, 0),
            What::Outside(Outside { file, identity }) => (2, file, identity),
            What::Gone { segment, offset } => (3, segment.into(), offset.into()),
        };
        let mut bytes = Vec::with_capacity(HEAD);
        bytes.put_u32_le(RECORD);
        bytes.put_u32_le(kind);
        bytes.put_u32_le(self.metadata);
        for number in [self.body, self.epoch, first, second] {
            bytes.put_u64_le(number);
        }
        closed(bytes, |bytes| seal.crc(bytes, offset, &[]))
    }

    /// `None` if it is no head, or was written at another place.
    #[must_use]
    pub fn parse(bytes: &[u8; HEAD], seal: &Seal, offset: u64) -> Option<Self> {
        let mut rest = opened(bytes, |bytes| seal.crc(bytes, offset, &[]))?;
        let (magic, kind, metadata) = (rest.get_u32_le(), rest.get_u32_le(), rest.get_u32_le());
        let (body, epoch) = (rest.get_u64_le(), rest.get_u64_le());
        let (first, second) = (rest.get_u64_le(), rest.get_u64_le());
        let what = match kind {
            1 if body <= LARGEST_INLINE => What::Inline,
            2 => What::Outside(Outside { file: first, identity: second }),
            3 if body == 0 => {
                What::Gone { segment: u32::try_from(first).ok()?, offset: u32::try_from(second).ok()? }
            }
            _ => return None,
        };
        let length = usize::try_from(metadata).ok()?;
        let is_ours = magic == RECORD && (IDENTITY..=IDENTITY + LARGEST_METADATA).contains(&length);
        is_ours.then_some(Self { what, metadata, body, epoch })
    }

    /// Bytes of all of the record in its segment.
    #[must_use]
    pub const fn length(&self, seal: &Seal) -> u64 {
        let body = if matches!(self.what, What::Inline) { blocks_bytes(self.body, seal) } else { 0 };
        self.body_at(seal) + body
    }

    /// Where in the record the body begins.
    #[must_use]
    pub const fn body_at(&self, seal: &Seal) -> u64 {
        HEAD as u64 + self.metadata as u64 + seal.tag_bytes() as u64
    }
}

/// Bytes that a body takes, tags and all.
#[must_use]
pub const fn blocks_bytes(body: u64, seal: &Seal) -> u64 {
    body.saturating_add(body.div_ceil(BLOCK as u64).saturating_mul(seal.tag_bytes() as u64))
}

/// What the index of a segment says of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The first half of the key.
    pub key: [u8; 16],
    pub variant: u32,
    pub offset: u32,
    /// Bytes of the record.
    pub length: u32,
    pub epoch: u64,
    /// Of a response, the file of its body, or zero; of what is gone, its segment and offset.
    pub other: u64,
    pub is_gone: bool,
}

impl Entry {
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.put_slice(&self.key);
        for number in [self.variant, self.offset, self.length, u32::from(self.is_gone)] {
            bytes.put_u32_le(number);
        }
        bytes.put_u64_le(self.epoch);
        bytes.put_u64_le(self.other);
    }

    #[must_use]
    pub fn parse(bytes: &[u8; ENTRY]) -> Self {
        let mut rest = &bytes[..];
        let mut key = [0; 16];
        rest.copy_to_slice(&mut key);
        let (variant, offset, length) = (rest.get_u32_le(), rest.get_u32_le(), rest.get_u32_le());
        let is_gone = rest.get_u32_le() != 0;
        let (epoch, other) = (rest.get_u64_le(), rest.get_u64_le());
        Self { key, variant, offset, length, epoch, other, is_gone }
    }
}

/// The last 64 bytes of a segment that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// Where the index begins, which is where the records end.
    pub index_at: u64,
    /// Entries in the index.
    pub entries: u32,
    /// For the index alone: it may be written twice, by a process that crashes and by its successor.
    pub salt: Salt,
}

impl Trailer {
    #[must_use]
    pub fn encode(&self, seal: &Seal) -> [u8; HEAD] {
        let mut bytes = Vec::with_capacity(HEAD);
        bytes.put_u32_le(TRAILER);
        bytes.put_u32_le(self.entries);
        bytes.put_u64_le(self.index_at);
        bytes.put_slice(&self.salt);
        closed(bytes, |bytes| seal.crc(bytes, u64::MAX, &[]))
    }

    #[must_use]
    pub fn parse(bytes: &[u8; HEAD], seal: &Seal) -> Option<Self> {
        let mut rest = opened(bytes, |bytes| seal.crc(bytes, u64::MAX, &[]))?;
        if rest.get_u32_le() != TRAILER {
            return None;
        }
        let (entries, index_at) = (rest.get_u32_le(), rest.get_u64_le());
        let mut salt = [0; 32];
        rest.copy_to_slice(&mut salt);
        Some(Self { index_at, entries, salt })
    }
}

/// Filled up with zeros, and the CRC of all before at the end.
pub(super) fn closed(mut bytes: Vec<u8>, crc: impl Fn(&[u8]) -> u32) -> [u8; HEAD] {
    bytes.resize(HEAD - 4, 0);
    bytes.put_u32_le(crc(&bytes));
    bytes.first_chunk().copied().unwrap_or([0; HEAD])
}

/// What [`closed`] closed.
pub(super) fn opened(bytes: &[u8; HEAD], crc: impl Fn(&[u8]) -> u32) -> Option<&[u8]> {
    let (content, end) = bytes.split_last_chunk::<4>()?;
    (crc(content) == u32::from_le_bytes(*end)).then_some(content)
}
