//! Scores, as the Core Rule Set counts them, and paranoia levels.
//!
//! A rule that matches adds to one score for requests or one for responses, and rules at the end of each phase refuse what
//! has reached the threshold. They add what the Core Rule Set found, if it is there, whatever the order of the rules. Names
//! of variables and their defaults are the Core Rule Set's, so that one setting is for both.

use std::collections::BTreeSet;

use crate::waf::ir::{
    Action, Disruptive, Link, Location, Meta, Number, Operator, Phase, Rule, Selector, SetVariable, Severity,
    Step, Target, Template, Update, Variable,
};

/// Ids of the rules that refuse, for phases 1 to 4. No pack may use what is in this thousand.
pub(super) const JUDGES: std::ops::Range<u64> = 9_599_000..9_600_000;
/// The highest paranoia level.
pub(super) const MOST_PARANOID: u8 = 4;
/// Where the score is that a request or response was refused for, with what the Core Rule Set found.
const TOTAL: &str = "edgeward_score";
const DETECTION: &str = "detection_paranoia_level";
const BLOCKING: &str = "blocking_paranoia_level";
/// The Core Rule Set's settings with their defaults.
const DEFAULTS: [(&str, &str); 8] = [
    (BLOCKING, "1"),
    (DETECTION, "%blocking_paranoia_level"),
    ("critical_anomaly_score", "5"),
    ("error_anomaly_score", "4"),
    ("warning_anomaly_score", "3"),
    ("notice_anomaly_score", "2"),
    ("inbound_anomaly_score_threshold", "5"),
    ("outbound_anomaly_score_threshold", "4"),
];

/// What a match adds to a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Amount {
    /// What the settings say of this severity: critical, error, warning or notice.
    Severity(&'static str),
    Points(u32),
}

impl Amount {
    /// What the settings say of a severity; nothing for those that count nothing.
    pub(super) const fn of(severity: Severity) -> Option<Self> {
        Some(Self::Severity(match severity {
            Severity::Emergency | Severity::Alert | Severity::Critical => "critical",
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
            Severity::Info | Severity::Debug => return None,
        }))
    }

    fn template(self) -> Template {
        match self {
            Self::Severity(name) => value(&format!("{name}_anomaly_score")),
            Self::Points(points) => Template::text(points.to_string()),
        }
    }

    /// The variable that is the amount if the level blocks, and else nothing.
    fn variable(self, level: u8) -> String {
        match self {
            Self::Severity(name) => format!("edgeward_{name}_pl{level}"),
            Self::Points(points) => format!("edgeward_{points}_points_pl{level}"),
        }
    }
}

const fn is_inbound(phase: Phase) -> bool {
    matches!(phase, Phase::RequestHeaders | Phase::RequestBody)
}

const fn score(phase: Phase) -> &'static str {
    if is_inbound(phase) { "edgeward_inbound_score" } else { "edgeward_outbound_score" }
}

/// What a rule of this level does when it matches.
pub(super) fn add(phase: Phase, amount: Amount, level: u8) -> Action {
    let amount = if level > 1 { value(&amount.variable(level)) } else { amount.template() };
    set(score(phase), Update::Add(amount))
}

/// Before the rules of a pack: settings that nobody made, and what its rules above level 1 add.
pub(super) fn prologue(at: &Location, amounts: &BTreeSet<(Amount, u8)>) -> Vec<Step> {
    let quiet = |links| Step::Rule(Box::new(quiet(Phase::RequestHeaders, links, None)));
    let mut steps = Vec::new();
    for (name, default) in DEFAULTS {
        let default = default.strip_prefix('%').map_or_else(|| Template::text(default), value);
        let missing = link(at, variable(name, true), number(Number::Equal, Template::text("0")));
        steps.push(quiet(vec![Link { actions: vec![set(name, Update::Set(default))], ..missing }]));
    }
    for (amount, level) in amounts.iter().filter(|(_, level)| *level > 1) {
        let blocks = number(Number::GreaterOrEqual, Template::text(level.to_string()));
        let blocks = link(at, variable(BLOCKING, false), blocks);
        let adds = set(&amount.variable(*level), Update::Set(amount.template()));
        steps.push(quiet(vec![Link { actions: vec![adds], ..blocks }]));
    }
    steps
}

/// Skips to a marker where rules of this level do not run.
pub(super) fn gate(at: &Location, phase: Phase, level: u8, marker: &str) -> Step {
    let below = number(Number::Less, Template::text(level.to_string()));
    let links = vec![link(at, variable(DETECTION, false), below)];
    Step::Rule(Box::new(quiet(phase, links, Some(marker.into()))))
}

/// Notes in a variable of its own that a condition holds.
pub(super) fn note(phase: Phase, links: Vec<Link>, name: &str) -> Step {
    let mut links = links;
    if let Some(last) = links.last_mut() {
        last.actions.push(set(name, Update::Set(Template::text("1"))));
    }
    Step::Rule(Box::new(quiet(phase, links, None)))
}

/// Holds if nothing was noted.
pub(super) fn unless_noted(at: &Location, name: &str) -> Link {
    link(at, variable(name, true), number(Number::Equal, Template::text("0")))
}

/// After all rules: refuses at the end of each phase what has reached the threshold.
pub(super) fn judges() -> impl Iterator<Item = Step> {
    let phases = Phase::ALL.into_iter().filter(|phase| *phase != Phase::Logging);
    JUDGES.skip(1).zip(phases).map(|(id, phase)| Step::Rule(Box::new(judge(id, phase))))
}

fn judge(id: u64, phase: Phase) -> Rule {
    let at = Location { file: "anomaly score".into(), line: 0 };
    // Both since version 4 and before; that which is not there adds nothing.
    let (threshold, others, message) = if is_inbound(phase) {
        let others = ["blocking_inbound_anomaly_score", "anomaly_score"];
        ("inbound_anomaly_score_threshold", others, "Request refused: score ")
    } else {
        let others = ["blocking_outbound_anomaly_score", "outbound_anomaly_score"];
        ("outbound_anomaly_score_threshold", others, "Response refused: score ")
    };
    let mut sum = vec![set(TOTAL, Update::Set(value(score(phase))))];
    sum.extend(others.map(|other| set(TOTAL, Update::Add(value(other)))));
    let any = number(Number::GreaterOrEqual, Template::text("1"));
    let reached = number(Number::GreaterOrEqual, value(threshold));
    let links = vec![
        Link { actions: sum, ..link(&at, variable(score(phase), false), any) },
        link(&at, variable(TOTAL, false), reached),
    ];
    let mut text = Template::text(message);
    text.pieces.extend(value(TOTAL).pieces);
    let rule = quiet(phase, links, None);
    let meta = Meta { id, disruptive: Disruptive::Deny, log: true, audit: true, message: text, ..rule.meta };
    Rule { meta, ..rule }
}

fn quiet(phase: Phase, links: Vec<Link>, skip_after: Option<Box<str>>) -> Rule {
    let meta = Meta {
        id: 0,
        phase,
        disruptive: Disruptive::Pass,
        status: 403,
        log: false,
        audit: false,
        message: Template::default(),
        data: Template::default(),
        severity: None,
        tags: Vec::new(),
        version: "".into(),
        revision: "".into(),
        skip: 0,
        skip_after,
    };
    Rule { meta, links }
}

fn link(at: &Location, target: Target, operator: Operator) -> Link {
    Link {
        at: at.clone(),
        targets: vec![target],
        operator,
        negated: false,
        transformations: Vec::new(),
        multi_match: false,
        capture: false,
        actions: Vec::new(),
    }
}

fn number(comparison: Number, text: Template) -> Operator {
    Operator::Number(comparison, text)
}

fn variable(name: &str, count: bool) -> Target {
    Target {
        variable: Variable::Tx,
        selector: Selector::Name(name.as_bytes().into()),
        count,
        excluded: false,
    }
}

fn value(name: &str) -> Template {
    let piece = crate::waf::ir::Piece::Variable(Variable::Tx, Some(name.as_bytes().into()));
    Template { pieces: vec![piece] }
}

fn set(name: &str, update: Update) -> Action {
    Action::Set(SetVariable { collection: Variable::Tx, name: Template::text(name), update })
}
