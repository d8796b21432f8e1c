//! The text of a store, read as a policy is: whatever is wrong with it is told with its line.

use crate::auth::keys::{Directory, Document, Fault, Source, Usage};
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

/// The consumers that a store names, fit to be beside those of a policy.
///
/// # Errors
/// Everything that is wrong.
pub fn checked(file: &File, inline: &Document) -> Result<Document, Diagnostics> {
    let document = document(file)?;
    match directory(inline, Some((file.name(), &document)), &Usage::default()) {
        Ok(_) => Ok(document),
        Err(faults) => Err(wrong(file, &[faults.policy, faults.store].concat())),
    }
}

/// What is wrong with consumers, by where they are.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// With those in the policy.
    pub policy: Vec<Problem>,
    /// With those in the store.
    pub store: Vec<Problem>,
}

/// All keys, of the policy and of a store with its name in messages.
pub(super) fn directory(
    inline: &Document,
    store: Option<(&str, &Document)>,
    usage: &Usage,
) -> Result<Directory, Faults> {
    let of_policy = Source { label: "the policy", document: inline };
    let of_store = store.map(|(label, document)| Source { label, document });
    let sources: Vec<_> = std::iter::once(of_policy).chain(of_store).collect();
    Directory::compile(&sources, usage).map_err(|faults| {
        let (policy, store): (Vec<Fault>, _) = faults.into_iter().partition(|fault| fault.source == 0);
        let problems = |faults: Vec<Fault>| faults.into_iter().map(|fault| fault.problem).collect();
        Faults { policy: problems(policy), store: problems(store) }
    })
}

/// What is wrong with what a store says.
pub(super) fn wrong(file: &File, problems: &[Problem]) -> Diagnostics {
    let issue = |problem: &Problem| Issue::from_problem(&Path::root(), problem);
    Diagnostics::new(file, problems.iter().map(issue).collect())
}
