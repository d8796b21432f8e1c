//! What comes before the root: the XML declaration, which says the encoding, and the document type, which must say
//! nothing.

use memchr::memmem;

use super::super::content_type::{ByteOrderMark, byte_order_mark};
use super::super::output::malformed;
use super::super::{Fault, Sink};
use super::{Parser, Root, is_space};

/// How characters are encoded, of what we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    /// The first half ASCII. The other half stays as it is.
    EightBit,
}

/// Reads the byte order mark and the XML declaration, if there are any; returns where the rest starts.
pub(super) fn declaration(input: &[u8]) -> Result<(usize, Encoding), Fault> {
    let at = match byte_order_mark(input) {
        None => 0,
        Some(ByteOrderMark::Utf8) => 3,
        Some(_) => return Err(malformed(UNKNOWN_ENCODING, 0)),
    };
    let rest = input.get(at..).unwrap_or_default();
    match rest.strip_prefix(b"<?xml") {
        Some(rest @ [byte, ..]) if is_space(*byte) => {
            let Some(length) = memmem::find(rest, b"?>") else {
                return Err(malformed("xml: unexpected end", input.len()));
            };
            let encoding = pseudo_attributes(rest.get(..length).unwrap_or_default())
                .map_err(|what| malformed(what, at))?;
            Ok((at + 5 + length + 2, encoding))
        }
        _ => Ok((at, Encoding::Utf8)),
    }
}

/// `version`, `encoding` and `standalone`, in this order (XML 1.0 section 2.8).
fn pseudo_attributes(text: &[u8]) -> Result<Encoding, &'static str> {
    let mut rest = text;
    let version = next(&mut rest, b"version")?.unwrap_or_default();
    if !matches!(version, [b'1', b'.', b'0'..=b'9']) {
        return Err(INVALID);
    }
    let encoding = next(&mut rest, b"encoding")?;
    let standalone = next(&mut rest, b"standalone")?;
    if standalone.is_some_and(|value| !matches!(value, b"yes" | b"no"))
        || !rest.iter().all(|byte| is_space(*byte))
    {
        return Err(INVALID);
    }
    let starts = |name: &[u8], start: &[u8]| {
        name.get(..start.len()).is_some_and(|name| name.eq_ignore_ascii_case(start))
    };
    match encoding {
        None => Ok(Encoding::Utf8),
        Some(name) if name.eq_ignore_ascii_case(b"utf-8") || name.eq_ignore_ascii_case(b"us-ascii") => {
            Ok(Encoding::Utf8)
        }
        Some(name) if EIGHT_BIT.iter().any(|start| starts(name, start)) => Ok(Encoding::EightBit),
        Some(_) => Err(UNKNOWN_ENCODING),
    }
}

/// How the names of encodings begin in which ASCII is itself, and markup never a part of another character.
const EIGHT_BIT: [&[u8]; 8] =
    [b"iso-8859-", b"windows-", b"shift_jis", b"euc-", b"gb", b"big5", b"koi8-", b"tis-620"];

const INVALID: &str = "xml: invalid declaration";

/// What is wrong with a document in an encoding that is not read here, though a backend may read it.
pub const UNKNOWN_ENCODING: &str = "xml: unsupported encoding";

/// The value of `name="value"` if that is what `rest` starts with, which is then skipped.
fn next<'a>(rest: &mut &'a [u8], name: &[u8]) -> Result<Option<&'a [u8]>, &'static str> {
    let Some(after) = rest.trim_ascii_start().strip_prefix(name) else { return Ok(None) };
    if !rest.first().copied().is_some_and(is_space) {
        return Err(INVALID);
    }
    let after = after.trim_ascii_start().strip_prefix(b"=").ok_or(INVALID)?.trim_ascii_start();
    let Some((quote @ (b'"' | b'\''), after)) = after.split_first() else { return Err(INVALID) };
    let end = after.iter().position(|byte| byte == quote).ok_or(INVALID)?;
    let (value, after) = after.split_at_checked(end).unwrap_or_default();
    *rest = after.get(1..).unwrap_or_default();
    Ok(Some(value))
}

impl<S: Sink + ?Sized> Parser<'_, S> {
    /// `<!DOCTYPE name>` and no more: neither a subset to declare entities in nor a place to fetch one from.
    pub(super) fn document_type(&mut self) -> Result<(), Fault> {
        let start = self.at;
        if self.root != Root::Expected {
            return Err(malformed("xml: misplaced document type", start));
        }
        self.at += 9;
        let spaced = self.skip_space();
        if !spaced {
            return Err(malformed("xml: unknown markup", start));
        }
        self.name()?;
        self.skip_space();
        if self.peek() != Some(b'>') {
            return Err(malformed("xml: document type with declarations", start));
        }
        self.at += 1;
        self.root = Root::Announced;
        Ok(())
    }
}
