//! What a policy says of the cache's disk.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::cache::disk::seal::Keys;
use crate::cache::keeper::Terms;
use crate::values::{Problem, Secret, SecretString, Size};

/// Where responses are kept beyond the process.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CacheDisk")]
pub struct Disk {
    /// The directory, made if it is not there, of a file system on a disk of this machine. It belongs to one process and its
    /// successors; a second process goes without it.
    pub path: PathBuf,
    /// How much of the disk is used at most, at least `16MiB`. File systems round up what a file takes.
    pub size: Size,
    /// Encrypts what is stored. Default: it is not.
    pub encryption: Option<Encryption>,
}

/// How what is stored on disk is encrypted: with AES-256-GCM, each file under a key of its own. The names of files and how
/// much there is can be seen all the same.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CacheEncryption")]
pub struct Encryption {
    /// Secrets of at least 32 characters, made with `openssl rand -base64 32`. The first encrypts, all decrypt: put a new
    /// one in front, and take an old one off when it is no matter that what it encrypted is fetched again.
    pub keys: Vec<Secret>,
}

/// A store of less than this holds nothing worth while.
const LEAST: u64 = 16 << 20;

impl Disk {
    /// What it comes to; `base` is the directory of the policy; `is_fleets` if a fleet shares its purges.
    ///
    /// # Errors
    /// When it is too small, or a key cannot be had or is of no use.
    pub(super) fn terms(&self, base: &Path, is_fleets: bool) -> Result<Terms, Problem> {
        if self.path.as_os_str().is_empty() {
            return Err(Problem::new("path", "expected a directory"));
        }
        if self.size.bytes() < LEAST {
            return Err(Problem::new("size", "expected at least 16MiB"));
        }
        let keys = self.encryption.as_ref().map(|encryption| encryption.keys(base)).transpose();
        let keys = keys.map_err(|problem| problem.under("encryption.keys"))?;
        Ok(Terms { path: base.join(&self.path), capacity: self.size.bytes(), keys, is_fleets })
    }
}

impl Encryption {
    fn keys(&self, base: &Path) -> Result<Keys, Problem> {
        let mut secrets = Vec::with_capacity(self.keys.len());
        for (index, key) in self.keys.iter().enumerate() {
            let secret = key.resolve(base);
            secrets.push(secret.map_err(|error| Problem::new(format!("[{index}]"), error))?);
        }
        Keys::new(secrets.iter().map(SecretString::expose))
    }
}
