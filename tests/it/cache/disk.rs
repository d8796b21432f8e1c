//! What is stored on disk: it outlives the process, and no failure of the disk is a client's.

mod crash;
mod encryption;
mod faults;
mod fleet;
mod handover;
mod purge;
mod warm;

use std::path::PathBuf;

use rustix::process::Signal;

use super::{ALLOWED, told};
use crate::harness::{Origin, Reply, Response, Seen, soon};
use crate::process::{Process, Site};

/// In memory, nothing longer than 2 MiB is kept.
const POLICY: &str = r#"
server: { runtime_directory: {dir}/run, drain: 1s, workers: 2 }
admin: { address: "{admin}" }
cache: { memory: 16MiB, disk: { path: store, {disk} } }
listeners: [{ address: "{listen}" }]
upstreams: { app: { backends: ["{origin}"] } }
routes:
  - { name: app, match: { path: /** }, upstream: app, filters: [{ cache: { max_object: 32MiB } }] }
"#;

/// Bytes that are another path's in no place, as many as the path begins with: `/1000/name`.
fn body(path: &str) -> Vec<u8> {
    let length = path.split('/').nth(1).and_then(|length| length.parse().ok()).unwrap_or(10);
    let seed = path.bytes().fold(0_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
    let name = format!("plain text of {path}");
    bytes.splice(..name.len().min(bytes.len()), name.bytes().take(length));
    bytes
}

/// An origin whose answers are all fresh for an hour, with the path as their tag.
fn origin() -> Origin {
    Origin::start(|request: &Seen| {
        let path = request.target();
        if request.method() != "GET" {
            return Reply::status(204, &[], "");
        }
        let headers = [
            ("cache-control", "max-age=3600"),
            ("etag", "\"a\""),
            ("content-type", "application/octet-stream"),
            ("cache-tag", path),
        ];
        Reply::status(200, &headers, body(path))
    })
}

fn site(policy: &str, origin: &Origin, disk: &str) -> Site {
    Site::new(policy, &[("origin", &origin.address()), ("disk", &disk)])
}

fn get(site: &Site, path: &str, headers: &[(&str, &str)]) -> Response {
    site.client("listen").allow(&ALLOWED).request("GET", path, headers, b"")
}

/// Asks for what is stored alone: 504 if nothing is.
fn stored(site: &Site, path: &str) -> Response {
    get(site, path, &[("cache-control", "only-if-cached")])
}

/// Fetches all of these, and waits until they are on disk.
fn fill(site: &Site, paths: &[&str]) {
    for path in paths {
        let answer = get(site, path, &[]);
        assert!(answer.status == 200 && answer.body == body(path), "{path}");
    }
    on_disk(site, u32::try_from(paths.len()).unwrap());
}

fn on_disk(site: &Site, entries: u32) {
    soon("what was fetched to be on disk", || {
        value(site, "edgeward_cache_disk_entries") == f64::from(entries)
    });
}

fn value(site: &Site, series: &str) -> f64 {
    site.metrics().value(series).unwrap_or_default()
}

/// Waits until the cache has its disk.
fn attached(site: &Site) {
    soon("the disk", || value(site, "edgeward_cache_disk_attached") == 1.0);
}

fn start(site: &Site) -> Process {
    let process = site.start();
    attached(site);
    process
}

/// Ends a process as a service manager does.
fn stop(mut process: Process) {
    process.signal(Signal::TERM);
    assert_eq!(process.ended().code(), Some(0));
}

fn is_from_disk(answer: &Response) -> bool {
    told(answer).starts_with("\"edgeward\"; hit") && told(answer).ends_with("detail=disk")
}

/// The files of the store that end so.
fn files(site: &Site, end: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(site.folder.path().join("store"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect();
    files.sort();
    files
}
