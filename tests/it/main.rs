//! The integration tests: one binary, for the proxy's generic code is compiled anew into each.
//!
//! `harness` starts the real thing in process, with real origins and a client that trusts nothing; beside it there is
//! a file a capability.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by a panic, and so do the tools it is made of"
)]
#![allow(clippy::float_cmp, reason = "counters are whole numbers")]
#![allow(clippy::format_push_string, clippy::format_collect, reason = "shorter, and a test may allocate")]
#![allow(clippy::needless_pass_by_value, reason = "callers of a harness should not care")]

#[allow(dead_code, unused_imports, reason = "a toolbox: which tools are in use changes with the tests")]
mod harness;

mod api_keys;
mod cache;
mod check;
mod conf;
mod desync;
mod filters;
mod forward_auth;
mod forwarding;
mod front_door;
mod http2;
mod idle;
mod introspection;
mod jwt;
mod keys_cli;
mod layering;
mod listeners;
mod load;
mod long;
mod main_job;
mod mtls;
mod observability;
mod oidc_login;
mod oidc_provider;
mod outbound;
mod process;
mod reload;
mod response_body;
mod routing;
mod signals;
mod signatures;
mod slow;
mod systemd;
mod tls;
mod token_exchange;
mod upgrade;
mod upstream_tls;
mod upstreams;
mod waf;
mod webhooks;
mod websocket;
