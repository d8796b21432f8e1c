//! Files that are replaced whole. Whoever reads one finds it as it was or as it is now, never half: the new text is
//! written beside it, brought to the disk, and renamed over it. Two who change the same file wait for each other.
//!
//! The new file is the lock as well: who makes it may replace the old one. So no lock file lies about, and a crash
//! leaves none that is locked.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// The largest file that is read: room for more keys than a directory may have.
const LARGEST_BYTES: u64 = 256 * 1024 * 1024;
/// Of a file that was not there before: a list of who may call is nobody else's business.
const MODE_OF_NEW: u32 = 0o600;

/// Why a file cannot be read or replaced.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {path}")]
pub struct FileError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    /// The file can be read, and says something else than it should.
    pub(super) fn unfit(path: &Path, reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let source = io::Error::new(io::ErrorKind::InvalidData, reason);
        Self { what: "understand", path: path.to_owned(), source }
    }
}

fn cannot(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError { what, path: path.to_owned(), source }
}

/// The text of a file; `None` if there is none.
///
/// # Errors
/// When it cannot be read, is larger than 256 MiB, or is not UTF-8.
pub fn read(path: &Path) -> Result<Option<String>, FileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot("open", path)(error)),
    };
    let mut text = String::new();
    let read = file.take(LARGEST_BYTES + 1).read_to_string(&mut text).map_err(cannot("read", path))?;
    if read as u64 > LARGEST_BYTES {
        return Err(FileError::unfit(path, "it is larger than 256MiB"));
    }
    Ok(Some(text))
}

/// The right to replace one file, alone. Given back when dropped.
#[derive(Debug)]
pub struct LockedFile {
    path: PathBuf,
    /// The new file, beside the old one, and where.
    fresh: File,
    fresh_path: PathBuf,
    renamed: bool,
}

impl LockedFile {
    /// Waits until nobody else changes the file. A symbolic link is followed, so that it stays one.
    ///
    /// # Errors
    /// When a file cannot be made beside it.
    pub fn wait_for(path: &Path) -> Result<Self, FileError> {
        let path = match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            found => found.map_err(cannot("find", path))?,
        };
        let fresh_path = beside(&path)?;
        loop {
            let fresh = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false) // it is not ours yet
                .mode(MODE_OF_NEW)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&fresh_path)
                .map_err(cannot("open", &fresh_path))?;
            flock(&fresh, FlockOperation::LockExclusive)
                .map_err(io::Error::from)
                .map_err(cannot("lock", &fresh_path))?;
            // While this waited, the other may have renamed what was opened: then it is the file itself by now.
            if is_at(&fresh, &fresh_path).map_err(cannot("look at", &fresh_path))? {
                return Ok(Self { path, fresh, fresh_path, renamed: false });
            }
        }
    }

    /// As [`read`].
    ///
    /// # Errors
    /// The same.
    pub fn read(&self) -> Result<Option<String>, FileError> {
        read(&self.path)
    }

    /// Gives the file a new text. It keeps its owner and its mode; a new one has mode 0600.
    ///
    /// # Errors
    /// When any step fails, also that of keeping the owner. The file is as it was then; unless the very last step
    /// fails, to bring the directory to the disk.
    pub fn replace(mut self, text: &str) -> Result<(), FileError> {
        self.fresh.set_len(0).map_err(cannot("empty", &self.fresh_path))?;
        self.keep_owner_and_mode()?;
        self.fresh.write_all(text.as_bytes()).map_err(cannot("write", &self.fresh_path))?;
        self.fresh.sync_all().map_err(cannot("bring to the disk", &self.fresh_path))?;
        fs::rename(&self.fresh_path, &self.path).map_err(cannot("replace", &self.path))?;
        self.renamed = true;
        let folder = File::open(folder_of(&self.path)).and_then(|folder| folder.sync_all());
        folder.map_err(cannot("bring to the disk", &self.path))
    }

    /// A proxy that runs as another user must be able to read it as before.
    fn keep_owner_and_mode(&self) -> Result<(), FileError> {
        let of_old = |error| cannot("keep owner and mode of", &self.path)(error);
        let old = match fs::metadata(&self.path) {
            Ok(old) => old,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(of_old(error)),
        };
        let new = self.fresh.metadata().map_err(of_old)?;
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            fchown(&self.fresh, Some(old.uid()), Some(old.gid())).map_err(of_old)?;
        }
        self.fresh.set_permissions(Permissions::from_mode(old.mode() & 0o7777)).map_err(of_old)
    }
}

impl Drop for LockedFile {
    /// Nobody else takes the new file's name before the lock is gone, which it is when `fresh` is closed.
    fn drop(&mut self) {
        if !self.renamed {
            drop(fs::remove_file(&self.fresh_path));
        }
    }
}

/// Hidden, and always the same: what a crash left behind is used again.
fn beside(path: &Path) -> Result<PathBuf, FileError> {
    let Some(name) = path.file_name() else { return Err(FileError::unfit(path, "it is no file")) };
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    Ok(path.with_file_name(hidden))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// Whether an open file is the one at `path`.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
