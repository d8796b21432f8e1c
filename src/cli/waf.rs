//! `edgeward waf test`: what a set of rules makes of its tests, in process. Its subcommands have modules of their own.

mod explain;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

pub(super) use self::explain::explain;
use super::EXIT_WRONG;
use crate::config::{self, Diagnostic, Diagnostics};
use crate::filters::waf::files::Sources;
use crate::filters::waf::rule_set::{self, Tuning};
use crate::state::Clock;
use crate::waf::ftw::{self, Ending};
use crate::waf::trial;
use crate::waf::{Engine, Limits};

/// How the command line names the pack that is part of the program.
const STARTER: &str = "starter";
/// The highest paranoia level.
const HIGHEST: u8 = 4;
/// Directories within each other.
const DEEPEST: usize = 16;

/// What the Core Rule Set's project runs its tests with, beside the paranoia level.
const OF_TESTS: [(&str, u32); 7] = [
    ("crs_validate_utf8_encoding", 1),
    ("max_num_args", 255),
    ("arg_name_length", 100),
    ("arg_length", 400),
    ("total_arg_length", 64_000),
    ("max_file_size", 64_100),
    ("combined_file_sizes", 65_535),
];

/// A stage that failed, or what is wrong with a file of tests.
#[derive(Debug, Default, Serialize)]
struct Failure {
    rule: u64,
    test: u64,
    stage: usize,
    /// Of a pack's tests: what was sent.
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    why: String,
    file: String,
    /// Of what is wrong with a file: where.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

impl Failure {
    fn of(file: &str) -> Self {
        Self { file: file.to_owned(), ..Self::default() }
    }

    fn in_file(what: &Diagnostic) -> Self {
        let place = if what.path.is_empty() { String::new() } else { format!("{}: ", what.path) };
        let why = format!("{place}{}", what.message);
        Self { why, line: Some(what.line), ..Self::of(&what.file) }
    }
}

/// A file of tests.
enum Document {
    /// Of the Core Rule Set's kind.
    Regression(ftw::Document),
    /// Of a pack.
    Pack(trial::Document),
}

/// Compiles rules when they are first asked for: tests of a pack want them otherwise than those of the Core Rule Set.
struct Engines<'a> {
    rules: &'a [PathBuf],
    paranoia: Option<u8>,
    regression: Option<Arc<Engine>>,
    pack: Option<Arc<Engine>>,
}

/// How many stages of one rule's tests passed and failed.
#[derive(Debug, Default, Serialize)]
struct Count {
    passed: usize,
    failed: usize,
}

/// What it came to.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    passed: usize,
    failed: usize,
    /// Stages that say nothing of rules.
    skipped: usize,
    rules: BTreeMap<u64, Count>,
    failures: Vec<Failure>,
}

/// Runs all tests below `tests`.
pub(super) fn test(rules: &[PathBuf], tests: &Path, json: bool, paranoia: Option<u8>) -> ExitCode {
    let mut files = Vec::new();
    if let Err(error) = find(tests, &mut files) {
        return wrong(&[format!("{}: {error}", tests.display())]);
    }
    if files.is_empty() {
        return wrong(&[format!("{}: no tests: expected *.yaml files", tests.display())]);
    }
    let mut outcome = Outcome::default();
    let mut engines = Engines { rules, paranoia, regression: None, pack: None };
    for file in &files {
        if let Err(errors) = outcome.run(&mut engines, file) {
            return wrong(&errors);
        }
    }
    if outcome.passed + outcome.failed + outcome.skipped == 0 {
        return wrong(&[format!("{}: no tests: expected some under `tests`", tests.display())]);
    }
    let text = if json { serde_json::to_string(&outcome).unwrap_or_default() } else { outcome.text() };
    println!("{text}");
    if outcome.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn wrong(errors: &[String]) -> ExitCode {
    for error in errors {
        eprintln!("error: {error}");
    }
    ExitCode::from(EXIT_WRONG)
}

impl Engines<'_> {
    fn of(&mut self, document: &Document) -> Result<Arc<Engine>, Vec<String>> {
        let (kept, blocking, detection) = match document {
            Document::Regression(_) => {
                let level = self.paranoia.unwrap_or(HIGHEST);
                (&mut self.regression, level, level)
            }
            Document::Pack(_) => (&mut self.pack, self.paranoia.unwrap_or(1), HIGHEST),
        };
        let engine = match kept.take() {
            Some(engine) => engine,
            None => engine(self.rules, blocking, detection)?,
        };
        *kept = Some(Arc::clone(&engine));
        Ok(engine)
    }
}

fn engine(rules: &[PathBuf], blocking: u8, detection: u8) -> Result<Arc<Engine>, Vec<String>> {
    let mut sources = Sources::default();
    for path in rules {
        if path.to_str() == Some(STARTER) {
            sources.add_starter();
            continue;
        }
        sources.add(path).map_err(|error| vec![format!("{}: {error}", path.display())])?;
    }
    let (blocking, detection) = (u32::from(blocking), u32::from(detection));
    // The others are what versions before 4 have.
    let levels = [
        ("blocking_paranoia_level", blocking),
        ("paranoia_level", blocking),
        ("detection_paranoia_level", detection),
        ("executing_paranoia_level", detection),
    ];
    let tuning = Tuning {
        variables: levels.into_iter().chain(OF_TESTS).collect(),
        watch_only: true,
        ..Tuning::default()
    };
    // Tests are about rules, not about what a request may cost.
    let limits = Limits { time_ns: 60_000_000_000, request_body_bytes: 1 << 20, ..Limits::default() };
    let set = rule_set::compile(&sources, &tuning, limits, &Clock::system())?;
    for note in &set.notes {
        eprintln!("note: {note}");
    }
    Ok(set.engine)
}

/// Every `*.yaml` and `*.yml` below a directory, sorted; or the file itself.
fn find(tests: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !fs::metadata(tests)?.is_dir() {
        files.push(tests.to_owned());
        return Ok(());
    }
    let mut directories = vec![(tests.to_owned(), 0)];
    while let Some((directory, depth)) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if path.is_dir() {
                if depth < DEEPEST {
                    directories.push((path, depth + 1));
                }
            } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(())
}

/// What a file is, if it is one of tests: beside them there are settings, rules, and files where all is commented out. All
/// that is wrong with it is added to `wrong`, with its place; what is left of it is run all the same.
fn document(path: &Path, wrong: &mut Vec<Failure>) -> Option<Document> {
    let mut told = |diagnostics: &Diagnostics| wrong.extend(diagnostics.iter().map(Failure::in_file));
    let read = match config::Document::load(path) {
        Ok(read) => read,
        Err(diagnostics) => {
            told(&diagnostics);
            return None;
        }
    };
    let (root, mut issues) = (read.root(), Vec::new());
    let keys = root.as_map().unwrap_or_default();
    let has = |key: &str| keys.iter().any(|(known, _)| *known == key);
    // What tests of a pack are known by are lists of cases, which those of go-ftw have none of.
    let of_rule =
        |test: &config::Node| ["rule", "caught", "passed"].into_iter().any(|key| test.take(key).0.is_some());
    let of_pack = has("attacks")
        || has("benign")
        || root.take("tests").0.is_some_and(|tests| tests.items().iter().any(of_rule));
    let document = if has("rules") || !(has("tests") || of_pack) {
        None
    } else if of_pack {
        root.read(&mut issues).map(Document::Pack)
    } else {
        root.read(&mut issues).map(Document::Regression)
    };
    told(&Diagnostics::new(&read, issues));
    document
}

impl Outcome {
    fn run(&mut self, engines: &mut Engines<'_>, path: &Path) -> Result<(), Vec<String>> {
        let file = path.display().to_string();
        let mut wrong = Vec::new();
        let document = document(path, &mut wrong);
        self.failed += wrong.len();
        self.failures.append(&mut wrong);
        let Some(document) = document else { return Ok(()) };
        let engine = engines.of(&document)?;
        match document {
            Document::Regression(mut document) => {
                // The old form has the rule in the titles of tests, or in the name of the file alone.
                let named = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
                document.rule_id = document.rule_id.or(named);
                for found in ftw::run(&engine, &document) {
                    let (rule, test, stage) = (found.rule, found.test, found.stage);
                    self.count(found.ending, Failure { rule, test, stage, ..Failure::of(&file) });
                }
            }
            Document::Pack(document) => {
                for (found, stage) in trial::run(&engine, &document).into_iter().zip(0..) {
                    let (rule, name) = (found.rule, found.name);
                    self.count(found.ending, Failure { rule, stage, name, ..Failure::of(&file) });
                }
            }
        }
        Ok(())
    }

    /// Counts how a stage ended; `failure` is what is told of it if it failed.
    fn count(&mut self, ending: Ending, failure: Failure) {
        let count = self.rules.entry(failure.rule).or_default();
        match ending {
            Ending::Passed => (self.passed, count.passed) = (self.passed + 1, count.passed + 1),
            Ending::Skipped => self.skipped += 1,
            Ending::Failed(why) => {
                (self.failed, count.failed) = (self.failed + 1, count.failed + 1);
                self.failures.push(Failure { why, ..failure });
            }
        }
    }

    fn text(&self) -> String {
        let mut lines: Vec<_> = self
            .rules
            .iter()
            .map(|(rule, count)| {
                // What a pack refuses and lets pass as a whole is no rule's.
                let rule = if *rule == 0 { "all".to_owned() } else { rule.to_string() };
                format!("{rule:>7}  {} passed, {} failed", count.passed, count.failed)
            })
            .collect();
        lines.extend(self.failures.iter().map(|failure| {
            let Failure { rule, test, stage, name, why, file, line } = failure;
            match (name.as_str(), line) {
                (_, Some(line)) => format!("FAILED {file}:{line}: {why}"),
                ("", None) => format!("FAILED {rule}-{test}.{stage} ({file}): {why}"),
                (name, None) if *rule == 0 => format!("FAILED {name} ({file}): {why}"),
                (name, None) => format!("FAILED {rule} {name} ({file}): {why}"),
            }
        }));
        let skipped = match self.skipped {
            0 => String::new(),
            skipped => format!(", {skipped} skipped: they expect nothing of rules"),
        };
        lines.push(format!("{} passed, {} failed{skipped}", self.passed, self.failed));
        lines.join("\n")
    }
}
