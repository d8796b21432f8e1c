//! From directives to a program: defaults, chains, inclusion, and what later directives change about rules.

use std::sync::Arc;

use super::actions::{self, Actions, Disrupt};
use super::lexer::{self, Directive};
use super::{Fault, Loaded, Loader, Problem, Unsupported, directive, operator, targets};
use crate::waf::ir::{
    Disruptive, EngineState, Link, Location, Meta, Operator, Phase, Program, Rule, RuleSet, Step, Target,
    Template,
};
use crate::waf::transform::Transformation;
use crate::waf::yaml;

/// Files within each other.
const INCLUDE_DEPTH: usize = 16;
/// Links of one chain.
const CHAIN_LINKS: usize = 64;
/// Rules of one program.
const RULES: usize = 20_000;

/// What a later directive changes about rules, wherever they stand.
#[derive(Debug)]
pub(super) enum Change {
    Remove(RuleSet),
    Targets(RuleSet, Vec<Target>),
    Actions(u64, usize, Box<Actions>),
}

pub(super) struct Builder<'a> {
    loader: &'a dyn Loader,
    unsupported: Unsupported,
    pub(super) program: Program,
    /// Whether `SecResponseBodyMimeType` was there.
    pub(super) types_said: bool,
    /// Where it is said whether rules run and refuse.
    engine: Option<Location>,
    defaults: [Option<Actions>; 5],
    changes: Vec<(Location, Change)>,
    /// A chain that waits for its next link.
    open: Option<Open>,
    file: Arc<str>,
    depth: usize,
    rules: usize,
    /// Whether there are packs in YAML among the files.
    packs: bool,
    faults: Vec<Fault>,
    notes: Vec<Fault>,
}

struct Open {
    rule: Rule,
    /// Whether a link was left out, and the rule with it.
    left_out: bool,
}

impl<'a> Builder<'a> {
    pub(super) fn new(loader: &'a dyn Loader, unsupported: Unsupported) -> Self {
        Self {
            loader,
            unsupported,
            program: Program::default(),
            types_said: false,
            engine: None,
            defaults: [const { None }; 5],
            changes: Vec::new(),
            open: None,
            file: "".into(),
            depth: 0,
            rules: 0,
            packs: false,
            faults: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Reads a file, or those that a pattern stands for, included in this line.
    pub(super) fn include(&mut self, path: &str, line: u32) {
        let at = self.at(line);
        if self.depth >= INCLUDE_DEPTH {
            return self.fault(at, format!("more than {INCLUDE_DEPTH} files include each other"));
        }
        let path = self.beside(path);
        let found = self.loader.expand(&path).and_then(|paths| {
            paths.into_iter().map(|path| Ok((self.loader.read(&path)?, path))).collect::<Result<Vec<_>, _>>()
        });
        match found {
            Ok(files) => {
                for (text, path) in files {
                    self.text(&path, &text);
                }
            }
            Err(error) => self.fault(at, format!("cannot read {path}: {error}")),
        }
    }

    /// Reads the files that a pattern stands for, if there are any.
    pub(super) fn include_if_there(&mut self, path: &str, line: u32) {
        let found = self.loader.expand(&self.beside(path)).unwrap_or_default();
        for path in found.iter().filter(|path| self.loader.read(path).is_ok()).collect::<Vec<_>>() {
            self.include(path, line);
        }
    }

    /// Reads the text of a file.
    pub(super) fn text(&mut self, name: &str, text: &[u8]) {
        if yaml::is_pack(name) {
            self.packs = true;
            return self.faults.extend(yaml::read(self.loader, name, text, &mut self.program));
        }
        let outer = std::mem::replace(&mut self.file, name.into());
        self.depth += 1;
        for directive in lexer::directives(text) {
            match directive {
                Ok(directive) => self.directive(&directive),
                Err((line, what)) => {
                    let at = self.at(line);
                    self.fault(at, what);
                }
            }
        }
        self.depth -= 1;
        self.file = outer;
    }

    fn directive(&mut self, directive: &Directive) {
        let at = self.at(directive.line);
        match directive::apply(self, directive, &at) {
            Ok(()) => {}
            Err(Problem::Wrong(what)) => self.fault(at, what),
            Err(Problem::Unsupported(what)) => self.unsupported(at, what),
        }
    }

    fn at(&self, line: u32) -> Location {
        Location { file: Arc::clone(&self.file), line }
    }

    pub(super) fn fault(&mut self, at: Location, what: impl Into<String>) {
        self.faults.push(Fault { at, column: 0, what: what.into() });
    }

    pub(super) fn note(&mut self, at: Location, what: impl Into<String>) {
        self.notes.push(Fault { at, column: 0, what: what.into() });
    }

    fn unsupported(&mut self, at: Location, what: String) {
        match self.unsupported {
            Unsupported::Refuse => self.fault(at, what),
            Unsupported::LeaveOut => self.note(at, format!("left out: {what}")),
        }
    }

    /// A path in a file is relative to the file.
    fn beside(&self, path: &str) -> String {
        match self.file.rsplit_once('/') {
            Some((folder, _)) if !path.starts_with('/') => format!("{folder}/{path}"),
            _ => path.to_owned(),
        }
    }

    pub(super) fn data(&self, path: &str) -> Result<Vec<u8>, String> {
        if path.contains("://") {
            return Err(format!("{path}: nothing is fetched, save it as a file beside the rules"));
        }
        let path = self.beside(path);
        self.loader.read(&path).map_err(|error| format!("cannot read {path}: {error}"))
    }

    pub(super) fn change(&mut self, at: &Location, change: Change) {
        self.changes.push((at.clone(), change));
    }

    pub(super) fn engine(&mut self, state: EngineState, at: &Location) {
        self.program.settings.engine = Some(state);
        self.engine = Some(at.clone());
    }

    pub(super) fn default_action(&mut self, text: &[u8]) -> Result<(), Problem> {
        let found = actions::actions(text)?;
        let phase = found.phase.unwrap_or(Phase::RequestBody);
        if found.disrupt == Some(Disrupt::Block) {
            return Err("the default action cannot be block: block means the default action".into());
        }
        if found.disrupt.is_none() {
            return Err(
                "the default action must say what becomes of the request, such as pass or deny".into()
            );
        }
        if found.id.is_some() || found.chain || found.skip.is_some() || found.skip_after.is_some() {
            return Err("a default action has no id, chain or skip".into());
        }
        if let Some(slot) = self.defaults.get_mut(phase.index()) {
            *slot = Some(found);
        }
        Ok(())
    }

    pub(super) fn marker(&mut self, name: &[u8]) {
        self.program.steps.push(Step::Marker(String::from_utf8_lossy(name).as_ref().into()));
    }

    /// `SecRule`, or, without targets, `SecAction`.
    pub(super) fn rule(
        &mut self,
        test: Option<(&[u8], &[u8])>,
        text: &[u8],
        at: &Location,
    ) -> Result<(), Problem> {
        // Read first, so that a chain whose link is wrong does not swallow the rule after it.
        let actions = actions::actions(text);
        let goes_on = match &actions {
            Ok(actions) => actions.chain,
            Err(_) => memchr::memmem::find(&text.to_ascii_lowercase(), b"chain").is_some(),
        };
        let result = actions.and_then(|actions| {
            let id = self.open.as_ref().map_or(actions.id, |open| Some(open.rule.meta.id));
            self.link(test, &actions, at).map_err(|problem| match (problem, id) {
                (Problem::Unsupported(what), Some(id)) => Problem::Unsupported(format!("rule {id}: {what}")),
                (problem, _) => problem,
            })
        });
        if result.is_err() {
            // The rest of the chain is read for its own faults, and goes with this link.
            match (&mut self.open, goes_on) {
                (Some(open), _) => open.left_out = true,
                (None, true) => self.open = Some(Open { rule: left_out(), left_out: true }),
                (None, false) => {}
            }
        }
        if !goes_on && let Some(open) = self.open.take() {
            self.close(open);
        }
        result
    }

    fn close(&mut self, open: Open) {
        if open.left_out {
            return;
        }
        self.rules += 1;
        if self.rules > RULES {
            let at = open.rule.links.first().map(|link| link.at.clone());
            return at.map_or((), |at| self.fault(at, format!("more than {RULES} rules")));
        }
        self.program.steps.push(Step::Rule(Box::new(open.rule)));
    }

    fn link(
        &mut self,
        test: Option<(&[u8], &[u8])>,
        actions: &Actions,
        at: &Location,
    ) -> Result<(), Problem> {
        let mut data = |path: &str| self.data(path);
        let (targets, negated, operator) = match test {
            Some((targets, operator)) => {
                let (negated, operator) = operator::operator(operator, &mut data)?;
                (targets::targets(targets)?, negated, operator)
            }
            None => (Vec::new(), false, Operator::Always),
        };
        if test.is_some() && targets.iter().all(|target| target.excluded) {
            return Err("there are no targets to look at".into());
        }
        let link = |default: Option<&Actions>| Link {
            at: at.clone(),
            targets,
            operator,
            negated,
            transformations: inherited(default, actions),
            multi_match: actions.multi_match || default.is_some_and(|default| default.multi_match),
            capture: actions.capture || default.is_some_and(|default| default.capture),
            actions: actions.list.clone(),
        };
        if let Some(open) = &mut self.open {
            if open.rule.links.len() >= CHAIN_LINKS {
                return Err(format!("a chain of more than {CHAIN_LINKS} rules").into());
            }
            if actions.disrupt.is_some() || actions.phase.is_some_and(|phase| phase != open.rule.meta.phase) {
                return Err(
                    "only the first rule of a chain says its phase and what becomes of the request".into()
                );
            }
            let default = self.defaults.get(open.rule.meta.phase.index());
            open.rule.links.push(link(default.and_then(Option::as_ref)));
            merge(&mut open.rule.meta, actions);
            return Ok(());
        }
        let phase = actions.phase.unwrap_or(Phase::RequestBody);
        let default = self.defaults.get(phase.index()).and_then(Option::as_ref);
        let mut first = link(default);
        // What the default does, it does once for each rule, before what the rule does.
        let by_default = default.into_iter().flat_map(|default| default.list.clone());
        first.actions.splice(0..0, by_default);
        let meta = meta(default, actions, phase, test.is_some())?;
        self.open = Some(Open { rule: Rule { meta, links: vec![first] }, left_out: false });
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Loaded, Vec<Fault>> {
        if let Some(at) = self.open.take().and_then(|open| open.rule.links.last().map(|link| link.at.clone()))
        {
            self.fault(at, "the chain has no next rule");
        }
        match (self.program.settings.engine, self.engine.take()) {
            (Some(EngineState::DetectionOnly), Some(at)) => {
                self.note(at, "SecRuleEngine DetectionOnly: nothing is refused");
            }
            (Some(EngineState::Off), Some(at)) => self.note(at, "SecRuleEngine Off: no rule runs"),
            _ => {}
        }
        if self.packs {
            self.program.steps.extend(yaml::judges());
        }
        for (at, change) in std::mem::take(&mut self.changes) {
            if !directive::change(&mut self.program, &self.defaults, change) {
                self.note(at, "no rule is meant by this");
            }
        }
        if self.faults.is_empty() {
            Ok(Loaded { program: self.program, notes: self.notes })
        } else {
            Err(self.faults)
        }
    }
}

fn left_out() -> Rule {
    let actions = Actions { id: Some(0), ..Actions::default() };
    let meta = raw_meta(None, &actions, Phase::RequestBody);
    Rule { meta, links: Vec::new() }
}

fn inherited(default: Option<&Actions>, actions: &Actions) -> Vec<Transformation> {
    let mut all = match default {
        Some(default) if !actions.forget_transformations => default.transformations.clone(),
        _ => Vec::new(),
    };
    all.extend_from_slice(&actions.transformations);
    all
}

fn meta(default: Option<&Actions>, actions: &Actions, phase: Phase, tested: bool) -> Result<Meta, Problem> {
    if actions.id.is_none() {
        let what = if tested { "the rule" } else { "the action" };
        return Err(format!("{what} has no id").into());
    }
    Ok(raw_meta(default, actions, phase))
}

fn raw_meta(default: Option<&Actions>, actions: &Actions, phase: Phase) -> Meta {
    let by_default = match default.and_then(|default| default.disrupt.as_ref()) {
        Some(Disrupt::This(disruptive)) => disruptive.clone(),
        _ => Disruptive::Pass,
    };
    let disruptive = match &actions.disrupt {
        Some(Disrupt::This(disruptive)) => disruptive.clone(),
        Some(Disrupt::Block) | None => by_default,
    };
    let of_default = default.and_then(|default| default.status);
    let status = answer(actions.status, of_default, &disruptive);
    let log = actions.log.or_else(|| default.and_then(|default| default.log)).unwrap_or(true);
    let audit = actions.audit.or(actions.log);
    let audit = audit.or_else(|| default.and_then(|default| default.audit.or(default.log))).unwrap_or(true);
    let mut meta = Meta {
        id: actions.id.unwrap_or(0),
        phase,
        disruptive,
        status,
        log,
        audit,
        message: Template::default(),
        data: Template::default(),
        severity: None,
        tags: Vec::new(),
        version: "".into(),
        revision: "".into(),
        skip: 0,
        skip_after: None,
    };
    if let Some(default) = default {
        merge(&mut meta, default);
    }
    merge(&mut meta, actions);
    meta
}

/// The status of a refusal: what is written; else what was said before, if that is for the same way to refuse: a rule that
/// redirects does not do so with the 403 of others.
fn answer(written: Option<u16>, before: Option<u16>, disruptive: &Disruptive) -> u16 {
    let redirects = matches!(disruptive, Disruptive::Redirect(_));
    let before = before.filter(|status| (300..400).contains(status) == redirects);
    written.or(before).unwrap_or(if redirects { 302 } else { 403 })
}

/// Takes over what any rule of a chain may say.
fn merge(meta: &mut Meta, actions: &Actions) {
    let Actions { message, data, severity, tags, version, revision, skip, skip_after, .. } = actions;
    meta.message = message.clone().unwrap_or_else(|| std::mem::take(&mut meta.message));
    meta.data = data.clone().unwrap_or_else(|| std::mem::take(&mut meta.data));
    meta.severity = severity.or(meta.severity);
    meta.tags.extend_from_slice(tags);
    meta.version = version.clone().unwrap_or_else(|| std::mem::take(&mut meta.version));
    meta.revision = revision.clone().unwrap_or_else(|| std::mem::take(&mut meta.revision));
    meta.skip = skip.unwrap_or(meta.skip);
    meta.skip_after = skip_after.clone().or_else(|| meta.skip_after.take());
}

/// `SecRuleUpdateActionById`: what is written replaces what was; what is done for values comes on top.
pub(super) fn update_actions(rule: &mut Rule, link: usize, default: Option<&Actions>, actions: &Actions) {
    let meta = &mut rule.meta;
    match &actions.disrupt {
        Some(Disrupt::This(disruptive)) => meta.disruptive = disruptive.clone(),
        Some(Disrupt::Block) => meta.disruptive = raw_meta(default, actions, meta.phase).disruptive,
        None => {}
    }
    meta.status = answer(actions.status, Some(meta.status), &meta.disruptive);
    meta.log = actions.log.unwrap_or(meta.log);
    meta.audit = actions.audit.or(actions.log).unwrap_or(meta.audit);
    merge(meta, actions);
    if let Some(link) = rule.links.get_mut(link) {
        if actions.forget_transformations {
            link.transformations.clear();
        }
        link.transformations.extend_from_slice(&actions.transformations);
        link.actions.extend_from_slice(&actions.list);
        link.capture |= actions.capture;
        link.multi_match |= actions.multi_match;
    }
}
