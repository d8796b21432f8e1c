//! Edgeward: a programmable edge proxy for APIs. One binary, one YAML policy.
//!
//! Imports point down only, in the order of this list read backwards; `tests/it/layering.rs` holds that.
//! `docs/architecture.md` is the map.

pub mod values;

pub mod http;
pub mod net;

pub mod state;
pub mod telemetry;

pub mod tls;
pub mod upstream;

pub mod filters;

pub mod config;

pub mod policy;

pub mod proxy;

pub mod server;

pub mod cli;
