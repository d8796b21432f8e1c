//! A body in a file of its own: written while it arrives, a block at a time, and read the same way, from any byte on.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::format::{BLOCK, HEAD, Header, Kind, Outside, Unreadable, blocks_bytes};
use super::seal::{Broken, KeyId, Keys, Salt, Seal};
use super::segment::{Fault, Patience, open};
use super::volume::File;

/// The name of a body's file.
#[must_use]
pub fn name(file: u64) -> String {
    format!("{file:016x}.body")
}

/// The number of a body's file; `None` if the name is another file's.
#[must_use]
pub fn number(file_name: &str) -> Option<u64> {
    let number = u64::from_str_radix(file_name.strip_suffix(".body")?, 16).ok()?;
    (name(number) == file_name).then_some(number)
}

fn identity(seal: &Seal) -> u64 {
    u64::from_le_bytes(seal.salt().first_chunk().copied().unwrap_or_default())
}

/// Writes a body.
pub struct Writer {
    file: Arc<dyn File>,
    number: u64,
    seal: Seal,
    /// What is not written yet, less than a block.
    rest: Vec<u8>,
    /// Where it will be.
    at: u64,
    length: u64,
}

impl Writer {
    /// Begins an empty file.
    ///
    /// # Errors
    /// When nothing can be written, or the key is not at hand.
    pub fn new(
        file: Arc<dyn File>,
        number: u64,
        keys: Option<&Keys>,
        key: KeyId,
        salt: Salt,
    ) -> io::Result<Self> {
        let seal = Seal::new(keys, key, &salt).ok_or(io::ErrorKind::InvalidInput)?;
        file.write_at(&Header { kind: Kind::Body, key, salt }.encode(), 0)?;
        Ok(Self { file, number, seal, rest: Vec::with_capacity(BLOCK), at: HEAD as u64, length: 0 })
    }

    /// Appends to the body.
    ///
    /// # Errors
    /// When it cannot be written; the body is of no use then.
    pub fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len() as u64;
        while let Some((part, after)) = bytes.split_at_checked(BLOCK - self.rest.len()) {
            self.rest.extend_from_slice(part);
            bytes = after;
            self.write_block()?;
        }
        self.rest.extend_from_slice(bytes);
        Ok(())
    }

    fn write_block(&mut self) -> io::Result<()> {
        self.seal.seal(&mut self.rest, 0, self.at, &[]).map_err(io::Error::other)?;
        self.file.write_at(&self.rest, self.at)?;
        self.at += self.rest.len() as u64;
        self.rest.clear();
        Ok(())
    }

    /// Writes what is left, and waits until it would survive a loss of power: what is missing of a body would come to light
    /// when half of it was sent. Which file it is, and how many bytes the body has.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<(Outside, u64)> {
        if !self.rest.is_empty() {
            self.write_block()?;
        }
        self.file.sync()?;
        Ok((Outside { file: self.number, identity: identity(&self.seal) }, self.length))
    }

    /// The number of the file.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Bytes of the file that a body of this length takes.
    #[must_use]
    pub const fn file_bytes(seal: &Seal, body: u64) -> u64 {
        HEAD as u64 + blocks_bytes(body, seal)
    }
}

/// Reads a body. It stays readable while this is held, whatever becomes of the file.
#[derive(Clone)]
pub struct Reader {
    file: Arc<dyn File>,
    seal: Arc<Seal>,
    length: u64,
}

impl fmt::Debug for Reader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Reader").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Reader {
    /// # Errors
    /// When it is not the file that the record means, or not all of it is there.
    pub fn open(
        file: Arc<dyn File>,
        meant: Outside,
        length: u64,
        keys: Option<&Keys>,
    ) -> Result<Self, Fault> {
        let seal = open(&*file, Kind::Body, keys)?;
        if identity(&seal) != meant.identity || file.length()? != Writer::file_bytes(&seal, length) {
            return Err(Unreadable::Damaged.into());
        }
        Ok(Self { file, seal: Arc::new(seal), length })
    }

    /// Bytes of the body.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The first piece of a range of bytes, up to 64 KiB, checked; empty where the range is.
    ///
    /// # Errors
    /// When it cannot be read, is not what was written, or would have to be waited for.
    pub fn read(&self, range: &Range<u64>, patience: Patience) -> Result<Bytes, Fault> {
        let end = range.end.min(self.length);
        if range.start >= end {
            return Ok(Bytes::new());
        }
        let block = range.start / BLOCK as u64;
        let first = block * BLOCK as u64;
        let size = usize::try_from(self.length - first).map_or(BLOCK, |rest| rest.min(BLOCK));
        let offset = HEAD as u64 + block * (BLOCK + self.seal.tag_bytes()) as u64;
        let mut bytes = vec![0; size + self.seal.tag_bytes()];
        let read = match patience {
            Patience::Any => self.file.read_at(&mut bytes, offset)?,
            Patience::None => self.file.read_at_once(&mut bytes, offset)?,
        };
        if read < bytes.len() {
            return Err(Broken.into());
        }
        self.seal.open(&mut bytes, offset, &[])?;
        let within = |at: u64| usize::try_from(at - first).map_or(size, |at| at.min(size));
        Ok(Bytes::from(bytes).slice(within(range.start)..within(end)))
    }
}
