//! XML documents (XML 1.0), as much of them as inspection needs: text, attributes, and no way to make them grow.
//!
//! Character references and the five predefined entities are decoded, CDATA is text, comments and processing
//! instructions are not. Entities are never expanded and nothing is ever fetched: a document type declaration that
//! says more than the root's name is a fault, and so is a reference to any other entity. Namespaces are not resolved:
//! a name is what follows the colon, and an `xmlns` attribute is none, as for ModSecurity, unless it says what names no
//! namespace: some parsers hand it out like any other.
//!
//! What libxml2 calls not well-formed is a fault (`REQBODY_ERROR`), except that names may hold any character above
//! U+007F and that a namespace prefix need not be declared. A document must be in UTF-8 or in an encoding whose first
//! half is ASCII; text in UTF-16 or UTF-7 would pass every rule unseen.

mod element;
mod prolog;
mod text;

pub use prolog::UNKNOWN_ENCODING;

use memchr::{memchr, memmem};

use super::output::{Output, malformed};
use super::{Arena, Fault, Kind, Limits, Sink, Text};

/// Hands over the attributes of the document `input` as [`Kind::XmlAttribute`]s, and at last all text as one
/// [`Kind::XmlText`]. No bytes are no fault.
///
/// `depth` bounds elements within each other.
pub fn parse<S: Sink + ?Sized>(
    input: &[u8],
    arena: &mut Arena,
    limits: &Limits,
    sink: &mut S,
) -> Result<(), Fault> {
    if input.is_empty() {
        return Ok(());
    }
    let (at, encoding) = prolog::declaration(input)?;
    let (valid, broken) = match encoding {
        prolog::Encoding::EightBit => (input, None),
        prolog::Encoding::Utf8 => match std::str::from_utf8(input) {
            Ok(_) => (input, None),
            Err(error) => (input.get(..error.valid_up_to()).unwrap_or_default(), Some(error.valid_up_to())),
        },
    };
    let output = Output::new(valid, arena, limits, sink)?;
    let mut parser = Parser { output, at, root: Root::Expected };
    let outcome = match (parser.document(), broken) {
        // What is wrong at the end of the valid text is what follows it.
        (Ok(()) | Err(Fault::Malformed { .. }), Some(at)) => Err(malformed("xml: invalid utf-8", at)),
        (outcome, _) => outcome,
    };
    outcome.and(parser.all_text())
}

/// An element that is open: where its name is in the input, prefix included.
pub(super) type Level = (usize, usize);

/// How far the document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    /// Before the root, and before any document type declaration.
    Expected,
    /// Before the root, after a document type declaration.
    Announced,
    /// Within or after the root.
    Seen,
}

/// The side buffer of the arena collects all text.
struct Parser<'a, S: ?Sized> {
    output: Output<'a, S>,
    at: usize,
    root: Root,
}

impl<'a, S: Sink + ?Sized> Parser<'a, S> {
    fn document(&mut self) -> Result<(), Fault> {
        loop {
            let rest = self.rest();
            let length = memchr(b'<', rest).unwrap_or(rest.len());
            let end = length == rest.len();
            self.characters(length)?;
            if end {
                break;
            }
            self.markup()?;
        }
        if !self.output.arena.xml_levels.is_empty() {
            return Err(malformed("xml: unexpected end", self.at));
        }
        if self.root != Root::Seen {
            return Err(malformed("xml: no root element", self.at));
        }
        Ok(())
    }

    fn all_text(&mut self) -> Result<(), Fault> {
        if self.root != Root::Seen {
            return Ok(());
        }
        let text = self.output.keep_side()?;
        self.output.item(Kind::XmlText, Text::EMPTY, text)
    }

    /// The next `length` bytes, which hold no markup.
    fn characters(&mut self, length: usize) -> Result<(), Fault> {
        let start = self.at;
        let text = self.rest().get(..length).unwrap_or_default();
        self.at += length;
        if self.output.arena.xml_levels.is_empty() {
            return if text.iter().all(|byte| is_space(*byte)) {
                Ok(())
            } else {
                Err(malformed("xml: text outside the root element", start))
            };
        }
        if memmem::find(text, b"]]>").is_some() {
            return Err(malformed("xml: ]]> in text", start));
        }
        text::decode(text, start, text::Of::Element, &mut self.output.arena.side)
    }

    /// What starts with `<`.
    fn markup(&mut self) -> Result<(), Fault> {
        let rest = self.rest();
        match rest {
            [b'<', b'/', ..] => self.end_tag(),
            [b'<', b'?', ..] => self.instruction(),
            [b'<', b'!', ..] if rest.starts_with(b"<!--") => self.comment(),
            [b'<', b'!', ..] if rest.starts_with(b"<![CDATA[") => self.cdata(),
            [b'<', b'!', ..] if rest.starts_with(b"<!DOCTYPE") => self.document_type(),
            [b'<', b'!', ..] => Err(malformed("xml: unknown markup", self.at)),
            _ => self.start_tag(),
        }
    }

    fn instruction(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.at += 2;
        let target = self.name()?;
        if self.output.input.get(target.0..target.1).is_some_and(|name| name.eq_ignore_ascii_case(b"xml")) {
            return Err(malformed("xml: declaration not at the start", start));
        }
        self.skip_past(b"?>").map(drop)
    }

    /// Two dashes end a comment, and must (XML 1.0 section 2.5).
    fn comment(&mut self) -> Result<(), Fault> {
        self.at += 4;
        self.skip_past(b"--")?;
        if self.peek() != Some(b'>') {
            return Err(malformed("xml: two dashes in a comment", self.at));
        }
        self.at += 1;
        Ok(())
    }

    fn cdata(&mut self) -> Result<(), Fault> {
        if self.output.arena.xml_levels.is_empty() {
            return Err(malformed("xml: text outside the root element", self.at));
        }
        self.at += 9;
        let start = self.at;
        let text = self.skip_past(b"]]>")?;
        text::decode(text, start, text::Of::Cdata, &mut self.output.arena.side)
    }

    /// Moves to after the next `end`, and returns what is before it.
    fn skip_past(&mut self, end: &[u8]) -> Result<&'a [u8], Fault> {
        let start = self.at;
        let rest = self.output.input.get(start..).unwrap_or_default();
        let Some(length) = memmem::find(rest, end) else {
            return Err(malformed("xml: unexpected end", self.output.input.len()));
        };
        self.at = start + length + end.len();
        Ok(rest.get(..length).unwrap_or_default())
    }

    /// A name, as a range of the input.
    fn name(&mut self) -> Result<(usize, usize), Fault> {
        let rest = self.rest();
        let length = rest.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(rest.len());
        match rest.first() {
            Some(first) if length > 0 && !matches!(first, b'-' | b'.' | b'0'..=b'9') => {}
            _ => return Err(malformed("xml: expected a name", self.at)),
        }
        let start = self.at;
        self.at += length;
        Ok((start, self.at))
    }

    fn rest(&self) -> &'a [u8] {
        self.output.input.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.output.input.get(self.at).copied()
    }

    /// Whether there was any white space.
    fn skip_space(&mut self) -> bool {
        let start = self.at;
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
        self.at > start
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-' | b'.' | 0x80..)
}

#[cfg(test)]
mod tests;
