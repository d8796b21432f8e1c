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
use crate::cache::disk::incoming::Incoming;
use crate::cache::key::Key;
use crate::cache::memory::Stored;

/// Takes in the content of a response. Dropped before it is [finished](Self::finish), it leaves nothing.
pub struct Intake {
    tiered: Arc<Tiered>,
    writer: Writer,
    spill: Spill,
}

/// What comes past the limit of memory.
enum Spill {
    /// Nothing has.
    NotYet,
    /// On its way to the disk: pieces that wait, and their bytes.
    Writing(JoinHandle<io::Result<Incoming>>, Vec<Bytes>, usize),
    /// The disk is full or too slow, or there is none.
    GivenUp,
}

/// Bytes that are written at once.
const BATCH: usize = 1 << 20;
/// Bytes that may wait for the disk; with more of them, the origin is waited with.
const MOST_WAITING: usize = 8 << 20;
/// For how long; then the content is passed on without being stored.
const PATIENCE: Duration = Duration::from_millis(100);

impl Intake {
    /// Content that `writer` brings to its readers. What `writer` does not keep goes to the disk.
    #[must_use]
    pub fn new(tiered: Arc<Tiered>, writer: Writer) -> Self {
        Self { tiered, writer, spill: Spill::NotYet }
    }

    /// Appends a piece; see [`Writer::push`].
    ///
    /// # Errors
    /// When the content is not kept in memory and nobody reads it any more.
    pub async fn push(&mut self, piece: &[u8]) -> Result<(), Broken> {
        let piece = Bytes::copy_from_slice(piece);
        self.writer.append(piece.clone()).await?;
        if let Some(kept) = self.writer.take_spilled() {
            self.spill = Spill::begin(&self.tiered, kept);
        }
        self.spill.push(piece).await;
        Ok(())
    }

    /// Ends the content and stores the response that `make` makes of what is kept in memory of it, which is all or nothing.
    pub fn finish(self, key: Key, make: impl FnOnce(Content) -> Option<Arc<Stored>>) {
        let Self { tiered, writer, spill } = self;
        if let Some(content) = writer.finish() {
            if let Some(stored) = make(content) {
                tiered.put(key, stored);
            }
        } else if let Spill::Writing(task, waiting, _) = spill
            && let Some(stored) = make(Content::default())
        {
            let metadata = metadata(key, &stored);
            tokio::spawn(async move {
                let Ok(Ok(incoming)) = task.await else { return };
                // What fails is told by the store.
                let _ = spawn_blocking(move || written(incoming, &waiting)?.finish(metadata)).await;
            });
        }
    }
}

impl Spill {
    fn begin(tiered: &Tiered, kept: Vec<Bytes>) -> Self {
        let Some(disk) = tiered.disk() else { return Self::GivenUp };
        let task = spawn_blocking(move || {
            let incoming = disk.begin().ok_or(io::ErrorKind::StorageFull)?;
            written(incoming, &kept)
        });
        Self::Writing(task, Vec::new(), 0)
    }

    async fn push(&mut self, piece: Bytes) {
        let Self::Writing(task, waiting, bytes) = self else { return };
        *bytes += piece.len();
        waiting.push(piece);
        let is_due = *bytes >= BATCH && (task.is_finished() || *bytes >= MOST_WAITING);
        if !is_due {
            return;
        }
        *self = match timeout(PATIENCE, &mut *task).await {
            Ok(Ok(Ok(incoming))) => {
                let waiting = mem::take(waiting);
                Self::Writing(spawn_blocking(move || written(incoming, &waiting)), Vec::new(), 0)
            }
            _ => Self::GivenUp,
        };
    }
}

fn written(mut incoming: Incoming, pieces: &[Bytes]) -> io::Result<Incoming> {
    pieces.iter().try_for_each(|piece| incoming.write(piece))?;
    Ok(incoming)
}
