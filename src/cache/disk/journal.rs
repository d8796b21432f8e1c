//! What was purged, on disk: written and synced before a purge counts as done, read before anything stored is.
//!
//! A batch that is not all there was never told to be done, and is left out. Of anything else that cannot be read nobody knows
//! what it purged; then all that is stored goes.
//!
//! Each batch says until where the purges of a fleet are in it and in those before it: a place that was asked for before the
//! batch was made. Batches are made one after another, of all that waits; so it is never ahead of what is written.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::{Buf, BufMut};

use super::format::{HEAD, Header, Kind, Unreadable, closed, opened};
use super::seal::Seal;
use super::segment::{self, Fault};
use super::shared::Shared;
use super::volume::File;
use crate::cache::fleet::Bookmark;
use crate::cache::purge::{Scope, Trace, Traces, url_tag};

const NAME: &str = "purges";
const NEW: &str = "purges.new";
/// Bytes past which it is written anew with what still counts.
const LARGE: u64 = 8 << 20;
/// Traces that may wait for a disk that is slow: with more of them, all that is stored is taken for purged after a restart.
const MOST_WAITING: usize = 2 << 20;

/// Says until where a fleet's purges were heard and handed over; `None` if what is noted is to stay.
pub type Ask = Box<dyn Fn() -> Option<Bookmark> + Send + Sync>;

/// Appends what is purged.
pub struct Journal {
    shared: Arc<Shared>,
    queue: Mutex<Queue>,
    end: Mutex<End>,
    ask: OnceLock<Ask>,
}

/// What waits while something is written.
#[derive(Default)]
struct Queue {
    waiting: Traces,
    /// Purges so far.
    count: u64,
    /// Whether somebody is about to write.
    is_seen_to: bool,
}

struct End {
    file: Arc<dyn File>,
    seal: Seal,
    at: u64,
    /// Whether something was written that was not completed, so that nothing can follow it.
    is_torn: bool,
    /// Purges that are written.
    written: u64,
    bookmark: Option<Bookmark>,
}

/// What is on disk of purges.
pub enum Found {
    Traces(Traces, Option<Bookmark>),
    /// No file, or one that is damaged or sealed with another key.
    Nothing,
}

/// Reads what a process before this one purged.
///
/// # Errors
/// When there is a file, and the system does not let it be read.
pub fn read(shared: &Shared) -> io::Result<Found> {
    let file = match shared.volume.open(NAME) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    let seal = segment::open(&*file, Kind::Purges, shared.keys.as_ref());
    match seal.and_then(|seal| batches(&*file, &seal)) {
        Ok((traces, bookmark)) => Ok(Found::Traces(traces, bookmark)),
        Err(Fault::Unreadable(_)) => Ok(Found::Nothing),
        Err(Fault::Io(error)) => Err(error),
    }
}

fn batches(file: &dyn File, seal: &Seal) -> Result<(Traces, Option<Bookmark>), Fault> {
    let (length, mut at) = (file.length()?, HEAD as u64);
    let (mut traces, mut bookmark) = (Traces::default(), None);
    while length.saturating_sub(at) >= HEAD as u64 {
        let mut head = [0; HEAD];
        file.read_at(&mut head, at)?;
        let mut rest = opened(&head, |bytes| seal.crc(bytes, at, &[])).ok_or(Unreadable::Damaged)?;
        let size = rest.get_u32_le();
        traces.epoch = traces.epoch.max(rest.get_u64_le());
        traces.swept = traces.swept.max(rest.get_u64_le());
        let noted = Bookmark::from_numbers([rest.get_u64_le(), rest.get_u64_le(), rest.get_u64_le()]);
        let (from, to) = (at + HEAD as u64, at + HEAD as u64 + u64::from(size));
        if to > length {
            break;
        }
        let mut bytes = vec![0; size as usize];
        file.read_at(&mut bytes, from)?;
        let batch = seal.open(&mut bytes, from, &head)?;
        traces.traces.extend(decoded(batch).ok_or(Unreadable::Damaged)?);
        bookmark = noted;
        at = to;
    }
    Ok((traces, bookmark))
}

/// Traces as they are written down.
#[must_use]
pub fn encoded(traces: &[Trace]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for trace in traces {
        encode(trace, &mut bytes);
    }
    bytes
}

/// What [`encoded`] wrote; `None` if it is anything else.
#[must_use]
pub fn decoded(mut bytes: &[u8]) -> Option<Vec<Trace>> {
    let mut traces = Vec::new();
    while !bytes.is_empty() {
        traces.push(decode(&mut bytes)?);
    }
    Some(traces)
}

fn encode(trace: &Trace, bytes: &mut Vec<u8>) {
    for number in [trace.hard, trace.soft, trace.soft_at] {
        bytes.put_u64_le(number);
    }
    match &trace.scope {
        Scope::All => bytes.put_u8(0),
        Scope::Tag(tag) => {
            bytes.put_u8(1);
            bytes.put_u64_le(*tag);
        }
        Scope::Url(url) => {
            bytes.put_u8(1);
            bytes.put_u64_le(url_tag(url));
        }
        Scope::Prefix(prefix) => {
            // A shorter prefix purges more.
            let prefix = prefix.as_bytes();
            let prefix = prefix.get(..usize::from(u16::MAX)).unwrap_or(prefix);
            bytes.put_u8(2);
            bytes.put_u16_le(u16::try_from(prefix.len()).unwrap_or(u16::MAX));
            bytes.put_slice(prefix);
        }
    }
}

fn decode(bytes: &mut &[u8]) -> Option<Trace> {
    let (hard, soft) = (bytes.try_get_u64_le().ok()?, bytes.try_get_u64_le().ok()?);
    let soft_at = bytes.try_get_u64_le().ok()?;
    let scope = match bytes.try_get_u8().ok()? {
        0 => Scope::All,
        1 => Scope::Tag(bytes.try_get_u64_le().ok()?),
        2 => {
            let length = bytes.try_get_u16_le().ok()?;
            let (prefix, rest) = bytes.split_at_checked(length.into())?;
            *bytes = rest;
            Scope::Prefix(String::from_utf8(prefix.to_vec()).ok()?)
        }
        _ => return None,
    };
    Some(Trace { scope, hard, soft, soft_at })
}

fn batch(traces: &Traces, bookmark: Option<Bookmark>, seal: &Seal, at: u64) -> io::Result<Vec<u8>> {
    let mut content = encoded(&traces.traces);
    let mut head = Vec::with_capacity(HEAD);
    let size = u32::try_from(content.len() + seal.tag_bytes()).map_err(io::Error::other)?;
    head.put_u32_le(size);
    head.put_u64_le(traces.epoch);
    head.put_u64_le(traces.swept);
    for number in Bookmark::to_numbers(bookmark) {
        head.put_u64_le(number);
    }
    let head = closed(head, |bytes| seal.crc(bytes, at, &[]));
    seal.seal(&mut content, 0, at + HEAD as u64, &head).map_err(io::Error::other)?;
    Ok([&head[..], &content].concat())
}

impl Journal {
    /// Writes a new file with all that still counts, in the place of the one there is.
    ///
    /// # Errors
    /// When it cannot be written; then purges would not hold.
    pub fn new(shared: Arc<Shared>, traces: &Traces, bookmark: Option<Bookmark>) -> io::Result<Self> {
        let end = Mutex::new(rewritten(&shared, traces, bookmark)?);
        Ok(Self { shared, queue: Mutex::default(), end, ask: OnceLock::new() })
    }

    /// Has batches say from now on how far the fleet's purges are in them.
    pub fn follow(&self, ask: Ask) {
        self.ask.get_or_init(|| ask);
    }

    /// Takes a purge; its number, to [write](Self::write) it by.
    pub fn queue(&self, purged: Traces) -> u64 {
        let mut queue = self.waiting();
        queue.waiting.traces.extend(purged.traces);
        queue.waiting.epoch = queue.waiting.epoch.max(purged.epoch);
        queue.waiting.swept = queue.waiting.swept.max(purged.swept);
        if queue.waiting.traces.len() > MOST_WAITING {
            let hard = queue.waiting.epoch;
            queue.waiting.traces = vec![Trace { scope: Scope::All, hard, soft: 0, soft_at: 0 }];
        }
        queue.count += 1;
        queue.count
    }

    /// Whether somebody must be called to write: nobody is about to.
    pub fn must_call(&self) -> bool {
        !std::mem::replace(&mut self.waiting().is_seen_to, true)
    }

    /// The last purge there is; whoever comes later must call somebody else.
    pub fn last(&self) -> u64 {
        let mut queue = self.waiting();
        queue.is_seen_to = false;
        queue.count
    }

    /// Writes purges up to a number, and all others that wait; when it returns, they hold whatever happens.
    ///
    /// # Errors
    /// When they cannot be written. Nothing can be appended from then on, until it is [rewritten](Self::rewrite) with them.
    pub fn write(&self, number: u64) -> io::Result<()> {
        let mut end = self.end();
        if end.written >= number {
            return Ok(());
        }
        // Before what waits is taken: what it speaks of waits then, or is written.
        let bookmark = self.bookmark(&end);
        let (waiting, count) = {
            let mut queue = self.waiting();
            (std::mem::take(&mut queue.waiting), queue.count)
        };
        self.append(&mut end, &waiting, bookmark)?;
        end.written = count;
        Ok(())
    }

    /// Writes how far the fleet's purges are in it, if that has changed.
    ///
    /// # Errors
    /// When it cannot be written. The purges that are written hold all the same.
    pub fn note(&self) -> io::Result<()> {
        let mut end = self.end();
        let bookmark = self.bookmark(&end);
        // With what waits, it is written anyway.
        let is_written = self.waiting().count == end.written;
        if is_written && bookmark != end.bookmark {
            self.append(&mut end, &Traces::default(), bookmark)?;
        }
        Ok(())
    }

    fn append(&self, end: &mut End, traces: &Traces, bookmark: Option<Bookmark>) -> io::Result<()> {
        // Of what is not synced nobody knows whether it is there.
        if std::mem::replace(&mut end.is_torn, true) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let bytes = batch(traces, bookmark, &end.seal, end.at)?;
        end.file.write_at(&bytes, end.at)?;
        end.at += bytes.len() as u64;
        self.shared.used.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        end.file.sync()?;
        end.is_torn = false;
        end.bookmark = bookmark;
        Ok(())
    }

    /// What is noted stays where nobody knows better: what was stored since is younger than that.
    fn bookmark(&self, end: &End) -> Option<Bookmark> {
        self.ask.get().and_then(|ask| ask()).or(end.bookmark)
    }

    /// Whether there is much in it that may no longer count.
    pub fn is_large(&self) -> bool {
        self.end().at > LARGE
    }

    /// Writes it anew with all that still counts, what waits among it.
    ///
    /// # Errors
    /// When it cannot be written; then it stays as it is.
    pub fn rewrite(&self, traces: impl FnOnce() -> Traces) -> io::Result<()> {
        let mut end = self.end();
        let (bookmark, written) = (self.bookmark(&end), self.waiting().count);
        // Not before: what is appended or waits until then is in memory already.
        let new = rewritten(&self.shared, &traces(), bookmark)?;
        self.shared.give_back(end.at);
        *end = End { written, ..new };
        Ok(())
    }

    fn end(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rewritten(shared: &Shared, traces: &Traces, bookmark: Option<Bookmark>) -> io::Result<End> {
    match shared.volume.remove(NEW) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let salt = shared.salt()?;
    let seal = Seal::new(shared.keys.as_ref(), shared.key, &salt).ok_or(io::ErrorKind::InvalidInput)?;
    let file = shared.volume.create(NEW)?;
    let header = Header { kind: Kind::Purges, key: shared.key, salt };
    let bytes = [&header.encode()[..], &batch(traces, bookmark, &seal, HEAD as u64)?].concat();
    file.write_at(&bytes, 0)?;
    file.sync()?;
    shared.volume.replace(NAME, NEW)?;
    let at = bytes.len() as u64;
    shared.used.fetch_add(at, Ordering::Relaxed);
    Ok(End { file, seal, at, is_torn: false, written: 0, bookmark })
}
