//! What rules do, as SecLang writes it: `id:1,phase:2,deny,t:lowercase,setvar:'tx.score=+5'`.

use super::Problem;
use super::targets;
use crate::values::nearest::suggestion;
use crate::waf::body::content_type::Processor;
use crate::waf::ir::{
    Action, Control, Disruptive, EngineState, Phase, RuleSet, SetVariable, Severity, Switch, Template,
    Update, Variable,
};
use crate::waf::transform::Transformation;

/// What a rule says becomes of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Disrupt {
    /// Whatever `SecDefaultAction` says.
    Block,
    This(Disruptive),
}

/// A list of actions. What was not written is `None`.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is an action of its own")]
pub(super) struct Actions {
    pub(super) id: Option<u64>,
    pub(super) phase: Option<Phase>,
    pub(super) disrupt: Option<Disrupt>,
    pub(super) status: Option<u16>,
    pub(super) log: Option<bool>,
    pub(super) audit: Option<bool>,
    pub(super) message: Option<Template>,
    pub(super) data: Option<Template>,
    pub(super) severity: Option<Severity>,
    pub(super) tags: Vec<Box<str>>,
    pub(super) version: Option<Box<str>>,
    pub(super) revision: Option<Box<str>>,
    pub(super) skip: Option<u32>,
    pub(super) skip_after: Option<Box<str>>,
    pub(super) chain: bool,
    pub(super) capture: bool,
    pub(super) multi_match: bool,
    /// Whether `t:none` was there, which forgets the default's transformations.
    pub(super) forget_transformations: bool,
    pub(super) transformations: Vec<Transformation>,
    pub(super) list: Vec<Action>,
}

/// Those that stand by themselves.
const BARE: &[&str] = &[
    "auditlog",
    "block",
    "capture",
    "chain",
    "deny",
    "drop",
    "log",
    "multimatch",
    "noauditlog",
    "nolog",
    "pass",
    "sanitisematched",
    "sanitizematched",
];
/// Those that mean nothing without a value, and do not say so themselves.
const WITH_VALUE: &[&str] =
    &["logdata", "msg", "redirect", "rev", "setrsc", "setsid", "setuid", "skipafter", "tag", "ver"];

/// Those that are not done here, each with what to do about it.
const NOT_DONE: &[(&str, &str)] = &[
    ("append", "nothing is written into bodies"),
    ("exec", "no program is run for a request; the audit tells what matched"),
    ("pause", "nothing is held up; the filter `rate_limit` slows callers down"),
    ("prepend", "nothing is written into bodies"),
    ("proxy", "which upstream a request goes to is for the policy's routes to say"),
    ("xmlns", "of XML, XML:/* is all texts and XML://@* all attributes"),
];

/// Reads a list of actions.
pub(super) fn actions(text: &[u8]) -> Result<Actions, Problem> {
    let mut found = Actions::default();
    for item in items(text)? {
        let split = item.iter().position(|byte| *byte == b':');
        let (name, value) = match split {
            Some(at) => (item.get(..at), item.get(at + 1..)),
            None => (Some(item), None),
        };
        let name = String::from_utf8_lossy(name.unwrap_or_default().trim_ascii()).into_owned();
        takes_what_it_has(&name, value.map(<[u8]>::trim_ascii))?;
        action(&mut found, &name.to_ascii_lowercase(), &unquoted(value.unwrap_or_default()))?;
    }
    // What expires must be there, in whatever order the two are written.
    found.list.sort_by_key(|action| matches!(action, Action::Expire(..)));
    Ok(found)
}

/// Whether an action that wants a value has one, and no other: who writes `deny:404` means `deny,status:404`.
fn takes_what_it_has(name: &str, value: Option<&[u8]>) -> Result<(), Problem> {
    let is_in = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    match value {
        Some(value) if is_in(BARE) => {
            let value = String::from_utf8_lossy(value);
            Err(format!("{name} takes no value, found {name}:{value}").into())
        }
        None if is_in(WITH_VALUE) => Err(format!("{name} wants a value: {name}:…").into()),
        _ => Ok(()),
    }
}

/// Splits at commas that are not within single quotes. One within a value that is not quoted is an apostrophe.
fn items(text: &[u8]) -> Result<Vec<&[u8]>, Problem> {
    let mut found = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'\'' if quoted && !escaped => quoted = false,
            b'\'' if !escaped => quoted = opens(text.get(start..at).unwrap_or_default()),
            b',' if !quoted => {
                found.push(text.get(start..at).unwrap_or_default().trim_ascii());
                start = at + 1;
            }
            _ => {}
        }
        escaped = *byte == b'\\' && !escaped;
    }
    if quoted {
        return Err("a quote within the actions is not closed".into());
    }
    found.push(text.get(start..).unwrap_or_default().trim_ascii());
    found.retain(|item| !item.is_empty());
    Ok(found)
}

/// Whether a quote after this opens: where an item or a value begins (`'id:1'`, `msg:'…'`, `setvar:tx.a='…'`).
fn opens(before: &[u8]) -> bool {
    matches!(before.trim_ascii_end().last(), None | Some(b':' | b'=' | b';'))
}

fn unquoted(value: &[u8]) -> Vec<u8> {
    let value = value.trim_ascii();
    let inside = value.strip_prefix(b"'").and_then(|value| value.strip_suffix(b"'")).unwrap_or(value);
    let mut text = Vec::with_capacity(inside.len());
    let mut bytes = inside.iter().peekable();
    while let Some(byte) = bytes.next() {
        if *byte == b'\\' && bytes.peek() == Some(&&b'\'') {
            continue;
        }
        text.push(*byte);
    }
    text
}

fn string(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim().to_owned()
}

fn number<N: std::str::FromStr>(what: &str, value: &[u8]) -> Result<N, Problem> {
    let text = string(value);
    text.parse().map_err(|_| format!("expected a number for {what}, found {text:?}").into())
}

fn action(found: &mut Actions, name: &str, value: &[u8]) -> Result<(), Problem> {
    if disruptive(found, name, value)? || about(found, name, value)? {
        return Ok(());
    }
    match name {
        "chain" => found.chain = true,
        "capture" => found.capture = true,
        "multimatch" => found.multi_match = true,
        "skip" => found.skip = Some(number("skip", value)?),
        "skipafter" => found.skip_after = Some(string(value).into()),
        "t" => transformation(found, &string(value))?,
        "setvar" => found.list.push(Action::Set(set_variable(value)?)),
        "expirevar" => found.list.push(expire(value)?),
        "deprecatevar" => found.list.push(decay(value)?),
        "initcol" => found.list.push(begin(value)?),
        "setsid" => found.list.push(Action::Begin(Variable::Session, Template::parse(value)?)),
        "setuid" => found.list.push(Action::Begin(Variable::User, Template::parse(value)?)),
        "setrsc" => found.list.push(Action::Begin(Variable::Resource, Template::parse(value)?)),
        "setenv" => found.list.push(environment(value)?),
        "ctl" => found.list.extend(control(value)?.map(Action::Control)),
        _ if let Some((_, instead)) = NOT_DONE.iter().find(|(known, _)| *known == name) => {
            return Err(Problem::Unsupported(format!("the action {name} is not done here: {instead}")));
        }
        _ if let Some(what) = name.strip_prefix("sanitise").or_else(|| name.strip_prefix("sanitize")) => {
            conceal(found, what, value)?;
        }
        _ => return Err(format!("no action is called {name:?}").into()),
    }
    Ok(())
}

/// What is not shown to whoever reads the log; of what matched by bytes, all of it.
fn conceal(found: &mut Actions, what: &str, member: &[u8]) -> Result<(), Problem> {
    let variables: &[Variable] = match what {
        "matched" | "matchedbytes" => {
            found.list.push(Action::ConcealMatched);
            return Ok(());
        }
        "arg" => &[Variable::Args, Variable::ArgsGet, Variable::ArgsPost],
        "requestheader" => &[Variable::RequestHeaders],
        "responseheader" => &[Variable::ResponseHeaders],
        _ => return Err(format!("no action is called \"sanitise{what}\"").into()),
    };
    if member.is_empty() {
        return Err(format!("sanitise{what}: expected a name").into());
    }
    found.list.extend(variables.iter().map(|variable| Action::Conceal(*variable, member.into())));
    Ok(())
}

fn disruptive(found: &mut Actions, name: &str, value: &[u8]) -> Result<bool, Problem> {
    let disrupt = match name {
        "pass" => Disrupt::This(Disruptive::Pass),
        "block" => Disrupt::Block,
        "deny" => Disrupt::This(Disruptive::Deny),
        "drop" => Disrupt::This(Disruptive::Drop),
        "redirect" if value.is_empty() => return Err("redirect wants a URL".into()),
        "redirect" => Disrupt::This(Disruptive::Redirect(Template::parse(value)?)),
        "allow" => Disrupt::This(match string(value).as_str() {
            "" => Disruptive::Allow,
            "phase" => Disruptive::AllowPhase,
            "request" => Disruptive::AllowRequest,
            other => {
                return Err(format!("expected allow, allow:phase or allow:request, found {other:?}").into());
            }
        }),
        _ => return Ok(false),
    };
    found.disrupt = Some(disrupt);
    Ok(true)
}

/// What a rule says of itself.
fn about(found: &mut Actions, name: &str, value: &[u8]) -> Result<bool, Problem> {
    match name {
        "id" => match number("id", value)? {
            0 => return Err("an id is greater than 0".into()),
            id => found.id = Some(id),
        },
        "phase" => found.phase = Some(phase(&string(value))?),
        "status" => {
            let status = number("status", value)?;
            if !(100..=599).contains(&status) {
                return Err(format!("expected a status from 100 to 599, found {status}").into());
            }
            found.status = Some(status);
        }
        "log" => found.log = Some(true),
        "nolog" => found.log = Some(false),
        "auditlog" => found.audit = Some(true),
        "noauditlog" => found.audit = Some(false),
        "msg" => found.message = Some(Template::parse(value)?),
        "logdata" => found.data = Some(Template::parse(value)?),
        "severity" => found.severity = Some(severity(&string(value))?),
        "tag" => found.tags.push(string(value).into()),
        "ver" => found.version = Some(string(value).into()),
        "rev" => found.revision = Some(string(value).into()),
        "maturity" | "accuracy" => {
            number::<u8>(name, value)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn phase(text: &str) -> Result<Phase, Problem> {
    match text.to_ascii_lowercase().as_str() {
        "1" => Ok(Phase::RequestHeaders),
        "2" | "request" => Ok(Phase::RequestBody),
        "3" => Ok(Phase::ResponseHeaders),
        "4" | "response" => Ok(Phase::ResponseBody),
        "5" | "logging" => Ok(Phase::Logging),
        _ => Err(format!("expected a phase from 1 to 5, found {text:?}").into()),
    }
}

fn severity(text: &str) -> Result<Severity, Problem> {
    let by_number = text.parse().ok().and_then(|number: usize| Severity::ALL.get(number));
    let by_name = || Severity::ALL.iter().find(|severity| severity.name().eq_ignore_ascii_case(text));
    let found = by_number.or_else(by_name).copied();
    found.ok_or_else(|| format!("expected a severity such as CRITICAL or 2, found {text:?}").into())
}

fn transformation(found: &mut Actions, name: &str) -> Result<(), Problem> {
    if name.eq_ignore_ascii_case("none") {
        found.forget_transformations = true;
        found.transformations.clear();
        return Ok(());
    }
    let known = Transformation::from_name(name);
    let unknown = || {
        let meant = suggestion(name, Transformation::all().map(Transformation::name));
        format!("no transformation is called {name:?}{meant}")
    };
    found.transformations.push(known.ok_or_else(unknown)?);
    Ok(())
}

/// What is before and after the first `mark` outside a macro.
fn halves(text: &[u8], mark: u8) -> Option<(&[u8], &[u8])> {
    let mut depth = 0_usize;
    let at = text.iter().position(|byte| {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        *byte == mark && depth == 0
    })?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// `tx.name`: a collection and one of its variables.
fn member(text: &[u8]) -> Result<(Variable, Template), Problem> {
    let split = text.iter().position(|byte| matches!(byte, b'.' | b':'));
    let (collection, name) = split
        .and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?)))
        .filter(|(_, name)| !name.trim_ascii().is_empty())
        .ok_or_else(|| format!("expected a variable such as tx.name, found {:?}", string(text)))?;
    let collection = string(collection);
    let variable =
        Variable::from_name(&collection).filter(|variable| lasting(*variable) || *variable == Variable::Tx);
    let variable = variable.ok_or_else(|| format!("no variable of {collection:?} can be set"))?;
    Ok((variable, Template::parse(name.trim_ascii())?))
}

fn lasting_member(text: &[u8]) -> Result<(Variable, Template), Problem> {
    let (collection, name) = member(text)?;
    if !lasting(collection) {
        return Err(format!("{} is over with the request: nothing in it expires", collection.name()).into());
    }
    Ok((collection, name))
}

/// Whether the collection lasts longer than a request.
fn lasting(variable: Variable) -> bool {
    use Variable::{Global, Ip, Resource, Session, User};
    matches!(variable, Global | Ip | Resource | Session | User)
}

fn set_variable(text: &[u8]) -> Result<SetVariable, Problem> {
    if let Some(removed) = text.strip_prefix(b"!") {
        let (collection, name) = member(removed)?;
        return Ok(SetVariable { collection, name, update: Update::Remove });
    }
    let (target, value) = halves(text, b'=').unwrap_or((text, b"1"));
    let (collection, name) = member(target)?;
    let update = match value {
        [b'+', amount @ ..] => Update::Add(Template::parse(amount)?),
        [b'-', amount @ ..] => Update::Subtract(Template::parse(amount)?),
        text => Update::Set(Template::parse(text)?),
    };
    Ok(SetVariable { collection, name, update })
}

/// `name=value`, `name`, which is 1, or `!name`, which is removed.
fn environment(text: &[u8]) -> Result<Action, Problem> {
    let (name, value) = if let Some(name) = text.strip_prefix(b"!") {
        (name, None)
    } else {
        let (name, value) = halves(text, b'=').unwrap_or((text, b"1"));
        (name, Some(Template::parse(value)?))
    };
    match string(name) {
        name if name.is_empty() => Err("expected setenv:name=value".into()),
        name => Ok(Action::Environment(name.into(), value)),
    }
}

fn expire(text: &[u8]) -> Result<Action, Problem> {
    let (target, seconds) = halves(text, b'=').ok_or("expected expirevar:collection.name=seconds")?;
    let (collection, name) = lasting_member(target)?;
    Ok(Action::Expire(collection, name, Template::parse(seconds)?))
}

/// `ip.score=60/300`: 60 less for each 300 seconds.
fn decay(text: &[u8]) -> Result<Action, Problem> {
    let (target, by) = halves(text, b'=').ok_or("expected deprecatevar:collection.name=amount/seconds")?;
    let (collection, name) = lasting_member(target)?;
    let (amount, seconds) = halves(by, b'/').ok_or("expected deprecatevar:collection.name=amount/seconds")?;
    let by = (number("the amount", amount)?, number("the seconds", seconds)?);
    Ok(Action::Decay(collection, name, by))
}

fn begin(text: &[u8]) -> Result<Action, Problem> {
    let (collection, key) = halves(text, b'=').ok_or("expected initcol:collection=key")?;
    let collection = string(collection);
    let variable = Variable::from_name(&collection).filter(|variable| lasting(*variable));
    let variable = variable.ok_or_else(|| format!("no collection that lasts is called {collection:?}"))?;
    Ok(Action::Begin(variable, Template::parse(key)?))
}

/// One `ctl`; nothing, if it is about what does not exist here.
fn control(text: &[u8]) -> Result<Option<Control>, Problem> {
    let (name, value) = halves(text, b'=').ok_or("expected ctl:option=value")?;
    let text = string(value);
    let switch = || match text.to_ascii_lowercase().as_str() {
        "on" => Ok(Switch::On),
        "off" => Ok(Switch::Off),
        _ => Err(Problem::from(format!("expected On or Off, found {text:?}"))),
    };
    let target = || {
        let (rules, target) = halves(value, b';').ok_or("expected rules;target")?;
        let mut found = targets::targets(target)?;
        match (found.pop(), found.is_empty()) {
            (Some(target), true) => Ok((string(rules), target)),
            _ => Err(Problem::from("expected one target")),
        }
    };
    let name = string(name).to_ascii_lowercase();
    Ok(Some(match name.as_str() {
        "ruleremovebyid" => Control::RemoveRules(ids(&text)?),
        "ruleremovebytag" => Control::RemoveRules(RuleSet::tag(&text)?),
        "ruleremovebymsg" => Control::RemoveRules(RuleSet::message(&text)?),
        "ruleremovetargetbyid" => {
            target().and_then(|(rules, at)| Ok(Control::RemoveTarget(ids(&rules)?, at)))?
        }
        "ruleremovetargetbytag" => {
            target().and_then(|(rules, at)| Ok(Control::RemoveTarget(RuleSet::tag(&rules)?, at)))?
        }
        "ruleremovetargetbymsg" => {
            target().and_then(|(rules, at)| Ok(Control::RemoveTarget(RuleSet::message(&rules)?, at)))?
        }
        "ruleengine" => Control::Engine(engine_state(&text)?),
        "requestbodyprocessor" => Control::BodyProcessor(processor(&text)?),
        "forcerequestbodyvariable" => Control::ForceRequestBody(switch()?),
        "requestbodyaccess" => Control::RequestBody(switch()?),
        "responsebodyaccess" => Control::ResponseBody(switch()?),
        "auditengine" if text.eq_ignore_ascii_case("relevantonly") => Control::Audit(None),
        "auditengine" => Control::Audit(Some(switch()?)),
        // Audit events have one form, and there is no debug log.
        "auditlogparts" | "debugloglevel" => return Ok(None),
        "requestbodylimit" | "responsebodylimit" => {
            let what = format!("ctl:{name} is not done here: a route's `waf` filter has `max_body`");
            return Err(Problem::Unsupported(what));
        }
        "hashengine" | "hashenforcement" => {
            return Err(Problem::Unsupported(format!("ctl:{name} is not done here: leave it out")));
        }
        _ => return Err(format!("ctl has no option {name:?}").into()),
    }))
}

/// How a body is read.
fn processor(text: &str) -> Result<Processor, Problem> {
    use Processor::{Json, Multipart, UrlEncoded, Xml};
    let mut known = [Json, Xml, UrlEncoded, Multipart].into_iter();
    let named = known.find(|processor| processor.name().eq_ignore_ascii_case(text));
    named.ok_or_else(|| format!("expected JSON, XML, URLENCODED or MULTIPART, found {text:?}").into())
}

/// `942100` or `942100-942199`.
pub(super) fn ids(text: &str) -> Result<RuleSet, Problem> {
    let text = text.trim().trim_matches(|quote| matches!(quote, '"' | '\''));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let wrong = |_| format!("expected an id or a range such as 942100-942199, found {text:?}");
    let (first, last) = (first.trim().parse().map_err(wrong)?, last.trim().parse().map_err(wrong)?);
    if first > last {
        return Err(format!("a range of ids goes up, unlike {text:?}").into());
    }
    Ok(RuleSet::Ids(first, last))
}

/// `On`, `Off` or `DetectionOnly`.
pub(super) fn engine_state(text: &str) -> Result<EngineState, Problem> {
    match text.to_ascii_lowercase().as_str() {
        "on" => Ok(EngineState::On),
        "off" => Ok(EngineState::Off),
        "detectiononly" => Ok(EngineState::DetectionOnly),
        _ => Err(format!("expected On, Off or DetectionOnly, found {text:?}").into()),
    }
}
