//! What a text must have for a pattern to match: read off the syntax tree, as RE2's prefilter does.
//!
//! The answer is a conjunction of [`Clause`]s, each of which asks for one of some bytes or literals. It is folded to lower
//! case and errs on one side alone: a text that fails a clause has no match; one that passes all may have none.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::waf::transform::ByteSet;

/// One of these is in the text, whose ASCII letters are taken in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clause {
    /// Single bytes.
    pub bytes: ByteSet,
    /// Literals of at least two bytes, at most [`LITERAL_BYTES`].
    pub literals: BTreeSet<Vec<u8>>,
}

/// All of these hold for a text that has a match.
#[derive(Debug, Clone, Default)]
pub struct Required {
    /// The most telling first. Empty: nothing is known.
    pub clauses: Vec<Clause>,
    /// The length of the shortest match in bytes.
    pub least_bytes: usize,
}

/// Longest literal: longer ones tell hardly more, and make the automaton larger.
pub const LITERAL_BYTES: usize = 8;
/// Strings that one node may be known to match exactly, while it is looked at.
const EXACT: usize = 96;
/// Numbers of repetitions whose strings are told apart, besides the least.
const MORE: u32 = 2;
/// Literals of one clause.
const CLAUSE_LITERALS: usize = 4_000;
/// Clauses kept of one pattern.
const CLAUSES: usize = 6;

impl Clause {
    /// How likely ordinary text passes; by guess, for the choice between clauses.
    pub fn likelihood(&self) -> f64 {
        let bytes: f64 = self.bytes.iter().map(byte_likelihood).sum();
        let literals: f64 = self.literals.iter().map(|literal| literal_likelihood(literal)).sum();
        bytes + literals
    }

    fn or(mut self, other: &Self) -> Self {
        self.bytes = self.bytes.union(other.bytes);
        self.literals.extend(other.literals.iter().cloned());
        self
    }
}

fn byte_likelihood(byte: u8) -> f64 {
    match byte {
        b'a'..=b'z' => 0.5,
        b'0'..=b'9' | b' ' => 0.4,
        b'-' | b'.' | b'_' | b'/' | b',' => 0.3,
        b':' | b'=' | b'+' | b'@' | b'%' | b'&' => 0.15,
        0x80.. => 0.02,
        b'\n' | b'\r' | b'"' | b'\'' | b'(' | b')' | b';' | b'?' => 0.08,
        _ => 0.03,
    }
}

fn literal_likelihood(literal: &[u8]) -> f64 {
    let rare = literal.iter().filter(|byte| !byte.is_ascii_alphanumeric() && **byte != b' ').count();
    let each = match literal.len() {
        0 | 1 => 0.5,
        2 => 0.06,
        3 => 0.015,
        4 => 0.004,
        _ => 0.001,
    };
    each / f64::from(1 << rare.min(4))
}

/// What is known of a node.
struct Known {
    /// All strings it matches, folded, if there are few.
    exact: Option<BTreeSet<Vec<u8>>>,
    /// What a text with a match has besides.
    clauses: Vec<Clause>,
}

impl Required {
    /// Of a pattern.
    pub fn of(hir: &Hir) -> Self {
        let mut known = known(hir, 0);
        flush(&mut known);
        let mut clauses = known.clauses;
        for clause in &mut clauses {
            drop_covered(clause);
        }
        Self { clauses: most_telling(clauses), least_bytes: hir.properties().minimum_len().unwrap_or(0) }
    }

    /// What a text must have that has one of the phrases in it, in whatever case.
    pub fn phrases<'a>(phrases: impl Iterator<Item = &'a [u8]> + Clone) -> Self {
        let least_bytes = phrases.clone().map(<[u8]>::len).min().unwrap_or(0);
        let exact = phrases.map(<[u8]>::to_ascii_lowercase).collect();
        let mut known = Known { exact: Some(exact), clauses: Vec::new() };
        flush(&mut known);
        for clause in &mut known.clauses {
            drop_covered(clause);
        }
        Self { clauses: known.clauses, least_bytes }
    }
}

/// A literal that contains another of the same clause asks for nothing more.
fn drop_covered(clause: &mut Clause) {
    let all = clause.literals.clone();
    let bytes = clause.bytes;
    clause.literals.retain(|literal| {
        let parts = (2..literal.len()).flat_map(|length| literal.windows(length));
        !parts.clone().any(|part| all.contains(part)) && !literal.iter().any(|byte| bytes.contains(*byte))
    });
}

fn most_telling(mut clauses: Vec<Clause>) -> Vec<Clause> {
    clauses.retain(|clause| clause.literals.len() <= CLAUSE_LITERALS && clause.likelihood() < 12.0);
    clauses.sort_by(|a, b| a.likelihood().total_cmp(&b.likelihood()));
    clauses.dedup();
    clauses.truncate(CLAUSES);
    clauses
}

fn one(string: Vec<u8>) -> Known {
    Known { exact: Some(BTreeSet::from([string])), clauses: Vec::new() }
}

/// Turns what is known exactly into a clause: one of the strings is in the text.
fn flush(known: &mut Known) {
    let Some(exact) = known.exact.take() else { return };
    let mut clause = Clause::default();
    for string in exact {
        match string.as_slice() {
            // The empty string is in every text.
            [] => return,
            [byte] => clause.bytes = clause.bytes.union(ByteSet::of(&[*byte])),
            _ => _ = clause.literals.insert(telling_part(&string).to_vec()),
        }
    }
    known.clauses.push(clause);
}

/// The part of a long literal that is the least likely in other texts.
fn telling_part(string: &[u8]) -> &[u8] {
    // The front, because phrases that start alike then share one literal.
    string.get(..LITERAL_BYTES).unwrap_or(string)
}

/// Looks at a node. The parser bounds the depth of patterns, and so of this.
fn known(hir: &Hir, depth: usize) -> Known {
    if depth > 300 {
        return Known { exact: None, clauses: Vec::new() };
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => one(Vec::new()),
        HirKind::Literal(literal) => one(literal.0.to_ascii_lowercase()),
        HirKind::Class(class) => known_class(class),
        HirKind::Capture(capture) => known(&capture.sub, depth + 1),
        HirKind::Concat(parts) => concatenation(parts, depth),
        HirKind::Alternation(parts) => alternation(parts, depth),
        HirKind::Repetition(repetition) => {
            let mut sub = known(&repetition.sub, depth + 1);
            match (repetition.min, repetition.max) {
                (0, Some(1)) => match sub.exact {
                    Some(mut exact) if exact.len() < EXACT => {
                        exact.insert(Vec::new());
                        Known { exact: Some(exact), clauses: Vec::new() }
                    }
                    _ => Known { exact: None, clauses: Vec::new() },
                },
                (0, _) => Known { exact: None, clauses: Vec::new() },
                (1, Some(1)) => sub,
                (least @ 2..=8, most) => repeated(&repetition.sub, least, most, depth),
                _ => {
                    flush(&mut sub);
                    sub
                }
            }
        }
    }
}

/// At least two of a node, one after the other.
fn repeated(sub: &Hir, least: u32, most: Option<u32>, depth: usize) -> Known {
    let copies = |count: u32| join((0..count).map(|_| sub), depth);
    let mut known = copies(least);
    let Some(most) = most.filter(|most| most - least <= MORE) else {
        flush(&mut known);
        return known;
    };
    for more in least + 1..=most {
        let also = copies(more).exact;
        match (&mut known.exact, also) {
            (Some(exact), Some(also)) if exact.len() + also.len() <= EXACT => exact.extend(also),
            _ => {
                known.exact = None;
                let mut fewest = copies(least);
                flush(&mut fewest);
                return fewest;
            }
        }
    }
    known
}

fn known_class(class: &Class) -> Known {
    let mut bytes = ByteSet::EMPTY;
    match class {
        Class::Bytes(class) => {
            for range in class.ranges() {
                bytes = bytes.union(ByteSet::range(range.start(), range.end()));
            }
        }
        Class::Unicode(_) => return Known { exact: None, clauses: Vec::new() },
    }
    let bytes = bytes.to_ascii_lowercase();
    match bytes.iter().count() {
        0..=4 => Known { exact: Some(bytes.iter().map(|byte| vec![byte]).collect()), clauses: Vec::new() },
        5..=200 => Known { exact: None, clauses: vec![Clause { bytes, literals: BTreeSet::new() }] },
        _ => Known { exact: None, clauses: Vec::new() },
    }
}

fn concatenation(parts: &[Hir], depth: usize) -> Known {
    join(parts.iter(), depth)
}

/// What holds for parts that follow each other.
fn join<'a>(parts: impl Iterator<Item = &'a Hir>, depth: usize) -> Known {
    let mut whole = Known { exact: Some(BTreeSet::from([Vec::new()])), clauses: Vec::new() };
    let mut broken = false;
    for part in parts {
        let mut next = known(part, depth + 1);
        whole.clauses.append(&mut next.clauses);
        let Some(after) = next.exact else {
            // The run of known strings ends here; another may begin behind it.
            flush(&mut whole);
            broken = true;
            whole.exact = Some(BTreeSet::from([Vec::new()]));
            continue;
        };
        let before = whole.exact.take().unwrap_or_default();
        let longest = |strings: &BTreeSet<Vec<u8>>| strings.iter().map(Vec::len).max().unwrap_or(0);
        if before.len() * after.len() > EXACT || longest(&before) + longest(&after) > 64 {
            whole.exact = Some(before);
            flush(&mut whole);
            broken = true;
            whole.exact = Some(after);
            continue;
        }
        let product = before.iter().flat_map(|before| {
            after.iter().map(move |after| before.iter().chain(after).copied().collect::<Vec<u8>>())
        });
        whole.exact = Some(product.collect());
    }
    if broken {
        flush(&mut whole);
    }
    whole
}

fn alternation(parts: &[Hir], depth: usize) -> Known {
    let mut branches: Vec<Known> = parts.iter().map(|part| known(part, depth + 1)).collect();
    let strings = |branch: &Known| branch.exact.as_ref().map(BTreeSet::len);
    if branches.iter().map(strings).sum::<Option<usize>>().is_some_and(|strings| strings <= EXACT) {
        let exact = branches.into_iter().filter_map(|branch| branch.exact).flatten().collect();
        return Known { exact: Some(exact), clauses: Vec::new() };
    }
    branches.iter_mut().for_each(flush);
    // What is told by single bytes costs nothing to ask, and is asked besides.
    let kinds: [fn(&Clause) -> bool; 2] = [|_| true, |clause| clause.literals.is_empty()];
    let mut clauses: Vec<Clause> = kinds.into_iter().filter_map(|kind| either(&branches, kind)).collect();
    clauses.dedup();
    Known { exact: None, clauses }
}

/// What holds whichever of the branches matches: of each, the most telling clause of a kind.
fn either(branches: &[Known], kind: impl Fn(&Clause) -> bool) -> Option<Clause> {
    branches.iter().try_fold(Clause::default(), |either, branch| {
        let clauses = branch.clauses.iter().filter(|clause| kind(clause));
        let best = clauses.min_by(|a, b| a.likelihood().total_cmp(&b.likelihood()))?;
        Some(either.or(best))
    })
}
