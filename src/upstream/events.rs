//! What an upstream tells those who count and log. Telemetry implements [`Events`]; the upstream knows
//! nothing of it.

use std::time::Duration;

/// Told on the spot, from the request path too: an implementation must neither block nor allocate much. Every
/// method does nothing by default.
pub trait Events: Send + Sync {
    /// Active checks changed their verdict. `why` is one lowercase fragment: the last failure, or empty when
    /// it came up.
    fn health_changed(&self, _upstream: &str, _backend: &str, _up: bool, _why: &str) {}

    /// An active check is done.
    fn checked(&self, _upstream: &str, _backend: &str, _passed: bool) {}

    /// A backend gets no requests for a while, because they kept failing.
    fn ejected(&self, _upstream: &str, _backend: &str, _period: Duration) {}

    /// A name has a new set of addresses.
    fn resolved(&self, _upstream: &str, _name: &str, _addresses: usize) {}

    /// A name could not be resolved; the addresses known before stay in use.
    fn resolve_failed(&self, _upstream: &str, _name: &str, _why: &str) {}
}

/// Tells nobody.
impl Events for () {}
