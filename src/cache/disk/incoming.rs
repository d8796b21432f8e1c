//! A body on its way to a file of its own. Its calls may block.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Sender, sync_channel};

use bytes::Bytes;

use super::body;
use super::index::short;
use super::log::{Response, Written};
use super::shared::Shared;
use super::writer::Command;
use crate::cache::key::Key;

/// Writes a body whose length need not be known. Dropped before it is finished, it leaves nothing.
pub struct Incoming {
    shared: Arc<Shared>,
    commands: Sender<Command>,
    writer: Option<body::Writer>,
    file: u64,
    length: u64,
    /// Bytes of the store that are taken for it.
    reserved: u64,
}

/// What is stored with a body.
#[derive(Debug, Clone)]
pub struct Metadata {
    pub key: Key,
    /// Tells the variants of a key apart.
    pub variant: u32,
    /// The epoch of purges in which the origin was asked.
    pub epoch: u64,
    /// Up to a mebibyte, or a quarter of a segment if that is less.
    pub bytes: Bytes,
}

/// Bytes that are taken at a time.
const STEP: u64 = 4 << 20;

impl Incoming {
    pub(super) fn new(shared: Arc<Shared>, commands: Sender<Command>) -> Option<Self> {
        let (reply, answer) = sync_channel(1);
        commands.send(Command::Begin(reply)).ok()?;
        let writer = answer.recv().ok()??;
        let file = writer.number();
        Some(Self { shared, commands, writer: Some(writer), file, length: 0, reserved: 0 })
    }

    /// Bytes so far.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Appends to the body.
    ///
    /// # Errors
    /// When it cannot be written, is too long, or there is no room; it is of no use then.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = self.length + bytes.len() as u64;
        let needed = self.shared.limits.body_bytes(length);
        if length > self.shared.limits.largest {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if needed > self.reserved {
            self.reserve((needed - self.reserved).max(STEP.min(self.shared.limits.segment)))?;
        }
        self.length = length;
        self.writer.as_mut().map_or(Ok(()), |writer| writer.write(bytes))
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        let (reply, answer) = sync_channel(1);
        let sent = self.commands.send(Command::Reserve(bytes, reply)).is_ok();
        if !sent || !answer.recv().unwrap_or(false) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.reserved += bytes;
        Ok(())
    }

    /// Completes the body, waits until it would survive a loss of power, and stores it in the place of the variant's
    /// former response.
    ///
    /// # Errors
    /// When it cannot be written, or there is too much metadata.
    pub fn finish(mut self, metadata: Metadata) -> io::Result<()> {
        if !self.shared.limits.fits_metadata(metadata.bytes.len()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // An empty body takes its header.
        self.write(&[])?;
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let (outside, length) = match writer.finish() {
            Ok(finished) => finished,
            Err(error) => {
                self.discard();
                return Err(error);
            }
        };
        self.shared.give_back(self.reserved - self.shared.limits.body_bytes(length));
        let Metadata { key, variant, epoch, bytes } = metadata;
        let old = self.shared.index.remove(short(&key), |place| place.variant == variant);
        let body = Written::Outside(outside, length);
        let response = Response { key, variant, epoch, metadata: bytes, body, old };
        self.shared.queue(&self.commands, response);
        Ok(())
    }

    fn discard(&mut self) {
        self.shared.remove_file(&body::name(self.file));
        self.shared.give_back(std::mem::take(&mut self.reserved));
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            self.discard();
        }
    }
}
