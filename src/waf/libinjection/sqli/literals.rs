//! Strings, numbers and variables, in the spellings of the databases.

use memchr::{memchr, memmem};

use super::lexer::{Lexer, is_sign, is_white};
use super::token::{Kind, Token};

impl Lexer<'_> {
    /// A string that ends at a `quote` that is neither doubled nor escaped; its content starts `offset` bytes ahead.
    pub(super) fn string(&mut self, quote: u8, offset: usize) -> Token {
        let content = self.rest(offset);
        let mut from = 0;
        while let Some(end) = content.get(from..).and_then(|rest| memchr(quote, rest)).map(|end| from + end) {
            let before = content.get(..end).unwrap_or_default();
            let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
            if backslashes % 2 == 1 {
                from = end + 1;
            } else if content.get(end + 1) == Some(&quote) {
                from = end + 2;
            } else {
                return self.quoted(offset, end, 1, quote);
            }
        }
        Token { close: 0, ..self.quoted(offset, content.len(), 0, quote) }
    }

    /// A string between two equal or paired delimiters, or up to the end.
    fn string_until(&mut self, offset: usize, delimiter: &[u8], mark: u8) -> Token {
        let content = self.rest(offset);
        match memmem::find(content, delimiter) {
            Some(end) => self.quoted(offset, end, delimiter.len(), mark),
            None => Token { close: 0, ..self.quoted(offset, content.len(), 0, mark) },
        }
    }

    /// A string whose content starts `offset` bytes ahead and is followed by a delimiter of `after` bytes.
    fn quoted(&mut self, offset: usize, length: usize, after: usize, mark: u8) -> Token {
        let token = Token::new(Kind::Text, self.at + offset, length);
        self.at += offset + length + after;
        Token { open: mark, close: mark, ..token }
    }

    /// A word, or a literal that starts with this letter.
    pub(super) fn letter(&mut self, first: u8) -> Token {
        match (first.to_ascii_lowercase(), self.peek(1), self.peek(2)) {
            (b'e' | b'n', Some(b'\''), Some(_)) => self.string(b'\'', 2),
            (b'n', ..) => self.oracle_string(1),
            (b'q', ..) => self.oracle_string(0),
            (b'u', Some(b'&'), Some(b'\'')) => self.unicode_string(),
            (b'b', Some(b'\''), Some(_)) => self.digits_in_quotes(|byte| matches!(byte, b'0' | b'1')),
            (b'x', Some(b'\''), Some(_)) => self.digits_in_quotes(|byte| byte.is_ascii_hexdigit()),
            _ => self.word(),
        }
    }

    /// `U&'…'`.
    fn unicode_string(&mut self) -> Token {
        let token = self.string(b'\'', 3);
        Token { open: b'u', close: if token.close == 0 { 0 } else { b'u' }, ..token }
    }

    /// `q'[…]'`, after `n` if `offset` is 1.
    fn oracle_string(&mut self, offset: usize) -> Token {
        let close = match (self.peek(offset), self.peek(offset + 1), self.peek(offset + 2)) {
            (Some(b'q' | b'Q'), Some(b'\''), Some(open @ b'!'..0x80)) => match open {
                b'(' => b')',
                b'[' => b']',
                b'{' => b'}',
                b'<' => b'>',
                same => same,
            },
            _ => return self.word(),
        };
        self.string_until(offset + 3, &[close, b'\''], b'q')
    }

    /// `b'01'` and `x'1f'`, which are numbers.
    fn digits_in_quotes(&mut self, is_digit: impl Fn(u8) -> bool) -> Token {
        let digits = count(self.rest(2), is_digit);
        if self.peek(2 + digits) == Some(b'\'') { self.take(Kind::Number, digits + 3) } else { self.word() }
    }

    /// `@x`, `@@x` and either in quotes or ticks.
    pub(super) fn variable(&mut self) -> Token {
        self.at += if self.peek(1) == Some(b'@') { 2 } else { 1 };
        let token = match self.peek(0) {
            Some(b'`') => self.tick(),
            Some(quote @ (b'\'' | b'"')) => self.string(quote, 1),
            _ => {
                let is_end = |byte| is_sign(byte) || (byte != 0xa0 && is_white(byte)) || byte == b'`';
                let length = self.rest(0).iter().take_while(|byte| !is_end(**byte)).count();
                self.take(Kind::Variable, length)
            }
        };
        Token { kind: Kind::Variable, ..token }
    }

    /// `$1,000.00`, `$$…$$`, `$tag$…$tag$` or else a word.
    pub(super) fn dollar(&mut self) -> Token {
        let Some(next) = self.peek(1) else { return self.take(Kind::Bareword, 1) };
        let digits = count(self.rest(1), |byte| matches!(byte, b'0'..=b'9' | b'.' | b','));
        match (digits, next) {
            (1, b'.') => return self.word(),
            (1.., _) => return self.take(Kind::Number, digits + 1),
            (0, b'$') => return self.string_until(2, b"$$", b'$'),
            _ => {}
        }
        let letters = count(self.rest(1), |byte| byte.is_ascii_alphabetic());
        match self.rest(0).get(..letters + 2) {
            Some(tag @ [.., b'$']) if letters > 0 => self.string_until(tag.len(), tag, b'$'),
            _ => self.take(Kind::Bareword, 1),
        }
    }

    /// A number, or a dot alone. `1.e` without an exponent is a word.
    pub(super) fn number(&mut self) -> Token {
        let text = self.rest(0);
        if let [b'0', base @ (b'x' | b'X' | b'b' | b'B'), digits @ ..] = text {
            let is_hex = base.eq_ignore_ascii_case(&b'x');
            let digits =
                count(
                    digits,
                    |byte| if is_hex { byte.is_ascii_hexdigit() } else { matches!(byte, b'0' | b'1') },
                );
            return self.take(if digits == 0 { Kind::Bareword } else { Kind::Number }, digits + 2);
        }
        let digits = |from: usize| -> usize {
            text.get(from..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count()
        };
        let mut length = digits(0);
        if text.get(length) == Some(&b'.') {
            length += 1;
            length += digits(length);
            if length == 1 {
                return self.take(Kind::Dot, 1);
            }
        }
        let mut kind = Kind::Number;
        if let Some(b'e' | b'E') = text.get(length) {
            length += 1;
            length += usize::from(matches!(text.get(length), Some(b'+' | b'-')));
            let exponent = digits(length);
            length += exponent;
            if exponent == 0 {
                kind = Kind::Bareword;
            }
        }
        self.take(kind, length + usize::from(has_suffix(text.get(length..).unwrap_or_default())))
    }
}

/// Oracle's `1.2f` and `1d`. `1fUNION` is one too, `123FROM` is not.
fn has_suffix(text: &[u8]) -> bool {
    match text {
        [b'd' | b'D' | b'f' | b'F'] => true,
        [b'd' | b'D' | b'f' | b'F', next, ..] => is_white(*next) || matches!(next, b';' | b'u' | b'U'),
        _ => false,
    }
}

/// How many bytes at the front are of a kind. A NUL counts as any.
fn count(text: &[u8], is_kind: impl Fn(u8) -> bool) -> usize {
    text.iter().take_while(|byte| **byte == 0 || is_kind(**byte)).count()
}
