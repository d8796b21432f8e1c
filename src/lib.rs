//! Edgeward: a programmable edge proxy for APIs. One binary, one YAML policy.
//!
//! Imports point down only, in the order of this list read backwards; `tests/it/layering.rs` holds that.
//! `docs/architecture.md` is the map.

#![cfg_attr(
    test,
    allow(clippy::format_push_string, clippy::format_collect, reason = "shorter, and a test may allocate")
)]
#![cfg_attr(
    test,
    allow(clippy::needless_pass_by_value, reason = "callers of a test's helper should not care")
)]
#![cfg_attr(test, allow(clippy::missing_panics_doc, reason = "a test's helper fails by a panic"))]

pub mod values;

pub mod http;
pub mod net;

pub mod state;
pub mod telemetry;

pub mod auth;
pub mod cache;
pub mod dlp;
pub mod expr;
pub mod waf;

pub mod outbound;
pub mod tls;
pub mod upstream;

pub mod filters;

pub mod config;

pub mod consumers;
pub mod purging;

pub mod policy;

pub mod proxy;

pub mod server;

pub mod cli;

/// The source revision this was built from, if the build was told (`make release` does); else empty.
pub const REVISION: &str = match option_env!("EDGEWARD_REVISION") {
    Some(revision) => revision,
    None => "",
};
