//! The file of a store, read as a policy is: whatever is wrong with it is told with its line.

use crate::auth::keys::Document;
use crate::config::{Diagnostics, Document as File, Issue, Path};
use crate::values::Problem;

/// The consumers that a store names.
///
/// # Errors
/// Everything that is wrong with its form.
pub fn document(file: &File) -> Result<Document, Diagnostics> {
    let mut issues = Vec::new();
    // `edgeward keys` begins with an empty file, and ends with one.
    if *file.root().tree() == crate::config::tree::Tree::Null {
        return Ok(Document::default());
    }
    match file.root().read(&mut issues) {
        Some(document) if issues.is_empty() => Ok(document),
        _ => Err(Diagnostics::new(file, issues)),
    }
}

/// What is wrong with what it says.
pub fn wrong(file: &File, problems: &[Problem]) -> Diagnostics {
    let issue = |problem: &Problem| Issue::from_problem(&Path::root(), problem);
    Diagnostics::new(file, problems.iter().map(issue).collect())
}
