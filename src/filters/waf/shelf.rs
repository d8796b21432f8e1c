//! Compiled rules, each set once: routes share them, and so does the next policy as long as no file has changed.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::files::Sources;
use super::rule_set::{self, RuleSet, Tuning};
use crate::state::Clock;
use crate::waf::Limits;

/// The rules that are in use.
#[derive(Default)]
pub struct Shelf(Mutex<Vec<(Key, Weak<RuleSet>)>>);

/// What rules are compiled from, beside the contents of files.
#[derive(PartialEq)]
struct Key {
    text: String,
    limits: Limits,
}

impl Shelf {
    /// The rules that are wanted: those on the shelf, or else new ones.
    ///
    /// # Errors
    /// Those of [`rule_set::compile`].
    pub fn find(
        &self,
        sources: &Sources,
        tuning: &Tuning,
        limits: Limits,
        clock: &Clock,
    ) -> Result<Arc<RuleSet>, Vec<String>> {
        let key = Key { text: rule_set::text(sources, tuning)?, limits };
        // Held meanwhile, so that nobody compiles the same.
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sets.retain(|(_, set)| set.strong_count() > 0);
        let found = sets.iter().rev().filter(|(other, _)| *other == key);
        if let Some(set) = found.filter_map(|(_, set)| set.upgrade()).find(|set| set.seen.is_current()) {
            return Ok(set);
        }
        let set = Arc::new(rule_set::compile(sources, tuning, limits, clock)?);
        for note in &set.notes {
            log::warn!("rules of the firewall: {note}");
        }
        sets.push((key, Arc::downgrade(&set)));
        Ok(set)
    }
}
