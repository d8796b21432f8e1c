//! The texts that transformations make of one value, each made once.

use crate::waf::transform::{ByteSet, Transformation};

/// Texts of one value; a pipeline past this ends where it is, and its rules are tested as the rules run.
const TEXTS: usize = 200;
/// Memory kept of each between values.
const KEPT_BYTES: usize = 256 << 10;

/// One text, by its place. 0 is the value itself.
pub(super) type TextId = u8;

#[derive(Debug, Clone, Copy, Default)]
struct About {
    bytes: ByteSet,
    /// The text that has the same letters in other cases, and so the same candidates.
    alike: TextId,
    /// Where its candidates are, if they are known.
    scanned: bool,
}

/// The texts of one value.
#[derive(Debug, Default)]
pub(super) struct Texts {
    buffers: Vec<Vec<u8>>,
    about: Vec<About>,
    /// What was made of what.
    made: Vec<(TextId, Transformation, TextId)>,
    /// Candidates of each text, one set of rules after the other.
    candidates: Vec<u64>,
    /// By literal: the last text in which it was found, counted over all values.
    pub(super) stamps: Vec<u32>,
    pub(super) stamp: u32,
}

impl Texts {
    /// Gives back what large values took.
    pub(super) fn clear(&mut self) {
        for buffer in &mut self.buffers {
            buffer.clear();
            buffer.shrink_to(KEPT_BYTES);
        }
    }

    /// Begins with another value.
    pub(super) fn begin(&mut self, value: &[u8]) {
        self.about.clear();
        self.made.clear();
        self.candidates.clear();
        self.about.push(About { bytes: ByteSet::of(value), alike: 0, scanned: false });
    }

    pub(super) fn text<'a>(&'a self, value: &'a [u8], id: TextId) -> &'a [u8] {
        match usize::from(id).checked_sub(1) {
            None => value,
            Some(at) => self.buffers.get(at).map_or(&[], Vec::as_slice),
        }
    }

    pub(super) fn bytes(&self, id: TextId) -> ByteSet {
        self.about.get(usize::from(id)).map_or(ByteSet::EMPTY, |about| about.bytes)
    }

    /// What the transformation makes of a text.
    pub(super) fn make(&mut self, value: &[u8], from: TextId, transformation: Transformation) -> Option<TextId> {
        if !transformation.triggers().apply_to(&self.bytes(from)) {
            return Some(from);
        }
        let known = self.made.iter().find(|(known, by, _)| *known == from && *by == transformation);
        if let Some((_, _, to)) = known {
            return Some(*to);
        }
        let to = self.about.len();
        if to >= TEXTS {
            return None;
        }
        if self.buffers.len() < to {
            self.buffers.resize_with(to, Vec::new);
        }
        let mut out = self.buffers.get_mut(to - 1).map(std::mem::take)?;
        out.clear();
        let changed = transformation.apply(self.text(value, from), &mut out);
        let id = if changed { TextId::try_from(to).ok()? } else { from };
        if changed {
            let same_letters = matches!(transformation, Transformation::Lowercase | Transformation::Uppercase);
            let alike = if same_letters { self.alike(from) } else { id };
            self.about.push(About { bytes: ByteSet::of(&out), alike, scanned: false });
        }
        if let Some(buffer) = self.buffers.get_mut(to - 1) {
            *buffer = out;
        }
        self.made.push((from, transformation, id));
        Some(id)
    }

    /// The text whose candidates are this one's.
    pub(super) fn alike(&self, id: TextId) -> TextId {
        self.about.get(usize::from(id)).map_or(id, |about| about.alike)
    }

    /// The candidates of a text, if they are known, else room for them.
    pub(super) fn candidates(&mut self, id: TextId, words: usize) -> (bool, &mut [u64]) {
        let start = usize::from(id) * words;
        if self.candidates.len() < start + words {
            self.candidates.resize(start + words, 0);
        }
        let known = self.about.get_mut(usize::from(id)).is_some_and(|about| std::mem::replace(&mut about.scanned, true));
        (known, self.candidates.get_mut(start..start + words).unwrap_or_default())
    }
}
