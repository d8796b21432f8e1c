//! `edgeward keys`: makes, rotates, lists, retires and prunes the API keys of a store. A key is printed once, alone on
//! standard output; all else is said on standard error.

mod place;
mod store;
mod table;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, anyhow, bail};
use clap::{Subcommand, ValueHint};

use self::place::Found;
pub(super) use self::place::Place;
use super::{EXIT_WRONG, print};
use crate::auth::keys::lifecycle::{self, Caution, IN_USE_WITHIN, KEPT_FOR, Made, NewKey, Rotated, Rotation};
use crate::auth::keys::{ConsumerName, Encoding, KeyId, Moment};
use crate::config::{Diagnostics, Document as File};
use crate::consumers::store::checked;
use crate::values::Duration;

pub(super) const HELP: &str = "\
The store is what a policy names as api_keys.store, a file or, for a fleet, a Redis: --policy
finds it there, --store names it. A running edgeward takes a change over within a few seconds.
The password of a Redis that --store names is read from $EDGEWARD_REDIS_PASSWORD.

A rotation, from beginning to end:
  # the old key works on for 30 days
  edgeward keys rotate partner-a --overlap 30d --policy policy.yaml
  # is it still used?
  edgeward keys list partner-a --policy policy.yaml
  # end it early, unless it is in use
  edgeward keys retire k3v9x0q2ab --policy policy.yaml

Exit codes: 0 done, 1 not done (standard error says why), 64 arguments, policy or store are wrong";

pub(super) const NEW_HELP: &str = "\
Examples:
  edgeward keys new partner-a --policy policy.yaml
  edgeward keys new partner-a --store keys.yaml --expires 90d --scope orders:read --tag batch
  edgeward keys new partner-a --store rediss://redis.example.com:6379 > partner-a.key";

pub(super) const ROTATE_HELP: &str = "\
Examples:
  edgeward keys rotate partner-a --overlap 30d --policy policy.yaml
  edgeward keys rotate partner-a --key k3v9x0q2ab --overlap 7d --expires 2027-12-31 --store keys.yaml";

pub(super) const LIST_HELP: &str = "\
Examples:
  edgeward keys list --policy policy.yaml
  edgeward keys list partner-a --store keys.yaml --state-directory /var/lib/edgeward
  edgeward keys list --policy policy.yaml --json | jq '.[] | select(.state == \"deprecated\")'";

pub(super) const RETIRE_HELP: &str = "\
Examples:
  edgeward keys retire k3v9x0q2ab --policy policy.yaml
  edgeward keys retire k3v9x0q2ab --policy policy.yaml --unused-for 1d
  edgeward keys retire k3v9x0q2ab --store keys.yaml --force";

pub(super) const EXPORT_HELP: &str = "\
Examples:
  # a fleet begins with the store of a single process
  edgeward keys import keys.yaml --policy policy.yaml
  # a consumer gets another limit
  edgeward keys export --policy policy.yaml > keys.yaml     # says: version 1795305600000
  edgeward keys import keys.yaml --over 1795305600000 --policy policy.yaml";

pub(super) const PRUNE_HELP: &str = "\
Examples:
  edgeward keys prune --policy policy.yaml
  edgeward keys prune --store keys.yaml --kept-for 90d";

#[derive(Subcommand)]
pub(super) enum Keys {
    /// Make a key for a consumer, and print it: it is kept nowhere. A consumer that is not in the store is added.
    #[command(after_help = NEW_HELP)]
    New {
        /// The consumer's name.
        consumer: ConsumerName,
        /// When it ends: a time such as 2027-01-31 or 2027-01-31T12:00:00Z, or how long from now, such as 90d. Default:
        /// never.
        #[arg(long, value_name = "WHEN", value_parser = when)]
        expires: Option<When>,
        /// When it begins, likewise. Default: at once.
        #[arg(long, value_name = "WHEN", value_parser = when)]
        not_before: Option<When>,
        /// A scope of the consumer that the key has; may be repeated. Default: all of them. A consumer that is added has
        /// these as its own.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// A tag of the key's own; may be repeated.
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Make a new key for a consumer, print it, and let the old ones end after an overlap.
    #[command(after_help = ROTATE_HELP)]
    Rotate {
        /// The consumer's name.
        consumer: ConsumerName,
        /// How long the old keys stay valid, e.g. 30d; not longer than they would anyway.
        #[arg(long, value_name = "TIME")]
        overlap: Duration,
        /// The one key to replace. Default: all that are valid.
        #[arg(long, value_name = "KEY")]
        key: Option<KeyId>,
        /// When the new key ends: a time, or how long from now. Default: after as long a life as the old one was made for.
        #[arg(long, value_name = "WHEN", value_parser = when)]
        expires: Option<When>,
        #[command(flatten)]
        place: Place,
    },
    /// List keys, with their last use and how often they were used.
    #[command(after_help = LIST_HELP)]
    List {
        /// Only this consumer's.
        consumer: Option<ConsumerName>,
        /// Print a JSON list.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Withdraw a key, unless it is still in use.
    #[command(after_help = RETIRE_HELP)]
    Retire {
        /// The key's id.
        key: KeyId,
        /// Also if it is in use, or nobody knows.
        #[arg(long)]
        force: bool,
        /// How long it must have been unused. Default: 7d.
        #[arg(long, value_name = "TIME", conflicts_with = "force")]
        unused_for: Option<Duration>,
        #[command(flatten)]
        place: Place,
    },
    /// Print what the store of a fleet holds, to be changed by hand: scopes, tags and limits of consumers.
    #[command(after_help = EXPORT_HELP)]
    Export {
        #[command(flatten)]
        place: Place,
    },
    /// Put a file in place of what the store of a fleet holds.
    #[command(after_help = EXPORT_HELP)]
    Import {
        /// The file, as `export` prints it or as the store of a single process, in YAML or JSON.
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// The version that is replaced, as `export` says it. If it was changed since, nothing is done. Needed unless there
        /// is no store yet.
        #[arg(long, value_name = "VERSION")]
        over: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Remove keys that were retired or expired long ago.
    #[command(after_help = PRUNE_HELP)]
    Prune {
        /// How long they are kept after their end; until then the log tells them from unknown ones. Default: 30d.
        #[arg(long, value_name = "TIME")]
        kept_for: Option<Duration>,
        #[command(flatten)]
        place: Place,
    },
}

/// A moment, or how long from now.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    At(Moment),
    In(Duration),
}

fn when(text: &str) -> Result<When, String> {
    let moment = || text.parse().map(When::At);
    text.parse().map(When::In).or_else(|_| moment()).map_err(|_| {
        "expected a time such as 2027-01-31 or 2027-01-31T12:00:00Z, or a length such as 90d".to_owned()
    })
}

impl When {
    fn from(self, now: Moment) -> Moment {
        match self {
            Self::At(moment) => moment,
            Self::In(length) => now.plus(*length),
        }
    }
}

pub(super) fn keys(command: Keys) -> ExitCode {
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(wrong) = error.downcast_ref::<Diagnostics>() {
                eprintln!("{wrong}");
                ExitCode::from(EXIT_WRONG)
            } else {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        }
    }
}

fn run(command: Keys) -> anyhow::Result<()> {
    let now = Moment::from(SystemTime::now());
    match command {
        Keys::New { consumer, expires, not_before, scopes, tags, place } => {
            let wanted = NewKey {
                not_before: not_before.map(|when| when.from(now)),
                expires: expires.map(|when| when.from(now)),
                scopes: (!scopes.is_empty()).then_some(scopes),
                tags,
            };
            make(&place.find()?, &consumer, &wanted, now)
        }
        Keys::Rotate { consumer, overlap, key, expires, place } => {
            let expires = expires.map(|when| when.from(now));
            let rotation = Rotation { only: key.as_ref(), overlap: *overlap, expires };
            rotate(&place.find()?, &consumer, rotation, now)
        }
        Keys::List { consumer, json, place } => list(&place.find()?, consumer.as_ref(), json, now),
        Keys::Retire { key, force, unused_for, place } => {
            let within = unused_for.map_or(IN_USE_WITHIN, |time| *time);
            retire(&place.find()?, &key, (!force).then_some(within), now)
        }
        Keys::Export { place } => export(&place.find()?),
        Keys::Import { file, over, place } => import(&place.find()?, &file, over.as_deref()),
        Keys::Prune { kept_for, place } => {
            prune(&place.find()?, kept_for.map_or(KEPT_FOR, |time| *time), now)
        }
    }
}

fn make(found: &Found, consumer: &ConsumerName, wanted: &NewKey, now: Moment) -> anyhow::Result<()> {
    found.may_change(consumer)?;
    let made = found.store.change(true, |document| {
        let made = lifecycle::new(document, consumer, wanted.clone(), now, &mut random)?;
        Ok((made.document.clone(), made))
    })?;
    print(&format!("{}\n", made.text.expose()))
        .context("the key was made, and cannot be shown; retire it")?;
    eprintln!("key {} of {consumer}{}", made.id, until(made.expires));
    eprintln!("It is shown this once. Hand it over by a safe way.");
    Ok(())
}

fn rotate(found: &Found, consumer: &ConsumerName, rotation: Rotation<'_>, now: Moment) -> anyhow::Result<()> {
    found.may_change(consumer)?;
    let Rotated { made, replaced } = found.store.change(false, |document| {
        let rotated = lifecycle::rotate(document, consumer, rotation, now, &mut random)?;
        Ok((rotated.made.document.clone(), rotated))
    })?;
    let Made { text, id, expires, .. } = made;
    print(&format!("{}\n", text.expose())).context("the key was made, and cannot be shown; retire it")?;
    eprintln!("key {id} of {consumer}{}", until(expires));
    for (old, end) in replaced {
        eprintln!("key {old} is deprecated, and valid until {end}");
    }
    eprintln!("The new key is shown this once. Hand it over by a safe way.");
    Ok(())
}

fn until(expires: Option<Moment>) -> String {
    expires.map_or_else(|| ", without end".to_owned(), |expires| format!(", until {expires}"))
}

fn list(found: &Found, consumer: Option<&ConsumerName>, json: bool, now: Moment) -> anyhow::Result<()> {
    let mut document = found.inline.clone();
    document.consumers.extend(found.store.read()?.consumers);
    let ids: Vec<_> =
        document.consumers.iter().flat_map(|consumer| &consumer.keys).map(|key| key.id.clone()).collect();
    let records = found.store.uses(&ids)?.unwrap_or_default();
    let mut rows = lifecycle::list(&document, &records, now);
    if let Some(consumer) = consumer {
        if document.consumers.iter().all(|other| other.name != *consumer) {
            bail!("no consumer is called {consumer}");
        }
        rows.retain(|row| row.consumer == *consumer);
    }
    let text = if json { serde_json::to_string_pretty(&rows)? + "\n" } else { table::table(&rows) };
    Ok(print(&text)?)
}

/// Retires a key that was unused for `unused`; whatever its use if that is `None`.
fn retire(
    found: &Found,
    key: &KeyId,
    unused: Option<std::time::Duration>,
    now: Moment,
) -> anyhow::Result<()> {
    let of_policy =
        found.inline.consumers.iter().find(|consumer| consumer.keys.iter().any(|one| one.id == *key));
    if let Some(consumer) = of_policy {
        found.may_change(&consumer.name)?;
    }
    let records = found.store.uses(std::slice::from_ref(key))?;
    let caution = match unused {
        Some(within) => Caution::Unused { within, records: records.as_ref() },
        None => Caution::Forced,
    };
    let advice = || match &records {
        Some(_) => "--force retires it all the same".to_owned(),
        None => found.store.without_uses(),
    };
    found.store.change(false, |document| {
        let changed = lifecycle::retire(document, key, caution, now).map_err(|error| match error {
            lifecycle::LifecycleError::InUse { .. } | lifecycle::LifecycleError::UseUnknown(_) => {
                anyhow!("{error}; {}", advice())
            }
            error => error.into(),
        })?;
        Ok((changed, ()))
    })?;
    eprintln!("key {key} is retired");
    Ok(())
}

fn export(found: &Found) -> anyhow::Result<()> {
    let (version, document) = found.store.shared()?.export()?;
    print(&document.encode(Encoding::Yaml)?)?;
    eprintln!("version {}", version.as_str());
    Ok(())
}

fn import(found: &Found, file: &Path, over: Option<&str>) -> anyhow::Result<()> {
    let document = checked(&File::load(file)?, &found.inline)?;
    found.store.shared()?.import(over, &document)?;
    eprintln!("{} consumers imported", document.consumers.len());
    Ok(())
}

fn prune(found: &Found, kept_for: std::time::Duration, now: Moment) -> anyhow::Result<()> {
    let pruned = found.store.change(false, |document| Ok(lifecycle::prune(document, kept_for, now)?))?;
    for key in &pruned {
        eprintln!("key {key} is removed");
    }
    eprintln!("{} keys removed", pruned.len());
    Ok(())
}

fn random(buffer: &mut [u8]) -> io::Result<()> {
    boring::rand::rand_bytes(buffer).map_err(io::Error::other)
}

#[cfg(test)]
mod tests;
