//! Where a backend is, as written: `10.0.0.1:8080`, `[2001:db8::1]:443`, `orders.internal:8443`,
//! `unix:/run/app.sock`. A port is always written; nothing is looked up here.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::SocketAddr as UnixAddr;
use std::str::FromStr;

use pingora_core::protocols::l4::socket::SocketAddr as Endpoint;

/// Longest DNS name in text form (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;
/// What stands for a Unix socket where TLS and `Host` need a name.
const LOCAL: &str = "localhost";

/// An address that can be connected to once its name, if it has one, is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An IP address and port.
    Socket(SocketAddr),
    /// A DNS name (lower case) and port.
    Name { host: Box<str>, port: u16 },
    /// The path of a Unix socket.
    Unix(Box<str>),
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("expected host:port or unix:/path, such as 10.0.0.1:8080, found {0:?}")]
    Shape(String),
    #[error("a backend is an address, not a URL: write {0}")]
    Url(String),
    #[error("a backend is an address, not a URL: write {0}, and `tls: {{}}` beside `backends`")]
    TlsUrl(String),
    #[error("the port is missing, write {0}:80 for port 80")]
    NoPort(String),
    #[error("expected a port from 1 to 65535, found {0:?}")]
    Port(String),
    #[error("{0:?} is neither an IP address nor a DNS name")]
    Host(String),
    #[error("expected an absolute path of at most 107 bytes after unix:, found {0:?}")]
    Path(String),
}

impl Address {
    /// How TLS calls it: its name, its IP address, or `localhost` for a Unix socket.
    #[must_use]
    pub fn host(&self) -> String {
        match self {
            Self::Socket(socket) => socket.ip().to_string(),
            Self::Name { host, .. } => host.trim_end_matches('.').to_owned(),
            Self::Unix(_) => LOCAL.to_owned(),
        }
    }

    /// What a request to it carries as `Host` when nothing else is known.
    #[must_use]
    pub fn authority(&self) -> String {
        match self {
            Self::Socket(socket) => socket.to_string(),
            Self::Name { port, .. } => format!("{}:{port}", self.host()),
            Self::Unix(_) => LOCAL.to_owned(),
        }
    }

    /// Where to connect. `None` for a name: its addresses come from [`resolve`](super::resolve).
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Self::Socket(socket) => Some(Endpoint::Inet(*socket)),
            Self::Name { .. } => None,
            Self::Unix(path) => UnixAddr::from_pathname(&**path).ok().map(Endpoint::Unix),
        }
    }
}

impl FromStr for Address {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path);
        }
        if let Ok(socket) = text.parse::<SocketAddr>() {
            return match socket.port() {
                0 => Err(Malformed::Port("0".to_owned())),
                _ => Ok(Self::Socket(socket)),
            };
        }
        for (scheme, port, malformed) in
            [("http://", 80, Malformed::Url as fn(String) -> _), ("https://", 443, Malformed::TlsUrl)]
        {
            if let Some(rest) = text.strip_prefix(scheme) {
                let authority = rest.split('/').next().unwrap_or_default();
                let has_port = authority.parse::<Self>().is_ok();
                return Err(malformed(if has_port {
                    authority.to_owned()
                } else {
                    format!("{authority}:{port}")
                }));
            }
        }
        if text.contains('/') || text.is_empty() {
            return Err(Malformed::Shape(text.to_owned()));
        }
        if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            let host = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
            return Err(Malformed::NoPort(host));
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| Malformed::NoPort(text.to_owned()))?;
        let port = match port.parse::<u16>() {
            Ok(number) if number > 0 && !port.starts_with('+') => number,
            _ => return Err(Malformed::Port(port.to_owned())),
        };
        if !is_name(host) {
            return Err(Malformed::Host(host.to_owned()));
        }
        Ok(Self::Name { host: host.to_ascii_lowercase().into(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(socket) => socket.fmt(formatter),
            Self::Name { host, port } => write!(formatter, "{host}:{port}"),
            Self::Unix(path) => write!(formatter, "unix:{path}"),
        }
    }
}

fn unix(path: &str) -> Result<Address, Malformed> {
    if path.starts_with('/') && UnixAddr::from_pathname(path).is_ok() {
        return Ok(Address::Unix(path.into()));
    }
    Err(Malformed::Path(path.to_owned()))
}

/// Whether it can be asked for in DNS. Underscores are not for hosts, yet container networks use them. A last
/// label of digits alone is refused: `10.0.0.256` is a mistyped address, not a name.
fn is_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let label_is_good = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= LONGEST_NAME
        && host.split('.').all(label_is_good)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, Malformed> {
        text.parse()
    }

    #[test]
    fn takes_sockets_names_and_unix_paths() {
        assert_eq!(parse("10.0.0.1:80"), Ok(Address::Socket("10.0.0.1:80".parse().unwrap())));
        assert_eq!(parse("[2001:db8::1]:443").unwrap().to_string(), "[2001:db8::1]:443");
        assert_eq!(
            parse("Orders.Internal:8443"),
            Ok(Address::Name { host: "orders.internal".into(), port: 8443 })
        );
        assert_eq!(parse("my_app:80").unwrap().authority(), "my_app:80");
        assert_eq!(parse("unix:/run/app.sock"), Ok(Address::Unix("/run/app.sock".into())));
    }

    #[test]
    fn gives_the_name_without_the_root_dot() {
        let address = parse("orders.internal.:8443").unwrap();
        assert_eq!(address.host(), "orders.internal");
        assert_eq!(address.authority(), "orders.internal:8443");
        assert_eq!(address.to_string(), "orders.internal.:8443");
        assert_eq!(parse("10.0.0.1:80").unwrap().host(), "10.0.0.1");
        assert_eq!(parse("unix:/run/app.sock").unwrap().host(), "localhost");
    }

    #[test]
    fn refuses_what_cannot_be_connected_to() {
        assert_eq!(parse("10.0.0.1"), Err(Malformed::NoPort("10.0.0.1".into())));
        assert_eq!(parse("2001:db8::1"), Err(Malformed::NoPort("[2001:db8::1]".into())));
        assert_eq!(parse("orders"), Err(Malformed::NoPort("orders".into())));
        assert_eq!(parse("10.0.0.1:0"), Err(Malformed::Port("0".into())));
        assert_eq!(parse("orders:http"), Err(Malformed::Port("http".into())));
        assert_eq!(parse("orders:+80"), Err(Malformed::Port("+80".into())));
        assert_eq!(parse("10.0.0.256:80"), Err(Malformed::Host("10.0.0.256".into())));
        assert_eq!(parse("-a.example:80"), Err(Malformed::Host("-a.example".into())));
        assert_eq!(parse(":80"), Err(Malformed::Host(String::new())));
        assert_eq!(parse("http://orders:8080/v1"), Err(Malformed::Url("orders:8080".into())));
        assert_eq!(parse("https://orders"), Err(Malformed::TlsUrl("orders:443".into())));
        assert!(matches!(parse("ftp://orders:80"), Err(Malformed::Shape(_))));
        assert!(matches!(parse(""), Err(Malformed::Shape(_))));
        assert!(matches!(parse("unix:app.sock"), Err(Malformed::Path(_))));
        assert!(matches!(parse(&format!("unix:/{}", "a".repeat(108))), Err(Malformed::Path(_))));
        assert!(matches!(parse(&format!("{}:80", "a.".repeat(200))), Err(Malformed::Host(_))));
    }
}
