//! The runtime directory: where a running process is found by its successor.
//!
//! Who can write there can have the listening sockets and ticket keys of the process, so it belongs to the process's
//! own user, nobody else may write to it, and one process at a time owns it.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

/// Where it is when neither policy nor environment say.
const DEFAULT: &str = "/run/edgeward";
/// Bits that let the group or others write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// A directory that exists, is our own, and is written to by nobody else.
#[derive(Clone, Debug)]
pub struct RuntimeDirectory {
    path: PathBuf,
}

impl RuntimeDirectory {
    /// Finds it, creates it with mode 0700 if it is missing, and checks it.
    ///
    /// `configured` is the policy's `server.runtime_directory`; without it `$RUNTIME_DIRECTORY` counts (the first, if
    /// systemd made several), then `$XDG_RUNTIME_DIR/edgeward`, then `/run/edgeward`.
    ///
    /// # Errors
    /// When it cannot be created or is not safe.
    pub fn open(configured: Option<&Path>) -> Result<Self, RuntimeDirectoryError> {
        Self::at(&resolve(configured, |name| std::env::var_os(name)))
    }

    /// The same for a path that is settled.
    ///
    /// # Errors
    /// When it cannot be created or is not safe.
    pub fn at(path: &Path) -> Result<Self, RuntimeDirectoryError> {
        let cannot = |what| {
            let path = path.to_owned();
            move |source| RuntimeDirectoryError::Io { what, path, source }
        };
        let path = std::path::absolute(path).map_err(cannot("find"))?;
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(cannot("create")(error));
            }
            _ => {}
        }
        // systemd makes it a link of root's into a private directory under `DynamicUser=`.
        let own = rustix::process::geteuid().as_raw();
        let entry = fs::symlink_metadata(&path).map_err(cannot("inspect"))?;
        if entry.is_symlink() && entry.uid() != own && entry.uid() != 0 {
            return Err(RuntimeDirectoryError::Foreign { path, owner: entry.uid(), own });
        }
        let directory = fs::metadata(&path).map_err(cannot("inspect"))?;
        if !directory.is_dir() {
            return Err(RuntimeDirectoryError::NotADirectory(path));
        }
        check(path.clone(), directory.uid(), directory.mode(), own)?;
        Ok(Self { path })
    }

    /// Its absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The socket on which the process hands over to its successor.
    #[must_use]
    pub fn upgrade_socket(&self) -> PathBuf {
        self.path.join("upgrade.sock")
    }

    /// The file with the process id of the process that serves.
    #[must_use]
    pub fn pid_file(&self) -> PathBuf {
        self.path.join("edgeward.pid")
    }

    /// Writes a process id to the pid file, at once for whoever reads it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_pid(&self, pid: u32) -> io::Result<()> {
        let path = self.pid_file();
        let temporary = path.with_extension(format!("pid.{pid}"));
        let written = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(&temporary)
            .and_then(|mut file| file.write_all(format!("{pid}\n").as_bytes()))
            .and_then(|()| fs::rename(&temporary, &path));
        if written.is_err() {
            drop(fs::remove_file(&temporary));
        }
        written
    }

    /// Removes the pid file if it names this process id: a successor's stays.
    ///
    /// # Errors
    /// When the file cannot be read or removed. That it is gone already is no error.
    pub fn remove_pid(&self, pid: u32) -> io::Result<()> {
        let path = self.pid_file();
        match fs::read_to_string(&path) {
            Ok(text) if text.trim() == pid.to_string() => fs::remove_file(&path),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes the directory for a moment, so that of two processes that start at once only one finds it free. `None`
    /// while another process has it.
    pub(super) fn lock(&self) -> io::Result<Option<File>> {
        let directory = File::open(&self.path)?;
        match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(directory)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Why a directory cannot be the runtime directory.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeDirectoryError {
    /// The system said no.
    #[error("cannot {what} the runtime directory {path}; `server.runtime_directory` may name another")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else has the name.
    #[error("{0} is not a directory")]
    NotADirectory(PathBuf),
    /// Its owner could put a socket of his own there.
    #[error(
        "the runtime directory {path} belongs to uid {owner}, this process runs as uid {own}; `server.runtime_directory` may name another"
    )]
    Foreign {
        /// Where.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose it should be.
        own: u32,
    },
    /// Anybody of the group or at all could.
    #[error(
        "the runtime directory {path} has mode {mode:04o}: its group or others may write there; use 0700"
    )]
    Writable {
        /// Where.
        path: PathBuf,
        /// The permission bits.
        mode: u32,
    },
}

/// Settles the path from the policy and the environment. Empty values count as unset.
fn resolve(configured: Option<&Path>, environment: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    if let Some(path) = configured {
        return path.to_owned();
    }
    let set = |name| environment(name).filter(|value: &OsString| !value.is_empty());
    if let Some(list) = set("RUNTIME_DIRECTORY")
        && let Some(first) = std::env::split_paths(&list).find(|path| !path.as_os_str().is_empty())
    {
        return first;
    }
    set("XDG_RUNTIME_DIR").map_or_else(|| PathBuf::from(DEFAULT), |base| PathBuf::from(base).join("edgeward"))
}

fn check(path: PathBuf, owner: u32, mode: u32, own: u32) -> Result<(), RuntimeDirectoryError> {
    if owner != own {
        return Err(RuntimeDirectoryError::Foreign { path, owner, own });
    }
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Err(RuntimeDirectoryError::Writable { path, mode: mode & 0o7777 });
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests;
