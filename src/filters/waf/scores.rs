//! What rules that score came to: the Core Rule Set's of all versions, and packs'.

use std::fmt::Write as _;

use crate::waf::{Match, Transaction};

/// Rules that the log names.
const MOST_NAMED: usize = 8;
/// Longest name of a variable in the log, in characters; clients name their arguments as they like.
const NAME_CHARS: usize = 48;
/// Rules of the Core Rule Set, and of packs, that only add up what others found.
const SUMS: [std::ops::Range<u64>; 4] =
    [949_000..950_000, 959_000..960_000, 980_000..990_000, 9_599_000..9_600_000];
/// Where packs count, together with what the Core Rule Set found; and where that does: since version 4, and before.
const SCORES: [&str; 4] =
    ["edgeward_score", "blocking_inbound_anomaly_score", "anomaly_score", "inbound_anomaly_score"];
const OUTBOUND_SCORES: [&str; 2] = ["blocking_outbound_anomaly_score", "outbound_anomaly_score"];
const THRESHOLD: [&str; 1] = ["inbound_anomaly_score_threshold"];
const OUTBOUND_THRESHOLD: [&str; 1] = ["outbound_anomaly_score_threshold"];

/// Whether the rule only adds up what others found.
pub fn is_sum(rule: u64) -> bool {
    SUMS.iter().any(|sums| sums.contains(&rule))
}

/// The scores there are and what they are compared with, by the names that the audit log has for them.
pub(super) fn all(transaction: &Transaction) -> Vec<(&'static str, u64)> {
    let scores = [
        ("score", score(transaction, &SCORES)),
        ("threshold", score(transaction, &THRESHOLD)),
        ("outbound_score", score(transaction, &OUTBOUND_SCORES)),
        ("outbound_threshold", score(transaction, &OUTBOUND_THRESHOLD)),
    ];
    scores.into_iter().filter_map(|(name, score)| Some((name, score?))).collect()
}

/// The largest of these variables.
fn score(transaction: &Transaction, names: &[&str]) -> Option<u64> {
    let values = names.iter().filter_map(|name| std::str::from_utf8(transaction.tx(name)?).ok());
    values.filter_map(|value| value.parse().ok()).max()
}

/// The score and the rules that made it, with the names of what they matched and never its values.
pub(super) fn why(transaction: &Transaction) -> String {
    let mut why = String::new();
    if let Some(score) = score(transaction, &SCORES) {
        _ = write!(why, "score {score}: ");
    }
    let mut named: Vec<&Match> = Vec::new();
    for found in transaction.matches().iter().filter(|found| found.log) {
        if !is_sum(found.rule) && named.iter().all(|other| other.rule != found.rule) {
            named.push(found);
        }
    }
    for (at, found) in named.iter().take(MOST_NAMED).enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        _ = write!(why, "{separator}{} {:.*}", found.rule, NAME_CHARS, found.variable);
    }
    why
}
