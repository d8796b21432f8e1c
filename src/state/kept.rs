//! What filters keep beyond a reload, each under a name of its own, for as long as a policy has use for it.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Things by their names.
#[derive(Default)]
pub struct Kept(Mutex<HashMap<String, Weak<dyn Any + Send + Sync>>>);

impl Kept {
    /// What stands under `name`, or else what `make` makes, which stands there from now on until nobody holds it any
    /// more. A policy in force holds its own, so the next one finds it. Under one name there is one type: of another,
    /// what is found is replaced.
    pub fn find_or<T: Any + Send + Sync>(&self, name: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(name).and_then(Weak::upgrade).and_then(|found| found.downcast().ok());
        found.unwrap_or_else(|| {
            kept.retain(|_, thing| thing.strong_count() > 0);
            let made = Arc::new(make());
            let weak: Weak<T> = Arc::downgrade(&made);
            kept.insert(name.to_owned(), weak);
            made
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_policy_finds_what_the_present_one_holds() {
        let kept = Kept::default();
        let first = kept.find_or("a", || 1);
        assert_eq!((*kept.find_or("a", || 2), *kept.find_or("b", || 3)), (1, 3));
        drop(first);
        assert_eq!(*kept.find_or("a", || 2), 2, "nobody held it");
    }

    #[test]
    fn what_nobody_holds_takes_up_no_place() {
        let kept = Kept::default();
        for at in 0..100 {
            drop(kept.find_or(&at.to_string(), || at));
        }
        assert!(kept.0.lock().unwrap().len() <= 1);
    }

    #[test]
    fn another_type_is_another_thing() {
        let kept = Kept::default();
        let _number = kept.find_or("a", || 1);
        assert_eq!(*kept.find_or("a", || "text"), "text");
    }
}
