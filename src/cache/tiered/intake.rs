//! Content on its way in: to readers who follow it, to memory as far as that goes, and past that to disk.

use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::{Tiered, metadata};
use crate::cache::content::{Broken, Content, Writer};
use crate::cache::disk::Disk;
use crate::cache::disk::incoming::Incoming;
use crate::cache::key::Key;
use crate::cache::memory::Stored;

/// Takes in the content of a response. Dropped before it is [finished](Self::finish), it leaves nothing.
pub struct Intake {
    tiered: Arc<Tiered>,
    writer: Writer,
    spill: Spill,
    /// Bytes so far.
    length: u64,
    /// Longer content is not stored.
    limit: u64,
}

/// What comes past the limit of memory.
enum Spill {
    /// Nothing has.
    NotYet,
    /// On its way to the disk.
    Writing(Writing),
    /// It is too long, or the disk is full or too slow, or there is none.
    GivenUp,
}

struct Writing {
    disk: Arc<Disk>,
    task: JoinHandle<io::Result<Incoming>>,
    /// Pieces that wait, and their bytes.
    waiting: Vec<Bytes>,
    bytes: usize,
}

/// Bytes that are written at once.
const BATCH: usize = 1 << 20;
/// Bytes that may wait for the disk; with more of them, the origin is waited with.
const MOST_WAITING: usize = 8 << 20;
/// For how long; then the content is passed on without being stored.
const PATIENCE: Duration = Duration::from_secs(1);

impl Intake {
    /// Content that `writer` brings to its readers. What `writer` does not keep goes to the disk, up to `limit` bytes of it
    /// all.
    #[must_use]
    pub fn new(tiered: Arc<Tiered>, writer: Writer, limit: u64) -> Self {
        Self { tiered, writer, spill: Spill::NotYet, length: 0, limit }
    }

    /// Appends a piece; see [`Writer::push`].
    ///
    /// # Errors
    /// When the content is not kept and nobody reads it any more.
    pub async fn push(&mut self, piece: &[u8]) -> Result<(), Broken> {
        let piece = Bytes::copy_from_slice(piece);
        let passed = self.writer.append(piece.clone()).await;
        self.spill(piece).await;
        if self.is_writing() { Ok(()) } else { passed }
    }

    /// Resolves once there is no use in more of it.
    pub async fn deserted(&mut self) {
        if self.is_writing() {
            std::future::pending::<()>().await;
        }
        self.writer.deserted().await;
    }

    /// Ends the content with this piece, and stores the response that `make` makes of what is kept in memory of it, which is
    /// all or nothing. Whoever has read all of it finds it stored, unless the disk is slow.
    pub async fn finish(mut self, last: &[u8], key: Key, make: impl FnOnce(Content) -> Option<Arc<Stored>>) {
        let last = Bytes::copy_from_slice(last);
        if let Some(content) = self.writer.whole_with(&last) {
            if let Some(stored) = make(content) {
                self.tiered.put(key, stored);
            }
        } else {
            self.spill(last.clone()).await;
            if let Spill::Writing(writing) = mem::replace(&mut self.spill, Spill::GivenUp)
                && let Some(stored) = make(Content::default())
            {
                self.tiered.memory.displace(&key, &stored);
                let written = tokio::spawn(writing.finish(self.tiered.clone(), key, stored));
                // It goes on if that is too long for readers to wait.
                let _ = timeout(PATIENCE, written).await;
            }
        }
        self.writer.end(last);
    }

    const fn is_writing(&self) -> bool {
        matches!(self.spill, Spill::Writing(_))
    }

    async fn spill(&mut self, piece: Bytes) {
        self.length += piece.len() as u64;
        if self.length > self.limit {
            self.spill = Spill::GivenUp;
        } else if let Some(kept) = self.writer.take_spilled() {
            self.spill = self.tiered.disk().map_or(Spill::GivenUp, |disk| Spill::begin(disk, kept));
        }
        if let Spill::Writing(writing) = &mut self.spill
            && writing.push(piece).await.is_err()
        {
            self.spill = Spill::GivenUp;
        }
    }
}

impl Spill {
    fn begin(disk: Arc<Disk>, kept: Vec<Bytes>) -> Self {
        let begun = disk.clone();
        let task = spawn_blocking(move || {
            let incoming = begun.begin().ok_or(io::ErrorKind::StorageFull)?;
            written(incoming, &kept)
        });
        Self::Writing(Writing { disk, task, waiting: Vec::new(), bytes: 0 })
    }
}

impl Writing {
    /// Fails if nothing more can be written.
    async fn push(&mut self, piece: Bytes) -> Result<(), Broken> {
        self.bytes += piece.len();
        self.waiting.push(piece);
        let is_due = self.bytes >= BATCH && (self.task.is_finished() || self.bytes >= MOST_WAITING);
        if !is_due {
            return Ok(());
        }
        let incoming = timeout(PATIENCE, &mut self.task).await;
        let Ok(Ok(Ok(incoming))) = incoming else { return Err(Broken) };
        let waiting = mem::take(&mut self.waiting);
        self.bytes = 0;
        self.task = spawn_blocking(move || written(incoming, &waiting));
        Ok(())
    }

    /// Returns when it is found. What fails is told by the disk.
    async fn finish(self, tiered: Arc<Tiered>, key: Key, stored: Arc<Stored>) {
        let Self { disk, task, waiting, .. } = self;
        let Ok(Ok(incoming)) = task.await else { return };
        let metadata = metadata(key, &stored);
        let finished = spawn_blocking(move || {
            let incoming = written(incoming, &waiting)?;
            let bytes = incoming.length();
            incoming.finish(metadata)?;
            disk.flush();
            io::Result::Ok(bytes)
        });
        if let Ok(Ok(bytes)) = finished.await {
            (tiered.tell)(stored.weight() + bytes);
        }
    }
}

fn written(mut incoming: Incoming, pieces: &[Bytes]) -> io::Result<Incoming> {
    pieces.iter().try_for_each(|piece| incoming.write(piece))?;
    Ok(incoming)
}
