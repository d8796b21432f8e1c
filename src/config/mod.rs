//! From the text of a policy to typed specs, or to the list of everything that is wrong with it.
//!
//! `yaml` turns text into a [`tree`], `read` turns any part of the tree into a spec and collects every
//! [`Issue`], and `diagnostic` gives each issue its line and column. Positions are looked up only when there
//! is an issue to report.

mod de;
pub mod diagnostic;
mod fault;
pub mod node;
pub mod path;
mod read;
pub mod spec;
pub mod tree;
pub mod wording;
pub mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, Issue, Target};
pub use node::Node;
pub use path::{Path, Segment};
pub use read::{Outcome, read};
pub use yaml::Document;

#[cfg(test)]
mod tests;
