use super::*;
use crate::cache::testing::{fields, http_date};

fn part(text: &str) -> Option<Part> {
    Part::read(&fields(&format!("content-range: {text}")))
}

fn piece(range: &str, also: &str, content: &'static str) -> Piece {
    let fields = fields(&format!("content-range: {range}\n{also}"));
    Piece::new(StatusCode::PARTIAL_CONTENT, fields, Content::new(vec![content.into()])).unwrap()
}

fn text(piece: &Piece) -> String {
    String::from_utf8(piece.content.pieces().concat()).unwrap()
}

#[test]
fn a_content_range_is_one_range_of_bytes() {
    assert_eq!(part("bytes 0-4/10"), Some(Part { range: 0..5, complete: Some(10) }));
    assert_eq!(part("Bytes 3-3/*"), Some(Part { range: 3..4, complete: None }));
    for text in [
        "",
        "bytes",
        "bytes 0-4",
        "bytes */10",
        "bytes 4-0/10",
        "bytes 0-10/10",
        "bytes -4/10",
        "bytes 0-/10",
        "bytes 0-4/",
        "bytes +0-4/10",
        "bytes 0-4/x",
        "lines 0-4/10",
        "bytes=0-4/10",
        "bytes 0-18446744073709551615/*",
        "bytes 0-99999999999999999999/*",
    ] {
        assert_eq!(part(text), None, "{text}");
    }
    assert_eq!(Part::read(&fields("content-range: bytes 0-4/10\ncontent-range: bytes 0-4/10")), None);
    assert_eq!(Part::read(&fields("")), None);
}

#[test]
fn a_part_answers_what_lies_in_it() {
    let stored = fields("etag: \"a\"");
    let answer = |part: &str, asked: &str| {
        Part::read(&fields(&format!("content-range: {part}"))).unwrap().answer(&fields(asked), &stored)
    };
    for (asked, range) in [
        ("range: bytes=2-5", Some(2..6)),
        ("range: bytes=3-4", Some(3..5)),
        ("range: bytes=3-4\nif-range: \"a\"", Some(3..5)),
        ("range: bytes=3-4\nif-range: \"b\"", None),
        ("range: bytes=1-4", None),
        ("range: bytes=3-6", None),
        ("range: bytes=3-", None),
        ("range: bytes=-2", None),
        ("range: bytes=2-2, 4-4", None),
        ("range: bytes=20-", None),
        ("", None),
    ] {
        assert_eq!(answer("bytes 2-5/10", asked), range, "{asked}");
    }
    assert_eq!(answer("bytes 5-9/10", "range: bytes=-2"), Some(8..10));
    assert_eq!(answer("bytes 5-9/10", "range: bytes=7-99"), Some(7..10));
    assert_eq!(answer("bytes 5-9/*", "range: bytes=-2"), None);
    assert_eq!(answer("bytes 5-9/*", "range: bytes=7-"), None);
    assert_eq!(answer("bytes 5-9/*", "range: bytes=7-8"), Some(7..9));
}

#[test]
fn parts_that_touch_are_put_together() {
    const TAG: &str = "etag: \"a\"";
    let (first, last) = (piece("bytes 0-4/10", TAG, "01234"), piece("bytes 5-9/10", TAG, "56789"));
    for (new, old) in [(&first, &last), (&last, &first)] {
        let both = new.with(old).unwrap();
        assert_eq!((both.status, text(&both).as_str()), (StatusCode::OK, "0123456789"));
        assert!(!both.fields.contains_key(CONTENT_RANGE));
    }
    let middle = piece("bytes 3-6/*", TAG, "abcd");
    let both = middle.with(&first).unwrap();
    assert_eq!((both.status, text(&both).as_str()), (StatusCode::PARTIAL_CONTENT, "012abcd"));
    assert_eq!(both.fields[CONTENT_RANGE], "bytes 0-6/10");
    let inner = piece("bytes 2-3/*", TAG, "ab");
    assert_eq!(text(&inner.with(&first).unwrap()), "01ab4");
    assert_eq!(text(&first.with(&inner).unwrap()), "01234");
    let open = piece("bytes 4-5/*", TAG, "45").with(&inner).unwrap();
    assert_eq!(
        (text(&open).as_str(), &open.fields[CONTENT_RANGE]),
        ("ab45", &"bytes 2-5/*".parse().unwrap())
    );
    let whole = Piece::new(StatusCode::OK, fields(TAG), Content::new(vec!["0123456789".into()])).unwrap();
    assert_eq!(text(&inner.with(&whole).unwrap()), "01ab456789");
}

#[test]
fn parts_of_different_things_are_not() {
    let old = piece("bytes 0-4/10", "etag: \"a\"", "01234");
    for (range, also) in [
        ("bytes 5-9/10", "etag: \"b\""),
        ("bytes 5-9/10", "etag: W/\"a\""),
        ("bytes 5-9/10", ""),
        ("bytes 5-9/11", "etag: \"a\""),
        ("bytes 6-10/20", "etag: \"a\""),
        ("bytes 6-10/*", "etag: \"a\""),
        ("bytes 8-12/*", "etag: \"a\""),
    ] {
        assert_eq!(piece(range, also, "56789").with(&old), None, "{range} {also}");
    }
    let dated = |made: i64, range| {
        let also = format!("last-modified: {}\ndate: {}", http_date(0), http_date(made));
        piece(range, &also, "01234")
    };
    assert!(dated(5, "bytes 5-9/10").with(&dated(5, "bytes 0-4/10")).is_some());
    assert!(dated(0, "bytes 5-9/10").with(&dated(5, "bytes 0-4/10")).is_none());
    let short = fields("content-range: bytes 0-4/10");
    assert_eq!(Piece::new(StatusCode::PARTIAL_CONTENT, short, Content::new(vec!["012".into()])), None);
}
