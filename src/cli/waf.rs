//! `edgeward waf test`: what a set of rules makes of its tests, in process. Its subcommands have modules of their own.

mod explain;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

pub(super) use self::explain::explain;
use super::EXIT_WRONG;
use crate::config::yaml;
use crate::filters::waf::files::Sources;
use crate::filters::waf::rule_set::{self, Tuning};
use crate::state::Clock;
use crate::waf::ftw::{self, Ending};
use crate::waf::{Engine, Limits};

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

/// A stage that failed, or a file that cannot be read as tests.
#[derive(Debug, Serialize)]
struct Failure {
    rule: u64,
    test: u64,
    stage: usize,
    why: String,
    file: String,
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
pub(super) fn test(rules: &[PathBuf], tests: &Path, json: bool, paranoia: u8) -> ExitCode {
    let engine = match engine(rules, paranoia) {
        Ok(engine) => engine,
        Err(errors) => return wrong(&errors),
    };
    let mut files = Vec::new();
    if let Err(error) = find(tests, &mut files) {
        return wrong(&[format!("{}: {error}", tests.display())]);
    }
    if files.is_empty() {
        return wrong(&[format!("{}: no tests: expected *.yaml files", tests.display())]);
    }
    let mut outcome = Outcome::default();
    for file in &files {
        outcome.run(&engine, file);
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

fn engine(rules: &[PathBuf], paranoia: u8) -> Result<Arc<Engine>, Vec<String>> {
    let mut sources = Sources::default();
    for path in rules {
        sources.add(path).map_err(|error| vec![format!("{}: {error}", path.display())])?;
    }
    let level = u32::from(paranoia);
    // The second is what versions before 4 have.
    let levels = [("blocking_paranoia_level", level), ("paranoia_level", level)];
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

impl Outcome {
    fn run(&mut self, engine: &Arc<Engine>, path: &Path) {
        let file = path.display().to_string();
        let document = match yaml::plain::<Value>(path) {
            // Beside tests there are settings, and files where all is commented out.
            Ok(document) if document.get("tests").is_none() => return,
            Ok(document) => serde_json::from_value(document).map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        let document: ftw::Document = match document {
            Ok(document) => document,
            Err(why) => {
                self.failed += 1;
                return self.failures.push(Failure { rule: 0, test: 0, stage: 0, why, file });
            }
        };
        for found in ftw::run(engine, &document) {
            let count = self.rules.entry(found.rule).or_default();
            match found.ending {
                Ending::Passed => (self.passed, count.passed) = (self.passed + 1, count.passed + 1),
                Ending::Skipped => self.skipped += 1,
                Ending::Failed(why) => {
                    (self.failed, count.failed) = (self.failed + 1, count.failed + 1);
                    let (rule, test, stage) = (found.rule, found.test, found.stage);
                    self.failures.push(Failure { rule, test, stage, why, file: file.clone() });
                }
            }
        }
    }

    fn text(&self) -> String {
        let mut lines: Vec<_> = self
            .rules
            .iter()
            .map(|(rule, count)| format!("{rule:>6}  {} passed, {} failed", count.passed, count.failed))
            .collect();
        lines.extend(self.failures.iter().map(|failure| {
            let Failure { rule, test, stage, why, file } = failure;
            format!("FAILED {rule}-{test}.{stage} ({file}): {why}")
        }));
        lines.push(format!(
            "{} passed, {} failed, {} without a word on rules",
            self.passed, self.failed, self.skipped
        ));
        lines.join("\n")
    }
}
