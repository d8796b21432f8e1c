//! Cuts a source into tokens, each with its place.

use std::net::IpAddr;

use ipnet::IpNet;

use super::error::{Error, Span};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'s> {
    pub(super) kind: TokenKind<'s>,
    pub(super) span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum TokenKind<'s> {
    /// A name, with dots or without, or an operator in letters.
    Word(&'s str),
    Int(i64),
    Ip(IpAddr),
    Network(IpNet),
    /// What stands between the quotes, escapes and all.
    Quoted(&'s str),
    Raw(&'s str),
    /// A named list, without its `$`.
    List(&'s str),
    Symbol(&'static str),
    End,
}

/// Longer ones first: the first that fits is taken.
const SYMBOLS: [&str; 22] = [
    "==", "!=", "<=", ">=", "&&", "||", "^^", "..", "<", ">", "!", "~", "(", ")", "[", "]", "{", "}", ",",
    "*", "=", "&",
];

#[derive(Debug, Clone)]
pub(super) struct Lexer<'s> {
    source: &'s str,
    at: usize,
}

impl<'s> Lexer<'s> {
    pub(super) const fn new(source: &'s str) -> Self {
        Self { source, at: 0 }
    }

    pub(super) fn next(&mut self) -> Result<Token<'s>, Error> {
        self.take_while(|character| character.is_ascii_whitespace());
        let start = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok(self.token(start, TokenKind::End)) };
        match first {
            '"' => self.quoted(start),
            'r' if self.rest().get(1..).is_some_and(|rest| rest.trim_start_matches('#').starts_with('"')) => {
                self.raw(start)
            }
            '$' => self.list(start),
            '0'..='9' | ':' => self.number(start),
            '-' if self.rest().as_bytes().get(1).is_some_and(u8::is_ascii_digit) => self.number(start),
            'a'..='z' | 'A'..='Z' | '_' => self.word(start),
            _ => self.symbol(start, first),
        }
    }

    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'s str {
        let rest = self.rest();
        let length = rest.find(|character| !belongs(character)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    const fn token(&self, start: usize, kind: TokenKind<'s>) -> Token<'s> {
        Token { kind, span: Span::new(start, self.at) }
    }

    fn error<T>(&self, start: usize, message: impl Into<String>) -> Result<T, Error> {
        Err(Error::new(Span::new(start, self.at), message))
    }

    fn quoted(&mut self, start: usize) -> Result<Token<'s>, Error> {
        self.at += 1;
        let rest = self.rest();
        let mut bytes = rest.bytes().enumerate();
        while let Some((place, byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.at += place + 1;
                    return Ok(self.token(start, TokenKind::Quoted(rest.get(..place).unwrap_or_default())));
                }
                b'\\' => {
                    bytes.next();
                }
                _ => {}
            }
        }
        self.error(start, "string without an end")
    }

    fn raw(&mut self, start: usize) -> Result<Token<'s>, Error> {
        self.at += 1;
        let hashes = self.take_while(|character| character == '#');
        self.at += 1;
        let rest = self.rest();
        let end = rest.match_indices('"').find_map(|(place, _)| {
            rest.get(place + 1..).filter(|behind| behind.starts_with(hashes)).map(|_| place)
        });
        let Some(end) = end else {
            return self.error(start, format!("raw string without an end: expected \"{hashes}"));
        };
        self.at += end + 1 + hashes.len();
        Ok(self.token(start, TokenKind::Raw(rest.get(..end).unwrap_or_default())))
    }

    fn list(&mut self, start: usize) -> Result<Token<'s>, Error> {
        self.at += 1;
        let name = self.take_while(|character| is_word(character) || character == '-');
        if name.is_empty() {
            return self.error(start, "expected the name of a list behind $");
        }
        Ok(self.token(start, TokenKind::List(name)))
    }

    fn word(&mut self, start: usize) -> Result<Token<'s>, Error> {
        let word = self.take_while(is_word);
        // An IPv6 address that starts with letters, such as `fe80::1`.
        if self.rest().starts_with(':') && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            self.at = start;
            return self.number(start);
        }
        Ok(self.token(start, TokenKind::Word(word)))
    }

    /// A number, an address or a network: all of its characters, up to a `..` between two of them.
    fn number(&mut self, start: usize) -> Result<Token<'s>, Error> {
        self.at += usize::from(self.rest().starts_with('-'));
        let run = self.take_while(|character| {
            character.is_ascii_alphanumeric() || matches!(character, '.' | ':' | '/' | '_')
        });
        if let Some(range) = run.find("..") {
            self.at -= run.len() - range;
        }
        let text = Span::new(start, self.at).of(self.source);
        let kind = if text.contains('/') {
            text.parse().ok().map(TokenKind::Network)
        } else if text.contains([':', '.']) {
            text.parse().ok().map(TokenKind::Ip)
        } else {
            return self.integer(start, text);
        };
        match kind {
            Some(kind) => Ok(self.token(start, kind)),
            None if text.contains('/') => {
                self.error(start, "invalid CIDR: expected a network such as 10.0.0.0/8 or 2001:db8::/32")
            }
            None => self.error(start, "invalid IP address: expected one such as 192.0.2.1 or 2001:db8::1"),
        }
    }

    fn integer(&self, start: usize, text: &str) -> Result<Token<'s>, Error> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.error(start, "invalid number: expected decimal digits alone");
        }
        if digits.len() > 1 && digits.starts_with('0') {
            return self.error(start, "invalid number: it may not start with 0");
        }
        match text.parse() {
            Ok(number) => Ok(self.token(start, TokenKind::Int(number))),
            Err(_) => self.error(start, "number of more than 64 bits"),
        }
    }

    fn symbol(&mut self, start: usize, first: char) -> Result<Token<'s>, Error> {
        let symbol = SYMBOLS.into_iter().find(|symbol| self.rest().starts_with(symbol));
        self.at += symbol.map_or(first.len_utf8(), str::len);
        match symbol {
            Some("=") => self.error(start, "unknown operator \"=\", did you mean \"==\"?"),
            Some("&") => self.error(start, "unknown operator \"&\", did you mean \"&&\"?"),
            Some(symbol) => Ok(self.token(start, TokenKind::Symbol(symbol))),
            None if first == '\'' => self.error(start, "strings are written in double quotes"),
            None => self.error(start, format!("unexpected character {first:?}")),
        }
    }
}

const fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.')
}

/// The bytes that a quoted string means. `start` is where its content starts in the source.
pub(super) fn unescape(quoted: &str, start: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(quoted.len());
    let mut rest = quoted;
    while let Some(place) = rest.find('\\') {
        let (plain, escape) = rest.split_at(place);
        bytes.extend_from_slice(plain.as_bytes());
        let at = start + quoted.len() - escape.len();
        let (byte, length) = escaped(escape).ok_or_else(|| {
            let length = 1 + escape.chars().nth(1).map_or(0, char::len_utf8);
            let message =
                "unknown escape: expected \\\", \\\\, \\n, \\r, \\t or \\xHH; a raw string r\"…\" has none";
            Error::new(Span::new(at, at + length), message)
        })?;
        bytes.push(byte);
        rest = escape.get(length..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// The byte that an escape at the start of `text` means, and the length of the escape.
fn escaped(text: &str) -> Option<(u8, usize)> {
    let byte = match text.as_bytes().get(1)? {
        byte @ (b'"' | b'\\') => *byte,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'x' => {
            let digits =
                text.get(2..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
            return Some((u8::from_str_radix(digits, 16).ok()?, 4));
        }
        _ => return None,
    };
    Some((byte, 2))
}
