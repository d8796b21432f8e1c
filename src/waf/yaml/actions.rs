//! What rules do: variables, collections that last, and what changes for the rest of the request.

use std::num::NonZeroU64;
use std::str::FromStr;

use super::names;
use super::reader::Reader;
use crate::values::Duration;
use crate::values::nearest::suggestion;
use crate::values::text::quoted;
use crate::values::yaml::{Key, Node, Place, Value};
use crate::waf::body::content_type::Processor;
use crate::waf::ir::{
    Action, Control, EngineState, RuleSet, Selector, SetVariable, Switch, Template, Update, Variable,
};

/// The keys that are actions.
pub(super) const KEYS: [&str; 10] =
    ["set", "add", "subtract", "unset", "expire", "decay", "track", "env", "conceal", "control"];
const CONTROLS: [&str; 7] =
    ["remove", "engine", "body_format", "keep_body", "request_body", "response_body", "audit"];
const REMOVAL: [&str; 4] = ["rules", "tag", "message", "target"];
pub(super) const SWITCH: [(&str, Switch); 2] = [("on", Switch::On), ("off", Switch::Off)];
pub(super) const ENGINE: [(&str, EngineState); 3] =
    [("on", EngineState::On), ("off", EngineState::Off), ("detect", EngineState::DetectionOnly)];
const FORMATS: [(&str, Processor); 4] = [
    ("json", Processor::Json),
    ("xml", Processor::Xml),
    ("form", Processor::UrlEncoded),
    ("multipart", Processor::Multipart),
];

/// Reads an action, whose key is one of [`KEYS`].
pub(super) fn action(reader: &mut Reader<'_>, key: &Key, node: &Node, found: &mut Vec<Action>) {
    if key.name == "unset" {
        let names = reader.texts(node).into_iter();
        return found.extend(names.filter_map(|(name, at)| match name.strip_prefix("env.") {
            Some(name) if !name.is_empty() => Some(Action::Environment(name.into(), None)),
            _ => change(reader, name, at, Update::Remove),
        }));
    }
    if key.name == "conceal" {
        let names = reader.texts(node).into_iter();
        return found.extend(names.filter_map(|(name, at)| conceal(reader, name, at)));
    }
    for (name, value) in reader.map(node) {
        let action = match key.name.as_str() {
            "set" => template(reader, value)
                .and_then(|text| change(reader, &name.name, name.at, Update::Set(text))),
            "add" => template(reader, value)
                .and_then(|text| change(reader, &name.name, name.at, Update::Add(text))),
            "subtract" => template(reader, value)
                .and_then(|text| change(reader, &name.name, name.at, Update::Subtract(text))),
            "expire" => expire(reader, name, value),
            "decay" => decay(reader, name, value),
            "track" => track(reader, name, value),
            "env" => {
                template(reader, value).map(|text| Action::Environment(name.name.as_str().into(), Some(text)))
            }
            _ => {
                control(reader, name, value, found);
                None
            }
        };
        found.extend(action);
    }
}

fn template(reader: &mut Reader<'_>, node: &Node) -> Option<Template> {
    if let Value::Integer(number) = &node.value {
        return Some(Template::text(number.to_string()));
    }
    let text = reader.text(node)?;
    reader.right(node.at, names::template(text))
}

fn change(reader: &mut Reader<'_>, name: &str, at: Place, update: Update) -> Option<Action> {
    let (collection, name) = reader.right(at, names::variable(name))?;
    Some(Action::Set(SetVariable { collection, name, update }))
}

/// A variable that lasts longer than the request.
fn lasting(reader: &mut Reader<'_>, name: &Key) -> Option<(Variable, Template)> {
    let found = reader.right(name.at, names::variable(&name.name))?;
    if found.0 == Variable::Tx {
        reader.fault(name.at, "tx is over with the request: nothing in it expires");
        return None;
    }
    Some(found)
}

fn expire(reader: &mut Reader<'_>, name: &Key, value: &Node) -> Option<Action> {
    let (collection, variable) = lasting(reader, name)?;
    let duration = match &value.value {
        Value::Text(text) => Duration::from_str(text).map_err(|error| error.to_string()),
        other => Err(format!("expected a time such as 60s, found {}", other.kind())),
    };
    let seconds = reader.right(value.at, duration)?.as_secs().max(1);
    Some(Action::Expire(collection, variable, Template::text(seconds.to_string())))
}

/// `{ ip.score: 5/60s }`: 5 less for each minute in which nothing was written.
fn decay(reader: &mut Reader<'_>, name: &Key, value: &Node) -> Option<Action> {
    let (collection, variable) = lasting(reader, name)?;
    let text = if let Value::Text(text) = &value.value { text.as_str() } else { "" };
    let (amount, period) = text.split_once('/').unwrap_or_default();
    let seconds = Duration::from_str(period.trim()).ok().and_then(|period| NonZeroU64::new(period.as_secs()));
    let by = amount.trim().parse().ok().zip(seconds);
    let by =
        reader.right(value.at, by.ok_or_else(|| "expected an amount and a time such as 5/60s".to_owned()))?;
    Some(Action::Decay(collection, variable, by))
}

/// `args.card`, or `matched`, which is what the test matched.
fn conceal(reader: &mut Reader<'_>, name: &str, at: Place) -> Option<Action> {
    if name == "matched" {
        return Some(Action::ConcealMatched);
    }
    let target = reader.right(at, names::target(name))?;
    match target.selector {
        Selector::Name(member) if !target.count => Some(Action::Conceal(target.variable, member)),
        _ => {
            reader.fault(at, "expected matched, or one member such as args.card");
            None
        }
    }
}

/// `ip: "%{client.ip}"`: which of those that last is meant from here on.
fn track(reader: &mut Reader<'_>, name: &Key, value: &Node) -> Option<Action> {
    let known = names::SETTABLE.iter().skip(1);
    let found = known.clone().find(|(known, _)| *known == name.name);
    let near = suggestion(&name.name, known.map(|(known, _)| *known));
    let found =
        found.ok_or_else(|| format!("no collection that lasts is called {}{near}", quoted(&name.name)));
    let (_, collection) = reader.right(name.at, found)?;
    Some(Action::Begin(*collection, template(reader, value)?))
}

fn control(reader: &mut Reader<'_>, name: &Key, value: &Node, found: &mut Vec<Action>) {
    let control = match name.name.as_str() {
        "remove" => {
            for item in reader.items(value) {
                found.extend(removal(reader, item).map(Action::Control));
            }
            None
        }
        "engine" => reader.choice(value, &ENGINE).map(Control::Engine),
        "body_format" => reader.choice(value, &FORMATS).map(Control::BodyProcessor),
        "keep_body" => reader.choice(value, &SWITCH).map(Control::ForceRequestBody),
        "request_body" => reader.choice(value, &SWITCH).map(Control::RequestBody),
        "response_body" => reader.choice(value, &SWITCH).map(Control::ResponseBody),
        "audit" => reader.choice(value, &SWITCH).map(|switch| Control::Audit(Some(switch))),
        _ => {
            reader.unknown(name, CONTROLS);
            None
        }
    };
    found.extend(control.map(Action::Control));
}

/// `{ rules: 942100-942199 }`, `{ tag: attack-sqli, target: args.comment }`.
fn removal(reader: &mut Reader<'_>, node: &Node) -> Option<Control> {
    let (mut sets, mut target) = (Vec::new(), None);
    for (key, value) in reader.map(node) {
        match key.name.as_str() {
            "rules" => sets.extend(ids(reader, value).map(|(first, last)| RuleSet::Ids(first, last))),
            "tag" => {
                let tag = RuleSet::tag(&exactly(reader.text(value)?));
                sets.extend(reader.right(value.at, tag));
            }
            "message" => {
                let message = RuleSet::message(&exactly(reader.text(value)?));
                sets.extend(reader.right(value.at, message));
            }
            "target" => {
                let text = reader.text(value)?;
                target = Some(reader.right(value.at, names::target(text))?);
            }
            _ => reader.unknown(key, REMOVAL),
        }
    }
    match (sets.pop(), sets.is_empty(), target) {
        (Some(set), true, None) => Some(Control::RemoveRules(set)),
        (Some(set), true, Some(target)) => Some(Control::RemoveTarget(set, target)),
        _ => {
            reader.fault(node.at, "expected one of rules, tag and message, and perhaps a target");
            None
        }
    }
}

fn exactly(text: &str) -> String {
    format!("^{}$", regex::escape(text))
}

/// `942100` or `942100-942199`.
pub(super) fn ids(reader: &mut Reader<'_>, node: &Node) -> Option<(u64, u64)> {
    let range = match &node.value {
        Value::Integer(id) => u64::try_from(*id).ok().map(|id| (id, id)),
        Value::Text(text) => text
            .split_once('-')
            .and_then(|(first, last)| Some((first.trim().parse().ok()?, last.trim().parse().ok()?))),
        _ => None,
    };
    let range = range.filter(|(first, last)| first <= last);
    reader.right(
        node.at,
        range.ok_or_else(|| {
            format!("expected an id or a range such as 942100-942199, found {}", node.value.kind())
        }),
    )
}
