//! `Cookie` lines, read as ModSecurity 3 reads them (its version 0 format, the only one in use).
//!
//! Cookies are split at `;` and at their first `=`. White space before a name is not part of it, nor what ends the
//! line; everything else is as sent: no quotes are taken off, nothing is decoded, and `$Version` is a cookie like any
//! other. Unlike ModSecurity, which skips it, a cookie that has a value without a name is handed over, because
//! browsers send such and some servers read them (RFC 6265bis section 5.7).

use memchr::memchr;

use super::output::{Output, span};
use super::{Arena, Fault, Kind, Limits, Sink};

/// Hands over the cookies of one line as [`Kind::Cookie`]s.
pub fn parse<S: Sink + ?Sized>(
    line: &[u8],
    arena: &mut Arena,
    limits: &Limits,
    sink: &mut S,
) -> Result<(), Fault> {
    let line = line.trim_ascii_end();
    let mut output = Output::new(line, arena, limits, sink)?;
    let mut at = 0;
    while let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) {
        let length = memchr(b';', rest).unwrap_or(rest.len());
        let end = at + length;
        let cookie = rest.get(..length).unwrap_or_default().trim_ascii_start();
        let start = end - cookie.len();
        at = end + 1;
        if cookie.is_empty() {
            continue;
        }
        let equals = memchr(b'=', cookie).map_or(end, |equals| start + equals);
        output.item(Kind::Cookie, span(start, equals), span((equals + 1).min(end), end))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{limits, named};
    use super::super::{Limit, Limits};
    use super::*;

    fn cookies(line: &str) -> Vec<(String, String)> {
        named(line.as_bytes(), |arena, sink| parse(line.as_bytes(), arena, &limits(), sink)).unwrap()
    }

    #[test]
    fn splits_at_semicolons_and_first_equals_signs() {
        for (line, expected) in [
            ("a=1; b=2", vec![("a", "1"), ("b", "2")]),
            ("a=1;b=2=3", vec![("a", "1"), ("b", "2=3")]),
            ("a", vec![("a", "")]),
            ("a=", vec![("a", "")]),
            ("=v", vec![("", "v")]),
            ("", vec![]),
            (" ; ;; ", vec![]),
            ("\t a =  b c ;d=\"e;f\"", vec![("a ", "  b c "), ("d", "\"e"), ("f\"", "")]),
            ("$Version=1; a=%41+  ", vec![("$Version", "1"), ("a", "%41+")]),
        ] {
            let cookies = cookies(line);
            let found: Vec<_> = cookies.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(found, expected, "{line:?}");
        }
    }

    #[test]
    fn stops_at_its_limits() {
        let limits = Limits { items: 2, name_bytes: 2, value_bytes: 3, ..limits() };
        for (line, expected) in [
            ("aa=bbb; c=d", Ok(())),
            ("aa=bbb; c=d; e", Err(Limit::Items.into())),
            ("aaa=b", Err(Limit::NameBytes.into())),
            ("a=bbbb", Err(Limit::ValueBytes.into())),
        ] {
            let outcome = parse(line.as_bytes(), &mut Arena::default(), &limits, &mut |_| {});
            assert_eq!(outcome, expected, "{line}");
        }
    }
}
