//! An expression as written: parsed, its names not yet looked up, its types not yet checked.
//!
//! The tree is at most [`MAX_DEPTH`](super::MAX_DEPTH) deep; chains of `and`, `or` and `xor` are flat.

use std::net::IpAddr;

use ipnet::IpNet;

use super::error::Span;

#[derive(Debug)]
pub(super) struct Node<'s> {
    pub(super) kind: NodeKind<'s>,
    pub(super) span: Span,
}

#[derive(Debug)]
pub(super) enum NodeKind<'s> {
    Or(Vec<Node<'s>>),
    Xor(Vec<Node<'s>>),
    And(Vec<Node<'s>>),
    Not(Box<Node<'s>>),
    Compare { left: Operand<'s>, order: Order, right: Operand<'s> },
    Contains { text: Operand<'s>, part: Operand<'s> },
    Matches { text: Operand<'s>, pattern: Pattern, pattern_span: Span },
    In { value: Operand<'s>, members: Members<'s> },
    Operand(Operand<'s>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug)]
pub(super) enum Pattern {
    /// A regular expression. Cloudflare leaves backslashes of a quoted one to the regex engine.
    Regex(String),
    /// Text with `*` for any bytes, without regard to the case of ASCII letters.
    Wildcard(Vec<u8>),
    /// The same with regard to case.
    StrictWildcard(Vec<u8>),
}

#[derive(Debug)]
pub(super) enum Members<'s> {
    Set(Vec<Item>, Span),
    List(&'s str, Span),
    Array(Operand<'s>),
}

/// One item of a `{…}` set.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) kind: ItemKind,
    pub(super) span: Span,
}

#[derive(Debug)]
pub(super) enum ItemKind {
    Bytes(Vec<u8>),
    /// From the first to the last, both included.
    Ints(i64, i64),
    Network(IpNet),
    /// From the first to the last, both included.
    Addresses(IpAddr, IpAddr),
}

#[derive(Debug)]
pub(super) struct Operand<'s> {
    pub(super) base: Base<'s>,
    pub(super) accesses: Vec<Access>,
    pub(super) span: Span,
}

#[derive(Debug)]
pub(super) enum Base<'s> {
    Literal(Literal),
    /// With dots.
    Name(&'s str, Span),
    Call {
        name: &'s str,
        name_span: Span,
        arguments: Vec<Node<'s>>,
    },
}

#[derive(Debug)]
pub(super) enum Literal {
    Bool(bool),
    Int(i64),
    Bytes(Vec<u8>),
    Ip(IpAddr),
}

/// What stands in brackets behind a name or a call.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) kind: AccessKind,
    pub(super) span: Span,
}

#[derive(Debug)]
pub(super) enum AccessKind {
    Key(Box<str>),
    Index(usize),
    /// `[*]`
    Unpack,
}
