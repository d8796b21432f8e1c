//! Tags and attributes.

use memchr::memchr;

use super::super::output::{malformed, span};
use super::super::{Fault, Kind, Limit, Sink, Text};
use super::{Parser, Root, text};

impl<S: Sink + ?Sized> Parser<'_, S> {
    pub(super) fn start_tag(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.at += 1;
        let name = self.name()?;
        let depth = self.output.arena.xml_levels.len();
        if depth == 0 && self.root == Root::Seen {
            return Err(malformed("xml: a second root element", start));
        }
        if depth >= self.output.limits.depth {
            return Err(Limit::Depth.into());
        }
        self.root = Root::Seen;
        self.output.arena.xml_levels.push(name);
        self.output.arena.xml_attributes.clear();
        loop {
            let spaced = self.skip_space();
            match self.rest() {
                [b'>', ..] => {
                    self.at += 1;
                    return self.check_attributes(start);
                }
                [b'/', b'>', ..] => {
                    self.at += 2;
                    self.output.arena.xml_levels.pop();
                    return self.check_attributes(start);
                }
                [] => return Err(malformed("xml: unexpected end", self.at)),
                _ if spaced => self.attribute()?,
                _ => return Err(malformed("xml: expected white space in a tag", self.at)),
            }
        }
    }

    pub(super) fn end_tag(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.at += 2;
        let name = self.name()?;
        self.skip_space();
        if self.peek() != Some(b'>') {
            return Err(malformed("xml: expected the tag's end", self.at));
        }
        self.at += 1;
        let input = self.output.input;
        let opened = self.output.arena.xml_levels.pop().and_then(|opened| input.get(opened.0..opened.1));
        if opened != input.get(name.0..name.1) {
            return Err(malformed("xml: end tag without its start", start));
        }
        Ok(())
    }

    fn attribute(&mut self) -> Result<(), Fault> {
        let name = self.name()?;
        self.skip_space();
        if self.peek() != Some(b'=') {
            return Err(malformed("xml: attribute without a value", self.at));
        }
        self.at += 1;
        self.skip_space();
        let Some(quote @ (b'"' | b'\'')) = self.peek() else {
            return Err(malformed("xml: attribute value without quotes", self.at));
        };
        let start = self.at + 1;
        let rest = self.output.input.get(start..).unwrap_or_default();
        let Some(length) = memchr(quote, rest) else {
            return Err(malformed("xml: unexpected end", self.output.input.len()));
        };
        let raw = rest.get(..length).unwrap_or_default();
        self.at = start + length + 1;
        self.output.arena.xml_attributes.push(name);
        let value = self.attribute_value(raw, start)?;
        let input = self.output.input;
        let written = input.get(name.0..name.1).unwrap_or_default();
        let declares = written == b"xmlns" || written.starts_with(b"xmlns:");
        if declares && self.output.text(value).iter().all(|byte| is_of_namespace(*byte)) {
            return Ok(());
        }
        let local = local_name(input, name);
        self.output.item(Kind::XmlAttribute, span(local.0, local.1), value)
    }

    fn attribute_value(&mut self, raw: &[u8], start: usize) -> Result<Text, Fault> {
        if text::is_plain(raw, text::Of::Attribute) {
            return Ok(span(start, start + raw.len()));
        }
        let begin = self.output.arena.bytes.len();
        text::decode(raw, start, text::Of::Attribute, &mut self.output.arena.bytes)?;
        self.output.since(begin)
    }

    /// No two attributes of one element have one name (XML 1.0 section 3.1). Sorted, because an element may have
    /// thousands.
    fn check_attributes(&mut self, start: usize) -> Result<(), Fault> {
        let input = self.output.input;
        let names = &mut self.output.arena.xml_attributes;
        let bytes = |name: &(usize, usize)| input.get(name.0..name.1).unwrap_or_default();
        names.sort_unstable_by(|one, other| bytes(one).cmp(bytes(other)));
        if names.windows(2).any(|pair| matches!(pair, [one, other] if bytes(one) == bytes(other))) {
            return Err(malformed("xml: repeated attribute", start));
        }
        Ok(())
    }
}

/// Whether namespaces are called so: by addresses of pages, and by `urn:`.
const fn is_of_namespace(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'/' | b'.' | b'_' | b'#' | b'-')
}

/// A name without its namespace prefix.
fn local_name(input: &[u8], name: (usize, usize)) -> (usize, usize) {
    let written = input.get(name.0..name.1).unwrap_or_default();
    let prefix = written.iter().position(|byte| *byte == b':').map_or(0, |colon| colon + 1);
    (name.0 + prefix, name.1)
}
