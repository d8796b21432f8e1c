//! What is stored cannot be read by who has the disk alone.

use std::fs;

use super::{POLICY, body, files, fill, is_from_disk, origin, site, start, stop, stored};
use crate::process::Site;

const PATHS: [&str; 2] = ["/1000/small", "/9000000/large"];

/// Encrypts with the first of these.
fn keys(site: &Site, names: &[&str]) {
    let list: Vec<_> = names.iter().map(|name| format!("{{ file: {name} }}")).collect();
    let disk = format!("size: 256MiB, encryption: {{ keys: [{}] }}", list.join(", "));
    site.rewrite(&POLICY.replace("{disk}", &disk));
}

fn encrypted() -> (crate::harness::Origin, Site) {
    let origin = origin();
    let site = site(POLICY, &origin, "size: 256MiB");
    for name in ["old", "new"] {
        site.folder.write(name, format!("the {name} secret, which nobody may know of\n"));
    }
    (origin, site)
}

fn contain(site: &Site, text: &str) -> bool {
    let has =
        |file: &std::path::PathBuf| memchr::memmem::find(&fs::read(file).unwrap(), text.as_bytes()).is_some();
    files(site, "").iter().any(has)
}

#[test]
fn nothing_of_what_is_stored_is_in_the_files() {
    for (is_encrypted, expected) in [(false, true), (true, false)] {
        let (_origin, site) = encrypted();
        if is_encrypted {
            keys(&site, &["old"]);
        }
        let process = start(&site);
        fill(&site, &PATHS);
        stop(process);
        for text in
            ["plain text of /1000", "plain text of /9000000", "application/octet-stream", "http://localhost/"]
        {
            assert_eq!(contain(&site, text), expected, "{text}");
        }
        assert!(!contain(&site, "secret"));
    }
}

#[test]
fn keys_are_replaced_without_a_loss() {
    let (origin, site) = encrypted();
    keys(&site, &["old"]);
    let first = start(&site);
    fill(&site, &PATHS);
    // By a reload, and by a restart. The list of purges is sealed anew.
    let purges = site.folder.path().join("store/purges");
    let sealed = fs::read(&purges).unwrap();
    keys(&site, &["new", "old"]);
    first.signal(rustix::process::Signal::HUP);
    crate::harness::soon("the disk with another key", || fs::read(&purges).is_ok_and(|now| now != sealed));
    super::attached(&site);
    assert_eq!(super::get(&site, "/2000/later", &[]).status, 200);
    super::on_disk(&site, 3);
    stop(first);
    let second = start(&site);
    for path in ["/1000/small", "/9000000/large", "/2000/later"] {
        let answer = stored(&site, path);
        assert!(is_from_disk(&answer) && answer.body == body(path), "{path}");
    }
    assert_eq!(origin.count(), 3);
    stop(second);
    // What the old one sealed is of no use without it.
    keys(&site, &["new"]);
    let _third = start(&site);
    assert_eq!(PATHS.map(|path| stored(&site, path).status), [504, 504]);
    assert!(is_from_disk(&stored(&site, "/2000/later")));
}

#[test]
fn another_key_finds_nothing_and_neither_does_none() {
    for others in [&["new"][..], &[]] {
        let (_origin, site) = encrypted();
        keys(&site, &["old"]);
        let first = start(&site);
        fill(&site, &PATHS);
        stop(first);
        if others.is_empty() {
            site.rewrite(POLICY);
        } else {
            keys(&site, others);
        }
        let _second = start(&site);
        for path in PATHS {
            assert_eq!(stored(&site, path).status, 504);
            assert_eq!(super::get(&site, path, &[]).body, body(path));
        }
    }
}
