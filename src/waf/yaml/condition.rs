//! One test: what is looked at, what is made of it, and what must hold.

use super::actions;
use super::names;
use super::operators::{self, Case, Named, Test};
use super::reader::Reader;
use crate::values::nearest::suggestion;
use crate::values::text::quoted;
use crate::values::yaml::{Key, Node, Place};
use crate::waf::ir::{Action, Link, Number, Operator, Phase, Target, Template};
use crate::waf::transform::Transformation;

/// The keys of a condition beside [`operators::KEYS`].
pub(super) const KEYS: [&str; 7] = ["in", "except", "transform", "case", "capture", "every_step", "not"];
/// What a condition looks at at most.
const MOST_TARGETS: usize = 256;

/// What a pack gives names to, and what its rules say unless they say otherwise.
#[derive(Debug, Default)]
pub(super) struct Context {
    pub(super) named: Named,
    pub(super) targets: Vec<(String, Vec<Target>)>,
    pub(super) transforms: Vec<(String, Vec<Transformation>)>,
    pub(super) transform: Vec<Transformation>,
    pub(super) case: Case,
}

/// What is written of a condition, while it is read.
#[derive(Default)]
pub(super) struct Condition<'n> {
    /// Whether `in` was written, right or wrong.
    looks: bool,
    targets: Vec<Target>,
    excluded: Vec<Target>,
    transform: Option<Vec<Transformation>>,
    case: Option<Case>,
    capture: bool,
    every_step: bool,
    /// Key, value, and whether it must not hold.
    tests: Vec<(&'n Key, &'n Node, bool)>,
    pub(super) actions: Vec<Action>,
}

/// A condition, and from when on it can be told whether it holds.
pub(super) struct Known {
    pub(super) link: Link,
    pub(super) from: Option<Phase>,
}

impl<'n> Condition<'n> {
    /// Takes a key with its value, if it is of a condition.
    pub(super) fn take(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'n Key,
        node: &'n Node,
        context: &Context,
    ) -> bool {
        match key.name.as_str() {
            "in" => {
                self.looks = true;
                self.targets = targets(reader, node, context);
            }
            "except" => {
                self.excluded = targets(reader, node, context);
                self.excluded.iter_mut().for_each(|target| target.excluded = true);
            }
            "transform" => self.transform = Some(transforms(reader, node, context)),
            "case" => self.case = reader.choice(node, &Case::CHOICES),
            "capture" => self.capture = reader.truth(node).unwrap_or_default(),
            "every_step" => self.every_step = reader.truth(node).unwrap_or_default(),
            "not" => {
                for (key, value) in reader.map(node) {
                    if operators::KEYS.contains(&key.name.as_str()) {
                        self.tests.push((key, value, true));
                    } else {
                        reader.unknown(key, operators::KEYS);
                    }
                }
            }
            name if operators::KEYS.contains(&name) => self.tests.push((key, node, false)),
            name if actions::KEYS.contains(&name) => actions::action(reader, key, node, &mut self.actions),
            _ => return false,
        }
        true
    }

    /// Whether anything was said of what to test.
    pub(super) fn is_empty(&self) -> bool {
        !self.looks && self.tests.is_empty()
    }

    /// The condition, if it is one.
    pub(super) fn finish(self, reader: &mut Reader<'_>, at: Place, context: &Context) -> Option<Known> {
        let case = self.case.unwrap_or(context.case);
        let (key, value, negated) = match self.tests.as_slice() {
            [one] => *one,
            [] => {
                reader.fault(at, "what must hold is not said: expected a test such as `matches`");
                return None;
            }
            [_, (second, ..), ..] => {
                reader.fault(
                    second.at,
                    format!("a second test: `{}` goes into a list under `all`", second.name),
                );
                return None;
            }
        };
        let test = operators::test(reader, key, value, case, &context.named)?;
        let (mut targets, mut transformations) = (self.targets, self.transform);
        if targets.is_empty() {
            if !self.looks {
                reader.fault(at, "what to look at is not said: expected `in`");
            }
            return None;
        }
        let operator = match test {
            Test::Of(operator) => operator,
            Test::Exists(there) => {
                let [one] = targets.as_mut_slice() else {
                    reader.fault(value.at, "`exists` asks for one target");
                    return None;
                };
                one.count = true;
                transformations = Some(Vec::new());
                if there { number(Number::GreaterOrEqual, "1") } else { number(Number::Equal, "0") }
            }
        };
        let from = targets.iter().filter_map(names::known_from).max();
        targets.extend(self.excluded);
        let link = Link {
            at: reader.at(key.at),
            targets,
            operator,
            negated,
            transformations: transformations.unwrap_or_else(|| context.transform.clone()),
            multi_match: self.every_step,
            capture: self.capture,
            actions: self.actions,
        };
        Some(Known { link, from })
    }
}

pub(super) fn number(comparison: Number, text: &str) -> Operator {
    Operator::Number(comparison, Template::text(text))
}

/// Reads a condition of a list.
pub(super) fn condition(reader: &mut Reader<'_>, node: &Node, context: &Context) -> Option<Known> {
    let mut condition = Condition::default();
    for (key, value) in reader.map(node) {
        if !condition.take(reader, key, value, context) {
            reader.unknown(key, KEYS.into_iter().chain(operators::KEYS).chain(actions::KEYS));
        }
    }
    condition.finish(reader, node.at, context)
}

/// Targets, and names of the pack's own for several.
pub(super) fn targets(reader: &mut Reader<'_>, node: &Node, context: &Context) -> Vec<Target> {
    let mut found = Vec::new();
    for (text, at) in reader.texts(node) {
        if let Some((_, targets)) = context.targets.iter().find(|(name, _)| name == text) {
            found.extend_from_slice(targets);
            continue;
        }
        let own = context.targets.iter().map(|(name, _)| name.as_str());
        let target = names::target(text).map_err(|what| {
            let near = if what.contains("did you mean") { String::new() } else { suggestion(text, own) };
            format!("{what}{near}")
        });
        found.extend(reader.right(at, target));
    }
    if found.len() > MOST_TARGETS {
        reader.fault(node.at, format!("more than {MOST_TARGETS} targets"));
        found.clear();
    }
    found
}

/// Transformations, and names of the pack's own for several.
pub(super) fn transforms(reader: &mut Reader<'_>, node: &Node, context: &Context) -> Vec<Transformation> {
    let mut found = Vec::new();
    for (text, at) in reader.texts(node) {
        if let Some((_, list)) = context.transforms.iter().find(|(name, _)| name == text) {
            found.extend_from_slice(list);
        } else if let Some((_, one)) = names::TRANSFORMATIONS.iter().find(|(name, _)| *name == text) {
            found.push(*one);
        } else {
            let own = context.transforms.iter().map(|(name, _)| name.as_str());
            let near = suggestion(text, own.chain(names::TRANSFORMATIONS.iter().map(|(name, _)| *name)));
            reader.fault(at, format!("no transformation is called {}{near}", quoted(text)));
        }
    }
    found.retain(|one| *one != Transformation::None);
    found
}
