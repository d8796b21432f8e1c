//! Bytes that all rules and transformations treat alike are one class, so what bytes a text has comes down to a word of
//! bits, and whether it has one of some bytes to one instruction.

use std::collections::BTreeSet;

use crate::waf::transform::{ByteSet, Transformation, Triggers};

/// Classes of bytes, a bit each.
pub(super) type ClassSet = u128;

/// In each text, the empty one included: what always changes a text asks for it.
const ANY: ClassSet = 1 << 126;
/// Bytes for which there are no classes left. They count as any byte that is asked for.
const OTHER: ClassSet = 1 << 127;
/// Classes that there are bits for.
const CLASSES: usize = 126;

/// From so many bytes on a text is long.
const LONG_BYTES: usize = 512;

/// Which byte is of which class. Immutable and shared.
#[derive(Debug)]
pub(super) struct Classes {
    of_byte: Box<[ClassSet]>,
}

impl Classes {
    /// Tells apart what any of the sets does: those in `small` of bytes in lower case, those of `steps` of bytes as they are.
    pub(super) fn new<'a>(
        small: impl Iterator<Item = &'a ByteSet>,
        steps: &BTreeSet<Transformation>,
    ) -> Self {
        let small: Vec<&ByteSet> = small.collect();
        let triggers: Vec<ByteSet> = steps.iter().filter_map(|step| triggers(*step)).collect();
        let mut known: Vec<Vec<bool>> = Vec::new();
        let class_of = |byte: u8| {
            let folded = byte.to_ascii_lowercase();
            let alike = small.iter().map(|bytes| bytes.contains(folded));
            let alike: Vec<bool> = alike.chain(triggers.iter().map(|bytes| bytes.contains(byte))).collect();
            let class = known.iter().position(|other| *other == alike).unwrap_or_else(|| {
                known.push(alike);
                known.len() - 1
            });
            if class < CLASSES { 1 << class } else { OTHER }
        };
        Self { of_byte: (0..=255).map(class_of).collect() }
    }

    /// The classes of a text's bytes. Which bytes a long one has is noted in a table first, which is written faster than
    /// sets are joined.
    pub(super) fn of(&self, text: &[u8]) -> ClassSet {
        let of = |byte: u8| self.of_byte.get(usize::from(byte)).copied().unwrap_or(OTHER);
        if text.len() < LONG_BYTES {
            return text.iter().fold(ANY, |set, byte| set | of(*byte));
        }
        let mut seen = [false; 256];
        for byte in text {
            if let Some(seen) = seen.get_mut(usize::from(*byte)) {
                *seen = true;
            }
        }
        (0..=255).zip(seen).filter(|(_, seen)| *seen).fold(ANY, |set, (byte, _)| set | of(byte))
    }

    /// The classes of these bytes, which are in lower case, and of the capitals.
    pub(super) fn small(&self, bytes: ByteSet) -> ClassSet {
        self.those(|byte| bytes.contains(byte.to_ascii_lowercase()))
    }

    /// The classes that a text must have one of to be changed.
    pub(super) fn changed_by(&self, step: Transformation) -> ClassSet {
        triggers(step).map_or(ANY, |bytes| self.those(|byte| bytes.contains(byte)))
    }

    fn those(&self, is: impl Fn(u8) -> bool) -> ClassSet {
        let bytes = (0..=255_u8).zip(&self.of_byte).filter(|(byte, _)| is(*byte));
        bytes.fold(OTHER, |set, (_, class)| set | class)
    }
}

/// The bytes without which a step changes nothing, if there are such.
fn triggers(step: Transformation) -> Option<ByteSet> {
    match step.triggers() {
        Triggers::Any(bytes) => Some(bytes),
        Triggers::Always => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_apart_what_is_asked_for_and_nothing_else() {
        let sets = [ByteSet::of(b"a'"), ByteSet::of(b"'(")];
        let classes = Classes::new(sets.iter(), &[Transformation::Lowercase, Transformation::Length].into());
        let has = |text: &[u8], set| classes.of(text) & set != 0;
        let (first, second) = (classes.small(sets[0]), classes.small(sets[1]));
        for (text, in_first, in_second) in
            [(&b"xyz"[..], false, false), (b"xA", true, false), (b"x(", false, true), (b"'", true, true)]
        {
            assert_eq!((has(text, first), has(text, second)), (in_first, in_second), "{text:?}");
        }
        assert_eq!(classes.of(b"xyz"), classes.of(b"0-."));
        let capitals = classes.changed_by(Transformation::Lowercase);
        assert!(has(b"xY", capitals) && !has(b"xy", capitals));
        assert!(has(b"", classes.changed_by(Transformation::Length)));
    }

    #[test]
    fn bytes_without_a_class_count_as_all() {
        let each: Vec<ByteSet> = (0..=255).map(|byte| ByteSet::of(&[byte])).collect();
        let classes = Classes::new(each.iter(), &BTreeSet::new());
        let set = classes.small(ByteSet::of(b"!"));
        assert!(classes.of(b"!") & set != 0 && classes.of(b"\"") & set == 0);
        assert!(classes.of(b"\xff") & set != 0);
    }
}
