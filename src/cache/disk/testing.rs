//! A volume in memory that fails as told, and a store in it, for tests.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::event::Event;
use super::incoming::Metadata;
use super::seal::Keys;
use super::segment::{Body, Part, Patience};
use super::volume::{File, Lock, Volume};
use super::{Before, Disk, Options};
use crate::cache::content::Content;
use crate::cache::fleet::Bookmark;
use crate::cache::key::{Key, Target};
use crate::cache::purge::Traces;

pub const SECRET: &str = "a secret with at least thirty-two letters";

/// Files in memory.
#[derive(Default)]
pub struct Ram {
    files: Mutex<HashMap<String, Arc<RamFile>>>,
    switches: Arc<Switches>,
    lock: Arc<Mutex<()>>,
}

/// What goes wrong.
#[derive(Default)]
pub struct Switches {
    /// Bytes that can still be written, less one; zero: any number.
    room: AtomicU64,
    pub is_read_only: AtomicBool,
    pub is_unreadable: AtomicBool,
    /// Nothing is in memory.
    pub is_cold: AtomicBool,
    written: AtomicU64,
}

impl Switches {
    /// The disk is full after so many bytes.
    pub fn fill_after(&self, bytes: u64) {
        self.room.store(bytes + 1, Ordering::Relaxed);
    }

    pub fn empty(&self) {
        self.room.store(0, Ordering::Relaxed);
    }

    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    fn check(&self) -> io::Result<()> {
        let is_read_only = self.is_read_only.load(Ordering::Relaxed);
        if is_read_only { Err(ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }
}

struct RamFile {
    bytes: Mutex<Vec<u8>>,
    switches: Arc<Switches>,
}

impl Ram {
    pub fn switches(&self) -> &Switches {
        &self.switches
    }

    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.files.lock().unwrap().keys().cloned().collect();
        names.sort();
        names
    }

    /// The names that end so.
    pub fn names_of(&self, end: &str) -> Vec<String> {
        self.names().into_iter().filter(|name| name.ends_with(end)).collect()
    }

    pub fn bytes(&self) -> u64 {
        self.files.lock().unwrap().values().map(|file| file.bytes.lock().unwrap().len() as u64).sum()
    }

    pub fn content(&self, name: &str) -> Vec<u8> {
        self.files.lock().unwrap()[name].bytes.lock().unwrap().clone()
    }

    pub fn set(&self, name: &str, bytes: &[u8]) {
        let file = RamFile { bytes: Mutex::new(bytes.to_vec()), switches: self.switches.clone() };
        self.files.lock().unwrap().insert(name.to_owned(), Arc::new(file));
    }

    /// Changes a file for whoever has it open, too.
    pub fn overwrite(&self, name: &str, bytes: &[u8]) {
        *self.files.lock().unwrap()[name].bytes.lock().unwrap() = bytes.to_vec();
    }

    /// A copy that nothing is wrong with.
    pub fn copy(&self) -> Arc<Self> {
        let copy = Self::default();
        self.names().iter().for_each(|name| copy.set(name, &self.content(name)));
        Arc::new(copy)
    }
}

impl Volume for Ram {
    fn files(&self) -> io::Result<Vec<(String, u64)>> {
        let files = self.files.lock().unwrap();
        Ok(files.iter().map(|(name, file)| (name.clone(), file.length().unwrap())).collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.switches.check()?;
        assert!(!self.names().contains(&name.to_owned()), "{name} is there");
        self.set(name, &[]);
        self.open(name)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = self.files.lock().unwrap().get(name).cloned();
        Ok(file.ok_or(ErrorKind::NotFound)?)
    }

    fn replace(&self, name: &str, by: &str) -> io::Result<()> {
        self.switches.check()?;
        let mut files = self.files.lock().unwrap();
        let file = files.remove(by).ok_or(ErrorKind::NotFound)?;
        files.insert(name.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.switches.check()?;
        self.files.lock().unwrap().remove(name).map(drop).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn lock(&self) -> io::Result<Option<Lock>> {
        self.switches.check()?;
        // Held by a clone, so that it can be dropped anywhere.
        let is_free = Arc::strong_count(&self.lock) == 1;
        Ok(is_free.then(|| Lock::new(self.lock.clone())))
    }
}

impl File for RamFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.switches.is_unreadable.load(Ordering::Relaxed) {
            return Err(ErrorKind::Other.into());
        }
        let bytes = self.bytes.lock().unwrap();
        let rest = bytes.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.switches.is_cold.load(Ordering::Relaxed) {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.read_at(buffer, offset)
    }

    fn write_at(&self, new: &[u8], offset: u64) -> io::Result<()> {
        self.switches.check()?;
        let room = self.switches.room.load(Ordering::Relaxed);
        let length = if room == 0 { new.len() } else { new.len().min(usize::try_from(room - 1).unwrap()) };
        if room > 0 {
            self.switches.room.fetch_sub(length as u64, Ordering::Relaxed);
        }
        self.switches.written.fetch_add(length as u64, Ordering::Relaxed);
        let (mut bytes, offset) = (self.bytes.lock().unwrap(), usize::try_from(offset).unwrap());
        let end = bytes.len().max(offset + length);
        bytes.resize(end, 0);
        bytes[offset..offset + length].copy_from_slice(&new[..length]);
        if length < new.len() { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.switches.check()?;
        self.bytes.lock().unwrap().truncate(usize::try_from(length).unwrap());
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.switches.check()
    }
}

/// A store, and what it told.
pub struct Store {
    pub disk: Disk,
    pub events: Arc<Mutex<Vec<Event>>>,
}

pub fn options(capacity: u64, secrets: &[&str]) -> (Options, Arc<Mutex<Vec<Event>>>) {
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let told = events.clone();
    let options = Options {
        capacity,
        keys: (!secrets.is_empty()).then(|| Keys::new(secrets.iter().copied()).unwrap()),
        random: boring::rand::rand_bytes,
        observe: Arc::new(move |event| told.lock().unwrap().push(event.clone())),
        refresh: Arc::new(|metadata, _| (metadata != "purged").then(|| (metadata.clone(), 7))),
    };
    (options, events)
}

pub fn key(path: &str) -> Key {
    Key::new(&Target { scheme: "https", host: "a", path, query: None }, b"", &[])
}

pub fn metadata(path: &str, variant: u32, text: &str) -> Metadata {
    Metadata { key: key(path), variant, epoch: 3, bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

/// Bytes that differ everywhere, and for each seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

impl Store {
    pub fn open(volume: &Arc<Ram>, capacity: u64, secrets: &[&str]) -> Self {
        Self::try_open(volume, capacity, secrets).unwrap().expect("nobody else has it")
    }

    pub fn try_open(volume: &Arc<Ram>, capacity: u64, secrets: &[&str]) -> io::Result<Option<Self>> {
        let (options, events) = options(capacity, secrets);
        let disk =
            Disk::open(volume.clone(), options, |before: &Before| (before.traces.clone(), before.bookmark))?;
        Ok(disk.map(|disk| Self { disk, events }))
    }

    pub fn purged_before(volume: &Arc<Ram>, secrets: &[&str]) -> Traces {
        Self::found(volume, secrets).0
    }

    /// What was purged, and until where that is all a fleet's.
    pub fn found(volume: &Arc<Ram>, secrets: &[&str]) -> (Traces, Option<Bookmark>) {
        let mut found = (Traces::default(), None);
        let opened = Disk::open(volume.clone(), options(1 << 20, secrets).0, |before: &Before| {
            found = (before.traces.clone(), before.bookmark);
            found.clone()
        });
        drop(opened.unwrap());
        found
    }

    /// Writes down what was purged.
    pub fn purge(&self, purged: Traces, all: impl FnOnce() -> Traces) {
        self.disk.write_purges(self.disk.queue_purge(purged), all);
    }

    /// Stores, and waits until it is written.
    pub fn put(&self, path: &str, variant: u32, text: &str, body: &[u8]) {
        let content = Content::new(body.chunks(10_000).map(Bytes::copy_from_slice).collect());
        self.disk.put(metadata(path, variant, text), content);
        self.disk.flush();
    }

    /// Metadata and body of a variant, as they are on disk.
    pub fn get(&self, path: &str, variant: u32) -> Option<(String, Vec<u8>)> {
        let key = key(path);
        let place = self.disk.find(&key).into_iter().find(|place| place.variant == variant)?;
        let record = self.disk.read(&key, &place, Part::Whole, Patience::Any).unwrap()?;
        let body = match record.body {
            Body::Whole(content) => content.pieces().concat(),
            Body::Outside(outside, length) => {
                let reader = self.disk.body(&key, &place, outside, length)?;
                let mut body = Vec::new();
                while (body.len() as u64) < reader.length() {
                    let rest = body.len() as u64..reader.length();
                    body.extend_from_slice(&reader.read(&rest, Patience::Any).ok()?);
                }
                body
            }
            Body::Unread => panic!("all of it was asked for"),
        };
        Some((String::from_utf8(record.metadata.to_vec()).unwrap(), body))
    }

    pub fn told(&self, is_meant: impl Fn(&Event) -> bool) -> usize {
        self.events.lock().unwrap().iter().filter(|event| is_meant(event)).count()
    }
}
