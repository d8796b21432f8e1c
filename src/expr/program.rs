//! A compiled expression: a small tree in which every name is resolved and every type has been checked.
//!
//! Its depth is bounded by that of the source ([`MAX_DEPTH`](super::MAX_DEPTH)).

use std::sync::Arc;

use memchr::memmem::Finder;
use regex::bytes::Regex;

use super::access::Scalar;
use super::ast::Order;
use super::list::Entries;
use super::set::Set;

/// Something that is true, false or missing.
#[derive(Debug)]
pub(super) enum Test<F> {
    And(Box<[Test<F>]>),
    Or(Box<[Test<F>]>),
    Xor(Box<[Test<F>]>),
    Not(Box<Test<F>>),
    /// The value itself, a boolean.
    True(Term<F>),
    Compare {
        left: Term<F>,
        order: Order,
        right: Term<F>,
    },
    /// Whether `part` stands in `text`.
    Contains {
        text: Term<F>,
        part: Part<F>,
    },
    StartsWith {
        text: Term<F>,
        start: Term<F>,
    },
    EndsWith {
        text: Term<F>,
        end: Term<F>,
    },
    Matches {
        text: Term<F>,
        pattern: Regex,
    },
    InSet {
        value: Term<F>,
        set: Set,
    },
    InNamed {
        value: Term<F>,
        list: Arc<Entries>,
    },
    InArray {
        value: Term<F>,
        array: List<F>,
    },
    /// Whether the test holds for one element at least, or for all.
    Each {
        quantifier: Quantifier,
        list: List<F>,
        test: Box<Test<F>>,
    },
    HasValue(Read<F>),
    HasArray {
        field: F,
        key: Option<Box<str>>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantifier {
    Any,
    All,
}

/// What is looked for in a string.
#[derive(Debug)]
pub(super) enum Part<F> {
    Literal(Box<Finder<'static>>),
    Term(Term<F>),
}

/// Something with a single value.
#[derive(Debug)]
pub(super) enum Term<F> {
    Literal(Scalar<'static>),
    Read(Read<F>),
    Test(Box<Test<F>>),
    Call(Box<Call<F>>),
}

/// A value as its place holds it, or a part of it if it is JSON.
#[derive(Debug)]
pub(super) struct Read<F> {
    pub(super) place: Place<F>,
    pub(super) steps: Vec<Step>,
    /// As the source names it.
    pub(super) label: Box<str>,
}

#[derive(Debug)]
pub(super) enum Place<F> {
    Field(F),
    Entry(F, Box<str>),
    Item(F, Option<Box<str>>, usize),
    /// One of the strings that a split makes.
    Piece(Box<Split<F>>, usize),
    /// The element that the innermost quantifier looks at.
    Element,
}

/// A step into a JSON value.
#[derive(Debug)]
pub(super) enum Step {
    Key(Box<str>),
    Index(usize),
}

/// Something with many values.
#[derive(Debug)]
pub(super) enum List<F> {
    /// An array, or all values of a map that is asked without a key.
    Field {
        field: F,
        key: Option<Box<str>>,
        label: Box<str>,
    },
    /// A JSON array.
    Json(Read<F>),
    Split(Box<Split<F>>),
}

#[derive(Debug)]
pub(super) struct Split<F> {
    pub(super) text: Term<F>,
    /// Not empty.
    pub(super) separator: Box<[u8]>,
    pub(super) limit: usize,
}

/// A function that yields a value.
#[derive(Debug)]
pub(super) enum Call<F> {
    Lower(Term<F>),
    Upper(Term<F>),
    UrlDecode(Term<F>),
    ToString(Term<F>),
    Concat(Box<[Term<F>]>),
    Join(List<F>, Box<[u8]>),
    Substring {
        text: Term<F>,
        start: Term<F>,
        end: Option<Term<F>>,
    },
    RemoveQueryArgs {
        query: Term<F>,
        names: Box<[Box<[u8]>]>,
    },
    /// The length of a string, or of a JSON string or array.
    Length(Term<F>),
    /// How many elements.
    Count(List<F>),
    Cidr {
        address: Term<F>,
        v4_bits: u8,
        v6_bits: u8,
    },
}

impl<F> Term<F> {
    /// What is named when the value is missing for its type. Only values that were read can be of another type than
    /// expected.
    pub(super) fn label(&self) -> &str {
        match self {
            Self::Read(read) => &read.label,
            Self::Literal(_) | Self::Test(_) | Self::Call(_) => "",
        }
    }
}
