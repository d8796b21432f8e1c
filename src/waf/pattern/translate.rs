//! From PCRE's syntax to the `regex` crate's, where the two differ.
//!
//! Bytes stay bytes: `\x{e9}` and a raw byte above 127 mean that byte, as PCRE reads them without its UTF mode.
//! Lookaround is translated at the edge of a pattern ([`super::lookaround`]); elsewhere, of references, of possessive
//! quantifiers and of atomic groups, there are groups with names that say what they are ([`Special`]). Where there can be
//! none, the latter two are read as their plain forms, which match all they match.

use std::fmt::Write as _;

use super::exact::{Special, is_kept};
use super::lookaround::{Lookaround, none_of};

/// Why a pattern was not translated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untranslatable {
    /// It is no pattern.
    #[error("{0}")]
    Wrong(String),
    /// It cannot be matched in linear time.
    #[error("{0} cannot be matched in linear time")]
    NotLinear(&'static str),
}

/// The pattern in the `regex` crate's syntax, all ASCII.
///
/// # Errors
/// What has no counterpart.
pub fn translate(pattern: &[u8]) -> Result<String, Untranslatable> {
    let translator = translated(pattern, false)?;
    if translator.specials > 0 {
        return Err(Untranslatable::NotLinear("lookaround or a reference"));
    }
    Ok(translator.out)
}

/// The same, and what has no counterpart are groups by the names of [`Special`].
pub(super) fn with_specials(pattern: &[u8]) -> Result<String, Untranslatable> {
    translated(pattern, true).map(|translator| translator.out)
}

fn translated(pattern: &[u8], is_exact: bool) -> Result<Translator<'_>, Untranslatable> {
    let out = String::with_capacity(pattern.len() + 16);
    let mut translator =
        Translator { rest: pattern, out, open: Vec::new(), item: 0, has_flags: false, specials: 0, is_exact };
    while let Some(byte) = translator.next() {
        translator.item(byte)?;
    }
    Ok(translator)
}

struct Translator<'a> {
    rest: &'a [u8],
    out: String,
    /// Where groups start that are open.
    open: Vec<usize>,
    /// Where what came last starts, which a quantifier is for.
    item: usize,
    has_flags: bool,
    /// Groups with names.
    specials: usize,
    /// Whether there may be groups that give nothing back.
    is_exact: bool,
}

/// What an escape stands for.
enum Escape {
    Byte(u8),
    /// A class or an assertion that both write alike.
    Same(u8),
    /// A class, without its brackets.
    Class(&'static str),
}

fn wrong<T>(what: &str) -> Result<T, Untranslatable> {
    Err(Untranslatable::Wrong(what.to_owned()))
}

impl Translator<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, prefix: &[u8]) -> bool {
        let found = self.rest.strip_prefix(prefix);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn item(&mut self, byte: u8) -> Result<(), Untranslatable> {
        if !matches!(byte, b'*' | b'+' | b'?' | b'{' | b')') {
            self.item = self.out.len();
        }
        match byte {
            b'\\' => self.escape_outside(),
            b'[' => self.class(),
            b'(' => self.group(),
            b'*' | b'+' | b'?' => {
                self.out.push(char::from(byte));
                self.after_quantifier();
                Ok(())
            }
            b'{' => {
                self.brace();
                Ok(())
            }
            b')' => {
                self.item = self.open.pop().unwrap_or_default();
                self.out.push(')');
                Ok(())
            }
            b'^' | b'$' | b'.' | b'|' => {
                self.out.push(char::from(byte));
                Ok(())
            }
            _ => {
                self.literal(byte);
                Ok(())
            }
        }
    }

    fn literal(&mut self, byte: u8) {
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b' ' | b'_' | b'<' | b'>' | b'=' | b'/' | b'%' | b',')
        {
            self.out.push(char::from(byte));
        } else {
            _ = write!(self.out, "\\x{byte:02x}");
        }
    }

    /// A lazy quantifier stays so; a possessive one is a greedy one that gives nothing back.
    fn after_quantifier(&mut self) {
        if self.take(b"?") {
            self.out.push('?');
        } else if self.take(b"+") && self.is_exact {
            self.specials += 1;
            let group = format!("(?P<{}>", Special::Atomic.name(self.specials));
            self.out.insert_str(self.item, &group);
            self.out.push(')');
        }
    }

    /// `{2,5}`; anything else in braces is text.
    fn brace(&mut self) {
        let end = memchr::memchr(b'}', self.rest);
        let inside = end.and_then(|end| self.rest.get(..end)).unwrap_or_default();
        let bounds: Vec<&[u8]> = inside.split(|byte| *byte == b',').collect();
        let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
        let quantifier = match bounds.as_slice() {
            [exact] => !exact.is_empty() && digits(exact),
            [least, most] => !least.is_empty() && digits(least) && digits(most),
            _ => false,
        };
        if !quantifier {
            self.item = self.out.len();
            return self.literal(b'{');
        }
        _ = write!(self.out, "{{{}}}", String::from_utf8_lossy(inside));
        self.rest = self.rest.get(inside.len() + 1..).unwrap_or_default();
        self.after_quantifier();
    }

    fn group(&mut self) -> Result<(), Untranslatable> {
        self.open.push(self.item);
        if !self.take(b"?") {
            self.out.push('(');
            return Ok(());
        }
        let names: [&[u8]; 3] = [b"P<", b"<", b"'"];
        let rest = self.rest;
        match rest {
            [b'=' | b'!', ..] | [b'<', b'=' | b'!', ..] => {
                self.lookaround();
                Ok(())
            }
            [b'>', ..] => {
                self.take(b">");
                if self.is_exact {
                    self.special(&Special::Atomic);
                } else {
                    self.out.push_str("(?:");
                }
                Ok(())
            }
            [b'#', ..] => {
                self.open.pop();
                let end = memchr::memchr(b')', self.rest);
                let after = end.and_then(|end| self.rest.get(end + 1..));
                self.rest =
                    after.ok_or_else(|| Untranslatable::Wrong("a comment is not closed".to_owned()))?;
                Ok(())
            }
            [b'R' | b'&' | b'0'..=b'9' | b'(' | b'|', ..] | [b'P', b'>' | b'=', ..] => {
                Err(Untranslatable::NotLinear("recursion, a condition or a reset"))
            }
            _ if names.iter().any(|name| self.take(name)) => {
                // Groups are known by number alone.
                let end = self.rest.iter().position(|byte| matches!(byte, b'>' | b'\''));
                let end = end.map_or(self.rest.len(), |end| end + 1);
                self.rest = self.rest.get(end..).unwrap_or_default();
                self.out.push('(');
                Ok(())
            }
            _ => self.flags(),
        }
    }

    /// What looks around: where the pattern or a branch of it starts or ends, as a part of what matches.
    fn lookaround(&mut self) {
        let is_outside = self.open.len() == 1 && !self.has_flags;
        let found = Lookaround::read(self.rest).filter(|found| is_outside && found.is_at_edge(&self.out));
        if let Some(found) = found
            && let Ok(inside) = translate(found.inside)
            && let Some(instead) =
                if found.negative { none_of(&inside, found.behind) } else { Some(format!("(?:{inside})")) }
        {
            self.open.pop();
            self.out.push_str(&instead);
            self.rest = found.after;
            return;
        }
        let behind = self.take(b"<");
        let negative = self.next() == Some(b'!');
        self.special(&Special::Around { behind, negative });
    }

    /// Begins a group that says what it is.
    fn special(&mut self, special: &Special) {
        self.specials += 1;
        _ = write!(self.out, "(?P<{}>", special.name(self.specials));
    }

    /// `(?i)`, `(?i-s:` and so on. `J`, `U` and `X` of PCRE mean something else or nothing here.
    fn flags(&mut self) -> Result<(), Untranslatable> {
        let before = self.out.len();
        self.out.push_str("(?");
        loop {
            match self.next() {
                // With `x`, spaces and comments mean nothing in PCRE, and themselves here.
                Some(b'x') => return wrong("the flag x, for patterns with comments, is not known"),
                Some(flag @ (b'i' | b'm' | b's' | b'-')) => self.out.push(char::from(flag)),
                Some(end @ (b')' | b':')) => {
                    if end == b')' {
                        self.open.pop();
                    }
                    if self.out.ends_with("(?") && end == b')' {
                        self.out.truncate(before);
                        return Ok(());
                    }
                    self.has_flags |= end == b')';
                    self.out.push(char::from(end));
                    return Ok(());
                }
                _ => return wrong("a group starts with flags that are not known"),
            }
        }
    }

    fn escape_outside(&mut self) -> Result<(), Untranslatable> {
        match self.rest.first() {
            Some(b'1'..=b'9') => return self.number(),
            Some(b'g' | b'k') => return wrong("a reference other than \\1 to \\9"),
            Some(b'Q') => {
                self.take(b"Q");
                while !self.rest.is_empty() && !self.take(b"\\E") {
                    if let Some(byte) = self.next() {
                        self.literal(byte);
                    }
                }
                return Ok(());
            }
            Some(b'E') => {
                self.take(b"E");
                return Ok(());
            }
            Some(b'R') => {
                self.take(b"R");
                self.out.push_str("(?:\\r\\n|[\\x0a-\\x0d\\x85])");
                return Ok(());
            }
            _ => {}
        }
        match self.escape(false)? {
            Escape::Byte(byte) => self.literal(byte),
            Escape::Same(letter) => _ = write!(self.out, "\\{}", char::from(letter)),
            Escape::Class(class) => _ = write!(self.out, "[{class}]"),
        }
        Ok(())
    }

    /// `\1` to `\9` are what a group matched; from 10 on, where there are fewer groups before, a byte in octal.
    fn number(&mut self) -> Result<(), Untranslatable> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = self.rest.get(..digits).unwrap_or_default();
        let octal = text.iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
        let is_octal = digits > 1 && octal > 1 && self.out.bytes().filter(|byte| *byte == b'(').count() < 10;
        match text {
            [digit] if is_kept(usize::from(digit - b'0')) => {
                self.special(&Special::Reference(usize::from(digit - b'0')));
                self.out.push(')');
            }
            _ if is_octal => {
                let value =
                    text.iter().take(octal).fold(0, |value, digit| value * 8 + u32::from(digit - b'0'));
                let byte = u8::try_from(value);
                self.literal(byte.or_else(|_| wrong("an octal number that is no byte"))?);
                self.rest = self.rest.get(octal..).unwrap_or_default();
                return Ok(());
            }
            _ => return wrong("a reference to a group past the ninth"),
        }
        self.rest = self.rest.get(digits..).unwrap_or_default();
        Ok(())
    }

    /// What comes after a backslash.
    fn escape(&mut self, in_class: bool) -> Result<Escape, Untranslatable> {
        let Some(letter) = self.next() else { return wrong("the pattern ends in a backslash") };
        Ok(match letter {
            b'd' | b'D' | b's' | b'S' | b'w' | b'W' => Escape::Same(letter),
            b'b' if in_class => Escape::Byte(8),
            b'b' | b'B' | b'A' | b'z' if !in_class => Escape::Same(letter),
            b'Z' if !in_class => Escape::Same(b'z'),
            b'h' => Escape::Class("\\x09 \\xa0"),
            b'v' => Escape::Class("\\x0a-\\x0d\\x85"),
            b'N' if !in_class => Escape::Class("^\\x0a"),
            b'a' => Escape::Byte(7),
            b'e' => Escape::Byte(0x1b),
            b'f' => Escape::Byte(0x0c),
            b'n' => Escape::Byte(b'\n'),
            b'r' => Escape::Byte(b'\r'),
            b't' => Escape::Byte(b'\t'),
            b'x' => Escape::Byte(self.hexadecimal()?),
            b'c' => match self.next() {
                Some(control) if control.is_ascii() => Escape::Byte(control.to_ascii_uppercase() ^ 0x40),
                _ => return wrong("\\c is followed by no character"),
            },
            b'0'..=b'7' => Escape::Byte(self.octal(letter)?),
            letter if letter.is_ascii_alphanumeric() => {
                return wrong(&format!("\\{} means nothing here", char::from(letter)));
            }
            byte => Escape::Byte(byte),
        })
    }

    /// `\x41`, `\x4`, `\x` and `\x{41}`.
    fn hexadecimal(&mut self) -> Result<u8, Untranslatable> {
        if self.take(b"{") {
            let Some(end) = memchr::memchr(b'}', self.rest) else { return wrong("\\x{ is not closed") };
            let (digits, rest) = self.rest.split_at(end);
            self.rest = rest.get(1..).unwrap_or_default();
            let value = std::str::from_utf8(digits).ok().and_then(|text| u8::from_str_radix(text, 16).ok());
            return value.map_or_else(|| wrong("\\x{…} is no byte"), Ok);
        }
        let mut value = 0;
        for _ in 0..2 {
            let Some(digit) = self.rest.first().and_then(|byte| char::from(*byte).to_digit(16)) else {
                break;
            };
            value = value * 16 + u8::try_from(digit).unwrap_or(0);
            self.next();
        }
        Ok(value)
    }

    fn octal(&mut self, first: u8) -> Result<u8, Untranslatable> {
        let mut value = u32::from(first - b'0');
        for _ in 0..2 {
            let Some(digit) = self.rest.first().and_then(|byte| char::from(*byte).to_digit(8)) else { break };
            value = value * 8 + digit;
            self.next();
        }
        u8::try_from(value).map_or_else(|_| wrong("an octal escape is no byte"), Ok)
    }

    /// A class, written anew byte by byte, so that `[`, `&&`, `--` and `~~` mean themselves.
    fn class(&mut self) -> Result<(), Untranslatable> {
        self.out.push('[');
        if self.take(b"^") {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let Some(byte) = self.next() else { return wrong("a class is not closed") };
            if byte == b']' && !first {
                self.out.push(']');
                return Ok(());
            }
            first = false;
            let start = match byte {
                b'[' if self.rest.first() == Some(&b':') && self.posix() => continue,
                b'\\' => match self.class_escape()? {
                    Some(start) => start,
                    None => continue,
                },
                byte => byte,
            };
            self.class_range(start)?;
        }
    }

    /// The byte, unless it is a class of its own, which is written already.
    fn class_escape(&mut self) -> Result<Option<u8>, Untranslatable> {
        match self.escape(true)? {
            Escape::Byte(byte) => return Ok(Some(byte)),
            Escape::Same(letter) => _ = write!(self.out, "\\{}", char::from(letter)),
            Escape::Class(class) => self.out.push_str(class),
        }
        Ok(None)
    }

    /// A byte, or a range that starts with it.
    fn class_range(&mut self, start: u8) -> Result<(), Untranslatable> {
        let end = match self.rest {
            [b'-', b']', ..] | [b'-', b'[', b':', ..] | [] => None,
            [b'-', ..] => {
                self.take(b"-");
                match self.next() {
                    Some(b'\\') => {
                        let at = self.out.len();
                        let Some(end) = self.class_escape()? else {
                            // `a-\d` is `a`, `-` and the class.
                            self.out.insert_str(at, &format!("\\x{start:02x}\\x2d"));
                            return Ok(());
                        };
                        Some(end)
                    }
                    Some(end) => Some(end),
                    None => return wrong("a class is not closed"),
                }
            }
            _ => None,
        };
        match end {
            None => _ = write!(self.out, "\\x{start:02x}"),
            Some(end) if end < start => return wrong("a range in a class ends before it starts"),
            Some(end) => _ = write!(self.out, "\\x{start:02x}-\\x{end:02x}"),
        }
        Ok(())
    }

    /// `[:alpha:]`, which both know.
    fn posix(&mut self) -> bool {
        let Some(end) = memchr::memmem::find(self.rest, b":]") else { return false };
        let name = self.rest.get(1..end).unwrap_or_default();
        if !name.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'^') || name.is_empty() {
            return false;
        }
        _ = write!(self.out, "[:{}:]", String::from_utf8_lossy(name));
        self.rest = self.rest.get(end + 2..).unwrap_or_default();
        true
    }
}
