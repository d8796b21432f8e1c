//! Parts of a stored response (RFC 9110 §14): one range, several as `multipart/byteranges`, or none that fits.
//!
//! Parts are cut from whole responses here; what an origin sent in parts is dealt with in [`part`](super::part).

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::scalars::{EntityTag, date};
use crate::http::fields::{list, trim_ows};

/// More ranges than this in one request are ignored (RFC 9110 §14.2: "egregious range requests"), and the whole is sent.
const MAX_RANGES: usize = 16;

/// What of a stored response a request gets. Ranges are in bytes, not empty, within the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parts {
    /// All of it: a 200.
    Whole,
    /// A 206.
    One(Range<u64>),
    /// A 206 with these, apart from each other and in the order asked for.
    Many(Vec<Range<u64>>),
    /// A 416: none of the ranges lies within the content.
    Unsatisfiable,
}

impl Parts {
    /// For a GET, the stored response's status and fields, and the length of its content in bytes. Only whole
    /// representations, that is responses of status 200, have parts, and of no bytes there are none; a `Range` that nobody
    /// can read counts for nothing (RFC 9110 §14.2). Conditions other than `If-Range` come before this.
    #[must_use]
    pub fn select(request: &HeaderMap, status: StatusCode, fields: &HeaderMap, length: u64) -> Self {
        let mut ranges = request.get_all(RANGE).iter();
        let (Some(ranges), None) = (ranges.next(), ranges.next()) else { return Self::Whole };
        if status != StatusCode::OK || length == 0 || !is_unchanged(request, fields) {
            return Self::Whole;
        }
        let Some(asked) = parse(ranges.as_bytes(), length) else { return Self::Whole };
        let mut parts = coalesced(asked);
        match parts.len() {
            0 => Self::Unsatisfiable,
            1 => parts.pop().map_or(Self::Unsatisfiable, Self::One),
            _ => Self::Many(parts),
        }
    }
}

/// Whether `If-Range`, if it is there, names exactly what is stored (RFC 9110 §13.1.5): a strong entity tag, or a date
/// that is a strong validator because the response is at least a second younger (§8.8.2.2).
fn is_unchanged(request: &HeaderMap, fields: &HeaderMap) -> bool {
    let Some(condition) = request.get(IF_RANGE) else { return true };
    if let Some(asked) = date(condition) {
        let modified = fields.get(LAST_MODIFIED).and_then(date);
        let made = fields.get(DATE).and_then(date);
        let strong =
            modified.zip(made).is_some_and(|(modified, made)| made >= modified + Duration::from_secs(1));
        return strong && modified == Some(asked);
    }
    let stored = fields.get(ETAG).and_then(|tag| EntityTag::new(tag.as_bytes()));
    let asked = EntityTag::new(condition.as_bytes());
    asked.zip(stored).is_some_and(|(asked, stored)| asked.is_strongly(&stored))
}

/// The ranges of `bytes=0-499, -500` that lie within the content; `None` if it is not that, or too much of it.
fn parse(value: &[u8], length: u64) -> Option<Vec<Range<u64>>> {
    let at = value.iter().position(|byte| *byte == b'=')?;
    if !trim_ows(value.get(..at)?).eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let mut ranges = Vec::new();
    for (index, member) in list(value.get(at + 1..)?).enumerate() {
        if index >= MAX_RANGES {
            return None;
        }
        ranges.push(parse_one(member, length)?);
    }
    // An empty list is no `ranges-specifier`.
    (!ranges.is_empty()).then(|| ranges.into_iter().filter(|range| !range.is_empty()).collect())
}

/// A range cut to the content; an empty one if it lies outside.
fn parse_one(member: &[u8], length: u64) -> Option<Range<u64>> {
    let dash = member.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (member.get(..dash)?, member.get(dash + 1..)?);
    match (first, last) {
        (b"", suffix) => Some(length.saturating_sub(number(suffix)?)..length),
        (first, b"") => Some(number(first)?..length),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| first..last.saturating_add(1).min(length))
        }
    }
    .map(|range| if range.start < range.end { range } else { 0..0 })
}

/// What is larger than any content is just that.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, add))
}

/// Ranges that overlap or touch become one, where the first of them stands (RFC 9110 §15.3.7.2), so that nobody gets
/// more than the content once.
fn coalesced(asked: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut parts: Vec<Range<u64>> = Vec::with_capacity(asked.len());
    for mut range in asked {
        let mut place = None;
        let mut index = 0;
        while let Some(part) = parts.get(index).cloned() {
            if part.start <= range.end && range.start <= part.end {
                range = part.start.min(range.start)..part.end.max(range.end);
                parts.remove(index);
                place = place.or(Some(index));
            } else {
                index += 1;
            }
        }
        parts.insert(place.unwrap_or(parts.len()).min(parts.len()), range);
    }
    parts
}

/// `Content-Range` of one part (RFC 9110 §14.4).
#[must_use]
pub fn content_range(part: &Range<u64>, length: u64) -> HeaderValue {
    let text = format!("bytes {}-{}/{length}", part.start, part.end.saturating_sub(1));
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("bytes */*"))
}

/// `Content-Range` of a part of something whose length nobody knows.
#[must_use]
pub fn open_range(part: &Range<u64>) -> HeaderValue {
    let text = format!("bytes {}-{}/*", part.start, part.end.saturating_sub(1));
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("bytes */*"))
}

/// `Content-Range` of a 416.
#[must_use]
pub fn unsatisfied_range(length: u64) -> HeaderValue {
    HeaderValue::try_from(format!("bytes */{length}")).unwrap_or(HeaderValue::from_static("bytes */*"))
}

/// The content of a 206 with several parts (RFC 9110 §14.6): each is a head and a range of the stored content, and the
/// end follows the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multipart {
    pub parts: Vec<(Bytes, Range<u64>)>,
    pub end: Bytes,
    /// `Content-Type` of the whole.
    pub content_type: HeaderValue,
    /// `Content-Length` of the whole.
    pub length: u64,
}

impl Multipart {
    /// `fields` are those of the stored response, `length` that of its content; `boundary` is drawn at random, so that no
    /// content can hold it.
    #[must_use]
    pub fn new(ranges: &[Range<u64>], fields: &HeaderMap, length: u64, boundary: u128) -> Self {
        let mut total = 0;
        let parts = ranges.iter().map(|range| {
            let mut head = format!("\r\n--{boundary:032x}\r\n").into_bytes();
            if let Some(kind) = fields.get(CONTENT_TYPE) {
                head.extend_from_slice(b"content-type: ");
                head.extend_from_slice(kind.as_bytes());
                head.extend_from_slice(b"\r\n");
            }
            head.extend_from_slice(CONTENT_RANGE.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(content_range(range, length).as_bytes());
            head.extend_from_slice(b"\r\n\r\n");
            total += head.len() as u64 + (range.end - range.start);
            (Bytes::from(head), range.clone())
        });
        let parts: Vec<_> = parts.collect();
        let end = Bytes::from(format!("\r\n--{boundary:032x}--\r\n"));
        let content_type = HeaderValue::try_from(format!("multipart/byteranges; boundary={boundary:032x}"))
            .unwrap_or(HeaderValue::from_static("multipart/byteranges"));
        let length = total + end.len() as u64;
        Self { parts, end, content_type, length }
    }
}

#[cfg(test)]
mod tests;
