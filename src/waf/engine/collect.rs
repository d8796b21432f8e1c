//! From a target to the values it stands for.

use super::found::{At, Found};
use super::lasting::Lasting;
use super::plan::{Members, Plan, PlannedTarget};
use super::state::State;
use super::tx::TxRef;
use super::values::{Base, ValueRef};
use crate::waf::ir::Variable;
use crate::waf::meter::byte_ns;

/// How a variable is stored.
pub(super) enum Stored {
    /// Values of members.
    Values(&'static [Base]),
    /// Names of members.
    Names(&'static [Base]),
    /// One value, set when it is known.
    Single,
    /// Not among the values of the request: made when it is asked for.
    Elsewhere,
}

/// Where values of a variable are.
pub(super) const fn stored(variable: Variable) -> Stored {
    use Stored::{Elsewhere, Names, Single};
    use Variable as V;
    const ARGS: &[Base] = &[Base::ArgGet, Base::ArgPost];
    match variable {
        V::Args => Stored::Values(ARGS),
        V::ArgsGet => Stored::Values(&[Base::ArgGet]),
        V::ArgsPost => Stored::Values(&[Base::ArgPost]),
        V::ArgsNames => Names(ARGS),
        V::ArgsGetNames => Names(&[Base::ArgGet]),
        V::ArgsPostNames => Names(&[Base::ArgPost]),
        V::RequestHeaders => Stored::Values(&[Base::RequestHeader]),
        V::RequestHeadersNames => Names(&[Base::RequestHeader]),
        V::RequestCookies => Stored::Values(&[Base::RequestCookie]),
        V::RequestCookiesNames => Names(&[Base::RequestCookie]),
        V::ResponseHeaders => Stored::Values(&[Base::ResponseHeader]),
        V::ResponseHeadersNames => Names(&[Base::ResponseHeader]),
        V::Files => Stored::Values(&[Base::File]),
        V::FilesNames => Names(&[Base::File]),
        V::FilesSizes => Stored::Values(&[Base::FileSize]),
        V::FilesTmpContent => Stored::Values(&[Base::FileContent]),
        V::MultipartPartHeaders => Stored::Values(&[Base::PartHeader]),
        V::MultipartName => Stored::Values(&[Base::PartName]),
        V::MultipartFilename => Stored::Values(&[Base::PartFilename]),
        V::Xml => Stored::Values(&[Base::XmlText]),
        V::XmlAttributes => Stored::Values(&[Base::XmlAttribute]),
        V::Duration
        | V::Env
        | V::FullRequest
        | V::FullRequestLength
        | V::Geo
        | V::Global
        | V::HighestSeverity
        | V::Ip
        | V::MatchedVar
        | V::MatchedVarName
        | V::MatchedVars
        | V::MatchedVarsNames
        | V::Resource
        | V::Rule
        | V::Session
        | V::SessionId
        | V::Time
        | V::TimeDay
        | V::TimeEpoch
        | V::TimeHour
        | V::TimeMin
        | V::TimeMon
        | V::TimeSec
        | V::TimeWday
        | V::TimeYear
        | V::Tx
        | V::User
        | V::UserId => Elsewhere,
        _ => Single,
    }
}

/// Appends the target's values to `state.found`. With `only`, those alone that the prefilter found for this bit.
pub(super) fn collect(
    state: &mut State,
    plan: &Plan,
    lasting: &Lasting,
    target: &PlannedTarget,
    only: Option<u16>,
) {
    let variable = target.variable;
    if let Some(bit) = only {
        return found_before(state, plan, target, bit);
    }
    match stored(variable) {
        Stored::Single => {
            let at = ValueRef::Single(variable);
            if state.values.single(variable).is_some() {
                state.found.push(Found { variable, at: At::Stored(at) });
            }
        }
        Stored::Values(bases) => named(state, plan, target, bases, ValueRef::Value),
        Stored::Names(bases) => named(state, plan, target, bases, ValueRef::Name),
        Stored::Elsewhere => elsewhere(state, plan, lasting, target),
    }
}

fn named(
    state: &mut State,
    plan: &Plan,
    target: &PlannedTarget,
    bases: &[Base],
    reference: impl Fn(u32) -> ValueRef,
) {
    let State { values, found, caches, .. } = state;
    for base in bases {
        for at in values.of(*base) {
            let at = reference(*at);
            if matches!(target.members, Members::All)
                || State::has(plan, caches, target, target.variable, values.name(at))
            {
                found.push(Found { variable: target.variable, at: At::Stored(at) });
            }
        }
    }
}

/// The same values, of those that the prefilter found, in the same order.
fn found_before(state: &mut State, plan: &Plan, target: &PlannedTarget, bit: u16) {
    let State { values, found, caches, findings, .. } = state;
    let variable = target.variable;
    for at in findings.of(bit) {
        let belongs = match (at, stored(variable)) {
            (ValueRef::Single(single), Stored::Single) => single == variable,
            (ValueRef::Value(named), Stored::Values(bases))
            | (ValueRef::Name(named), Stored::Names(bases)) => {
                values.named(named).is_some_and(|named| bases.contains(&named.base))
                    && (matches!(target.members, Members::All)
                        || State::has(plan, caches, target, variable, values.name(at)))
            }
            _ => false,
        };
        if belongs {
            found.push(Found { variable, at: At::Stored(at) });
        }
    }
}

fn elsewhere(state: &mut State, plan: &Plan, lasting: &Lasting, target: &PlannedTarget) {
    use Variable as V;
    let variable = target.variable;
    match variable {
        V::Tx => transaction(state, plan, target),
        V::MatchedVar => push(state, variable, b"", |state| state.last_value.clone()),
        V::MatchedVarName => push(state, variable, b"", |state| state.last_name.clone()),
        V::MatchedVars | V::MatchedVarsNames => matched(state, plan, target),
        V::Ip | V::Global | V::Session | V::User | V::Resource => lasts(state, plan, lasting, target),
        V::SessionId => begun(state, variable, V::Session),
        V::UserId => begun(state, variable, V::User),
        V::Env => {
            let all = std::mem::take(&mut state.environment);
            for (name, value) in &all {
                push_member(state, plan, target, name.as_bytes(), value);
            }
            state.environment = all;
        }
        V::Rule => rule(state, plan, target),
        V::FullRequest => push(state, variable, b"", full_request),
        V::FullRequestLength => {
            push(state, variable, b"", |state| full_request(state).len().to_string().into_bytes());
        }
        V::HighestSeverity => push(state, variable, b"", |state| {
            let severity = state.highest_severity.map_or(255, |severity| severity as usize);
            severity.to_string().into_bytes()
        }),
        V::Duration => push(state, variable, b"", |state| {
            state.caches.meter.unix_ms().saturating_sub(state.started_ms).to_string().into_bytes()
        }),
        _ => {
            let text = super::clock::part(variable, state.unix_seconds());
            push(state, variable, b"", |_| text.into_bytes());
        }
    }
}

/// Line, headers and body, as far as they are known.
fn full_request(state: &State) -> Vec<u8> {
    let values = &state.values;
    let line = values.single(Variable::RequestLine).map_or(&b""[..], |line| values.text(line));
    let mut text = [line, b"\r\n"].concat();
    for header in values.of(Base::RequestHeader).iter().filter_map(|at| values.named(*at)) {
        for part in [values.text(header.name), b": ", values.text(header.value), b"\r\n"] {
            text.extend_from_slice(part);
        }
    }
    text.extend_from_slice(b"\r\n");
    text.extend_from_slice(&values.request_body);
    text
}

/// By which key the collection was begun, if it was.
fn begun(state: &mut State, variable: Variable, collection: Variable) {
    let key = state.begun.iter().find(|begun| begun.variable == collection).map(|begun| begun.key.clone());
    if let Some(key) = key {
        push(state, variable, b"", |_| key);
    }
}

fn push(state: &mut State, variable: Variable, name: &[u8], value: impl FnOnce(&State) -> Vec<u8>) {
    let value = value(state);
    if !state.caches.meter.spend(value.len() * byte_ns::TRANSFORM) {
        return;
    }
    if let Some(at) = state.pieces.push(name, &value) {
        state.found.push(Found { variable, at: At::Piece(at) });
    }
}

fn push_member(state: &mut State, plan: &Plan, target: &PlannedTarget, name: &[u8], value: &[u8]) {
    if !State::has(plan, &mut state.caches, target, target.variable, name) {
        return;
    }
    if let Some(at) = state.pieces.push(name, value) {
        state.found.push(Found { variable: target.variable, at: At::Piece(at) });
    }
}

fn transaction(state: &mut State, plan: &Plan, target: &PlannedTarget) {
    let State { tx, found, caches, .. } = state;
    let tell = |at| Found { variable: Variable::Tx, at: At::Tx(at) };
    let has = |at: &TxRef| State::has(plan, caches, target, Variable::Tx, tx.name(plan, *at));
    match &target.members {
        Members::Slot(slot) if tx.get(*slot).is_some() => found.push(tell(TxRef::Slot(*slot))),
        Members::Slot(_) => {}
        Members::Named(name) => found.extend(tx.find(plan, name).map(tell)),
        Members::All => found.extend(tx.slots().chain(tx.members()).map(tell)),
        Members::Slots(_, slots) => {
            let slots = slots.iter().filter(|slot| tx.get(**slot).is_some());
            found.extend(slots.map(|slot| tell(TxRef::Slot(*slot))));
            found.extend(tx.members().filter(has).map(tell));
        }
        Members::Matching(_) => found.extend(tx.slots().chain(tx.members()).filter(has).map(tell)),
    }
}

fn matched(state: &mut State, plan: &Plan, target: &PlannedTarget) {
    let all = std::mem::take(&mut state.matched);
    for at in 0..u32::try_from(all.len()).unwrap_or(u32::MAX) {
        let name = all.name(at);
        let value = if target.variable == Variable::MatchedVars { all.value(at) } else { name };
        push_member(state, plan, target, name, value);
    }
    state.matched = all;
}

/// The members of a collection that lasts; what it has of itself to whoever asks by name.
fn lasts(state: &mut State, plan: &Plan, lasting: &Lasting, target: &PlannedTarget) {
    let all = std::mem::take(&mut state.begun);
    if let Some(begun) = all.iter().find(|begun| begun.variable == target.variable) {
        let now = state.unix_seconds();
        let before = state.found.len();
        lasting.each(begun, now, |name, value| push_member(state, plan, target, name, value));
        if let Members::Named(name) = &target.members
            && state.found.len() == before
            && let Some(value) = lasting.own(begun, name, now)
        {
            push_member(state, plan, target, name, &value);
        }
    }
    state.begun = all;
}

fn rule(state: &mut State, plan: &Plan, target: &PlannedTarget) {
    let Some(rule) = plan.rules.get(state.rule as usize) else { return };
    let severity = rule.severity.map_or(String::new(), |severity| (severity as u8).to_string());
    push_member(state, plan, target, b"id", rule.id.to_string().as_bytes());
    push_member(state, plan, target, b"ver", rule.version.as_bytes());
    push_member(state, plan, target, b"rev", rule.revision.as_bytes());
    push_member(state, plan, target, b"severity", severity.as_bytes());
    push_member(state, plan, target, b"msg", rule.message.as_text().unwrap_or_default());
    push_member(state, plan, target, b"logdata", rule.data.as_text().unwrap_or_default());
}
