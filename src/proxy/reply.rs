//! The head of an upstream's answer, made fit to be passed on.
//!
//! Pingora reads heads leniently and writes them anew, which repairs line ends and folding. What is left are heads that
//! say two things about where their body ends, or something that nobody asked for. These are refused with 502: a
//! client, or a cache before us, might read them otherwise than we do, and then answers reach the wrong client.

use http::header::{self, HeaderName, HeaderValue};
use http::{StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora_core::{Error, ErrorSource, ErrorType, Result};

use crate::http::fields::{list, nominated_names};

/// Interim answers to one request; more are a flood.
const MAX_INTERIM: u16 = 32;

/// Fields that end at this hop. `connection` is written anew for each client.
const HOP_BY_HOP: [HeaderName; 7] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authenticate"),
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-authentication-info"),
    header::TRAILER,
    header::UPGRADE,
];

/// Checks the head and takes out what was meant for us alone. `upgrading` says whether a WebSocket was asked for,
/// `interim` counts the answers that were not final.
///
/// # Errors
/// `InvalidHTTPHeader` of the upstream, for a head that has no single reading or was not asked for.
pub fn receive(response: &mut ResponseHeader, upgrading: bool, interim: &mut u16) -> Result<()> {
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        return if upgrading && is_websocket(response) {
            Ok(())
        } else {
            refuse("101 that was not asked for")
        };
    }
    if response.status.is_informational() {
        *interim += 1;
        if *interim > MAX_INTERIM {
            return refuse("too many interim responses");
        }
    }
    let seen = Seen::of(response);
    settle_framing(response, &seen)?;
    // Ours is the version that is spoken to the client (RFC 9110 section 2.5).
    response.set_version(Version::HTTP_11);
    if seen.hop { strip(response) } else { Ok(()) }
}

/// What is in a head, found in one pass: most heads have nothing to settle and nothing to strip.
#[derive(Default)]
struct Seen {
    codings: usize,
    lengths: usize,
    /// One `Content-Length` that is a list.
    listed: bool,
    /// Something that ends at this hop, or that says what does.
    hop: bool,
}

impl Seen {
    fn of(response: &ResponseHeader) -> Self {
        let mut seen = Self::default();
        for (name, value) in &response.headers {
            match name.as_str() {
                "transfer-encoding" => seen.codings += 1,
                "content-length" => {
                    seen.lengths += 1;
                    seen.listed |= value.as_bytes().contains(&b',');
                }
                "connection" => seen.hop |= !is_persistence(value),
                "keep-alive"
                | "proxy-connection"
                | "proxy-authenticate"
                | "proxy-authentication-info"
                | "trailer"
                | "upgrade" => seen.hop = true,
                _ => {}
            }
        }
        seen
    }
}

/// `Connection: close` and `Connection: keep-alive` nominate nothing, and are written anew for each client.
fn is_persistence(value: &HeaderValue) -> bool {
    let value = value.as_bytes();
    value.eq_ignore_ascii_case(b"close") || value.eq_ignore_ascii_case(b"keep-alive")
}

fn refuse(why: &'static str) -> Result<()> {
    let mut error = Error::explain(ErrorType::InvalidHTTPHeader, why);
    error.esource = ErrorSource::Upstream;
    Err(error)
}

/// RFC 6455 section 4.1: without these it is not the protocol that was asked for.
fn is_websocket(response: &ResponseHeader) -> bool {
    let names = |name: HeaderName, wanted: &[u8]| {
        let mut values = response.headers.get_all(name).iter().flat_map(|value| list(value.as_bytes()));
        values.any(|value| value.eq_ignore_ascii_case(wanted))
    };
    names(header::UPGRADE, b"websocket") && names(header::CONNECTION, b"upgrade")
}

fn settle_framing(response: &mut ResponseHeader, seen: &Seen) -> Result<()> {
    if let (1.., Some(coding)) = (seen.codings, response.headers.get(header::TRANSFER_ENCODING)) {
        let chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked") && seen.codings == 1;
        if !chunked || response.version == Version::HTTP_10 {
            return refuse("a transfer coding other than chunked");
        }
    }
    if response.status.is_informational() || response.status == StatusCode::NO_CONTENT {
        // RFC 9112 section 6.1 and RFC 9110 section 8.6: these have neither.
        response.remove_header(&header::TRANSFER_ENCODING);
        response.remove_header(&header::CONTENT_LENGTH);
    } else if seen.listed || seen.lengths > 1 {
        // Pingora has made sure that all of them are equal.
        let first = response.headers.get(header::CONTENT_LENGTH);
        let first = first.and_then(|value| list(value.as_bytes()).next()).map(HeaderValue::from_bytes);
        if let Some(Ok(value)) = first {
            response.insert_header(header::CONTENT_LENGTH, value)?;
        }
    }
    Ok(())
}

fn strip(response: &mut ResponseHeader) -> Result<()> {
    let mut nominated = Vec::new();
    for value in response.headers.get_all(header::CONNECTION) {
        if is_persistence(value) {
            continue;
        }
        for name in nominated_names([value.as_bytes()]) {
            let Ok(name) = HeaderName::from_bytes(name) else { continue };
            if name == header::CONTENT_LENGTH || name == header::TRANSFER_ENCODING {
                return refuse("a framing field nominated by Connection");
            }
            nominated.push(name);
        }
    }
    for name in nominated.iter().chain(&HOP_BY_HOP) {
        // What 426 demands is for the client to read.
        let kept = *name == header::UPGRADE && response.status == StatusCode::UPGRADE_REQUIRED;
        if !kept && response.headers.contains_key(name) {
            response.remove_header(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(status: u16, fields: &[(&'static str, &'static str)]) -> ResponseHeader {
        let mut head = ResponseHeader::build(status, None).unwrap();
        for (name, value) in fields {
            head.append_header(*name, *value).unwrap();
        }
        head
    }

    fn received(status: u16, fields: &[(&'static str, &'static str)]) -> Result<ResponseHeader> {
        let mut head = head(status, fields);
        receive(&mut head, false, &mut 0).map(|()| head)
    }

    #[test]
    fn an_upgrade_passes_only_where_one_was_asked_for() {
        let good = head(101, &[("connection", "Upgrade"), ("upgrade", "WebSocket")]);
        assert!(receive(&mut good.clone(), true, &mut 0).is_ok());
        assert!(receive(&mut good.clone(), false, &mut 0).is_err());
        let other = head(101, &[("connection", "Upgrade"), ("upgrade", "h2c")]);
        assert!(receive(&mut other.clone(), true, &mut 0).is_err());
        assert!(receive(&mut head(101, &[]), true, &mut 0).is_err());
    }

    #[test]
    fn only_chunked_is_a_coding() {
        assert!(received(200, &[("transfer-encoding", "Chunked")]).is_ok());
        for coding in ["identity", "gzip, chunked", "chunked, identity", "xchunked", ""] {
            assert!(received(200, &[("transfer-encoding", coding)]).is_err(), "{coding}");
        }
        assert!(
            received(200, &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")]).is_err()
        );
    }

    #[test]
    fn equal_lengths_become_one() {
        let head = received(200, &[("content-length", "5, 5"), ("content-length", "5")]).unwrap();
        assert_eq!(head.headers.get_all("content-length").iter().collect::<Vec<_>>(), ["5"]);
    }

    #[test]
    fn a_response_without_content_has_no_framing() {
        let head = received(204, &[("content-length", "5")]).unwrap();
        assert!(!head.headers.contains_key("content-length"));
        let head = received(304, &[("content-length", "5")]).unwrap();
        assert!(head.headers.contains_key("content-length"));
    }

    #[test]
    fn fields_of_the_hop_end_here() {
        let fields =
            [("connection", "x-mine, close"), ("x-mine", "1"), ("keep-alive", "timeout=5"), ("x-yours", "2")];
        let head = received(200, &fields).unwrap();
        assert!(!head.headers.contains_key("x-mine") && !head.headers.contains_key("keep-alive"));
        assert!(head.headers.contains_key("x-yours"));
        assert!(received(200, &[("connection", "content-length"), ("content-length", "1")]).is_err());
        assert!(received(426, &[("upgrade", "websocket")]).unwrap().headers.contains_key("upgrade"));
    }

    #[test]
    fn a_flood_of_interim_responses_ends() {
        let mut interim = 0;
        let flood = (0..100).map(|_| receive(&mut head(103, &[]), false, &mut interim));
        assert_eq!(flood.take_while(Result::is_ok).count(), 32);
    }
}
