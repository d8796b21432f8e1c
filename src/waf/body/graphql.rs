//! GraphQL documents (spec of October 2021, section 2.1), so far as strings go.
//!
//! What is a [document] at all is told by its grammar. A query is one long text in which the values that reach a resolver
//! are literals among braces and names, where no rule that looks at whole values finds them. So each string, block strings
//! included, is an argument of its own, decoded, and called after the name before it, and so is each comment, which has no
//! name: `{ user(id: "7") { posts(tags: ["a"]) } }` gives `graphql.id` = `7` and `graphql.tags` = `a`. Variables come as
//! JSON and are seen there.
//!
//! The query itself is the value of `query` of a JSON body or query string ([`Kind::Argument`] like any other), or
//! the body where that is `application/graphql`; whoever has it passes it on to [`parse`].

mod document;

use memchr::memmem;

use super::output::{Output, malformed, span};
use super::{Arena, Fault, Kind, Limit, Limits, Sink, Text};

pub use document::is_document;

/// Hands over the strings of the query `input` as [`Kind::Argument`]s. Only what cannot be split into tokens is a
/// fault.
pub fn parse<S: Sink + ?Sized>(
    input: &[u8],
    arena: &mut Arena,
    limits: &Limits,
    sink: &mut S,
) -> Result<(), Fault> {
    let mut output = Output::new(input, arena, limits, sink)?;
    let mut name = 0..0;
    let mut at = 0;
    while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
        match rest {
            [b'"', b'"', b'"', ..] => {
                let (value, end) = block_string(&mut output, at)?;
                argument(&mut output, name.clone(), value)?;
                at = end;
            }
            [b'"', ..] => {
                let (value, end) = string(&mut output, at)?;
                argument(&mut output, name.clone(), value)?;
                at = end;
            }
            [b'#', ..] => {
                let end = at + memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                argument(&mut output, 0..0, span(at + 1, end))?;
                at = end;
            }
            [byte, ..] if is_name_byte(*byte) => {
                let length = rest.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(rest.len());
                if !byte.is_ascii_digit() {
                    name = at..at + length;
                }
                at += length;
            }
            [byte, ..] if *byte < b' ' && !byte.is_ascii_whitespace() => {
                return Err(malformed("graphql: control character", at));
            }
            _ => at += 1,
        }
    }
    Ok(())
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn argument<S: Sink + ?Sized>(
    output: &mut Output<'_, S>,
    name: std::ops::Range<usize>,
    value: Text,
) -> Result<(), Fault> {
    let begin = output.arena.bytes.len();
    let name = output.input.get(name).unwrap_or_default();
    if name.len() > output.limits.name_bytes {
        return Err(Limit::NameBytes.into());
    }
    output.arena.bytes.extend_from_slice(b"graphql.");
    output.arena.bytes.extend_from_slice(name);
    let name = output.since(begin)?;
    output.item(Kind::Argument, name, value)
}

/// The string whose first quote is at `at`, and where it ends.
fn string<S: Sink + ?Sized>(output: &mut Output<'_, S>, at: usize) -> Result<(Text, usize), Fault> {
    let start = at + 1;
    let rest = output.input.get(start..).unwrap_or_default();
    let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\n' | b'\r'));
    if let Some(length) = stop.filter(|length| rest.get(*length) == Some(&b'"')) {
        return Ok((span(start, start + length), start + length + 1));
    }
    let begin = output.arena.bytes.len();
    let decoded = &mut output.arena.bytes;
    let mut rest = rest;
    loop {
        rest = match rest {
            [b'"', after @ ..] => {
                let end = output.input.len() - after.len();
                return Ok((output.since(begin)?, end));
            }
            [b'\\', b'u', after @ ..] => {
                let place = output.input.len() - rest.len();
                let (character, after) = unicode(after).ok_or(malformed("graphql: invalid escape", place))?;
                decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                after
            }
            [b'\\', escape, after @ ..] => {
                decoded.push(match escape {
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'"' | b'\\' | b'/' => *escape,
                    _ => return Err(malformed("graphql: invalid escape", output.input.len() - rest.len())),
                });
                after
            }
            [] | [b'\\' | b'\n' | b'\r', ..] => {
                return Err(malformed("graphql: unfinished string", output.input.len() - rest.len()));
            }
            [byte, after @ ..] => {
                decoded.push(*byte);
                after
            }
        };
    }
}

/// The character of an escape whose digits `text` starts with: four, eight as a surrogate pair, or any in braces.
fn unicode(text: &[u8]) -> Option<(char, &[u8])> {
    let add = |sum: u32, digit: &u8| sum.checked_mul(16)?.checked_add(char::from(*digit).to_digit(16)?);
    let number = |digits: &[u8]| digits.iter().try_fold(0, add);
    if let Some(braced) = text.strip_prefix(b"{") {
        let end = braced.iter().position(|byte| *byte == b'}').filter(|end| *end > 0)?;
        let (digits, after) = braced.split_at_checked(end)?;
        return Some((char::from_u32(number(digits)?)?, after.get(1..)?));
    }
    let (digits, after) = text.split_at_checked(4)?;
    let unit = number(digits)?;
    if let Some(character) = char::from_u32(unit) {
        return Some((character, after));
    }
    let (digits, after) = after.strip_prefix(b"\\u")?.split_at_checked(4)?;
    let mut pair = char::decode_utf16([u16::try_from(unit).ok()?, u16::try_from(number(digits)?).ok()?]);
    Some((pair.next()?.ok()?, after))
}

/// The block string whose first quote is at `at`, as it is written between its quotes, and where it ends.
fn block_string<S: Sink + ?Sized>(output: &mut Output<'_, S>, at: usize) -> Result<(Text, usize), Fault> {
    let start = at + 3;
    let rest = output.input.get(start..).unwrap_or_default();
    for found in memmem::find_iter(rest, b"\"\"\"") {
        if found == 0 || rest.get(found - 1) != Some(&b'\\') {
            return Ok((span(start, start + found), start + found + 3));
        }
    }
    Err(malformed("graphql: unfinished string", output.input.len()))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::Item;
    use super::super::testing::{limits, named, texts};
    use super::*;

    fn strings(query: &str) -> Result<Vec<(String, String)>, Fault> {
        named(query.as_bytes(), |arena, sink| parse(query.as_bytes(), arena, &limits(), sink))
    }

    #[test]
    fn hands_over_strings_by_the_name_before_them() {
        for (query, expected) in [
            ("", vec![]),
            ("{ user(id: 7) { name } }", vec![]),
            (
                r#"query Q { user(id: "1' OR 1=1") { posts(tags: ["a", "b"] x:2) } }"#,
                vec![("graphql.id", "1' OR 1=1"), ("graphql.tags", "a"), ("graphql.tags", "b")],
            ),
            (r#""alone""#, vec![("graphql.", "alone")]),
            (r#"{a(b:"\"\\\/\n\u0041\u{1F600}\ud83d\ude00é")}"#, vec![("graphql.b", "\"\\/\nA😀😀é")]),
            (
                "{a(b:\"\"\"x\n\"y\" \\\"\"\"\n\"\"\" c:\"\")}",
                vec![("graphql.b", "x\n\"y\" \\\"\"\"\n"), ("graphql.c", "")],
            ),
            ("# \"no\n{a(b:\"yes\") #", vec![("graphql.", " \"no"), ("graphql.b", "yes"), ("graphql.", "")]),
        ] {
            assert_eq!(texts(&strings(query).unwrap()), expected, "{query}");
        }
    }

    #[test]
    fn refuses_what_has_no_tokens() {
        for (query, what, at) in [
            ("{a(b:\"x", "unfinished string", 7),
            ("{a(b:\"x\ny\")", "unfinished string", 7),
            ("{a(b:\"\\", "unfinished string", 6),
            ("\"\"\" \\\"\"\"", "unfinished string", 8),
            ("\"\\x\"", "invalid escape", 1),
            ("\"\\u12\"", "invalid escape", 1),
            ("\"\\u{}\"", "invalid escape", 1),
            ("\"\\u{110000}\"", "invalid escape", 1),
            ("\"\\ud800\"", "invalid escape", 1),
            ("{ \0 }", "control character", 2),
        ] {
            let Err(Fault::Malformed { what: found, at: place }) = strings(query) else { panic!("{query}") };
            assert_eq!((found, place), (format!("graphql: {what}").as_str(), at), "{query}");
        }
    }

    #[test]
    fn stops_at_its_limits_and_takes_linear_time() {
        let limits = Limits { name_bytes: 9, items: 2, ..limits() };
        let outcome =
            |query: &str| parse(query.as_bytes(), &mut Arena::default(), &limits, &mut |_: Item| {});
        assert_eq!(outcome("a:\"\" b:\"\""), Ok(()));
        assert_eq!(outcome("a:\"\" b:\"\" c:\"\""), Err(Limit::Items.into()));
        assert_eq!(outcome("ab:\"\""), Err(Limit::NameBytes.into()));
        for query in [
            "\"\"\"\\".repeat(200_000),
            "\"\\u{".repeat(200_000),
            "a\"\"".repeat(300_000),
            "#".repeat(500_000),
        ] {
            let start = Instant::now();
            _ = parse(
                query.as_bytes(),
                &mut Arena::default(),
                &super::super::testing::limits(),
                &mut |_: Item| {},
            );
            assert!(start.elapsed().as_secs() < 3, "{}", &query[..8]);
        }
        let long = format!("{}{}", "n".repeat(200_000), "\"\"".repeat(200_000));
        assert_eq!(outcome(&long), Err(Limit::NameBytes.into()));
    }
}
