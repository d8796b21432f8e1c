//! `Content-Disposition` of a part: its name, and that of its file (RFC 7578 section 4.2).
//!
//! Only `form-data` with `name`, `filename` and `filename*` is known, each once, written as browsers write them:
//! anything else is where parsers differ, and so a fault. `\"` and `\\` in quotes are escapes, any other backslash
//! stays, because some clients send Windows paths.

use memchr::memchr;

use super::super::output::{Output, nibble};
use super::super::{Fault, Kind, Sink, Text};
use super::{Flag, Flags};
use crate::http::fields::is_token_byte;

/// What a `Content-Disposition` says.
#[derive(Debug, Default)]
pub(super) struct Disposition {
    pub(super) name: Option<Text>,
    pub(super) filename: Option<Text>,
    /// `filename*`, percent-decoded.
    pub(super) extended_filename: Option<Text>,
    /// What is wrong with it; the rest holds what came before.
    pub(super) wrong: Option<&'static str>,
}

impl Disposition {
    /// That of a part which has no such header.
    pub(super) const fn missing() -> Self {
        let wrong = Some("multipart: a part without content-disposition");
        Self { name: None, filename: None, extended_filename: None, wrong }
    }
}

/// Reads `line`, the whole unfolded header with its name, and hands over the names in it. `header` is where `line` is
/// from.
pub(super) fn parse<S: Sink + ?Sized>(
    line: &[u8],
    header: Text,
    output: &mut Output<'_, S>,
    flags: &mut Flags,
) -> Result<Disposition, Fault> {
    let at = memchr(b':', line).map_or(line.len(), |colon| colon + 1);
    let mut found = Disposition::default();
    found.wrong = match (Reader { line, at, header, output, flags }).parameters(&mut found) {
        Ok(()) => None,
        Err(Stop::Wrong(what)) => Some(what),
        Err(Stop::Fault(fault)) => return Err(fault),
    };
    Ok(found)
}

/// Why reading a header ended early.
enum Stop {
    /// The header is not as it should be.
    Wrong(&'static str),
    /// A limit.
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

struct Reader<'r, 'o, S: ?Sized> {
    line: &'r [u8],
    at: usize,
    header: Text,
    output: &'r mut Output<'o, S>,
    flags: &'r mut Flags,
}

impl<'r, S: Sink + ?Sized> Reader<'r, '_, S> {
    fn parameters(&mut self, found: &mut Disposition) -> Result<(), Stop> {
        self.skip_space();
        if self.word(|byte| byte.is_ascii_alphabetic() || byte == b'-').eq_ignore_ascii_case(b"form-data") {
            self.skip_space();
        } else {
            return Err(Stop::Wrong("multipart: content-disposition is not form-data"));
        }
        while let Some(byte) = self.peek() {
            if byte != b';' {
                if matches!(self.line.get(self.at.wrapping_sub(1)), Some(b'"' | b'\'')) {
                    self.flags.set(Flag::InvalidQuoting);
                }
                return Err(Stop::Wrong("multipart: expected a semicolon in content-disposition"));
            }
            self.at += 1;
            self.skip_space();
            // Some clients end the line in a semicolon.
            if self.peek().is_some() {
                self.parameter(found)?;
                self.skip_space();
            }
        }
        Ok(())
    }

    fn parameter(&mut self, found: &mut Disposition) -> Result<(), Stop> {
        let (known, kind, extended) = match self.word(|byte| byte.is_ascii_alphanumeric() || byte == b'*') {
            b"name" => (&mut found.name, Kind::PartName, false),
            b"filename" => (&mut found.filename, Kind::PartFilename, false),
            b"filename*" => (&mut found.extended_filename, Kind::PartFilename, true),
            _ => return Err(Stop::Wrong("multipart: unknown parameter in content-disposition")),
        };
        // Without white space before: some parsers look for `filename=` and nothing else.
        if self.peek() != Some(b'=') {
            return Err(Stop::Wrong("multipart: expected = in content-disposition"));
        }
        self.at += 1;
        let value = if extended { self.extended()? } else { self.value()? };
        self.output.item(kind, value, value)?;
        if known.is_some() {
            return Err(Stop::Wrong("multipart: repeated parameter in content-disposition"));
        }
        *known = Some(value);
        Ok(())
    }

    fn value(&mut self) -> Result<Text, Stop> {
        self.skip_space();
        let Some(quote @ (b'"' | b'\'')) = self.peek() else {
            let start = self.at;
            if self.word(is_token_byte).contains(&b'\'') {
                self.flags.set(Flag::InvalidQuoting);
            }
            return Ok(self.part(start, self.at));
        };
        if quote == b'\'' {
            self.flags.set(Flag::InvalidQuoting);
        }
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.line.get(self.at..).unwrap_or_default() {
                [] | [b'\\'] => {
                    return Err(Stop::Wrong("multipart: unfinished quotes in content-disposition"));
                }
                [b'\\', next, ..] if *next == quote || *next == b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                [byte, ..] if *byte == quote => break,
                _ => self.at += 1,
            }
        }
        let end = self.at;
        self.at += 1;
        if escaped { Ok(self.unescape(start, end, quote)?) } else { Ok(self.part(start, end)) }
    }

    fn unescape(&mut self, start: usize, end: usize, quote: u8) -> Result<Text, Fault> {
        let begin = self.output.arena.bytes.len();
        let mut rest = self.line.get(start..end).unwrap_or_default();
        while let Some((byte, after)) = rest.split_first() {
            let (byte, after) = match after {
                [next, after @ ..] if *byte == b'\\' && (*next == quote || *next == b'\\') => (next, after),
                _ => (byte, after),
            };
            self.output.arena.bytes.push(*byte);
            rest = after;
        }
        self.output.since(begin)
    }

    /// RFC 8187: `charset'language'value`, percent-encoded.
    fn extended(&mut self) -> Result<Text, Stop> {
        let charset = self.word(|byte| is_token_byte(byte) && byte != b'\'');
        let known = charset.eq_ignore_ascii_case(b"utf-8") || charset.eq_ignore_ascii_case(b"iso-8859-1");
        if !known || self.peek() != Some(b'\'') {
            return Err(Stop::Wrong("multipart: filename* of an unknown charset"));
        }
        self.at += 1;
        self.word(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if self.peek() != Some(b'\'') {
            return Err(Stop::Wrong("multipart: invalid filename*"));
        }
        self.at += 1;
        let begin = self.output.arena.bytes.len();
        loop {
            match self.line.get(self.at..).unwrap_or_default() {
                [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    self.output.arena.bytes.push(nibble(*high) << 4 | nibble(*low));
                    self.at += 3;
                }
                [byte, ..] if is_token_byte(*byte) && !b"%'*".contains(byte) => {
                    self.output.arena.bytes.push(*byte);
                    self.at += 1;
                }
                [] | [b';' | b' ' | b'\t', ..] => return Ok(self.output.since(begin)?),
                _ => return Err(Stop::Wrong("multipart: invalid filename*")),
            }
        }
    }

    /// The bytes from here on for which `belongs` holds, which are then read.
    fn word(&mut self, belongs: impl Fn(u8) -> bool) -> &'r [u8] {
        let rest = self.line.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| !belongs(*byte)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        self.word(|byte| matches!(byte, b' ' | b'\t'));
    }

    /// A range of the line as one of where the line is from.
    fn part(&self, start: usize, end: usize) -> Text {
        self.header.part(start, end)
    }
}
