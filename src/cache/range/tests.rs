use super::*;
use crate::cache::testing::{fields, http_date};

const LENGTH: u64 = 1000;

fn select_from(request: &str, stored: &str) -> Parts {
    Parts::select(&fields(request), StatusCode::OK, &fields(stored), LENGTH)
}

fn select(ranges: &str) -> Parts {
    select_from(&format!("range: {ranges}"), "")
}

#[test]
fn cuts_one_range() {
    // RFC 9110 §14.1.2.
    for (ranges, part) in [
        ("bytes=0-499", 0..500),
        ("bytes=500-999", 500..1000),
        ("bytes=500-", 500..1000),
        ("bytes=-500", 500..1000),
        ("bytes=-5000", 0..1000),
        ("bytes=990-5000", 990..1000),
        ("bytes=0-0", 0..1),
        ("bytes=-1", 999..1000),
        ("Bytes = 0-1", 0..2),
        ("bytes=0-99999999999999999999999", 0..1000),
        ("bytes=0-1, 2000-3000", 0..2),
    ] {
        assert_eq!(select(ranges), Parts::One(part), "{ranges}");
    }
}

#[test]
fn what_lies_outside_is_416_and_what_is_no_range_is_nothing() {
    for ranges in ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=5000-, 6000-"] {
        assert_eq!(select(ranges), Parts::Unsatisfiable, "{ranges}");
    }
    for ranges in [
        "bytes",
        "bytes=",
        "bytes=a",
        "bytes=1",
        "bytes=2-1",
        "bytes=-",
        "bytes=0-1-2",
        "bytes=+0-1",
        "lines=0-1",
        "bytes=0-1, x",
        "bytes=0x0-1",
        "bytes= ,",
    ] {
        assert_eq!(select(ranges), Parts::Whole, "{ranges}");
    }
    assert_eq!(select_from("", ""), Parts::Whole);
    assert_eq!(select_from("range: bytes=0-1\nrange: bytes=0-1", ""), Parts::Whole);
}

#[test]
fn several_ranges_stay_apart_and_never_exceed_the_whole() {
    // RFC 9110 §15.3.7.2: overlapping ranges may be coalesced.
    assert_eq!(select("bytes=0-1, 10-11"), Parts::Many(vec![0..2, 10..12]));
    assert_eq!(select("bytes=10-11, 0-1"), Parts::Many(vec![10..12, 0..2]));
    assert_eq!(select("bytes=0-9, 10-11"), Parts::One(0..12));
    assert_eq!(select("bytes=0-, 0-, 0-"), Parts::One(0..1000));
    assert_eq!(select("bytes=0-1, 20-21, 1-19"), Parts::One(0..22));
    assert_eq!(select("bytes=50-60, 0-1, 55-70"), Parts::Many(vec![50..71, 0..2]));
    let list = |count: usize| (0..count).map(|n| format!("{0}-{0}", n * 2)).collect::<Vec<_>>().join(",");
    assert!(matches!(select(&format!("bytes={}", list(16))), Parts::Many(parts) if parts.len() == 16));
    assert_eq!(select(&format!("bytes={}", list(17))), Parts::Whole);
}

#[test]
fn only_whole_representations_have_parts() {
    for status in [203, 204, 206, 301, 404] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(Parts::select(&fields("range: bytes=0-1"), status, &fields(""), LENGTH), Parts::Whole);
    }
    for range in ["0-1", "0-", "-1"] {
        let asked = fields(&format!("range: bytes={range}"));
        assert_eq!(Parts::select(&asked, StatusCode::OK, &fields(""), 0), Parts::Whole, "{range}");
    }
}

#[test]
fn if_range_takes_strong_validators() {
    // RFC 9110 §13.1.5.
    let (part, whole) = (Parts::One(0..2), Parts::Whole);
    let with = |condition: &str, stored: &str| {
        select_from(&format!("range: bytes=0-1\nif-range: {condition}"), stored)
    };
    assert_eq!(with("\"a\"", "etag: \"a\""), part);
    assert_eq!(with("\"b\"", "etag: \"a\""), whole);
    assert_eq!(with("W/\"a\"", "etag: W/\"a\""), whole);
    assert_eq!(with("\"a\"", "etag: W/\"a\""), whole);
    assert_eq!(with("\"a\"", ""), whole);
    let dates = |modified, made| format!("last-modified: {}\ndate: {}", http_date(modified), http_date(made));
    assert_eq!(with(&http_date(-10), &dates(-10, 0)), part);
    assert_eq!(with(&http_date(-9), &dates(-10, 0)), whole);
    assert_eq!(with(&http_date(-10), &dates(-10, -10)), whole);
    assert_eq!(with(&http_date(-10), &format!("last-modified: {}", http_date(-10))), whole);
}

#[test]
fn writes_parts_as_rfc_9110_14_6_does() {
    assert_eq!(content_range(&(0..2), 1000), "bytes 0-1/1000");
    assert_eq!(unsatisfied_range(1000), "bytes */1000");
    let multipart = Multipart::new(&[0..2, 10..12], &fields("content-type: text/plain"), 1000, 255);
    let boundary = "000000000000000000000000000000ff";
    assert_eq!(multipart.content_type, format!("multipart/byteranges; boundary={boundary}"));
    let content = b"abcdefghijkl";
    let mut body = Vec::new();
    for (head, part) in &multipart.parts {
        body.extend_from_slice(head);
        body.extend_from_slice(
            &content[usize::try_from(part.start).unwrap()..usize::try_from(part.end).unwrap()],
        );
    }
    body.extend_from_slice(&multipart.end);
    assert_eq!(body.len() as u64, multipart.length);
    let part = |range: &str, text: &str| {
        format!(
            "\r\n--{boundary}\r\ncontent-type: text/plain\r\ncontent-range: bytes {range}/1000\r\n\r\n{text}"
        )
    };
    let expected = [part("0-1", "ab"), part("10-11", "kl"), format!("\r\n--{boundary}--\r\n")].concat();
    assert_eq!(String::from_utf8(body).unwrap(), expected);
    let untyped = Multipart::new(std::slice::from_ref(&(0..1)), &fields(""), 1000, 1);
    assert!(!untyped.parts[0].0.windows(12).any(|window| window == b"content-type"));
}
