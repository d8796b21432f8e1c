//! A part of a representation that an origin sent by itself (206): what it answers, and what it makes together with
//! another one (RFC 9111 §3.3, §3.4).
//!
//! What always holds: parts are put together only where a strong validator says that they are of one representation, and
//! where nothing is missing between them.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_RANGE, DATE, ETAG, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

use super::content::Content;
use super::range::{Parts, content_range};
use super::scalars::{EntityTag, date};
use super::validate::freshened;
use crate::http::fields::trim_ows;

/// Where a part lies, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Not empty.
    pub range: Range<u64>,
    /// The length of the whole, if it is known.
    pub complete: Option<u64>,
}

impl Part {
    /// From `Content-Range: bytes 0-499/1234` (RFC 9110 §14.4). `None` if it is anything else, or there twice.
    #[must_use]
    pub fn read(fields: &HeaderMap) -> Option<Self> {
        let mut lines = fields.get_all(CONTENT_RANGE).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else { return None };
        let text = std::str::from_utf8(trim_ows(line.as_bytes())).ok()?;
        let (unit, text) = text.split_once(' ')?;
        let (range, complete) = text.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, end) = (number(first)?, number(last)?.checked_add(1)?);
        let complete = if complete == "*" { None } else { Some(number(complete)?) };
        let is_within = first < end && complete.is_none_or(|complete| end <= complete);
        (unit.eq_ignore_ascii_case("bytes") && is_within).then_some(Self { range: first..end, complete })
    }

    /// What of it answers a request with one range that lies in it, in bytes of the whole. `fields` are those it is stored
    /// with.
    #[must_use]
    pub fn answer(&self, request: &HeaderMap, fields: &HeaderMap) -> Option<Range<u64>> {
        let length = self.complete.unwrap_or(u64::MAX);
        match Parts::select(request, StatusCode::OK, fields, length) {
            Parts::One(asked) if self.range.start <= asked.start && asked.end <= self.range.end => {
                Some(asked)
            }
            _ => None,
        }
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Whether it is all there is.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.range.start == 0 && self.complete == Some(self.range.end)
    }
}

fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// A response with its content, of status 200 or 206.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub status: StatusCode,
    pub fields: HeaderMap,
    pub content: Content,
}

impl Piece {
    /// As it is stored: a part that is all there is, is the whole. `None` of a part that is not as long as it says.
    #[must_use]
    pub fn new(status: StatusCode, fields: HeaderMap, content: Content) -> Option<Self> {
        if status != StatusCode::PARTIAL_CONTENT {
            return Some(Self { status, fields, content });
        }
        let part = Part::read(&fields).filter(|part| part.length() == content.len())?;
        Some(Self::at(&part, fields, content))
    }

    fn at(part: &Part, mut fields: HeaderMap, content: Content) -> Self {
        let whole = part.is_whole();
        fields.remove(CONTENT_RANGE);
        if let (false, Some(complete)) = (whole, part.complete) {
            fields.insert(CONTENT_RANGE, content_range(&part.range, complete));
        } else if !whole {
            fields.insert(CONTENT_RANGE, super::range::open_range(&part.range));
        }
        let status = if whole { StatusCode::OK } else { StatusCode::PARTIAL_CONTENT };
        Self { status, fields, content }
    }

    fn part(&self) -> Option<Part> {
        match self.status {
            StatusCode::OK if !self.content.is_empty() => {
                Some(Part { range: 0..self.content.len(), complete: Some(self.content.len()) })
            }
            StatusCode::PARTIAL_CONTENT => {
                Part::read(&self.fields).filter(|part| part.length() == self.content.len())
            }
            _ => None,
        }
    }

    /// Both in one, with the fields of this newer one over those of the `older` (RFC 9111 §3.4). `None` if they are not of
    /// one representation, or there is a gap.
    #[must_use]
    pub fn with(&self, older: &Self) -> Option<Self> {
        let (new, old) = (self.part()?, older.part()?);
        let is_one_length = new.complete.is_none() || old.complete.is_none() || new.complete == old.complete;
        let touches = new.range.start <= old.range.end && old.range.start <= new.range.end;
        if !is_one_length || !touches || !is_same(&self.fields, &older.fields) {
            return None;
        }
        let complete = new.complete.or(old.complete);
        let range = new.range.start.min(old.range.start)..new.range.end.max(old.range.end);
        if complete.is_some_and(|complete| range.end > complete) {
            return None;
        }
        let of_old = |from: u64, to: u64| {
            let from = from.saturating_sub(old.range.start);
            let part = from..to.saturating_sub(old.range.start).max(from);
            older.content.part(&part).collect::<Vec<Bytes>>()
        };
        let mut pieces = of_old(old.range.start, new.range.start);
        pieces.extend(self.content.pieces().iter().cloned());
        pieces.extend(of_old(new.range.end, old.range.end));
        let fields = freshened(&older.fields, &self.fields);
        Some(Self::at(&Part { range, complete }, fields, Content::new(pieces)))
    }
}

/// Whether both have the same strong validator (RFC 9110 §8.8.1, RFC 9111 §3.4).
fn is_same(new: &HeaderMap, old: &HeaderMap) -> bool {
    let tag = |fields: &HeaderMap| fields.get(ETAG).map(|tag| tag.as_bytes().to_vec());
    if let (Some(new), Some(old)) = (tag(new), tag(old)) {
        let tags = EntityTag::new(&new).zip(EntityTag::new(&old));
        return tags.is_some_and(|(new, old)| new.is_strongly(&old));
    }
    // A date is strong if the response is at least a second younger (RFC 9110 §8.8.2.2).
    let strong = |fields: &HeaderMap| {
        let (modified, made) = (date(fields.get(LAST_MODIFIED)?)?, date(fields.get(DATE)?)?);
        (made >= modified + Duration::from_secs(1)).then_some(modified)
    };
    let tagged = new.contains_key(ETAG) || old.contains_key(ETAG);
    !tagged && strong(new).is_some() && strong(new) == strong(old)
}

#[cfg(test)]
mod tests;
