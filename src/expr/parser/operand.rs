//! Operands, what stands in brackets behind them, and sets.

use super::Parser;
use crate::expr::ast::{Access, AccessKind, Base, Item, ItemKind, Literal, Members, Node, Operand};
use crate::expr::error::{Error, Span};
use crate::expr::lexer::{Token, TokenKind, unescape};

/// Words that are no names.
const KEYWORDS: [&str; 14] =
    ["eq", "ne", "lt", "le", "gt", "ge", "contains", "matches", "in", "wildcard", "and", "or", "xor", "not"];

impl<'s> Parser<'s> {
    pub(super) fn members(&mut self) -> Result<(Members<'s>, Span), Error> {
        let span = self.token.span;
        match self.token.kind {
            TokenKind::Symbol("{") => {
                let (items, span) = self.set()?;
                Ok((Members::Set(items, span), span))
            }
            TokenKind::List(name) => {
                self.advance()?;
                Ok((Members::List(name, span), span))
            }
            TokenKind::Word(_) => {
                let operand = self.operand()?;
                let span = operand.span;
                Ok((Members::Array(operand), span))
            }
            _ => self.unexpected("a set such as {\"a\" \"b\"}, a list such as $name, or an array"),
        }
    }

    fn set(&mut self) -> Result<(Vec<Item>, Span), Error> {
        let start = self.token.span;
        self.advance()?;
        let mut items = Vec::new();
        while self.token.kind != TokenKind::Symbol("}") {
            items.push(self.item()?);
        }
        let span = start.to(self.token.span);
        self.advance()?;
        if items.is_empty() {
            return Err(Error::new(span, "empty set: nothing is ever in it"));
        }
        Ok((items, span))
    }

    fn item(&mut self) -> Result<Item, Error> {
        let Token { kind, span } = self.token;
        let first = match kind {
            TokenKind::Quoted(text) => ItemKind::Bytes(unescape(text, span.start + 1)?),
            TokenKind::Raw(text) => ItemKind::Bytes(text.as_bytes().to_vec()),
            TokenKind::Int(number) => ItemKind::Ints(number, number),
            TokenKind::Ip(address) => ItemKind::Addresses(address, address),
            TokenKind::Network(network) => ItemKind::Network(network),
            TokenKind::Symbol(",") => {
                return Err(Error::new(span, "the items of a set have spaces between them, not commas"));
            }
            _ => return self.unexpected("a string, a number, an address, a network or }"),
        };
        self.advance()?;
        if self.token.kind != TokenKind::Symbol("..") {
            return Ok(Item { kind: first, span });
        }
        self.advance()?;
        let span = span.to(self.token.span);
        let kind = match (first, self.token.kind) {
            (ItemKind::Ints(first, _), TokenKind::Int(last)) => ItemKind::Ints(first, last),
            (ItemKind::Addresses(first, _), TokenKind::Ip(last)) => ItemKind::Addresses(first, last),
            _ => return Err(Error::new(span, "a range has two numbers or two addresses")),
        };
        self.advance()?;
        Ok(Item { kind, span })
    }

    pub(super) fn operand(&mut self) -> Result<Operand<'s>, Error> {
        let Token { kind, span } = self.token;
        let literal = match kind {
            TokenKind::Word("true") => Literal::Bool(true),
            TokenKind::Word("false") => Literal::Bool(false),
            TokenKind::Int(number) => Literal::Int(number),
            TokenKind::Ip(address) => Literal::Ip(address),
            TokenKind::Quoted(text) => Literal::Bytes(unescape(text, span.start + 1)?),
            TokenKind::Raw(text) => Literal::Bytes(text.as_bytes().to_vec()),
            TokenKind::Word(word) if !KEYWORDS.contains(&word) => return self.named(word, span),
            TokenKind::Network(network) => {
                return Err(Error::new(span, format!("a network stands in a set: in {{{network}}}")));
            }
            TokenKind::List(name) => {
                return Err(Error::new(span, format!("a list stands behind in: FIELD in ${name}")));
            }
            TokenKind::Symbol("{") => {
                return Err(Error::new(span, "a set stands behind in: FIELD in {…}"));
            }
            _ => return self.unexpected("a field or a value"),
        };
        self.advance()?;
        Ok(Operand { base: Base::Literal(literal), accesses: Vec::new(), span })
    }

    /// A field or a call, with what stands in brackets behind it.
    fn named(&mut self, name: &'s str, name_span: Span) -> Result<Operand<'s>, Error> {
        self.advance()?;
        let mut span = name_span;
        let mut base = Base::Name(name, name_span);
        if self.accept(&["("])? {
            let arguments = self.deeper(name_span, Self::arguments)?;
            span = name_span.to(self.expect(")", ", or )")?);
            base = Base::Call { name, name_span, arguments };
        }
        let mut accesses = Vec::new();
        while self.token.kind == TokenKind::Symbol("[") {
            let access = self.access()?;
            span = span.to(access.span);
            accesses.push(access);
        }
        Ok(Operand { base, accesses, span })
    }

    fn arguments(&mut self) -> Result<Vec<Node<'s>>, Error> {
        let mut arguments = Vec::new();
        if self.token.kind == TokenKind::Symbol(")") {
            return Ok(arguments);
        }
        arguments.push(self.any_of()?);
        while self.accept(&[","])? {
            arguments.push(self.any_of()?);
        }
        Ok(arguments)
    }

    fn access(&mut self) -> Result<Access, Error> {
        let start = self.token.span;
        self.advance()?;
        let Token { kind, span } = self.token;
        let kind = match kind {
            TokenKind::Symbol("*") => AccessKind::Unpack,
            TokenKind::Int(index) => match usize::try_from(index) {
                Ok(index) => AccessKind::Index(index),
                Err(_) => return Err(Error::new(span, "an index is 0 or more")),
            },
            TokenKind::Quoted(_) | TokenKind::Raw(_) => match String::from_utf8(self.literal_text(kind)?) {
                Ok(key) => AccessKind::Key(key.into()),
                Err(_) => return Err(Error::new(span, "a key that is not UTF-8")),
            },
            _ => return self.unexpected("a key in quotes, an index or *"),
        };
        self.advance()?;
        let end = self.expect("]", "]")?;
        Ok(Access { kind, span: start.to(end) })
    }
}
