//! Content that one writer brings while many readers follow it.
//!
//! Up to a limit all of it is kept, and a reader that comes late begins at the start. Past the limit the content will not
//! be stored: no reader may join, the writer waits for the fastest reader, and what lies far behind the writer is dropped.
//! A reader that is slower than that is cut off rather than holding up the others. So memory is bounded whatever the
//! content's length and whoever reads slowly.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use super::Content;

/// How far, in bytes, the writer of content that is not kept may be ahead of the fastest reader.
pub(super) const LEAD: u64 = 1 << 20;
/// How far behind the writer such content is still there for slower readers.
pub(super) const TAIL: u64 = 4 << 20;

/// Bytes that all content on its way may take together. What finds no room is passed on and not kept.
#[derive(Debug)]
pub struct Budget {
    used: AtomicU64,
    max: u64,
}

impl Budget {
    #[must_use]
    pub const fn new(max: u64) -> Self {
        Self { used: AtomicU64::new(0), max }
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn take(&self, bytes: u64) -> bool {
        let fits = |used: u64| used.checked_add(bytes).filter(|used| *used <= self.max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    pub(super) fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The content cannot be had to its end: the origin failed, or the reader fell too far behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the content broke off")]
pub struct Broken;

/// Where readers join.
#[derive(Debug, Clone)]
pub struct Fill(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    /// Read by many, changed by the writer.
    pub(super) progress: watch::Sender<Progress>,
    /// Apart from the progress, so that readers wake the writer alone.
    readers: watch::Sender<Readers>,
    /// A reader joins, or the writer stops keeping what they would begin with: one after the other.
    joining: Mutex<()>,
}

#[derive(Debug, Default)]
struct Readers {
    count: usize,
    /// How far the fastest has come, in bytes.
    furthest: u64,
}

#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) pieces: VecDeque<Bytes>,
    /// How many pieces before the first were dropped, and their bytes.
    dropped: (usize, u64),
    /// Bytes so far, dropped ones too.
    pub(super) length: u64,
    /// Whether it is only passed on.
    is_passing: bool,
    end: Option<Result<(), Broken>>,
}

/// Brings the content. Dropped before its [`end`](Writer::end), it leaves the readers [`Broken`] content.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    limit: u64,
    budget: Arc<Budget>,
    taken: u64,
    readers: watch::Receiver<Readers>,
    /// What was kept when keeping ended.
    spilled: Option<Vec<Bytes>>,
}

/// Follows the content.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    progress: watch::Receiver<Progress>,
    /// Pieces and bytes read.
    position: (usize, u64),
}

impl Fill {
    /// Content of which up to `limit` bytes are kept, as far as the budget goes.
    #[must_use]
    pub fn new(limit: u64, budget: Arc<Budget>) -> (Self, Writer) {
        let shared = Shared {
            progress: watch::Sender::new(Progress::default()),
            readers: watch::Sender::new(Readers::default()),
            joining: Mutex::new(()),
        };
        let shared = Arc::new(shared);
        let readers = shared.readers.subscribe();
        (Self(shared.clone()), Writer { shared, limit, budget, taken: 0, readers, spilled: None })
    }

    /// Content that is passed on to one reader and not kept.
    #[must_use]
    pub fn passing(budget: Arc<Budget>) -> (Reader, Writer) {
        let (fill, writer) = Self::new(0, budget);
        fill.0.progress.send_modify(|progress| progress.is_passing = true);
        (fill.join(), writer)
    }

    fn join(&self) -> Reader {
        self.0.readers.send_modify(|readers| readers.count += 1);
        Reader { shared: self.0.clone(), progress: self.0.progress.subscribe(), position: (0, 0) }
    }

    /// A reader from the start; `None` if that is no longer kept.
    #[must_use]
    pub fn reader(&self) -> Option<Reader> {
        let _joining = self.0.joining.lock().unwrap_or_else(PoisonError::into_inner);
        let is_passing = self.0.progress.borrow().is_passing;
        (!is_passing).then(|| self.join())
    }
}

impl Writer {
    /// All of the content, if it is kept and ends with this piece. Readers see neither the piece nor the end before
    /// [`end`](Self::end): whoever has read all of it finds it stored.
    #[must_use]
    pub fn whole_with(&mut self, last: &Bytes) -> Option<Content> {
        if !self.has_room(last.len() as u64) {
            self.stop_keeping();
            return None;
        }
        let mut pieces: Vec<_> = self.shared.progress.borrow().pieces.iter().cloned().collect();
        pieces.extend((!last.is_empty()).then(|| last.clone()));
        Some(Content::new(pieces))
    }

    /// Ends the content with this piece.
    pub fn end(self, last: Bytes) {
        self.shared.progress.send_modify(|progress| {
            progress.length += last.len() as u64;
            if !last.is_empty() {
                progress.pieces.push_back(last);
            }
            progress.end = Some(Ok(()));
        });
    }

    /// Takes room for so many bytes more, if they are to be kept.
    fn has_room(&mut self, size: u64) -> bool {
        let (length, is_passing) = {
            let progress = self.shared.progress.borrow();
            (progress.length, progress.is_passing)
        };
        let fits = !is_passing && length + size <= self.limit && self.budget.take(size);
        self.taken += if fits { size } else { 0 };
        fits
    }

    /// Appends a piece. Waits only where content is passed on and all readers are a window behind.
    ///
    /// # Errors
    /// When the content is not kept and nobody reads it any more, so that there is no use in more of it.
    pub async fn push(&mut self, piece: &[u8]) -> Result<(), Broken> {
        self.append(Bytes::copy_from_slice(piece)).await
    }

    /// The same for a piece that keeps no more memory than its own.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn append(&mut self, piece: Bytes) -> Result<(), Broken> {
        if piece.is_empty() {
            return Ok(());
        }
        let size = piece.len() as u64;
        if !self.has_room(size) {
            self.stop_keeping();
            let length = self.shared.progress.borrow().length;
            self.wait_for_a_reader(length).await?;
        }
        self.shared.progress.send_modify(|progress| {
            progress.pieces.push_back(piece);
            progress.length += size;
            if progress.is_passing {
                progress.drop_what_is_behind();
            }
        });
        Ok(())
    }

    /// Resolves once the content is not kept and nobody reads it any more: there is no use in more of it.
    pub async fn deserted(&mut self) {
        // Only the writer itself stops keeping it.
        let is_passing = self.shared.progress.borrow().is_passing;
        if !is_passing || self.readers.wait_for(|readers| readers.count == 0).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Once, after the piece with which keeping ended: all before that piece, in order.
    #[must_use]
    pub fn take_spilled(&mut self) -> Option<Vec<Bytes>> {
        self.spilled.take()
    }

    fn stop_keeping(&mut self) {
        let _joining = self.shared.joining.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = None;
        self.shared.progress.send_if_modified(|progress| {
            if !std::mem::replace(&mut progress.is_passing, true) {
                kept = Some(progress.pieces.iter().cloned().collect());
            }
            kept.is_some()
        });
        self.spilled = kept.or(self.spilled.take());
        self.budget.give_back(std::mem::take(&mut self.taken));
    }

    async fn wait_for_a_reader(&mut self, length: u64) -> Result<(), Broken> {
        let is_near = |readers: &Readers| length.saturating_sub(readers.furthest) < LEAD;
        let readers = self.readers.wait_for(|readers| readers.count == 0 || is_near(readers)).await;
        if readers.map_err(|_| Broken)?.count == 0 { Err(Broken) } else { Ok(()) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.budget.give_back(self.taken);
        self.shared.progress.send_if_modified(|progress| {
            let unfinished = progress.end.is_none();
            progress.end.get_or_insert(Err(Broken)).is_err() && unfinished
        });
    }
}

impl Progress {
    fn drop_what_is_behind(&mut self) {
        while let Some(first) = self.pieces.front() {
            let (pieces, bytes) = self.dropped;
            let after = bytes + first.len() as u64;
            if after + TAIL > self.length {
                return;
            }
            self.dropped = (pieces + 1, after);
            self.pieces.pop_front();
        }
    }

    /// The piece of this number; `None` if it is still to come.
    fn piece(&self, number: usize) -> Option<Result<Bytes, Broken>> {
        match number.checked_sub(self.dropped.0) {
            Some(index) => self.pieces.get(index).cloned().map(Ok),
            None => Some(Err(Broken)),
        }
    }
}

impl Reader {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When the writer gave up, or this reader is too far behind.
    pub async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        loop {
            let (piece, end) = {
                let progress = self.progress.borrow_and_update();
                (progress.piece(self.position.0), progress.end)
            };
            match (piece, end) {
                (Some(Ok(piece)), _) => {
                    let position = self.position.1 + piece.len() as u64;
                    self.position = (self.position.0 + 1, position);
                    self.shared.readers.send_if_modified(|readers| {
                        let is_first = position > readers.furthest;
                        readers.furthest = position.max(readers.furthest);
                        is_first
                    });
                    return Some(Ok(piece));
                }
                (Some(Err(Broken)), _) | (None, Some(Err(Broken))) => return Some(Err(Broken)),
                (None, Some(Ok(()))) => return None,
                (None, None) => self.progress.changed().await.ok()?,
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.readers.send_modify(|readers| readers.count = readers.count.saturating_sub(1));
    }
}
