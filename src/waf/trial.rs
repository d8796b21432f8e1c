//! Runs the tests of a pack of rules in process: what each rule must catch and must let pass, and traffic that the pack as a
//! whole must, or must not, refuse.
//!
//! ```yaml
//! through: [query, form, json]       # how values are sent; default: query
//! tests:
//!   - rule: 9600001
//!     caught:                        # the rule matches
//!       - "1 UNION SELECT 2"         # a value: one request for each place it is sent through
//!       - { path: /a, headers: { x-id: "1 UNION ALL SELECT" } }      # a request
//!     passed: [ "the union selects its leader" ]                     # the rule does not match
//!   - rule: 9600004
//!     caught: [ { response: { body: "at com.shop.Order.load(Order.java:17)" } } ]
//! attacks: [ "<script>alert(1)</script>" ]                           # some rules refuse it
//! benign: [ { path: /search, query: { q: "fish & chips" } } ]        # nothing is refused
//! ```
//!
//! The documents are YAML, which the caller reads: [`Document`] is what it reads them into. The engine only watches.

mod case;

use std::sync::Arc;

use serde::Deserialize;

pub use case::{Case, Through};

use super::engine::{Engine, Transaction};
use super::ftw::{self, Ending};

/// A file of tests.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Document {
    /// How values are sent that do not say it.
    pub through: Vec<Through>,
    /// Tests of one rule each.
    pub tests: Vec<Test>,
    /// What must be refused.
    pub attacks: Vec<Case>,
    /// What must not.
    pub benign: Vec<Case>,
}

/// What a rule must catch and must let pass.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Test {
    /// Its id.
    pub rule: u64,
    /// How values are sent. Default: the document's.
    pub through: Vec<Through>,
    /// It matches.
    pub caught: Vec<Case>,
    /// It does not.
    pub passed: Vec<Case>,
}

/// A request that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The rule it is about; 0 if it is about all.
    pub rule: u64,
    /// What it is, for a reader.
    pub name: String,
    /// How it ended.
    pub ending: Ending,
}

/// Runs all tests of a document.
pub fn run(engine: &Arc<Engine>, document: &Document) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for test in &document.tests {
        if !engine.tells_of(test.rule) {
            let why =
                "no rule of this id says that it matches: it has no message, or there is none".to_owned();
            outcomes.push(Outcome { rule: test.rule, name: "-".to_owned(), ending: Ending::Failed(why) });
            continue;
        }
        let through = if test.through.is_empty() { &document.through } else { &test.through };
        for (cases, wanted) in [(&test.caught, true), (&test.passed, false)] {
            let judge = |transaction: &Transaction| of_rule(transaction, test.rule, wanted);
            outcomes.extend(cases.iter().flat_map(|case| all(engine, case, through, test.rule, &judge)));
        }
    }
    for (cases, wanted) in [(&document.attacks, true), (&document.benign, false)] {
        let judge = |transaction: &Transaction| of_all(transaction, wanted);
        outcomes.extend(cases.iter().flat_map(|case| all(engine, case, &document.through, 0, &judge)));
    }
    outcomes
}

fn all(
    engine: &Arc<Engine>,
    case: &Case,
    through: &[Through],
    rule: u64,
    judge: &dyn Fn(&Transaction) -> Ending,
) -> Vec<Outcome> {
    let through = if through.is_empty() { &[Through::Query] } else { through };
    let outcome = |(name, exchange): (String, case::Exchange)| {
        let transaction = ftw::send(engine, &exchange.request, &exchange.response);
        Outcome { rule, name, ending: judge(&transaction) }
    };
    case.exchanges(through).into_iter().map(outcome).collect()
}

fn of_rule(transaction: &Transaction, rule: u64, wanted: bool) -> Ending {
    let found: Vec<_> = transaction.matches().iter().map(|found| found.rule).collect();
    match (found.contains(&rule), wanted) {
        (true, false) => Ending::Failed("the rule matches".to_owned()),
        (false, true) => Ending::Failed(format!("the rule does not match; {found:?} do")),
        _ => Ending::Passed,
    }
}

fn of_all(transaction: &Transaction, wanted: bool) -> Ending {
    let matched = || {
        let matches = transaction.matches().iter();
        matches
            .map(|found| format!("{} {} {:?}", found.rule, found.variable, found.data))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (transaction.interruption().is_some(), wanted) {
        (true, false) => Ending::Failed(format!("it is refused: {}", matched())),
        (false, true) => Ending::Failed(format!("it is not refused: {}", matched())),
        _ => Ending::Passed,
    }
}

#[cfg(test)]
mod tests;
