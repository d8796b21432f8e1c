//! One rule: its conditions, what it is about, and what follows from it.

use super::actions;
use super::condition::{self, Condition, Context, Known};
use super::names;
use super::operators;
use super::reader::Reader;
use super::scoring::{self, Amount};
use crate::values::text::quoted;
use crate::values::yaml::{Key, Node, Place, Value};
use crate::waf::ir::{Disruptive, Link, Meta, Operator, Phase, Rule, Severity, Step, Template};

/// The keys of a rule beside those of a condition.
const KEYS: [&str; 17] = [
    "id", "message", "data", "severity", "score", "action", "status", "log", "audit", "tags", "revision",
    "paranoia", "phase", "all", "unless", "always", "skip_to",
];
const PHASES: [(&str, Phase); 5] = [
    ("request_headers", Phase::RequestHeaders),
    ("request_body", Phase::RequestBody),
    ("response_headers", Phase::ResponseHeaders),
    ("response_body", Phase::ResponseBody),
    ("logging", Phase::Logging),
];
const SEVERITIES: [(&str, Severity); 8] = [
    ("emergency", Severity::Emergency),
    ("alert", Severity::Alert),
    ("critical", Severity::Critical),
    ("error", Severity::Error),
    ("warning", Severity::Warning),
    ("notice", Severity::Notice),
    ("info", Severity::Info),
    ("debug", Severity::Debug),
];
type Make = fn() -> Wanted;
/// What `action` may say, beside a redirect.
const ACTIONS: [(&str, Make); 7] = [
    ("score", || Wanted::Score),
    ("pass", || Wanted::This(Disruptive::Pass)),
    ("deny", || Wanted::This(Disruptive::Deny)),
    ("drop", || Wanted::This(Disruptive::Drop)),
    ("allow", || Wanted::This(Disruptive::Allow)),
    ("allow_phase", || Wanted::This(Disruptive::AllowPhase)),
    ("allow_request", || Wanted::This(Disruptive::AllowRequest)),
];
/// Conditions of one rule.
const MOST_CONDITIONS: usize = 64;
const LARGEST_ID: u32 = 999_999_999;

/// What a pack says of its rules.
#[derive(Debug, Default)]
pub(super) struct Pack {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) ids: Option<(u64, u64)>,
    pub(super) severity: Option<Severity>,
    pub(super) paranoia: Option<u8>,
    pub(super) tags: Vec<Box<str>>,
    pub(super) context: Context,
}

/// What a rule came to.
pub(super) struct Made {
    pub(super) level: u8,
    pub(super) phase: Phase,
    pub(super) amount: Option<Amount>,
    /// The marker that it skips to, and where that is written.
    pub(super) skip_to: Option<(Box<str>, Place)>,
    pub(super) steps: Vec<Step>,
}

/// What an item of the list of rules is.
pub(super) enum Item {
    Rule(Box<Made>),
    Marker(Box<str>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Score,
    This(Disruptive),
}

/// What is written of a rule, while it is read.
#[derive(Default)]
struct Draft<'n> {
    condition: Condition<'n>,
    all: Option<&'n Node>,
    unless: Option<&'n Node>,
    always: bool,
    id: Option<(u64, Place)>,
    phase: Option<(Phase, Place)>,
    message: Template,
    data: Template,
    severity: Option<Severity>,
    score: Option<u32>,
    action: Option<Wanted>,
    status: Option<u16>,
    log: Option<bool>,
    audit: Option<bool>,
    tags: Vec<Box<str>>,
    revision: Option<Box<str>>,
    paranoia: Option<u8>,
    skip_to: Option<(Box<str>, Place)>,
}

/// Reads an item of the list of rules.
pub(super) fn item(reader: &mut Reader<'_>, node: &Node, pack: &Pack) -> Option<Item> {
    let entries = reader.map(node);
    if let [(key, name)] = entries
        && key.name == "marker"
    {
        return reader.text(name).map(|name| Item::Marker(name.into()));
    }
    if let Some((key, _)) = entries.iter().find(|(key, _)| key.name == "marker") {
        reader
            .fault(key.at, "a marker has a name and nothing else: the rule beside it is an item of its own");
        return None;
    }
    let before = reader.faults();
    let mut draft = Draft::default();
    for (key, value) in entries {
        let known = draft.about(reader, key, value)
            || draft.follows(reader, key, value)
            || draft.condition.take(reader, key, value, &pack.context);
        if !known {
            let condition = condition::KEYS.into_iter().chain(operators::KEYS).chain(actions::KEYS);
            reader.unknown(key, KEYS.into_iter().chain(condition));
        }
    }
    draft.finish(reader, (node.at, before), pack).map(|made| Item::Rule(Box::new(made)))
}

fn template(reader: &mut Reader<'_>, node: &Node) -> Template {
    let text = reader.text(node).unwrap_or_default();
    reader.right(node.at, names::template(text)).unwrap_or_default()
}

impl<'n> Draft<'n> {
    /// What a rule says of itself.
    fn about(&mut self, reader: &mut Reader<'_>, key: &Key, node: &'n Node) -> bool {
        match key.name.as_str() {
            "id" => self.id = reader.number(node, 1, LARGEST_ID).map(|id| (id.into(), node.at)),
            "message" => self.message = template(reader, node),
            "data" => self.data = template(reader, node),
            "severity" => self.severity = reader.choice(node, &SEVERITIES),
            "log" => self.log = reader.truth(node),
            "audit" => self.audit = reader.truth(node),
            "tags" => self.tags = reader.texts(node).into_iter().map(|(tag, _)| tag.into()).collect(),
            "revision" => self.revision = reader.text(node).map(Into::into),
            "paranoia" => self.paranoia = paranoia(reader, node),
            "phase" => self.phase = reader.choice(node, &PHASES).map(|phase| (phase, node.at)),
            _ => return false,
        }
        true
    }

    /// Its conditions, and what follows from them.
    fn follows(&mut self, reader: &mut Reader<'_>, key: &Key, node: &'n Node) -> bool {
        match key.name.as_str() {
            "all" => self.all = Some(node),
            "unless" => self.unless = Some(node),
            "always" => self.always = reader.affirmed(node).is_some(),
            "score" => self.score = reader.number(node, 1, 1000),
            "action" => self.action = action(reader, node),
            "status" => self.status = reader.number(node, 300, 599).and_then(|status| status.try_into().ok()),
            "skip_to" => self.skip_to = reader.text(node).map(|name| (name.into(), node.at)),
            _ => return false,
        }
        true
    }

    /// The rule. `before` is how much was wrong before it was read.
    fn finish(mut self, reader: &mut Reader<'_>, (at, before): (Place, usize), pack: &Pack) -> Option<Made> {
        let id = self.id(reader, at, pack);
        let unless = self.unless.take().map_or_else(Vec::new, |node| conditions(reader, node, pack));
        let mut known = self.conditions(reader, at, pack);
        let from = known.iter().chain(&unless).filter_map(|known| known.from).max();
        // Of a condition that is wrong, which is told, it is not known when it would hold.
        let tells = self.phase.is_some() || from.is_some() || reader.faults() == before;
        let phase = if tells { self.phase(reader, at, from) } else { None };
        let (id, phase) = (id?, phase?);
        let place = reader.at(at);
        let mut steps = Vec::new();
        let noted = format!("edgeward_unless_{id}");
        if !unless.is_empty() {
            let notes = unless.into_iter().map(|known| scoring::note(phase, vec![known.link], &noted));
            steps.extend(notes);
            known.push(Known { link: scoring::unless_noted(&place, &noted), from: None });
        }
        let severity = self.severity.or(pack.severity);
        let level = self.paranoia.or(pack.paranoia).unwrap_or(1);
        let amount = self.score.map(Amount::Points).or_else(|| severity.and_then(Amount::of));
        let amount =
            amount.filter(|_| phase != Phase::Logging && matches!(self.action, None | Some(Wanted::Score)));
        if self.action == Some(Wanted::Score) && amount.is_none() {
            reader.fault(at, "the action is score, and neither `severity` nor `score` says how much");
        }
        self.check_answer(reader, at);
        let by_default = self.action.is_none() && self.severity.is_none() && self.score.is_none();
        let is_right = reader.faults() == before;
        if is_right && amount.is_some() && by_default && self.log.is_none() && self.message.pieces.is_empty()
        {
            reader.fault(
                at,
                "the rule adds the score of the pack's `defaults` and has no message to say why: give it one, or `action: pass`",
            );
        }
        let skip_to = self.skip_to.clone();
        let mut links: Vec<Link> = known.into_iter().map(|known| known.link).collect();
        if let (Some(amount), Some(last)) = (amount, links.last_mut()) {
            last.actions.push(scoring::add(phase, amount, level));
        }
        let meta = self.meta(id, phase, severity, level, pack);
        steps.push(Step::Rule(Box::new(Rule { meta, links })));
        Some(Made { level, phase, amount, skip_to, steps })
    }

    /// What is said of an answer that the rule does not give, or of a score that it does not add.
    fn check_answer(&self, reader: &mut Reader<'_>, at: Place) {
        use Disruptive::{Deny, Redirect};
        let answers = matches!(self.action, Some(Wanted::This(Deny | Redirect(_))));
        if self.status.is_some() && !answers {
            reader.fault(at, "`status` is for `action: deny` and for redirects");
        }
        if self.score.is_some() && !matches!(self.action, None | Some(Wanted::Score)) {
            reader.fault(at, "`score` is for rules without an `action`");
        }
    }

    fn id(&self, reader: &mut Reader<'_>, at: Place, pack: &Pack) -> Option<u64> {
        let Some((id, place)) = self.id else {
            reader.fault(at, "the rule has no id");
            return None;
        };
        if let Some((first, last)) = pack.ids.filter(|(first, last)| !(*first..=*last).contains(&id)) {
            reader.fault(place, format!("id {id} is not within the pack's ids, {first}-{last}"));
        }
        if scoring::JUDGES.contains(&id) {
            reader.fault(place, format!("ids from {} are for the rules that refuse", scoring::JUDGES.start));
        }
        Some(id)
    }

    fn conditions(&mut self, reader: &mut Reader<'_>, at: Place, pack: &Pack) -> Vec<Known> {
        let mut own = std::mem::take(&mut self.condition);
        if self.all.is_none() && !self.always {
            return own.finish(reader, at, &pack.context).into_iter().collect();
        }
        if !own.is_empty() {
            reader.fault(at, "`in` and the test stand beside `all` or `always`: put them under `all`");
        }
        let mut known = match self.all {
            Some(node) => conditions(reader, node, pack),
            None => vec![Known { link: always(reader, at), from: None }],
        };
        if let Some(last) = known.last_mut() {
            last.link.actions.append(&mut own.actions);
        }
        known
    }

    fn phase(&self, reader: &mut Reader<'_>, at: Place, from: Option<Phase>) -> Option<Phase> {
        match (self.phase, from) {
            (Some((phase, place)), Some(from)) if phase < from => {
                let what = format!("what the rule looks at is not known before phase {}", phase_name(from));
                reader.fault(place, what);
                None
            }
            (Some((phase, _)), _) => Some(phase),
            (None, Some(from)) => Some(from),
            (None, None) => {
                let names = PHASES.map(|(name, _)| name).join(", ");
                reader.fault(at, format!("when the rule runs does not follow from what it looks at: expected `phase`, one of {names}"));
                None
            }
        }
    }

    fn meta(self, id: u64, phase: Phase, severity: Option<Severity>, level: u8, pack: &Pack) -> Meta {
        let disruptive = match self.action {
            Some(Wanted::This(disruptive)) => disruptive,
            Some(Wanted::Score) | None => Disruptive::Pass,
        };
        let redirects = matches!(disruptive, Disruptive::Redirect(_));
        let log = self.log.unwrap_or(!self.message.pieces.is_empty());
        let mut tags = pack.tags.clone();
        tags.extend(self.tags);
        tags.push(format!("pack/{}", pack.name).into());
        tags.push(format!("paranoia-level/{level}").into());
        Meta {
            id,
            phase,
            disruptive,
            status: self.status.unwrap_or(if redirects { 302 } else { 403 }),
            log,
            audit: self.audit.unwrap_or(log),
            message: self.message,
            data: self.data,
            // What is quiet leaves no trace: a severity would be one.
            severity: severity.filter(|_| log),
            tags,
            version: pack.version.as_str().into(),
            revision: self.revision.unwrap_or_default(),
            skip: 0,
            skip_after: self.skip_to.map(|(name, _)| name),
        }
    }
}

/// What a policy calls a phase.
pub(super) fn phase_name(phase: Phase) -> &'static str {
    PHASES.iter().find(|(_, known)| *known == phase).map_or("", |(name, _)| name)
}

pub(super) fn paranoia(reader: &mut Reader<'_>, node: &Node) -> Option<u8> {
    reader.number(node, 1, scoring::MOST_PARANOID.into()).and_then(|level| level.try_into().ok())
}

pub(super) fn severity(reader: &mut Reader<'_>, node: &Node) -> Option<Severity> {
    reader.choice(node, &SEVERITIES)
}

fn conditions(reader: &mut Reader<'_>, node: &Node, pack: &Pack) -> Vec<Known> {
    let items = reader.items(node);
    if items.len() > MOST_CONDITIONS {
        reader.fault(node.at, format!("more than {MOST_CONDITIONS} conditions"));
    }
    items
        .iter()
        .take(MOST_CONDITIONS)
        .filter_map(|item| condition::condition(reader, item, &pack.context))
        .collect()
}

fn always(reader: &Reader<'_>, at: Place) -> Link {
    Link {
        at: reader.at(at),
        targets: Vec::new(),
        operator: Operator::Always,
        negated: false,
        transformations: Vec::new(),
        multi_match: false,
        capture: false,
        actions: Vec::new(),
    }
}

/// `deny`, or `redirect: URL`.
fn action(reader: &mut Reader<'_>, node: &Node) -> Option<Wanted> {
    if let Value::Map(entries) = &node.value {
        return match entries.as_slice() {
            [(key, value)] if key.name == "redirect" => {
                Some(Wanted::This(Disruptive::Redirect(template(reader, value))))
            }
            [(key, _), ..] => {
                reader.fault(key.at, format!("expected redirect: URL, found {}", quoted(&key.name)));
                None
            }
            [] => None,
        };
    }
    reader.choice(node, &ACTIONS).map(|action| action())
}
