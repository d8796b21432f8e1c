//! What every parser writes to: the sink and the arena, with the limits between. No parser reaches either another way.

use super::{Arena, Fault, Item, Kind, Limit, Limits, Sink, Text};

pub(super) struct Output<'a, S: ?Sized> {
    pub(super) arena: &'a mut Arena,
    pub(super) limits: &'a Limits,
    sink: &'a mut S,
    items: usize,
}

impl<'a, S: Sink + ?Sized> Output<'a, S> {
    /// For a parser of `input`, which must be short enough for the ranges of [`Text`].
    pub(super) fn new(
        input: &[u8],
        arena: &'a mut Arena,
        limits: &'a Limits,
        sink: &'a mut S,
    ) -> Result<Self, Limit> {
        if u32::try_from(input.len()).is_err() {
            return Err(Limit::InputBytes);
        }
        arena.side.clear();
        Ok(Self { arena, limits, sink, items: 0 })
    }

    pub(super) fn item(&mut self, kind: Kind, name: Text, value: Text) -> Result<(), Fault> {
        if name.len() > self.limits.name_bytes {
            return Err(Limit::NameBytes.into());
        }
        let whole_body = matches!(kind, Kind::FileContent | Kind::XmlText);
        if value.len() > self.limits.value_bytes && !whole_body {
            return Err(Limit::ValueBytes.into());
        }
        if self.items >= self.limits.items {
            return Err(Limit::Items.into());
        }
        self.items += 1;
        self.sink.item(Item { kind, name, value });
        Ok(())
    }
}
