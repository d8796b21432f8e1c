//! The values of the fields that expressions name, at one moment of an exchange.
//!
//! Values come as they are now: a header that an earlier filter set is there, a caller is known once a filter has found
//! out. Nothing is copied but what has no other form.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::UNIX_EPOCH;

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};

use super::{Caller, Exchange, Facts};
use crate::auth::jose::Claims;
use crate::auth::keys::Key;
use crate::expr::fields::Name;
use crate::expr::{Scalar, Values, Visit};
use crate::tls::{ClientIdentity, TlsFacts};

/// An exchange, as expressions see it.
pub struct Fields<'v> {
    request: &'v RequestHeader,
    facts: &'v Facts,
    callers: &'v [Caller],
    response: Option<&'v ResponseHeader>,
}

impl<'v> Fields<'v> {
    /// Before there is a response.
    #[must_use]
    pub const fn new(request: &'v RequestHeader, facts: &'v Facts, callers: &'v [Caller]) -> Self {
        Self { request, facts, callers, response: None }
    }

    /// The same of an exchange.
    #[must_use]
    pub fn of_request(exchange: &'v Exchange<'_>) -> Self {
        Self::new(exchange.request, exchange.facts, exchange.callers())
    }

    /// With the head of the response.
    #[must_use]
    pub fn of_response(exchange: &'v Exchange<'_>, response: &'v ResponseHeader) -> Self {
        Self { response: Some(response), ..Self::of_request(exchange) }
    }

    fn headers(&self) -> &HeaderMap {
        &self.request.headers
    }

    fn header(&self, name: &HeaderName) -> Option<Scalar<'_>> {
        self.headers().get(name).map(|value| Scalar::from(value.as_bytes()))
    }

    fn tls(&self) -> Option<&TlsFacts> {
        self.facts.tls.as_deref()
    }

    fn certificate(&self) -> Option<&ClientIdentity> {
        self.tls()?.client.as_deref()
    }

    /// The caller that proved itself last, in the way asked for.
    fn last<'a, T>(&'a self, by: impl Fn(&'a Caller) -> Option<T>) -> Option<T> {
        self.callers.iter().rev().find_map(by)
    }

    fn claims(&self) -> Option<&Claims> {
        self.last(Caller::claims)
    }

    fn key(&self) -> Option<&Key> {
        self.last(|caller| caller.key().map(|key| &**key))
    }

    fn query(&self) -> &str {
        self.request.uri.query().unwrap_or_default()
    }

    fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.query().split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }

    fn cookies(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.headers().get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='))
    }

    fn of_caller(&self, field: Name) -> Option<Scalar<'_>> {
        Some(match field {
            Name::AuthMethod => self.last(|caller| Some(caller.method))?.into(),
            Name::AuthSubject => self.last(|caller| Some(&*caller.subject))?.into(),
            Name::BasicAuthUser => {
                self.last(|caller| (caller.method == "basic_auth").then_some(&*caller.subject))?.into()
            }
            Name::ConsumerKeyId => self.key()?.id.as_str().into(),
            Name::ConsumerName => self.key()?.consumer.name.as_str().into(),
            Name::JwtClientId => self.claims()?.client()?.into(),
            Name::JwtIss => self.claims()?.issuer()?.into(),
            Name::JwtSub => self.claims()?.subject()?.into(),
            _ => return None,
        })
    }

    fn of_tls(&self, field: Name) -> Option<Scalar<'_>> {
        Some(match field {
            Name::Ssl => self.tls().is_some().into(),
            Name::TlsVersion => self.tls()?.version.into(),
            Name::TlsCipher => self.tls()?.cipher.into(),
            Name::TlsSni => self.tls()?.sni.as_deref()?.into(),
            Name::TlsClientVerified => self.certificate().is_some().into(),
            Name::TlsClientSubject => self.certificate()?.subject.as_str().into(),
            Name::TlsClientIssuer => self.certificate()?.issuer.as_str().into(),
            Name::TlsClientSerial => self.certificate()?.serial.as_str().into(),
            Name::TlsClientFingerprint => self.certificate()?.fingerprint_sha256.as_str().into(),
            _ => return None,
        })
    }

    fn of_uri(&self, field: Name) -> Option<Scalar<'_>> {
        let uri = &self.request.uri;
        Some(match field {
            Name::RequestUri => uri.path_and_query()?.as_str().into(),
            Name::RequestUriPath => uri.path().into(),
            Name::RequestUriQuery => self.query().into(),
            Name::RequestUriPathExtension => extension(uri.path())?,
            Name::RequestFullUri => {
                let facts = self.facts;
                let target = uri.path_and_query().map_or("", |target| target.as_str());
                Scalar::Bytes(Cow::Owned([facts.scheme, "://", &facts.host, target].concat().into_bytes()))
            }
            _ => return None,
        })
    }

    fn of_response_head(&self, field: Name) -> Option<Scalar<'_>> {
        let response = self.response?;
        Some(match field {
            Name::ResponseCode => i64::from(response.status.as_u16()).into(),
            Name::ResponseContentType => media_type(response.headers.get(header::CONTENT_TYPE)?)?,
            _ => return None,
        })
    }
}

impl Values for Fields<'_> {
    type Field = Name;

    fn scalar(&self, field: Name) -> Option<Scalar<'_>> {
        let (request, facts) = (self.request, self.facts);
        Some(match field {
            Name::RequestMethod => request.method.as_str().into(),
            Name::IpSrc => facts.client_ip.into(),
            Name::IpSrcIsLoopback => is_loopback(facts.client_ip).into(),
            Name::HttpHost => (*facts.host).into(),
            Name::HttpUserAgent => self.header(&header::USER_AGENT)?,
            Name::HttpReferer => self.header(&header::REFERER)?,
            Name::HttpCookie => self.header(&header::COOKIE)?,
            Name::HttpXForwardedFor => self.header(&HeaderName::from_static("x-forwarded-for"))?,
            Name::RequestScheme => facts.scheme.into(),
            Name::RequestVersion => version(request.version).into(),
            Name::RequestTimestampSec => {
                let since = facts.time.duration_since(UNIX_EPOCH).ok()?;
                i64::try_from(since.as_secs()).ok()?.into()
            }
            Name::RequestId => (*facts.request_id).into(),
            Name::RouteName => (*facts.route).into(),
            Name::ListenerAddress => (*facts.listener).into(),
            _ => {
                return self
                    .of_uri(field)
                    .or_else(|| self.of_caller(field))
                    .or_else(|| self.of_tls(field))
                    .or_else(|| self.of_response_head(field));
            }
        })
    }

    fn entry(&self, field: Name, key: &str) -> Option<Scalar<'_>> {
        match field {
            Name::JwtClaims => self.claims()?.all().get(key).map(Scalar::from),
            Name::Path => {
                let mut segments = self.facts.segments.iter();
                segments.find(|(name, _)| **name == *key).map(|(_, text)| Scalar::from(&**text))
            }
            _ => None,
        }
    }

    fn each<'v>(&'v self, field: Name, key: Option<&str>, visit: &mut Visit<'_, 'v>) -> Option<()> {
        match (field, key) {
            (Name::RequestHeaders, Some(key)) => lines(self.headers(), key, visit),
            (Name::ResponseHeaders, Some(key)) => lines(&self.response?.headers, key, visit),
            (Name::RequestHeadersNames, _) => names(self.headers(), visit),
            (Name::ResponseHeadersNames, _) => names(&self.response?.headers, visit),
            (Name::RequestHeadersValues, _) => values(self.headers(), visit),
            (Name::ResponseHeadersValues, _) => values(&self.response?.headers, visit),
            (Name::RequestCookies, Some(key)) => of_key(self.cookies(), key, visit),
            (Name::RequestUriArgs, Some(key)) => of_key(self.parameters(), key, visit),
            (Name::RequestUriArgsNames, _) => all(self.parameters().map(|(name, _)| name), visit),
            (Name::RequestUriArgsValues, _) => all(self.parameters().map(|(_, value)| value), visit),
            (Name::JwtAud, _) => all(self.claims()?.audiences(), visit),
            (Name::JwtScopes, _) => all(self.claims()?.scopes(), visit),
            (Name::JwtClaims, _) => all(self.claims()?.all().values(), visit),
            (Name::ConsumerScopes, _) => all(self.key()?.scopes.iter().map(String::as_str), visit),
            (Name::ConsumerTags, _) => {
                let key = self.key()?;
                all(key.tags.iter().chain(&key.consumer.tags).map(String::as_str), visit)
            }
            (Name::TlsClientSan, _) => {
                let names = self.certificate()?;
                let names = names.san_dns.iter().chain(&names.san_uri).chain(&names.san_email);
                all(names.map(String::as_str), visit)
            }
            (Name::Path, _) => all(self.facts.segments.iter().map(|(_, text)| &**text), visit),
            _ => None,
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what `each` returns of what is there")]
fn all<'v, T: Into<Scalar<'v>>>(values: impl Iterator<Item = T>, visit: &mut Visit<'_, 'v>) -> Option<()> {
    for value in values {
        if visit(value.into()) == ControlFlow::Break(()) {
            break;
        }
    }
    Some(())
}

/// The values of one key. `None` if nothing has it.
fn of_key<'v>(
    pairs: impl Iterator<Item = (&'v str, &'v str)>,
    key: &str,
    visit: &mut Visit<'_, 'v>,
) -> Option<()> {
    let mut values = pairs.filter(|(name, _)| *name == key).map(|(_, value)| value).peekable();
    values.peek()?;
    all(values, visit)
}

fn lines<'v>(headers: &'v HeaderMap, name: &str, visit: &mut Visit<'_, 'v>) -> Option<()> {
    let mut lines = headers.get_all(name).iter().map(HeaderValue::as_bytes).peekable();
    lines.peek()?;
    all(lines, visit)
}

fn names<'v>(headers: &'v HeaderMap, visit: &mut Visit<'_, 'v>) -> Option<()> {
    all(headers.iter().map(|(name, _)| name.as_str()), visit)
}

fn values<'v>(headers: &'v HeaderMap, visit: &mut Visit<'_, 'v>) -> Option<()> {
    all(headers.iter().map(|(_, value)| value.as_bytes()), visit)
}

/// What follows the last dot of the last segment, in lower case.
fn extension(path: &str) -> Option<Scalar<'_>> {
    let file = path.rsplit('/').next()?;
    let (_, extension) = file.rsplit_once('.')?;
    Some(lower(extension.as_bytes()))
}

fn media_type(value: &HeaderValue) -> Option<Scalar<'_>> {
    Some(lower(value.as_bytes().split(|byte| *byte == b';').next()?.trim_ascii()))
}

fn lower(text: &[u8]) -> Scalar<'_> {
    if text.iter().any(u8::is_ascii_uppercase) {
        Scalar::Bytes(Cow::Owned(text.to_ascii_lowercase()))
    } else {
        text.into()
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

const fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}

#[cfg(test)]
mod tests;
