//! What must not leave in an answer: found and masked in any text, and taken out of JSON by path, while it streams by.
//!
//! What always holds: the output is the same however the input is cut into pieces; memory is bounded however long it is;
//! a mask has the length of what it hides, and JSON that was valid stays valid.

pub mod find;
pub mod json;
mod mask;
mod scan;

pub use find::pattern::{NotAPattern, Pattern};
pub use find::{Action, Detector, Detectors};
pub use scan::{Blocked, Scanner};

#[cfg(test)]
mod tests;
