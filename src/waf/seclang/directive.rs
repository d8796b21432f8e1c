//! Directives by name: those with a meaning here, those that have none within a proxy, and those that are not done.

use super::actions::{self, Actions};
use super::build::{Builder, Change, update_actions};
use super::lexer::Directive;
use super::{Problem, targets};
use crate::waf::ir::{Location, Program, Rule, RuleSet, Step};

/// Directives that change nothing here. Each is about what a proxy's own configuration says (logs, upload folders,
/// connection limits) or about an engine built otherwise (backtracking limits).
const IRRELEVANT: &[&str] = &[
    "secauditengine",
    "secauditlog",
    "secauditlog2",
    "secauditlogdirmode",
    "secauditlogfilemode",
    "secauditlogformat",
    "secauditlogparts",
    "secauditlogprefix",
    "secauditlogrelevantstatus",
    "secauditlogstoragedir",
    "secauditlogtype",
    "seccachetransformations",
    "secchrootdir",
    "seccollectiontimeout",
    "secconnreadstatelimit",
    "secconnwritestatelimit",
    "secconnengine",
    "secdatadir",
    "secdebuglog",
    "secdebugloglevel",
    "secdisablebackendcompression",
    "secgsblookupdb",
    "secguardianlog",
    "sechttpblkey",
    "secinterceptonerror",
    "secpcrematchlimit",
    "secpcrematchlimitrecursion",
    "secrequestbodyinmemorylimit",
    "secruleperftime",
    "secsensorid",
    "secserversignature",
    "secstatusengine",
    "secstreaminbodyinspection",
    "secstreamoutbodyinspection",
    "sectmpdir",
    "sectmpsaveuploadedfiles",
    "secunicodemapfile",
    "secunicodecodepage",
    "secuploaddir",
    "secuploadfilelimit",
    "secuploadfilemode",
    "secuploadkeepfiles",
    "secxmlexternalentity",
];

/// Takes one directive.
pub(super) fn apply(builder: &mut Builder<'_>, directive: &Directive, at: &Location) -> Result<(), Problem> {
    let name = directive.name.to_ascii_lowercase();
    let arguments: Vec<&[u8]> = directive.arguments.iter().map(Vec::as_slice).collect();
    match (name.as_str(), arguments.as_slice()) {
        ("secrule", [targets, operator]) => builder.rule(Some((targets, operator)), b"", at),
        ("secrule", [targets, operator, actions]) => builder.rule(Some((targets, operator)), actions, at),
        ("secaction", [actions]) => builder.rule(None, actions, at),
        ("secmarker", [name]) => {
            builder.marker(name);
            Ok(())
        }
        ("secdefaultaction", [actions]) => builder.default_action(actions),
        ("include", [path]) => {
            builder.include(&String::from_utf8_lossy(path), Some(at.line));
            Ok(())
        }
        ("secruleremovebyid", [_, ..]) => each(&arguments, |text| {
            builder.change(at, Change::Remove(actions::ids(text)?));
            Ok(())
        }),
        ("secruleremovebytag", [tag]) => {
            builder.change(at, Change::Remove(RuleSet::Tag(text(tag).into())));
            Ok(())
        }
        ("secruleremovebymsg", [message]) => {
            builder.change(at, Change::Remove(RuleSet::Message(text(message).into())));
            Ok(())
        }
        ("secruleupdatetargetbyid", [id, rest @ ..]) => {
            let ids = actions::ids(&text(id))?;
            update_targets(builder, at, ids, rest)
        }
        ("secruleupdatetargetbytag", [tag, rest @ ..]) => {
            update_targets(builder, at, RuleSet::Tag(text(tag).into()), rest)
        }
        ("secruleupdatetargetbymsg", [message, rest @ ..]) => {
            update_targets(builder, at, RuleSet::Message(text(message).into()), rest)
        }
        ("secruleupdateactionbyid", [id, list]) => {
            let id = text(id);
            let (id, link) = id.split_once(':').unwrap_or((&id, "0"));
            let numbers = id.trim().parse().ok().zip(link.trim().parse().ok());
            let (id, link) = numbers.ok_or("expected the id of a rule, or id:link")?;
            builder.change(at, Change::Actions(id, link, Box::new(actions::actions(list)?)));
            Ok(())
        }
        (name, [_, ..]) if setting(builder, name, &text(&arguments.join(&b' ')))? => Ok(()),
        (name, _) if IRRELEVANT.iter().any(|known| known.eq_ignore_ascii_case(name)) => Ok(()),
        ("secrulescript" | "secremoterules" | "sechashengine" | "secgeolookupdb", _) => {
            Err(Problem::Unsupported(format!("{} is not done here", directive.name)))
        }
        _ => Err(format!(
            "no directive {} with {} arguments is known",
            directive.name,
            directive.arguments.len()
        )
        .into()),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Arguments, several of which may stand in one, between spaces or commas.
fn each(arguments: &[&[u8]], mut take: impl FnMut(&str) -> Result<(), Problem>) -> Result<(), Problem> {
    arguments.iter().try_for_each(|argument| {
        let argument = text(argument);
        let mut words = argument.split([' ', ',']).filter(|word| !word.is_empty());
        words.try_for_each(&mut take)
    })
}

fn update_targets(
    builder: &mut Builder<'_>,
    at: &Location,
    rules: RuleSet,
    rest: &[&[u8]],
) -> Result<(), Problem> {
    let [list] = rest else { return Err("expected which rules and the targets to add".into()) };
    builder.change(at, Change::Targets(rules, targets::targets(list)?));
    Ok(())
}

/// What is said beside the rules. Whether there is a setting of this name.
fn setting(builder: &mut Builder<'_>, name: &str, value: &str) -> Result<bool, Problem> {
    let settings = &mut builder.program.settings;
    match name {
        "secruleengine" => settings.engine = Some(actions::engine_state(value)?),
        "secrequestbodyaccess" => settings.request_body = on(value)?,
        "secresponsebodyaccess" => settings.response_body = on(value)?,
        "secrequestbodylimit" => settings.request_body_bytes = Some(count(value)?),
        "secrequestbodynofileslimit" => _ = count(value)?,
        "secrequestbodylimitaction" => settings.request_body_partial = partial(value)?,
        "secresponsebodylimit" => settings.response_body_bytes = Some(count(value)?),
        "secresponsebodylimitaction" => settings.response_body_partial = partial(value)?,
        "secresponsebodymimetypesclear" => settings.response_types.clear(),
        "secrequestbodyjsondepthlimit" => settings.json_depth = Some(count(value)?),
        "secargumentslimit" => settings.arguments = Some(count(value)?),
        "secargumentseparator" => match value.as_bytes() {
            [separator] => settings.argument_separator = *separator,
            _ => return Err(format!("expected one character, found {value:?}").into()),
        },
        "seccookieformat" => match value {
            "0" => settings.version_1_cookies = false,
            "1" => settings.version_1_cookies = true,
            _ => return Err(format!("expected 0 or 1, found {value:?}").into()),
        },
        "secwebappid" => settings.web_app = value.into(),
        "seccomponentsignature" => settings.components.push(value.into()),
        "secresponsebodymimetype" => settings.response_types = types(value),
        _ => return Ok(false),
    }
    Ok(true)
}

fn types(list: &str) -> Vec<Box<str>> {
    list.split_ascii_whitespace().map(|kind| kind.to_ascii_lowercase().into()).collect()
}

fn on(value: &str) -> Result<bool, Problem> {
    match value.to_ascii_lowercase().as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("expected On or Off, found {value:?}").into()),
    }
}

fn partial(value: &str) -> Result<bool, Problem> {
    match value.to_ascii_lowercase().as_str() {
        "processpartial" => Ok(true),
        "reject" => Ok(false),
        _ => Err(format!("expected Reject or ProcessPartial, found {value:?}").into()),
    }
}

fn count(value: &str) -> Result<usize, Problem> {
    value.parse().map_err(|_| format!("expected a number, found {value:?}").into())
}

/// Makes a change to the rules that it is about.
///
/// # Errors
/// If there are none.
pub(super) fn change(
    program: &mut Program,
    defaults: &[Option<Actions>; 5],
    change: Change,
) -> Result<(), String> {
    let none = "no rule is meant by this".to_owned();
    let (set, touched) = match change {
        Change::Remove(set) => {
            let before = program.steps.len();
            let meant = selected(&set)?;
            program.steps.retain(|step| !matches!(step, Step::Rule(rule) if meant(rule)));
            return if program.steps.len() < before { Ok(()) } else { Err(none) };
        }
        Change::Targets(set, targets) => (set, Err(targets)),
        Change::Actions(id, link, actions) => (RuleSet::Ids(id, id), Ok((link, actions))),
    };
    let meant = selected(&set)?;
    let mut found = false;
    for step in &mut program.steps {
        let Step::Rule(rule) = step else { continue };
        if !meant(rule) {
            continue;
        }
        found = true;
        match &touched {
            Err(targets) => rule.links.first_mut().map_or((), |link| link.targets.extend_from_slice(targets)),
            Ok((link, actions)) => {
                let default = defaults.get(rule.meta.phase.index()).and_then(Option::as_ref);
                update_actions(rule, *link, default, actions);
            }
        }
    }
    if found { Ok(()) } else { Err(none) }
}

type Selected = Box<dyn Fn(&Rule) -> bool>;

/// Whether a rule is of the set.
fn selected(set: &RuleSet) -> Result<Selected, String> {
    let compiled = |text: &str| {
        regex::bytes::Regex::new(text).map_err(|_| format!("{text:?} is no pattern that is understood"))
    };
    Ok(match set {
        RuleSet::Ids(first, last) => {
            let range = *first..=*last;
            Box::new(move |rule| range.contains(&rule.meta.id))
        }
        RuleSet::Tag(text) => {
            let pattern = compiled(text)?;
            Box::new(move |rule| rule.meta.tags.iter().any(|tag| pattern.is_match(tag.as_bytes())))
        }
        RuleSet::Message(text) => {
            let pattern = compiled(text)?;
            Box::new(move |rule| rule.meta.message.as_text().is_some_and(|text| pattern.is_match(text)))
        }
    })
}
