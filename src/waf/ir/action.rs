//! What rules do: who they are, what they set, whom they refuse.

use std::num::NonZeroU64;

use regex::bytes::Regex;

use super::{EngineState, Phase, Target, Template, Variable};
use crate::waf::body::content_type::Processor;
use crate::waf::pattern;

/// How bad, as syslog has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Emergency = 0,
    Alert = 1,
    Critical = 2,
    Error = 3,
    Warning = 4,
    Notice = 5,
    Info = 6,
    Debug = 7,
}

impl Severity {
    /// All of them, from the worst.
    pub const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
    ];

    /// In capitals.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Emergency => "EMERGENCY",
            Self::Alert => "ALERT",
            Self::Critical => "CRITICAL",
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }
}

/// What becomes of the request when a rule matches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Disruptive {
    /// It goes on.
    #[default]
    Pass,
    /// It is refused with the rule's status.
    Deny,
    /// Its connection is closed.
    Drop,
    /// It is sent elsewhere.
    Redirect(Template),
    /// No rule of this phase or a later one looks at it, save those of phase 5.
    Allow,
    /// No later rule of this phase looks at it.
    AllowPhase,
    /// No later rule looks at the request; those of the response do.
    AllowRequest,
}

/// Who a rule is and what is done when all of its chain matches.
#[derive(Debug, Clone)]
pub struct Meta {
    /// Unique; 0 for a rule without one.
    pub id: u64,
    /// When it runs.
    pub phase: Phase,
    /// What becomes of the request.
    pub disruptive: Disruptive,
    /// The status of a refusal.
    pub status: u16,
    /// Whether a match is told.
    pub log: bool,
    /// Whether a match goes to the audit log.
    pub audit: bool,
    /// What is wrong, for whoever reads the log.
    pub message: Template,
    /// Which data, for whoever reads the log.
    pub data: Template,
    /// How bad.
    pub severity: Option<Severity>,
    /// What it is about, e.g. `attack-sqli`.
    pub tags: Vec<Box<str>>,
    /// The rule set's version.
    pub version: Box<str>,
    /// The rule's revision.
    pub revision: Box<str>,
    /// How many of the rules after it do not run.
    pub skip: u32,
    /// No rule runs until the marker of this name.
    pub skip_after: Option<Box<str>>,
}

/// Sets one variable of a collection.
#[derive(Debug, Clone)]
pub struct SetVariable {
    /// `TX`, or one of the collections that last longer than a request.
    pub collection: Variable,
    /// In lower case once expanded.
    pub name: Template,
    /// To what.
    pub update: Update,
}

/// To what a variable is set.
#[derive(Debug, Clone)]
pub enum Update {
    /// This text.
    Set(Template),
    /// As much more. What is no number is 0.
    Add(Template),
    /// As much less.
    Subtract(Template),
    /// Removed.
    Remove,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    On,
    Off,
}

/// Which rules.
#[derive(Debug, Clone)]
pub enum RuleSet {
    /// Identifiers from the first to the last.
    Ids(u64, u64),
    /// Those with a tag that has a match.
    Tag(Regex),
    /// Those whose message, as it is written, has one.
    Message(Regex),
}

impl RuleSet {
    /// Those with a tag that has a match of the pattern.
    ///
    /// # Errors
    /// When it is no pattern that is understood.
    pub fn tag(pattern: &str) -> Result<Self, String> {
        regex(pattern).map(Self::Tag)
    }

    /// Those whose message has a match of the pattern.
    ///
    /// # Errors
    /// When it is no pattern that is understood.
    pub fn message(pattern: &str) -> Result<Self, String> {
        regex(pattern).map(Self::Message)
    }

    /// Whether a rule is one of them.
    pub fn has(&self, rule: &Meta) -> bool {
        match self {
            Self::Ids(first, last) => (*first..=*last).contains(&rule.id),
            Self::Tag(pattern) => rule.tags.iter().any(|tag| pattern.is_match(tag.as_bytes())),
            Self::Message(pattern) => pattern.is_match(&rule.message.written()),
        }
    }
}

fn regex(pattern: &str) -> Result<Regex, String> {
    pattern::plain(pattern.as_bytes()).map_err(|error| format!("the pattern {pattern:?}: {error}"))
}

/// What changes for the rest of this request.
#[derive(Debug, Clone)]
pub enum Control {
    /// These rules do not run.
    RemoveRules(RuleSet),
    /// These rules do not look at this target.
    RemoveTarget(RuleSet, Target),
    /// Whether rules run and refuse.
    Engine(EngineState),
    /// How the body is read.
    BodyProcessor(Processor),
    /// Make `REQUEST_BODY` even if another processor, or none, read the body.
    ForceRequestBody(Switch),
    /// Whether the request's body is read.
    RequestBody(Switch),
    /// Whether the response's body is read.
    ResponseBody(Switch),
    /// Whether this request goes to the audit log; `None`: if a rule for it matched.
    Audit(Option<Switch>),
}

/// What is done for each value that passes a link's test.
#[derive(Debug, Clone)]
pub enum Action {
    /// `setvar`.
    Set(SetVariable),
    /// `expirevar`: after so many seconds.
    Expire(Variable, Template, Template),
    /// `deprecatevar`: less by so much for each so many seconds since its collection was written.
    Decay(Variable, Template, (u64, NonZeroU64)),
    /// `initcol`, `setsid`, `setuid`: which of the collections that last longer than a request is meant.
    Begin(Variable, Template),
    /// `setenv`: name and value; without one, it is removed.
    Environment(Box<str>, Option<Template>),
    /// `ctl`.
    Control(Control),
    /// `sanitiseMatched`: what the test matched is not shown to anyone.
    ConcealMatched,
    /// `sanitiseArg` and the like: nor is the member of this name.
    Conceal(Variable, Box<[u8]>),
}
