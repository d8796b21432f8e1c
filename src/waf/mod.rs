//! A web application firewall: rules in SecLang, compiled, run over one request and its response.
//!
//! Pure: bytes in, a [`Verdict`] and [`Match`]es out; no sockets, no files (a [`seclang::Loader`] reads them), no clock of
//! its own. Made for the OWASP Core Rule Set, whose rules it runs exactly as ModSecurity 3 does.
//!
//! # The way of a rule
//! [`seclang`] and [`yaml`] read text into [`ir::Program`], the one form that all front ends make. [`Engine::compile`] turns that into
//! an [`Engine`]: TX names become slots, patterns become automata, what does not depend on the request is computed once
//! (CRS sets some 60 variables and skips by paranoia level), and what can never run is told in the [`Report`]. Engines are
//! immutable and shared; a [`Transaction`] is one request's state, made from pooled memory, so that a request costs
//! almost no allocation.
//!
//! # The way of a value
//! Names and values are ranges of a few buffers. When a value arrives, the prefilter looks at it once for all rules: each
//! distinct text that the rules' transformations make of it is scanned by one automaton for literals without which a
//! rule cannot match, and only rules that pass are tested. Those that match are then run in the order of the rules with
//! everything that has an order: chains, variables, skips, exclusions, captures. Without the prefilter
//! ([`Mode::Naive`]) each rule is tested on each value as it is reached: much slower, same results. That is the oracle
//! of the tests and of the fuzzer.
//!
//! # What always holds
//! All patterns run in linear time. Each buffer has a limit ([`Limits`]), and a request that reaches one gets a typed
//! outcome, never a silent pass. What a front end does not know is an error with file and line.

pub mod body;
pub mod ftw;
pub mod ir;
pub mod libinjection;
pub mod seclang;
pub mod transform;
pub mod trial;

mod compile;
mod engine;
mod meter;
mod pattern;
mod recommended;
#[cfg(test)]
mod testing;
mod yaml;

pub use compile::{CompileError, Mode, Options, Report};
pub use engine::{Disruption, Engine, Exhausted, Interruption, Limits, Match, Transaction, Verdict};
pub use meter::Clock;
pub use pattern::check as check_pattern;
pub use recommended::RECOMMENDED;
