//! What the bytes of a text tell, whatever their order: which rules it may match, and which pipelines change it.
//!
//! Texts of one service come down to few sets of classes. What a set tells is worked out once.

use super::classes::ClassSet;
use super::{Bits, Pipeline};

/// Sets of classes that are remembered, a power of two. The names in one long list of objects differ in their digits, and
/// come to a thousand.
const REMEMBERED: usize = 2_048;

/// Which bytes tell what. Immutable and shared.
#[derive(Debug)]
pub(super) struct Screen {
    /// Classes of which a text must have one, for rules that need one of them.
    pub(super) needs: Vec<(ClassSet, Bits)>,
    /// All rules.
    pub(super) all: Bits,
}

/// What the bytes of a text tell.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    classes: ClassSet,
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
    /// What a text of these classes tells.
    pub(super) fn tell<'a>(
        &self,
        classes: ClassSet,
        pipelines: &[Pipeline],
        remembered: &'a mut Remembered,
    ) -> &'a Told {
        if remembered.told.is_empty() {
            remembered.told.resize(REMEMBERED, Told::default());
        }
        #[allow(clippy::cast_possible_truncation, reason = "a hash")]
        let hash =
            (classes as u64 ^ ((classes >> 64) as u64).rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = usize::try_from(hash >> 48).unwrap_or(0) % REMEMBERED;
        #[allow(clippy::indexing_slicing, reason = "the length was set above")]
        let told = &mut remembered.told[place];
        // Each text has a class, so what was never worked out is of none.
        if told.classes != classes {
            told.classes = classes;
            self.work_out(pipelines, told);
        }
        told
    }

    fn work_out(&self, pipelines: &[Pipeline], told: &mut Told) {
        told.possible.clone_from(&self.all);
        for (_, rules) in self.needs.iter().filter(|(needed, _)| needed & told.classes == 0) {
            told.possible.iter_mut().zip(rules).for_each(|(possible, rules)| *possible &= !rules);
        }
        told.unchanged.clone_from(&self.all);
        told.unchanged.fill(0);
        (told.changing, told.steps) = (0, 0);
        for (place, pipeline) in pipelines.iter().enumerate() {
            let may = pipeline.steps.iter().filter(|step| step.changes & told.classes != 0);
            let steps = may.fold(0, |steps, step| steps | step.by.bit());
            if steps == 0 {
                told.unchanged.iter_mut().zip(&pipeline.rules).for_each(|(all, own)| *all |= own);
            } else {
                told.changing |= 1 << place;
                told.steps |= steps;
            }
        }
    }
}
