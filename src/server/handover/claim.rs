//! `upgrade.sock`: bound under another name first, and moved into place in one step, so that there is never a moment
//! without it or with a half-made one.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use super::HandoverError;
use crate::server::runtime_dir::RuntimeDirectory;

/// The name of the upgrade socket, in the making or taken.
#[derive(Debug)]
pub(super) struct Claim {
    listener: Option<UnixListener>,
    temporary: PathBuf,
    path: PathBuf,
    /// Device and inode; what has the name later but not these is somebody else's.
    identity: (u64, u64),
}

impl Claim {
    /// Binds under a temporary name.
    pub(super) fn prepare(directory: &RuntimeDirectory) -> Result<Self, HandoverError> {
        let path = directory.upgrade_socket();
        let temporary = path.with_extension(format!("{}", std::process::id()));
        // Left by a process with the same id that died in between.
        drop(fs::remove_file(&temporary));
        let make = || {
            let listener = UnixListener::bind(&temporary)?;
            fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600))?;
            let meta = fs::symlink_metadata(&temporary)?;
            Ok((listener, (meta.dev(), meta.ino())))
        };
        let (listener, identity) = make().map_err(|source| cannot("bind", &temporary, source))?;
        Ok(Self { listener: Some(listener), temporary, path, identity })
    }

    /// Moves the socket into place.
    pub(super) fn publish(mut self) -> Result<(UnixListener, Self), HandoverError> {
        fs::rename(&self.temporary, &self.path).map_err(|source| cannot("replace", &self.path, source))?;
        let listener = self.listener.take().ok_or(HandoverError::Protocol("published twice"))?;
        Ok((listener, self))
    }

    /// Removes the socket from its place if it is still this one.
    pub(super) fn withdraw(&self) {
        let own = |meta: fs::Metadata| (meta.dev(), meta.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(own)
            && let Err(error) = fs::remove_file(&self.path)
        {
            log::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.listener.is_some() {
            drop(fs::remove_file(&self.temporary));
        }
    }
}

/// An error if a process answers on the upgrade socket.
pub(super) fn refuse_beside_another(path: &Path) -> Result<(), HandoverError> {
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(());
        }
        Err(error) => return Err(cannot("look for another edgeward at", path, error)),
    };
    // The kernel names the process that listens, even if it never accepts.
    let credentials = rustix::net::sockopt::socket_peercred(&stream).ok();
    let pid = credentials.and_then(|credentials| u32::try_from(credentials.pid.as_raw_pid()).ok());
    Err(HandoverError::AlreadyRunning { path: path.to_owned(), pid })
}

/// The error of something tried with a file.
pub(super) fn cannot(what: &'static str, path: &Path, source: io::Error) -> HandoverError {
    HandoverError::File { what, path: path.to_owned(), source }
}
