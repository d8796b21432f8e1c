//! Which links the prefilter can test, and on which of them few requests have a value that is worth it.

use std::collections::BTreeSet;

use super::NAME_BYTES;
use crate::waf::engine::collect::{Stored, stored};
use crate::waf::engine::plan::{Members, PlannedLink, PlannedTarget, Test};
use crate::waf::engine::run::argument_is_constant;
use crate::waf::ir::Variable;
use crate::waf::pattern::{Clause, Required};
use crate::waf::transform::ByteSet;

/// From this likelihood on a rule's text is a candidate more often than not worth it.
const COMMON: f64 = 0.25;
/// Whether nothing comes of the link but that the next one is tested.
pub(super) fn does_nothing(link: &PlannedLink) -> bool {
    link.actions.is_empty() && (link.negated || !link.capture)
}

/// How many requests have a value that is worth a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Odds {
    /// Those with a text that few have.
    Few,
    /// Those that have a member of a name.
    Some,
    Most,
}

pub(super) fn odds(link: &PlannedLink, required: &Required) -> Odds {
    let is_named = |target: &PlannedTarget| matches!(target.members, Members::Named(_));
    let is_usual = |target: &PlannedTarget| USUAL.contains(&target.variable);
    if !is_likely(required) && !link.targets.iter().any(is_usual) {
        Odds::Few
    } else if link.targets.iter().all(is_named) {
        Odds::Some
    } else {
        Odds::Most
    }
}

/// Whether many texts have what it takes.
pub(super) fn is_likely(required: &Required) -> bool {
    required.clauses.first().is_none_or(|clause| clause.likelihood() > COMMON)
}

/// Whether the test's outcome depends on the text alone, and its values, once there, do not change.
pub(super) fn can_be_screened(link: &PlannedLink) -> bool {
    let stays = |target: &PlannedTarget| {
        let short = !matches!(&target.members, Members::Named(name) if name.len() > NAME_BYTES);
        !target.count
            && short
            && match stored(target.variable) {
                Stored::Values(_) | Stored::Names(_) => true,
                Stored::Single => SETTLED.contains(&target.variable),
                Stored::Elsewhere => false,
            }
    };
    let pure = match &link.test {
        Test::Always | Test::Never | Test::RegexExpansion(..) => false,
        test => argument_is_constant(test),
    };
    pure && !link.targets.is_empty() && link.targets.iter().all(stays)
}

/// Single variables that are set once.
const SETTLED: &[Variable] = &[
    Variable::QueryString,
    Variable::RemoteAddr,
    Variable::RequestBasename,
    Variable::RequestBody,
    Variable::RequestFilename,
    Variable::RequestLine,
    Variable::RequestMethod,
    Variable::RequestProtocol,
    Variable::RequestUri,
    Variable::RequestUriRaw,
    Variable::ResponseBody,
    Variable::ResponseProtocol,
    Variable::ResponseStatus,
];

/// Those that are the same for most requests, and so most often what a rule looks for.
const USUAL: &[Variable] = &[
    Variable::RequestLine,
    Variable::RequestMethod,
    Variable::RequestProtocol,
    Variable::ResponseProtocol,
    Variable::ResponseStatus,
];

/// What a text needs for the link's test to pass.
pub(super) fn required_of(link: &PlannedLink, of_pattern: Option<&Required>) -> Required {
    let one_of = |bytes: ByteSet| Clause { bytes: bytes.to_ascii_lowercase(), literals: BTreeSet::new() };
    let needs = |least_bytes, clauses| Required { clauses, least_bytes };
    match &link.test {
        // Any text may lack what the test looks for.
        _ if link.negated => Required::default(),
        Test::BytesOutside(allowed) => needs(1, vec![one_of(allowed.complement())]),
        Test::BadUrlEncoding => needs(1, vec![one_of(ByteSet::of(b"%"))]),
        Test::BadUtf8 => needs(1, vec![one_of(ByteSet::range(0x80, 0xff))]),
        // One word is one token, and no fingerprint of an attack has one alone.
        Test::SqlInjection => {
            let word = ByteSet::range(b'a', b'z').union(ByteSet::range(b'0', b'9')).union(ByteSet::of(b"_"));
            let word = word.union(ByteSet::range(b'A', b'Z'));
            needs(2, vec![one_of(word.complement())])
        }
        // A tag needs `<`, an attribute a value.
        Test::Xss => needs(2, vec![one_of(ByteSet::of(b"<="))]),
        _ => of_pattern.cloned().unwrap_or_default(),
    }
}
