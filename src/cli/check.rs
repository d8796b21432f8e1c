//! `edgeward check`: everything that is wrong with a policy, at once.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use log::kv::{Key, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::EXIT_WRONG;
use crate::policy::Materials;
use crate::server;

/// What a start would warn of in its log, told on the standard error.
struct Warnings;

impl Log for Warnings {
    fn enabled(&self, of: &Metadata<'_>) -> bool {
        of.level() <= Level::Warn && of.target().starts_with("edgeward")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let mut more = More::default();
            // It never fails.
            _ = record.key_values().visit(&mut more);
            eprintln!("warning: {}{}", record.args(), more.0);
        }
    }

    fn flush(&self) {}
}

/// What a record says beside its message.
#[derive(Default)]
struct More(String);

impl<'kv> VisitSource<'kv> for More {
    fn visit_pair(&mut self, key: Key<'kv>, value: Value<'kv>) -> Result<(), log::kv::Error> {
        _ = write!(self.0, ", {key}: {value}");
        Ok(())
    }
}

/// Checks a policy as a start or a reload would, opening no socket and no log.
pub(super) fn check(policy: &Path, json: bool) -> ExitCode {
    // It fails only where there is a log already, which then has them.
    if log::set_logger(&Warnings).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
    let materials = match Materials::dry() {
        Ok(materials) => materials,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match server::read(policy, &materials, None) {
        Ok(snapshot) => {
            let (routes, upstreams) = (snapshot.route_count(), snapshot.services.len());
            if json {
                println!("[]");
            } else {
                let (routes, upstreams) = (counted(routes, "route"), counted(upstreams, "upstream"));
                println!("{}: good ({routes}, {upstreams})", policy.display());
            }
            ExitCode::SUCCESS
        }
        Err(diagnostics) if json => {
            match serde_json::to_string_pretty(&diagnostics) {
                Ok(text) => println!("{text}"),
                Err(error) => eprintln!("error: {error}"),
            }
            ExitCode::from(EXIT_WRONG)
        }
        Err(diagnostics) => {
            eprintln!("{diagnostics}");
            ExitCode::from(EXIT_WRONG)
        }
    }
}

/// How many there are: `1 route`, `2 routes`.
fn counted(count: usize, one: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {one}{plural}")
}
