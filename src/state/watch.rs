//! Notices that files were changed, replaced or linked elsewhere, so that a policy or certificate is loaded again.
//!
//! It looks when it is asked, typically once a second: `stat` works on every file system, in every container and
//! across bind mounts, where inotify does not tell of all of them (network file systems, a replaced directory). A
//! change is told once all files have stayed the same from one look to the next, so that a certificate and its key,
//! written one after the other, are seen together.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Files under watch, and how they were last seen.
#[derive(Debug)]
pub struct Watched {
    files: Vec<PathBuf>,
    history: History,
}

impl Watched {
    /// Watches these files from what they are now. A file that is missing is watched too.
    #[must_use]
    pub fn new(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut files: Vec<PathBuf> = files.into_iter().collect();
        files.sort_unstable();
        files.dedup();
        let history = History::new(look(&files));
        Self { files, history }
    }

    /// Looks at every file (two system calls for each and one for each directory above it) and gives those that
    /// changed and then stayed the same since the last call. Empty most of the time.
    ///
    /// A file that vanished is told when it is back, for there is nothing to load before.
    pub fn poll(&mut self) -> Vec<&Path> {
        let changed = self.history.see(look(&self.files));
        changed.into_iter().filter_map(|index| self.files.get(index).map(PathBuf::as_path)).collect()
    }
}

/// What makes a file the same file with the same content.
///
/// The change time catches what keeps the modification time (`cp -p`, `touch -d`), and nobody can set it back. The
/// resolved path catches a link that now leads elsewhere, as Kubernetes' `..data` does, even to a file that looks the
/// same.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    resolved: PathBuf,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let resolved = fs::canonicalize(path).ok()?;
        let meta = fs::metadata(&resolved).ok()?;
        Some(Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            resolved,
        })
    }
}

fn look(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|file| Stamp::of(file)).collect()
}

/// The decision, apart from the file system.
#[derive(Debug)]
struct History {
    /// As told last.
    told: Vec<Option<Stamp>>,
    /// As seen last.
    seen: Vec<Option<Stamp>>,
}

impl History {
    fn new(seen: Vec<Option<Stamp>>) -> Self {
        Self { told: seen.clone(), seen }
    }

    /// Takes in what was seen now; gives the positions of what changed, once nothing moves any more.
    fn see(&mut self, now: Vec<Option<Stamp>>) -> Vec<usize> {
        let still = now == self.seen;
        self.seen = now;
        if !still {
            return Vec::new();
        }
        let mut changed = Vec::new();
        for (index, (told, seen)) in self.told.iter_mut().zip(&self.seen).enumerate() {
            if seen.is_some() && told != seen {
                told.clone_from(seen);
                changed.push(index);
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests;
