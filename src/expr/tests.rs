//! What the whole engine promises, seen from outside.

mod errors;
mod functions;
mod limits;
mod missing;
mod operators;
mod values;
