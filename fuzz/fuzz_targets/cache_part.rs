//! A part never answers for more than it has, and parts that are put together are the bytes of one whole, in order.
#![no_main]

use bytes::Bytes;
use edgeward::cache::content::Content;
use edgeward::cache::part::{Part, Piece};
use http::{HeaderMap, HeaderValue, StatusCode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((numbers, text)) = data.split_first_chunk::<5>() else { return };
    let mut lines = text.splitn(3, |byte| *byte == b'\n');
    let mut fields = HeaderMap::new();
    for name in ["content-range", "range", "if-range"] {
        if let Some(Ok(value)) = lines.next().map(HeaderValue::from_bytes) {
            fields.insert(name, value);
        }
    }
    if let Some(part) = Part::read(&fields) {
        assert!(
            part.range.start < part.range.end && part.complete.is_none_or(|length| part.range.end <= length)
        );
        if let Some(asked) = part.answer(&fields, &fields) {
            assert!(
                part.range.start <= asked.start && asked.start < asked.end && asked.end <= part.range.end
            );
        }
    }

    let [start, length, other_start, other_length, complete] = *numbers;
    let (Some(old), Some(new)) = (piece(start, length, 255), piece(other_start, other_length, complete))
    else {
        return;
    };
    if let Some(both) = new.with(&old) {
        let first = u64::from(start.min(other_start));
        let bytes = both.content.pieces().concat();
        assert!(bytes.iter().zip(first..).all(|(byte, at)| u64::from(*byte) == at));
        let part = Part::read(&both.fields);
        assert_eq!(both.status == StatusCode::OK, part.is_none());
        assert_eq!(part.map_or(255, |part| part.length()), bytes.len() as u64);
    }
});

/// A part of the bytes 0 to 254, each of its own value.
fn piece(start: u8, length: u8, complete: u8) -> Option<Piece> {
    let end = start.checked_add(length)?;
    let range = format!("bytes {start}-{}/{complete}", end.checked_sub(1)?);
    let mut fields = HeaderMap::new();
    fields.insert("content-range", HeaderValue::try_from(range).ok()?);
    fields.insert("etag", HeaderValue::from_static("\"a\""));
    let content = Content::new(vec![Bytes::from_iter(start..end)]);
    Piece::new(StatusCode::PARTIAL_CONTENT, fields, content)
}
