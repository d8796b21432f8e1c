//! Which of the variants of a resource a request gets (RFC 9111 §4.1): those whose `Vary` names fields that have, as far
//! as their meaning goes, the same values as in the request that brought them.

use std::borrow::Cow;

use bytes::{Buf, BufMut};
use http::header::{ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, COOKIE, HOST, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use crate::http::cookie;
use crate::http::fields::{list, trim_ows};

/// Fields that one `Vary` may name; with more the response is not stored.
const MAX_NAMES: usize = 16;
/// Fields whose values are in the key already, as this proxy writes them: two requests for one key have the same.
const KEYED: [HeaderName; 3] =
    [HOST, HeaderName::from_static("x-forwarded-host"), HeaderName::from_static("x-forwarded-proto")];
/// Members of a list that are put in order; a longer list stays as it came.
const MAX_MEMBERS: usize = 32;

/// The request fields that a response was chosen by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// In order, each once.
    names: Box<[HeaderName]>,
}

/// What a request says in the fields of a [`Selector`]: equal ones get the same response. 128 bits of SHA-256, so that
/// nobody finds values that pass for another client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u128);

impl Selector {
    /// From the response's `Vary`. `None` if it can fit no other request: `*` is in it, or what is no field's name, or
    /// too much.
    #[must_use]
    pub fn read(response: &HeaderMap) -> Option<Self> {
        let mut names = Vec::new();
        for member in response.get_all(VARY).iter().flat_map(|line| list(line.as_bytes())) {
            // `*` is a token, and so `HeaderName` takes it.
            let name =
                HeaderName::from_bytes(member).ok().filter(|_| member != b"*" && names.len() < MAX_NAMES);
            names.push(name?);
        }
        names.sort_unstable_by(|a: &HeaderName, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        names.retain(|name| !KEYED.contains(name));
        Some(Self { names: names.into() })
    }

    /// Appends it as it is stored on disk.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        bytes.put_u8(u8::try_from(self.names.len()).unwrap_or(u8::MAX));
        for name in &self.names {
            bytes.put_u16_le(u16::try_from(name.as_str().len()).unwrap_or(u16::MAX));
            bytes.put_slice(name.as_str().as_bytes());
        }
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(super) fn restore(bytes: &mut &[u8]) -> Option<Self> {
        let count = bytes.try_get_u8().ok()?;
        let mut names = Vec::new();
        for _ in 0..count {
            let length = bytes.try_get_u16_le().ok()?;
            let (name, rest) = bytes.split_at_checked(length.into())?;
            names.push(HeaderName::from_bytes(name).ok()?);
            *bytes = rest;
        }
        (names.len() <= MAX_NAMES).then(|| Self { names: names.into() })
    }

    /// What this request says in these fields.
    #[must_use]
    pub fn fingerprint(&self, request: &HeaderMap) -> Fingerprint {
        if self.names.is_empty() {
            return Fingerprint(0);
        }
        let mut hash = Sha256::new();
        for name in &self.names {
            let value = normal_value(name, request);
            // The length keeps values apart, and an absent field from an empty one.
            let length = value.as_ref().map_or(u64::MAX, |value| value.len() as u64);
            hash.update(length.to_be_bytes());
            hash.update(value.as_deref().unwrap_or_default());
        }
        let digest = hash.finalize();
        let first = digest.first_chunk::<16>().copied().unwrap_or_default();
        Fingerprint(u128::from_be_bytes(first))
    }
}

impl Fingerprint {
    /// As it is stored on disk.
    pub(super) const fn number(self) -> u128 {
        self.0
    }

    /// One that was stored.
    pub(super) const fn from_number(number: u128) -> Self {
        Self(number)
    }
}

/// The value of a field in a form that all values of the same meaning have; `None` if the field is absent. Lines are joined
/// and space around commas is dropped in every field but `Cookie`, which is no list: its lines are joined as the origin gets
/// them (RFC 9113 §8.2.3), lest `a=1` and `b=2` pass for the one cookie `a=1,b=2`. The members of `Accept…` fields, whose
/// order counts for nothing, are put in order of preference and then of the alphabet.
fn normal_value<'a>(name: &HeaderName, request: &'a HeaderMap) -> Option<Cow<'a, [u8]>> {
    if *name == COOKIE {
        return cookie::line(request);
    }
    let lines = || request.get_all(name).iter().map(HeaderValue::as_bytes);
    let first = lines().next()?;
    let preferences = [ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE].contains(name);
    let count = lines().count();
    if count == 1 && !preferences && !first.contains(&b',') {
        return Some(Cow::Borrowed(trim_ows(first)));
    }
    let members: Vec<&[u8]> = lines().flat_map(list).collect();
    if !preferences || members.len() > MAX_MEMBERS {
        return Some(Cow::Owned(members.join(&b","[..])));
    }
    let mut members: Vec<_> = members.into_iter().map(|member| preference(name, member)).collect();
    members.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    members.dedup();
    let write = |(weight, member): (u16, Vec<u8>)| [&member[..], format!(";q={weight}").as_bytes()].concat();
    Some(Cow::Owned(members.into_iter().map(write).collect::<Vec<_>>().join(&b","[..])))
}

/// A member's weight in thousandths, and what it prefers. Codings, charsets, languages and media types have no case
/// (RFC 9110 §12.5); parameters of media types may.
fn preference(name: &HeaderName, member: &[u8]) -> (u16, Vec<u8>) {
    let mut parts = member.split(|byte| *byte == b';').map(trim_ows);
    let mut kept = parts.next().unwrap_or_default().to_ascii_lowercase();
    if *name == ACCEPT_ENCODING && kept == b"x-gzip" {
        kept = b"gzip".to_vec(); // RFC 9110 §8.4.1.3
    }
    let mut weight = 1000;
    for parameter in parts {
        let value = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="));
        if let Some(thousandths) = value.and_then(thousandths) {
            weight = thousandths;
        } else {
            kept.push(b';');
            kept.extend_from_slice(parameter);
        }
    }
    (weight, kept)
}

/// `qvalue` of RFC 9110 §12.4.2, times 1000.
fn thousandths(text: &[u8]) -> Option<u16> {
    let (whole, fraction) = match text {
        [whole @ (b'0' | b'1')] => (whole, [].as_slice()),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(3);
    let value = digits.fold(u16::from(whole - b'0'), |sum, digit| sum * 10 + u16::from(digit - b'0'));
    (value <= 1000).then_some(value)
}

#[cfg(test)]
mod tests;
