//! What was purged never comes back.

use super::{POLICY, fill, get, is_from_disk, origin, site, start, stop, stored};
use crate::process::Site;

const PATHS: [&str; 4] = ["/1000/tag", "/3000000/tag", "/1000/url", "/1000/stays"];

fn purge(site: &Site, order: &str) {
    let answer = site.client("admin").request("POST", "/cache/purge", &[], order.as_bytes());
    assert_eq!((answer.status, answer.json()["purged"].as_bool()), (200, Some(true)));
}

#[test]
fn a_purge_holds_across_restarts_and_crashes() {
    for is_killed in [false, true] {
        let origin = origin();
        let site = site(POLICY, &origin, "size: 256MiB");
        let mut process = start(&site);
        fill(&site, &PATHS);
        purge(&site, r#"{ "tag": ["/1000/tag", "/3000000/tag"] }"#);
        purge(&site, r#"{ "url": "http://localhost/1000/url" }"#);
        for _ in 0..3 {
            if is_killed {
                process.signal(rustix::process::Signal::KILL);
                process.ended();
                drop(process);
            } else {
                stop(process);
            }
            process = start(&site);
            for path in &PATHS[..3] {
                assert_eq!(stored(&site, path).status, 504, "{path}");
            }
            let kept = stored(&site, PATHS[3]);
            assert!(is_from_disk(&kept), "{} {is_killed}", kept.status);
        }
        // What was fetched after it stays.
        assert_eq!(get(&site, PATHS[0], &[]).status, 200);
        stop(process);
        let _last = start(&site);
        assert_eq!(stored(&site, PATHS[0]).status, 200);
    }
}

#[test]
fn a_write_makes_what_is_on_disk_untrue() {
    let origin = origin();
    let site = site(POLICY, &origin, "size: 256MiB");
    let first = start(&site);
    fill(&site, &PATHS);
    assert_eq!(
        site.client("listen").allow(&["cache-status"]).request("DELETE", PATHS[1], &[], b"").status,
        204
    );
    assert_eq!(stored(&site, PATHS[1]).status, 504);
    stop(first);
    let _second = start(&site);
    assert_eq!(stored(&site, PATHS[1]).status, 504);
    assert!(is_from_disk(&stored(&site, PATHS[0])));
}
