//! From a source to its tree. Operators bind as at Cloudflare: `not` first, then `and`, `xor`, `or`.
//!
//! By recursive descent with a counted depth, one token ahead; no token is read twice.

use super::ast::{Node, NodeKind, Operand, Order, Pattern};
use super::error::{Error, Span};
use super::lexer::{Lexer, Token, TokenKind, unescape};
use super::{MAX_DEPTH, MAX_LENGTH, functions};
use crate::values::nearest::suggestion;

mod operand;

/// Operators that stand behind an operand.
const OPERATORS: [&str; 14] = [
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "contains",
    "matches",
    "in",
    "wildcard",
    "strict wildcard",
    "and",
    "or",
    "xor",
];
/// Parses the whole of a source.
pub(super) fn parse(source: &str) -> Result<Node<'_>, Error> {
    if source.len() > MAX_LENGTH {
        let message = format!("longer than {MAX_LENGTH} bytes: keep values in a named list");
        return Err(Error::new(Span::new(0, 0), message));
    }
    let mut lexer = Lexer::new(source);
    let token = lexer.next()?;
    let mut parser = Parser { lexer, token, depth: 0 };
    let node = parser.any_of()?;
    match parser.token.kind {
        TokenKind::End => Ok(node),
        _ => parser.unexpected("and, or, xor or the end"),
    }
}

struct Parser<'s> {
    lexer: Lexer<'s>,
    token: Token<'s>,
    depth: usize,
}

impl<'s> Parser<'s> {
    fn any_of(&mut self) -> Result<Node<'s>, Error> {
        self.chain(&["or", "||"], Self::one_of, NodeKind::Or)
    }

    fn one_of(&mut self) -> Result<Node<'s>, Error> {
        self.chain(&["xor", "^^"], Self::all_of, NodeKind::Xor)
    }

    fn all_of(&mut self) -> Result<Node<'s>, Error> {
        self.chain(&["and", "&&"], Self::unary, NodeKind::And)
    }

    fn chain(
        &mut self,
        operators: &[&str],
        parse: fn(&mut Self) -> Result<Node<'s>, Error>,
        combine: fn(Vec<Node<'s>>) -> NodeKind<'s>,
    ) -> Result<Node<'s>, Error> {
        let first = parse(self)?;
        let start = first.span;
        let mut nodes = vec![first];
        while self.accept(operators)? {
            nodes.push(parse(self)?);
        }
        let end = nodes.last().map_or(start, |node| node.span);
        match <[_; 1]>::try_from(nodes) {
            Ok([node]) => Ok(node),
            Err(nodes) => Ok(Node { kind: combine(nodes), span: start.to(end) }),
        }
    }

    fn unary(&mut self) -> Result<Node<'s>, Error> {
        let start = self.token.span;
        if self.accept(&["not", "!"])? {
            let node = self.deeper(start, Self::unary)?;
            let span = start.to(node.span);
            return Ok(Node { kind: NodeKind::Not(Box::new(node)), span });
        }
        if self.accept(&["("])? {
            let node = self.deeper(start, Self::any_of)?;
            let end = self.expect(")", "and, or, xor or )")?;
            return Ok(Node { span: start.to(end), ..node });
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Node<'s>, Error> {
        let left = self.operand()?;
        let start = left.span;
        let operator = match self.token.kind {
            TokenKind::Word(word) | TokenKind::Symbol(word) => word,
            _ => "",
        };
        let (kind, end) = if let Some(order) = order(operator) {
            self.advance()?;
            let right = self.operand()?;
            let end = right.span;
            (NodeKind::Compare { left, order, right }, end)
        } else {
            match operator {
                "contains" => {
                    self.advance()?;
                    let part = self.operand()?;
                    let end = part.span;
                    (NodeKind::Contains { text: left, part }, end)
                }
                "in" => {
                    self.advance()?;
                    let (members, end) = self.members()?;
                    (NodeKind::In { value: left, members }, end)
                }
                "matches" | "~" | "wildcard" | "strict" => self.pattern(left)?,
                _ => {
                    self.refuse_operator()?;
                    (NodeKind::Operand(left), start)
                }
            }
        };
        Ok(Node { kind, span: start.to(end) })
    }

    /// An error if a word stands here that was meant as an operator.
    fn refuse_operator(&self) -> Result<(), Error> {
        match self.token.kind {
            TokenKind::Word("and" | "or" | "xor") => Ok(()),
            TokenKind::Word("not") => self.refuse("\"not\" stands before a comparison: not FIELD in {…}"),
            TokenKind::Word(word) if functions::find(word).is_some() => {
                self.refuse(format!("\"{word}\" is a function: write {word}(…)"))
            }
            TokenKind::Word(word) => {
                self.refuse(format!("unknown operator \"{word}\"{}", suggestion(word, OPERATORS)))
            }
            _ => Ok(()),
        }
    }

    /// `matches`, `wildcard` or `strict wildcard`, and the literal behind it.
    fn pattern(&mut self, text: Operand<'s>) -> Result<(NodeKind<'s>, Span), Error> {
        let operator = self.token.kind;
        self.advance()?;
        if operator == TokenKind::Word("strict") {
            self.expect("wildcard", "wildcard")?;
        }
        let span = self.token.span;
        let pattern = match (operator, self.token.kind) {
            (
                TokenKind::Word("matches") | TokenKind::Symbol(_),
                TokenKind::Quoted(text) | TokenKind::Raw(text),
            ) => Pattern::Regex(text.to_owned()),
            (TokenKind::Word("wildcard"), kind) => Pattern::Wildcard(self.literal_text(kind)?),
            (TokenKind::Word("strict"), kind) => Pattern::StrictWildcard(self.literal_text(kind)?),
            _ => return self.unexpected("a pattern in quotes"),
        };
        self.advance()?;
        Ok((NodeKind::Matches { text, pattern, pattern_span: span }, span))
    }

    fn literal_text(&self, kind: TokenKind<'s>) -> Result<Vec<u8>, Error> {
        match kind {
            TokenKind::Quoted(text) => unescape(text, self.token.span.start + 1),
            TokenKind::Raw(text) => Ok(text.as_bytes().to_vec()),
            _ => self.unexpected("a pattern in quotes"),
        }
    }

    /// Parses what is nested behind a token, one level deeper.
    fn deeper<T>(
        &mut self,
        token: Span,
        parse: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.depth == MAX_DEPTH {
            return Err(Error::new(token, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.depth += 1;
        let parsed = parse(self)?;
        self.depth -= 1;
        Ok(parsed)
    }

    fn advance(&mut self) -> Result<(), Error> {
        self.token = self.lexer.next()?;
        Ok(())
    }

    fn accept(&mut self, spellings: &[&str]) -> Result<bool, Error> {
        let accepted = match self.token.kind {
            TokenKind::Word(word) | TokenKind::Symbol(word) => spellings.contains(&word),
            _ => false,
        };
        if accepted {
            self.advance()?;
        }
        Ok(accepted)
    }

    /// Takes a token that must come now; `expected` names all that could.
    fn expect(&mut self, spelling: &str, expected: &str) -> Result<Span, Error> {
        let span = self.token.span;
        if self.accept(&[spelling])? { Ok(span) } else { self.unexpected(expected) }
    }

    fn unexpected<T>(&self, expected: &str) -> Result<T, Error> {
        let found = match self.token.kind {
            TokenKind::End => "the end",
            TokenKind::Quoted(_) | TokenKind::Raw(_) => "a string",
            TokenKind::Int(_) => "a number",
            TokenKind::Ip(_) => "an IP address",
            TokenKind::Network(_) => "a network",
            TokenKind::List(_) => "a list",
            TokenKind::Word(word) => return self.refuse(format!("expected {expected}, found \"{word}\"")),
            TokenKind::Symbol(symbol) => symbol,
        };
        self.refuse(format!("expected {expected}, found {found}"))
    }

    fn refuse<T>(&self, message: impl Into<String>) -> Result<T, Error> {
        Err(Error::new(self.token.span, message))
    }
}

fn order(operator: &str) -> Option<Order> {
    Some(match operator {
        "eq" | "==" => Order::Equal,
        "ne" | "!=" => Order::NotEqual,
        "lt" | "<" => Order::Less,
        "le" | "<=" => Order::LessOrEqual,
        "gt" | ">" => Order::Greater,
        "ge" | ">=" => Order::GreaterOrEqual,
        _ => return None,
    })
}
