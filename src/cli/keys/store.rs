//! A store that is read and changed: a file, or what a fleet has in common. Of two operators who change it at a time, the
//! second changes what the first has left.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail};
use tokio::runtime::{Builder, Runtime};

use crate::auth::keys::file::{self, LockedFile};
use crate::auth::keys::{Document, Encoding, KeyId, Moment, Records};
use crate::config::{Diagnostics, Document as File};
use crate::consumers::fleet::{Fleet, Version};
use crate::consumers::store;
use crate::outbound::redis::{Redis, Terms};
use crate::policy::Materials;
use crate::values::yaml::LARGEST_BYTES;

/// How often a change is made anew because somebody else was faster.
const TRIES: usize = 20;

/// Where the store is.
pub(super) enum Store {
    Local {
        path: PathBuf,
        /// The file for uses.
        usage: PathBuf,
    },
    Shared(Shared),
}

/// A fleet's.
pub(super) struct Shared {
    fleet: Fleet,
    runtime: Runtime,
}

impl Store {
    /// Reads it to look at.
    pub fn read(&self) -> anyhow::Result<Document> {
        match self {
            Self::Local { path, .. } => Ok(store::document(&File::load(path)?)?),
            Self::Shared(shared) => match shared.read()? {
                Some((_, document)) => Ok(document),
                None => Err(shared.missing().into()),
            },
        }
    }

    /// Changes it. One that is not there is empty if it may be. `change` may be called again, with what another has left.
    pub fn change<T>(
        &self,
        may_be_new: bool,
        change: impl FnMut(&Document) -> anyhow::Result<(Document, T)>,
    ) -> anyhow::Result<T> {
        match self {
            Self::Local { path, .. } => change_file(path, may_be_new, change),
            Self::Shared(shared) => shared.change(may_be_new, change),
        }
    }

    /// A fleet's.
    pub fn shared(&self) -> anyhow::Result<&Shared> {
        match self {
            Self::Shared(shared) => Ok(shared),
            Self::Local { path, .. } => bail!("the store is the file {}: change that", path.display()),
        }
    }

    /// The uses of keys; `None` if none are written down.
    pub fn uses(&self, ids: &[KeyId]) -> anyhow::Result<Option<Records>> {
        match self {
            Self::Local { usage, .. } => {
                Ok(usage.exists().then(|| Records::load_from_file(usage)).transpose()?)
            }
            Self::Shared(Shared { fleet, runtime }) => Ok(runtime.block_on(fleet.uses(ids))?),
        }
    }

    /// What to do where no uses are written down.
    pub fn without_uses(&self) -> String {
        match self {
            Self::Local { usage, .. } => format!(
                "there is no {}; --state-directory names another place, --force asks for none",
                usage.display()
            ),
            Self::Shared(shared) => {
                format!("nobody has written down any in {}; --force asks for none", shared.fleet.label())
            }
        }
    }
}

fn change_file<T>(
    path: &Path,
    may_be_new: bool,
    mut change: impl FnMut(&Document) -> anyhow::Result<(Document, T)>,
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

impl Shared {
    /// Connects to nothing yet. `name` is for messages.
    pub fn new(name: &str, terms: Terms) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().context("cannot start")?;
        let materials = Materials::dry()?;
        let (clock, metrics) = (materials.state.clock.clone(), materials.metrics.redis(name));
        let redis = Redis::new(name, terms, &materials.outbound, clock, metrics);
        Ok(Self { fleet: Fleet::new(redis), runtime })
    }

    /// What it holds, and at which version.
    pub fn export(&self) -> anyhow::Result<(Version, Document)> {
        Ok(self.read()?.ok_or_else(|| self.missing())?)
    }

    /// Puts another document in place of the version `over`, or where there is none.
    pub fn import(&self, over: Option<&str>, document: &Document) -> anyhow::Result<()> {
        let held = self.runtime.block_on(self.fleet.read()).with_context(|| self.fleet.label())?;
        let version = held.map(|held| held.version);
        let there = version.as_ref().map(Version::as_str);
        if there == over && self.replace(version.as_ref(), document)? {
            return Ok(());
        }
        let label = self.fleet.label();
        match (there, over) {
            (Some(there), None) => bail!(
                "{label} has a store, at version {there}, which would be lost: export it, and say by --over what is replaced"
            ),
            (None, Some(_)) => bail!("{label} has no store to replace: leave out --over"),
            _ => bail!("{label}: somebody has changed the store: export it again"),
        }
    }

    fn missing(&self) -> Diagnostics {
        Diagnostics::of_file(&self.fleet.label(), "there is no such store")
    }

    fn read(&self) -> anyhow::Result<Option<(Version, Document)>> {
        let held = self.runtime.block_on(self.fleet.read()).with_context(|| self.fleet.label())?;
        let Some(held) = held else { return Ok(None) };
        let document = store::document(&File::parse(self.fleet.label(), held.text.as_bytes())?)?;
        Ok(Some((held.version, document)))
    }

    fn change<T>(
        &self,
        may_be_new: bool,
        mut change: impl FnMut(&Document) -> anyhow::Result<(Document, T)>,
    ) -> anyhow::Result<T> {
        for _ in 0..TRIES {
            let read = self.read()?;
            if read.is_none() && !may_be_new {
                return Err(self.missing().into());
            }
            let (version, before) =
                read.map_or((None, Document::default()), |(version, document)| (Some(version), document));
            let (after, done) = change(&before)?;
            if after == before || self.replace(version.as_ref(), &after)? {
                return Ok(done);
            }
        }
        bail!("{}: others change it all the time; nothing was changed", self.fleet.label())
    }

    /// `false` if somebody else was faster.
    fn replace(&self, version: Option<&Version>, after: &Document) -> anyhow::Result<bool> {
        let text = after.encode(Encoding::Json)?;
        if text.len() > LARGEST_BYTES {
            bail!("the store would be larger than 4 MiB");
        }
        let replaced = self.fleet.replace(version, &text, Moment::from(SystemTime::now()));
        self.runtime.block_on(replaced).map_err(|failure| {
            let open = failure.is_undecided();
            let error = anyhow::Error::from(failure).context(self.fleet.label());
            if open {
                error.context("nobody knows whether the store was changed: look with `edgeward keys list`")
            } else {
                error
            }
        })
    }
}
