//! What tests of keys share.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{Directory, Document, Fault, KeyId, Moment, Source, Usage};

/// 2026-01-01T00:00:00Z.
pub const START: Moment = Moment::from_unix(1_767_225_600);

pub const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

pub fn at(text: &str) -> Moment {
    text.parse().unwrap()
}

pub fn id(text: &str) -> KeyId {
    text.parse().unwrap()
}

/// Bytes of a generator that is fit for tests alone.
pub fn random(seed: u64) -> impl FnMut(&mut [u8]) -> io::Result<()> {
    let mut generator = fastrand::Rng::with_seed(seed);
    move |buffer| {
        generator.fill(buffer);
        Ok(())
    }
}

/// A document as JSON says it, where `#TEXT` stands for the digest of `TEXT`.
pub fn document(json: &str) -> Document {
    let digest = regex::Regex::new("\"#([^\"]*)\"").unwrap();
    let json = digest.replace_all(json, |found: &regex::Captures<'_>| {
        format!("\"{}\"", super::digest::Digest::of(found[1].as_bytes()))
    });
    serde_json::from_str(&json).unwrap()
}

pub fn try_compile(document: &Document, usage: &Usage) -> Result<Directory, Vec<Fault>> {
    Directory::compile(&[Source { label: "the store", document }], usage)
}

pub fn compile(document: &Document, usage: &Usage) -> Directory {
    try_compile(document, usage).unwrap()
}

/// A directory of its own, gone when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("edgeward-keys-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn names(&self) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = fs::read_dir(&self.0).unwrap().map(name).collect();
        names.sort();
        names
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
