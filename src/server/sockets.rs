//! The listening sockets a process owns, by address.
//!
//! They are bound here, or taken over from a predecessor or the service manager; workers accept on duplicates, which
//! all draw from one queue of connections. A change of addresses happens as a whole or not at all.

mod adopt;
mod bind;
mod holder;
mod unix;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

pub use adopt::AdoptError;
pub use bind::BindError;
pub(super) use unix::{answers, is_stale};

use crate::net::address::ListenAddress;

/// The listening sockets of this process. All are non-blocking and closed on exec.
///
/// Dropping it closes the descriptors and leaves the files of Unix sockets, for a successor may accept on them. What
/// stops for good calls [`close`](Self::close).
#[derive(Debug, Default)]
pub struct Sockets {
    open: BTreeMap<ListenAddress, OwnedFd>,
    /// Files of Unix sockets that this process closed.
    abandoned: Vec<PathBuf>,
}

/// What [`Sockets::reconcile`] did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Bound now; nobody accepts on them yet.
    pub opened: Vec<ListenAddress>,
    /// No longer held here. Duplicates in workers keep a socket open until they are dropped.
    pub closed: Vec<ListenAddress>,
    /// As before.
    pub kept: Vec<ListenAddress>,
}

/// A socket to accept on, in the runtime that asked for it.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(tokio::net::TcpListener),
    /// A Unix stream socket.
    Unix(tokio::net::UnixListener),
}

impl Sockets {
    /// Owns sockets that are bound already, e.g. to a port the system chose.
    ///
    /// # Errors
    /// When a socket has no address or cannot be made non-blocking.
    pub fn from_listeners(listeners: impl IntoIterator<Item = std::net::TcpListener>) -> io::Result<Self> {
        let mut sockets = Self::default();
        for listener in listeners {
            listener.set_nonblocking(true)?;
            sockets.open.insert(listener.local_addr()?.into(), listener.into());
        }
        Ok(sockets)
    }

    /// Owns what a predecessor handed over.
    ///
    /// # Errors
    /// When a descriptor is no listening socket of that address.
    pub fn adopt(inherited: impl IntoIterator<Item = (ListenAddress, OwnedFd)>) -> Result<Self, AdoptError> {
        let mut sockets = Self::default();
        for (address, socket) in inherited {
            let found = adopt::address_of(&socket)?;
            if found != address {
                return Err(AdoptError::Mismatch { announced: address, found });
            }
            sockets.open.insert(address, socket);
        }
        Ok(sockets)
    }

    /// Owns what the service manager bound for this process (`LISTEN_FDS`); nothing where it bound nothing. To be
    /// called once, at start.
    ///
    /// # Errors
    /// When a descriptor is no listening stream socket, or listens to IPv4 and IPv6 at once.
    pub fn from_service_manager() -> Result<Self, AdoptError> {
        let mut sockets = Self::default();
        for socket in adopt::from_service_manager()? {
            sockets.open.insert(adopt::address_of(&socket)?, socket);
        }
        Ok(sockets)
    }

    /// Makes the open sockets those that are wanted. All new ones are bound before any is closed; if one cannot be
    /// bound nothing changes.
    ///
    /// The files of closed Unix sockets stay until [`sweep`](Self::sweep).
    ///
    /// # Errors
    /// One for each address that cannot be bound. An address that overlaps one still open (`0.0.0.0:80` and
    /// `127.0.0.1:80`) cannot take its place: that needs a restart.
    pub fn reconcile(&mut self, wanted: &[ListenAddress]) -> Result<Changes, Vec<BindError>> {
        let wanted: BTreeSet<&ListenAddress> = wanted.iter().collect();
        let mut fresh = BTreeMap::new();
        let mut errors = Vec::new();
        for address in wanted.iter().copied().filter(|address| !self.open.contains_key(address)) {
            match bind::bind(address, || self.open.keys().find(|open| open.overlaps(address)).cloned()) {
                Ok(socket) => drop(fresh.insert(address.clone(), socket)),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            Self { open: fresh, abandoned: Vec::new() }.close();
            return Err(errors);
        }
        let mut changes = Changes { opened: fresh.keys().cloned().collect(), ..Changes::default() };
        let (kept, closed): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.open).into_iter().partition(|(address, _)| wanted.contains(address));
        changes.kept.extend(kept.keys().cloned());
        self.abandoned.extend(closed.keys().filter_map(|address| address.unix_path().map(PathBuf::from)));
        changes.closed.extend(closed.into_keys());
        self.open = kept;
        self.open.append(&mut fresh);
        Ok(changes)
    }

    /// A duplicate to accept on. To be called in the runtime that will accept.
    ///
    /// # Errors
    /// `NotFound` for an address that is not open; else what the system said, e.g. that there are no descriptors left.
    pub fn listener(&self, address: &ListenAddress) -> io::Result<Listener> {
        let socket = self.open.get(address).ok_or(io::ErrorKind::NotFound)?.try_clone()?;
        Ok(match address {
            ListenAddress::Ip(_) => Listener::Tcp(tokio::net::TcpListener::from_std(socket.into())?),
            ListenAddress::Unix(_) => Listener::Unix(tokio::net::UnixListener::from_std(socket.into())?),
        })
    }

    /// The addresses of the open sockets, in order.
    pub fn addresses(&self) -> impl Iterator<Item = &ListenAddress> {
        self.open.keys()
    }

    /// Duplicates of all sockets, to hand over.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn duplicates(&self) -> io::Result<Vec<(ListenAddress, OwnedFd)>> {
        self.open
            .iter()
            .map(|(address, fd)| Ok((address.clone(), fd.as_fd().try_clone_to_owned()?)))
            .collect()
    }

    /// Removes the files of closed Unix sockets on which nobody answers any more, and remembers the others. To be
    /// called now and then; in a successor not before the predecessor drains, for until then it may go on alone.
    pub fn sweep(&mut self) {
        self.abandoned.retain(|path| !self.open.contains_key(&ListenAddress::Unix(path.clone())));
        self.abandoned.retain(|path| !unix::remove_stale(path));
    }

    /// Closes all sockets and removes the files of Unix sockets on which nobody answers after that. A successor, or
    /// the service manager that bound the socket, still answers, so their files stay.
    pub fn close(mut self) {
        let open = std::mem::take(&mut self.open);
        self.abandoned.extend(open.keys().filter_map(|address| address.unix_path().map(PathBuf::from)));
        drop(open);
        self.sweep();
    }
}

#[cfg(test)]
mod tests;
