use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A directory of its own, gone when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("edgeward-watch-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[allow(clippy::unnecessary_wraps, reason = "a missing file is `None`")]
fn stamp(inode: u64) -> Option<Stamp> {
    let resolved = PathBuf::from("/a");
    Some(Stamp { device: 1, inode, size: 3, modified: (1, 2), changed: (1, 2), resolved })
}

/// Polls twice, as a caller does in two seconds.
fn settle(watched: &mut Watched) -> Vec<PathBuf> {
    assert!(watched.poll().is_empty(), "told before it was stable");
    watched.poll().into_iter().map(Path::to_owned).collect()
}

#[test]
fn tells_a_change_once_and_only_when_everything_is_still() {
    let mut history = History::new(vec![stamp(1), stamp(2)]);
    assert!(history.see(vec![stamp(1), stamp(2)]).is_empty());
    assert!(history.see(vec![stamp(10), stamp(2)]).is_empty(), "the first file moves");
    assert!(history.see(vec![stamp(10), stamp(20)]).is_empty(), "the second follows");
    assert_eq!(history.see(vec![stamp(10), stamp(20)]), [0, 1]);
    assert!(history.see(vec![stamp(10), stamp(20)]).is_empty());
}

#[test]
fn a_change_that_is_taken_back_is_no_change() {
    let mut history = History::new(vec![stamp(1)]);
    assert!(history.see(vec![stamp(2)]).is_empty());
    assert!(history.see(vec![stamp(1)]).is_empty());
    assert!(history.see(vec![stamp(1)]).is_empty());
}

#[test]
fn a_file_that_vanished_is_told_when_it_is_back() {
    let mut history = History::new(vec![stamp(1)]);
    for _ in 0..3 {
        assert!(history.see(vec![None]).is_empty());
    }
    assert!(history.see(vec![stamp(2)]).is_empty());
    assert_eq!(history.see(vec![stamp(2)]), [0]);
}

#[test]
fn sees_a_file_rewritten_in_place_and_one_replaced_and_not_an_untouched_one() {
    let scratch = Scratch::new();
    let (policy, key) = (scratch.join("policy.yaml"), scratch.join("key"));
    fs::write(&policy, "one").unwrap();
    fs::write(&key, "one").unwrap();
    let mut watched = Watched::new([policy.clone(), key, policy.clone()]);
    assert!(settle(&mut watched).is_empty());

    fs::write(&policy, "three").unwrap();
    assert_eq!(settle(&mut watched), std::slice::from_ref(&policy));

    fs::write(scratch.join("new"), "three").unwrap();
    fs::rename(scratch.join("new"), &policy).unwrap();
    assert_eq!(settle(&mut watched), [policy]);
    assert!(settle(&mut watched).is_empty());
}

#[test]
fn sees_a_directory_link_swapped_under_the_file() {
    let scratch = Scratch::new();
    for version in ["..1", "..2"] {
        fs::create_dir(scratch.join(version)).unwrap();
        fs::write(scratch.join(version).join("policy.yaml"), "same").unwrap();
    }
    symlink("..1", scratch.join("..data")).unwrap();
    symlink("..data/policy.yaml", scratch.join("policy.yaml")).unwrap();
    let mut watched = Watched::new([scratch.join("policy.yaml")]);
    assert!(settle(&mut watched).is_empty());

    symlink("..2", scratch.join("..data_tmp")).unwrap();
    fs::rename(scratch.join("..data_tmp"), scratch.join("..data")).unwrap();
    assert_eq!(settle(&mut watched), [scratch.join("policy.yaml")]);
}

#[test]
fn sees_a_file_appear_that_was_missing() {
    let scratch = Scratch::new();
    let mut watched = Watched::new([scratch.join("late")]);
    assert!(settle(&mut watched).is_empty());
    fs::write(scratch.join("late"), "").unwrap();
    assert_eq!(settle(&mut watched), [scratch.join("late")]);
}
