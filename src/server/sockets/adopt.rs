//! Checks sockets that somebody else bound, and takes those that the service manager passed.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType, sockopt};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use socket2::SockRef;

use crate::net::address::ListenAddress;

/// Why a descriptor cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// A file, a datagram socket, or one that does not listen.
    #[error("an inherited descriptor is not a listening stream socket")]
    NotListening,
    /// Neither IPv4, IPv6 nor a named Unix socket.
    #[error("an inherited socket has an address of an unknown kind")]
    UnknownAddress,
    /// IPv4 clients would come in as `::ffff:192.0.2.1`.
    #[error("the inherited socket {0} listens to IPv4 as well; set `BindIPv6Only=ipv6-only` in its unit")]
    DualStack(ListenAddress),
    /// It is not what it was said to be.
    #[error("the inherited socket {announced} listens on {found}")]
    Mismatch {
        /// What the predecessor said.
        announced: ListenAddress,
        /// What the kernel says.
        found: ListenAddress,
    },
    /// The service manager's variables make no sense.
    #[error("cannot take sockets from the service manager")]
    ServiceManager(#[source] io::Error),
    /// The system said no.
    #[error("cannot inspect an inherited socket")]
    System(#[source] io::Error),
}

/// The address a socket listens on, which is made non-blocking on the way.
pub(super) fn address_of(socket: &OwnedFd) -> Result<ListenAddress, AdoptError> {
    let listening = sockopt::socket_type(socket).is_ok_and(|kind| kind == SocketType::STREAM)
        && sockopt::socket_acceptconn(socket).unwrap_or(false);
    if !listening {
        return Err(AdoptError::NotListening);
    }
    let system = |error: rustix::io::Errno| AdoptError::System(error.into());
    let reference = SockRef::from(socket);
    reference.set_nonblocking(true).map_err(AdoptError::System)?;
    let local = reference.local_addr().map_err(AdoptError::System)?;
    if let Some(ip) = local.as_socket() {
        let address = ListenAddress::Ip(ip);
        let v6 = sockopt::socket_domain(socket).map_err(system)? == AddressFamily::INET6;
        if v6 && !sockopt::ipv6_v6only(socket).map_err(system)? {
            return Err(AdoptError::DualStack(address));
        }
        return Ok(address);
    }
    let path = local.as_pathname().filter(|path| path.is_absolute() && path.to_str().is_some());
    path.map(|path| ListenAddress::Unix(path.to_owned())).ok_or(AdoptError::UnknownAddress)
}

/// Duplicates of the descriptors named by `LISTEN_FDS`. The environment stays as it is (other threads may read it),
/// and so do the originals: the service manager holds these sockets anyway, so nothing is closed by closing ours.
pub(super) fn from_service_manager() -> Result<Vec<OwnedFd>, AdoptError> {
    let passed = sd_notify::listen_fds_with_names(false).map_err(AdoptError::ServiceManager)?;
    if passed.len() == 0 {
        return Ok(Vec::new());
    }
    // A number becomes an owned descriptor without `unsafe` by asking the kernel for "another" process's.
    let take = || -> rustix::io::Result<Vec<OwnedFd>> {
        let own = pidfd_open(getpid(), PidfdFlags::empty())?;
        passed.map(|(number, _)| pidfd_getfd(&own, number, PidfdGetfdFlags::empty())).collect()
    };
    take().map_err(|error| AdoptError::ServiceManager(error.into()))
}
