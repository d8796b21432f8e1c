//! Lists of values: arrays of fields, JSON arrays, and what a split makes. Each element costs fuel.

use std::borrow::Cow;
use std::ops::ControlFlow;

use memchr::memmem;
use serde_json::Value as Json;

use super::{Machine, Missing, Scalar, Values};
use crate::expr::program::{List, Split};

impl<'m, V: Values + ?Sized> Machine<'m, '_, V> {
    /// Visits the elements in their order until the visitor breaks off.
    pub(super) fn each<'t>(
        &self,
        list: &'t List<V::Field>,
        mut visit: impl FnMut(Scalar<'_>) -> ControlFlow<()>,
    ) -> Result<(), Missing<'t>> {
        let mut exhausted = false;
        let mut metered = |element: Scalar<'_>| {
            if !self.fuel.spend() {
                exhausted = true;
                return ControlFlow::Break(());
            }
            visit(element)
        };
        match list {
            List::Field { field, key, label } => {
                let seen = self.values.each(*field, key.as_deref(), &mut |value| metered(value));
                seen.ok_or_else(|| Missing::absent(label))?;
            }
            List::Json(read) => {
                let Scalar::Json(Json::Array(elements)) = self.read(read)? else {
                    return Err(Missing::other_type(&read.label));
                };
                // Whether it broke off makes no difference here.
                let _ended = elements.iter().try_for_each(|element| metered(Scalar::Json(element)));
            }
            List::Split(split) => {
                let text = self.bytes(&split.text)?;
                let _ended = pieces(&text, split).try_for_each(|piece| metered(piece.into()));
            }
        }
        if exhausted { Err(Missing::too_much(list.label())) } else { Ok(()) }
    }

    /// One of the strings that a split makes.
    pub(super) fn piece<'s, 't>(
        &self,
        split: &'t Split<V::Field>,
        index: usize,
        label: &'t str,
    ) -> Result<Scalar<'s>, Missing<'t>>
    where
        'm: 's,
        't: 's,
    {
        let piece = match self.bytes(&split.text)? {
            Cow::Borrowed(text) => pieces(text, split).nth(index).map(Cow::Borrowed),
            Cow::Owned(text) => pieces(&text, split).nth(index).map(|piece| Cow::Owned(piece.to_vec())),
        };
        piece.map(Scalar::Bytes).ok_or_else(|| Missing::absent(label))
    }
}

impl<F> List<F> {
    pub(super) fn label(&self) -> &str {
        match self {
            Self::Field { label, .. } => label,
            Self::Json(read) => &read.label,
            Self::Split(_) => "split()",
        }
    }
}

fn pieces<'v, F>(text: &'v [u8], split: &Split<F>) -> impl Iterator<Item = &'v [u8]> {
    let (separator, mut left) = (&split.separator, split.limit);
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        left = left.saturating_sub(1);
        let place = if left == 0 { None } else { memmem::find(text, separator) };
        let Some((piece, behind)) = place.and_then(|place| text.split_at_checked(place)) else {
            return Some(text);
        };
        rest = behind.get(separator.len()..);
        Some(piece)
    })
}
