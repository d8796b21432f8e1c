//! Lets callers in, or keeps them out, by their network address.
//!
//! The order is fixed and does not depend on how lists are written: who is on the deny list is refused, even when
//! the allow list names them; where there is an allow list, everyone else is refused as well. The address is the
//! client's after trusted hops were taken off, so a forged `X-Forwarded-For` changes nothing. Files are read when
//! the policy is loaded, and again on every reload.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use http::StatusCode;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Exchange, Filter, Phases, Site, Step};
use crate::net::IpSet;
use crate::values::Problem;
use crate::values::text::quoted;

/// Lets in or keeps out by network address. Refuses with 403 `ip_access`.
///
/// Deny wins over allow. With an allow list, everyone who is not on it is refused; without one, everyone is let in
/// who is not denied.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Networks that may use the route, in CIDR notation, IPv4 or IPv6; a plain address means that one alone.
    /// Adds to `allow_file`. Default: no allow list, so everyone who is not denied.
    /// Example: `[10.0.0.0/8, "2001:db8::/32", 192.0.2.7]`.
    #[serde(default)]
    pub allow: Option<Vec<String>>,
    /// A file with networks that may use the route, one a line; `#` starts a comment. Adds to `allow`. Relative to
    /// the policy. Default: none. Example: `partners.txt`.
    #[serde(default)]
    pub allow_file: Option<PathBuf>,
    /// Networks that may not use the route, even when the allow list names them. Adds to `deny_file`. A wide IPv6
    /// network such as `::/0` says nothing about IPv4. Default: none. Example: `[198.51.100.0/24]`.
    #[serde(default)]
    pub deny: Vec<String>,
    /// A file with networks that may not use the route, one a line; `#` starts a comment. Adds to `deny`. Relative to
    /// the policy. Default: none. Example: `/etc/edgeward/blocked.txt`.
    #[serde(default)]
    pub deny_file: Option<PathBuf>,
}

impl super::Spec for Spec {
    const KIND: &'static str = "ip_access";
    const DECIDES: bool = true;
    const LETS_IN: bool = true;

    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        Ok(Box::new(self.build(site.base)?))
    }
}

impl Spec {
    fn build(self, base: &Path) -> Result<IpAccess, Problem> {
        let allow = match (&self.allow, &self.allow_file) {
            (None, None) => None,
            (list, file) => {
                let set = networks("allow", list.as_deref().unwrap_or_default(), file.as_deref(), base)?;
                if set.is_empty() {
                    let at = if list.is_some() { "allow" } else { "allow_file" };
                    return Err(Problem::new(at, "an empty allow list lets nobody in: name a network"));
                }
                Some(set)
            }
        };
        if allow.is_none() && self.deny.is_empty() && self.deny_file.is_none() {
            return Err(Problem::whole("nothing is allowed or denied: name networks in allow or deny"));
        }
        let deny = networks("deny", &self.deny, self.deny_file.as_deref(), base)?;
        Ok(IpAccess { allow, deny })
    }
}

struct IpAccess {
    /// `None` where everyone is let in who is not denied.
    allow: Option<IpSet>,
    deny: IpSet,
}

impl Filter for IpAccess {
    fn phases(&self) -> Phases {
        Phases::REQUEST
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        let address = exchange.client_ip();
        let allowed = self.allow.as_ref().is_none_or(|allow| allow.contains(address));
        if allowed && !self.deny.contains(address) {
            return Step::NEXT;
        }
        Step::refuse(StatusCode::FORBIDDEN, "ip_access")
    }
}

/// The networks of a list (`key` in the policy) and of a file (`key_file`), together.
fn networks(key: &str, list: &[String], file: Option<&Path>, base: &Path) -> Result<IpSet, Problem> {
    let mut networks = Vec::new();
    for (index, text) in list.iter().enumerate() {
        let network = network(text).map_err(|message| Problem::new(format!("{key}[{index}]"), message))?;
        networks.push(network);
    }
    if let Some(file) = file {
        let path = base.join(file);
        networks.extend(read(&path).map_err(|message| Problem::new(format!("{key}_file"), message))?);
    }
    Ok(IpSet::new(networks))
}

/// The networks in a file, one a line. The message of a failure names file and line.
fn read(path: &Path) -> Result<Vec<IpNet>, String> {
    let text =
        fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let lines = text.lines().enumerate().map(|(index, line)| {
        let content = line.split_once('#').map_or(line, |(before, _)| before).trim();
        (index + 1, content)
    });
    lines
        .filter(|(_, content)| !content.is_empty())
        .map(|(number, content)| {
            network(content).map_err(|message| format!("{}:{number}: {message}", path.display()))
        })
        .collect()
}

/// A network in CIDR notation, or a single address.
///
/// Bits beyond the prefix are refused: `10.0.0.1/8` is either a slip for `10.0.0.1` or for `10.0.0.0/8`, and the two
/// differ by sixteen million hosts.
fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let network: IpNet = text.parse().map_err(|_| {
        format!(
            "expected a network such as 10.0.0.0/8 or an address such as 192.0.2.7, found {}",
            quoted(text)
        )
    })?;
    if network.trunc() != network {
        let (address, meant) = (network.addr(), network.trunc());
        return Err(format!("{text} has bits set beyond its prefix, did you mean {meant} or {address}?"));
    }
    Ok(network)
}

#[cfg(test)]
mod tests;
