//! The `Cookie` field (RFC 6265 §4.2 and §5.4): read without copying, and written anew without some.
//!
//! Everything is bytes: browsers send what a page put into a cookie, be it ASCII or not, in one line with all others.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, header};

/// Names and values in their order, over all lines (RFC 9113 §8.2.3 lets a client send several).
pub fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers.get_all(header::COOKIE).iter().flat_map(|line| split(line.as_bytes())).map(pair)
}

/// All lines as the one that they are where HTTP/2 is not spoken (RFC 9113 §8.2.3): borrowed where there is one, `None` where
/// there is none.
#[must_use]
pub fn line(headers: &HeaderMap) -> Option<Cow<'_, [u8]>> {
    let mut lines = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    let first = lines.next()?;
    let rest: Vec<_> = lines.collect();
    Some(if rest.is_empty() {
        Cow::Borrowed(first)
    } else {
        Cow::Owned([&[first], &*rest].concat().join(&b"; "[..]))
    })
}

/// The value of the one cookie of this name; `None` where there are two, for nobody knows which is meant.
#[must_use]
pub fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = pairs(headers).filter(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// Whether a cookie is the one of this name, or a part of it: `NAME`, `NAME.2`.
#[must_use]
pub fn is_part_of(cookie: &[u8], name: &str) -> bool {
    let rest = cookie.strip_prefix(name.as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
}

/// What is left without the cookies that are `taken`, line by line; `None` where there are none of these.
pub fn without(headers: &HeaderMap, taken: impl Fn(&[u8]) -> bool) -> Option<Vec<HeaderValue>> {
    if !pairs(headers).any(|(name, _)| taken(name)) {
        return None;
    }
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| {
        let kept: Vec<&[u8]> = split(line.as_bytes()).filter(|text| !taken(pair(text).0)).collect();
        // They were parts of a value that was one already.
        HeaderValue::from_bytes(&kept.join(&b"; "[..])).ok().filter(|line| !line.is_empty())
    });
    Some(lines.collect())
}

/// The cookies of a line, trimmed; empty ones are skipped.
fn split(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|text| !text.is_empty())
}

/// Without `=` it is all name.
fn pair(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == b'=') {
        Some(at) => {
            let (name, value) = text.split_at_checked(at).unwrap_or_default();
            (name.trim_ascii(), value.get(1..).unwrap_or_default().trim_ascii())
        }
        None => (text, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        lines.iter().map(|line| (header::COOKIE, HeaderValue::from_bytes(line).unwrap())).collect()
    }

    fn left(lines: &[&[u8]], name: &[u8]) -> Option<Vec<Vec<u8>>> {
        let left = without(&headers(lines), |key| key == name)?;
        Some(left.iter().map(|line| line.as_bytes().to_vec()).collect())
    }

    #[test]
    fn reads_names_and_values_over_all_lines() {
        let headers = headers(&[b"a=1; b=x=y;c", b"  d = \"q\" ;; e="]);
        let read: Vec<_> = pairs(&headers).collect();
        let expected: [(&[u8], &[u8]); 5] =
            [(b"a", b"1"), (b"b", b"x=y"), (b"c", b""), (b"d", b"\"q\""), (b"e", b"")];
        assert_eq!(read, expected);
    }

    #[test]
    fn lines_are_joined_where_there_are_several() {
        assert_eq!(line(&headers(&[])), None);
        assert!(matches!(line(&headers(&[b"a=1;b=2"])), Some(Cow::Borrowed(b"a=1;b=2"))));
        assert_eq!(line(&headers(&[b"a=1", b"b=2", b"c"])).as_deref(), Some(&b"a=1; b=2; c"[..]));
    }

    #[test]
    fn a_name_that_is_there_twice_has_no_value() {
        let headers = headers(&[b"a=1; b=2", b"b=3"]);
        assert_eq!(only(&headers, "a"), Some(&b"1"[..]));
        assert_eq!(only(&headers, "b"), None);
        assert_eq!(only(&headers, "c"), None);
    }

    #[test]
    fn takes_cookies_away_wherever_they_stand() {
        assert_eq!(left(&[b"a=1; mine=2; b=3"], b"mine"), Some(vec![b"a=1; b=3".to_vec()]));
        assert_eq!(left(&[b"mine=2", b"b=3;mine=4"], b"mine"), Some(vec![b"b=3".to_vec()]));
        assert_eq!(left(&[b"mine=2"], b"mine"), Some(Vec::new()));
        assert_eq!(left(&[b"mine ;a=1"], b"mine"), Some(vec![b"a=1".to_vec()]));
        assert_eq!(left(&[b"a=\xc3\xa9;mine=2"], b"mine"), Some(vec![b"a=\xc3\xa9".to_vec()]));
    }

    #[test]
    fn leaves_a_line_without_them_alone() {
        assert_eq!(left(&[b"a=1;b=2", b"notmine=3; xmine=4"], b"mine"), None);
        assert_eq!(left(&[], b"mine"), None);
    }
}
