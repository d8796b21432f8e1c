//! Where a listener listens: an IP address with a port, or the path of a Unix socket.
//!
//! What was parsed can be bound: there is a port, a path is absolute and fits the kernel's structure. The text is
//! the policy's, and [`Display`](fmt::Display) gives it back, so that addresses compare as they are written.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of a Unix socket's path: `sun_path` has 108 with the closing NUL, unix(7).
pub const UNIX_PATH_MAX_BYTES: usize = 107;

/// What marks the path of a Unix socket.
const UNIX: &str = "unix:";

/// One place to listen at, e.g. `0.0.0.0:443`, `[::]:443` or `unix:/run/edgeward/api.sock`.
///
/// `[::]` means IPv6 alone: IPv4 is listened to by an entry of its own. One address family to a socket keeps
/// client addresses in one form, so that no rule is passed by in the shape of `::ffff:192.0.2.1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListenAddress {
    /// TCP.
    Ip(SocketAddr),
    /// A stream socket in the file system; the path is absolute and valid UTF-8.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether only this machine reaches it.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        match self {
            Self::Ip(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// The path, where it is a Unix socket.
    #[must_use]
    pub fn unix_path(&self) -> Option<&Path> {
        match self {
            Self::Ip(_) => None,
            Self::Unix(path) => Some(path),
        }
    }

    /// Whether two sockets cannot have both addresses, though the addresses differ: the same port, and one of them
    /// is the family's "any" address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (Self::Ip(one), Self::Ip(two)) = (self, other) else {
            return false;
        };
        let (one_ip, two_ip) = (one.ip(), two.ip());
        one != two
            && one.port() == two.port()
            && one.is_ipv4() == two.is_ipv4()
            && (one_ip.is_unspecified() || two_ip.is_unspecified())
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "{UNIX}{}", path.display()),
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl FromStr for ListenAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix(UNIX) {
            return unix(path).map(Self::Unix);
        }
        let address: SocketAddr = text.parse().map_err(|_| unreadable(text))?;
        if let IpAddr::V6(ip) = address.ip()
            && let Some(ip) = ip.to_ipv4_mapped()
        {
            return Err(AddressError::Mapped(SocketAddr::new(ip.into(), address.port())));
        }
        if address.port() == 0 {
            return Err(AddressError::NoPort);
        }
        Ok(Self::Ip(address))
    }
}

impl Serialize for ListenAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ListenAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for ListenAddress {
    fn schema_name() -> Cow<'static, str> {
        "ListenAddress".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where to listen: an IP address with a port, or `unix:` and an absolute path. \
                            `[::]` listens to IPv6 alone.",
            "type": "string",
            "pattern": "^(unix:/.+|\\[[0-9A-Fa-f:.%]+\\]:[0-9]{1,5}|[0-9.]+:[0-9]{1,5})$",
            "examples": ["0.0.0.0:443", "[::]:443", "unix:/run/edgeward/api.sock"],
        })
    }
}

/// Why a text is no address to listen at.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither form.
    #[error(
        "expected an IP address with a port, such as `0.0.0.0:443` or `[::]:443`, \
         or `unix:` and an absolute path; found `{0}`"
    )]
    Unreadable(String),
    /// Almost an address, and what was probably meant.
    #[error("expected an IP address with a port; did you mean `{0}`?")]
    Meant(String),
    /// Port 0 lets the kernel choose, so nobody would know where to connect.
    #[error("port 0 means any port; name one")]
    NoPort,
    /// An IPv4 address in IPv6 clothes cannot be bound by a socket for IPv6 alone.
    #[error("an IPv4 address is written as such: `{0}`")]
    Mapped(SocketAddr),
    /// What a relative path means depends on where the process was started.
    #[error("the path of a Unix socket must be absolute, such as `unix:/run/edgeward/api.sock`; found `{0}`")]
    Relative(String),
    /// An abstract socket has no permissions: everybody on the machine may connect.
    #[error("abstract Unix sockets cannot be protected; give a path")]
    Abstract,
    /// It does not fit the kernel's structure.
    #[error("the path of a Unix socket has {0} bytes, at most {UNIX_PATH_MAX_BYTES} are possible")]
    TooLong(usize),
    /// A path ends at its first NUL.
    #[error("the path of a Unix socket contains a NUL character")]
    Nul,
}

fn unix(path: &str) -> Result<PathBuf, AddressError> {
    if path.starts_with('@') {
        return Err(AddressError::Abstract);
    }
    if !path.starts_with('/') || path.ends_with('/') {
        return Err(AddressError::Relative(path.to_owned()));
    }
    if path.contains('\0') {
        return Err(AddressError::Nul);
    }
    if path.len() > UNIX_PATH_MAX_BYTES {
        return Err(AddressError::TooLong(path.len()));
    }
    Ok(PathBuf::from(path))
}

/// Guesses what the common slips meant: a bare port, `:port`, `*:port`, `localhost:port`, IPv6 without brackets.
fn unreadable(text: &str) -> AddressError {
    let meant = if text.parse::<u16>().is_ok_and(|port| port != 0) {
        Some(format!("0.0.0.0:{text}"))
    } else {
        text.rsplit_once(':').and_then(|(host, port)| {
            let port = port.parse::<u16>().ok().filter(|port| *port != 0)?;
            match host {
                "" | "*" => Some(format!("0.0.0.0:{port}")),
                "localhost" => Some(format!("127.0.0.1:{port}")),
                _ if host.contains(':') => host.parse::<IpAddr>().ok().map(|ip| format!("[{ip}]:{port}")),
                _ => None,
            }
        })
    };
    meant.map_or_else(|| AddressError::Unreadable(text.to_owned()), AddressError::Meant)
}

#[cfg(test)]
mod tests;
