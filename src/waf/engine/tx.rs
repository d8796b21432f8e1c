//! `TX`, the variables of one transaction: those with names known at compile time in slots, others by name.

use std::collections::HashMap;

use super::numbers;
use super::plan::{Plan, Slot};

/// Variables with names that were not known at compile time.
const MEMBERS: usize = 4_096;
/// Bytes of one value; what is longer is cut.
const VALUE_BYTES: usize = 64 << 10;
/// Bytes of all values with such names.
const MEMBERS_BYTES: usize = 4 << 20;

/// One variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TxRef {
    Slot(Slot),
    /// By its place among those with other names.
    Member(u32),
}

#[derive(Debug, Default)]
struct Cell {
    set: bool,
    value: Vec<u8>,
}

impl Cell {
    fn set(&mut self, value: &[u8]) {
        self.set = true;
        self.value.clear();
        self.value.extend_from_slice(value.get(..VALUE_BYTES).unwrap_or(value));
    }
}

/// The variables of one transaction.
#[derive(Debug, Default)]
pub(super) struct Tx {
    cells: Vec<Cell>,
    /// Slots that are not as the plan begins with.
    changed: Vec<Slot>,
    members: Vec<(Vec<u8>, Cell)>,
    /// By name, those of `members` in use.
    places: HashMap<Vec<u8>, u32>,
    /// How many of `members` are in use; the rest is kept for its memory.
    used: usize,
    bytes: usize,
}

impl Tx {
    /// The values that the plan begins with, and nothing else.
    pub(super) fn reset(&mut self, plan: &Plan) {
        if self.cells.len() != plan.initial.len() {
            self.cells.resize_with(plan.initial.len(), Cell::default);
            self.changed = (0..).take(self.cells.len()).collect();
        }
        for slot in self.changed.drain(..) {
            let Some(cell) = self.cells.get_mut(slot as usize) else { continue };
            match plan.initial.get(slot as usize) {
                Some(Some(initial)) => cell.set(initial),
                _ => cell.set = false,
            }
        }
        self.used = 0;
        self.bytes = 0;
        self.places.clear();
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&[u8]> {
        self.cells.get(slot as usize).filter(|cell| cell.set).map(|cell| cell.value.as_slice())
    }

    pub(super) fn value(&self, at: TxRef) -> Option<&[u8]> {
        match at {
            TxRef::Slot(slot) => self.get(slot),
            TxRef::Member(at) => {
                let (_, cell) = self.members.get(at as usize).filter(|_| (at as usize) < self.used)?;
                cell.set.then_some(cell.value.as_slice())
            }
        }
    }

    pub(super) fn name<'a>(&'a self, plan: &'a Plan, at: TxRef) -> &'a [u8] {
        match at {
            TxRef::Slot(slot) => plan.slots.get(slot as usize).map_or(b"", |name| name),
            TxRef::Member(at) => self.members.get(at as usize).map_or(b"", |(name, _)| name),
        }
    }

    /// The variable of this name, which is in lower case, if it is set.
    pub(super) fn find(&self, plan: &Plan, name: &[u8]) -> Option<TxRef> {
        if let Some(slot) = plan.places.get(name) {
            return self.get(*slot).map(|_| TxRef::Slot(*slot));
        }
        self.member(name).map(TxRef::Member)
    }

    fn member(&self, name: &[u8]) -> Option<u32> {
        let at = *self.places.get(name)?;
        self.members.get(at as usize).filter(|(_, cell)| cell.set).map(|_| at)
    }

    /// Those with names known at compile time that are set.
    pub(super) fn slots(&self) -> impl Iterator<Item = TxRef> {
        let set = self.cells.iter().zip(0..).filter(|(cell, _)| cell.set);
        set.map(|(_, slot)| TxRef::Slot(slot))
    }

    /// The others that are set.
    pub(super) fn members(&self) -> impl Iterator<Item = TxRef> {
        let set = self.members.iter().take(self.used).zip(0..).filter(|((_, cell), _)| cell.set);
        set.map(|(_, at)| TxRef::Member(at))
    }

    pub(super) fn set(&mut self, slot: Slot, value: &[u8]) {
        if let Some(cell) = self.changing(slot) {
            cell.set(value);
        }
    }

    pub(super) fn set_number(&mut self, slot: Slot, number: i64) {
        if let Some(cell) = self.changing(slot) {
            cell.set(b"");
            numbers::push(&mut cell.value, number);
        }
    }

    fn changing(&mut self, slot: Slot) -> Option<&mut Cell> {
        if !self.changed.contains(&slot) {
            self.changed.push(slot);
        }
        self.cells.get_mut(slot as usize)
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        if let Some(cell) = self.changing(slot) {
            cell.set = false;
        }
    }

    pub(super) fn remove_named(&mut self, plan: &Plan, name: &[u8]) {
        match self.find(plan, name) {
            Some(TxRef::Slot(slot)) => self.remove(slot),
            Some(TxRef::Member(at)) => {
                if let Some((_, cell)) = self.members.get_mut(at as usize) {
                    cell.set = false;
                }
            }
            None => {}
        }
    }

    /// Sets the variable of this name, which is in lower case. Whether there was room for it.
    pub(super) fn set_named(&mut self, plan: &Plan, name: &[u8], value: &[u8]) -> bool {
        if let Some(slot) = plan.places.get(name) {
            self.set(*slot, value);
            return true;
        }
        let value = value.get(..VALUE_BYTES).unwrap_or(value);
        if self.bytes + name.len() + value.len() > MEMBERS_BYTES {
            return false;
        }
        let at = match self.places.get(name) {
            Some(at) => *at as usize,
            None if self.used >= MEMBERS => return false,
            None => {
                self.places.insert(name.to_vec(), u32::try_from(self.used).unwrap_or(u32::MAX));
                self.used += 1;
                self.used - 1
            }
        };
        if self.members.len() <= at {
            self.members.resize_with(at + 1, Default::default);
        }
        if let Some((known, cell)) = self.members.get_mut(at) {
            known.clear();
            known.extend_from_slice(name);
            cell.set(value);
            self.bytes += name.len() + value.len();
        }
        true
    }
}
