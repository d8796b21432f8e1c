//! A body on disk on its way out.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Outside;
use crate::cache::content::Broken;
use crate::cache::disk::segment::{Fault, Patience};

/// How long a disk may take for a piece of a response that has begun.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gives parts of a body, piece by piece. No more than one piece of it is in memory at a time.
pub struct Outlet {
    outside: Arc<Outside>,
    portions: VecDeque<Portion>,
}

/// What is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Portion {
    /// These bytes.
    Bytes(Bytes),
    /// This range of the body, in bytes.
    Part(Range<u64>),
}

impl Outlet {
    /// One after the other.
    #[must_use]
    pub fn new(outside: Arc<Outside>, portions: impl IntoIterator<Item = Portion>) -> Self {
        Self { outside, portions: portions.into_iter().collect() }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When the disk fails or is too slow, or what is on it is damaged: it is not found any more then. What came before is
    /// right.
    pub async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        loop {
            let range = match self.portions.front_mut()? {
                Portion::Part(range) if range.start < range.end.min(self.outside.length()) => range,
                Portion::Part(_) => {
                    self.portions.pop_front();
                    continue;
                }
                Portion::Bytes(bytes) => {
                    let bytes = std::mem::take(bytes);
                    self.portions.pop_front();
                    return Some(Ok(bytes));
                }
            };
            let piece = read(&self.outside, range.clone()).await;
            return Some(match piece {
                Ok(piece) => {
                    range.start += piece.len() as u64;
                    Ok(piece)
                }
                Err(fault) => {
                    self.portions.clear();
                    self.outside.fail(&fault);
                    Err(Broken)
                }
            });
        }
    }
}

/// At least a byte.
async fn read(outside: &Arc<Outside>, range: Range<u64>) -> Result<Bytes, Fault> {
    match outside.reader.read(&range, Patience::None) {
        Err(fault) if fault.is_impatience() => {}
        read => return read,
    }
    let outside = outside.clone();
    let reading = spawn_blocking(move || outside.reader.read(&range, Patience::Any));
    let read = timeout(PATIENCE, reading).await.map_err(io::Error::from)?;
    // It was not cancelled, and does not panic.
    read.map_err(io::Error::other)?
}
