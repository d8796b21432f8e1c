//! Cuts a value into SQL tokens, reading it as several databases would at once.
//!
//! Every byte is looked at a bounded number of times, whatever the value is.

use memchr::memchr;

use super::tables::Tables;
use super::token::{Kind, MAX_TEXT, Token, is_unary};

/// Whose comments are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `--` starts a comment, `#` is an operator.
    Ansi,
    /// `--` needs a space to start a comment, `#` starts one.
    MySql,
}

/// What a byte may start.
#[derive(Clone, Copy)]
enum Class {
    White,
    Operator,
    /// May be the first of two: `<=`.
    Operator2,
    /// A token of its own kind.
    Mark(Kind),
    Quote,
    Tick,
    Hash,
    Dash,
    Slash,
    Dollar,
    At,
    Number,
    Bracket,
    Backslash,
    /// A word, or a literal with a prefix: `N'…'`.
    Letter,
    Word,
}

/// Reads one value in one dialect.
pub(super) struct Lexer<'a> {
    pub(super) input: &'a [u8],
    pub(super) at: usize,
    /// The value is read as the rest of a string in these quotes.
    inside: Option<u8>,
    pub(super) dialect: Dialect,
    pub(super) tables: &'static Tables,
    /// How many tokens were read, comments included.
    pub(super) count: usize,
    /// The dialects differ about what was read.
    pub(super) ambiguous: bool,
}

impl<'a> Lexer<'a> {
    /// Of values beyond 4 GiB the rest is not read.
    pub(super) fn new(
        input: &'a [u8],
        inside: Option<u8>,
        dialect: Dialect,
        tables: &'static Tables,
    ) -> Self {
        let input = input.get(..u32::MAX as usize).unwrap_or(input);
        Self { input, at: 0, inside, dialect, tables, count: 0, ambiguous: false }
    }

    /// The next token, or `None` at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Token> {
        if self.at == 0
            && let Some(quote) = self.inside
        {
            self.count += 1;
            return Some(Token { open: 0, ..self.string(quote, 0) });
        }
        loop {
            let byte = *self.input.get(self.at)?;
            let token = match CLASSES[usize::from(byte)] {
                Class::White => {
                    self.at += 1;
                    continue;
                }
                Class::Word => self.word(),
                Class::Letter => self.letter(byte),
                Class::Number => self.number(),
                Class::Operator => self.take(Kind::Operator, 1),
                Class::Operator2 => self.operator2(byte),
                Class::Mark(kind) => self.take(kind, 1),
                Class::Quote => self.string(byte, 1),
                Class::Tick => self.tick(),
                Class::Hash => self.hash(),
                Class::Dash => self.dash(),
                Class::Slash => self.slash(),
                Class::Dollar => self.dollar(),
                Class::At => self.variable(),
                Class::Bracket => self.bracket(),
                Class::Backslash if self.peek(1) == Some(b'N') => self.take(Kind::Number, 2),
                Class::Backslash => self.take(Kind::Backslash, 1),
            };
            self.count += 1;
            return Some(token);
        }
    }

    /// The text of a token as it was written, cut to 31 bytes; of phrases as it is in the table.
    pub(super) fn text(&self, token: Token) -> &'a [u8] {
        if let Some(word) = self.tables.numbered(token.word) {
            return word.text.as_bytes();
        }
        let text = self.input.get(token.start as usize..).unwrap_or_default();
        text.get(..usize::from(token.length)).unwrap_or_default()
    }

    pub(super) fn is(&self, token: Token, word: &[u8]) -> bool {
        self.text(token).eq_ignore_ascii_case(word)
    }

    /// Whether this is an operator that may stand before a value.
    pub(super) fn is_unary(&self, token: Token) -> bool {
        token.kind == Kind::Operator && is_unary(self.text(token))
    }

    /// What is left of the value from `offset` bytes ahead.
    pub(super) fn rest(&self, offset: usize) -> &'a [u8] {
        self.input.get(self.at + offset..).unwrap_or_default()
    }

    pub(super) fn peek(&self, offset: usize) -> Option<u8> {
        self.input.get(self.at + offset).copied()
    }

    /// A token of the next `length` bytes.
    pub(super) fn take(&mut self, kind: Kind, length: usize) -> Token {
        let start = self.at;
        let length = length.min(self.input.len() - start);
        self.at += length;
        Token::new(kind, start, length)
    }

    /// A word up to a space or sign. `SELECT.1` and `` SELECT`x` `` are the word and more.
    pub(super) fn word(&mut self) -> Token {
        let text = self.rest(0);
        let mut length = 0;
        let mut has_mark = false;
        for byte in text {
            match WORD_BYTES[usize::from(*byte)] {
                InWord::Plain => {}
                InWord::Mark => has_mark = true,
                InWord::End => break,
            }
            length += 1;
        }
        if has_mark && let Some(token) = self.word_before_mark(length) {
            return token;
        }
        let token = self.take(Kind::Bareword, length);
        if length <= MAX_TEXT { self.name(token) } else { token }
    }

    /// What is before a dot or tick, if that is a word of SQL.
    #[cold]
    fn word_before_mark(&mut self, length: usize) -> Option<Token> {
        let text = self.rest(0).get(..length.min(MAX_TEXT))?;
        for mark in memchr::memchr2_iter(b'.', b'`', text) {
            let token = self.name(Token::new(Kind::Bareword, self.at, mark));
            if token.kind != Kind::Bareword {
                self.at += mark;
                return Some(token);
            }
        }
        None
    }

    /// Gives a bareword its kind.
    #[inline]
    fn name(&self, token: Token) -> Token {
        match self.tables.word(self.text(token)) {
            Some(word) => Token { kind: word.kind.unwrap_or(Kind::Bareword), word: word.number, ..token },
            None => token,
        }
    }

    /// In ticks MySQL reads a function or else a name.
    pub(super) fn tick(&mut self) -> Token {
        let token = self.string(b'`', 1);
        let token = self.name(Token { kind: Kind::Bareword, ..token });
        let kind = if token.kind == Kind::Function { Kind::Function } else { Kind::Bareword };
        Token { kind, ..token }
    }

    /// A name in brackets, as in Transact-SQL.
    fn bracket(&mut self) -> Token {
        let length = memchr(b']', self.rest(0)).map_or(usize::MAX, |end| end + 1);
        self.take(Kind::Bareword, length)
    }

    fn operator2(&mut self, first: u8) -> Token {
        if self.rest(0).starts_with(b"<=>") {
            return self.take(Kind::Operator, 3);
        }
        let pair = self.rest(0).get(..2).and_then(|pair| self.tables.word(pair));
        match (pair.and_then(|word| word.kind), first) {
            (Some(kind), _) => self.take(kind, 2),
            (None, b':') if self.peek(1).is_some() => self.take(Kind::Colon, 1),
            _ => self.take(Kind::Operator, 1),
        }
    }

    fn hash(&mut self) -> Token {
        self.ambiguous = true;
        match self.dialect {
            Dialect::MySql => self.line_comment(),
            Dialect::Ansi => self.take(Kind::Operator, 1),
        }
    }

    fn dash(&mut self) -> Token {
        match (self.peek(1), self.peek(2)) {
            (Some(b'-'), None) => self.line_comment(),
            (Some(b'-'), Some(after)) if is_white(after) => self.line_comment(),
            (Some(b'-'), Some(_)) if self.dialect == Dialect::Ansi => {
                self.ambiguous = true;
                self.line_comment()
            }
            _ => self.take(Kind::Operator, 1),
        }
    }

    fn line_comment(&mut self) -> Token {
        let length = memchr(b'\n', self.rest(0));
        let token = self.take(Kind::Comment, length.unwrap_or(usize::MAX));
        self.at += usize::from(length.is_some());
        token
    }

    /// A comment over lines. `/*! … */` is code to MySQL, and only PostgreSQL nests comments.
    fn slash(&mut self) -> Token {
        if self.peek(1) != Some(b'*') {
            return self.take(Kind::Operator, 1);
        }
        let inside = self.rest(2);
        let end = memchr::memmem::find(inside, b"*/");
        // One byte of the end belongs to what is searched: `/*/*/` nests.
        let nests = end
            .and_then(|end| inside.get(..=end))
            .is_some_and(|inside| memchr::memmem::find(inside, b"/*").is_some());
        let kind = if nests || inside.first() == Some(&b'!') { Kind::Evil } else { Kind::Comment };
        self.take(kind, end.map_or(usize::MAX, |end| end + 4))
    }
}

/// What the databases take for space, NUL and the Latin-1 no-break space included.
pub(super) const fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r' | 0 | 0xa0)
}

#[derive(Clone, Copy)]
enum InWord {
    Plain,
    /// Splits words of SQL from what follows.
    Mark,
    End,
}

const WORD_BYTES: [InWord; 256] = {
    let mut table = [InWord::Plain; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "the loop ends at 255")]
        if matches!(byte as u8, b'.' | b'`') {
            table[byte] = InWord::Mark;
        } else if is_white(byte as u8)
            || matches!(byte as u8, b'[' | b']' | b'{' | b'}')
            || is_sign(byte as u8)
        {
            table[byte] = InWord::End;
        }
        byte += 1;
    }
    table
};

/// Signs that end a word and a variable alike.
pub(super) const fn is_sign(byte: u8) -> bool {
    matches!(
        byte,
        b'<' | b'>'
            | b':'
            | b'\\'
            | b'?'
            | b'='
            | b'@'
            | b'!'
            | b'#'
            | b'~'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'&'
            | b'|'
            | b'^'
            | b'%'
            | b'('
            | b')'
            | b','
            | b'\''
            | b';'
            | b'"'
    )
}

const CLASSES: [Class; 256] = {
    let mut table = [Class::Word; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "the loop ends at 255")]
        let class = class(byte as u8);
        table[byte] = class;
        byte += 1;
    }
    table
};

const fn class(byte: u8) -> Class {
    match byte {
        0..=b' ' | 0x7f | 0xa0 => Class::White,
        b'%' | b'+' | b'^' | b'~' => Class::Operator,
        b'!' | b'&' | b'*' | b':' | b'<' | b'=' | b'>' | b'|' => Class::Operator2,
        b'(' => Class::Mark(Kind::LeftParen),
        b')' => Class::Mark(Kind::RightParen),
        b'{' => Class::Mark(Kind::LeftBrace),
        b'}' => Class::Mark(Kind::RightBrace),
        b',' => Class::Mark(Kind::Comma),
        b';' => Class::Mark(Kind::Semicolon),
        b'?' | b']' => Class::Mark(Kind::Unknown),
        b'"' | b'\'' => Class::Quote,
        b'`' => Class::Tick,
        b'#' => Class::Hash,
        b'-' => Class::Dash,
        b'/' => Class::Slash,
        b'$' => Class::Dollar,
        b'@' => Class::At,
        b'.' | b'0'..=b'9' => Class::Number,
        b'[' => Class::Bracket,
        b'\\' => Class::Backslash,
        b'B' | b'b' | b'E' | b'e' | b'N' | b'n' | b'Q' | b'q' | b'U' | b'u' | b'X' | b'x' => Class::Letter,
        _ => Class::Word,
    }
}
