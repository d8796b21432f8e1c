//! JSON documents (RFC 8259), flattened to arguments as ModSecurity 3 names them.
//!
//! `{"a": {"b": 1}, "list": ["x", {"y": true}], "": null}` gives `json.a.b` = `1`, `json.list.array_0` = `x`,
//! `json.list.array_1.y` = `true` and an empty `json.empty-key`. A document that is one scalar is called `json`.
//! Numbers are as written, `null` is empty. Members of one name are all handed over: backends differ in which they
//! take. (Version 2 says `a.b`, and `list.list` for every element, so its exclusions by name do not fit.)
//!
//! An empty object or array inside another is an argument without a value, which ModSecurity does not see: its name
//! may carry an attack as well as any.
//!
//! The grammar is held to the letter, so that no backend reads another document than the rules did: invalid UTF-8,
//! raw control characters, leading zeros, trailing commas and trailing data are faults. One UTF-8 byte order mark is
//! skipped (RFC 8259 section 8.1 lets parsers do so).

pub mod loose;
mod string;

use super::output::{Output, malformed, span};
use super::{Arena, Fault, Kind, Limit, Limits, Sink, Text};
use crate::values::digits;

/// Hands over the members of the document `input` as [`Kind::Argument`]s. No bytes are no fault.
///
/// A document repeats its outer names with every member, so `arena_bytes` is what bounds one of many members under a
/// long name; `depth` bounds objects and arrays within each other.
pub fn parse<S: Sink + ?Sized>(
    input: &[u8],
    arena: &mut Arena,
    limits: &Limits,
    sink: &mut S,
) -> Result<(), Fault> {
    parse_as(input, b"json", false, arena, limits, sink)
}

/// As [`parse`], of documents one after another, with or without a line end between (`application/x-ndjson`).
pub fn parse_many<S: Sink + ?Sized>(
    input: &[u8],
    arena: &mut Arena,
    limits: &Limits,
    sink: &mut S,
) -> Result<(), Fault> {
    parse_as(input, b"json", true, arena, limits, sink)
}

/// As [`parse`], of a document that is a part of another, with its name there.
pub fn parse_part<S: Sink + ?Sized>(
    input: &[u8],
    name: &[u8],
    arena: &mut Arena,
    limits: &Limits,
    sink: &mut S,
) -> Result<(), Fault> {
    parse_as(input, name, false, arena, limits, sink)
}

fn parse_as<S: Sink + ?Sized>(
    input: &[u8],
    name: &[u8],
    many: bool,
    arena: &mut Arena,
    limits: &Limits,
    sink: &mut S,
) -> Result<(), Fault> {
    if input.is_empty() {
        return Ok(());
    }
    let (valid, broken) = match std::str::from_utf8(input) {
        Ok(_) => (input, None),
        Err(error) => (input.get(..error.valid_up_to()).unwrap_or_default(), Some(error.valid_up_to())),
    };
    let at = if valid.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let output = Output::new(valid, arena, limits, sink)?;
    output.arena.side.extend_from_slice(name);
    let outcome = Parser { output, at, many }.document();
    match (outcome, broken) {
        // What is wrong at the end of the valid text is what follows it.
        (Ok(()) | Err(Fault::Malformed { .. }), Some(at)) => Err(malformed("json: invalid utf-8", at)),
        (outcome, _) => outcome,
    }
}

/// An object or an array that is open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    /// How long the path was when it was opened.
    path: usize,
    /// Of an array: the index of the next element. `None` in an object.
    index: Option<u32>,
}

/// The side buffer of the arena holds the path of the value that is being read.
struct Parser<'a, S: ?Sized> {
    output: Output<'a, S>,
    at: usize,
    /// Whether another document may follow.
    many: bool,
}

/// What comes after a value.
enum After {
    /// Another value.
    Value,
    /// The end of the document.
    End,
}

impl<S: Sink + ?Sized> Parser<'_, S> {
    fn document(&mut self) -> Result<(), Fault> {
        loop {
            self.skip_space();
            let opened = match self.peek() {
                Some(b'{') => self.open(None)?,
                Some(b'[') => self.open(Some(0))?,
                _ => {
                    let value = self.scalar()?;
                    self.argument(value)?;
                    false
                }
            };
            if opened {
                continue;
            }
            if matches!(self.after_value()?, After::End) {
                return Ok(());
            }
        }
    }

    /// Enters an object or array up to its first value. False if it is empty, and so left again.
    fn open(&mut self, index: Option<u32>) -> Result<bool, Fault> {
        self.at += 1;
        if self.output.arena.json_levels.len() >= self.output.limits.depth {
            return Err(Limit::Depth.into());
        }
        self.skip_space();
        let close = if index.is_some() { b']' } else { b'}' };
        if self.peek() == Some(close) {
            self.at += 1;
            if !self.output.arena.json_levels.is_empty() {
                self.argument(Text::EMPTY)?;
            }
            return Ok(false);
        }
        let path = self.output.arena.side.len();
        self.output.arena.json_levels.push(Level { path, index });
        self.next_name()?;
        Ok(true)
    }

    /// Reads up to the next value, leaving what ends before it.
    fn after_value(&mut self) -> Result<After, Fault> {
        loop {
            self.skip_space();
            let Some(level) = self.output.arena.json_levels.last_mut() else {
                return match self.peek() {
                    None => Ok(After::End),
                    Some(_) if self.many => Ok(After::Value),
                    Some(_) => Err(malformed("json: data after the document", self.at)),
                };
            };
            let path = level.path;
            let in_array = level.index.is_some();
            if let Some(index) = &mut level.index {
                *index = index.saturating_add(1);
            }
            self.output.arena.side.truncate(path);
            match (self.peek(), in_array) {
                (Some(b','), _) => {
                    self.at += 1;
                    self.skip_space();
                    self.next_name()?;
                    return Ok(After::Value);
                }
                (Some(b'}'), false) | (Some(b']'), true) => {
                    self.at += 1;
                    self.output.arena.json_levels.pop();
                }
                (None, _) => return Err(malformed("json: unexpected end", self.at)),
                (_, false) => return Err(malformed("json: expected a comma or the object's end", self.at)),
                (_, true) => return Err(malformed("json: expected a comma or the array's end", self.at)),
            }
        }
    }

    /// Puts what the next value is called at the end of the path: of a member, its name, which is read up to the
    /// colon.
    fn next_name(&mut self) -> Result<(), Fault> {
        let Some(level) = self.output.arena.json_levels.last() else { return Ok(()) };
        if let Some(index) = level.index {
            let side = &mut self.output.arena.side;
            side.extend_from_slice(b".array_");
            digits::push(side, index.into());
        } else {
            if self.peek() != Some(b'"') {
                return Err(malformed("json: expected a member's name", self.at));
            }
            let input = self.output.input;
            let side = &mut self.output.arena.side;
            side.push(b'.');
            let start = side.len();
            self.at = match string::borrowed(input, self.at)? {
                (Some((from, to)), end) => {
                    side.extend_from_slice(input.get(from..to).unwrap_or_default());
                    end
                }
                (None, _) => string::decode(input, self.at, side)?,
            };
            if side.len() == start {
                side.extend_from_slice(b"empty-key");
            }
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(malformed("json: expected a colon", self.at));
            }
            self.at += 1;
        }
        if self.output.arena.side.len() > self.output.limits.name_bytes {
            return Err(Limit::NameBytes.into());
        }
        Ok(())
    }

    fn argument(&mut self, value: Text) -> Result<(), Fault> {
        let name = self.output.keep_side()?;
        self.output.item(Kind::Argument, name, value)
    }

    fn scalar(&mut self) -> Result<Text, Fault> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => {
                if let (Some((from, to)), end) = string::borrowed(self.output.input, start)? {
                    self.at = end;
                    return Ok(span(from, to));
                }
                let begin = self.output.arena.bytes.len();
                self.at = string::decode(self.output.input, start, &mut self.output.arena.bytes)?;
                self.output.since(begin)
            }
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null").map(|_| Text::EMPTY),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(malformed("json: expected a value", start)),
            None => Err(malformed("json: unexpected end", start)),
        }
    }

    fn literal(&mut self, word: &[u8]) -> Result<Text, Fault> {
        let start = self.at;
        if !self.output.input.get(start..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(malformed("json: expected a value", start));
        }
        self.at += word.len();
        Ok(span(start, self.at))
    }

    /// RFC 8259 section 6.
    fn number(&mut self) -> Result<Text, Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(span(start, self.at))
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(malformed("json: expected a digit", start)) } else { Ok(()) }
    }

    fn peek(&self) -> Option<u8> {
        self.output.input.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests;
