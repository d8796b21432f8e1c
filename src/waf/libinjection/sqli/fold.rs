//! Folds tokens that say nothing, until five are left or the value ends.
//!
//! The rules look at two or three neighbours at a time and start again from the first token after most changes. What is
//! folded is gone, so each round either reads on or has fewer tokens.

use super::lexer::Lexer;
use super::token::{Kind, MAX_TEXT, Token, is_arithmetic};

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
pub(super) struct Folded {
    tokens: [Token; 8],
    /// Where the next token goes; the tokens before are valid.
    end: usize,
    /// Tokens before this one are settled.
    left: usize,
    more: bool,
    /// The comment read last, if nothing came after it.
    comment: Option<Token>,
}

impl Folded {
    pub(super) const fn new() -> Self {
        Self { tokens: [Token::EMPTY; 8], end: 0, left: 0, more: true, comment: None }
    }

    /// Reads and folds. At most five tokens; none if there is nothing but comments, parentheses and signs.
    pub(super) fn read(&mut self, lexer: &mut Lexer<'_>) {
        loop {
            let Some(token) = lexer.next() else { return };
            let skipped = matches!(token.kind, Kind::Comment | Kind::LeftParen | Kind::SqlType);
            if !skipped && !lexer.is_unary(token) {
                self.tokens[0] = token;
                self.end = 1;
                break;
            }
        }
        while !self.round(lexer) {}
    }

    pub(super) fn tokens(&self) -> &[Token] {
        self.tokens.get(..self.end).unwrap_or_default()
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut Token> {
        self.end.checked_sub(1).and_then(|last| self.tokens.get_mut(last))
    }

    /// One round; `true` when there is nothing left to do.
    fn round(&mut self, lexer: &mut Lexer<'_>) -> bool {
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
        match self.fold_two(lexer) {
            Round::Again => return false,
            Round::Done => return true,
            Round::On => {}
        }
        self.read_up_to(3, lexer);
        if self.end - self.left < 3 {
            self.left = self.end;
            return false;
        }
        if let Round::On = self.fold_three(lexer) {
            self.left += 1;
        }
        false
    }

    /// Reads until `count` tokens are unsettled, six in all.
    fn read_up_to(&mut self, count: usize, lexer: &mut Lexer<'_>) {
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
    fn at(&mut self, index: usize) -> &mut Token {
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

    fn fold_two(&mut self, lexer: &Lexer<'_>) -> Round {
        let left = self.left;
        let (a, b) = (*self.at(left), *self.at(left + 1));
        match (a.kind, b.kind) {
            (Kind::Text, Kind::Text) | (Kind::Semicolon, Kind::Semicolon) => {
                self.end -= 1;
                return Round::Again;
            }
            (Kind::Operator | Kind::Logic, second) if second == Kind::SqlType || lexer.is_unary(b) => {
                return self.drop_last(1);
            }
            (Kind::LeftParen, Kind::Operator) if lexer.is_unary(b) => return self.step_back(),
            _ => {}
        }
        if self.merge(a, b, lexer) {
            return self.step_back();
        }
        self.fold_pair(a, b, lexer)
    }

    /// Drops the last token and looks at the one before again.
    fn step_back(&mut self) -> Round {
        self.end -= 1;
        self.left = self.left.saturating_sub(1);
        Round::Again
    }

    fn fold_pair(&mut self, a: Token, b: Token, lexer: &Lexer<'_>) -> Round {
        let left = self.left;
        match (a.kind, b.kind) {
            // `IF` is a statement in Transact-SQL.
            (Kind::Semicolon, Kind::Function) if matches!(lexer.text(b), [b'i' | b'I', b'f' | b'F', ..]) => {
                self.at(left + 1).kind = Kind::Tsql;
            }
            (Kind::Bareword | Kind::Variable, Kind::LeftParen)
                if MAYBE_FUNCTIONS.iter().any(|name| lexer.is(a, name)) =>
            {
                self.at(left).kind = Kind::Function;
            }
            (Kind::Keyword, _) if lexer.is(a, b"IN") || lexer.is(a, b"NOT IN") => {
                let is_operator = b.kind == Kind::LeftParen;
                self.at(left).kind = if is_operator { Kind::Operator } else { Kind::Bareword };
            }
            (Kind::Operator, _) if lexer.is(a, b"LIKE") || lexer.is(a, b"NOT LIKE") => {
                if b.kind == Kind::LeftParen {
                    self.at(left).kind = Kind::Function;
                }
                return Round::On;
            }
            (Kind::SqlType, Kind::SqlType | Kind::LeftParen | Kind::Function) => return self.drop_at(left),
            (Kind::SqlType, kind) if kind.is_value() => return self.drop_at(left),
            (Kind::Collate, Kind::Bareword) => {
                // There are too many collations to list.
                if lexer.text(b).split(|byte| *byte == 0).next().is_some_and(|text| text.contains(&b'_')) {
                    self.at(left + 1).kind = Kind::SqlType;
                    self.left = 0;
                }
                return Round::On;
            }
            // Transact-SQL reads `\%1` as `0 % 1`, and `\1` as 1.
            (Kind::Backslash, _) if b.kind == Kind::Operator && is_arithmetic(lexer.text(b)) => {
                self.at(left).kind = Kind::Number;
                self.left = 0;
            }
            (Kind::Backslash, _) => return self.drop_at(left),
            (Kind::LeftParen, Kind::LeftParen) | (Kind::RightParen, Kind::RightParen) => {
                return self.drop_last(1);
            }
            // MySQL reads ``{``.``.id}``, which nobody writes.
            (Kind::LeftBrace, Kind::Bareword) if b.length == 0 => {
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
    fn merge(&mut self, a: Token, b: Token, lexer: &Lexer<'_>) -> bool {
        let leads = a.word != 0 && lexer.tables.numbered(a.word).is_some_and(|word| word.leads);
        if !leads || !a.kind.may_lead() || !b.kind.may_follow() {
            return false;
        }
        let mut phrase = [b' '; MAX_TEXT];
        let (first, second) = (lexer.text(a), lexer.text(b));
        let length = first.len() + 1 + second.len();
        if let Some(start) = phrase.get_mut(..first.len()) {
            start.copy_from_slice(first);
        }
        let Some(end) = phrase.get_mut(first.len() + 1..length) else { return false };
        end.copy_from_slice(second);
        let found = phrase.get(..length).and_then(|phrase| lexer.tables.word(phrase));
        let Some((word, kind)) = found.and_then(|word| Some((word, word.kind?))) else { return false };
        *self.at(self.left) =
            Token { kind, word: word.number, length: u8::try_from(length).unwrap_or(0), ..a };
        true
    }

    fn fold_three(&mut self, lexer: &Lexer<'_>) -> Round {
        let left = self.left;
        let (a, b, c) = (*self.at(left), *self.at(left + 1), *self.at(left + 2));
        match (a.kind, b.kind, c.kind) {
            (Kind::Number, Kind::Operator, Kind::Number)
            | (Kind::Logic, _, Kind::Logic)
            | (Kind::Variable, Kind::Operator, Kind::Variable | Kind::Number | Kind::Bareword)
            | (Kind::Bareword | Kind::Number, Kind::Operator, Kind::Number | Kind::Bareword)
            | (Kind::Bareword, Kind::Dot, Kind::Bareword) => self.drop_last(2),
            (Kind::Operator, middle, Kind::Operator) if middle != Kind::LeftParen => self.drop_last(2),
            (first, Kind::Operator, Kind::SqlType) if first.is_value() && lexer.text(b) == b"::" => {
                self.drop_last(2)
            }
            (first, Kind::Comma, third) if first.is_value() && third.is_value() => self.drop_last(2),
            (Kind::Expression | Kind::Group | Kind::Comma, Kind::Operator, Kind::LeftParen)
                if lexer.is_unary(b) =>
            {
                self.drop_at(left + 1)
            }
            (Kind::Keyword | Kind::Expression | Kind::Group, Kind::Operator, third)
                if lexer.is_unary(b) && (third.is_value() || third == Kind::Function) =>
            {
                self.drop_at(left + 1)
            }
            // `1,-1` is 1, so the token before is looked at again.
            (Kind::Comma, Kind::Operator, third) if lexer.is_unary(b) && third.is_value() => {
                *self.at(left + 1) = c;
                self.drop_last(3)
            }
            (Kind::Comma, Kind::Operator, Kind::Function) if lexer.is_unary(b) => self.drop_at(left + 1),
            (Kind::Expression, Kind::Dot, Kind::Bareword) => self.drop_at(left + 1),
            (Kind::Function, Kind::LeftParen, third) if third != Kind::RightParen => {
                if lexer.is(a, b"USER") {
                    self.at(left).kind = Kind::Bareword;
                }
                Round::On
            }
            _ => Round::On,
        }
    }
}
