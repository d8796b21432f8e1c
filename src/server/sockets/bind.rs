//! Binds one listening socket, and says in plain words why that failed.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::holder;
use super::unix::{self, Found};
use crate::net::address::ListenAddress;

/// Connections that may wait to be accepted. The kernel takes `net.core.somaxconn` (4096 by default) where that is
/// less, so the machine's setting decides.
const BACKLOG: i32 = 65_535;
/// Owner and group may connect to a Unix socket.
const UNIX_MODE: u32 = 0o660;
/// Ports below it are privileged, unless `net.ipv4.ip_unprivileged_port_start` says otherwise.
const PRIVILEGED_BELOW: u16 = 1024;

/// Why one address cannot be listened to.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {reason}")]
pub struct BindError {
    /// The address as the policy writes it.
    pub address: ListenAddress,
    /// Why.
    pub reason: Reason,
}

/// The reasons that occur in practice, each with what helps.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// Another process listens there; its name where it can be seen.
    #[error("address in use{}", .0.as_ref().map(|holder| format!(" by {holder}")).unwrap_or_default())]
    InUse(Option<String>),
    /// One of our own sockets that is still open stands in the way.
    #[error("overlaps {0}, which is open until the change is done; restart to change from one to the other")]
    Overlaps(ListenAddress),
    /// A low port, and neither root nor the capability.
    #[error("permission denied: ports below 1024 need CAP_NET_BIND_SERVICE")]
    Privileged,
    /// The address is of another machine or interface.
    #[error("no interface of this machine has this address")]
    NoSuchAddress,
    /// The kernel was told not to speak it.
    #[error("this machine has no IPv6")]
    NoIpv6,
    /// A Unix socket's name is taken by a file of another kind.
    #[error("the path exists and is not a socket")]
    NotASocket,
    /// Where a Unix socket's file should be made, there is no directory.
    #[error("the directory does not exist")]
    NoDirectory,
    /// The file of a Unix socket may not be made there.
    #[error("permission denied: this process may not write to the directory")]
    Directory,
    /// Anything else.
    #[error("{0}")]
    System(#[source] io::Error),
}

/// Binds and listens. `overlap` finds one of our own sockets that may be the reason why the address is in use.
pub(super) fn bind(
    address: &ListenAddress,
    overlap: impl FnOnce() -> Option<ListenAddress>,
) -> Result<OwnedFd, BindError> {
    let socket = match address {
        ListenAddress::Ip(ip) => tcp(*ip).map_err(|error| tcp_reason(*ip, error, overlap)),
        ListenAddress::Unix(path) => unix_socket(path),
    };
    socket.map_err(|reason| BindError { address: address.clone(), reason })
}

fn tcp(address: SocketAddr) -> io::Result<OwnedFd> {
    // `Socket::new` sets close-on-exec.
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Connections of a former process in TIME_WAIT must not keep us from starting.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // Else `net.ipv6.bindv6only` decides whether IPv4 clients come in here, as `::ffff:192.0.2.1`.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn tcp_reason(
    address: SocketAddr,
    error: io::Error,
    overlap: impl FnOnce() -> Option<ListenAddress>,
) -> Reason {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            overlap().map_or_else(|| Reason::InUse(holder::of_port(address.port())), Reason::Overlaps)
        }
        io::ErrorKind::PermissionDenied if address.port() < PRIVILEGED_BELOW => Reason::Privileged,
        io::ErrorKind::AddrNotAvailable => Reason::NoSuchAddress,
        _ if error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) => Reason::NoIpv6,
        _ => Reason::System(error),
    }
}

/// The mode is set between `bind` and `listen`: until it is, every attempt to connect is refused.
fn unix_socket(path: &Path) -> Result<OwnedFd, Reason> {
    match unix::look(path).map_err(unix_reason)? {
        Found::Nothing => {}
        Found::Stale => fs::remove_file(path).map_err(unix_reason)?,
        Found::Answers => return Err(Reason::InUse(None)),
        Found::Other => return Err(Reason::NotASocket),
    }
    let make = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::unix(path)?)?;
        fs::set_permissions(path, fs::Permissions::from_mode(UNIX_MODE))?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    make().map_err(unix_reason)
}

fn unix_reason(error: io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Reason::NoDirectory,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Reason::Directory,
        io::ErrorKind::AddrInUse => Reason::InUse(None),
        _ => Reason::System(error),
    }
}
