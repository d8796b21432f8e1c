//! Single values: what is read from fields, and what functions make of it.

use std::borrow::Cow;
use std::ops::ControlFlow;

use serde_json::Value as Json;

use super::{Machine, Missing, Scalar, Values};
use crate::expr::MAX_TEXT;
use crate::expr::program::{Call, List, Place, Read, Step, Term};
use crate::expr::text;
use crate::http::query;

impl<'m, V: Values + ?Sized> Machine<'m, '_, V> {
    #[inline]
    pub(in crate::expr) fn term<'s, 't>(&self, term: &'t Term<V::Field>) -> Result<Scalar<'s>, Missing<'t>>
    where
        'm: 's,
        't: 's,
    {
        match term {
            Term::Literal(value) => Ok(value.borrowed()),
            Term::Read(read) => self.read(read),
            Term::Test(test) => match self.decide(test) {
                super::Truth::True => Ok(Scalar::Bool(true)),
                super::Truth::False => Ok(Scalar::Bool(false)),
                super::Truth::Missing(missing) => Err(missing),
            },
            Term::Call(call) => self.call(call),
        }
    }

    /// The value as `to_string()` writes it.
    pub(in crate::expr) fn text<'s, 't>(&self, term: &'t Term<V::Field>) -> Result<Cow<'s, [u8]>, Missing<'t>>
    where
        'm: 's,
        't: 's,
    {
        self.term(term)?.into_text().ok_or_else(|| Missing::other_type(term.label()))
    }

    #[inline]
    pub(super) fn read<'s, 't>(&self, read: &'t Read<V::Field>) -> Result<Scalar<'s>, Missing<'t>>
    where
        'm: 's,
        't: 's,
    {
        let found = match &read.place {
            Place::Field(field) => self.values.scalar(*field),
            Place::Entry(field, key) => self.values.entry(*field, key),
            Place::Element => self.element.map(Scalar::borrowed),
            Place::Item(field, key, index) => self.item(*field, key.as_deref(), *index),
            Place::Piece(split, index) => return self.piece(split, *index, &read.label),
        };
        match found {
            Some(Scalar::Json(value)) => match inside(value, &read.steps) {
                None | Some(Json::Null) => Err(Missing::absent(&read.label)),
                Some(value) => Ok(Scalar::Json(value)),
            },
            Some(value) => Ok(value),
            None => Err(Missing::absent(&read.label)),
        }
    }

    fn item(&self, field: V::Field, key: Option<&str>, index: usize) -> Option<Scalar<'m>> {
        let (mut place, mut found) = (0, None);
        self.values.each(field, key, &mut |value| {
            if place == index {
                found = Some(value);
                return ControlFlow::Break(());
            }
            place += 1;
            ControlFlow::Continue(())
        })?;
        found
    }

    fn call<'s, 't>(&self, call: &'t Call<V::Field>) -> Result<Scalar<'s>, Missing<'t>>
    where
        'm: 's,
        't: 's,
    {
        let bytes = match call {
            Call::Lower(term) => text::lower(self.bytes(term)?),
            Call::Upper(term) => text::upper(self.bytes(term)?),
            Call::UrlDecode(term) => query::decoded(self.bytes(term)?),
            Call::ToString(term) => self.text(term)?,
            Call::Concat(terms) => self.concat(terms)?,
            Call::Join(list, separator) => self.join(list, separator)?,
            Call::Substring { text, start, end } => {
                let start = self.integer(start)?;
                let end = end.as_ref().map(|end| self.integer(end)).transpose()?;
                text::substring(self.bytes(text)?, start, end)
            }
            Call::RemoveQueryArgs { query, names } => text::without_args(self.bytes(query)?, names),
            Call::Length(term) => return self.length(term),
            Call::Count(list) => {
                let mut count = 0;
                self.each(list, |_| {
                    count += 1;
                    ControlFlow::Continue(())
                })?;
                return Ok(Scalar::Int(count));
            }
            Call::Cidr { address, v4_bits, v6_bits } => {
                return Ok(Scalar::from(text::network(self.address(address)?, *v4_bits, *v6_bits)));
            }
        };
        Ok(Scalar::Bytes(bytes))
    }

    fn concat<'t>(&self, terms: &'t [Term<V::Field>]) -> Result<Cow<'static, [u8]>, Missing<'t>> {
        let mut all = Vec::new();
        for term in terms {
            all.extend_from_slice(&self.text(term)?);
            if all.len() > MAX_TEXT {
                return Err(Missing::too_much("concat()"));
            }
        }
        Ok(Cow::Owned(all))
    }

    fn join<'t>(
        &self,
        list: &'t List<V::Field>,
        separator: &[u8],
    ) -> Result<Cow<'static, [u8]>, Missing<'t>> {
        let (mut all, mut first, mut failed) = (Vec::new(), true, None);
        self.each(list, |element| {
            if !std::mem::take(&mut first) {
                all.extend_from_slice(separator);
            }
            match element.into_text() {
                Some(text) => all.extend_from_slice(&text),
                None => failed = Some(Missing::other_type(list.label())),
            }
            if all.len() > MAX_TEXT {
                failed = Some(Missing::too_much("join()"));
            }
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        failed.map_or(Ok(Cow::Owned(all)), Err)
    }

    fn length<'s, 't>(&self, term: &'t Term<V::Field>) -> Result<Scalar<'s>, Missing<'t>>
    where
        'm: 's,
        't: 's,
    {
        let length = match self.term(term)? {
            Scalar::Bytes(bytes) => bytes.len(),
            Scalar::Json(Json::String(text)) => text.len(),
            Scalar::Json(Json::Array(elements)) => elements.len(),
            _ => return Err(Missing::other_type(term.label())),
        };
        Ok(Scalar::Int(i64::try_from(length).unwrap_or(i64::MAX)))
    }
}

/// What the steps lead to. A step that does not fit the value leads nowhere, as one to an absent key does.
fn inside<'v>(value: &'v Json, steps: &[Step]) -> Option<&'v Json> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.as_object()?.get(&**key),
        Step::Index(index) => value.as_array()?.get(*index),
    })
}
