//! A stored body on its way out.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::Body;
use crate::cache::content::Broken;
use crate::cache::disk::body::Reader;
use crate::cache::disk::segment::Patience;

/// Gives a range of a body, piece by piece. No more than one piece of what is on disk is in memory at a time.
#[derive(Debug)]
pub struct Outlet(Rest);

#[derive(Debug)]
enum Rest {
    Memory(VecDeque<Bytes>),
    Disk(Reader, Range<u64>),
}

impl Outlet {
    /// What lies in a range of bytes.
    #[must_use]
    pub fn new(body: &Body, range: Range<u64>) -> Self {
        Self(match body {
            Body::Memory(content) => Rest::Memory(content.part(&range).collect()),
            Body::Disk(reader, _) => Rest::Disk(reader.clone(), range.start..range.end.min(reader.len())),
        })
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When the disk fails, or what is on it is damaged. What came before is right.
    pub async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        match &mut self.0 {
            Rest::Memory(pieces) => pieces.pop_front().map(Ok),
            Rest::Disk(_, range) if range.is_empty() => None,
            Rest::Disk(reader, range) => {
                let piece = read(reader, range).await;
                range.start = piece.as_ref().map_or(range.end, |piece| range.start + piece.len() as u64);
                Some(piece)
            }
        }
    }
}

async fn read(reader: &Reader, range: &Range<u64>) -> Result<Bytes, Broken> {
    let piece = match reader.read(range, Patience::None) {
        Err(fault) if fault.is_impatience() => {
            let (reader, range) = (reader.clone(), range.clone());
            spawn_blocking(move || reader.read(&range, Patience::Any)).await.map_err(|_| Broken)?
        }
        read => read,
    };
    piece.ok().filter(|piece| !piece.is_empty()).ok_or(Broken)
}
