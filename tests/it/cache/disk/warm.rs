//! A restart keeps it warm.

use super::super::{ALLOWED, is_hit, told};
use super::{
    POLICY, attached, body, files, fill, get, is_from_disk, on_disk, origin, site, start, stop, stored,
};
use crate::harness::soon;

/// In a segment; in a file of its own, but short enough for memory; read from disk alone.
const PATHS: [&str; 3] = ["/1000/small", "/1500000/medium", "/9000000/large"];

#[test]
fn what_was_stored_outlives_the_process() {
    let origin = origin();
    let site = site(POLICY, &origin, "size: 256MiB");
    let first = start(&site);
    fill(&site, &PATHS);
    stop(first);
    let _second = start(&site);
    for path in PATHS {
        let answer = stored(&site, path);
        assert!(is_from_disk(&answer), "{path}: {} {}", answer.status, told(&answer));
        assert!(answer.body == body(path), "{path}");
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
        assert!(answer.header("age").is_some() && answer.header("cache-tag").is_none());
    }
    // What fits into memory is there from then on.
    for (path, again) in PATHS.iter().zip([false, false, true]) {
        let answer = stored(&site, path);
        assert!(is_hit(&answer) && answer.body == body(path));
        assert_eq!(is_from_disk(&answer), again, "{path}");
    }
    assert_eq!(origin.count(), PATHS.len());
    let metrics = site.metrics();
    assert_eq!(metrics.value("edgeward_cache_disk_reads_total"), Some(4.0));
    assert!(metrics.value("edgeward_cache_disk_bytes").unwrap() > 10_501_000.0);
    assert_eq!(metrics.value("edgeward_cache_entries"), Some(2.0));
}

#[test]
fn what_is_on_disk_is_answered_with_as_any_other() {
    let origin = origin();
    let site = site(POLICY, &origin, "size: 256MiB");
    for path in PATHS {
        let first = start(&site);
        get(&site, path, &[]);
        soon("a write", || super::value(&site, "edgeward_cache_disk_writes_total") > 0.0);
        stop(first);
        for turn in 0..5 {
            let process = start(&site);
            let (whole, length) = (body(path), body(path).len());
            let ask = |headers: &[(&str, &str)]| {
                let alone = ("cache-control", "only-if-cached");
                get(&site, path, &[headers, &[alone]].concat())
            };
            match turn {
                0 => {
                    let head = site.client("listen").allow(&ALLOWED).request("HEAD", path, &[], b"");
                    assert!(is_from_disk(&head) && head.body.is_empty());
                    assert_eq!(head.header("content-length"), Some(&*length.to_string()));
                }
                1 => {
                    let had = ask(&[("if-none-match", "\"a\"")]);
                    assert!(had.status == 304 && had.body.is_empty() && is_from_disk(&had));
                }
                2 => {
                    let part = ask(&[("range", "bytes=700-799")]);
                    assert!(part.status == 206 && is_from_disk(&part) && part.body == whole[700..800]);
                    assert_eq!(part.header("content-range"), Some(&*format!("bytes 700-799/{length}")));
                    let end = ask(&[("range", "bytes=-100"), ("if-range", "\"a\"")]);
                    assert!(end.status == 206 && end.body == whole[length - 100..]);
                }
                3 => {
                    let parts = ask(&[("range", "bytes=0-9, -10")]);
                    assert_eq!(parts.status, 206);
                    for part in [&whole[..10], &whole[length - 10..]] {
                        assert!(memchr::memmem::find(&parts.body, part).is_some());
                    }
                }
                _ => {
                    let none = ask(&[("range", "bytes=99999999-")]);
                    assert_eq!((none.status, none.body.len()), (416, 0));
                }
            }
            stop(process);
        }
    }
    assert_eq!(origin.count(), PATHS.len());
}

#[test]
fn what_is_stale_on_disk_is_validated() {
    let origin = crate::harness::Origin::start(|request: &crate::harness::Seen| {
        let headers = [("cache-control", "max-age=3600"), ("etag", "\"a\"")];
        match request.header("if-none-match") {
            Some("\"a\"") => crate::harness::Reply::status(304, &headers, ""),
            _ => crate::harness::Reply::status(200, &headers, body(request.target())),
        }
    });
    let site = site(POLICY, &origin, "size: 256MiB");
    let first = start(&site);
    fill(&site, &PATHS);
    stop(first);
    let second = start(&site);
    for path in PATHS {
        let answer = get(&site, path, &[("cache-control", "no-cache")]);
        assert!(answer.status == 200 && answer.body == body(path), "{path}");
        assert!(told(&answer).contains("fwd-status=304"), "{path}: {}", told(&answer));
    }
    assert_eq!(origin.count(), 2 * PATHS.len());
    stop(second);
    let _third = start(&site);
    for path in PATHS {
        let answer = stored(&site, path);
        assert!(is_from_disk(&answer) && answer.body == body(path), "{path}");
    }
}

#[test]
fn a_reload_may_take_the_disk_away_and_give_it_back() {
    let origin = origin();
    let site = site(POLICY, &origin, "size: 256MiB");
    let process = start(&site);
    fill(&site, &PATHS);
    site.rewrite(&POLICY.replace(", disk: { path: store, {disk} }", ""));
    process.signal(rustix::process::Signal::HUP);
    soon("the disk to go", || super::value(&site, "edgeward_cache_disk_attached") == 0.0);
    assert_eq!(get(&site, "/100/meanwhile", &[]).status, 200);
    assert!(is_hit(&stored(&site, PATHS[0])) && stored(&site, PATHS[2]).status == 504);
    site.rewrite(&POLICY.replace("{disk}", "size: 128MiB"));
    process.signal(rustix::process::Signal::HUP);
    attached(&site);
    on_disk(&site, 3);
    assert!(is_from_disk(&stored(&site, PATHS[2])));
    // A reload that changes nothing about it leaves it alone: otherwise a segment would be completed, and another begun.
    get(&site, "/2000/before", &[]);
    on_disk(&site, 4);
    let segments = files(&site, ".segment");
    assert_eq!(site.client("admin").request("POST", "/reload", &[], b"").status, 200);
    get(&site, "/2000/after", &[]);
    on_disk(&site, 5);
    assert_eq!(files(&site, ".segment"), segments);
}
