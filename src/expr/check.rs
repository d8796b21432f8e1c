//! From a parsed tree to a compiled one: names are looked up, types are checked, patterns and sets are built.
//!
//! Goes on after an error where the rest has a meaning of its own, so that an author is told all at once.

use memchr::memmem::Finder;

use super::ast::{Base, ItemKind, Members, Node, NodeKind, Operand, Order, Pattern};
use super::ast::{Item, Literal};
use super::error::{Error, Span};
use super::program::{List, Part, Term, Test};
use super::scheme::{Field, Kind, Type};
use super::set::{IntSet, Set, StringSet, networks};
use super::{Context, pattern};
use crate::values::nearest::suggestion;

mod call;
mod operand;

/// More errors than this in one expression are not told.
const MAX_ERRORS: usize = 16;

/// An error was noted, and there is no result.
pub(super) struct Reported;

type Checked<T> = std::result::Result<T, Reported>;

/// What an operand stands for.
enum Typed<F: 'static> {
    Term(Term<F>, Kind),
    List(List<F>, Kind),
    Map(&'static Field<F>),
}

/// An `any()` or `all()` whose argument is being checked.
struct Frame<'s, F> {
    /// The list that its `[*]` unpacks, as written, once that has been met.
    unpacked: Option<(&'s str, List<F>, Kind)>,
    /// How often its element was named.
    uses: usize,
}

pub(super) struct Checker<'s, F: 'static> {
    source: &'s str,
    context: &'s Context<'s, F>,
    errors: Vec<Error>,
    frames: Vec<Frame<'s, F>>,
    uses: Vec<(F, Span)>,
}

/// What a source comes to, and the fields it uses, with their places.
pub(super) type Result<T, F> = std::result::Result<(T, Box<[(F, Span)]>), Vec<Error>>;

impl<'s, F: Copy + PartialEq> Checker<'s, F> {
    pub(super) const fn new(source: &'s str, context: &'s Context<'s, F>) -> Self {
        Self { source, context, errors: Vec::new(), frames: Vec::new(), uses: Vec::new() }
    }

    /// The whole source as a condition.
    pub(super) fn condition(mut self, node: &Node<'s>) -> Result<Test<F>, F> {
        let test = self.test(node);
        self.finish(test)
    }

    /// The whole source as a value.
    pub(super) fn value(mut self, node: &Node<'s>) -> Result<(Term<F>, Kind), F> {
        let value = self.typed(node).and_then(|typed| self.single(typed, node.span));
        self.finish(value)
    }

    fn finish<T>(self, checked: Checked<T>) -> Result<T, F> {
        match checked {
            Ok(value) if self.errors.is_empty() => Ok((value, self.uses.into())),
            _ => Err(self.errors),
        }
    }

    fn report<T>(&mut self, span: Span, message: impl Into<String>) -> Checked<T> {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(Error::new(span, message));
        }
        Err(Reported)
    }

    fn test(&mut self, node: &Node<'s>) -> Checked<Test<F>> {
        Ok(match &node.kind {
            NodeKind::Or(nodes) => Test::Or(self.tests(nodes)?),
            NodeKind::Xor(nodes) => Test::Xor(self.tests(nodes)?),
            NodeKind::And(nodes) => Test::And(self.tests(nodes)?),
            NodeKind::Not(node) => Test::Not(Box::new(self.test(node)?)),
            NodeKind::Operand(operand) => return self.implicit(operand),
            NodeKind::Compare { left, order, right } => return self.compare(left, *order, right),
            NodeKind::Contains { text, part } => return self.contains(text, part),
            NodeKind::Matches { text, pattern, pattern_span } => {
                return self.matches(text, pattern, *pattern_span);
            }
            NodeKind::In { value, members } => match members {
                Members::Set(items, span) => return self.in_set(value, items, *span),
                Members::List(name, span) => return self.in_named(value, name, *span),
                Members::Array(array) => return self.in_array(value, array),
            },
        })
    }

    fn tests(&mut self, nodes: &[Node<'s>]) -> Checked<Box<[Test<F>]>> {
        let tests: Vec<_> = nodes.iter().map(|node| self.test(node)).collect();
        tests.into_iter().collect()
    }

    /// A boolean that stands for itself.
    fn implicit(&mut self, operand: &Operand<'s>) -> Checked<Test<F>> {
        let typed = self.operand(operand)?;
        match typed {
            Typed::Term(Term::Test(test), _) => Ok(*test),
            Typed::Term(term, Kind::Bool | Kind::Json) => Ok(Test::True(term)),
            typed => {
                let message = format!("{} is no condition, compare it with something", typed.described());
                self.report(operand.span, message)
            }
        }
    }

    fn compare(&mut self, left: &Operand<'s>, order: Order, right: &Operand<'s>) -> Checked<Test<F>> {
        let span = left.span.to(right.span);
        let one = self.scalar(left);
        if let Base::Name(word, at) = &right.base
            && self.context.scheme.is_far_from(word)
        {
            return self.report(*at, format!("unknown field \"{word}\": a string stands in double quotes"));
        }
        let other = self.scalar(right);
        let ((left, one), (right, other)) = (one?, other?);
        self.meet(span, one, other)?;
        let ordered = |kind| matches!(kind, Kind::Int | Kind::Bytes | Kind::Json);
        let unordered = [one, other].into_iter().find(|kind| !ordered(*kind));
        match (order, unordered) {
            (Order::Equal | Order::NotEqual, _) | (_, None) => Ok(Test::Compare { left, order, right }),
            (_, Some(kind)) => {
                self.report(span, format!("{} is not less or greater than another", kind.one()))
            }
        }
    }

    fn contains(&mut self, text: &Operand<'s>, part: &Operand<'s>) -> Checked<Test<F>> {
        let text = self.string(text);
        let part = match &part.base {
            Base::Literal(Literal::Bytes(bytes)) => Part::Literal(Box::new(Finder::new(bytes).into_owned())),
            _ => Part::Term(self.string(part)?),
        };
        Ok(Test::Contains { text: text?, part })
    }

    fn matches(&mut self, text: &Operand<'s>, pattern: &Pattern, span: Span) -> Checked<Test<F>> {
        let text = self.string(text);
        match pattern::compile(pattern) {
            Ok(pattern) => Ok(Test::Matches { text: text?, pattern }),
            Err(message) => self.report(span, message),
        }
    }

    fn in_set(&mut self, value: &Operand<'s>, items: &[Item], span: Span) -> Checked<Test<F>> {
        let value = self.scalar(value);
        let (set, kind) = self.set(items, span)?;
        let (value, found) = value?;
        self.meet(span, found, kind)?;
        Ok(Test::InSet { value, set })
    }

    fn set(&mut self, items: &[Item], span: Span) -> Checked<(Set, Kind)> {
        let (mut strings, mut ints, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            match &item.kind {
                ItemKind::Bytes(bytes) => strings.push(bytes.clone()),
                ItemKind::Ints(first, last) if first <= last => ints.push((*first, *last)),
                ItemKind::Network(network) => addresses.push(*network),
                ItemKind::Ints(..) => return self.report(item.span, "the range ends before it starts"),
                ItemKind::Addresses(first, last) => match networks(*first, *last) {
                    Some(range) => addresses.extend(range),
                    None => return self.report(item.span, "the range ends before it starts"),
                },
            }
        }
        match (strings.is_empty(), ints.is_empty(), addresses.is_empty()) {
            (false, true, true) => Ok((Set::Strings(StringSet::new(strings)), Kind::Bytes)),
            (true, false, true) => Ok((Set::Ints(IntSet::new(ints)), Kind::Int)),
            (true, true, false) => Ok((Set::Ip(addresses.into_iter().collect()), Kind::Ip)),
            _ => self.report(span, "the items of a set are of one type"),
        }
    }

    fn in_named(&mut self, value: &Operand<'s>, name: &str, span: Span) -> Checked<Test<F>> {
        let value = self.scalar(value);
        let lists = self.context.lists;
        let Some(list) = lists.find(name) else {
            let hint = suggestion(name, lists.names());
            let hint = if hint.is_empty() { ": `lists` has none of this name" } else { &hint };
            return self.report(span, format!("unknown list \"{name}\"{hint}"));
        };
        let (value, kind) = value?;
        if !list.kind().meets(kind) {
            let message = format!("{} is never in a list of {}", kind.one(), list.kind());
            return self.report(span, message);
        }
        Ok(Test::InNamed { value, list: list.clone() })
    }

    fn in_array(&mut self, value: &Operand<'s>, array: &Operand<'s>) -> Checked<Test<F>> {
        let (one, span) = (self.scalar(value), array.span);
        let many = self.operand(array).and_then(|typed| self.many(typed, span));
        let ((value, one), (array, many)) = (one?, many?);
        self.meet(span, one, many)?;
        Ok(Test::InArray { value, array })
    }

    /// Both kinds can be equal, or it is an error.
    fn meet(&mut self, span: Span, one: Kind, other: Kind) -> Checked<()> {
        if one.meets(other) {
            return Ok(());
        }
        let hint = if one == Kind::Json || other == Kind::Json {
            ": JSON has none, compare to_string(…)"
        } else {
            ""
        };
        self.report(span, format!("{} never equals {}{hint}", one.one(), other.one()))
    }

    fn scalar(&mut self, operand: &Operand<'s>) -> Checked<(Term<F>, Kind)> {
        let typed = self.operand(operand)?;
        self.single(typed, operand.span)
    }

    fn string(&mut self, operand: &Operand<'s>) -> Checked<Term<F>> {
        let (term, kind) = self.scalar(operand)?;
        self.kind(term, kind, Kind::Bytes, operand.span)
    }

    /// The term if it is of the kind asked for, or may turn out to be.
    fn kind(&mut self, term: Term<F>, found: Kind, expected: Kind, span: Span) -> Checked<Term<F>> {
        if found == expected || (found == Kind::Json && expected.meets(Kind::Json)) {
            return Ok(term);
        }
        self.report(span, format!("expected {}, found {}", expected.one(), found.one()))
    }

    fn single(&mut self, typed: Typed<F>, span: Span) -> Checked<(Term<F>, Kind)> {
        match typed {
            Typed::Term(term, kind) => Ok((term, kind)),
            Typed::List(..) => {
                let message = format!(
                    "{} has many values: take one by [0], or ask all with any({}[*] …)",
                    typed.described(),
                    self.short(span)
                );
                self.report(span, message)
            }
            Typed::Map(_) => {
                let message = format!("{} has many values: take one by its key", typed.described());
                self.report(span, message)
            }
        }
    }

    fn many(&mut self, typed: Typed<F>, span: Span) -> Checked<(List<F>, Kind)> {
        match typed {
            Typed::List(list, kind) => Ok((list, kind)),
            Typed::Term(Term::Read(read), Kind::Json) => Ok((List::Json(read), Kind::Json)),
            typed => {
                let message = format!("expected an array, found {}", typed.described());
                self.report(span, message)
            }
        }
    }

    /// An operand or a whole condition, as an argument may be.
    fn typed(&mut self, node: &Node<'s>) -> Checked<Typed<F>> {
        match &node.kind {
            NodeKind::Operand(operand) => self.operand(operand),
            _ => Ok(Typed::Term(Term::Test(Box::new(self.test(node)?)), Kind::Bool)),
        }
    }

    /// A part of the source for a message.
    fn short(&self, span: Span) -> &'s str {
        let text = span.of(self.source);
        if text.len() <= 64 && !text.contains(char::is_control) { text } else { "…" }
    }
}

impl<F> Typed<F> {
    /// As it stands in a message.
    fn described(&self) -> String {
        match self {
            Self::Term(_, kind) => kind.one().to_owned(),
            Self::List(_, kind) => format!("an array of {}", kind.many()),
            Self::Map(Field { ty: Type::ArrayMap(_, kind), .. }) => {
                format!("a map of arrays of {}", kind.many())
            }
            Self::Map(Field { ty: Type::One(kind) | Type::Array(kind) | Type::Map(_, kind), .. }) => {
                format!("a map of {}", kind.many())
            }
        }
    }
}
