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

/// Longest text of a token that is kept; no word in the table is longer.
pub(super) const MAX_TEXT: usize = 31;

/// One token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub kind: Kind,
    /// As written, cut to [`MAX_TEXT`] bytes; of strings what is between the quotes; of phrases the table's text.
    pub text: &'a [u8],
    /// What a string was opened with; 0: nothing, as the value is read as the rest of a string.
    pub open: u8,
    /// What a string was closed with; 0: nothing.
    pub close: u8,
    /// The text is the start of a phrase in the table.
    pub leads: bool,
}

impl<'a> Token<'a> {
    pub(super) const EMPTY: Self = Self::new(Kind::Unknown, b"");

    pub(super) const fn new(kind: Kind, text: &'a [u8]) -> Self {
        let text = match text.split_at_checked(MAX_TEXT) {
            Some((kept, _)) => kept,
            None => text,
        };
        Self { kind, text, open: 0, close: 0, leads: false }
    }

    pub(super) const fn quoted(text: &'a [u8], open: u8, close: u8) -> Self {
        Self { open, close, ..Self::new(Kind::Text, text) }
    }

    pub(super) const fn is(&self, word: &[u8]) -> bool {
        self.text.eq_ignore_ascii_case(word)
    }

    /// An operator that may stand before a value.
    pub(super) const fn is_unary(&self) -> bool {
        matches!(self.kind, Kind::Operator)
            && (matches!(self.text, b"+" | b"-" | b"!" | b"~" | b"!!") || self.is(b"NOT"))
    }

    pub(super) const fn is_arithmetic(&self) -> bool {
        matches!(self.kind, Kind::Operator) && matches!(self.text, b"*" | b"/" | b"-" | b"+" | b"%")
    }
}
