//! What outlives a reload: counters of quotas, what filters keep, and the clock they run by. A new policy finds all of
//! it as the old one left it. And what goes on beside requests: chores, and the look at files that may change.

mod chore;
pub mod clock;
pub mod flights;
mod kept;
pub mod labour;
pub mod quota;
mod watch;

use std::num::NonZeroUsize;
use std::sync::Arc;

pub use chore::{Chore, Work};
pub use clock::Clock;
pub use flights::Flights;
pub use kept::Kept;
pub use quota::Quotas;
pub use watch::Watched;

/// Keys of all quotas together: about 90 MB when all are in use.
const MAX_QUOTA_KEYS: NonZeroUsize = NonZeroUsize::new(1 << 20).expect("it is not zero");

/// Everything that a new policy finds as the old one left it.
pub struct State {
    /// The one source of time.
    pub clock: Clock,
    /// How much of each quota is used, by limit and key.
    pub quotas: Arc<Quotas>,
    /// What filters keep besides.
    pub kept: Kept,
}

impl State {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, quotas: Arc::new(Quotas::new(MAX_QUOTA_KEYS)), kept: Kept::default() }
    }
}
