//! Work in the background, for as long as a policy is in force.

use std::pin::Pin;
use std::sync::Arc;

/// Something that goes on beside requests: keys are fetched, counts written down.
pub trait Chore: Send + Sync {
    /// Goes on until there is nothing to do any more, or until it is dropped, which may be at any time. The chores of a new
    /// policy begin before those of the old one end, so two of a kind may run side by side for a moment.
    fn run(self: Arc<Self>) -> Work;
}

/// A chore that runs.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;
