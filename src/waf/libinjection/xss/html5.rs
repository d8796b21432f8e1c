//! Cuts a value into HTML tokens, as a browser would that is in the middle of a page.
//!
//! The states are those of the HTML standard (§13.2.5) that matter here, with what old browsers do besides: NUL is skipped
//! in names of tags, `<% … %>` is a comment, and a backtick quotes. Every byte is looked at a bounded number of times.

use memchr::{memchr, memchr_iter};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text, a closing tag or the end of a tag.
    Other,
    TagOpen,
    AttributeName,
    AttributeValue,
    Comment,
    Doctype,
}

/// Where the value begins, or reading goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Data,
    TagOpen,
    EndTagOpen,
    TagName,
    /// At the `>` of a tag.
    TagEnd,
    SelfClosing,
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    /// In quotes of this kind.
    Quoted(u8),
    Unquoted,
    AfterQuoted,
    Declaration,
    Comment,
    BogusComment,
    PercentComment,
    CharacterData,
    End,
}

/// Reads one value.
pub(super) struct Html5<'a> {
    input: &'a [u8],
    at: usize,
    state: State,
    /// The tag was opened with `</`.
    closing: bool,
}

/// What a state came to.
enum Step<'a> {
    Token(Kind, &'a [u8]),
    On,
}

impl<'a> Html5<'a> {
    /// Starts in [`State::Data`], [`State::BeforeName`] or [`State::Quoted`].
    pub(super) fn new(input: &'a [u8], state: State) -> Self {
        Self { input, at: 0, state, closing: false }
    }

    /// The next token, or `None` at the end.
    pub(super) fn next(&mut self) -> Option<(Kind, &'a [u8])> {
        loop {
            let step = match self.state {
                State::End => return None,
                State::Data => self.data()?,
                State::TagOpen => self.tag_open()?,
                State::EndTagOpen => self.end_tag_open()?,
                State::TagName => self.tag_name(),
                State::TagEnd => {
                    self.closing = false;
                    self.token(Kind::Other, 1, 1, State::Data)
                }
                State::SelfClosing => self.self_closing()?,
                State::BeforeName => self.before_name()?,
                State::Name => self.name(),
                State::AfterName => self.after_name()?,
                State::BeforeValue => self.before_value()?,
                State::Quoted(quote) => self.quoted(quote),
                State::Unquoted => self.unquoted(),
                State::AfterQuoted => self.after_quoted()?,
                State::Declaration => self.declaration(),
                State::Comment => self.comment(),
                State::BogusComment => self.up_to_tag_end(Kind::Comment),
                State::PercentComment => self.percent_comment(),
                State::CharacterData => self.character_data(),
            };
            if let Step::Token(kind, text) = step {
                return Some((kind, text));
            }
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    /// A token of `length` bytes; reading goes on `skip` bytes ahead.
    fn token(&mut self, kind: Kind, length: usize, skip: usize, state: State) -> Step<'a> {
        let text = self.rest();
        let text = text.get(..length).unwrap_or(text);
        self.at = self.input.len().min(self.at + skip);
        self.state = state;
        Step::Token(kind, text)
    }

    /// A token of all that is left.
    fn last(&mut self, kind: Kind) -> Step<'a> {
        let length = self.rest().len();
        self.token(kind, length, length, State::End)
    }

    #[allow(clippy::unnecessary_wraps, reason = "each state is one expression, and others do end")]
    fn on(&mut self, skip: usize, state: State) -> Option<Step<'a>> {
        self.at += skip;
        self.state = state;
        Some(Step::On)
    }

    fn skip_white(&mut self) -> Option<u8> {
        self.at += self.rest().iter().take_while(|byte| is_white(**byte)).count();
        self.peek()
    }

    /// Text says nothing, so it is skipped and not told.
    fn data(&mut self) -> Option<Step<'a>> {
        let tag = memchr(b'<', self.rest())?;
        self.on(tag + 1, State::TagOpen)
    }

    fn tag_open(&mut self) -> Option<Step<'a>> {
        match self.peek()? {
            b'!' => self.on(1, State::Declaration),
            b'/' => {
                self.closing = true;
                self.on(1, State::EndTagOpen)
            }
            b'?' => self.on(1, State::BogusComment),
            b'%' => self.on(1, State::PercentComment),
            0 | b'a'..=b'z' | b'A'..=b'Z' => self.on(0, State::TagName),
            _ => self.on(0, State::Data),
        }
    }

    fn end_tag_open(&mut self) -> Option<Step<'a>> {
        match self.peek()? {
            b'>' => self.on(0, State::Data),
            b'a'..=b'z' | b'A'..=b'Z' => self.on(0, State::TagName),
            _ => {
                self.closing = false;
                self.on(0, State::BogusComment)
            }
        }
    }

    fn tag_name(&mut self) -> Step<'a> {
        let is_end = |byte: &u8| (*byte != 0 && is_white(*byte)) || matches!(byte, b'/' | b'>');
        let Some(length) = self.rest().iter().position(is_end) else { return self.last(Kind::TagOpen) };
        match self.rest().get(length) {
            Some(b'/') => self.token(Kind::TagOpen, length, length + 1, State::SelfClosing),
            Some(b'>') if self.closing => {
                self.closing = false;
                self.token(Kind::Other, length, length + 1, State::Data)
            }
            Some(b'>') => self.token(Kind::TagOpen, length, length, State::TagEnd),
            _ => self.token(Kind::TagOpen, length, length + 1, State::BeforeName),
        }
    }

    fn self_closing(&mut self) -> Option<Step<'a>> {
        match self.peek()? {
            b'>' => Some(self.token(Kind::Other, 1, 1, State::Data)),
            _ => self.on(0, State::BeforeName),
        }
    }

    fn before_name(&mut self) -> Option<Step<'a>> {
        match self.skip_white()? {
            b'/' => self.on(1, State::SelfClosing),
            b'>' => Some(self.token(Kind::Other, 1, 1, State::Data)),
            _ => self.on(0, State::Name),
        }
    }

    /// The first byte belongs to the name, whatever it is.
    fn name(&mut self) -> Step<'a> {
        let is_end = |byte: &u8| is_white(*byte) || matches!(byte, b'/' | b'=' | b'>');
        let Some(length) = self.rest().iter().skip(1).position(is_end).map(|length| length + 1) else {
            return self.last(Kind::AttributeName);
        };
        let (skip, state) = match self.rest().get(length) {
            Some(b'/') => (1, State::SelfClosing),
            Some(b'=') => (1, State::BeforeValue),
            Some(b'>') => (0, State::TagEnd),
            _ => (1, State::AfterName),
        };
        self.token(Kind::AttributeName, length, length + skip, state)
    }

    fn after_name(&mut self) -> Option<Step<'a>> {
        match self.skip_white()? {
            b'/' => self.on(1, State::SelfClosing),
            b'=' => self.on(1, State::BeforeValue),
            b'>' => self.on(0, State::TagEnd),
            _ => self.on(0, State::Name),
        }
    }

    fn before_value(&mut self) -> Option<Step<'a>> {
        match self.skip_white()? {
            quote @ (b'"' | b'\'' | b'`') => self.on(1, State::Quoted(quote)),
            _ => self.on(0, State::Unquoted),
        }
    }

    fn quoted(&mut self, quote: u8) -> Step<'a> {
        match memchr(quote, self.rest()) {
            Some(length) => self.token(Kind::AttributeValue, length, length + 1, State::AfterQuoted),
            None => self.last(Kind::AttributeValue),
        }
    }

    fn unquoted(&mut self) -> Step<'a> {
        let is_end = |byte: &u8| is_white(*byte) || *byte == b'>';
        let Some(length) = self.rest().iter().position(is_end) else {
            return self.last(Kind::AttributeValue);
        };
        match self.rest().get(length) {
            Some(b'>') => self.token(Kind::AttributeValue, length, length, State::TagEnd),
            _ => self.token(Kind::AttributeValue, length, length + 1, State::BeforeName),
        }
    }

    fn after_quoted(&mut self) -> Option<Step<'a>> {
        match self.peek()? {
            b'/' => self.on(1, State::SelfClosing),
            b'>' => Some(self.token(Kind::Other, 1, 1, State::Data)),
            _ => self.on(0, State::BeforeName),
        }
    }

    fn declaration(&mut self) -> Step<'a> {
        let rest = self.rest();
        if rest.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"doctype")) {
            return self.up_to_tag_end(Kind::Doctype);
        }
        let (skip, state) = if rest.starts_with(b"[CDATA[") {
            (7, State::CharacterData)
        } else if rest.starts_with(b"--") {
            (2, State::Comment)
        } else {
            (0, State::BogusComment)
        };
        self.at += skip;
        self.state = state;
        Step::On
    }

    fn up_to_tag_end(&mut self, kind: Kind) -> Step<'a> {
        match memchr(b'>', self.rest()) {
            Some(length) => self.token(kind, length, length + 1, State::Data),
            None => self.last(kind),
        }
    }

    /// Ends with `-->` or `--!>`, more or less: `-` and `-` or `!` with NULs between, and `>`.
    fn comment(&mut self) -> Step<'a> {
        let rest = self.rest();
        for dash in memchr_iter(b'-', rest) {
            let after = rest.get(dash + 1..).unwrap_or_default();
            if after.len() < 2 {
                break;
            }
            let nuls = after.iter().take_while(|byte| **byte == 0).count();
            match after.get(nuls..) {
                Some([b'-' | b'!', b'>', ..]) => {
                    return self.token(Kind::Comment, dash, dash + nuls + 3, State::Data);
                }
                Some([] | [b'-' | b'!']) => break,
                _ => {}
            }
        }
        self.last(Kind::Comment)
    }

    fn percent_comment(&mut self) -> Step<'a> {
        match memchr::memmem::find(self.rest(), b"%>") {
            Some(length) => self.token(Kind::Comment, length, length + 2, State::Data),
            None => self.last(Kind::Comment),
        }
    }

    fn character_data(&mut self) -> Step<'a> {
        match memchr::memmem::find(self.rest(), b"]]>") {
            Some(length) => self.token(Kind::Other, length, length + 3, State::Data),
            None => self.last(Kind::Other),
        }
    }
}

/// White space to old browsers, vertical tab and NUL included.
const fn is_white(byte: u8) -> bool {
    matches!(byte, 0 | b' ' | b'\t'..=b'\r')
}
