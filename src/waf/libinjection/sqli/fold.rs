//! Folds tokens that say nothing, until five are left or the value ends.
//!
//! The rules look at two or three neighbours at a time and start again from the first token after most changes. What is
//! folded is gone, so each round either reads on or has fewer tokens.

use super::lexer::Lexer;
use super::tables::Tables;
use super::token::{Kind, MAX_TEXT, Token};

/// Tokens of a fingerprint.
pub(super) const MAX_TOKENS: usize = 5;

/// Words that are functions before a parenthesis and else names.
const MAYBE_FUNCTIONS: [&[u8]; 11] = [
    b"USER_ID",
    b"USER_NAME",
    b"DATABASE",
    b"PASSWORD",
    b"USER",
    b"CURRENT_USER",
    b"CURRENT_DATE",
    b"CURRENT_TIME",
    b"CURRENT_TIMESTAMP",
    b"LOCALTIME",
    b"LOCALTIMESTAMP",
];

/// What was done to the tokens at hand.
enum Round {
    /// Something was folded or settled: look again.
    Again,
    /// Nothing: look at one more token, or go on to the next.
    On,
    /// Enough is known: these are the tokens.
    Done,
}

/// The tokens of a value, folded.
pub(super) struct Folded<'a> {
    tokens: [Token<'a>; 8],
    /// Where the next token goes; the tokens before are valid.
    end: usize,
    /// Tokens before this one are settled.
    left: usize,
    more: bool,
    /// The comment read last, if nothing came after it.
    comment: Option<Token<'a>>,
}

impl<'a> Folded<'a> {
    /// Reads and folds. At most five tokens; none if there is nothing but comments, parentheses and signs.
    pub(super) fn read(lexer: &mut Lexer<'a>) -> Self {
        let mut folded = Self { tokens: [Token::EMPTY; 8], end: 0, left: 0, more: true, comment: None };
        loop {
            let Some(token) = lexer.next() else { return folded };
            let skipped = matches!(token.kind, Kind::Comment | Kind::LeftParen | Kind::SqlType);
            if !skipped && !token.is_unary() {
                folded.tokens[0] = token;
                folded.end = 1;
                break;
            }
        }
        while !folded.round(lexer) {}
        folded
    }

    pub(super) fn tokens(&self) -> &[Token<'a>] {
        self.tokens.get(..self.end).unwrap_or_default()
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut Token<'a>> {
        self.end.checked_sub(1).and_then(|last| self.tokens.get_mut(last))
    }

    /// One round; `true` when there is nothing left to do.
    fn round(&mut self, lexer: &mut Lexer<'a>) -> bool {
        if self.end >= MAX_TOKENS {
            self.fold_five();
        }
        if !self.more || self.left >= MAX_TOKENS {
            self.finish();
            return true;
        }
        self.read_up_to(2, lexer);
        if self.end - self.left < 2 {
            self.left = self.end;
            return false;
        }
        match self.fold_two(lexer.tables) {
            Round::Again => return false,
            Round::Done => return true,
            Round::On => {}
        }
        self.read_up_to(3, lexer);
        if self.end - self.left < 3 {
            self.left = self.end;
            return false;
        }
        if let Round::On = self.fold_three() {
            self.left += 1;
        }
        false
    }

    /// Reads until `count` tokens are unsettled, six in all.
    fn read_up_to(&mut self, count: usize, lexer: &mut Lexer<'a>) {
        while self.more && self.end <= MAX_TOKENS && self.end - self.left < count {
            match lexer.next() {
                None => self.more = false,
                Some(token) if token.kind == Kind::Comment => self.comment = Some(token),
                Some(token) => {
                    self.comment = None;
                    *self.at(self.end) = token;
                    self.end += 1;
                }
            }
        }
    }

    /// A comment at the end counts; the sixth token was only read to settle the fifth.
    fn finish(&mut self) {
        if self.end < MAX_TOKENS
            && let Some(comment) = self.comment
        {
            *self.at(self.end) = comment;
            self.end += 1;
        }
        self.end = self.end.min(MAX_TOKENS);
    }

    /// The token at this place; there are never more than six.
    fn at(&mut self, index: usize) -> &mut Token<'a> {
        &mut self.tokens[index % 8]
    }

    /// Drops the last `count` tokens and starts again from the first.
    fn drop_last(&mut self, count: usize) -> Round {
        self.end -= count;
        self.left = 0;
        Round::Again
    }

    /// Replaces the token at `index` by the next and drops the last, which need not be that one.
    fn drop_at(&mut self, index: usize) -> Round {
        *self.at(index) = *self.at(index + 1);
        self.drop_last(1)
    }

    /// Five tokens that are arithmetic in parentheses are one.
    fn fold_five(&mut self) {
        use Kind::{Bareword, Comma, LeftParen, Number, Operator, RightParen};
        let folds = matches!(
            self.tokens.map(|token| token.kind),
            [Number, Operator | Comma, LeftParen, Number, RightParen, ..]
                | [Bareword, Operator, LeftParen, Bareword | Number, RightParen, ..]
                | [Number, RightParen, Comma, LeftParen, Number, ..]
                | [Bareword, RightParen, Operator, LeftParen, Bareword, ..]
        );
        if folds {
            self.left = 0;
            if self.end > MAX_TOKENS {
                self.tokens[1] = self.tokens[MAX_TOKENS];
                self.end = 2;
            } else {
                self.end = 1;
            }
        }
    }

    fn fold_two(&mut self, tables: &'static Tables) -> Round {
        let left = self.left;
        let (a, b) = (*self.at(left), *self.at(left + 1));
        match (a.kind, b.kind) {
            (Kind::Text, Kind::Text) | (Kind::Semicolon, Kind::Semicolon) => {
                self.end -= 1;
                return Round::Again;
            }
            (Kind::Operator | Kind::Logic, second) if second == Kind::SqlType || b.is_unary() => {
                return self.drop_last(1);
            }
            (Kind::LeftParen, Kind::Operator) if b.is_unary() => return self.step_back(),
            _ => {}
        }
        if self.merge(tables) {
            return self.step_back();
        }
        self.fold_pair(a, b)
    }

    /// Drops the last token and looks at the one before again.
    fn step_back(&mut self) -> Round {
        self.end -= 1;
        self.left = self.left.saturating_sub(1);
        Round::Again
    }

    fn fold_pair(&mut self, a: Token<'a>, b: Token<'a>) -> Round {
        let left = self.left;
        match (a.kind, b.kind) {
            // `IF` is a statement in Transact-SQL.
            (Kind::Semicolon, Kind::Function) if matches!(b.text, [b'i' | b'I', b'f' | b'F', ..]) => {
                self.at(left + 1).kind = Kind::Tsql;
            }
            (Kind::Bareword | Kind::Variable, Kind::LeftParen)
                if MAYBE_FUNCTIONS.iter().any(|name| a.is(name)) =>
            {
                self.at(left).kind = Kind::Function;
            }
            (Kind::Keyword, _) if a.is(b"IN") || a.is(b"NOT IN") => {
                let is_operator = b.kind == Kind::LeftParen;
                self.at(left).kind = if is_operator { Kind::Operator } else { Kind::Bareword };
            }
            (Kind::Operator, _) if a.is(b"LIKE") || a.is(b"NOT LIKE") => {
                if b.kind == Kind::LeftParen {
                    self.at(left).kind = Kind::Function;
                }
                return Round::On;
            }
            (Kind::SqlType, Kind::SqlType | Kind::LeftParen | Kind::Function) => return self.drop_at(left),
            (Kind::SqlType, kind) if kind.is_value() => return self.drop_at(left),
            (Kind::Collate, Kind::Bareword) => {
                // There are too many collations to list.
                if b.text.split(|byte| *byte == 0).next().is_some_and(|text| text.contains(&b'_')) {
                    self.at(left + 1).kind = Kind::SqlType;
                    self.left = 0;
                }
                return Round::On;
            }
            // Transact-SQL reads `\%1` as `0 % 1`, and `\1` as 1.
            (Kind::Backslash, _) if b.is_arithmetic() => {
                self.at(left).kind = Kind::Number;
                self.left = 0;
            }
            (Kind::Backslash, _) => return self.drop_at(left),
            (Kind::LeftParen, Kind::LeftParen) | (Kind::RightParen, Kind::RightParen) => {
                return self.drop_last(1);
            }
            // MySQL reads ``{``.``.id}``, which nobody writes.
            (Kind::LeftBrace, Kind::Bareword) if b.text.is_empty() => {
                self.at(left + 1).kind = Kind::Evil;
                self.end = left + 2;
                return Round::Done;
            }
            // `{name expression}` of ODBC is the expression.
            (Kind::LeftBrace, Kind::Bareword) => return self.drop_last(2),
            (_, Kind::RightBrace) => return self.drop_last(1),
            _ => return Round::On,
        }
        Round::Again
    }

    /// Reads two words as one phrase, if they are one.
    #[inline]
    fn merge(&mut self, tables: &'static Tables) -> bool {
        let left = self.left;
        let (a, b) = (*self.at(left), *self.at(left + 1));
        if !a.leads || !a.kind.may_lead() || !b.kind.may_follow() {
            return false;
        }
        let mut phrase = [b' '; MAX_TEXT];
        let length = a.text.len() + 1 + b.text.len();
        if let Some(start) = phrase.get_mut(..a.text.len()) {
            start.copy_from_slice(a.text);
        }
        let Some(second) = phrase.get_mut(a.text.len() + 1..length) else { return false };
        second.copy_from_slice(b.text);
        let found = phrase.get(..length).and_then(|phrase| tables.word(phrase));
        let Some((word, kind)) = found.and_then(|word| Some((word, word.kind?))) else { return false };
        *self.at(left) = Token { kind, text: word.text.as_bytes(), leads: word.leads, ..a };
        true
    }

    fn fold_three(&mut self) -> Round {
        let left = self.left;
        let (a, b, c) = (*self.at(left), *self.at(left + 1), *self.at(left + 2));
        match (a.kind, b.kind, c.kind) {
            (Kind::Number, Kind::Operator, Kind::Number)
            | (Kind::Logic, _, Kind::Logic)
            | (Kind::Variable, Kind::Operator, Kind::Variable | Kind::Number | Kind::Bareword)
            | (Kind::Bareword | Kind::Number, Kind::Operator, Kind::Number | Kind::Bareword)
            | (Kind::Bareword, Kind::Dot, Kind::Bareword) => self.drop_last(2),
            (Kind::Operator, middle, Kind::Operator) if middle != Kind::LeftParen => self.drop_last(2),
            (first, Kind::Operator, Kind::SqlType) if first.is_value() && b.text == b"::" => {
                self.drop_last(2)
            }
            (first, Kind::Comma, third) if first.is_value() && third.is_value() => self.drop_last(2),
            (Kind::Expression | Kind::Group | Kind::Comma, Kind::Operator, Kind::LeftParen)
                if b.is_unary() =>
            {
                self.drop_at(left + 1)
            }
            (Kind::Keyword | Kind::Expression | Kind::Group, Kind::Operator, third)
                if b.is_unary() && (third.is_value() || third == Kind::Function) =>
            {
                self.drop_at(left + 1)
            }
            // `1,-1` is 1, so the token before is looked at again.
            (Kind::Comma, Kind::Operator, third) if b.is_unary() && third.is_value() => {
                *self.at(left + 1) = c;
                self.drop_last(3)
            }
            (Kind::Comma, Kind::Operator, Kind::Function) if b.is_unary() => self.drop_at(left + 1),
            (Kind::Expression, Kind::Dot, Kind::Bareword) => self.drop_at(left + 1),
            (Kind::Function, Kind::LeftParen, third) if third != Kind::RightParen => {
                if a.is(b"USER") {
                    self.at(left).kind = Kind::Bareword;
                }
                Round::On
            }
            _ => Round::On,
        }
    }
}
