//! What the compiler made of a program: names resolved to places, patterns to automata. Immutable and shared.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex};

use aho_corasick::AhoCorasick;

use crate::net::IpSet;
use crate::waf::body::content_type::Processor;
use crate::waf::ir::{Disruptive, EngineState, Location, Number, Phase, Severity, Switch, Variable};
use crate::waf::pattern::Regex;
use crate::waf::transform::{ByteSet, Transformation};

/// A pattern, by its place in [`Plan::patterns`].
pub(in crate::waf) type PatternId = u32;
/// A rule, by its place in [`Plan::rules`].
pub(in crate::waf) type RuleId = u32;
/// A variable of `TX` whose name was known at compile time.
pub(in crate::waf) type Slot = u32;

/// Rules, ready to run.
#[derive(Debug, Default)]
pub(in crate::waf) struct Plan {
    pub(in crate::waf) rules: Vec<PlannedRule>,
    /// What runs in each phase, in order.
    pub(in crate::waf) phases: [Vec<Turn>; 5],
    pub(in crate::waf) patterns: Vec<Regex>,
    /// Names of `TX`'s slots, in lower case. The first ten are `0` to `9`.
    pub(in crate::waf) slots: Vec<Box<[u8]>>,
    /// The slots by their names.
    pub(in crate::waf) places: HashMap<Box<[u8]>, Slot>,
    /// The slots' first values.
    pub(in crate::waf) initial: Vec<Option<Box<[u8]>>>,
    /// Sets of rules that `ctl` takes out, or takes targets from.
    pub(in crate::waf) sets: Vec<Removal>,
}

/// A rule's turn in a phase. Most are passed over without a look at the rule.
#[derive(Debug, Clone, Copy)]
pub(in crate::waf) struct Turn {
    pub(in crate::waf) rule: RuleId,
    /// Where the prefilter decides whether there is anything to do.
    pub(in crate::waf) screened: Option<ScreenedLink>,
    /// How many turns from this one on are screened, without one between that is not. Their bits follow each other.
    pub(in crate::waf) row: u16,
}

/// A link of which the prefilter decides on which values it is tested.
#[derive(Debug, Clone, Copy)]
pub(in crate::waf) struct ScreenedLink {
    /// The rule's in the prefilter.
    pub(in crate::waf) bit: u16,
    /// Its place in the chain.
    pub(in crate::waf) link: u16,
}

/// Rules that a `ctl` is about.
#[derive(Debug)]
pub(in crate::waf) struct Removal {
    /// Sorted.
    pub(in crate::waf) rules: Box<[RuleId]>,
    /// What they look at no more; if it is `None`, they do not run.
    pub(in crate::waf) target: Option<PlannedTarget>,
}

#[derive(Debug)]
pub(in crate::waf) struct PlannedRule {
    pub(in crate::waf) id: u64,
    pub(in crate::waf) at: Location,
    pub(in crate::waf) phase: Phase,
    pub(in crate::waf) disruptive: PlannedDisruption,
    pub(in crate::waf) status: u16,
    pub(in crate::waf) log: bool,
    pub(in crate::waf) audit: bool,
    pub(in crate::waf) message: Expansion,
    pub(in crate::waf) data: Expansion,
    pub(in crate::waf) severity: Option<Severity>,
    pub(in crate::waf) tags: Arc<[Box<str>]>,
    pub(in crate::waf) version: Box<str>,
    pub(in crate::waf) revision: Box<str>,
    pub(in crate::waf) links: Box<[PlannedLink]>,
    /// What changes for the rest of the request once all links have passed, in order.
    pub(in crate::waf) controls: Box<[PlannedControl]>,
    /// Where its phase goes on after a match, as a place in [`Plan::phases`].
    pub(in crate::waf) next: Option<u32>,
}

#[derive(Debug)]
pub(in crate::waf) enum PlannedDisruption {
    Plain(Disruptive),
    Redirect(Expansion),
}

#[derive(Debug)]
pub(in crate::waf) struct PlannedLink {
    /// Empty: the test is made once, on nothing.
    pub(in crate::waf) targets: Box<[PlannedTarget]>,
    pub(in crate::waf) excluded: Box<[PlannedTarget]>,
    pub(in crate::waf) test: Test,
    pub(in crate::waf) negated: bool,
    pub(in crate::waf) pipeline: Box<[Transformation]>,
    pub(in crate::waf) multi_match: bool,
    pub(in crate::waf) capture: bool,
    /// Done for each value that passes, in order, whatever comes of the links after this one.
    pub(in crate::waf) actions: Box<[PlannedAction]>,
}

/// What a link looks at, or does not.
#[derive(Debug, Clone)]
pub(in crate::waf) struct PlannedTarget {
    pub(in crate::waf) variable: Variable,
    pub(in crate::waf) members: Members,
    pub(in crate::waf) count: bool,
}

/// Which members of a collection.
#[derive(Debug, Clone)]
pub(in crate::waf) enum Members {
    All,
    /// In lower case.
    Named(Box<[u8]>),
    /// `TX`: the slot of the name.
    Slot(Slot),
    /// Searched in the name.
    Matching(PatternId),
    /// `TX`: the same, with the slots that have it in their names.
    Slots(PatternId, Box<[Slot]>),
}

/// Text with macros, with the names resolved.
#[derive(Debug, Clone, Default)]
pub(in crate::waf) struct Expansion {
    pub(in crate::waf) parts: Box<[Part]>,
}

#[derive(Debug, Clone)]
pub(in crate::waf) enum Part {
    Text(Box<[u8]>),
    Slot(Slot),
    Variable(Variable, Option<Box<[u8]>>),
}

/// Phrases and the automaton that finds them.
#[derive(Debug)]
pub(in crate::waf) struct Phrases(pub(in crate::waf) AhoCorasick);

#[derive(Debug)]
pub(in crate::waf) enum Test {
    Always,
    Never,
    Regex(PatternId),
    RegexGlobal(PatternId),
    /// The last expression it expanded to, compiled.
    RegexExpansion(Expansion, Mutex<Option<LastRegex>>),
    Phrases(Box<Phrases>),
    Compare(Comparison, Expansion),
    Addresses(Box<IpSet>),
    BytesOutside(ByteSet),
    BadUrlEncoding,
    BadUtf8,
    SqlInjection,
    Xss,
    Digits(PatternId, DigitCheck),
}

/// How a text is compared with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::waf) enum Comparison {
    Equals,
    StartsWith,
    EndsWith,
    Contains,
    ContainsWord,
    Within,
    Number(Number),
}

impl Test {
    /// What the test compares with, if that may have macros.
    pub(in crate::waf) const fn argument(&self) -> Option<&Expansion> {
        match self {
            Self::RegexExpansion(text, _) | Self::Compare(_, text) => Some(text),
            _ => None,
        }
    }

    /// The same, to be written to.
    pub(in crate::waf) const fn argument_mut(&mut self) -> Option<&mut Expansion> {
        match self {
            Self::RegexExpansion(text, _) | Self::Compare(_, text) => Some(text),
            _ => None,
        }
    }
}

/// An expression with its macros expanded, and what it compiled to, if it did.
pub(in crate::waf) type LastRegex = (Vec<u8>, Option<Arc<regex::bytes::Regex>>);

/// Which numbers are looked for in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::waf) enum DigitCheck {
    Card,
    SocialSecurity,
    Cpf,
    Svnr,
}

#[derive(Debug)]
pub(in crate::waf) enum PlannedAction {
    SetSlot(Slot, PlannedUpdate),
    /// Of a collection that lasts, or of `TX` by a name that is known only then.
    SetMember(Variable, Expansion, PlannedUpdate),
    Expire(Variable, Expansion, Expansion),
    /// Less by so much for each so many seconds.
    Decay(Variable, Expansion, (u64, NonZeroU64)),
    Begin(Variable, Expansion),
    Environment(Box<str>, Option<Expansion>),
    ConcealMatched,
    Conceal(Variable, Box<[u8]>),
}

/// `ctl`.
#[derive(Debug)]
pub(in crate::waf) enum PlannedControl {
    /// By place in [`Plan::sets`].
    Remove(u32),
    Engine(EngineState),
    BodyProcessor(Processor),
    ForceRequestBody(Switch),
    RequestBody(Switch),
    ResponseBody(Switch),
    Audit(Option<Switch>),
}

#[derive(Debug)]
pub(in crate::waf) enum PlannedUpdate {
    Set(Expansion),
    Add(Expansion),
    Subtract(Expansion),
    Remove,
}

impl PlannedUpdate {
    /// What is set, added or subtracted.
    pub(in crate::waf) const fn text(&self) -> Option<&Expansion> {
        match self {
            Self::Set(text) | Self::Add(text) | Self::Subtract(text) => Some(text),
            Self::Remove => None,
        }
    }

    /// The same, to be written to.
    pub(in crate::waf) const fn text_mut(&mut self) -> Option<&mut Expansion> {
        match self {
            Self::Set(text) | Self::Add(text) | Self::Subtract(text) => Some(text),
            Self::Remove => None,
        }
    }
}

impl Expansion {
    /// The text, if it has no macros.
    pub(in crate::waf) fn as_text(&self) -> Option<&[u8]> {
        match &*self.parts {
            [] => Some(b""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}
