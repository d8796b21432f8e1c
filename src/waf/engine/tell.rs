//! What is told of a rule that matched.
//!
//! It is what the first link saw, and is told only if all of them pass: so it is noted when the first has passed, before
//! what comes after it writes over it, and made a [`Match`] of at the end.

use super::Match;
use super::found::Pieces;
use super::operators::{self, Operands};
use super::plan::PlannedRule;
use super::run::{Runner, argument_or};
use super::state::State;

/// Matches kept of one request.
const MATCHES: usize = 500;
/// Bytes kept of a matched value, a message or its data.
const TOLD_BYTES: usize = 512;
/// Values up to this are told from their beginning.
const SHORT_BYTES: usize = 80;
/// Of longer ones, bytes that are told before what was found.
const BEFORE_BYTES: usize = 20;
/// Variables that one match names, and those that are looked at for that.
const NAMED: usize = 32;
const NAMED_OF: u32 = 64;

/// What the first link of a rule found, as far as it is told if the others pass too.
#[derive(Debug, Default)]
pub(super) struct Noted {
    message: Vec<u8>,
    data: Vec<u8>,
    variable: Vec<u8>,
    value: Vec<u8>,
    /// Where what is kept of the value begins, and how long the value is.
    value_at: usize,
    value_bytes: usize,
    /// How many values passed.
    matched: u32,
}

impl Runner<'_> {
    /// Keeps what there is to tell, of which nothing is told yet.
    pub(super) fn note(&mut self, rule: &PlannedRule) {
        let mut noted = std::mem::take(&mut self.state.noted);
        for (expansion, text) in [(&rule.message, &mut noted.message), (&rule.data, &mut noted.data)] {
            text.clear();
            self.state.expand(self.plan, self.lasting, expansion, text);
            text.truncate(TOLD_BYTES);
        }
        noted.value_at = self.place(rule);
        // What tests nothing has matched nothing: what is there is an earlier rule's.
        let tests = rule.links.first().is_some_and(|link| !link.targets.is_empty());
        let State { last_name, last_value, matched, .. } = &*self.state;
        let (name, value) =
            if tests { (last_name.as_slice(), last_value.as_slice()) } else { (&b""[..], &b""[..]) };
        noted.value_bytes = value.len();
        let value = value.get(noted.value_at..).unwrap_or_default();
        for (text, kept) in [(name, &mut noted.variable), (value, &mut noted.value)] {
            kept.clear();
            kept.extend_from_slice(text.get(..TOLD_BYTES).unwrap_or(text));
        }
        noted.matched = u32::try_from(matched.len()).unwrap_or(u32::MAX);
        self.state.noted = noted;
    }

    /// Tells what was noted.
    pub(super) fn tell(&mut self, rule: &PlannedRule) {
        let State { matches, matched, noted, .. } = &mut *self.state;
        if matches.len() >= MATCHES {
            return;
        }
        let (also, more) = others(matched, noted);
        matches.push(Match {
            rule: rule.id,
            at: rule.at.clone(),
            phase: rule.phase,
            log: rule.log,
            audit: rule.audit,
            message: lossy(noted.message.clone()),
            message_has_data: rule.message.as_text().is_none(),
            data: lossy(noted.data.clone()),
            severity: rule.severity,
            tags: std::sync::Arc::clone(&rule.tags),
            variable: lossy(noted.variable.clone()),
            also,
            more,
            value: noted.value.clone(),
            value_at: noted.value_at,
            value_bytes: noted.value_bytes,
        });
    }

    /// From where on the matched value is told.
    fn place(&mut self, rule: &PlannedRule) -> usize {
        let link = rule.links.first().filter(|link| !link.negated);
        let Some(link) = link.filter(|_| self.state.last_value.len() > SHORT_BYTES) else { return 0 };
        let argument = self.argument(link);
        let State { caches, last_value, .. } = &mut *self.state;
        let mut operands = Operands { plan: self.plan, argument: argument_or(link, &argument), caches };
        let captured = operators::capture(&link.test, last_value, &mut operands);
        let found = captured.and_then(|captured| captured.groups.first().copied().flatten());
        let from = found.map_or(0, |(start, _)| start.saturating_sub(BEFORE_BYTES));
        // Not within a character.
        let rest = last_value.get(from..).unwrap_or_default();
        let from = from + rest.iter().take(3).take_while(|byte| **byte & 0xc0 == 0x80).count();
        self.state.argument = argument;
        from
    }
}

/// Variables that the first link matched besides the one that is told, and whether there are more of them.
fn others(matched: &Pieces, noted: &Noted) -> (Vec<String>, bool) {
    let mut names: Vec<&[u8]> = vec![&noted.variable];
    for at in 0..noted.matched.min(NAMED_OF) {
        let name = matched.name(at);
        if names.contains(&name) {
            continue;
        }
        if names.len() == NAMED {
            return (texts(&names), true);
        }
        names.push(name);
    }
    (texts(&names), noted.matched > NAMED_OF)
}

/// All but the first, as texts.
fn texts(names: &[&[u8]]) -> Vec<String> {
    let cut = |name: &&[u8]| lossy(name.get(..TOLD_BYTES).unwrap_or(name).to_vec());
    names.get(1..).unwrap_or_default().iter().map(cut).collect()
}

/// The text, with what is not UTF-8 replaced. Nearly always it is, which is found out faster than where it is not.
fn lossy(text: Vec<u8>) -> String {
    String::from_utf8(text).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
