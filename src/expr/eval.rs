//! Evaluation: total, three-valued, bounded.
//!
//! Recursion follows the compiled tree, whose depth is bounded; work on lists is bounded by [`Fuel`].

use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::Ordering;
use std::net::IpAddr;
use std::ops::ControlFlow;

use memchr::memmem;
use serde_json::Value as Json;

use super::MAX_ELEMENTS;
use super::access::{Scalar, Values};
use super::ast::Order;
use super::json;
use super::program::{List, Part, Place, Quantifier, Read, Term, Test};
use super::truth::{Missing, Truth, Why};

mod lists;
mod terms;

/// How many more elements of lists may be looked at.
pub(super) struct Fuel(Cell<u32>);

impl Fuel {
    pub(super) const fn full() -> Self {
        Self(Cell::new(MAX_ELEMENTS))
    }

    /// Takes one; `false` if there is none left.
    fn spend(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left > 0
    }
}

/// Evaluates compiled expressions over the values of one moment.
pub(super) struct Machine<'m, 'f, V: ?Sized> {
    values: &'m V,
    /// What the innermost quantifier looks at.
    element: Option<&'m Scalar<'m>>,
    fuel: &'f Fuel,
}

impl<'m, 'f, V: Values + ?Sized> Machine<'m, 'f, V> {
    pub(super) const fn new(values: &'m V, fuel: &'f Fuel) -> Self {
        Self { values, element: None, fuel }
    }

    pub(super) fn decide<'t>(&self, test: &'t Test<V::Field>) -> Truth<'t> {
        let holds = match test {
            Test::And(tests) => return self.chain(tests, Truth::False),
            Test::Or(tests) => return self.chain(tests, Truth::True),
            Test::Xor(tests) => self.odd(tests),
            Test::Not(test) => match self.decide(test) {
                Truth::True => Ok(false),
                Truth::False => Ok(true),
                Truth::Missing(missing) => Err(missing),
            },
            Test::Each { quantifier, list, test } => return self.quantify(*quantifier, list, test),
            Test::True(term) => self.boolean(term),
            Test::Compare { left, order, right } => self.compare(left, *order, right),
            Test::Contains { text, part } => self.contains(text, part),
            Test::StartsWith { text, start } => self.both(text, start, <[u8]>::starts_with),
            Test::EndsWith { text, end } => self.both(text, end, <[u8]>::ends_with),
            Test::Matches { text, pattern } => self.look_at_bytes(text, |text| pattern.is_match(text)),
            Test::InSet { value, set } => self.look_at(value, |found| set.contains(found)),
            Test::InNamed { value, list } => self.look_at(value, |found| list.contains(found)),
            Test::InArray { value, array } => self.member(value, array),
            // Only what is absent is not there: what is too long to be looked at may be.
            Test::HasValue(read) => match self.read(read) {
                Ok(_) => Ok(true),
                Err(Missing { why: Why::Absent, .. }) => Ok(false),
                Err(missing) => Err(missing),
            },
            Test::HasArray { field, key } => {
                Ok(self.values.each(*field, key.as_deref(), &mut |_| ControlFlow::Break(())).is_some())
            }
        };
        match holds {
            Ok(true) => Truth::True,
            Ok(false) => Truth::False,
            Err(missing) => Truth::Missing(missing),
        }
    }

    /// Kleene's `and` (`decisive` is false) or `or` (it is true): one decisive part decides, else the first missing one.
    fn chain<'t>(&self, tests: &'t [Test<V::Field>], decisive: Truth<'t>) -> Truth<'t> {
        let mut all = if decisive == Truth::False { Truth::True } else { Truth::False };
        for test in tests {
            match self.decide(test) {
                truth if truth == decisive => return decisive,
                missing @ Truth::Missing(_) if !matches!(all, Truth::Missing(_)) => all = missing,
                _ => {}
            }
        }
        all
    }

    fn odd<'t>(&self, tests: &'t [Test<V::Field>]) -> Result<bool, Missing<'t>> {
        tests.iter().try_fold(false, |odd, test| match self.decide(test) {
            Truth::True => Ok(!odd),
            Truth::False => Ok(odd),
            Truth::Missing(missing) => Err(missing),
        })
    }

    fn quantify<'t>(
        &self,
        quantifier: Quantifier,
        list: &'t List<V::Field>,
        test: &'t Test<V::Field>,
    ) -> Truth<'t> {
        let (decisive, mut all) = match quantifier {
            Quantifier::Any => (Truth::True, Truth::False),
            Quantifier::All => (Truth::False, Truth::True),
        };
        let visited = self.each(list, |element| {
            let inner = Machine { values: self.values, element: Some(&element), fuel: self.fuel };
            match inner.decide(test) {
                truth if truth == decisive => {
                    all = decisive;
                    return ControlFlow::Break(());
                }
                missing @ Truth::Missing(_) if !matches!(all, Truth::Missing(_)) => all = missing,
                _ => {}
            }
            ControlFlow::Continue(())
        });
        match visited {
            Ok(()) => all,
            Err(missing) => Truth::Missing(missing),
        }
    }

    fn compare<'t>(
        &self,
        left: &'t Term<V::Field>,
        order: Order,
        right: &'t Term<V::Field>,
    ) -> Result<bool, Missing<'t>> {
        let holds = self.look_at_both(left, right, |one, other| {
            let holds = match order {
                Order::Equal => json::equal(one, other),
                Order::NotEqual => json::equal(one, other).map(|equal| !equal),
                Order::Less => json::compare(one, other).map(Ordering::is_lt),
                Order::LessOrEqual => json::compare(one, other).map(Ordering::is_le),
                Order::Greater => json::compare(one, other).map(Ordering::is_gt),
                Order::GreaterOrEqual => json::compare(one, other).map(Ordering::is_ge),
            };
            // Whichever could have been of the other's type is the one to name.
            let right_alone = !matches!(one, Scalar::Json(_)) && matches!(other, Scalar::Json(_));
            holds.ok_or(if right_alone { right } else { left })
        })?;
        holds.map_err(|unlike| Missing::other_type(unlike.label()))
    }

    fn contains<'t>(&self, text: &'t Term<V::Field>, part: &'t Part<V::Field>) -> Result<bool, Missing<'t>> {
        match part {
            Part::Literal(finder) => self.look_at_bytes(text, |text| finder.find(text).is_some()),
            Part::Term(part) => self.both(text, part, |text, part| memmem::find(text, part).is_some()),
        }
    }

    /// As `any(ARRAY[*] == VALUE)` is: an element of another type leaves the answer open, unless another one is equal.
    fn member<'t>(&self, value: &'t Term<V::Field>, array: &'t List<V::Field>) -> Result<bool, Missing<'t>> {
        let (mut found, mut unlike) = (false, false);
        let visited = self.look_at(value, |value| {
            Some(self.each(array, |element| {
                match json::equal(&element, value) {
                    Some(true) => {
                        found = true;
                        return ControlFlow::Break(());
                    }
                    Some(false) => {}
                    None => unlike = true,
                }
                ControlFlow::Continue(())
            }))
        })?;
        visited?;
        if unlike && !found { Err(Missing::other_type(array.label())) } else { Ok(found) }
    }

    fn both<'t>(
        &self,
        one: &'t Term<V::Field>,
        other: &'t Term<V::Field>,
        holds: impl FnOnce(&[u8], &[u8]) -> bool,
    ) -> Result<bool, Missing<'t>> {
        self.look_at_both(one, other, |first, second| match (as_bytes(first), as_bytes(second)) {
            (Some(first), Some(second)) => Ok(holds(first, second)),
            (None, _) => Err(Missing::other_type(one.label())),
            (_, None) => Err(Missing::other_type(other.label())),
        })?
    }

    /// Asks something of a value; `None` is that it is of another type. The value is looked at where it is put: to move
    /// it first took longer than most questions do.
    #[inline]
    fn look_at<'t, R>(
        &self,
        term: &'t Term<V::Field>,
        ask: impl FnOnce(&Scalar<'_>) -> Option<R>,
    ) -> Result<R, Missing<'t>> {
        let found;
        let value = if let Some(value) = self.at_hand(term) {
            value
        } else {
            found = self.term(term);
            found.as_ref().map_err(|missing| *missing)?
        };
        ask(value).ok_or_else(|| Missing::other_type(term.label()))
    }

    #[inline]
    fn look_at_bytes<'t, R>(
        &self,
        term: &'t Term<V::Field>,
        ask: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, Missing<'t>> {
        self.look_at(term, |value| as_bytes(value).map(ask))
    }

    /// As [`look_at`](Self::look_at) does, of two values.
    #[inline]
    fn look_at_both<'t, R>(
        &self,
        one: &'t Term<V::Field>,
        other: &'t Term<V::Field>,
        ask: impl FnOnce(&Scalar<'_>, &Scalar<'_>) -> R,
    ) -> Result<R, Missing<'t>> {
        let (first, second);
        let one = if let Some(value) = self.at_hand(one) {
            value
        } else {
            first = self.term(one);
            first.as_ref().map_err(|missing| *missing)?
        };
        let other = if let Some(value) = self.at_hand(other) {
            value
        } else {
            second = self.term(other);
            second.as_ref().map_err(|missing| *missing)?
        };
        Ok(ask(one, other))
    }

    /// A value that need not be fetched.
    #[inline]
    fn at_hand<'s>(&self, term: &'s Term<V::Field>) -> Option<&'s Scalar<'s>>
    where
        'm: 's,
    {
        match (term, self.element) {
            (Term::Literal(value), _) => Some(value),
            // JSON is read like any other, as it may have to be looked into, and may be null.
            (Term::Read(Read { place: Place::Element, .. }), Some(Scalar::Json(_))) => None,
            (Term::Read(Read { place: Place::Element, .. }), element) => element,
            _ => None,
        }
    }

    fn boolean<'t>(&self, term: &'t Term<V::Field>) -> Result<bool, Missing<'t>> {
        match plain(self.term(term)?) {
            Some(Scalar::Bool(value)) => Ok(value),
            _ => Err(Missing::other_type(term.label())),
        }
    }

    fn integer<'t>(&self, term: &'t Term<V::Field>) -> Result<i64, Missing<'t>> {
        match plain(self.term(term)?) {
            Some(Scalar::Int(number)) => Ok(number),
            _ => Err(Missing::other_type(term.label())),
        }
    }

    fn address<'t>(&self, term: &'t Term<V::Field>) -> Result<IpAddr, Missing<'t>> {
        match self.term(term)? {
            Scalar::Ip(address) => Ok(address.ip()),
            _ => Err(Missing::other_type(term.label())),
        }
    }

    fn bytes<'s, 't>(&self, term: &'t Term<V::Field>) -> Result<Cow<'s, [u8]>, Missing<'t>>
    where
        'm: 's,
        't: 's,
    {
        match plain(self.term(term)?) {
            Some(Scalar::Bytes(bytes)) => Ok(bytes),
            _ => Err(Missing::other_type(term.label())),
        }
    }
}

/// The value if it is a string.
#[inline]
fn as_bytes<'v>(value: &'v Scalar<'_>) -> Option<&'v [u8]> {
    match value {
        Scalar::Bytes(bytes) => Some(bytes),
        Scalar::Json(Json::String(text)) => Some(text.as_bytes()),
        _ => None,
    }
}

/// The value as one of the language's own kinds, if it is one.
fn plain(value: Scalar<'_>) -> Option<Scalar<'_>> {
    match value {
        Scalar::Json(value) => json::plain(value),
        value => Some(value),
    }
}
