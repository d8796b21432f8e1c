//! From a program to an engine: names to places, patterns to automata, and what does not depend on the request done once.

mod build;
mod constants;
mod fold;
mod known;
mod slots;

use std::sync::Arc;

use super::engine::filter::Filter;
use super::engine::{Engine, Limits};
use super::ir::{EngineState, Location, Program};
use super::meter::Clock;
use super::seclang::Unsupported;
use build::Compiler;
pub(super) use build::RequiredOf;

/// How rules are tested.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Only where the prefilter says that they may match, and without what does not depend on the request.
    #[default]
    Filtered,
    /// Each on each value, as written. For comparison.
    Naive,
}

/// What an engine is made with.
pub struct Options {
    /// How rules are tested.
    pub mode: Mode,
    /// How much a transaction may take. What the rules say of body lengths makes it less, never more.
    pub limits: Limits,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Whether rules run and refuse, whatever the rules say of it.
    pub state: Option<EngineState>,
    /// What becomes of rules with patterns that cannot be matched in linear time.
    pub unsupported: Unsupported,
}

/// What is wrong where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub struct CompileError {
    /// Where.
    pub at: Location,
    /// What.
    pub what: String,
}

/// What compiling came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Ids of rules that were computed once, or that no request reaches with these settings.
    pub folded: Vec<u64>,
    /// Ids of rules that the prefilter cannot spare, because they have no literals, look at changing variables, or
    /// are negated.
    pub unfiltered: Vec<u64>,
    /// What an operator should know.
    pub notes: Vec<CompileError>,
}

impl Engine {
    /// Compiles a program.
    ///
    /// # Errors
    /// All that is wrong with it: identifiers used twice, patterns that cannot be matched.
    pub fn compile(program: &Program, options: Options) -> Result<(Arc<Self>, Report), Vec<CompileError>> {
        let mut compiler = Compiler::new(&options);
        compiler.program(program)?;
        let (mut plan, required, mut report) = compiler.finish();
        let filter =
            match options.mode {
                Mode::Naive => None,
                Mode::Filtered => {
                    report.folded = fold::fold(&mut plan);
                    slots::resolve(&mut plan);
                    let by_later = !fold::reads_stale_match(&plan);
                    Some(Filter::new(&mut plan, &required, by_later).map_err(|what| {
                        vec![CompileError { at: Location { file: "".into(), line: 0 }, what }]
                    })?)
                }
            };
        if filter.is_some() {
            let unfiltered = plan.phases.iter().flatten().filter(|turn| turn.screened.is_none());
            let rules = unfiltered.filter_map(|turn| plan.rules.get(turn.rule as usize));
            report.unfiltered = rules.map(|rule| rule.id).collect();
        }
        let mut settings = program.settings.clone();
        settings.engine = options.state.or(settings.engine);
        let least = |own: usize, said: Option<usize>| said.map_or(own, |said| said.min(own));
        let limits = Limits {
            request_body_bytes: least(options.limits.request_body_bytes, settings.request_body_bytes),
            response_body_bytes: least(options.limits.response_body_bytes, settings.response_body_bytes),
            ..options.limits
        };
        let engine = Self::new(plan, filter, settings, limits, options.clock);
        Ok((Arc::new(engine), report))
    }
}

#[cfg(test)]
mod tests;
