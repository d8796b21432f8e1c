//! A stored response without its content, in one piece of memory or of a file: URL, tags and header fields.
//!
//! A `HeaderMap` of a dozen fields takes two kilobytes; this takes what the text takes, and four bytes a field.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Tags that one response may have; with more of them it is not stored, or a purge would miss it.
pub const MAX_TAGS: usize = 256;

/// `[url length u32][tag count u32]`, the URL, 8 bytes for each tag, then `[u16][u16]`, name and value of each field; all
/// numbers little-endian. What is in here was checked when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    bytes: Bytes,
    tags_at: u32,
    fields_at: u32,
}

const HEAD: usize = 8;

impl Record {
    /// `None` if there are too many tags, or a field is longer than 65,535 bytes.
    #[must_use]
    pub fn new(url: &str, tags: &[u64], fields: &HeaderMap) -> Option<Self> {
        if tags.len() > MAX_TAGS {
            return None;
        }
        let size = |(name, value): (&HeaderName, &HeaderValue)| 4 + name.as_str().len() + value.len();
        let fields_at = HEAD + url.len() + 8 * tags.len();
        let mut bytes = Vec::with_capacity(fields_at + fields.iter().map(size).sum::<usize>());
        bytes.extend_from_slice(&u32::try_from(url.len()).ok()?.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(tags.len()).ok()?.to_le_bytes());
        bytes.extend_from_slice(url.as_bytes());
        for tag in tags {
            bytes.extend_from_slice(&tag.to_le_bytes());
        }
        for (name, value) in fields {
            bytes.extend_from_slice(&u16::try_from(name.as_str().len()).ok()?.to_le_bytes());
            bytes.extend_from_slice(&u16::try_from(value.len()).ok()?.to_le_bytes());
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(value.as_bytes());
        }
        Self::at(bytes.into(), HEAD + url.len(), fields_at)
    }

    /// Reads what [`as_bytes`](Self::as_bytes) wrote; `None` if it is anything else.
    #[must_use]
    pub fn parse(bytes: Bytes) -> Option<Self> {
        let number = |at: usize| {
            let four = bytes.get(at..)?.first_chunk::<4>()?;
            usize::try_from(u32::from_le_bytes(*four)).ok()
        };
        let (url_length, tag_count) = (number(0)?, number(4)?);
        let tags_at = HEAD.checked_add(url_length)?;
        let fields_at = tags_at.checked_add(tag_count.checked_mul(8)?)?;
        std::str::from_utf8(bytes.get(HEAD..tags_at)?).ok()?;
        if tag_count > MAX_TAGS || fields_at > bytes.len() {
            return None;
        }
        let record = Self::at(bytes, tags_at, fields_at)?;
        let is_whole = record.fields().all(|field| field.is_some());
        is_whole.then_some(record)
    }

    fn at(bytes: Bytes, tags_at: usize, fields_at: usize) -> Option<Self> {
        Some(Self { bytes, tags_at: u32::try_from(tags_at).ok()?, fields_at: u32::try_from(fields_at).ok()? })
    }

    /// All of it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// As [`super::key::Target`] prints it.
    #[must_use]
    pub fn url(&self) -> &str {
        let url = self.bytes.get(HEAD..self.tags_at as usize).unwrap_or_default();
        std::str::from_utf8(url).unwrap_or_default()
    }

    /// The hashes of its tags.
    pub fn tags(&self) -> impl Iterator<Item = u64> {
        let tags = self.bytes.get(self.tags_at as usize..self.fields_at as usize).unwrap_or_default();
        tags.as_chunks::<8>().0.iter().map(|tag| u64::from_le_bytes(*tag))
    }

    /// The header fields. Values are not copied.
    #[must_use]
    pub fn to_fields(&self) -> HeaderMap {
        let mut fields = HeaderMap::with_capacity(16);
        for (name, value) in self.fields().flatten() {
            fields.append(name, value);
        }
        fields
    }

    /// Ends with `None` at something that is no field.
    fn fields(&self) -> impl Iterator<Item = Option<(HeaderName, HeaderValue)>> {
        let mut at = self.fields_at as usize;
        std::iter::from_fn(move || {
            let head = self.bytes.get(at..).filter(|rest| !rest.is_empty())?;
            let field = head.first_chunk::<4>().and_then(|[a, b, c, d]| {
                let name_at = at + 4;
                let value_at = name_at + usize::from(u16::from_le_bytes([*a, *b]));
                let end = value_at + usize::from(u16::from_le_bytes([*c, *d]));
                let name = HeaderName::from_bytes(self.bytes.get(name_at..value_at)?).ok()?;
                self.bytes.get(value_at..end)?;
                let value = HeaderValue::from_maybe_shared(self.bytes.slice(value_at..end)).ok()?;
                Some((name, value, end))
            });
            at = field.as_ref().map_or(self.bytes.len(), |(_, _, end)| *end);
            Some(field.map(|(name, value, _)| (name, value)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::fields;

    const FIELDS: &str = "content-type: text/plain\nx-a: 1\nx-a: 2\nx-empty:";

    #[test]
    fn gives_back_what_it_was_made_from() {
        let record = Record::new("https://a/b?c", &[1, u64::MAX], &fields(FIELDS)).unwrap();
        let read = Record::parse(Bytes::copy_from_slice(record.as_bytes())).unwrap();
        assert_eq!(read, record);
        assert_eq!((read.url(), read.tags().collect::<Vec<_>>()), ("https://a/b?c", vec![1, u64::MAX]));
        assert_eq!(read.to_fields(), fields(FIELDS));
        let empty = Record::new("", &[], &HeaderMap::new()).unwrap();
        assert_eq!((empty.url(), empty.tags().count(), empty.to_fields().len()), ("", 0, 0));
    }

    #[test]
    fn takes_no_more_memory_than_its_text() {
        let record = Record::new("https://a/", &[7], &fields("etag: \"a\"\nx-b: c")).unwrap();
        assert_eq!(record.as_bytes().len(), 8 + 10 + 8 + (4 + 4 + 3) + (4 + 3 + 1));
    }

    #[test]
    fn refuses_what_it_cannot_hold() {
        assert_eq!(Record::new("", &[0; MAX_TAGS + 1], &HeaderMap::new()), None);
        assert!(Record::new("", &[0; MAX_TAGS], &HeaderMap::new()).is_some());
        assert_eq!(Record::new("", &[], &fields(&format!("a: {}", "b".repeat(65_536)))), None);
    }

    #[test]
    fn refuses_every_other_piece_of_bytes() {
        let whole = Record::new("https://a/", &[1], &fields(FIELDS)).unwrap();
        let whole = whole.as_bytes();
        for length in 0..whole.len() {
            if let Some(record) = Record::parse(Bytes::copy_from_slice(&whole[..length])) {
                assert!(record.to_fields().len() < 4, "{length}");
            }
        }
        let bad_tags = [&0_u32.to_le_bytes()[..], &u32::MAX.to_le_bytes()].concat();
        assert_eq!(Record::parse(bad_tags.into()), None);
        let bad_url = [&1_u32.to_le_bytes()[..], &0_u32.to_le_bytes(), b"\xff"].concat();
        assert_eq!(Record::parse(bad_url.into()), None);
        let bad_name = [&[0; 8][..], &[1, 0, 0, 0], b" "].concat();
        assert_eq!(Record::parse(bad_name.into()), None);
        let bad_value = [&[0; 8][..], &[1, 0, 1, 0], b"a\n"].concat();
        assert_eq!(Record::parse(bad_value.into()), None);
    }
}
