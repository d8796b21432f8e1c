//! Where a Redis is.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::http::head;
use crate::net::ListenAddress;

const DEFAULT_PORT: u16 = 6379;
/// Why an address with a user or a password is refused. It is one constant so that whoever reports it can mask the line
/// it happened on.
pub const LOGIN_IN_THE_ADDRESS: &str =
    "user and password are not part of the address: give them as `username` and `password`";

/// `redis://HOST[:PORT]`, `rediss://HOST[:PORT]` for TLS, or `unix:` and an absolute path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Tcp {
        /// Whether by TLS.
        secure: bool,
        /// A name or an IP address, lower case, without brackets.
        host: Box<str>,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// Why a text is no address of a Redis.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("expected redis://HOST:PORT, rediss://HOST:PORT (TLS) or `unix:` and an absolute path")]
    Form,
    #[error("{LOGIN_IN_THE_ADDRESS}")]
    Login,
    #[error("the database is not part of the address: give it as `database`")]
    Database,
    #[error("expected a host name or an IP address after ://, perhaps with a port")]
    Host,
    #[error("{0}")]
    Socket(String),
}

impl Address {
    /// Whether nobody between us and the Redis can listen: by TLS, or on this machine.
    #[must_use]
    pub fn is_private(&self) -> bool {
        match self {
            Self::Unix(_) | Self::Tcp { secure: true, .. } => true,
            Self::Tcp { host, .. } => match host.parse::<IpAddr>() {
                Ok(address) => address.to_canonical().is_loopback(),
                Err(_) => &**host == "localhost",
            },
        }
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        matches!(self, Self::Tcp { secure: true, .. })
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.starts_with("unix:") {
            return match text.parse() {
                Ok(ListenAddress::Unix(path)) => Ok(Self::Unix(path)),
                Ok(ListenAddress::Ip(_)) => Err(AddressError::Form),
                Err(error) => Err(AddressError::Socket(error.to_string())),
            };
        }
        let (scheme, authority) = text.split_once("://").ok_or(AddressError::Form)?;
        let secure = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err(AddressError::Form),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        if authority.contains('@') {
            return Err(AddressError::Login);
        }
        if authority.contains('/') {
            return Err(AddressError::Database);
        }
        let authority = head::authority(authority.as_bytes()).ok_or(AddressError::Host)?;
        let host = std::str::from_utf8(authority.host).map_err(|_| AddressError::Host)?;
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase().into();
        Ok(Self::Tcp { secure, host, port: authority.port.unwrap_or(DEFAULT_PORT) })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
            Self::Tcp { secure, host, port } => {
                let scheme = if *secure { "rediss" } else { "redis" };
                let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
                write!(formatter, "{scheme}://{open}{host}{close}:{port}")
            }
        }
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Address {
    fn schema_name() -> Cow<'static, str> {
        "RedisAddress".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where a Redis is: `redis://HOST:PORT`, `rediss://HOST:PORT` for TLS, or `unix:` and an \
                            absolute path. The port is 6379 unless it is given.",
            "type": "string",
            "pattern": "^(unix:/.+|rediss?://[^/@]+/?)$",
            "examples": ["rediss://redis.example.com:6379", "redis://127.0.0.1:6379", "unix:/run/redis/redis.sock"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, AddressError> {
        text.parse::<Address>().map(|address| address.to_string())
    }

    #[test]
    fn reads_the_three_forms() {
        assert_eq!(read("redis://Redis.internal").unwrap(), "redis://redis.internal:6379");
        assert_eq!(read("rediss://10.0.0.9:7000/").unwrap(), "rediss://10.0.0.9:7000");
        assert_eq!(read("redis://[::1]:7000").unwrap(), "redis://[::1]:7000");
        assert_eq!(read("unix:/run/redis/redis.sock").unwrap(), "unix:/run/redis/redis.sock");
    }

    #[test]
    fn knows_where_nobody_listens_in() {
        let private = |text: &str| text.parse::<Address>().unwrap().is_private();
        for text in
            ["rediss://redis.internal", "redis://localhost", "redis://127.0.0.9", "redis://[::1]", "unix:/r"]
        {
            assert!(private(text), "{text}");
        }
        for text in ["redis://redis.internal", "redis://10.0.0.1", "redis://localhost.example"] {
            assert!(!private(text), "{text}");
        }
    }

    #[test]
    fn says_where_the_rest_of_an_url_belongs() {
        for text in ["redis://:secret@redis.internal", "redis://user:secret@redis.internal:6379/0"] {
            assert_eq!(read(text), Err(AddressError::Login), "{text}");
        }
        assert_eq!(read("redis://redis.internal/2"), Err(AddressError::Database));
        for text in ["", "redis.internal:6379", "http://redis.internal", "redis:/a"] {
            assert_eq!(read(text), Err(AddressError::Form), "{text}");
        }
        for text in ["redis://", "redis://a b", "redis://a:0", "redis://a:70000"] {
            assert_eq!(read(text), Err(AddressError::Host), "{text}");
        }
        assert!(matches!(read("unix:redis.sock"), Err(AddressError::Socket(_))));
    }
}
