//! What is looked for, and what becomes of it.
//!
//! Whether something begins at a place of a text depends on what is around that place alone: no more than [`BEHIND`] bytes
//! before it and [`Detectors::ahead`] after. No finding crosses the end of a line, so what is before one is settled.

mod card;
mod detector;
mod email;
mod iban;
pub mod pattern;
mod places;
mod secret;
mod trace;

use std::ops::Range;

use schemars::JsonSchema;
use serde::Deserialize;

pub use self::detector::Detector;
use self::pattern::Pattern;
use self::secret::Secrets;
pub(super) use self::secret::is_token;
use self::trace::Traces;
use super::mask;

/// Bytes before a place that may matter to what begins there, and to its mask.
pub(super) const BEHIND: usize = 96;

/// What becomes of a finding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "FindingAction")]
pub enum Action {
    /// It is counted, and passes.
    Report,
    /// It is written over with as many `*`; what is needed to recognise it stays: the last four digits of a card, a token's
    /// well-known beginning.
    #[default]
    Mask,
    /// The answer does not go out.
    Block,
}

/// Something found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Where it is.
    pub(super) at: Range<usize>,
    /// The part of it that is nobody's business.
    pub(super) hidden: Range<usize>,
    /// Its index among the kinds.
    pub(super) kind: usize,
    /// What belongs to it beyond its end, however long that is.
    pub(super) then: Option<Run>,
}

/// What a finding goes on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// As long as there are characters of tokens.
    Token,
    /// Up to the line that ends a key.
    Key,
    /// Up to the end of the JSON string, or to an empty line or a closing tag.
    Trace,
}

/// A kind of finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) name: Box<str>,
    pub(super) action: Action,
}

enum Finder {
    Card { kind: usize },
    Iban { kind: usize },
    Email { kind: usize },
    Traces(Traces),
    Secrets(Secrets),
    Own { pattern: Pattern, kind: usize },
}

/// All that is looked for in an answer.
pub struct Detectors {
    pub(super) kinds: Box<[Kind]>,
    finders: Box<[Finder]>,
    ahead: usize,
}

impl Detectors {
    /// Looks for these. Of two findings that begin at the same place, the one named first counts. Groups must have been
    /// resolved ([`Detector::members`]).
    #[must_use]
    pub fn new(known: &[(Detector, Action)], own: Vec<(Box<str>, Pattern, Action)>) -> Self {
        let mut kinds: Vec<Kind> =
            known.iter().map(|(known, action)| Kind { name: known.name().into(), action: *action }).collect();
        let kind = |wanted| known.iter().position(|(detector, _)| *detector == wanted);
        let mut finders = Vec::new();
        finders.extend(kind(Detector::Card).map(|kind| Finder::Card { kind }));
        finders.extend(kind(Detector::Iban).map(|kind| Finder::Iban { kind }));
        finders.extend(Secrets::new(kind).map(Finder::Secrets));
        finders.extend(kind(Detector::Email).map(|kind| Finder::Email { kind }));
        finders.extend(kind(Detector::StackTrace).and_then(Traces::new).map(Finder::Traces));
        for (name, pattern, action) in own {
            finders.push(Finder::Own { pattern, kind: kinds.len() });
            kinds.push(Kind { name, action });
        }
        let reach = finders.iter().map(Finder::reach).max().unwrap_or_default();
        Self { kinds: kinds.into(), finders: finders.into(), ahead: reach + mask::AHEAD }
    }

    /// Whether nothing is looked for.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.finders.is_empty()
    }

    /// The names of what is looked for and what becomes of it, in the order of [`Scanner::found`](super::Scanner::found).
    pub fn kinds(&self) -> impl Iterator<Item = (&str, Action)> {
        self.kinds.iter().map(|kind| (&*kind.name, kind.action))
    }

    /// Bytes after a place that may matter to what begins there, and to its mask: so much of a text waits for more of it.
    #[must_use]
    pub const fn ahead(&self) -> usize {
        self.ahead
    }

    pub(super) const fn finders(&self) -> usize {
        self.finders.len()
    }

    /// The first thing that a finder finds to begin in `within`.
    pub(super) fn next(&self, finder: usize, text: &[u8], within: Range<usize>) -> Option<Found> {
        self.finders.get(finder)?.next(text, within)
    }
}

impl Finder {
    /// The longest finding, and what has to be seen after it.
    fn reach(&self) -> usize {
        match self {
            Self::Card { .. } => card::REACH,
            Self::Iban { .. } => iban::REACH,
            Self::Email { .. } => email::REACH,
            Self::Traces(_) => trace::REACH,
            Self::Secrets(secrets) => secrets.reach(),
            Self::Own { .. } => pattern::REACH,
        }
    }

    fn next(&self, text: &[u8], within: Range<usize>) -> Option<Found> {
        match self {
            Self::Card { kind } => card::next(text, within, *kind),
            Self::Iban { kind } => iban::next(text, within, *kind),
            Self::Email { kind } => email::next(text, within, *kind),
            Self::Traces(traces) => traces.next(text, within),
            Self::Secrets(secrets) => secrets.next(text, within),
            Self::Own { pattern, kind } => {
                let at = pattern.next(text, within)?;
                Some(Found { hidden: at.clone(), at, kind: *kind, then: None })
            }
        }
    }
}
