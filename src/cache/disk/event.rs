//! What befalls a disk store, for metrics and logs. None of it fails a request.

use std::io::ErrorKind;

use super::format::Unreadable;

/// Told to the observer of a store, from the thread it happens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something could not be written: the disk is full, or read-only, or fails.
    WriteFailed(ErrorKind),
    /// A response is not written because writing failed a short time ago.
    Skipped,
    /// A response is not written because too much waits to be written already.
    Overloaded,
    /// Looking for a response took too long; it is taken for not there.
    Slow,
    /// A response was found, and could be read so far.
    Served,
    /// So many responses were written, and are found from now on.
    Written { responses: u64 },
    /// A stored response could not be read; it is removed.
    ReadFailed(ErrorKind),
    /// A stored response is not what was written; it is removed.
    Damaged,
    /// A file cannot be used, and is removed.
    FileUnusable { name: String, why: Unreadable },
    /// A segment was not complete and was read record by record: so many responses were found in it.
    Recovered { name: String, responses: usize },
    /// What was purged is not known for certain; everything was removed.
    PurgesLost,
    /// A segment was removed: responses that were kept by appending them anew, and those that are gone.
    Evicted { kept: u64, gone: u64 },
}
