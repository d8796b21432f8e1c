//! The small values that caching compares: dates, numbers of seconds, entity tags, as received from anyone.

use std::time::SystemTime;

use http::HeaderValue;

use crate::http::fields::trim_ows;

/// The largest number of seconds there is (RFC 9111 §1.2.2), 68 years: what goes beyond it counts as this.
pub const MAX_SECONDS: u32 = 1 << 31;

/// A non-negative number of seconds, at most [`MAX_SECONDS`]; `None` if there is anything but digits.
#[must_use]
pub fn delta_seconds(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u32, digit: &u8| sum.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
    Some(text.iter().fold(0, add).min(MAX_SECONDS))
}

/// A date in one of the three formats of RFC 9110 §5.6.7, names in any case (RFC 9111 §4.2), in no zone but GMT. Dates
/// before 1970 are none.
#[must_use]
pub fn date(value: &HeaderValue) -> Option<SystemTime> {
    let text = value.to_str().ok()?;
    httpdate::parse_http_date(text).ok().or_else(|| httpdate::parse_http_date(&in_usual_case(text)?).ok())
}

/// `SUN, 06 nov 1994 08:49:37 gmt` as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn in_usual_case(text: &str) -> Option<String> {
    const LONGEST: usize = "Wednesday, 09-Nov-94 08:49:37 GMT".len();
    if text.len() > LONGEST {
        return None;
    }
    let mut after_letter = false;
    let usual = |byte: char| {
        let was_after_letter = std::mem::replace(&mut after_letter, byte.is_ascii_alphabetic());
        if was_after_letter { byte.to_ascii_lowercase() } else { byte.to_ascii_uppercase() }
    };
    let text: String = text.chars().map(usual).collect();
    Some(match text.strip_suffix("Gmt") {
        Some(rest) => format!("{rest}GMT"),
        None => text,
    })
}

/// An entity tag (RFC 9110 §8.8.3). The opaque part is compared byte by byte, with its quotes; one that lacks the quotes
/// matches what lacks them, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityTag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// One tag, as `ETag` has it. `None` if it is empty.
    #[must_use]
    pub fn new(value: &'a [u8]) -> Option<Self> {
        let value = trim_ows(value);
        let (weak, opaque) = match value {
            [b'W', b'/', opaque @ ..] => (true, opaque),
            opaque => (false, opaque),
        };
        (!opaque.is_empty()).then_some(Self { weak, opaque })
    }

    /// Whether it only says that two representations may stand for each other.
    #[must_use]
    pub const fn is_weak(&self) -> bool {
        self.weak
    }

    /// Strong comparison: equal, and neither is weak (RFC 9110 §8.8.3.2).
    #[must_use]
    pub fn is_strongly(&self, other: &Self) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// Weak comparison: equal, whether or not they are weak (RFC 9110 §8.8.3.2).
    #[must_use]
    pub fn is_weakly(&self, other: &Self) -> bool {
        self.opaque == other.opaque
    }
}

/// The tags of an `If-None-Match` line. Other than in quoted strings, a backslash stands for itself.
pub fn entity_tags(line: &[u8]) -> impl Iterator<Item = EntityTag<'_>> {
    let mut quoted = false;
    line.split(move |byte| {
        quoted ^= *byte == b'"';
        *byte == b',' && !quoted
    })
    .filter_map(EntityTag::new)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn seconds_are_digits_and_never_overflow() {
        for (text, seconds) in [("0", 0), ("007", 7), ("3600", 3600), ("2147483648", MAX_SECONDS)] {
            assert_eq!(delta_seconds(text.as_bytes()), Some(seconds), "{text}");
        }
        // RFC 9111 §1.2.2: "the cache MUST consider the value to be 2147483648".
        for text in ["2147483649", "4294967296", "99999999999", &"9".repeat(400)] {
            assert_eq!(delta_seconds(text.as_bytes()), Some(MAX_SECONDS), "{text}");
        }
        for text in ["", "-1", "+1", "1.5", " 1", "1 ", "0x10", "1e3", "a", "'1'", "1;"] {
            assert_eq!(delta_seconds(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn dates_have_three_formats_any_case_and_one_zone() {
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "sun, 06 nov 1994 08:49:37 gmt",
            "SUN, 06 NOV 1994 08:49:37 GMT",
            "SUNDAY, 06-nov-94 08:49:37 Gmt",
        ] {
            assert_eq!(date(&HeaderValue::from_static(text)), Some(expected), "{text}");
        }
        for text in [
            "",
            "0",
            "-1",
            "tomorrow",
            "784111777",
            "Sun, 06 Nov 1994 08:49:37 PST",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Mon, 01 Jan 1900 00:00:00 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
        ] {
            assert_eq!(date(&HeaderValue::from_str(text).unwrap()), None, "{text}");
        }
    }

    #[test]
    fn tags_compare_as_the_table_of_rfc_9110_8_8_3_2_says() {
        for (first, second, strong, weak) in [
            (r#"W/"1""#, r#"W/"1""#, false, true),
            (r#"W/"1""#, r#"W/"2""#, false, false),
            (r#"W/"1""#, r#""1""#, false, true),
            (r#""1""#, r#""1""#, true, true),
            (r#""1""#, r#""2""#, false, false),
            ("1", r#""1""#, false, false),
        ] {
            let (first, second) = (EntityTag::new(first.as_bytes()), EntityTag::new(second.as_bytes()));
            let (first, second) = (first.unwrap(), second.unwrap());
            assert_eq!((first.is_strongly(&second), first.is_weakly(&second)), (strong, weak));
        }
        assert_eq!(EntityTag::new(b" "), None);
        assert_eq!(EntityTag::new(b"W/"), None);
    }

    #[test]
    fn commas_and_backslashes_may_stand_in_tags() {
        let tags = |line: &'static str| {
            entity_tags(line.as_bytes()).map(|tag| String::from_utf8_lossy(tag.opaque)).collect::<Vec<_>>()
        };
        assert_eq!(tags(r#" "a,b" ,W/"c\", , d"#), [r#""a,b""#, r#""c\""#, "d"]);
        assert_eq!(tags(""), [""; 0]);
    }
}
