//! What the lexer makes and the folding works on.

/// Kinds of token; the byte is the one in fingerprints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Keyword = b'k',
    Union = b'U',
    /// `GROUP BY`, `LIMIT`, `HAVING`.
    Group = b'B',
    /// `SELECT`, `INSERT` and others that start a statement.
    Expression = b'E',
    SqlType = b't',
    Function = b'f',
    Bareword = b'n',
    Number = b'1',
    Variable = b'v',
    Text = b's',
    Operator = b'o',
    /// `AND`, `OR` and their signs.
    Logic = b'&',
    Comment = b'c',
    Collate = b'A',
    LeftParen = b'(',
    RightParen = b')',
    LeftBrace = b'{',
    RightBrace = b'}',
    Dot = b'.',
    Comma = b',',
    Colon = b':',
    Semicolon = b';',
    /// Starts a statement of Transact-SQL.
    Tsql = b'T',
    Unknown = b'?',
    /// What databases read differently (nested and conditional comments): an attack by itself.
    Evil = b'X',
    Backslash = b'\\',
}

impl Kind {
    /// The kind of a word in the table.
    pub(super) const fn of_word(byte: u8) -> Option<Self> {
        Some(match byte {
            b'k' => Self::Keyword,
            b'U' => Self::Union,
            b'B' => Self::Group,
            b'E' => Self::Expression,
            b't' => Self::SqlType,
            b'f' => Self::Function,
            b'n' => Self::Bareword,
            b'1' => Self::Number,
            b'v' => Self::Variable,
            b'o' => Self::Operator,
            b'&' => Self::Logic,
            b'A' => Self::Collate,
            b'T' => Self::Tsql,
            _ => return None,
        })
    }

    /// Whether words of this kind are read together with the next: `IS` `NOT`, `GROUP` `BY`.
    pub(super) const fn may_lead(self) -> bool {
        matches!(
            self,
            Self::Keyword
                | Self::Bareword
                | Self::Operator
                | Self::Union
                | Self::Function
                | Self::Expression
                | Self::Tsql
                | Self::SqlType
        )
    }

    /// Whether words of this kind may be the second part of a phrase.
    pub(super) const fn may_follow(self) -> bool {
        self.may_lead() || matches!(self, Self::Logic)
    }

    /// `NUMBER`, `BAREWORD`, `VARIABLE` or `STRING`: one value.
    pub(super) const fn is_value(self) -> bool {
        matches!(self, Self::Number | Self::Bareword | Self::Variable | Self::Text)
    }
}

/// Longest text of a token that is kept, in bytes; no word in the table is longer.
pub(super) const MAX_TEXT: usize = 31;

/// One token: twelve bytes, so that it is passed in registers. [`super::lexer::Lexer::text`] has its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    /// Where its text starts in the value.
    pub start: u32,
    /// Its number in the table of words; 0: it is not there.
    pub word: u16,
    /// Bytes of its text, [`MAX_TEXT`] at most; of strings what is between the quotes.
    pub length: u8,
    pub kind: Kind,
    /// What a string was opened with; 0: nothing, as the value is read as the rest of a string.
    pub open: u8,
    /// What a string was closed with; 0: nothing.
    pub close: u8,
}

impl Token {
    pub(super) const EMPTY: Self = Self::new(Kind::Unknown, 0, 0);

    /// A token whose text is `length` bytes from `start` on.
    pub(super) const fn new(kind: Kind, start: usize, length: usize) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "the lexer reads 4 GiB at most")]
        let start = start as u32;
        #[allow(clippy::cast_possible_truncation, reason = "31 at most")]
        let length = if length < MAX_TEXT { length as u8 } else { MAX_TEXT as u8 };
        Self { start, word: 0, length, kind, open: 0, close: 0 }
    }
}

/// Whether this is an operator that may stand before a value.
pub(super) const fn is_unary(text: &[u8]) -> bool {
    matches!(text, [b'+' | b'-' | b'!' | b'~'] | [b'!', b'!'] | [b'n' | b'N', b'o' | b'O', b't' | b'T'])
}

pub(super) const fn is_arithmetic(text: &[u8]) -> bool {
    matches!(text, [b'*' | b'/' | b'-' | b'+' | b'%'])
}
