//! What the bytes of a text tell, whatever their order: which rules it may match, and which pipelines change it.
//!
//! Rules and transformations ask for one of some bytes. Bytes that all of them treat alike are one class, so a text comes
//! down to a set of classes, and texts of one service to few such sets. What a set tells is worked out once.

use super::{Bits, Pipeline};
use crate::waf::transform::ByteSet;

/// Sets of classes that are remembered, a power of two.
const REMEMBERED: usize = 256;
/// The class of bytes that there are no classes left for. What a text with one of them tells is not remembered.
const OTHER: u8 = 127;

/// Which bytes tell what. Immutable and shared.
#[derive(Debug)]
pub(super) struct Screen {
    class_of: Box<[u8]>,
    /// Bytes in lower case of which a text must have one, for rules that need one of them.
    needs: Vec<(ByteSet, Bits)>,
    /// All rules.
    all: Bits,
}

/// What the bytes of a text tell.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    classes: u128,
    /// Rules that lack none of the bytes they need.
    pub(super) possible: Bits,
    /// Rules whose pipelines leave the text as it is.
    pub(super) unchanged: Bits,
    /// Pipelines that may change it.
    pub(super) changing: u128,
    /// Transformations that may, of those pipelines.
    pub(super) steps: u64,
}

/// What was worked out before, in all transactions.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    told: Vec<Told>,
}

impl Screen {
    pub(super) fn new(needs: Vec<(ByteSet, Bits)>, pipelines: &[Pipeline], all: Bits) -> Self {
        let triggers: Vec<ByteSet> = pipelines.iter().filter_map(|pipeline| pipeline.triggers).collect();
        let mut known: Vec<Vec<bool>> = Vec::new();
        let class_of = (0..=255_u8).map(|byte| {
            let needed = needs.iter().map(|(bytes, _)| bytes.contains(byte.to_ascii_lowercase()));
            let alike: Vec<bool> = needed.chain(triggers.iter().map(|bytes| bytes.contains(byte))).collect();
            let class = known.iter().position(|other| *other == alike).unwrap_or_else(|| {
                known.push(alike);
                known.len() - 1
            });
            u8::try_from(class).unwrap_or(OTHER).min(OTHER)
        });
        Self { class_of: class_of.collect(), needs, all }
    }

    /// Heap bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.class_of.len() + self.needs.len() * (size_of::<(ByteSet, Bits)>() + self.all.len() * 8)
    }

    fn classes(&self, bytes: ByteSet) -> u128 {
        bytes.iter().fold(0, |classes, byte| {
            classes | 1 << self.class_of.get(usize::from(byte)).copied().unwrap_or(OTHER)
        })
    }

    /// What a text of these bytes tells.
    pub(super) fn tell<'a>(
        &self,
        bytes: ByteSet,
        pipelines: &[Pipeline],
        remembered: &'a mut Remembered,
    ) -> &'a Told {
        let classes = self.classes(bytes);
        if remembered.told.is_empty() {
            remembered.told.resize(REMEMBERED, Told::default());
        }
        #[allow(clippy::cast_possible_truncation, reason = "a hash")]
        let hash = (classes as u64 ^ (classes >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = usize::try_from(hash >> 48).unwrap_or(0) % REMEMBERED;
        #[allow(clippy::indexing_slicing, reason = "the length was set above")]
        let told = &mut remembered.told[place];
        // No rules are possible in what was never worked out, so an empty text is found anew there.
        if told.classes != classes || told.possible.is_empty() || classes >> OTHER & 1 == 1 {
            told.classes = classes;
            self.work_out(bytes, pipelines, told);
        }
        told
    }

    fn work_out(&self, bytes: ByteSet, pipelines: &[Pipeline], told: &mut Told) {
        told.possible.clone_from(&self.all);
        let small = bytes.to_ascii_lowercase();
        for (_, rules) in self.needs.iter().filter(|(needed, _)| !needed.intersects(&small)) {
            told.possible.iter_mut().zip(rules).for_each(|(possible, rules)| *possible &= !rules);
        }
        told.unchanged = vec![0; self.all.len()].into();
        (told.changing, told.steps) = (0, 0);
        for (place, pipeline) in pipelines.iter().enumerate() {
            if pipeline.triggers.is_some_and(|triggers| !triggers.intersects(&bytes)) {
                told.unchanged.iter_mut().zip(&pipeline.rules).for_each(|(all, own)| *all |= own);
            } else {
                told.changing |= 1 << place;
                let may = pipeline.steps.iter().filter(|step| step.triggers().apply_to(&bytes));
                told.steps |= may.fold(0, |steps, step| steps | step.bit());
            }
        }
    }
}
