//! Files of Unix sockets: whether somebody answers on one, and removing one that nobody answers on.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// What is found under the name of a Unix socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// The name is free.
    Nothing,
    /// A socket's file, left by a process that is gone.
    Stale,
    /// Somebody listens, or we cannot tell.
    Answers,
    /// Not a socket; certainly not ours to remove.
    Other,
}

/// Looks without waiting: a listener whose queue is full counts as answering.
pub(super) fn look(path: &Path) -> io::Result<Found> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
        Ok(meta) if !meta.file_type().is_socket() => return Ok(Found::Other),
        Ok(_) => {}
    }
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let probe = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&probe, &SocketAddrUnix::new(path)?) {
        Err(Errno::CONNREFUSED) => Ok(Found::Stale),
        Err(Errno::NOENT) => Ok(Found::Nothing),
        _ => Ok(Found::Answers),
    }
}

/// Whether somebody listens on the socket at this path.
pub(in crate::server) fn answers(path: &Path) -> bool {
    matches!(look(path), Ok(Found::Answers))
}

/// Whether a process has left a socket there, and is gone.
pub(in crate::server) fn is_stale(path: &Path) -> bool {
    matches!(look(path), Ok(Found::Stale))
}

/// Removes the file if it is a socket on which nobody answers. False while somebody does.
pub(super) fn remove_stale(path: &Path) -> bool {
    match look(path) {
        Ok(Found::Answers) => false,
        Ok(Found::Stale) => {
            if let Err(error) = fs::remove_file(path) {
                log::warn!("cannot remove the socket {}: {error}", path.display());
            }
            true
        }
        _ => true,
    }
}
