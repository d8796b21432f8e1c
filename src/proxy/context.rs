//! What is known of one request while it is served. A filter's own data is not here but in its slot.

use std::sync::Arc;

use http::Method;
use pingora::http::ResponseHeader;

use super::body::Body;
use super::caching::{Capture, Errand};
use super::connection::Connection;
use super::upstream::Attempts;
use crate::filters::chain::{Decision, Shadows};
use crate::filters::{Facts, Origin, Slots};
use crate::http::trace::TraceParent;
use crate::policy::{Route, Snapshot};
use crate::telemetry::metrics::{CacheOutcome, InFlight};

/// One request and its response.
pub struct Context {
    /// The policy as it was when the request came; whatever is reloaded meanwhile, it stays.
    pub snapshot: Arc<Snapshot>,
    /// Where it goes.
    pub route: Arc<Route>,
    /// The methods that would have been right, where only the method was wrong.
    pub allowed: Vec<Method>,
    /// The connection it came by; `None` only until the entrance.
    pub connection: Option<Arc<Connection>>,
    /// What filters may know.
    pub facts: Facts,
    /// What filters keep.
    pub slots: Slots,
    /// What filters in shadow mode would have done.
    pub shadows: Shadows,
    /// Why it was refused, if it was.
    pub decision: Option<Decision>,
    /// Who made the response.
    pub origin: Origin,
    /// The backends that were asked.
    pub attempts: Attempts,
    /// Whether the upstream's whole answer has come.
    pub answered_whole: bool,
    /// The upstream's head, while it waits for its body.
    pub waiting: Option<Box<ResponseHeader>>,
    /// Whether the last try failed after its connection stood: Pingora then gives the client's up, too.
    pub broken: bool,
    /// Interim answers of the upstream so far.
    pub interim: u16,
    /// The status the client was sent; 0 if none.
    pub status: u16,
    /// The request's body.
    pub body: Body,
    /// The trace it belongs to.
    pub trace: TraceParent,
    /// What the cache did with it.
    pub cache: Option<CacheOutcome>,
    /// What the cache keeps of it while it passes by.
    pub capture: Option<Box<Capture>>,
    /// Set where it is no client's request but an errand of the cache's.
    pub errand: Option<Box<Errand>>,
    /// Counts it as in flight.
    pub in_flight: Option<InFlight>,
}
