//! What a client is sent of a response: all of it, a part, that it has not changed, or that there is no such part.

use std::ops::Range;
use std::time::SystemTime;

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::part::Part;
use super::range::{Multipart, Parts, content_range, open_range, unsatisfied_range};
use super::validate;
use crate::http::length;

/// A response's head as one client gets it, and what of its content.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub fields: HeaderMap,
    pub content: Selected,
}

/// What of a response's content a client gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Selected {
    Nothing,
    Whole,
    /// Not empty, in bytes.
    Part(Range<u64>),
    Parts(Multipart),
}

/// What is known of a response's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it is there, so many bytes.
    Whole(u64),
    /// It still comes; so many bytes, if that is known.
    Coming(Option<u64>),
}

impl Extent {
    const fn length(self) -> Option<u64> {
        match self {
            Self::Whole(length) => Some(length),
            Self::Coming(length) => length,
        }
    }
}

impl Answer {
    /// To a GET or HEAD with the fields `asked`, from a response that may be used for it. `Content-Length` is told where it is
    /// known. Several ranges at once are cut from whole content alone, as they may be asked for in any order.
    #[must_use]
    pub fn new(
        (method, asked): (&Method, &HeaderMap),
        (status, mut fields): (StatusCode, HeaderMap),
        extent: Extent,
        now: SystemTime,
    ) -> Self {
        fields.remove(CONTENT_LENGTH);
        if validate::is_not_modified(asked, status, &fields, now) {
            validate::reduce_to_not_modified(&mut fields);
            return Self { status: StatusCode::NOT_MODIFIED, fields, content: Selected::Nothing };
        }
        if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Self { status, fields, content: Selected::Nothing };
        }
        if let (StatusCode::PARTIAL_CONTENT, Extent::Whole(_)) = (status, extent)
            && let Some(part) = Part::read(&fields)
            && let Some(asked) = part.answer(asked, &fields)
        {
            let complete = part.complete.map(|complete| content_range(&asked, complete));
            fields.insert(CONTENT_RANGE, complete.unwrap_or_else(|| open_range(&asked)));
            fields.insert(CONTENT_LENGTH, length::value(asked.end - asked.start));
            let within = asked.start - part.range.start..asked.end - part.range.start;
            return Self { status, fields, content: Selected::Part(within) };
        }
        let parts = match extent.length() {
            Some(length) if *method == Method::GET => Parts::select(asked, status, &fields, length),
            _ => Parts::Whole,
        };
        let length = extent.length().unwrap_or_default();
        match parts {
            Parts::One(part) => {
                fields.insert(CONTENT_RANGE, content_range(&part, length));
                fields.insert(CONTENT_LENGTH, length::value(part.end - part.start));
                Self { status: StatusCode::PARTIAL_CONTENT, fields, content: Selected::Part(part) }
            }
            Parts::Many(ranges) if matches!(extent, Extent::Whole(_)) => {
                let multipart = Multipart::new(&ranges, &fields, length, fastrand::u128(..));
                fields.insert(CONTENT_TYPE, multipart.content_type.clone());
                fields.insert(CONTENT_LENGTH, length::value(multipart.length));
                Self { status: StatusCode::PARTIAL_CONTENT, fields, content: Selected::Parts(multipart) }
            }
            Parts::Unsatisfiable => {
                validate::remove_content_fields(&mut fields);
                fields.insert(CONTENT_RANGE, unsatisfied_range(length));
                fields.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
                Self { status: StatusCode::RANGE_NOT_SATISFIABLE, fields, content: Selected::Nothing }
            }
            Parts::Whole | Parts::Many(_) => {
                if let Some(length) = extent.length() {
                    fields.insert(CONTENT_LENGTH, length::value(length));
                }
                let content = if *method == Method::HEAD { Selected::Nothing } else { Selected::Whole };
                Self { status, fields, content }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::{at, fields};

    const STORED: &str = "etag: \"a\"\ncontent-type: text/plain";

    fn answer(method: &Method, asked: &str, status: u16, extent: Extent) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer::new((method, &fields(asked)), (status, fields(STORED)), extent, at(0))
    }

    fn get(asked: &str, extent: Extent) -> (u16, Selected) {
        let answer = answer(&Method::GET, asked, 200, extent);
        (answer.status.as_u16(), answer.content)
    }

    #[test]
    fn the_whole_goes_with_its_length_where_that_is_known() {
        let whole = answer(&Method::GET, "", 200, Extent::Whole(5));
        assert_eq!((whole.content, &whole.fields[CONTENT_LENGTH]), (Selected::Whole, &"5".parse().unwrap()));
        let coming = answer(&Method::GET, "range: bytes=0-1", 200, Extent::Coming(None));
        assert_eq!((coming.content, coming.fields.get(CONTENT_LENGTH)), (Selected::Whole, None));
    }

    #[test]
    fn a_head_has_the_length_and_no_content() {
        let head = answer(&Method::HEAD, "range: bytes=0-1", 200, Extent::Whole(5));
        assert_eq!((head.status.as_u16(), head.content), (200, Selected::Nothing));
        assert_eq!(head.fields[CONTENT_LENGTH], "5");
        let none = answer(&Method::GET, "", 204, Extent::Whole(0));
        assert_eq!((none.content, none.fields.get(CONTENT_LENGTH)), (Selected::Nothing, None));
    }

    #[test]
    fn who_has_it_is_told_so() {
        let had = answer(&Method::GET, "if-none-match: \"a\"\nrange: bytes=0-1", 200, Extent::Whole(5));
        assert_eq!((had.status.as_u16(), had.content), (304, Selected::Nothing));
        assert!(had.fields.contains_key("etag") && !had.fields.contains_key(CONTENT_TYPE));
        assert_eq!(get("if-none-match: \"b\"", Extent::Whole(5)).0, 200);
    }

    #[test]
    fn of_a_part_there_are_parts() {
        let stored = fields("etag: \"a\"\ncontent-range: bytes 10-19/100");
        let of = |asked: &str| {
            let stored = (StatusCode::PARTIAL_CONTENT, stored.clone());
            Answer::new((&Method::GET, &fields(asked)), stored, Extent::Whole(10), at(0))
        };
        let part = of("range: bytes=12-14");
        assert_eq!((part.status.as_u16(), part.content), (206, Selected::Part(2..5)));
        assert_eq!(
            (&part.fields[CONTENT_RANGE], &part.fields[CONTENT_LENGTH]),
            (&"bytes 12-14/100".parse().unwrap(), &"3".parse().unwrap())
        );
        assert_eq!(of("range: bytes=12-14\nif-none-match: \"a\"").status, 304);
        assert_eq!(of("range: bytes=0-5").content, Selected::Whole);
    }

    #[test]
    fn parts_are_cut_where_all_is_known_that_it_takes() {
        assert_eq!(get("range: bytes=1-2", Extent::Coming(Some(5))), (206, Selected::Part(1..3)));
        let many = "range: bytes=0-0, 4-4";
        assert_eq!(get(many, Extent::Coming(Some(5))), (200, Selected::Whole));
        assert!(matches!(get(many, Extent::Whole(5)), (206, Selected::Parts(_))));
        let none = answer(&Method::GET, "range: bytes=9-", 200, Extent::Whole(5));
        assert_eq!((none.status.as_u16(), &none.fields[CONTENT_RANGE]), (416, &"bytes */5".parse().unwrap()));
    }
}
