//! The keys in force. A change of the store puts another directory in place of the one before, at once and whole; a
//! request that is being judged goes on with the one it began with.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::directory::Directory;
use super::headers::DocumentationLink;

/// The keys of a policy and its store, as they are now.
#[derive(Debug, Default)]
pub struct Keyring {
    directory: ArcSwap<Directory>,
    /// Where users of old keys read on.
    pub docs: Option<DocumentationLink>,
    /// Whether all consumers are known when the policy loads, for there is no store that may name others later.
    pub complete: bool,
}

impl Keyring {
    pub fn new(directory: Directory, docs: Option<DocumentationLink>, complete: bool) -> Self {
        Self { directory: ArcSwap::from_pointee(directory), docs, complete }
    }

    /// The keys at this moment.
    pub fn load(&self) -> Guard<Arc<Directory>> {
        self.directory.load()
    }

    /// Puts other keys in force.
    pub fn replace(&self, directory: Directory) {
        self.directory.store(Arc::new(directory));
    }
}
