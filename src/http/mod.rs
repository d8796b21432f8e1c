//! HTTP as bytes and fields: what must hold for a message before anything else looks at it.
//!
//! * [`head`] and [`framing`] are the strict front door: one reading of a request, or none at all.
//! * [`path`] gives every later stage one and the same path.
//! * [`cookie`], [`fields`], [`trace`] and [`problem`] are the exact small parts that filters share.
//! * [`decompress`] undoes content codings within bounds.
//! * [`length`] reads and writes how long a head says its body is; [`media_type`] knows types that are unlike others.
//! * [`fetch`] and [`url`] say how requests of our own are put; who sends them lies above.
//! * [`structured`] reads structured fields, whose syntax is a crate's.
//!
//! Everything here is pure: no sockets, no clock, no state between requests.

pub mod cookie;
pub mod decompress;
pub mod fetch;
pub mod fields;
pub mod framing;
pub mod head;
pub mod length;
pub mod media_type;
pub mod path;
pub mod problem;
pub mod query;
pub mod structured;
pub mod trace;
pub mod url;

#[cfg(test)]
pub(crate) mod chance;
