//! Resolves names and compiles patterns, rule by rule.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use aho_corasick::AhoCorasick;

use super::{CompileError, Options, Report};
use crate::net::IpSet;
use crate::waf::engine::plan::{
    Comparison, DigitCheck, Expansion, Members, Part, Phrases, Plan, PlannedAction, PlannedControl,
    PlannedDisruption, PlannedLink, PlannedRule, PlannedTarget, PlannedUpdate, Removal, RuleId, Slot, Test,
    Turn,
};
use crate::waf::ir::{
    Action, Control, Disruptive, Link, Location, Meta, Operator, Pattern, Piece, Program, Rule, RuleSet,
    Selector, SetVariable, Step, Target, Template, Update, Variable,
};
use crate::waf::pattern::{Case, Regex, Required, Untranslatable};
use crate::waf::seclang::Unsupported;

/// Variables that rules may name and that are never set here, each with the reason.
const NEVER_SET: &[(Variable, &str)] = &[
    (Variable::Geo, "there is no lookup of countries"),
    (Variable::RemoteUser, "the proxy's own authentication is not told to rules"),
    (Variable::ModsecBuild, "this is another engine"),
];

/// What each pattern or list of phrases asks of a text.
pub(in crate::waf) type RequiredOf = BTreeMap<(RuleId, usize), Required>;

/// What was written, and how it compares.
type PatternKey = (Box<[u8]>, Case);

pub(super) struct Compiler<'a> {
    options: &'a Options,
    plan: Plan,
    patterns: HashMap<PatternKey, (u32, Required)>,
    required: RequiredOf,
    pending: Vec<(u32, RuleSet)>,
    errors: Vec<CompileError>,
    report: Report,
}

/// What goes wrong with a part of a rule.
enum Trouble {
    Wrong(String),
    NotLinear(String),
}

impl From<Untranslatable> for Trouble {
    fn from(error: Untranslatable) -> Self {
        match error {
            Untranslatable::Wrong(_) => Self::Wrong(error.to_string()),
            Untranslatable::NotLinear(_) => Self::NotLinear(error.to_string()),
        }
    }
}

impl<'a> Compiler<'a> {
    pub(super) fn new(options: &'a Options) -> Self {
        let mut compiler = Self {
            options,
            plan: Plan::default(),
            patterns: HashMap::new(),
            required: RequiredOf::new(),
            pending: Vec::new(),
            errors: Vec::new(),
            report: Report::default(),
        };
        for digit in b'0'..=b'9' {
            compiler.slot(&[digit]);
        }
        compiler
    }

    pub(super) fn finish(self) -> (Plan, RequiredOf, Report) {
        (self.plan, self.required, self.report)
    }

    fn slot(&mut self, name: &[u8]) -> Slot {
        let name = name.to_ascii_lowercase();
        if let Some(slot) = self.plan.places.get(name.as_slice()) {
            return *slot;
        }
        let slot = Slot::try_from(self.plan.slots.len()).unwrap_or(Slot::MAX);
        self.plan.slots.push(name.clone().into());
        self.plan.initial.push(None);
        self.plan.places.insert(name.into(), slot);
        slot
    }

    fn note(&mut self, at: &Location, what: impl Into<String>) {
        self.report.notes.push(CompileError { at: at.clone(), what: what.into() });
    }

    fn error(&mut self, at: &Location, what: impl Into<String>) {
        self.errors.push(CompileError { at: at.clone(), what: what.into() });
    }

    pub(super) fn program(&mut self, program: &Program) -> Result<(), Vec<CompileError>> {
        let mut ids: HashMap<u64, Location> = HashMap::new();
        let mut places = Vec::new();
        let rules = program.steps.iter().zip(0_usize..).filter_map(|(step, place)| match step {
            Step::Rule(rule) => Some((rule, place)),
            Step::Marker(_) => None,
        });
        for (rule, place) in rules {
            let Some(first) = rule.links.first() else { continue };
            if rule.meta.id != 0
                && let Some(before) = ids.insert(rule.meta.id, first.at.clone())
            {
                self.error(&first.at, format!("the id {} is used at {before} already", rule.meta.id));
            }
            let id = RuleId::try_from(self.plan.rules.len()).unwrap_or(RuleId::MAX);
            match self.rule(id, rule) {
                Ok(planned) => {
                    let phase = rule.meta.phase.index();
                    self.plan.rules.push(planned);
                    places.push((place, &**rule));
                    if let Some(list) = self.plan.phases.get_mut(phase) {
                        list.push(Turn { rule: id, screened: None, row: 0 });
                    }
                }
                Err(Trouble::NotLinear(what)) if self.options.unsupported == Unsupported::LeaveOut => {
                    self.note(&first.at, format!("left out: rule {}: {what}", rule.meta.id));
                }
                Err(Trouble::Wrong(what) | Trouble::NotLinear(what)) => {
                    self.error(&first.at, format!("rule {}: {what}", rule.meta.id));
                }
            }
        }
        self.meant_by_nobody(program);
        self.resolve_sets(&places);
        self.jumps(program, &places);
        if self.errors.is_empty() { Ok(()) } else { Err(std::mem::take(&mut self.errors)) }
    }

    /// Tells of collections that rules use and none says which one is meant: they stay empty.
    fn meant_by_nobody(&mut self, program: &Program) {
        use Variable::{Global, Ip, Resource, Session, User};
        let mut begun = Vec::new();
        let mut used: Vec<(Variable, Location)> = Vec::new();
        let rules = program.steps.iter().filter_map(|step| match step {
            Step::Rule(rule) => Some(rule),
            Step::Marker(_) => None,
        });
        for link in rules.flat_map(|rule| &rule.links) {
            let looked_at = link.targets.iter().map(|target| target.variable);
            let set = link.actions.iter().filter_map(|action| match action {
                Action::Set(set) => Some(set.collection),
                Action::Begin(variable, _) => {
                    begun.push(*variable);
                    None
                }
                _ => None,
            });
            used.extend(looked_at.chain(set).map(|variable| (variable, link.at.clone())));
        }
        for (variable, action) in [
            (Global, "initcol"),
            (Ip, "initcol"),
            (Resource, "setrsc"),
            (Session, "setsid"),
            (User, "setuid"),
        ] {
            let first = used.iter().find(|(known, _)| *known == variable && !begun.contains(known));
            if let Some((variable, at)) = first {
                let what =
                    format!("no rule says which {} is meant ({action}): it stays empty", variable.name());
                self.note(at, what);
            }
        }
    }

    /// Where rules that skip go on.
    fn jumps(&mut self, program: &Program, places: &[(usize, &Rule)]) {
        let place_of = |id: RuleId| places.get(id as usize).map_or(0, |(place, _)| *place);
        let mut notes = Vec::new();
        for (id, (place, rule)) in places.iter().enumerate() {
            let Some(list) = self.plan.phases.get(rule.meta.phase.index()) else { continue };
            let own = list.partition_point(|turn| place_of(turn.rule) <= *place);
            let next = match (&rule.meta.skip_after, rule.meta.skip) {
                (Some(name), _) => {
                    let later = program.steps.iter().enumerate().skip(*place);
                    let is_it = |step: &Step| match step {
                        Step::Marker(marker) => marker == name,
                        Step::Rule(rule) => **name == *rule.meta.id.to_string(),
                    };
                    let marker = later.into_iter().find(|(_, step)| is_it(step)).map(|(at, _)| at);
                    if marker.is_none()
                        && let Some(link) = rule.links.first()
                    {
                        let what =
                            format!("no marker or rule {name:?} follows: the rest of the phase is skipped");
                        notes.push((link.at.clone(), what));
                    }
                    Some(marker.map_or(list.len(), |marker| {
                        list.partition_point(|turn| place_of(turn.rule) <= marker)
                    }))
                }
                (None, 0) => None,
                (None, skip) => Some(own.saturating_add(skip as usize).min(list.len())),
            };
            if let Some(rule) = self.plan.rules.get_mut(id) {
                rule.next = next.and_then(|next| u32::try_from(next).ok());
            }
        }
        for (at, what) in notes {
            self.note(&at, what);
        }
    }

    fn rule(&mut self, id: RuleId, rule: &Rule) -> Result<PlannedRule, Trouble> {
        let meta = &rule.meta;
        let links = rule.links.iter().enumerate();
        let links = links.map(|(at, link)| self.link(id, at, link)).collect::<Result<_, _>>()?;
        let controls = rule.links.iter().flat_map(|link| &link.actions).filter_map(|action| match action {
            Action::Control(control) => Some(self.control(control)),
            _ => None,
        });
        let controls = controls.collect::<Result<_, _>>()?;
        check_answer(meta)?;
        let at = rule.links.first().map_or(Location { file: "".into(), line: 0 }, |link| link.at.clone());
        Ok(PlannedRule {
            id: meta.id,
            at,
            phase: meta.phase,
            disruptive: match &meta.disruptive {
                Disruptive::Redirect(to) => PlannedDisruption::Redirect(self.expansion(to)),
                plain => PlannedDisruption::Plain(plain.clone()),
            },
            status: meta.status,
            log: meta.log,
            audit: meta.audit,
            message: self.expansion(&meta.message),
            data: self.expansion(&meta.data),
            severity: meta.severity,
            tags: meta.tags.clone().into(),
            version: meta.version.clone(),
            revision: meta.revision.clone(),
            links,
            controls,
            next: None,
        })
    }

    fn link(&mut self, id: RuleId, at: usize, link: &Link) -> Result<PlannedLink, Trouble> {
        for target in &link.targets {
            if let Some((variable, why)) = NEVER_SET.iter().find(|(variable, _)| *variable == target.variable)
            {
                self.note(&link.at, format!("{} is never set: {why}", variable.name()));
            }
        }
        let (test, required) = self.test(&link.operator)?;
        if let Some(required) = required {
            self.required.insert((id, at), required);
        }
        let planned = |excluded: bool| link.targets.iter().filter(move |target| target.excluded == excluded);
        let targets = planned(false).map(|target| self.target(target)).collect::<Result<_, _>>()?;
        let excluded = planned(true).map(|target| self.target(target)).collect::<Result<_, _>>()?;
        let actions = link.actions.iter().filter_map(|action| self.action(action)).collect();
        Ok(PlannedLink {
            targets,
            excluded,
            test,
            negated: link.negated,
            pipeline: link.transformations.clone().into(),
            multi_match: link.multi_match,
            capture: link.capture,
            actions,
        })
    }

    fn pattern(&mut self, pattern: &Pattern, case: Case) -> Result<(u32, Required), Trouble> {
        let key = (pattern.text.clone(), case);
        if let Some((id, required)) = self.patterns.get(&key) {
            return Ok((*id, required.clone()));
        }
        let (regex, required) = Regex::new(&pattern.text, case)?;
        let id = u32::try_from(self.plan.patterns.len()).unwrap_or(u32::MAX);
        self.plan.patterns.push(regex);
        self.patterns.insert(key, (id, required.clone()));
        Ok((id, required))
    }

    /// A comparison that a text passes only if it has all of `text` in it.
    fn part(&mut self, by: Comparison, text: &Template) -> (Test, Option<Required>) {
        let text = self.expansion(text);
        let literal = text.as_text().filter(|text| text.len() > 1);
        let required = literal.map(|text| Required::phrases(std::iter::once(text)));
        (Test::Compare(by, text), required)
    }

    fn test(&mut self, operator: &Operator) -> Result<(Test, Option<Required>), Trouble> {
        Ok(match operator {
            Operator::Always => (Test::Always, None),
            Operator::Never => (Test::Never, None),
            Operator::Regex(pattern) => {
                let (id, required) = self.pattern(pattern, Case::Sensitive)?;
                (Test::Regex(id), Some(required))
            }
            Operator::RegexGlobal(pattern) => {
                let (id, required) = self.pattern(pattern, Case::Sensitive)?;
                (Test::RegexGlobal(id), Some(required))
            }
            Operator::RegexTemplate(template) => {
                (Test::RegexExpansion(self.expansion(template), Mutex::default()), None)
            }
            Operator::Phrases(phrases) => phrases_test(phrases)?,
            Operator::Equals(text) => (Test::Compare(Comparison::Equals, self.expansion(text)), None),
            Operator::StartsWith(text) => self.part(Comparison::StartsWith, text),
            Operator::EndsWith(text) => self.part(Comparison::EndsWith, text),
            Operator::Contains(text) => self.part(Comparison::Contains, text),
            Operator::ContainsWord(text) => self.part(Comparison::ContainsWord, text),
            Operator::Within(text) => (Test::Compare(Comparison::Within, self.expansion(text)), None),
            Operator::Number(comparison, text) => {
                (Test::Compare(Comparison::Number(*comparison), self.expansion(text)), None)
            }
            Operator::Addresses(list) => (Test::Addresses(Box::new(IpSet::new(list.iter().copied()))), None),
            Operator::BytesOutside(set) => (Test::BytesOutside(*set), None),
            Operator::BadUrlEncoding => (Test::BadUrlEncoding, None),
            Operator::BadUtf8 => (Test::BadUtf8, None),
            Operator::SqlInjection => (Test::SqlInjection, None),
            Operator::Xss => (Test::Xss, None),
            Operator::CardNumber(pattern) => self.digits(pattern, DigitCheck::Card)?,
            Operator::SocialSecurityNumber(pattern) => self.digits(pattern, DigitCheck::SocialSecurity)?,
            Operator::Cpf(pattern) => self.digits(pattern, DigitCheck::Cpf)?,
            Operator::Svnr(pattern) => self.digits(pattern, DigitCheck::Svnr)?,
        })
    }

    fn digits(&mut self, pattern: &Pattern, check: DigitCheck) -> Result<(Test, Option<Required>), Trouble> {
        let (id, required) = self.pattern(pattern, Case::Sensitive)?;
        Ok((Test::Digits(id, check), Some(required)))
    }

    fn target(&mut self, target: &Target) -> Result<PlannedTarget, Trouble> {
        let members = match (&target.selector, target.variable) {
            (Selector::All, _) => Members::All,
            (Selector::Name(name), Variable::Tx) => Members::Slot(self.slot(name)),
            (Selector::Name(name), _) => Members::Named(name.clone()),
            (Selector::Pattern(pattern), _) => Members::Matching(self.pattern(pattern, Case::Insensitive)?.0),
        };
        Ok(PlannedTarget { variable: target.variable, members, count: target.count })
    }

    fn expansion(&mut self, template: &Template) -> Expansion {
        let parts = template.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => Part::Text(text.clone()),
            Piece::Variable(Variable::Tx, Some(name)) => Part::Slot(self.slot(name)),
            Piece::Variable(variable, name) => Part::Variable(*variable, name.clone()),
        });
        Expansion { parts: parts.collect() }
    }

    /// What is done for each value; nothing, if it is done once.
    fn action(&mut self, action: &Action) -> Option<PlannedAction> {
        Some(match action {
            Action::Set(SetVariable { collection, name, update }) => {
                let update = match update {
                    Update::Set(text) => PlannedUpdate::Set(self.expansion(text)),
                    Update::Add(text) => PlannedUpdate::Add(self.expansion(text)),
                    Update::Subtract(text) => PlannedUpdate::Subtract(self.expansion(text)),
                    Update::Remove => PlannedUpdate::Remove,
                };
                match (collection, name.as_text()) {
                    (Variable::Tx, Some(name)) => PlannedAction::SetSlot(self.slot(name), update),
                    _ => PlannedAction::SetMember(*collection, self.expansion(name), update),
                }
            }
            Action::Expire(collection, name, seconds) => {
                PlannedAction::Expire(*collection, self.expansion(name), self.expansion(seconds))
            }
            Action::Decay(collection, name, by) => {
                PlannedAction::Decay(*collection, self.expansion(name), *by)
            }
            Action::Begin(collection, key) => PlannedAction::Begin(*collection, self.expansion(key)),
            Action::Environment(name, value) => {
                PlannedAction::Environment(name.clone(), value.as_ref().map(|value| self.expansion(value)))
            }
            Action::Control(_) => return None,
            Action::ConcealMatched => PlannedAction::ConcealMatched,
            Action::Conceal(variable, member) => PlannedAction::Conceal(*variable, member.clone()),
        })
    }

    fn control(&mut self, control: &Control) -> Result<PlannedControl, Trouble> {
        Ok(match control {
            Control::RemoveRules(set) => PlannedControl::Remove(self.removal(set, None)),
            Control::RemoveTarget(set, target) => {
                let target = self.target(target)?;
                PlannedControl::Remove(self.removal(set, Some(target)))
            }
            Control::Engine(state) => PlannedControl::Engine(*state),
            Control::BodyProcessor(processor) => PlannedControl::BodyProcessor(*processor),
            Control::ForceRequestBody(switch) => PlannedControl::ForceRequestBody(*switch),
            Control::RequestBody(switch) => PlannedControl::RequestBody(*switch),
            Control::ResponseBody(switch) => PlannedControl::ResponseBody(*switch),
            Control::Audit(switch) => PlannedControl::Audit(*switch),
        })
    }

    /// A set of rules, which are known when all have been read.
    fn removal(&mut self, set: &RuleSet, target: Option<PlannedTarget>) -> u32 {
        let at = u32::try_from(self.plan.sets.len()).unwrap_or(u32::MAX);
        self.plan.sets.push(Removal { rules: Box::default(), target });
        self.pending.push((at, set.clone()));
        at
    }

    fn resolve_sets(&mut self, places: &[(usize, &Rule)]) {
        for (at, set) in std::mem::take(&mut self.pending) {
            let meant = (0..).zip(places).filter(|(_, (_, rule))| set.has(&rule.meta));
            let rules = meant.map(|(id, _)| id).collect();
            if let Some(removal) = self.plan.sets.get_mut(at as usize) {
                removal.rules = rules;
            }
        }
    }
}

/// Whether what the rule says is an answer that refuses, or sends elsewhere.
fn check_answer(meta: &Meta) -> Result<(), Trouble> {
    let status = meta.status;
    match meta.disruptive {
        Disruptive::Deny if !(400..=599).contains(&status) => {
            Err(Trouble::Wrong(format!("a refusal has a status from 400 to 599, not {status}")))
        }
        Disruptive::Redirect(_) if !matches!(status, 301 | 302 | 303 | 307 | 308) => {
            Err(Trouble::Wrong(format!("a redirect has the status 301, 302, 303, 307 or 308, not {status}")))
        }
        _ => Ok(()),
    }
}

fn phrases_test(phrases: &[Box<[u8]>]) -> Result<(Test, Option<Required>), Trouble> {
    let required = Required::phrases(phrases.iter().map(|phrase| &**phrase));
    let built = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(aho_corasick::AhoCorasickKind::ContiguousNFA))
        .build(phrases.iter())
        .map_err(|error| Trouble::Wrong(error.to_string()))?;
    Ok((Test::Phrases(Box::new(Phrases(built))), Some(required)))
}
