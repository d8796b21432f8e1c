//! Shared ownership by name: whoever asks for a name gets the same value, for as long as anybody holds it.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is leased.
pub trait Retire {
    /// Undoes what others see of the value. Called once, when its last lease ends and before the next one can begin.
    fn retire(&self);
}

/// Values by name, with the number of leases of each.
pub(super) struct Leases<S: Retire>(Arc<Table<S>>);

struct Table<S>(Mutex<HashMap<String, Leased<S>>>);

struct Leased<S> {
    value: Arc<S>,
    leases: usize,
}

/// A share in a named value; clones are shares as well. What the value shows goes when the last share is dropped.
pub struct Lease<S: Retire> {
    value: Arc<S>,
    name: String,
    leases: Leases<S>,
}

impl<S: Retire> Leases<S> {
    /// Leases the value called `name`, which `make` makes if nobody holds it. `make` must not lease from this table.
    pub(super) fn lease(&self, name: &str, make: impl FnOnce() -> S) -> Lease<S> {
        let mut table = self.table();
        let leased =
            table.entry(name.to_owned()).or_insert_with(|| Leased { value: Arc::new(make()), leases: 0 });
        leased.leases += 1;
        Lease { value: leased.value.clone(), name: name.to_owned(), leases: self.clone() }
    }

    /// Retiring happens under this lock, so that it cannot undo what a new value of the same name shows.
    fn table(&self) -> MutexGuard<'_, HashMap<String, Leased<S>>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Retire> Clone for Leases<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Retire> Default for Leases<S> {
    fn default() -> Self {
        Self(Arc::new(Table(Mutex::default())))
    }
}

impl<S: Retire> Deref for Lease<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.value
    }
}

impl<S: Retire> Clone for Lease<S> {
    fn clone(&self) -> Self {
        if let Some(leased) = self.leases.table().get_mut(&self.name) {
            leased.leases += 1;
        }
        Self { value: self.value.clone(), name: self.name.clone(), leases: self.leases.clone() }
    }
}

impl<S: Retire> Drop for Lease<S> {
    fn drop(&mut self) {
        let mut table = self.leases.table();
        let Some(leased) = table.get_mut(&self.name) else { return };
        leased.leases -= 1;
        if leased.leases == 0 {
            table.remove(&self.name);
            self.value.retire();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    struct Flag(Arc<AtomicU32>);

    impl Retire for Flag {
        fn retire(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn retires_a_value_once_and_only_when_nobody_holds_its_name() {
        let retired = Arc::new(AtomicU32::new(0));
        let leases = Leases::default();
        let first = leases.lease("a", || Flag(retired.clone()));
        let second = leases.lease("a", || panic!("there is one already"));
        let third = first.clone();
        drop(first);
        drop(second);
        assert_eq!(retired.load(Ordering::Relaxed), 0);
        drop(third);
        assert_eq!(retired.load(Ordering::Relaxed), 1);
        drop(leases.lease("a", || Flag(retired.clone())));
        assert_eq!(retired.load(Ordering::Relaxed), 2, "a new value begins anew");
        assert!(leases.table().is_empty());
    }

    #[test]
    fn never_has_two_values_of_one_name_alive() {
        struct Alone(Arc<AtomicU32>);
        impl Retire for Alone {
            fn retire(&self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let alive = Arc::new(AtomicU32::new(0));
        let leases = Leases::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let lease = leases.lease("a", || {
                            assert_eq!(alive.fetch_add(1, Ordering::SeqCst), 0);
                            Alone(alive.clone())
                        });
                        drop(lease.clone());
                    }
                });
            }
        });
        assert_eq!(alive.load(Ordering::SeqCst), 0);
    }
}
