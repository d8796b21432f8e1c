//! Strings of what is nearly JSON: with comments, `NaN`, single quotes, unknown escapes or a comma too many, as some
//! backends read it all the same (JSON5, Ruby, Python).
//!
//! What is between two quotes is a string, wherever it stands, and all of it is decoded: whatever such a backend takes
//! for a string is in one of these, or is part of one.

use memchr::memmem;

use super::super::output::Output;
use super::super::{Arena, Fault, Kind, Limits, Sink};

/// Hands over the strings of `input` as [`Kind::Argument`]s called `name`; empty ones are none. No more than a limit is a
/// fault.
pub fn parse<S: Sink + ?Sized>(
    input: &[u8],
    name: &[u8],
    arena: &mut Arena,
    limits: &Limits,
    sink: &mut S,
) -> Result<(), Fault> {
    let mut output = Output::new(input, arena, limits, sink)?;
    output.arena.side.extend_from_slice(name);
    let name = output.keep_side()?;
    let mut rest = input;
    while let Some((byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (quote @ (b'"' | b'\''), _) => {
                let begin = output.arena.bytes.len();
                let after = string(after, *quote, &mut output.arena.bytes);
                let value = output.since(begin)?;
                if !value.is_empty() {
                    output.item(Kind::Argument, name, value)?;
                }
                after
            }
            (b'/', [b'*' | b'/', ..]) => comment(rest),
            _ => after,
        };
    }
    Ok(())
}

/// Whether this begins as an object or an array does, after comments, and whatever else is no letter or sign: JSON5 has
/// white space beyond that of ASCII.
pub fn begins(text: &[u8]) -> bool {
    let mut rest = text;
    loop {
        let blank = rest.iter().position(u8::is_ascii_graphic).unwrap_or(rest.len());
        rest = match rest.get(blank..).unwrap_or_default() {
            [b'{' | b'[', ..] => return true,
            rest @ [b'/', b'*' | b'/', ..] => comment(rest),
            _ => return false,
        };
    }
}

/// Whether this is text. Files that are none may begin as documents do, too, and have control characters.
pub fn is_text(text: &[u8]) -> bool {
    !text.iter().any(|byte| byte.is_ascii_control() && !matches!(byte, b'\t'..=b'\r'))
}

/// What follows the comment that `text` begins with.
fn comment(text: &[u8]) -> &[u8] {
    let (_, content) = text.split_at_checked(2).unwrap_or_default();
    let end = match text {
        [_, b'*', ..] => memmem::find(content, b"*/").map(|at| at + 2),
        _ => memchr::memchr2(b'\n', b'\r', content),
    };
    end.and_then(|end| content.get(end..)).unwrap_or_default()
}

/// Decodes the string that `text` begins with, whose first quote is before it, and returns what follows its last.
fn string<'t>(text: &'t [u8], quote: u8, out: &mut Vec<u8>) -> &'t [u8] {
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (byte, _) if *byte == quote => return after,
            (b'\\', [b'u', digits @ ..]) => unicode(digits, out),
            (b'\\', [b'x', high, low, after @ ..]) if hexadecimal(&[*high, *low]).is_some() => {
                push(hexadecimal(&[*high, *low]), out);
                after
            }
            (b'\\', [escaped, after @ ..]) => {
                out.extend_from_slice(match escaped {
                    b'b' => b"\x08",
                    b'f' => b"\x0c",
                    b'n' => b"\n",
                    b'r' => b"\r",
                    b't' => b"\t",
                    // A line that goes on.
                    b'\n' | b'\r' => b"",
                    other => std::slice::from_ref(other),
                });
                after
            }
            (byte, _) => {
                out.push(*byte);
                after
            }
        };
    }
    rest
}

/// Decodes what follows `\u`, and returns what follows that.
fn unicode<'t>(digits: &'t [u8], out: &mut Vec<u8>) -> &'t [u8] {
    let unit = |digits: &'t [u8]| {
        let (unit, after) = digits.split_at_checked(4)?;
        Some((hexadecimal(unit)?, after))
    };
    let Some((first, after)) = unit(digits) else {
        out.push(b'u');
        return digits;
    };
    let second = after.strip_prefix(b"\\u").and_then(unit);
    if let (0xd800..=0xdbff, Some((low @ 0xdc00..=0xdfff, after))) = (first, second) {
        push(Some(0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00)), out);
        return after;
    }
    push(Some(first), out);
    after
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?))
}

fn push(code: Option<u32>, out: &mut Vec<u8>) {
    let character = code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{cpu_seconds, limits, named, texts};
    use super::*;

    fn strings(text: &str) -> Vec<(String, String)> {
        named(text.as_bytes(), |arena, sink| parse(text.as_bytes(), b"json", arena, &limits(), sink)).unwrap()
    }

    #[test]
    fn finds_the_strings_of_what_is_nearly_json() {
        for (text, expected) in [
            ("{/* it's */ \"a\": 'b\\u0027'}", vec!["a", "b'"]),
            ("// \"no\"\n{a: \"\\x27\\u00e9\\ud83d\\ude00\\q\\n\\\n.\"}", vec!["'é😀q\n."]),
            ("[NaN, \"\", \"a\\\"b\", 'c\"d', \"open", vec!["a\"b", "c\"d", "open"]),
            ("[\"\\u12\", \"\\ud800\", \"\\x4\", \"\\", vec!["u12", "\u{fffd}", "x4", "\\"]),
            ("{ // end", vec![]),
            ("{ /* end", vec![]),
            ("", vec![]),
        ] {
            let found = strings(text);
            let found: Vec<_> = texts(&found);
            let expected: Vec<_> = expected.into_iter().map(|value| ("json", value)).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn knows_how_documents_begin() {
        for text in ["{", " [", "\u{feff}\u{a0}\x0b{", "//a\n /**/\r\n[", "/* { */{"] {
            assert!(begins(text.as_bytes()), "{text}");
        }
        for text in ["", "a", "/", "/ {", "/* {", "// {", "'", "\"", "a{"] {
            assert!(!begins(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn knows_files_that_are_no_text() {
        assert!(is_text("{\t\u{e9}\r\n}".as_bytes()));
        assert!(!is_text(b"{\0}") && !is_text(b"[\x7f"));
    }

    #[test]
    fn takes_linear_time() {
        for text in ["\"\\u", "'\"", "/*", "//", "\\ud83d", "\"\\"] {
            let text = format!("[{}", text.repeat(300_000));
            let seconds = cpu_seconds(|| {
                assert!(begins(text.as_bytes()));
                strings(&text);
            });
            assert!(seconds < 3, "{}", &text[..8]);
        }
    }

    #[test]
    fn stops_at_its_limits() {
        let limits = Limits { items: 1, ..limits() };
        let outcome = |text: &[u8]| {
            parse(text, b"a", &mut Arena::default(), &limits, &mut |_: super::super::super::Item| {})
        };
        assert_eq!(outcome(b"\"\"'a'\"\""), Ok(()));
        assert_eq!(outcome(b"'a''b'"), Err(super::super::super::Limit::Items.into()));
    }
}
