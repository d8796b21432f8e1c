//! The texts that transformations make of one value, each made once.

use super::Step;
use super::classes::{ClassSet, Classes};
use super::screen::Remembered;
use super::stamps::Stamps;
use crate::waf::meter::{Meter, byte_ns};
use crate::waf::transform::Transformation;

/// Texts of one value; a pipeline past this ends where it is, and its rules are tested as the rules run.
const TEXTS: usize = 200;
/// Memory kept of each between values.
const KEPT_BYTES: usize = 256 << 10;

/// There is no room for another text, or no time.
pub(super) struct Full;

/// How far the candidates of a text are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Known {
    #[default]
    Nothing,
    /// As far as its length and its bytes tell.
    Screened,
    /// With literals.
    Scanned,
}

/// One text, by its place. 0 is the value itself.
pub(super) type TextId = u8;

#[derive(Debug, Clone, Copy, Default)]
struct About {
    classes: ClassSet,
    /// The text that has the same letters in other cases, and so the same candidates.
    alike: TextId,
    /// How far its candidates are known.
    known: Known,
    /// Groups of which it is known whether any matches, and those of which one does.
    groups: (u64, u64),
}

/// The texts of one value.
#[derive(Debug, Default)]
pub(super) struct Texts {
    buffers: Vec<Vec<u8>>,
    about: Vec<About>,
    /// What was made of what.
    made: Vec<(TextId, Transformation, TextId)>,
    /// Rules that are to look at each text, one set after the other, and how long a set is.
    rules: Vec<u64>,
    words: usize,
    /// Candidates of each text, one set of rules after the other.
    candidates: Vec<u64>,
    /// The literals of the text that was scanned last.
    pub(super) stamps: Stamps,
    /// What sets of bytes tell.
    pub(super) remembered: Remembered,
    /// What is known of a text that is not there.
    nothing: Known,
    /// Whether any buffer has grown beyond what is kept.
    is_large: bool,
}

impl Texts {
    /// Gives back what large values took.
    pub(super) fn clear(&mut self) {
        if !std::mem::take(&mut self.is_large) {
            return;
        }
        for buffer in &mut self.buffers {
            buffer.clear();
            buffer.shrink_to(KEPT_BYTES);
        }
    }

    /// Begins with another value.
    pub(super) fn begin(&mut self, value: &[u8], classes: &Classes) {
        self.about.clear();
        self.made.clear();
        self.candidates.clear();
        self.rules.clear();
        self.about.push(About { classes: classes.of(value), ..About::default() });
    }

    pub(super) fn text<'a>(&'a self, value: &'a [u8], id: TextId) -> &'a [u8] {
        match usize::from(id).checked_sub(1) {
            None => value,
            Some(at) => self.buffers.get(at).map_or(&[], Vec::as_slice),
        }
    }

    pub(super) fn classes(&self, id: TextId) -> ClassSet {
        self.about.get(usize::from(id)).map_or(0, |about| about.classes)
    }

    /// What the transformation makes of a text.
    ///
    /// # Errors
    /// If there are too many texts, or nobody pays for one more.
    pub(super) fn make(
        &mut self,
        value: &[u8],
        from: TextId,
        step: Step,
        (classes, meter): (&Classes, &mut Meter),
    ) -> Result<TextId, Full> {
        if step.changes & self.classes(from) == 0 {
            return Ok(from);
        }
        let transformation = step.by;
        let known = self.made.iter().find(|(known, by, _)| *known == from && *by == transformation);
        if let Some((_, _, to)) = known {
            return Ok(*to);
        }
        let to = self.about.len();
        let id = TextId::try_from(to).map_err(|_| Full)?;
        if to >= TEXTS || !meter.spend(self.text(value, from).len() * byte_ns::TRANSFORM) {
            return Err(Full);
        }
        if self.buffers.len() < to {
            self.buffers.resize_with(to, Vec::new);
        }
        let mut out = self.buffers.get_mut(to - 1).map(std::mem::take).ok_or(Full)?;
        out.clear();
        let changed = transformation.apply(self.text(value, from), &mut out);
        self.is_large |= out.capacity() > KEPT_BYTES;
        let id = if changed { id } else { from };
        if changed {
            let same_letters =
                matches!(transformation, Transformation::Lowercase | Transformation::Uppercase);
            let alike = if same_letters { self.alike(from) } else { id };
            self.about.push(About { classes: classes.of(&out), alike, ..About::default() });
        }
        if let Some(buffer) = self.buffers.get_mut(to - 1) {
            *buffer = out;
        }
        self.made.push((from, transformation, id));
        Ok(id)
    }

    /// Notes that these rules are to look at the text.
    pub(super) fn look_for(&mut self, id: TextId, rules: &[u64]) {
        self.words = rules.len();
        let start = usize::from(id) * self.words;
        if self.rules.len() < start + self.words {
            self.rules.resize(start + self.words, 0);
        }
        if let Some(known) = self.rules.get_mut(start..start + self.words) {
            known.iter_mut().zip(rules).for_each(|(known, also)| *known |= also);
        }
    }

    /// All texts.
    pub(super) fn all(&self) -> std::ops::Range<TextId> {
        0..TextId::try_from(self.about.len()).unwrap_or(TextId::MAX)
    }

    /// Copies the rules that are to look at a text. Whether there are any.
    pub(super) fn rules(&self, id: TextId, out: &mut [u64]) -> bool {
        let start = usize::from(id) * self.words;
        let Some(rules) = self.rules.get(start..start + self.words) else { return false };
        out.copy_from_slice(rules);
        rules.iter().any(|word| *word != 0)
    }

    /// Whether any pattern of the group matches the text, which is asked once.
    pub(super) fn group(
        &mut self,
        value: &[u8],
        id: TextId,
        group: usize,
        ask: impl FnOnce(&[u8]) -> bool,
    ) -> bool {
        let bit = 1_u64 << (group % 64);
        let (known, any) = self.about.get(usize::from(id)).map_or((0, 0), |about| about.groups);
        if known & bit != 0 {
            return any & bit != 0;
        }
        let matches = ask(self.text(value, id));
        if let Some(about) = self.about.get_mut(usize::from(id)) {
            about.groups = (known | bit, if matches { any | bit } else { any });
        }
        matches
    }

    /// The text whose candidates are this one's.
    pub(super) fn alike(&self, id: TextId) -> TextId {
        self.about.get(usize::from(id)).map_or(id, |about| about.alike)
    }

    /// The candidates of a text, and how far they are known.
    pub(super) fn candidates(&mut self, id: TextId, words: usize) -> (&mut Known, &mut [u64]) {
        let start = usize::from(id) * words;
        if self.candidates.len() < start + words {
            self.candidates.resize(start + words, 0);
        }
        let Self { candidates, about, nothing, .. } = self;
        let known = about.get_mut(usize::from(id)).map_or(nothing, |about| &mut about.known);
        (known, candidates.get_mut(start..start + words).unwrap_or_default())
    }
}
