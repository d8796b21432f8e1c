//! Where clients and operators come in.

use std::sync::Arc;

use super::Compiler;
use crate::config::spec::{self, Policy};
use crate::config::{Node, Outcome, Path};
use crate::http::fields::is_token;
use crate::net::{IpSet, ListenAddress};
use crate::policy::door::{Door, DoorLimits};
use crate::tls::Acceptor;

impl Compiler<'_> {
    pub(super) fn doors(&mut self, policy: &Policy) -> Vec<Arc<Door>> {
        let at = Path::root().key("listeners");
        if policy.listeners.is_empty() {
            self.issue(at, "expected at least one listener");
        }
        let mut listeners = Vec::new();
        for node in &policy.listeners {
            let listener = match node.read_part::<spec::Listener>(&mut self.issues) {
                Outcome::Rest(mut rest) => {
                    // What is missing from it may be what was wrong.
                    rest.tls.take_if(|tls| tls.certificates.is_empty() && tls.self_signed.is_empty());
                    Some(rest)
                }
                outcome => outcome.value(),
            };
            listeners.extend(listener.map(|listener| (node, listener)));
        }
        let https = https_port(listeners.iter().map(|(_, listener)| listener));
        let mut doors: Vec<Arc<Door>> = Vec::new();
        for (node, listener) in &listeners {
            let other = doors.iter().map(|door| &door.address).find(|other| clash(other, &listener.address));
            if let Some(other) = other {
                self.issue(node.path().key("address"), format_args!("overlaps the listener at {other}"));
            }
            doors.extend(self.door(listener, node.path(), policy, https).map(Arc::new));
        }
        self.operators(policy, &listeners);
        doors
    }

    /// What no listener lets in reaches no route.
    pub(super) fn check_methods(&mut self, routes: &[(Path, spec::Route)], doors: &[Arc<Door>]) {
        for (at, route) in routes {
            for (index, method) in route.matching.methods.iter().enumerate() {
                let is_known = doors.iter().any(|door| door.limits.head.knows_method(method.as_bytes()));
                let is_extension = is_token(method.as_bytes()) && *method == method.to_ascii_uppercase();
                if is_extension && !is_known {
                    let at = at.key("match").key("methods").index(index);
                    let message = match method.as_str() {
                        "*" => "leave `methods` out for all methods".to_owned(),
                        _ => format!("no listener takes {method}: name it in `limits.methods`, too"),
                    };
                    self.issue(at, message);
                }
            }
        }
    }

    /// What is not for clients needs addresses of its own.
    fn operators(&mut self, policy: &Policy, listeners: &[(&Node, spec::Listener)]) {
        let at = |section, key| Path::root().key(section).key(key);
        let admin = policy.admin.as_ref().map(|admin| (at("admin", "address"), &admin.address));
        let echo = policy.server.echo.as_ref().map(|echo| (at("server", "echo"), echo));
        for (at, address) in admin.iter().chain(&echo) {
            let addresses = listeners.iter().map(|(_, listener)| &listener.address);
            if let Some(other) = addresses.into_iter().find(|other| clash(other, address)) {
                self.issue(at.clone(), format_args!("overlaps the listener at {other}"));
            }
        }
        if let (Some((_, admin)), Some((at, echo))) = (&admin, &echo)
            && clash(admin, echo)
        {
            self.issue(at.clone(), format_args!("overlaps the admin listener at {admin}"));
        }
    }

    fn door(&mut self, spec: &spec::Listener, at: &Path, policy: &Policy, https: u16) -> Option<Door> {
        let own = spec.limits.as_ref().map(|limits| (limits, at.clone()));
        let (limits, limits_at) = own.unwrap_or((&policy.limits, Path::root()));
        let compiled = DoorLimits::compile(limits);
        let limits = compiled.map_err(|problems| self.problems(&limits_at.key("limits"), problems)).ok();
        if spec.redirect.is_some() && spec.tls.is_some() {
            self.issue(at.key("redirect"), "this listener speaks https already");
        }
        if spec.h2c && spec.tls.is_some() {
            self.issue(at.key("h2c"), "h2c is HTTP/2 without TLS; with TLS, HTTP/2 is negotiated by itself");
        }
        let tls = match &spec.tls {
            Some(tls) => Some(self.acceptor(tls, &spec.address, &at.key("tls"))?),
            None => None,
        };
        Some(Door {
            address: spec.address.clone(),
            name: spec.address.to_string().into(),
            tls,
            redirect: spec.redirect.map(|_| https),
            h2c: spec.h2c,
            proxy_protocol: spec
                .proxy_protocol
                .as_ref()
                .map(|proxy| IpSet::new(proxy.trusted.iter().copied())),
            limits: limits?,
            metrics: self.materials.metrics.listener(&spec.address.to_string()),
        })
    }

    /// The acceptor in force goes on where the new policy would make the same, so that session tickets stay good.
    fn acceptor(
        &mut self,
        spec: &crate::tls::ServerSpec,
        address: &ListenAddress,
        at: &Path,
    ) -> Option<Arc<Acceptor>> {
        let before = self.before.and_then(|before| before.door(address)).and_then(|door| door.tls.clone());
        if let Some(acceptor) = before.filter(|acceptor| acceptor.serves(spec, &self.base)) {
            return Some(acceptor);
        }
        match Acceptor::load(spec, &self.base) {
            Ok(acceptor) => Some(Arc::new(acceptor)),
            Err(problems) => {
                self.problems(at, problems);
                None
            }
        }
    }
}

/// Whether two listeners cannot both have their address.
fn clash(one: &ListenAddress, other: &ListenAddress) -> bool {
    one == other || one.overlaps(other)
}

/// Where `redirect: https` leads: 443, unless TLS is spoken on other ports alone.
fn https_port<'a>(listeners: impl Iterator<Item = &'a spec::Listener>) -> u16 {
    const HTTPS: u16 = 443;
    let with_tls = listeners.filter(|listener| listener.tls.is_some());
    let ports: Vec<_> = with_tls
        .filter_map(|listener| match listener.address {
            ListenAddress::Ip(address) => Some(address.port()),
            ListenAddress::Unix(_) => None,
        })
        .collect();
    if ports.contains(&HTTPS) { HTTPS } else { ports.first().copied().unwrap_or(HTTPS) }
}
