//! What outlives a reload: the state of each backend, the last addresses of each name, the tokens of each
//! retry budget.
//!
//! Everything is found by the names in the policy and kept as long as some snapshot uses it: a new one is
//! compiled while the old one still lives. What a policy no longer names is forgotten, so nothing grows with
//! reloads.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;

use super::backend::{BackendId, BackendState};
use super::health::Connectors;
use super::retry::Tokens;

/// Finds the state of upstreams by name. The server owns one for its whole life.
#[derive(Default)]
pub struct Registry {
    upstreams: Mutex<HashMap<String, Weak<Kept>>>,
    connectors: Arc<Connectors>,
}

/// What is kept of one upstream.
#[derive(Default)]
pub(super) struct Kept {
    backends: Mutex<HashMap<String, Weak<BackendState>>>,
    names: Mutex<HashMap<String, Weak<Addresses>>>,
    next_id: AtomicU64,
    pub(super) tokens: Tokens,
}

/// The last known addresses of a name, sorted; empty until it was resolved once.
#[derive(Default)]
pub(super) struct Addresses(pub(super) ArcSwap<Vec<IpAddr>>);

impl Registry {
    /// What is kept of the upstream called `name`.
    pub(super) fn upstream(&self, name: &str) -> Arc<Kept> {
        found(&self.upstreams, name, Kept::default)
    }

    /// What all active checks connect with.
    pub(super) fn connectors(&self) -> Arc<Connectors> {
        Arc::clone(&self.connectors)
    }
}

impl Kept {
    /// The state of the backend with this resolved address.
    pub(super) fn backend(&self, label: &str) -> Arc<BackendState> {
        found(&self.backends, label, || {
            BackendState::new(BackendId(self.next_id.fetch_add(1, Ordering::Relaxed)))
        })
    }

    /// The last known addresses of a name.
    pub(super) fn name(&self, name: &str) -> Arc<Addresses> {
        found(&self.names, name, Addresses::default)
    }
}

/// The living entry under `key`, or a new one. Entries nobody uses any more are dropped on the way.
fn found<T>(entries: &Mutex<HashMap<String, Weak<T>>>, key: &str, new: impl FnOnce() -> T) -> Arc<T> {
    let mut entries = held(entries);
    if let Some(entry) = entries.get(key).and_then(Weak::upgrade) {
        return entry;
    }
    entries.retain(|_, entry| entry.strong_count() > 0);
    let entry = Arc::new(new());
    entries.insert(key.to_owned(), Arc::downgrade(&entry));
    entry
}

/// The lock, also after a thread panicked with it: each change under it is a single step.
pub(super) fn held<T: ?Sized>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_still_in_use() {
        let registry = Registry::default();
        let orders = registry.upstream("orders");
        let backend = orders.backend("10.0.0.1:80");
        backend.started();
        let again = registry.upstream("orders").backend("10.0.0.1:80");
        assert!(Arc::ptr_eq(&backend, &again));
        assert_eq!(again.in_flight(), 1);
    }

    #[test]
    fn keeps_upstreams_and_backends_apart() {
        let registry = Registry::default();
        let (orders, users) = (registry.upstream("orders"), registry.upstream("users"));
        assert!(!Arc::ptr_eq(&orders.backend("10.0.0.1:80"), &users.backend("10.0.0.1:80")));
        let (one, two) = (orders.backend("10.0.0.1:80"), orders.backend("10.0.0.2:80"));
        assert!(one.health() == two.health() && !Arc::ptr_eq(&one, &two));
    }

    #[test]
    fn forgets_what_nobody_uses() {
        let registry = Registry::default();
        let orders = registry.upstream("orders");
        orders.backend("10.0.0.1:80").started();
        assert_eq!(orders.backend("10.0.0.1:80").in_flight(), 0, "it was dropped and is new");
        assert_eq!(held(&orders.backends).len(), 1);
        let _other = orders.backend("10.0.0.2:80");
        assert_eq!(held(&orders.backends).len(), 1, "the dead entry went");
    }
}
