//! From files of rules and what a policy says of them to an engine.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use super::files::{Disk, Seen, Sources};
use rustix::time::{ClockId, clock_gettime};

use crate::state;
use crate::telemetry::timestamp::unix_ms;
use crate::waf::ir::{EngineState, Location, Program, Step};
use crate::waf::seclang::{self, Fault, Unsupported};
use crate::waf::{Clock, Engine, Limits, Mode, Options, RECOMMENDED};

/// The id of the action that sets what [`Tuning`] says: of the range that is for the engine's own.
const TUNING_ID: u64 = 899_900;
/// What the Core Rule Set's own settings begin with, where none are found.
const DEFAULT_SETUP: &str = "\
SecDefaultAction \"phase:1,log,auditlog,pass\"
SecDefaultAction \"phase:2,log,auditlog,pass\"
SecAction \"id:900990,phase:1,pass,t:none,nolog,setvar:tx.crs_setup_version=400\"
";

/// What the text that includes all files is called.
const POLICY: &str = "policy";

/// What is said of rules beside themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tuning {
    /// Variables of `TX`, set after the Core Rule Set's settings and before all rules.
    pub variables: Vec<(&'static str, u32)>,
    /// Directives after all rules, one a line.
    pub after: String,
    /// Whether they only watch.
    pub watch_only: bool,
}

/// An engine, and what it was made of.
pub struct RuleSet {
    /// The engine.
    pub engine: Arc<Engine>,
    /// What was read.
    pub seen: Seen,
    /// What an operator should know: rules of the Core Rule Set that are left out.
    pub notes: Vec<String>,
}

/// Reads and compiles rules. What is not supported is an error, except in the Core Rule Set (3.3 has a few such rules).
///
/// # Errors
/// All that is wrong, each with file and line.
pub fn compile(
    sources: &Sources,
    tuning: &Tuning,
    limits: Limits,
    clock: &state::Clock,
) -> Result<RuleSet, Vec<String>> {
    let mut text = text(sources, tuning)?;
    let disk = Disk::default();
    // What is left out of other rules is refused below.
    let unsupported = if sources.crs.is_empty() { Unsupported::Refuse } else { Unsupported::LeaveOut };
    let load = |text: &str| {
        let loaded = seclang::load(&disk, (POLICY, text), unsupported);
        loaded.map_err(|faults| told(&faults, text, &tuning.after))
    };
    let mut loaded = load(&text)?;
    if !sources.crs.is_empty() && !tuning.watch_only {
        text.insert_str(text.len() - tuning.after.len(), &recommended(&loaded.program));
        loaded = load(&text)?;
    }
    refuse_left_out(loaded.notes.iter().map(|note| (&note.at, &note.what)), sources)?;
    let options = Options {
        mode: Mode::Filtered,
        limits,
        clock: Arc::new(Time(clock.clone())),
        state: tuning.watch_only.then_some(EngineState::DetectionOnly),
        unsupported,
    };
    let compiled = Engine::compile(&loaded.program, options);
    let (engine, report) =
        compiled.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    refuse_left_out(report.notes.iter().map(|note| (&note.at, &note.what)), sources)?;
    let mut notes = told(&loaded.notes, &text, &tuning.after);
    notes.extend(report.notes.iter().map(ToString::to_string));
    Ok(RuleSet { engine, seen: disk.seen(), notes })
}

/// What the Core Rule Set counts on to stand beside it, as far as nobody has written it.
fn recommended(program: &Program) -> String {
    let is_there =
        |id: u64| program.steps.iter().any(|step| matches!(step, Step::Rule(rule) if rule.meta.id == id));
    RECOMMENDED.iter().filter(|(id, _)| !is_there(*id)).map(|(_, rule)| *rule).collect()
}

/// What is said of rules; of the directives `after`, with which the `text` of the policy ends, by the exclusion that each is.
fn told(faults: &[Fault], text: &str, after: &str) -> Vec<String> {
    let before = text.lines().count() - after.lines().count();
    let place = |fault: &Fault| match (fault.at.line as usize).checked_sub(before + 1) {
        Some(index) if &*fault.at.file == POLICY => format!("exclude[{index}]: {}", fault.what),
        _ => fault.to_string(),
    };
    faults.iter().map(place).collect()
}

/// Takes for errors what is left out of rules that are not the Core Rule Set's.
fn refuse_left_out<'a>(
    notes: impl Iterator<Item = (&'a Location, &'a String)>,
    sources: &Sources,
) -> Result<(), Vec<String>> {
    let is_of_crs =
        |at: &Location| sources.crs.iter().any(|directory| Path::new(&*at.file).starts_with(directory));
    let own = notes.filter(|(at, _)| !is_of_crs(at));
    let own = own.filter_map(|(at, what)| Some(format!("{at}: {}", what.strip_prefix("left out: ")?)));
    match own.collect::<Vec<_>>() {
        own if own.is_empty() => Ok(()),
        own => Err(own),
    }
}

/// All of it as one text, which includes the files.
///
/// # Errors
/// A path that cannot be named in such a text.
pub fn text(sources: &Sources, tuning: &Tuning) -> Result<String, Vec<String>> {
    let mut text = String::new();
    match &sources.setup {
        Some(setup) => include(&mut text, setup, "")?,
        None if !sources.crs.is_empty() => text.push_str(DEFAULT_SETUP),
        None => {}
    }
    if !tuning.variables.is_empty() {
        _ = write!(text, "SecAction \"id:{TUNING_ID},phase:1,pass,t:none,nolog");
        for (name, value) in &tuning.variables {
            _ = write!(text, ",setvar:tx.{name}={value}");
        }
        text.push_str("\"\n");
    }
    for path in &sources.rules {
        include(&mut text, path, if path.is_dir() { "/*.conf" } else { "" })?;
    }
    text.push_str(&tuning.after);
    Ok(text)
}

fn include(text: &mut String, path: &Path, pattern: &str) -> Result<(), Vec<String>> {
    match path.to_str().filter(|path| !path.contains(['"', '\n', '\\', '*', '?'])) {
        Some(path) => _ = writeln!(text, "Include \"{path}{pattern}\""),
        None => return Err(vec![format!("{}: not a path that rules can be read from", path.display())]),
    }
    Ok(())
}

/// The process's clock, as rules see it.
struct Time(state::Clock);

impl Clock for Time {
    /// Of the thread's processor: on a busy machine a request that waits for its turn must not be out of time by that.
    fn monotonic_ns(&self) -> u64 {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let [seconds, nanos] = [time.tv_sec, time.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
        seconds * 1_000_000_000 + nanos
    }

    fn unix_ms(&self) -> u64 {
        unix_ms(self.0.wall())
    }
}
