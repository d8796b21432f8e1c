//! The web application firewall.

pub mod files;
pub mod rule_set;
