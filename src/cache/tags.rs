//! The tags of a response, by which it can be purged: `Surrogate-Key: a b`, `Cache-Tag: a, b`.

use http::{HeaderMap, HeaderName};

use super::purge::tag;
use super::record::MAX_TAGS;

/// The tags in these fields, apart by commas and spaces, as [`tag`] remembers them. `None` if there are more than a stored
/// response may have.
#[must_use]
pub fn read(fields: &HeaderMap, names: &[HeaderName]) -> Option<Vec<u64>> {
    let mut tags = Vec::new();
    for line in names.iter().flat_map(|name| fields.get_all(name)) {
        for text in line.as_bytes().split(|byte| matches!(byte, b',' | b' ' | b'\t')) {
            if text.is_empty() {
                continue;
            }
            if tags.len() >= MAX_TAGS {
                return None;
            }
            tags.push(tag(text));
        }
    }
    Some(tags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::fields;

    const NAMES: [HeaderName; 2] =
        [HeaderName::from_static("surrogate-key"), HeaderName::from_static("cache-tag")];

    #[test]
    fn tags_are_apart_by_commas_and_spaces() {
        let both = fields("surrogate-key: a  b\ncache-tag: c,d , e\nx: f");
        let expected: Vec<_> = [b"a", b"b", b"c", b"d", b"e"].map(|text| tag(text)).into();
        assert_eq!(read(&both, &NAMES), Some(expected));
        assert_eq!(read(&both, &[]), Some(Vec::new()));
    }

    #[test]
    fn too_many_are_none() {
        let line = |count: usize| fields(&format!("cache-tag: {}", vec!["a"; count].join(",")));
        assert!(read(&line(MAX_TAGS), &NAMES).is_some());
        assert_eq!(read(&line(MAX_TAGS + 1), &NAMES), None);
    }
}
