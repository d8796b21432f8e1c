//! Whose disk it is: one process's at a time, and then its successor's.

use super::{POLICY, body, fill, get, is_from_disk, on_disk, origin, site, start, stored};
use crate::harness::eventually;

#[test]
fn a_successor_takes_the_disk_when_its_predecessor_lets_go() {
    let origin = origin();
    let site = site(POLICY, &origin, "size: 256MiB");
    let paths = ["/1000/a", "/3000000/b"];
    let mut first = start(&site);
    fill(&site, &paths);
    let second = site.upgrade();
    second.says("the cache has its disk");
    for path in paths {
        let answer = stored(&site, path);
        assert!(is_from_disk(&answer) && answer.body == body(path), "{path}");
    }
    assert_eq!(first.ended().code(), Some(0));
    get(&site, "/2000/c", &[]);
    on_disk(&site, 3);
    assert_eq!(origin.count(), 3);
}

#[test]
fn a_process_beside_another_goes_without_and_takes_it_when_it_is_free() {
    let origin = origin();
    let first_site = site(POLICY, &origin, "size: 256MiB");
    let first = start(&first_site);
    fill(&first_site, &["/1000/a"]);
    let store = first_site.folder.path().join("store");
    let policy = POLICY.replace("path: store", &format!("path: {}", store.display()));
    let second_site = site(&policy, &origin, "size: 256MiB");
    let second = second_site.start();
    second.says("the cache waits for its disk");
    assert_eq!(get(&second_site, "/1000/a", &[]).status, 200);
    assert_eq!(origin.count(), 2);
    assert_eq!(super::value(&second_site, "edgeward_cache_disk_attached"), 0.0);
    super::stop(first);
    super::attached(&second_site);
    let entries = eventually("what the first stored", || {
        second_site.metrics().value("edgeward_cache_disk_entries").filter(|entries| *entries > 0.0)
    });
    assert_eq!(entries, 1.0);
}
