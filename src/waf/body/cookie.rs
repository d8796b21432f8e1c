//! `Cookie` lines, read as ModSecurity 3 reads them (its version 0 format, the only one in use).
//!
//! Cookies are split at `;` and at their first `=`. White space before a name is not part of it, nor what ends the
//! line; everything else is as sent: no quotes are taken off, nothing is decoded, and `$Version` is a cookie like any
//! other. Unlike ModSecurity, which skips it, a cookie that has a value without a name is handed over, because
//! browsers send such and some servers read them (RFC 6265bis section 5.7); and a value in quotes that has escapes, or
//! semicolons, is handed over a second time as Python's servers read it, who undo `\"` and `\073` (RFC 2109 quotes, which
//! nobody else knows any more).

use memchr::memchr;

use super::output::{Output, span};
use super::{Arena, Fault, Kind, Limits, Sink, Text};

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
        let (name, value) = (span(start, equals), span((equals + 1).min(end), end));
        output.item(Kind::Cookie, name, value)?;
        let read_anew = [unquoted(value, &mut output)?, beyond(line, equals + 1, end, &mut output)?];
        for value in read_anew.into_iter().flatten() {
            output.item(Kind::Cookie, name, value)?;
        }
    }
    Ok(())
}

/// What a value in quotes says, if it has escapes.
fn unquoted<S: Sink + ?Sized>(value: Text, output: &mut Output<'_, S>) -> Result<Option<Text>, Fault> {
    let Text::Input(start, end) = value else { return Ok(None) };
    let raw = output.input.get(start as usize..end as usize).unwrap_or_default().trim_ascii();
    let [b'"', rest @ .., b'"'] = raw else { return Ok(None) };
    if memchr(b'\\', rest).is_none() {
        return Ok(None);
    }
    unescaped(rest, output).map(Some)
}

/// What a value says whose quotes close past the semicolon at `end`, as Python's servers read it: for them the quotes come
/// first. It ends before the quotes of another cookie do, so that all of them are looked for in linear time.
fn beyond<S: Sink + ?Sized>(
    line: &[u8],
    start: usize,
    end: usize,
    output: &mut Output<'_, S>,
) -> Result<Option<Text>, Fault> {
    let value = line.get(start..).unwrap_or_default().trim_ascii_start();
    let start = line.len() - value.len();
    let Some(quoted) = value.strip_prefix(b"\"").filter(|_| start < end) else { return Ok(None) };
    let mut length = 0;
    loop {
        match quoted.get(length..).unwrap_or_default() {
            [] => return Ok(None),
            [b'"', ..] => break,
            [b'\\', _, ..] => length += 2,
            _ => length += 1,
        }
    }
    if start + 1 + length < end {
        return Ok(None);
    }
    unescaped(quoted.get(..length).unwrap_or_default(), output).map(Some)
}

/// Without the escapes of RFC 2109.
fn unescaped<S: Sink + ?Sized>(text: &[u8], output: &mut Output<'_, S>) -> Result<Text, Fault> {
    let mut rest = text;
    let decoded = &mut output.arena.bytes;
    let begin = decoded.len();
    while let Some((byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                decoded.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                after
            }
            (b'\\', [escaped, after @ ..]) => {
                decoded.push(*escaped);
                after
            }
            _ => {
                decoded.push(*byte);
                after
            }
        };
    }
    output.since(begin)
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
            ("\t a =  b c ;d=\"e;f", vec![("a ", "  b c "), ("d", "\"e"), ("f", "")]),
            ("$Version=1; a=%41+  ", vec![("$Version", "1"), ("a", "%41+")]),
        ] {
            let cookies = cookies(line);
            let found: Vec<_> = cookies.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(found, expected, "{line:?}");
        }
    }

    #[test]
    fn values_in_quotes_are_handed_over_without_their_escapes_too() {
        for (line, expected) in [
            (r#"a="b\"c\073 \\""#, vec![("a", r#""b\"c\073 \\""#), ("a", r#"b"c; \"#)]),
            (r#"a="\400\9\" ; b"#, vec![("a", r#""\400\9\" "#), ("a", r"4009\"), ("b", "")]),
            (r#"a="b c"; d=\073; e="\073"#, vec![("a", r#""b c""#), ("d", r"\073"), ("e", r#""\073"#)]),
            (
                r#"a= "b; c=\073"; d=";""#,
                vec![
                    ("a", r#" "b"#),
                    ("a", "b; c=;"),
                    ("c", r#"\073""#),
                    ("d", "\""),
                    ("d", ";"),
                    ("\"", ""),
                ],
            ),
            (r#"a="b\";c"d""#, vec![("a", r#""b\""#), ("a", r"b\"), ("a", "b\";c"), ("c\"d\"", "")]),
            (r#"a=; b="c"; d"#, vec![("a", ""), ("b", r#""c""#), ("d", "")]),
            (r#"a;"b;c""#, vec![("a", ""), ("\"b", ""), ("c\"", "")]),
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
