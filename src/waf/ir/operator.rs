//! The tests a rule makes on a value.

use std::sync::Arc;

use ipnet::IpNet;

use super::Template;
use crate::waf::transform::ByteSet;

/// A regular expression as it was written, in PCRE's syntax.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// As written.
    pub text: Box<[u8]>,
}

/// How two numbers compare. What is no number is 0, as in C's `atoi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Number {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// A test on a value.
#[derive(Debug, Clone)]
pub enum Operator {
    /// Holds always.
    Always,
    /// Holds never.
    Never,
    /// A regular expression has a match.
    Regex(Pattern),
    /// Like [`Self::Regex`], and what all matches found is kept rather than the first.
    RegexGlobal(Pattern),
    /// A regular expression with macros in it, whose values are part of the expression.
    RegexTemplate(Template),
    /// One of the phrases is in the value, without regard to case.
    Phrases(Arc<[Box<[u8]>]>),
    /// The value is the text.
    Equals(Template),
    /// The value starts with the text.
    StartsWith(Template),
    /// The value ends with the text.
    EndsWith(Template),
    /// The text is in the value.
    Contains(Template),
    /// The text is in the value, with no letter, digit or `_` beside it.
    ContainsWord(Template),
    /// The value is in the text.
    Within(Template),
    /// The numbers compare: the value on the left.
    Number(Number, Template),
    /// The value is an address within one of the networks.
    Addresses(Arc<[IpNet]>),
    /// The value has a byte outside the set.
    BytesOutside(ByteSet),
    /// A `%` without two hexadecimal digits after it.
    BadUrlEncoding,
    /// No valid UTF-8.
    BadUtf8,
    /// libinjection finds SQL.
    SqlInjection,
    /// libinjection finds a script.
    Xss,
    /// The pattern has a match whose digits make a payment card's number (Luhn).
    CardNumber(Pattern),
    /// The pattern has a match whose digits make a US social security number.
    SocialSecurityNumber(Pattern),
    /// The pattern has a match whose digits make a Brazilian CPF number.
    Cpf(Pattern),
    /// The pattern has a match whose digits make an Austrian social security number.
    Svnr(Pattern),
}
