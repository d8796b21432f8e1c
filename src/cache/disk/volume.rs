//! The files of a disk store, and nothing else of an operating system: all input and output that may block goes through
//! here, so that tests can fill the disk, take its rights away, or tear a write.
//!
//! A volume is a flat directory. A file is written by its creator alone and read by anyone; it stays readable for whoever has
//! it open after it was removed.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, IoSliceMut};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

/// A file that is open.
pub trait File: Send + Sync {
    /// As many bytes as there are, up to all of `buffer`; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The same from memory alone.
    ///
    /// # Errors
    /// `WouldBlock` if not all of it is there.
    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    fn length(&self) -> io::Result<u64>;

    fn cut(&self, length: u64) -> io::Result<()>;

    /// Returns when all that was written would survive a loss of power.
    fn sync(&self) -> io::Result<()>;
}

/// A directory of files.
pub trait Volume: Send + Sync {
    /// Names and lengths of all files.
    fn files(&self) -> io::Result<Vec<(String, u64)>>;

    /// A new, empty file; there must be none of this name.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// To read, and to complete what a crash left.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Puts one file in the place of another at once, also for whoever looks after a loss of power.
    fn replace(&self, name: &str, by: &str) -> io::Result<()>;

    fn remove(&self, name: &str) -> io::Result<()>;

    /// The right to write here, which one process at a time has; `None` if another has it.
    fn lock(&self) -> io::Result<Option<Lock>>;
}

/// Ends when it is dropped, or the process ends in whatever way.
pub struct Lock(#[allow(dead_code, reason = "held, not used")] Box<dyn Send + Sync>);

impl Lock {
    #[must_use]
    pub fn new(held: impl Send + Sync + 'static) -> Self {
        Self(Box::new(held))
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Lock")
    }
}

/// A directory of the file system.
#[derive(Debug, Clone)]
pub struct Directory(PathBuf);

/// Locked, and never removed: a lock on a file that another has removed would lock nothing.
const LOCK: &str = "lock";

impl Directory {
    /// Creates it, for its owner alone, if it is not there.
    pub fn new(path: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Self(path.to_owned()))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        options
    }
}

impl Volume for Directory {
    fn files(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                files.push((name, metadata.len()));
            }
        }
        Ok(files)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(Plain(Self::options().create_new(true).open(self.at(name))?)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(Plain(Self::options().open(self.at(name))?)))
    }

    fn replace(&self, name: &str, by: &str) -> io::Result<()> {
        fs::rename(self.at(by), self.at(name))?;
        fs::File::open(&self.0)?.sync_all()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.at(name))
    }

    fn lock(&self) -> io::Result<Option<Lock>> {
        let file = Self::options().create(true).truncate(false).open(self.at(LOCK))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock::new(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

struct Plain(fs::File);

impl File for Plain {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        fill(buffer, offset, |part, at| self.0.read_at(part, at))
    }

    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        fill(buffer, offset, |part, at| {
            let read = preadv2(&self.0, &mut [IoSliceMut::new(part)], at, ReadWriteFlags::NOWAIT);
            // File systems that cannot tell what is in memory.
            read.map_err(
                |error| if error == Errno::OPNOTSUPP { ErrorKind::WouldBlock.into() } else { error.into() },
            )
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

fn fill(
    buffer: &mut [u8],
    offset: u64,
    read: impl Fn(&mut [u8], u64) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match read(rest, offset + done as u64) {
            Ok(0) => break,
            Ok(more) => done += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
