//! Reads a part of a document as a typed value and finds everything that is wrong with it, not only the first
//! thing.
//!
//! serde stops at the first error. So the faulty part is reported and taken out, and the rest read again,
//! until what is left reads well or nothing is left. A misspelt key is read again as the one that was meant, so that
//! what is wrong below it is found too. What only fails because a part was taken out is not reported: a key
//! reported as wrong is not missing too.

use serde::de::DeserializeOwned;

use super::de::{Reader, Trail};
use super::diagnostic::{Issue, Target};
use super::fault::Kind;
use super::node::Node;
use super::path::Path;
use super::tree::Tree;
use crate::values::nearest::nearest;

/// Issues reported of one value. Reading again costs the whole value each time.
const MOST_ISSUES: usize = 100;

/// What a part of a document makes.
pub enum Outcome<T> {
    /// All of it was read. With issues, there are misspelt keys, which were read as what they were meant to be: the value is
    /// good for finding more issues.
    Whole(T),
    /// What is left without its faulty parts, good for finding issues that have nothing to do with those.
    Rest(T),
    /// The rest makes nothing.
    Nothing,
}

impl<T> Outcome<T> {
    /// The value, whole or not.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Whole(value) | Self::Rest(value) => Some(value),
            Self::Nothing => None,
        }
    }
}

/// Reads `node` as a `T`, with everything that is wrong with it. Of several required keys that one map lacks, the first is
/// reported.
pub fn read<T: DeserializeOwned>(node: &Node) -> (Outcome<T>, Vec<Issue>) {
    let mut attempt = Attempt { root: node.path(), issues: Vec::new(), removed: Vec::new() };
    let (kind, issue) = match parse(node.tree(), node.path()) {
        Ok(value) => return (Outcome::Whole(value), Vec::new()),
        Err(fault) => *fault,
    };
    let mut rest = node.tree().clone();
    let mut value = None;
    let mut next = attempt.take_out(&mut rest, &kind, issue);
    while next && attempt.issues.len() < MOST_ISSUES {
        match parse(&rest, node.path()) {
            Ok(remainder) => {
                value = Some(remainder);
                break;
            }
            Err(fault) => {
                let (kind, issue) = *fault;
                next = attempt.take_out(&mut rest, &kind, issue);
            }
        }
    }
    if attempt.issues.len() >= MOST_ISSUES {
        attempt.issues.push(node.issue(format_args!("more is wrong than these {MOST_ISSUES} issues")));
    }
    let outcome = match value {
        Some(value) if attempt.removed.is_empty() => Outcome::Whole(value),
        Some(value) => Outcome::Rest(value),
        None => Outcome::Nothing,
    };
    (outcome, attempt.issues)
}

fn parse<T: DeserializeOwned>(tree: &Tree, path: &Path) -> Result<T, Box<(Kind, Issue)>> {
    T::deserialize(Reader { tree, trail: Trail::Start(path) })
        .map_err(|fault| Box::new(fault.into_issue(path)))
}

struct Attempt<'a> {
    root: &'a Path,
    issues: Vec<Issue>,
    /// What was taken out.
    removed: Vec<Path>,
}

impl Attempt<'_> {
    /// Reports an issue unless it follows from an earlier one, and mends the faulty part or takes it out. False if
    /// nothing is left.
    fn take_out(&mut self, rest: &mut Tree, kind: &Kind, issue: Issue) -> bool {
        let (faulty, target) = (issue.path.clone(), issue.target);
        if !self.follows(kind, &faulty) {
            self.issues.push(issue);
        }
        let root_length = self.root.segments().len();
        let inside = faulty.segments().get(root_length..).unwrap_or_default();
        if let (Kind::Unknown { found, names }, Target::Key) = (kind, target)
            && let Some(meant) = nearest(found, names.iter().copied())
            && rest.rename(inside, meant)
        {
            return true;
        }
        let taken_out = rest.remove(inside);
        self.removed.push(faulty);
        taken_out
    }

    /// Whether this went wrong only because a part was taken out before.
    fn follows(&self, kind: &Kind, path: &Path) -> bool {
        match kind {
            Kind::Missing(key) => self.removed.contains(&path.key(key)),
            Kind::Judgement => {
                self.removed.iter().any(|removed| removed != path && removed.starts_with(path))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
