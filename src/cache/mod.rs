//! A shared HTTP cache: what may be kept, for how long, for whom, and what is answered from it (RFC 9111, RFC 9110).
//!
//! The meaning of caching is written as pure functions over header fields and a clock that is handed in; they know
//! no socket, no proxy and no storage. The stores know no meaning. In the order in which a request needs them:
//!
//! * [`key`] says which requests ask for the same thing, [`vary`] which of its variants fits.
//! * [`directives`] reads `Cache-Control` and its targeted forms, [`freshness`] judges a stored response by them.
//! * [`validate`] answers conditional requests and asks the origin whether a stored response still holds, [`range`] cuts
//!   parts out of one, [`part`] makes do with parts of one.
//! * [`store`] decides whether a response may be kept, and what of it. [`invalidate`] names what a write makes untrue.
//! * [`status`] tells the client how it went.
//! * [`answer`] puts together what one client is sent. [`tags`] are what responses are purged by.
//! * [`fleet`] has other processes purge what is purged here, [`parents`] has them asked before the origin is.
//! * [`flights`] asks the origin once for all who ask at the same time, [`content`] lets them follow what comes,
//!   [`memory`] keeps it as [`record`] and content, [`disk`] for longer, [`tiered`] is both, [`keeper`] says which disk, and [`purge`] takes it away again.
//!   [`shared`] is all of that together.
//!
//! What always holds: in doubt, a response is not stored, and what is stored is taken for stale.

pub mod answer;
pub mod content;
pub mod directives;
pub mod disk;
pub mod fleet;
pub mod flights;
pub mod freshness;
pub mod invalidate;
pub mod keeper;
pub mod key;
pub mod memory;
pub mod parents;
pub mod part;
pub mod purge;
pub mod range;
pub mod record;
pub mod scalars;
pub mod shared;
pub mod status;
pub mod store;
pub mod tags;
pub mod tiered;
pub mod validate;
pub mod vary;

#[cfg(test)]
pub(crate) mod testing;

pub use directives::{RequestDirectives, ResponseDirectives};
pub use freshness::{Freshness, Verdict};
pub use key::{Key, Query};
pub use shared::Shared;
