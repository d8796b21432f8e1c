//! From a [`Spec`] to an [`Upstream`], or to everything that is wrong with it.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::address::Address;
use super::events::Events;
use super::peer::Template;
use super::registry::{Kept, Registry};
use super::set::{Source, Written};
use super::spec::BackendSpec;
use super::{Spec, Upstream};
use crate::expr::policy::Expressions;
use crate::tls::{Client, ClientSpec};
use crate::values::Problem;

const HEAVIEST: u32 = 256;

/// What surrounds an upstream.
pub struct Site<'a> {
    /// Where state is found again after a reload.
    pub registry: &'a Registry,
    /// Who is told what happens.
    pub events: &'a Arc<dyn Events>,
    /// Relative paths start here.
    pub base: &'a Path,
    /// Compiles expressions.
    pub expressions: Expressions<'a>,
}

/// Turns what was written under `name` into an upstream. Reads certificates, resolves nothing and starts
/// nothing.
///
/// # Errors
/// Everything that is wrong, each with its place in the spec.
pub fn compile(name: &str, spec: Spec, site: &Site<'_>) -> Result<Arc<Upstream>, Vec<Problem>> {
    let kept = site.registry.upstream(name);
    let mut faults = Faults::default();
    let port = faults.take("health_check.port", port_fits(&spec).map_err(one));
    let written = faults.take("backends", written(&spec.backends, &kept));
    let algorithm = faults.take("balance", spec.balance.compile(site.expressions).map_err(one));
    let tls = faults.take("tls", tls(spec.tls.as_ref(), written.as_deref().unwrap_or_default(), site.base));
    let retries = faults.take("retries", spec.retries.compile(&kept));
    let eject = faults.take("eject", spec.eject.compile().map_err(one));
    let check = spec.health_check.map(|check| check.compile(site.registry.connectors()));
    let check = faults.take("health_check", check.transpose());
    let (Some(written), Some(algorithm), Some(tls), Some(retries), Some(eject), Some(check), Some(())) =
        (written, algorithm, tls, retries, eject, check, port)
    else {
        return Err(faults.0);
    };
    let template =
        Template { protocol: spec.protocol, timeouts: spec.timeouts, connections: spec.connections, tls };
    let source = Source { written, algorithm, template, kept };
    Ok(Arc::new(Upstream {
        name: name.into(),
        protocol: spec.protocol,
        set: ArcSwap::from_pointee(source.set()),
        source,
        rebuild: Mutex::new(()),
        changed: watch::Sender::new(()),
        eject,
        retries,
        check: check.map(Arc::new),
        events: Arc::clone(site.events),
    }))
}

/// What is wrong so far.
#[derive(Default)]
struct Faults(Vec<Problem>);

impl Faults {
    /// The value, or `None` after its problems were noted under the key `at`.
    fn take<T>(&mut self, at: &str, result: Result<T, Vec<Problem>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(problems) => {
                self.0.extend(problems.into_iter().map(|problem| problem.under(at)));
                None
            }
        }
    }
}

fn one(problem: Problem) -> Vec<Problem> {
    vec![problem]
}

fn written(specs: &[BackendSpec], kept: &Arc<Kept>) -> Result<Box<[Written]>, Vec<Problem>> {
    if specs.is_empty() {
        return Err(one(Problem::whole("expected at least one backend such as 10.0.0.1:8080")));
    }
    let (mut written, mut problems, mut known) = (Vec::new(), Vec::new(), HashSet::new());
    for (index, spec) in specs.iter().enumerate() {
        match backend(spec, kept) {
            Ok(backend) if !known.insert(backend.address.to_string()) => {
                let message = format_args!("{} is listed twice, give it a weight instead", backend.address);
                problems.push(Problem::new(format!("[{index}]"), message));
            }
            Ok(backend) => written.push(backend),
            Err(problem) => problems.push(problem.under(&format!("[{index}]"))),
        }
    }
    if problems.is_empty() { Ok(written.into()) } else { Err(problems) }
}

fn backend(spec: &BackendSpec, kept: &Arc<Kept>) -> Result<Written, Problem> {
    let at = match spec {
        BackendSpec::Address(_) => "",
        BackendSpec::Weighted(_) => "address",
    };
    let address: Address = spec.address().parse().map_err(|error| Problem::new(at, error))?;
    let weight =
        NonZeroU32::new(spec.weight()).filter(|weight| weight.get() <= HEAVIEST).ok_or_else(|| {
            Problem::new(
                "weight",
                format_args!("expected 1 to {HEAVIEST}; what is to get nothing is taken off the list"),
            )
        })?;
    let resolved = match &address {
        Address::Name { host, .. } => Some(kept.name(host)),
        Address::Socket(_) | Address::Unix(_) => None,
    };
    Ok(Written { address, weight, resolved })
}

fn port_fits(spec: &Spec) -> Result<(), Problem> {
    let elsewhere = spec.health_check.as_ref().is_some_and(|check| check.port.is_some());
    if elsewhere && spec.backends.iter().any(|backend| backend.address().starts_with("unix:")) {
        return Err(Problem::whole("a Unix socket has no ports"));
    }
    Ok(())
}

/// Reads what TLS needs and makes sure that it can verify every backend.
fn tls(spec: Option<&ClientSpec>, backends: &[Written], base: &Path) -> Result<Option<Client>, Vec<Problem>> {
    let Some(spec) = spec else { return Ok(None) };
    let client = Client::load(spec, base)?;
    let check = |backend: &Written| client.check_host(&backend.address.host());
    match backends.iter().find_map(|backend| check(backend).err()) {
        Some(problem) => Err(one(problem)),
        None => Ok(Some(client)),
    }
}
