//! A pack: what it gives names to, what its rules have in common, and the rules.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::actions::{self, ENGINE, SWITCH};
use super::condition;
use super::operators;
use super::reader::Reader;
use super::rule::{self, Item, Made, Pack};
use super::scoring::{self, Amount};
use crate::values::Size;
use crate::values::yaml::{Key, Node};
use crate::waf::ir::{Location, Phase, Program, Settings, Step, Switch};

const KEYS: [&str; 11] = [
    "pack",
    "version",
    "about",
    "ids",
    "settings",
    "targets",
    "transforms",
    "patterns",
    "lists",
    "defaults",
    "rules",
];
const SETTINGS: [&str; 12] = [
    "engine",
    "request_body",
    "response_body",
    "response_types",
    "request_body_limit",
    "response_body_limit",
    "over_request_body_limit",
    "over_response_body_limit",
    "args_limit",
    "json_depth",
    "arg_separator",
    "app",
];
const DEFAULTS: [&str; 5] = ["transform", "case", "severity", "paranoia", "tags"];
const OVER: [(&str, bool); 2] = [("reject", false), ("inspect_prefix", true)];
/// Rules of one pack.
const MOST_RULES: usize = 20_000;

/// Reads a pack and adds it to the program.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node, program: &mut Program) {
    let mut pack = Pack::default();
    let mut rules = None;
    // What is named must be known before it is used, wherever it stands.
    let place = |key: &Key| KEYS.iter().position(|known| *known == key.name);
    let mut entries: Vec<_> = reader.map(node).iter().collect();
    entries.sort_by_key(|(key, _)| place(key));
    for (key, value) in entries {
        match key.name.as_str() {
            "pack" => pack.name = reader.text(value).unwrap_or_default().to_owned(),
            "version" => pack.version = reader.text(value).unwrap_or_default().to_owned(),
            "about" => _ = reader.text(value),
            "ids" => pack.ids = actions::ids(reader, value),
            "settings" => settings(reader, value, &mut program.settings),
            "targets" | "transforms" | "patterns" | "lists" => named(reader, key, value, &mut pack),
            "defaults" => defaults(reader, value, &mut pack),
            "rules" => rules = Some(value),
            _ => reader.unknown(key, KEYS),
        }
    }
    if pack.name.is_empty()
        || !pack.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    {
        reader.fault(node.at, "expected `pack`, a name of letters, digits, - and _");
    }
    let Some(rules) = rules else {
        return reader.fault(node.at, "expected `rules`");
    };
    let items = reader.items(rules);
    if items.len() > MOST_RULES {
        return reader.fault(rules.at, format!("more than {MOST_RULES} rules"));
    }
    let items: Vec<_> = items.iter().filter_map(|item| rule::item(reader, item, &pack)).collect();
    skips(reader, &items);
    let mut steps =
        Steps { pack: &pack.name, at: reader.at(rules.at), all: Vec::new(), group: Vec::new(), groups: 0 };
    let amounts: BTreeSet<_> = items.iter().filter_map(amount).collect();
    steps.all.extend(scoring::prologue(&steps.at, &amounts));
    for item in items {
        steps.push(item);
    }
    steps.close();
    program.steps.append(&mut steps.all);
}

/// Tells of rules that skip nothing: they skip what is of their own phase.
fn skips(reader: &mut Reader<'_>, items: &[Item]) {
    for (item, next) in items.iter().zip(1..) {
        let Item::Rule(made) = item else { continue };
        let Some((name, at)) = &made.skip_to else { continue };
        let after = items.get(next..).unwrap_or_default();
        let end = after.iter().position(|item| matches!(item, Item::Marker(marker) if marker == name));
        let between = end.and_then(|end| after.get(..end)).unwrap_or(after);
        if !between.iter().any(|item| matches!(item, Item::Rule(other) if other.phase == made.phase)) {
            let phase = rule::phase_name(made.phase);
            let what = format!(
                "no rule of the phase {phase}, which this one is of, stands before the marker {name}"
            );
            reader.fault(*at, what);
        }
    }
}

fn amount(item: &Item) -> Option<(Amount, u8)> {
    match item {
        Item::Rule(made) => Some((made.amount?, made.level)),
        Item::Marker(_) => None,
    }
}

/// Rules in order, those of one paranoia level that follow each other behind gates.
struct Steps<'a> {
    pack: &'a str,
    at: Location,
    all: Vec<Step>,
    group: Vec<Made>,
    groups: usize,
}

impl Steps<'_> {
    fn push(&mut self, item: Item) {
        match item {
            Item::Marker(name) => {
                self.close();
                self.all.push(Step::Marker(name));
            }
            Item::Rule(made) => {
                if self.group.last().is_some_and(|last| last.level != made.level) {
                    self.close();
                }
                self.group.push(*made);
            }
        }
    }

    fn close(&mut self) {
        let group = std::mem::take(&mut self.group);
        let level = group.first().map_or(1, |made| made.level);
        let phases: BTreeSet<Phase> = group.iter().map(|made| made.phase).filter(|_| level > 1).collect();
        self.groups += 1;
        let marker = format!("pack/{}/{}", self.pack, self.groups);
        self.all.extend(phases.iter().map(|phase| scoring::gate(&self.at, *phase, level, &marker)));
        self.all.extend(group.into_iter().flat_map(|made| made.steps));
        if !phases.is_empty() {
            self.all.push(Step::Marker(marker.into()));
        }
    }
}

/// Names for what several rules have in common.
fn named(reader: &mut Reader<'_>, key: &Key, node: &Node, pack: &mut Pack) {
    for (name, value) in reader.map(node) {
        let (context, of) = (&mut pack.context, name.name.clone());
        match key.name.as_str() {
            "targets" => {
                let targets = condition::targets(reader, value, context);
                context.targets.push((of, targets));
            }
            "transforms" => {
                let transforms = condition::transforms(reader, value, context);
                context.transforms.push((of, transforms));
            }
            "patterns" => {
                let texts: Vec<_> = reader.texts(value).into_iter().map(|(text, _)| text).collect();
                let text = match texts.as_slice() {
                    [one] => (*one).to_owned(),
                    _ => texts.iter().map(|text| format!("(?:{text})")).collect::<Vec<_>>().join("|"),
                };
                let complete = operators::complete(&text, &context.named.patterns);
                context.named.patterns.extend(reader.right(value.at, complete).map(|text| (of, text)));
            }
            _ => {
                let words = operators::list(reader, value);
                context.named.lists.push((of, words));
            }
        }
    }
}

fn defaults(reader: &mut Reader<'_>, node: &Node, pack: &mut Pack) {
    for (key, value) in reader.map(node) {
        match key.name.as_str() {
            "transform" => pack.context.transform = condition::transforms(reader, value, &pack.context),
            "case" => pack.context.case = reader.choice(value, &operators::Case::CHOICES).unwrap_or_default(),
            "severity" => pack.severity = rule::severity(reader, value),
            "paranoia" => pack.paranoia = rule::paranoia(reader, value),
            "tags" => pack.tags = reader.texts(value).into_iter().map(|(tag, _)| tag.into()).collect(),
            _ => reader.unknown(key, DEFAULTS),
        }
    }
}

fn settings(reader: &mut Reader<'_>, node: &Node, settings: &mut Settings) {
    for (key, value) in reader.map(node) {
        let on = |reader: &mut Reader<'_>| reader.choice(value, &SWITCH).map(|switch| switch == Switch::On);
        match key.name.as_str() {
            "engine" => settings.engine = reader.choice(value, &ENGINE),
            "request_body" => settings.request_body = on(reader).unwrap_or_default(),
            "response_body" => settings.response_body = on(reader).unwrap_or_default(),
            "response_types" => {
                for (kind, at) in reader.texts(value) {
                    reader.right(at, settings.add_response_type(kind));
                }
            }
            "request_body_limit" => settings.request_body_bytes = size(reader, value),
            "response_body_limit" => settings.response_body_bytes = size(reader, value),
            "over_request_body_limit" => {
                settings.request_body_partial = reader.choice(value, &OVER).unwrap_or_default();
            }
            "over_response_body_limit" => {
                settings.response_body_partial = reader.choice(value, &OVER).unwrap_or_default();
            }
            "args_limit" => settings.arguments = count(reader, value),
            "json_depth" => settings.json_depth = count(reader, value),
            "arg_separator" => match reader.text(value).map(str::as_bytes) {
                Some([separator]) => settings.argument_separator = *separator,
                Some(_) => reader.fault(value.at, "expected one character"),
                None => {}
            },
            "app" => settings.web_app = reader.text(value).unwrap_or_default().into(),
            _ => reader.unknown(key, SETTINGS),
        }
    }
}

fn count(reader: &mut Reader<'_>, node: &Node) -> Option<usize> {
    reader.number(node, 1, 1_000_000).and_then(|count| count.try_into().ok())
}

fn size(reader: &mut Reader<'_>, node: &Node) -> Option<usize> {
    let text = reader.text(node)?;
    let size = Size::from_str(text).map_err(|error| error.to_string());
    reader.right(node.at, size).map(Size::as_usize)
}
