//! What was purged, on disk: written and synced before a purge counts as done, read before anything stored is.
//!
//! A batch that is not all there was never told to be done, and is left out. Of anything else that cannot be read nobody knows
//! what it purged; then all that is stored goes.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, BufMut};

use super::format::{HEAD, Header, Kind, Unreadable, closed, opened};
use super::seal::Seal;
use super::segment::{self, Fault};
use super::shared::Shared;
use super::volume::File;
use crate::cache::purge::{Scope, Trace, Traces, url_tag};

const NAME: &str = "purges";
const NEW: &str = "purges.new";
/// Bytes past which it is written anew with what still counts.
const LARGE: u64 = 8 << 20;

/// Appends what is purged.
pub struct Journal {
    shared: Arc<Shared>,
    end: Mutex<End>,
    /// How far it is synced. One who waits for another's sync often finds their own done with it.
    synced: Mutex<u64>,
}

struct End {
    file: Arc<dyn File>,
    seal: Seal,
    at: u64,
    /// Whether something was written that was not completed, so that nothing can follow it.
    is_torn: bool,
}

/// What is on disk of purges.
pub enum Found {
    Traces(Traces),
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
        Ok(traces) => Ok(Found::Traces(traces)),
        Err(Fault::Unreadable(_)) => Ok(Found::Nothing),
        Err(Fault::Io(error)) => Err(error),
    }
}

fn batches(file: &dyn File, seal: &Seal) -> Result<Traces, Fault> {
    let (length, mut at) = (file.length()?, HEAD as u64);
    let mut traces = Traces::default();
    while length.saturating_sub(at) >= HEAD as u64 {
        let mut head = [0; HEAD];
        file.read_at(&mut head, at)?;
        let mut rest = opened(&head, |bytes| seal.crc(bytes, at, &[])).ok_or(Unreadable::Damaged)?;
        let size = rest.get_u32_le();
        traces.epoch = traces.epoch.max(rest.get_u64_le());
        traces.swept = traces.swept.max(rest.get_u64_le());
        let (from, to) = (at + HEAD as u64, at + HEAD as u64 + u64::from(size));
        if to > length {
            break;
        }
        let mut bytes = vec![0; size as usize];
        file.read_at(&mut bytes, from)?;
        let batch = seal.open(&mut bytes, from, &head)?;
        traces.traces.extend(decoded(batch).ok_or(Unreadable::Damaged)?);
        at = to;
    }
    Ok(traces)
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

fn batch(traces: &Traces, seal: &Seal, at: u64) -> io::Result<Vec<u8>> {
    let mut content = encoded(&traces.traces);
    let mut head = Vec::with_capacity(HEAD);
    let size = u32::try_from(content.len() + seal.tag_bytes()).map_err(io::Error::other)?;
    head.put_u32_le(size);
    head.put_u64_le(traces.epoch);
    head.put_u64_le(traces.swept);
    let head = closed(head, |bytes| seal.crc(bytes, at, &[]));
    seal.seal(&mut content, 0, at + HEAD as u64, &head).map_err(io::Error::other)?;
    Ok([&head[..], &content].concat())
}

impl Journal {
    /// Writes a new file with all that still counts, in the place of the one there is.
    ///
    /// # Errors
    /// When it cannot be written; then purges would not hold.
    pub fn new(shared: Arc<Shared>, traces: &Traces) -> io::Result<Self> {
        let end = rewritten(&shared, traces)?;
        let synced = Mutex::new(end.at);
        Ok(Self { shared, end: Mutex::new(end), synced })
    }

    /// Appends a purge; when it returns, the purge holds whatever happens.
    ///
    /// # Errors
    /// When it cannot be written. Nothing can be appended from then on, until it is [rewritten](Self::rewrite).
    pub fn append(&self, traces: &Traces) -> io::Result<()> {
        let end = {
            let mut end = self.end();
            if end.is_torn {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let bytes = batch(traces, &end.seal, end.at)?;
            end.is_torn = true;
            end.file.write_at(&bytes, end.at)?;
            end.is_torn = false;
            end.at += bytes.len() as u64;
            self.shared.used.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            end.at
        };
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced < end {
            // It may have been written anew meanwhile, this batch and all.
            let (file, until) = {
                let end = self.end();
                (end.file.clone(), end.at)
            };
            file.sync()?;
            *synced = until;
        }
        Ok(())
    }

    /// Whether there is much in it that may no longer count.
    pub fn is_large(&self) -> bool {
        self.end().at > LARGE
    }

    /// Writes it anew with all that still counts.
    ///
    /// # Errors
    /// When it cannot be written; then it stays as it is.
    pub fn rewrite(&self, traces: impl FnOnce() -> Traces) -> io::Result<()> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        let mut end = self.end();
        // Not before: what is appended until then is in memory already.
        let new = rewritten(&self.shared, &traces())?;
        self.shared.give_back(end.at);
        *synced = new.at;
        *end = new;
        Ok(())
    }

    fn end(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rewritten(shared: &Shared, traces: &Traces) -> io::Result<End> {
    match shared.volume.remove(NEW) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let salt = shared.salt()?;
    let seal = Seal::new(shared.keys.as_ref(), shared.key, &salt).ok_or(io::ErrorKind::InvalidInput)?;
    let file = shared.volume.create(NEW)?;
    let header = Header { kind: Kind::Purges, key: shared.key, salt };
    let bytes = [&header.encode()[..], &batch(traces, &seal, HEAD as u64)?].concat();
    file.write_at(&bytes, 0)?;
    file.sync()?;
    shared.volume.replace(NAME, NEW)?;
    let at = bytes.len() as u64;
    shared.used.fetch_add(at, Ordering::Relaxed);
    Ok(End { file, seal, at, is_torn: false })
}
