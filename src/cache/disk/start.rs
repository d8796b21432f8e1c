//! Finds again what a process before this one stored: the index of each segment is read, and where a crash left none, the
//! segment itself.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::io::Errno;

use super::event::Event;
use super::format::Entry;
use super::index::Place;
use super::log::{Log, Sealed, write_index};
use super::segment::{Fault, Segment};
use super::shared::Shared;
use super::{body, segment_name, segment_number};

/// A log of what is there, and the latest epoch of it.
///
/// # Errors
/// When the directory or a file cannot be read. Files that are damaged are removed instead, as what cannot be read is no loss
/// and takes space; but not for want of rights, memory or descriptors.
pub fn start(shared: Arc<Shared>) -> io::Result<(Log, u64)> {
    let (mut segments, mut next_body) = (Vec::new(), 1);
    let mut log = Log::new(shared, 1);
    for (name, length) in log.shared.volume.files()? {
        if let Some(number) = segment_number(&name) {
            segments.push((number, length));
        } else if let Some(file) = body::number(&name) {
            log.bodies.add(file, length);
            log.shared.used.fetch_add(length, Ordering::Relaxed);
            next_body = next_body.max(file.saturating_add(1));
        }
    }
    log.shared.next_body.store(next_body, Ordering::Relaxed);
    segments.sort_unstable();
    let mut epoch = 0;
    for (number, length) in segments {
        log.next_segment = number.saturating_add(1);
        if let Some((segment, entries, length)) = open(&log.shared, number, length)? {
            epoch =
                entries.iter().filter(|entry| !entry.is_gone).map(|entry| entry.epoch).fold(epoch, u64::max);
            take_in(&mut log, segment, &entries, length);
        }
    }
    for file in log.bodies.orphans() {
        log.disown(file);
    }
    log.note_epoch();
    log.make_room(0);
    Ok((log, epoch))
}

/// A segment with its entries and its length; `None` if there is nothing in it.
fn open(shared: &Shared, number: u32, length: u64) -> io::Result<Option<(Segment, Vec<Entry>, u64)>> {
    let name = segment_name(number);
    let opened = (|| {
        let segment = Segment::open(shared.volume.open(&name)?, number, shared.keys.as_ref())?;
        match segment.entries(length)? {
            Some(entries) => Ok((segment, entries, length)),
            None => recover(shared, segment, length),
        }
    })();
    match opened {
        Ok((_, entries, _)) if entries.is_empty() => {}
        Ok(opened) => return Ok(Some(opened)),
        Err(Fault::Unreadable(why)) => shared.tell(&Event::FileUnusable { name: name.clone(), why }),
        Err(Fault::Io(error)) if Errno::from_io_error(&error) == Some(Errno::IO) => {
            shared.tell(&Event::ReadFailed(error.kind()));
        }
        Err(Fault::Io(error)) => return Err(error),
    }
    shared.remove_file(&name);
    Ok(None)
}

/// Reads a segment that has no index, and gives it one.
fn recover(shared: &Shared, segment: Segment, length: u64) -> Result<(Segment, Vec<Entry>, u64), Fault> {
    let (entries, end) = segment.scan(length)?;
    let responses = entries.iter().filter(|entry| !entry.is_gone).count();
    shared.tell(&Event::Recovered { name: segment_name(segment.number), responses });
    // Without the index it is read the same way the next time.
    let completed = segment.file.cut(end).and_then(|()| write_index(&segment, end, &entries, shared));
    let length = completed.or_else(|_| segment.file.length())?;
    Ok((segment, entries, length))
}

fn take_in(log: &mut Log, segment: Segment, entries: &[Entry], bytes: u64) {
    let segment = Arc::new(segment);
    let epochs = entries.iter().filter(|entry| !entry.is_gone).map(|entry| entry.epoch);
    let epoch = epochs.min().unwrap_or(u64::MAX);
    let mut sealed = Sealed { segment: segment.clone(), bytes, weight: bytes, epoch };
    log.shared.used.fetch_add(bytes, Ordering::Relaxed);
    log.shared.add_segment(segment);
    for entry in entries {
        sealed.weight += log.replay(&sealed, entry);
    }
    log.sealed.push_back(sealed);
}

impl Log {
    /// Does again what an entry tells. Bytes of the body's own file.
    fn replay(&mut self, sealed: &Sealed, entry: &Entry) -> u64 {
        if entry.is_gone {
            let is_meant =
                |place: &Place| u64::from(place.segment) << 32 | u64::from(place.offset) == entry.other;
            let gone = self.shared.index.remove(entry.key, is_meant);
            for place in &gone {
                self.leave(place);
            }
            return 0;
        }
        let place = sealed.place(entry);
        let mut bytes = 0;
        if entry.other != 0 {
            // A number is not used again while a record that may mean the former file is there.
            self.shared.next_body.fetch_max(entry.other.saturating_add(1), Ordering::Relaxed);
            // Its body went when it was replaced or removed.
            let Some(found) = self.bodies.bytes(entry.other) else { return 0 };
            bytes = found;
            self.bodies.assign(entry.other, &place);
        }
        let gone = self.shared.index.insert(entry.key, place);
        for place in &gone {
            self.leave(place);
        }
        bytes
    }
}
