//! What every parser writes to: the sink and the arena, with the limits between. No parser reaches either another
//! way.

use super::{Arena, Fault, Item, Kind, Limit, Limits, Sink, Text};
use crate::values::digits;

pub(super) struct Output<'a, S: ?Sized> {
    pub(super) input: &'a [u8],
    pub(super) arena: &'a mut Arena,
    pub(super) limits: &'a Limits,
    sink: &'a mut S,
    items: usize,
}

impl<'a, S: Sink + ?Sized> Output<'a, S> {
    /// For a parser of `input`, which must be short enough for the ranges of [`Text`].
    pub(super) fn new(
        input: &'a [u8],
        arena: &'a mut Arena,
        limits: &'a Limits,
        sink: &'a mut S,
    ) -> Result<Self, Fault> {
        if u32::try_from(input.len()).is_err() {
            return Err(Limit::InputBytes.into());
        }
        arena.reset();
        Ok(Self { input, arena, limits, sink, items: 0 })
    }

    /// The bytes of something found so far.
    pub(super) fn text(&self, text: Text) -> &[u8] {
        self.arena.text(self.input, text)
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

    /// Copies the side buffer into the arena: a name or a value that was put together there.
    pub(super) fn keep_side(&mut self) -> Result<Text, Fault> {
        let start = self.arena.bytes.len();
        self.arena.bytes.extend_from_slice(&self.arena.side);
        self.since(start)
    }

    /// A number in digits.
    pub(super) fn decimal(&mut self, number: usize) -> Result<Text, Fault> {
        let start = self.arena.bytes.len();
        digits::push(&mut self.arena.bytes, number as u64);
        self.since(start)
    }

    /// Everything written to the arena since it held `start` bytes.
    ///
    /// Checked after writing, which is at most the input's length once more: nothing gets longer by being decoded,
    /// and names that are put together are cut at `name_bytes` before they are copied.
    pub(super) fn since(&self, start: usize) -> Result<Text, Fault> {
        let end = self.arena.bytes.len();
        if end > self.limits.arena_bytes {
            return Err(Limit::ArenaBytes.into());
        }
        match (u32::try_from(start), u32::try_from(end)) {
            (Ok(start), Ok(end)) => Ok(Text::Arena(start, end)),
            _ => Err(Limit::ArenaBytes.into()),
        }
    }
}

/// A range of the input, whose length [`Output::new`] has checked.
pub(super) fn span(start: usize, end: usize) -> Text {
    let narrow = |at| u32::try_from(at).unwrap_or(u32::MAX);
    Text::Input(narrow(start), narrow(end))
}

pub(super) const fn malformed(what: &'static str, at: usize) -> Fault {
    Fault::Malformed { what, at }
}

/// The value of a hexadecimal digit.
pub(super) const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10),
    }
}
