//! `edgeward keys`: makes, rotates, lists, retires and prunes the API keys of a store. A key is printed once, alone on
//! standard output; all else is said on standard error.

mod table;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand, ValueHint};

use super::{EXIT_WRONG, print};
use crate::auth::keys::file::{self, LockedFile};
use crate::auth::keys::lifecycle::{self, Caution, IN_USE_WITHIN, KEPT_FOR, Made, NewKey, Rotated, Rotation};
use crate::auth::keys::{ConsumerName, Document, Encoding, KeyId, Moment, Records};
use crate::config::spec::Policy;
use crate::config::{Diagnostics, Document as File};
use crate::consumers::{USAGE_FILE, state_dir, store};
use crate::values::Duration;

pub(super) const HELP: &str = "\
The store is the file that a policy names as api_keys.store: --policy finds it there, --store
names it. A running edgeward takes a change over within a few seconds.

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
  edgeward keys new partner-a --store keys.yaml > partner-a.key";

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

/// Where the store is.
#[derive(Args)]
pub(super) struct Place {
    #[command(flatten)]
    store: Named,
    /// Where edgeward writes down uses. Default: as the policy says, else $`STATE_DIRECTORY`, else /var/lib/edgeward.
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
    /// The store's own file, in YAML or, if its name ends in .json, in JSON. `keys new` makes it if there is none.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    store: Option<PathBuf>,
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

/// A store, and where uses are written down.
struct Found {
    store: PathBuf,
    usage: PathBuf,
    /// What the policy itself names, which is changed by hand.
    inline: Document,
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
            make(&place.find()?, &consumer, wanted, now)
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
        Keys::Prune { kept_for, place } => {
            prune(&place.find()?, kept_for.map_or(KEPT_FOR, |time| *time), now)
        }
    }
}

fn make(found: &Found, consumer: &ConsumerName, wanted: NewKey, now: Moment) -> anyhow::Result<()> {
    found.may_change(consumer)?;
    let made = change(&found.store, true, |document| {
        let made = lifecycle::new(document, consumer, wanted, now, &mut random)?;
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
    let Rotated { made, replaced } = change(&found.store, false, |document| {
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
    document.consumers.extend(read(&found.store)?.consumers);
    let records = Records::load_from_file(&found.usage)?;
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
    let has_records = found.usage.exists();
    let records = has_records.then(|| Records::load_from_file(&found.usage)).transpose()?;
    let caution = match unused {
        Some(within) => Caution::Unused { within, records: records.as_ref() },
        None => Caution::Forced,
    };
    let advice = || {
        if has_records {
            "--force retires it all the same".to_owned()
        } else {
            format!(
                "there is no {}; --state-directory names another place, --force asks for none",
                found.usage.display()
            )
        }
    };
    change(&found.store, false, |document| {
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

fn prune(found: &Found, kept_for: std::time::Duration, now: Moment) -> anyhow::Result<()> {
    let pruned = change(&found.store, false, |document| Ok(lifecycle::prune(document, kept_for, now)?))?;
    for key in &pruned {
        eprintln!("key {key} is removed");
    }
    eprintln!("{} keys removed", pruned.len());
    Ok(())
}

impl Place {
    fn find(&self) -> anyhow::Result<Found> {
        let (store, configured, inline) = match &self.store {
            Named { store: Some(store), .. } => (store.clone(), None, Document::default()),
            Named { policy: Some(policy), .. } => of_policy(policy)?,
            Named { .. } => bail!("neither --policy nor --store"),
        };
        let state = state_dir::resolve(self.state_directory.as_deref().or(configured.as_deref()));
        Ok(Found { store, usage: state.join(USAGE_FILE), inline })
    }
}

impl Found {
    /// That a consumer is not one of the policy's own.
    fn may_change(&self, consumer: &ConsumerName) -> anyhow::Result<()> {
        if self.inline.consumers.iter().any(|other| other.name == *consumer) {
            bail!("{consumer} is in the policy itself, where keys are changed by hand");
        }
        Ok(())
    }
}

/// The store, the state directory and the consumers that a policy names. The rest of the policy need not be right.
fn of_policy(path: &Path) -> anyhow::Result<(PathBuf, Option<PathBuf>, Document)> {
    let file = File::load(path)?;
    let mut issues = Vec::new();
    let Some(policy) = file.root().read::<Policy>(&mut issues) else {
        return Err(Diagnostics::new(&file, issues).into());
    };
    let base = path.parent().unwrap_or(Path::new(""));
    let store = policy.api_keys.and_then(|keys| keys.store).ok_or_else(|| {
        Diagnostics::of_file(file.name(), "no store to change: name one in `api_keys.store`")
    })?;
    let inline = policy.consumers.iter().filter_map(|node| node.read(&mut issues)).collect();
    let state = policy.server.state_directory.map(|state| base.join(state));
    Ok((base.join(store), state, Document { consumers: inline }))
}

/// Reads a store to look at.
fn read(path: &Path) -> anyhow::Result<Document> {
    Ok(store::document(&File::load(path)?)?)
}

/// Changes a store, alone. One that is not there is empty if it may be.
fn change<T>(
    path: &Path,
    may_be_new: bool,
    change: impl FnOnce(&Document) -> anyhow::Result<(Document, T)>,
) -> anyhow::Result<T> {
    if !may_be_new && !path.exists() {
        let error = Diagnostics::of_file(&path.display().to_string(), "there is no such store");
        return Err(error.into());
    }
    let locked = LockedFile::wait_for(path)?;
    let before = match file::read(path)? {
        Some(text) => store::document(&File::parse(path.display().to_string(), text.as_bytes())?)?,
        None => Document::default(),
    };
    let (after, done) = change(&before)?;
    if after != before {
        locked.replace(&after.encode(Encoding::of(path))?)?;
    }
    Ok(done)
}

fn random(buffer: &mut [u8]) -> io::Result<()> {
    boring::rand::rand_bytes(buffer).map_err(io::Error::other)
}

#[cfg(test)]
mod tests;
