//! What a refused head says of itself, as far as that is good. For logs alone: nothing is ever decided by it.

use super::host;
use crate::http::fields::is_token;

/// Longer methods are none.
const METHOD_BYTES: usize = 32;
/// More of a path is not kept.
const PATH_BYTES: usize = 4096;
/// Further lines are not looked into.
const LINES: usize = 100;

/// Whatever could be read of a head that has a fault, or only a beginning. What is missing or bad is empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Glimpse {
    pub method: Box<str>,
    /// As it was sent, without the query, which often carries secrets.
    pub path: Box<[u8]>,
    /// Lower-case, without port.
    pub host: Box<str>,
}

impl Glimpse {
    /// Looks at what has come of a head.
    #[must_use]
    pub fn of(head: &[u8]) -> Self {
        let mut lines = head.strip_prefix(b"\r\n").unwrap_or(head).split(|byte| *byte == b'\n');
        let mut parts = lines.next().unwrap_or_default().split(|byte| *byte == b' ');
        let method = parts.next().filter(|method| method.len() <= METHOD_BYTES && is_token(method));
        let Some(method) = method.and_then(|method| std::str::from_utf8(method).ok()) else {
            return Self::default();
        };
        let path = parts.next().and_then(path).unwrap_or_default();
        let host = lines.take(LINES).find_map(|line| {
            let (name, value) = line.split_at_checked(5)?;
            name.eq_ignore_ascii_case(b"host:").then(|| host(value.trim_ascii()))
        });
        Self {
            method: method.into(),
            path: path.get(..PATH_BYTES).unwrap_or(path).into(),
            host: host.unwrap_or_default().into(),
        }
    }
}

fn path(target: &[u8]) -> Option<&[u8]> {
    let target = target.trim_ascii_end();
    let start = match target {
        [b'/', ..] | b"*" => 0,
        _ => {
            let authority = memchr::memmem::find(target, b"://")? + 3;
            authority + memchr::memchr(b'/', target.get(authority..)?)?
        }
    };
    target.get(start..)?.split(|byte| *byte == b'?').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(head: &str) -> [String; 3] {
        let Glimpse { method, path, host } = Glimpse::of(head.as_bytes());
        [method.into(), String::from_utf8_lossy(&path).into_owned(), host.into()]
    }

    #[test]
    fn tells_what_is_good_of_a_bad_head() {
        assert_eq!(seen("BREW /pot?key=1 HTTP/1.1\r\nHost: A:80\r\n\r\n"), ["BREW", "/pot", "a"]);
        assert_eq!(seen("\r\nGET http://u:p@h/a?b HTTP/1.1\r\nX: y\r\nhost:h"), ["GET", "/a", "h"]);
        assert_eq!(seen("GET /a\r\n"), ["GET", "/a", ""]);
        assert_eq!(seen("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"), ["GET", "/", ""]);
        assert_eq!(seen("OPTIONS * HTTP/3.0\r\n\r\n"), ["OPTIONS", "*", ""]);
    }

    #[test]
    fn tells_nothing_of_what_is_no_head() {
        for text in ["", "\x16\x03\x01", "G\0T / HTTP/1.1\r\nHost: h\r\n", &"A".repeat(100)] {
            assert_eq!(Glimpse::of(text.as_bytes()), Glimpse::default(), "{text:?}");
        }
        assert_eq!(seen("CONNECT h:443 HTTP/1.1\r\n")[1], "");
        assert_eq!(seen(&format!("GET /{} HTTP/1.1", "a".repeat(9000)))[1].len(), PATH_BYTES);
    }
}
