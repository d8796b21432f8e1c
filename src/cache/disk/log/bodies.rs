//! Files of bodies, each kept as long as there is a record that means it.

use std::collections::HashMap;

use super::Place;

/// Files of bodies, by whose records they are.
#[derive(Default)]
pub struct Bodies {
    /// Bytes of a file, and its record.
    files: HashMap<u64, (u64, Option<(u32, u32)>)>,
    by_place: HashMap<(u32, u32), u64>,
}

impl Bodies {
    /// A file that is there, so many bytes long; no record means it yet, unless it is known already.
    pub fn add(&mut self, file: u64, bytes: u64) {
        self.files.entry(file).or_insert((bytes, None));
    }

    pub fn bytes(&self, file: u64) -> Option<u64> {
        self.files.get(&file).map(|(bytes, _)| *bytes)
    }

    /// A file belongs to the record at this place from now on.
    pub fn assign(&mut self, file: u64, place: &Place) {
        let place = (place.segment, place.offset);
        if let Some((_, owner)) = self.files.get_mut(&file) {
            *owner = Some(place);
            self.by_place.insert(place, file);
        }
    }

    /// The record at this place is gone: the file that goes with it, and its bytes.
    pub fn leave(&mut self, place: &Place) -> Option<(u64, u64)> {
        let place = (place.segment, place.offset);
        let file = self.by_place.remove(&place)?;
        let (bytes, owner) = self.files.get(&file)?;
        // Its metadata may have been written anew meanwhile, and has the body now.
        if *owner != Some(place) {
            return None;
        }
        let bytes = *bytes;
        self.files.remove(&file);
        Some((file, bytes))
    }

    /// The file of the record at this place, and its bytes.
    pub fn of(&self, place: &Place) -> Option<(u64, u64)> {
        let file = *self.by_place.get(&(place.segment, place.offset))?;
        Some((file, self.bytes(file)?))
    }

    /// Forgets a file that no record means; its bytes.
    pub fn disown(&mut self, file: u64) -> Option<u64> {
        let (bytes, _) = self.files.get(&file).filter(|(_, owner)| owner.is_none())?;
        let bytes = *bytes;
        self.files.remove(&file);
        Some(bytes)
    }

    /// Files that no record means.
    pub fn orphans(&self) -> Vec<u64> {
        self.files.iter().filter(|(_, (_, owner))| owner.is_none()).map(|(file, _)| *file).collect()
    }

    /// All files and their bytes, which are forgotten.
    pub fn take(&mut self) -> impl Iterator<Item = (u64, u64)> {
        std::mem::take(self).files.into_iter().map(|(file, (bytes, _))| (file, bytes))
    }
}
