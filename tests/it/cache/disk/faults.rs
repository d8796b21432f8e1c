//! Disks that are full, gone or damaged: bypassed, counted, told, and nobody's failed request.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::super::{is_hit, told};
use super::{POLICY, body, files, fill, get, origin, site, start, stop, stored, value};
use crate::harness::soon;

/// The program in a place where the store's disk has so many bytes.
fn on_a_small_disk(bytes: u32) -> String {
    format!(
        "#!/bin/sh\nmkdir -p store\nexec unshare --user --map-root-user --mount sh -c \
         'mount -t tmpfs -o size={bytes} none store && exec {} \"$@\"' edgeward \"$@\"\n",
        env!("CARGO_BIN_EXE_edgeward")
    )
}

/// The program, whose files cannot grow beyond so many bytes.
fn with_short_files(bytes: u32) -> String {
    let blocks = bytes / 512;
    format!("#!/bin/sh\ntrap '' XFSZ\nulimit -f {blocks}\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_edgeward"))
}

fn may_mount() -> bool {
    let arguments = ["--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"];
    let mounted = std::process::Command::new("unshare").args(arguments).output();
    let may = mounted.is_ok_and(|output| output.status.success());
    if !may {
        eprintln!("skipped: no file system can be mounted here");
    }
    may
}

/// Asks for more than the disk takes, twice.
fn overfill(program: &str, reason: &str) {
    let origin = origin();
    let site = site(POLICY, &origin, "size: 256MiB");
    site.replace_program(program);
    let _process = start(&site);
    for round in 0..2 {
        for number in 0..60 {
            let size = [1000, 300_000, 900_000, 3_000_000][number % 4];
            let path = format!("/{size}/{number}");
            let answer = get(&site, &path, &[]);
            assert!(answer.status == 200 && answer.body == body(&path), "{round} {path}: {}", told(&answer));
        }
    }
    let series = format!("edgeward_cache_disk_bypasses_total{{reason=\"{reason}\"}}");
    soon(&series, || value(&site, &series) > 0.0);
    assert!(value(&site, "edgeward_cache_disk_bypasses_total{reason=\"paused\"}") > 0.0);
    // Memory does its part as ever.
    get(&site, "/1000/last", &[]);
    assert!(is_hit(&stored(&site, "/1000/last")));
}

#[test]
fn a_full_disk_fails_no_request() {
    if may_mount() {
        overfill(&on_a_small_disk(20 << 20), "full");
    }
}

#[test]
fn a_disk_that_cannot_be_written_to_any_more_fails_no_request() {
    overfill(&with_short_files(2 << 20), "write_failed");
}

#[test]
fn a_store_that_cannot_be_opened_is_done_without() {
    let origin = origin();
    let site = site(&POLICY.replace("path: store", "path: policy.yaml"), &origin, "size: 256MiB");
    let process = site.start();
    process.says("the cache's disk cannot be used");
    for _ in 0..2 {
        assert_eq!(get(&site, "/1000/a", &[]).body, body("/1000/a"));
    }
    assert_eq!(origin.count(), 1);
    assert_eq!(value(&site, "edgeward_cache_disk_bypasses_total{reason=\"unusable\"}"), 1.0);
    assert_eq!(value(&site, "edgeward_cache_disk_attached"), 0.0);
}

/// Turns a bit in every so many bytes.
fn damage(path: &Path, every: u64) {
    let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    for at in (every / 2..length).step_by(usize::try_from(every).unwrap()) {
        let mut byte = [0];
        file.seek(SeekFrom::Start(at)).unwrap();
        file.read_exact(&mut byte).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&[byte[0] ^ 0x10]).unwrap();
    }
}

#[test]
fn what_was_damaged_is_fetched_again() {
    let paths: Vec<_> =
        (0..20).map(|number| format!("/{}/{number}", [500, 40_000, 1_500_000][number % 3])).collect();
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    for (end, every) in [(".segment", 100_000), (".body", 200_000), (".segment", 5000), ("purges", 20)] {
        let origin = origin();
        let site = site(POLICY, &origin, "size: 256MiB");
        let first = start(&site);
        fill(&site, &paths);
        stop(first);
        let files = files(&site, end);
        assert!(!files.is_empty(), "{end}");
        for file in &files {
            damage(file, every);
        }
        let second = start(&site);
        for path in &paths {
            let answer = get(&site, path, &[]);
            assert!(answer.status == 200 && answer.body == body(path), "{end} {path}: {}", told(&answer));
        }
        assert!(origin.count() > paths.len(), "{end}");
        if end == "purges" {
            second.says("what was purged is not known for certain");
        } else {
            assert!(value(&site, "edgeward_cache_disk_corrupt_total") > 0.0, "{end}");
        }
    }
}

#[test]
fn a_long_body_with_damage_is_cut_off_there_and_fetched_again() {
    let path = "/9000000/long";
    let origin = origin();
    let site = site(POLICY, &origin, "size: 256MiB");
    let first = start(&site);
    fill(&site, &[path]);
    stop(first);
    for file in files(&site, ".body") {
        damage(&file, 12_000_000);
    }
    let _second = start(&site);
    // The head has gone when the damage comes to light in the middle.
    let mut client = site.client("listen").allow(&super::ALLOWED);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    match client.try_response("GET") {
        Err(crate::harness::Fault::Cut(bytes)) => {
            let head = memchr::memmem::find(&bytes, b"\r\n\r\n").unwrap() + 4;
            assert!(body(path).starts_with(&bytes[head..]));
        }
        other => panic!("{:?}", other.map(|answer| answer.status)),
    }
    let answer = get(&site, path, &[]);
    assert!(answer.status == 200 && answer.body == body(path) && !is_hit(&answer));
    assert_eq!(value(&site, "edgeward_cache_disk_corrupt_total"), 1.0);
}

#[test]
fn files_that_are_gone_are_misses() {
    let paths = ["/1000/a", "/1500000/b", "/9000000/c"];
    let origin = origin();
    let site = site(POLICY, &origin, "size: 256MiB");
    let first = start(&site);
    fill(&site, &paths);
    stop(first);
    let _second = start(&site);
    for file in files(&site, ".body") {
        fs::remove_file(file).unwrap();
    }
    for path in paths {
        let answer = get(&site, path, &[]);
        assert!(answer.status == 200 && answer.body == body(path), "{path}");
    }
    assert_eq!(origin.count(), 5);
}
