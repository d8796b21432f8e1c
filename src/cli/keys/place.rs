//! Where the store is, as arguments say or a policy.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::{Args, ValueHint};

use super::store::{Shared, Store};
use crate::auth::keys::{ConsumerName, Document};
use crate::config::spec::{KeyStore, Policy};
use crate::config::{Diagnostics, Document as File, Issue};
use crate::consumers::{USAGE_FILE, state_dir};
use crate::outbound::redis::{Address, Spec, Terms};
use crate::values::Secret;

/// Where the password is, for a Redis that is named by `--store`: an argument is anybody's to see.
const PASSWORD: &str = "EDGEWARD_REDIS_PASSWORD";

/// Where the store is.
#[derive(Args)]
pub(in crate::cli) struct Place {
    #[command(flatten)]
    store: Named,
    /// Where edgeward writes down uses, if the store is a file. Default: as the policy says, else `$STATE_DIRECTORY`, else
    /// /var/lib/edgeward.
    #[arg(long, value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
    state_directory: Option<PathBuf>,
}

/// One of two ways to name the store.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Named {
    /// The policy that names the store, and the state directory.
    #[arg(long, value_name = "POLICY", value_hint = ValueHint::FilePath)]
    policy: Option<PathBuf>,
    /// The store itself: a file in YAML or, if its name ends in .json, in JSON; or a fleet's, as
    /// redis[s]://[USER@]HOST[:PORT][/DATABASE] or unix:PATH. `keys new` makes it if there is none.
    #[arg(long, value_name = "FILE|REDIS", value_hint = ValueHint::FilePath, value_parser = at)]
    store: Option<At>,
}

/// A store as `--store` names it.
#[derive(Debug, Clone)]
enum At {
    File(PathBuf),
    Redis(Box<Spec>),
}

/// A store, and what the policy itself names.
pub(super) struct Found {
    pub store: Store,
    /// Changed by hand.
    pub inline: Document,
}

fn at(text: &str) -> Result<At, String> {
    let is_redis = ["redis://", "rediss://", "unix:"].iter().any(|scheme| text.starts_with(scheme));
    if is_redis { redis(text).map(|spec| At::Redis(Box::new(spec))) } else { Ok(At::File(text.into())) }
}

/// A Redis by its URL, with all else as it is by default.
fn redis(text: &str) -> Result<Spec, String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.parse().map(Spec::at).map_err(|error| format!("{error}"));
    };
    let (username, rest) = rest.split_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
    if username.is_some_and(|user| user.contains(':')) {
        return Err(format!("an argument is anybody's to see: put the password into ${PASSWORD}"));
    }
    let (host, database) = rest.split_once('/').unwrap_or((rest, ""));
    let address: Address = format!("{scheme}://{host}").parse().map_err(|error| format!("{error}"))?;
    let mut spec = Spec::at(address);
    spec.username = username.map(str::to_owned);
    if !database.is_empty() {
        spec.database =
            database.parse().map_err(|_| "expected a database's number after the /".to_owned())?;
    }
    Ok(spec)
}

impl Place {
    pub(super) fn find(&self) -> anyhow::Result<Found> {
        let state = |configured: Option<&Path>| {
            state_dir::resolve(self.state_directory.as_deref().or(configured)).join(USAGE_FILE)
        };
        match &self.store {
            Named { store: Some(At::File(path)), .. } => {
                let store = Store::Local { path: path.clone(), usage: state(None) };
                Ok(Found { store, inline: Document::default() })
            }
            Named { store: Some(At::Redis(spec)), .. } => {
                let mut spec = spec.as_ref().clone();
                spec.password = std::env::var_os(PASSWORD).map(|_| Secret::Env(PASSWORD.to_owned()));
                let wrong = |problems: Vec<crate::values::Problem>| {
                    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
                    anyhow!("{}; what a URL cannot say, a policy can (--policy)", told.join("; "))
                };
                let terms = spec.compile(Path::new("")).map_err(wrong)?;
                let name = spec.address.to_string();
                Ok(Found { store: Store::Shared(Shared::new(&name, terms)?), inline: Document::default() })
            }
            Named { policy: Some(policy), .. } => of_policy(policy, state),
            Named { .. } => bail!("neither --policy nor --store"),
        }
    }
}

impl Found {
    /// That a consumer is not one of the policy's own.
    pub(super) fn may_change(&self, consumer: &ConsumerName) -> anyhow::Result<()> {
        if self.inline.consumers.iter().any(|other| other.name == *consumer) {
            bail!("{consumer} is in the policy itself, where keys are changed by hand");
        }
        Ok(())
    }
}

/// The store and the consumers that a policy names; `usage` tells the file for uses from the policy's state directory.
/// The rest of the policy need not be right.
fn of_policy(path: &Path, usage: impl FnOnce(Option<&Path>) -> PathBuf) -> anyhow::Result<Found> {
    let file = File::load(path)?;
    let mut issues = Vec::new();
    let Some(policy) = file.root().read::<Policy>(&mut issues) else {
        return Err(Diagnostics::new(&file, issues).into());
    };
    let base = path.parent().unwrap_or(Path::new(""));
    let no_store = || Diagnostics::of_file(file.name(), "no store to change: name one in `api_keys.store`");
    let named = policy.api_keys.as_ref().and_then(|keys| keys.store.as_ref()).ok_or_else(no_store)?;
    let store = match named {
        KeyStore::File(store) => {
            let state = policy.server.state_directory.as_ref().map(|state| base.join(state));
            Store::Local { path: base.join(store), usage: usage(state.as_deref()) }
        }
        KeyStore::Redis { redis } => {
            let terms = terms(&policy, redis, base).map_err(|issues| Diagnostics::new(&file, issues))?;
            Store::Shared(Shared::new(redis, terms)?)
        }
    };
    let consumers = policy.consumers.iter().filter_map(|node| node.read(&mut issues)).collect();
    Ok(Found { store, inline: Document { consumers } })
}

fn terms(policy: &Policy, name: &str, base: &Path) -> Result<Terms, Vec<Issue>> {
    let Some(node) = policy.redis.get(name) else {
        let at = crate::config::Path::root().key("api_keys").key("store").key("redis");
        let message = format_args!("`redis` has no {name:?}");
        return Err(vec![Issue::new(at, crate::config::Target::Value, message)]);
    };
    let mut issues = Vec::new();
    let spec = node.read::<Spec>(&mut issues).filter(|_| issues.is_empty()).ok_or(issues)?;
    spec.compile(base).map_err(|problems| problems.iter().map(|problem| node.problem(problem)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_files_and_redis_apart() {
        for file in ["keys.yaml", "/etc/edgeward/keys.json", "redis", "redis.yaml"] {
            assert!(matches!(at(file), Ok(At::File(_))), "{file}");
        }
        let spec = |text: &str| match at(text) {
            Ok(At::Redis(spec)) => {
                (spec.address.to_string(), spec.username.unwrap_or_default(), spec.database)
            }
            other => panic!("{text}: {other:?}"),
        };
        let told = |address: &str, user: &str, database| (address.to_owned(), user.to_owned(), database);
        assert_eq!(spec("redis://127.0.0.1"), told("redis://127.0.0.1:6379", "", 0));
        assert_eq!(spec("rediss://ops@r.test:7000/3"), told("rediss://r.test:7000", "ops", 3));
        assert_eq!(spec("unix:/run/redis.sock"), told("unix:/run/redis.sock", "", 0));
    }

    #[test]
    fn takes_no_password_and_nothing_that_leads_nowhere() {
        let error = at("redis://ops:secret@r.test").unwrap_err();
        assert!(error.contains("EDGEWARD_REDIS_PASSWORD") && !error.contains("secret"), "{error}");
        for text in ["redis://", "redis://r.test/x", "redis://r.test/1/2", "unix:redis.sock"] {
            assert!(at(text).is_err(), "{text}");
        }
    }
}
