//! A process is killed at any time while it writes, and another one looks at what it left.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use super::super::testing::options;
use super::super::volume::Directory;
use super::*;
use crate::cache::purge::{Scope, Trace};

/// Where the process that is to be killed writes; there is none in other test runs.
const DIRECTORY: &str = "EDGEWARD_CRASH_DIRECTORY";
/// How often it is killed, if not [`FEW`] times.
const ROUNDS: &str = "EDGEWARD_CRASH_ROUNDS";
const FEW: u64 = 10;
const CAPACITY: u64 = 8 << 20;
const PATHS: u64 = 300;

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The keys are those that the directory's name asks for.
fn open(directory: &Path) -> (Disk, Arc<Mutex<Vec<Event>>>, Traces) {
    let is_sealed = directory.to_string_lossy().ends_with("sealed");
    let (options, events) = options(CAPACITY, if is_sealed { &[SECRET] } else { &[] });
    let volume = Arc::new(Directory::new(directory).unwrap());
    let mut found = Traces::default();
    let disk = Disk::open(volume, options, |before| {
        found = before.traces.clone();
        (found.clone(), None)
    });
    (disk.unwrap().expect("the killed process holds no lock"), events, found)
}

fn body(seed: u64) -> Vec<u8> {
    let length =
        fastrand::Rng::with_seed(seed).usize(..if seed.is_multiple_of(37) { 700_000 } else { 9_000 });
    noise(seed, length)
}

fn path(seed: u64) -> String {
    format!("/{}", seed % PATHS)
}

/// Not a test by itself: writes until it is killed, if it is told where.
#[test]
fn writes_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let (disk, _, before) = open(Path::new(&directory));
    let mut said = io::stderr();
    for seed in before.epoch * 100_000.. {
        let (path, text) = (path(seed), seed.to_string());
        let body = body(seed);
        if seed.is_multiple_of(5) && body.len() > 5_000 {
            let mut incoming = disk.begin().unwrap();
            body.chunks(1000).for_each(|piece| incoming.write(piece).unwrap());
            incoming.finish(metadata(&path, 0, &text)).unwrap();
        } else {
            disk.put(metadata(&path, 0, &text), Content::new(vec![body.into()]));
        }
        disk.touch(&key(&format!("/{}", seed / 2 % PATHS)), 0);
        if seed.is_multiple_of(11) {
            disk.remove(&key(&format!("/{}", seed / 3 % PATHS)), 0);
        }
        if seed.is_multiple_of(7) {
            let trace = Trace { scope: Scope::Tag(seed), hard: seed, soft: 0, soft_at: 0 };
            let traces = Traces { traces: vec![trace], epoch: before.epoch + 1, swept: 0 };
            disk.write_purges(disk.queue_purge(traces), || panic!("there is room"));
            disk.put(metadata("/last", 0, &text), Content::new(vec![noise(seed, 100).into()]));
            disk.flush();
            writeln!(said, "purged {seed}").unwrap();
        }
    }
}

/// Starts a process that writes, and kills it after it said so many things; the last of them.
fn kill_one(directory: &Path, after: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cache::disk::tests::crash::writes_until_it_is_killed", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("purged ")?.parse().ok());
    let some: Vec<u64> = said.by_ref().take(after + 1).collect();
    // With SIGKILL.
    child.kill().unwrap();
    let last = said.last().or(some.last().copied());
    child.wait().unwrap();
    last.expect("it wrote something")
}

#[test]
fn a_process_killed_at_any_time_leaves_nothing_wrong_and_loses_only_what_it_was_writing() {
    let rounds = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(FEW);
    let mut random = fastrand::Rng::new();
    for end in ["open", "sealed"] {
        let name = format!("edgeward-crash-{}-{end}", std::process::id());
        let scratch = Scratch(std::env::temp_dir().join(name));
        for round in 0..rounds {
            let last = kill_one(&scratch.0, random.usize(..40));
            let (disk, events, found) = open(&scratch.0);
            let purged = found.traces.iter().filter_map(|trace| match trace.scope {
                Scope::Tag(tag) => Some(tag),
                _ => None,
            });
            assert!(purged.max() >= Some(last), "a purge is lost");
            let store = Store { disk, events };
            let (text, _) = store.get("/last", 0).expect("it was written before it was said");
            assert!(text.parse::<u64>().unwrap() >= last);
            let found = (0..PATHS).filter(|number| {
                let path = format!("/{number}");
                let Some((text, found)) = store.get(&path, 0) else { return false };
                let seed = text.parse().unwrap();
                assert!(found == body(seed) && self::path(seed) == path, "round {round}: {path}");
                true
            });
            assert_eq!(found.count() + 1, store.disk.len(), "round {round}");
            let is_bad = |event: &Event| !matches!(event, Event::Recovered { .. } | Event::Evicted { .. });
            assert_eq!(store.told(is_bad), 0, "{:?}", store.events.lock().unwrap());
            let files = std::fs::read_dir(&scratch.0).unwrap();
            let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
            assert!(bytes <= CAPACITY, "{bytes}");
        }
    }
}

#[test]
fn the_lock_of_a_directory_is_held_once_and_ends_with_its_holder() {
    let name = format!("edgeward-crash-{}-lock", std::process::id());
    let scratch = Scratch(std::env::temp_dir().join(name));
    let volume = Directory::new(&scratch.0).unwrap();
    let held = volume.lock().unwrap();
    assert!(held.is_some() && volume.lock().unwrap().is_none());
    drop(held);
    assert!(volume.lock().unwrap().is_some());
}
