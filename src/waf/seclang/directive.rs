//! Directives by name: those with a meaning here, those that have none within a proxy, and those that are not done.

use super::actions::{self, Actions};
use super::build::{Builder, Change, update_actions};
use super::lexer::Directive;
use super::{Problem, targets};
use crate::waf::ir::{Location, Program, Rule, RuleSet, Step, Target};

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
    "seccomponentsignature",
    "secdatadir",
    "secdebuglog",
    "secdebugloglevel",
    "sechttpblkey",
    "secpcrematchlimit",
    "secpcrematchlimitrecursion",
    "secrequestbodyinmemorylimit",
    "secruleperftime",
    "secsensorid",
    "secstatusengine",
    "sectmpdir",
    "sectmpsaveuploadedfiles",
    "secuploaddir",
    "secuploadfilemode",
    "secuploadkeepfiles",
];

/// Those that would change what is refused, answered or told, and are not done here; each with whether it is so only
/// where it says more than `Off`, and what to do about it.
const NOT_DONE: &[(&str, bool, &str)] = &[
    ("secchrootdir", false, ELSEWHERE),
    ("secconnengine", true, CONNECTIONS),
    ("secconnreadstatelimit", false, CONNECTIONS),
    ("secconnwritestatelimit", false, CONNECTIONS),
    ("seccontentinjection", true, "nothing is written into bodies"),
    ("seccookiev0separator", false, "cookies are parted by semicolons"),
    ("secdisablebackendcompression", true, "compressed bodies are examined decompressed, leave it out"),
    ("secgeolookupdb", false, "there is no database of addresses"),
    ("secgsblookupdb", false, "there is no database of Google's"),
    ("secguardianlog", false, "the access log tells of each request, and the audit what matched"),
    ("sechashengine", true, HASHES),
    ("sechashkey", false, HASHES),
    ("sechashmethodpm", false, HASHES),
    ("sechashmethodrx", false, HASHES),
    ("sechashparam", false, HASHES),
    ("secinterceptonerror", true, "what a rule cannot do is told when it is read"),
    ("secparsexmlintoargs", true, "of XML, XML:/* is all texts and XML://@* all attributes"),
    ("secreadstatelimit", false, CONNECTIONS),
    ("secremoterules", false, FETCHED),
    ("secremoterulesfailaction", false, FETCHED),
    ("secruleinheritance", false, "each `waf` filter has its own `rules`"),
    ("secrulescript", false, "Lua is not run, write it as SecRule"),
    ("secserversignature", false, "the filter `response_headers` sets what the server calls itself"),
    ("secstreaminbodyinspection", true, "REQUEST_BODY is the whole body"),
    ("secstreamoutbodyinspection", true, "RESPONSE_BODY is the whole body"),
    ("secwritestatelimit", false, CONNECTIONS),
    ("secxmlexternalentity", true, "entities are never fetched"),
];
const ELSEWHERE: &str = "that is for whatever starts the process";
const CONNECTIONS: &str = "connections are limited by the policy's `server` and `listeners`";
const HASHES: &str = "links in responses are not signed";
const FETCHED: &str = "nothing is fetched, save the rules as a file and Include it";

/// How directives are written that are no plain `NAME VALUE`.
const FORMS: &[(&str, &str)] = &[
    ("Include", "FILE"),
    ("IncludeOptional", "FILE"),
    ("SecAction", "\"ACTIONS\""),
    ("SecDefaultAction", "\"ACTIONS\""),
    ("SecMarker", "NAME"),
    ("SecResponseBodyMimeTypesClear", "with nothing behind it"),
    ("SecRuleEngine", "On|Off|DetectionOnly"),
    ("SecRule", "TARGETS \"TEST\" \"ACTIONS\""),
    ("SecRuleRemoveById", "IDS"),
    ("SecRuleRemoveByMsg", "\"PATTERN\""),
    ("SecRuleRemoveByTag", "\"PATTERN\""),
    ("SecRuleUpdateActionById", "ID \"ACTIONS\""),
    ("SecRuleUpdateTargetById", "IDS \"TARGETS\""),
    ("SecRuleUpdateTargetByMsg", "\"PATTERN\" \"TARGETS\""),
    ("SecRuleUpdateTargetByTag", "\"PATTERN\" \"TARGETS\""),
];

/// The code page whose best fit `urlDecodeUni` and `utf8toUnicode` know.
const CODE_PAGE: &str = "20127";

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
            builder.include(&text(path), at.line);
            Ok(())
        }
        ("includeoptional", [path]) => {
            builder.include_if_there(&text(path), at.line);
            Ok(())
        }
        (name, arguments) if name.starts_with("secruleremove") || name.starts_with("secruleupdate") => {
            later(builder, directive, (name, arguments), at)
        }
        ("secresponsebodymimetypesclear", []) => {
            builder.types_said = true;
            builder.program.settings.response_types.clear();
            Ok(())
        }
        ("secruleengine", [state]) => {
            builder.engine(actions::engine_state(&text(state))?, at);
            Ok(())
        }
        (name, [_, ..]) if setting(builder, name, &text(&arguments.join(&b' ')))? => Ok(()),
        (name, _) if IRRELEVANT.contains(&name) => Ok(()),
        (name, arguments) if let Some(instead) = not_done(name, arguments) => {
            Err(Problem::Unsupported(format!("{} is not done here: {instead}", directive.name)))
        }
        (name, [state]) if NOT_DONE.iter().any(|(known, ..)| *known == name) => on(&text(state)).map(drop),
        _ => Err(unknown(directive)),
    }
}

fn unknown(directive: &Directive) -> Problem {
    let Directive { name, arguments, .. } = directive;
    let count = arguments.len();
    if name.starts_with('<') {
        return "sections such as <IfModule> and <Location> are a web server's: leave their lines out, and write rules for some \
                paths alone into the `waf` filter of their route"
            .into();
    }
    if arguments.last().is_some_and(|last| last == b"\\") {
        return "a backslash goes on to the next line only as the last character of its own".into();
    }
    match FORMS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        Some((name, form)) => format!("expected {name} {form}, found {count} arguments").into(),
        None => format!("no directive {name} with {count} arguments is known").into(),
    }
}

/// What changes rules, wherever they stand.
fn later(
    builder: &mut Builder<'_>,
    directive: &Directive,
    (name, arguments): (&str, &[&[u8]]),
    at: &Location,
) -> Result<(), Problem> {
    match (name, arguments) {
        ("secruleremovebyid", [_, ..]) => each(arguments, |text| {
            builder.change(at, Change::Remove(actions::ids(text)?));
            Ok(())
        }),
        ("secruleremovebytag", [tag]) => {
            builder.change(at, Change::Remove(RuleSet::tag(&text(tag))?));
            Ok(())
        }
        ("secruleremovebymsg", [message]) => {
            builder.change(at, Change::Remove(RuleSet::message(&text(message))?));
            Ok(())
        }
        ("secruleupdatetargetbyid", [id, rest @ ..]) => {
            let ids = actions::ids(&text(id))?;
            update_targets(builder, at, ids, rest)
        }
        ("secruleupdatetargetbytag", [tag, rest @ ..]) => {
            update_targets(builder, at, RuleSet::tag(&text(tag))?, rest)
        }
        ("secruleupdatetargetbymsg", [message, rest @ ..]) => {
            update_targets(builder, at, RuleSet::message(&text(message))?, rest)
        }
        ("secruleupdateactionbyid", [id, list]) => {
            let id = text(id);
            let (id, link) = id.split_once(':').unwrap_or((&id, "0"));
            let numbers = id.trim().parse().ok().zip(link.trim().parse().ok());
            let (id, link) = numbers.ok_or("expected the id of a rule, or id:link")?;
            let changed = actions::actions(list)?;
            if changed.id.is_some() || changed.phase.is_some() || changed.chain {
                return Err("what a rule is called, when it runs and what it chains cannot be changed".into());
            }
            builder.change(at, Change::Actions(id, link, Box::new(changed)));
            Ok(())
        }
        _ => Err(unknown(directive)),
    }
}

/// What to do about a directive that is not done here, if it is one.
fn not_done(name: &str, arguments: &[&[u8]]) -> Option<&'static str> {
    let (_, switched, instead) = NOT_DONE.iter().find(|(known, ..)| *known == name)?;
    let is_off = matches!(arguments, [state] if state.eq_ignore_ascii_case(b"off"));
    (!switched || !is_off).then_some(instead)
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
    let list = match rest {
        [list] => list,
        [_, _] => return Err("targets in the place of others: write \"!OLD|NEW\", as one argument".into()),
        _ => return Err("expected which rules and the targets to add".into()),
    };
    builder.change(at, Change::Targets(rules, targets::targets(list)?));
    Ok(())
}

/// What is said beside the rules. Whether there is a setting of this name.
fn setting(builder: &mut Builder<'_>, name: &str, value: &str) -> Result<bool, Problem> {
    let settings = &mut builder.program.settings;
    match name {
        "secrequestbodyaccess" => settings.request_body = on(value)?,
        "secresponsebodyaccess" => settings.response_body = on(value)?,
        "secrequestbodylimit" => settings.request_body_bytes = Some(count(value)?),
        "secrequestbodynofileslimit" => settings.request_body_no_files_bytes = Some(count(value)?),
        "secrequestbodylimitaction" => settings.request_body_partial = partial(value)?,
        "secresponsebodylimit" => settings.response_body_bytes = Some(count(value)?),
        "secresponsebodylimitaction" => settings.response_body_partial = partial(value)?,
        "secrequestbodyjsondepthlimit" => settings.json_depth = Some(count(value)?),
        "secargumentslimit" => settings.arguments = Some(count(value)?),
        "secargumentseparator" => match value.as_bytes() {
            [separator] => settings.argument_separator = *separator,
            _ => return Err(format!("expected one character, found {value:?}").into()),
        },
        "seccookieformat" => match value {
            "0" => {}
            "1" => return Err(Problem::Unsupported("cookies are read as browsers send them (0)".to_owned())),
            _ => return Err(format!("expected 0 or 1, found {value:?}").into()),
        },
        "secunicodemapfile" | "secunicodecodepage" => {
            let page = value.split_ascii_whitespace().next_back().unwrap_or_default();
            if page != CODE_PAGE && page.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Problem::Unsupported(format!("of code pages {CODE_PAGE} is known, not {page}")));
            }
        }
        "seccollectiontimeout" => settings.collection_seconds = count(value)? as u64,
        "secuploadfilelimit" => settings.files = Some(count(value)?),
        "secwebappid" => settings.web_app = value.into(),
        "secresponsebodymimetype" => {
            // The first takes the place of the default, others add to it.
            if !std::mem::replace(&mut builder.types_said, true) {
                settings.response_types.clear();
            }
            for kind in value.split_ascii_whitespace() {
                settings.add_response_type(kind)?;
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
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

/// Adds targets to the first rule of a chain, and takes them from all of it. What tests nothing stays so.
fn update_targets_of(rule: &mut Rule, targets: &[Target]) {
    let tests = rule.links.iter_mut().enumerate().filter(|(_, link)| !link.targets.is_empty());
    for (at, link) in tests {
        let meant = targets.iter().filter(|target| target.excluded || at == 0);
        link.targets.extend(meant.cloned());
    }
}

/// Makes a change to the rules that it is about. Whether there are any.
pub(super) fn change(program: &mut Program, defaults: &[Option<Actions>; 5], change: Change) -> bool {
    let (meant, touched) = match change {
        Change::Remove(meant) => {
            let before = program.steps.len();
            program.steps.retain(|step| !matches!(step, Step::Rule(rule) if meant.has(&rule.meta)));
            return program.steps.len() < before;
        }
        Change::Targets(set, targets) => (set, Err(targets)),
        Change::Actions(id, link, actions) => (RuleSet::Ids(id, id), Ok((link, actions))),
    };
    let mut found = false;
    for step in &mut program.steps {
        let Step::Rule(rule) = step else { continue };
        if !meant.has(&rule.meta) {
            continue;
        }
        found = true;
        match &touched {
            Err(targets) => update_targets_of(rule, targets),
            Ok((link, _)) if *link >= rule.links.len() => found = false,
            Ok((link, actions)) => {
                let default = defaults.get(rule.meta.phase.index()).and_then(Option::as_ref);
                update_actions(rule, *link, default, actions);
            }
        }
    }
    found
}
