//! Where requests of our own go: `https://id.example.com/keys?v=2`, written by an operator or by a party they trust.
//!
//! What was parsed can be asked for: there is a host that DNS can know or an IP address, a port, and a target that
//! goes into a request line as it is. The text is kept, because issuers are compared as text (`OpenID` Connect
//! Discovery §4.3, RFC 8414 §3.3).

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use super::head;

/// Longer ones are mistakes or attacks.
const MAX_BYTES: usize = 2048;

/// An absolute `http` or `https` URL without user information and without a fragment (RFC 3986, RFC 9110 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url {
    text: Box<str>,
    secure: bool,
    /// Lower case; an IPv6 address without its brackets.
    host: Box<str>,
    port: u16,
    /// Path and query, from the first slash.
    target: Box<str>,
}

/// Why a text is no URL to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("expected a URL that begins with https:// or http://")]
    Scheme,
    #[error("expected a host name or an IP address after ://, perhaps with a port, and nothing else")]
    Authority,
    #[error("the path or query has a character that must be percent-encoded")]
    Target,
    #[error("a fragment (#) is never sent; leave it out")]
    Fragment,
    #[error("a URL has at most {MAX_BYTES} bytes")]
    TooLong,
}

impl Url {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is `https`.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// A name or an IP address, lower case, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it leads to this machine: `localhost`, or a loopback address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        address.map_or(&*self.host == "localhost", |address| address.to_canonical().is_loopback())
    }

    /// The port, written or the scheme's own.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Path and query, as a request line has them.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The path alone.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Whether there is a query, be it an empty one.
    #[must_use]
    pub fn has_query(&self) -> bool {
        self.target.contains('?')
    }

    /// What a request carries as `Host`: the port only where it is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_string() };
        if self.port == default_port(self.secure) { host } else { format!("{host}:{}", self.port) }
    }

    /// The same host asked for another path, which begins with a slash.
    ///
    /// # Errors
    /// When it does not, or cannot be sent.
    pub fn with_target(&self, target: &str) -> Result<Self, UrlError> {
        if !target.starts_with('/') {
            return Err(UrlError::Target); // or it would lengthen the host's name
        }
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{target}", self.authority()).parse()
    }
}

const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.len() > MAX_BYTES {
            return Err(UrlError::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(UrlError::Scheme),
        };
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let authority = head::authority(authority.as_bytes()).ok_or(UrlError::Authority)?;
        let host = std::str::from_utf8(authority.host).map_err(|_| UrlError::Authority)?;
        let slash = if target.starts_with('/') { "" } else { "/" };
        if !is_target(target.as_bytes()) {
            return Err(UrlError::Target);
        }
        Ok(Self {
            text: text.into(),
            secure,
            host: host.trim_matches(['[', ']']).to_ascii_lowercase().into(),
            port: authority.port.unwrap_or(default_port(secure)),
            target: format!("{slash}{target}").into(),
        })
    }
}

/// Whether all of it may stand in a path or query: `pchar`, `/` and `?` (RFC 3986 §3.3 and §3.4).
fn is_target(mut text: &[u8]) -> bool {
    loop {
        text = match text {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest,
            [byte, rest @ ..] if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(byte) => {
                rest
            }
            _ => return false,
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Url {
    fn schema_name() -> Cow<'static, str> {
        "Url".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An absolute URL without user information and without a fragment.",
            "type": "string",
            "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^#]+$",
            "examples": ["https://id.example.com/jwks.json"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Url, UrlError> {
        text.parse()
    }

    #[test]
    fn knows_its_parts() {
        let url = parse("https://ID.example.com/keys?v=2").unwrap();
        assert_eq!((url.is_secure(), url.host(), url.port()), (true, "id.example.com", 443));
        assert_eq!((url.target(), url.path(), url.has_query()), ("/keys?v=2", "/keys", true));
        assert_eq!(url.as_str(), "https://ID.example.com/keys?v=2");
        assert_eq!(url.authority(), "id.example.com");
        let url = parse("http://[::1]:8080").unwrap();
        assert_eq!((url.is_secure(), url.host(), url.port()), (false, "::1", 8080));
        assert_eq!((url.target(), url.authority().as_str()), ("/", "[::1]:8080"));
        assert_eq!(parse("http://a?b").unwrap().target(), "/?b");
        assert_eq!(parse("http://a:443/").unwrap().authority(), "a:443");
    }

    #[test]
    fn another_path_is_asked_of_the_same_host() {
        let url = parse("https://id.example.com:8443/realm?x").unwrap();
        let other = url.with_target("/.well-known/openid-configuration").unwrap();
        assert_eq!(other.as_str(), "https://id.example.com:8443/.well-known/openid-configuration");
        assert_eq!(url.with_target("/a b"), Err(UrlError::Target));
        assert_eq!(url.with_target("@evil.example/"), Err(UrlError::Target));
        assert_eq!(parse("https://a").unwrap().with_target(".evil.example/"), Err(UrlError::Target));
    }

    #[test]
    fn knows_what_leads_to_this_machine() {
        for here in
            ["http://localhost:1", "http://127.0.0.9/", "http://[::1]:1/", "http://[::ffff:127.0.0.1]/"]
        {
            assert!(parse(here).unwrap().is_loopback(), "{here}");
        }
        for there in
            ["http://localhost.example", "http://128.0.0.1", "http://[::2]/", "http://127.0.0.1.example"]
        {
            assert!(!parse(there).unwrap().is_loopback(), "{there}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_asked_for() {
        for scheme in ["", "id.example.com", "//id.example.com", "ftp://a/", "file:///etc/passwd", "https:/a"]
        {
            assert_eq!(parse(scheme), Err(UrlError::Scheme), "{scheme}");
        }
        for authority in ["https://", "https:///keys", "https://u:p@a/", "https://a:0/", "https://a b/"] {
            assert_eq!(parse(authority), Err(UrlError::Authority), "{authority}");
        }
        for target in
            ["https://a/b c", "https://a/\r\nx: y", "https://a/%zz", "https://a/\u{e9}", "https://a/\\"]
        {
            assert_eq!(parse(target), Err(UrlError::Target), "{target:?}");
        }
        assert_eq!(parse("https://a/#b"), Err(UrlError::Fragment));
        assert_eq!(parse(&format!("https://a/{}", "b".repeat(MAX_BYTES))), Err(UrlError::TooLong));
    }
}
