//! The policy as it runs: one immutable [`Snapshot`] whose types cannot be wrong, made from what an operator wrote or
//! refused with everything that is wrong with it.

mod compile;
mod door;
mod issuers;
mod links;
mod lists;
mod materials;
mod pattern;
mod redis;
mod rewrite;
mod route;
mod router;
mod routes;
mod service;
mod snapshot;

pub use compile::compile;
pub use door::{Door, DoorLimits};
pub use materials::{Materials, MaterialsError};
pub use rewrite::{Filled, Template};
pub use route::{Action, Route};
pub use router::{Answer, Question};
pub use service::Service;
pub use snapshot::{AdminDoor, Forwarding, Process, Snapshot};
