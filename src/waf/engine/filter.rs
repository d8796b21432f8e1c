//! The prefilter.

use super::plan::Plan;
use super::state::State;
use super::values::ValueRef;

#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<(u16, ValueRef)>,
}

impl Findings {
    pub(super) fn clear(&mut self) {
        self.list.clear();
    }
    pub(super) fn has(&self, bit: u16) -> bool {
        self.list.iter().any(|(found, _)| *found == bit)
    }
    pub(super) fn of(&self, bit: u16) -> impl Iterator<Item = &(u16, ValueRef)> {
        self.list.iter().filter(move |(found, _)| *found == bit)
    }
}

#[derive(Debug)]
pub(in crate::waf) struct Filter {}

impl Filter {
    pub(super) fn look(&self, _plan: &Plan, _state: &mut State) {}
    pub(super) fn memory_bytes(&self) -> usize {
        0
    }
}

impl Filter {
    pub(in crate::waf) fn new(_plan: &mut Plan, _required: &crate::waf::compile::RequiredOf) -> Result<Self, String> {
        Ok(Self {})
    }
    pub(in crate::waf) fn literals(&self) -> usize {
        0
    }
}
