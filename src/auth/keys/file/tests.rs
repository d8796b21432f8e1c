use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;
use crate::auth::keys::fixtures::Scratch;

fn replace(path: &Path, text: &str) -> Result<(), FileError> {
    LockedFile::wait_for(path)?.replace(text)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_file_that_is_not_there_has_no_text_and_gets_one() {
    let scratch = Scratch::new();
    let path = scratch.join("keys.yaml");
    assert_eq!(read(&path).unwrap(), None);
    replace(&path, "one").unwrap();
    assert_eq!(read(&path).unwrap().as_deref(), Some("one"));
    assert_eq!(mode(&path), 0o600);
    assert_eq!(scratch.names(), ["keys.yaml"]);
}

#[test]
fn a_file_keeps_its_mode_and_owner() {
    let scratch = Scratch::new();
    let path = scratch.join("keys.yaml");
    fs::write(&path, "one").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    // Only root may give files away; anyone else keeps what is theirs.
    let _ = std::os::unix::fs::chown(&path, Some(1234), Some(4321));
    let before = fs::metadata(&path).unwrap();
    replace(&path, "two").unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_ne!(before.ino(), after.ino());
    assert_eq!((after.uid(), after.gid(), mode(&path)), (before.uid(), before.gid(), 0o640));
}

#[test]
fn a_symbolic_link_stays_one() {
    let scratch = Scratch::new();
    let (real, link) = (scratch.join("real"), scratch.join("link"));
    fs::write(&real, "one").unwrap();
    std::os::unix::fs::symlink("real", &link).unwrap();
    replace(&link, "two").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(read(&real).unwrap().as_deref(), Some("two"));
}

#[test]
fn whoever_has_opened_the_old_file_reads_the_old_text_to_its_end() {
    let scratch = Scratch::new();
    let path = scratch.join("keys.yaml");
    replace(&path, "old text").unwrap();
    let mut opened = File::open(&path).unwrap();
    let mut start = [0; 3];
    opened.read_exact(&mut start).unwrap();
    replace(&path, "new").unwrap();
    let mut rest = String::new();
    opened.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, " text");
    assert_eq!(read(&path).unwrap().as_deref(), Some("new"));
}

#[test]
fn a_reader_never_sees_a_half_written_file() {
    let scratch = Scratch::new();
    let path = scratch.join("keys.yaml");
    let text =
        |round: usize| char::from(b'a' + u8::try_from(round % 26).unwrap()).to_string().repeat(200_000);
    replace(&path, &text(0)).unwrap();
    let done = AtomicBool::new(false);
    let reads = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) || reads < 50 {
                let found = read(&path).unwrap().expect("it was there from the start");
                assert_eq!(found.len(), 200_000);
                assert!(found.bytes().all(|byte| byte == found.as_bytes()[0]), "two texts in one");
                reads += 1;
            }
            reads
        });
        (1..50).for_each(|round| replace(&path, &text(round)).unwrap());
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(reads >= 50);
}

#[test]
fn two_who_change_a_file_do_not_lose_each_others_changes() {
    let scratch = Scratch::new();
    let path = scratch.join("count");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    let file = LockedFile::wait_for(&path).unwrap();
                    let count: u32 = file.read().unwrap().map_or(0, |text| text.parse().unwrap());
                    file.replace(&(count + 1).to_string()).unwrap();
                }
            });
        }
    });
    assert_eq!(read(&path).unwrap().as_deref(), Some("100"));
    assert_eq!(scratch.names(), ["count"]);
}

#[test]
fn what_a_crash_left_behind_is_used_again() {
    let scratch = Scratch::new();
    let path = scratch.join("keys.yaml");
    replace(&path, "good").unwrap();
    fs::write(scratch.join(".keys.yaml.new"), "half of a much longer te").unwrap();
    assert_eq!(read(&path).unwrap().as_deref(), Some("good"));
    replace(&path, "better").unwrap();
    assert_eq!(read(&path).unwrap().as_deref(), Some("better"));
    assert_eq!(scratch.names(), ["keys.yaml"]);
}

#[test]
fn nothing_is_left_and_nothing_changed_when_a_change_is_given_up() {
    let scratch = Scratch::new();
    let path = scratch.join("keys.yaml");
    replace(&path, "good").unwrap();
    drop(LockedFile::wait_for(&path).unwrap());
    assert_eq!(scratch.names(), ["keys.yaml"]);
    assert_eq!(read(&path).unwrap().as_deref(), Some("good"));
}

#[test]
fn does_not_write_through_a_link_someone_put_in_its_way() {
    let scratch = Scratch::new();
    let (path, victim) = (scratch.join("keys.yaml"), scratch.join("victim"));
    fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink("victim", scratch.join(".keys.yaml.new")).unwrap();
    assert!(replace(&path, "two").is_err());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn says_what_failed_with_which_file() {
    let scratch = Scratch::new();
    let message = replace(&scratch.join("nowhere/keys.yaml"), "x").unwrap_err().to_string();
    assert!(message.starts_with("cannot open ") && message.ends_with("nowhere/.keys.yaml.new"), "{message}");
    fs::write(scratch.join("binary"), [0xff]).unwrap();
    let message = read(&scratch.join("binary")).unwrap_err().to_string();
    assert!(message.starts_with("cannot read "), "{message}");
    assert!(read(scratch.path()).is_err(), "a directory has no text");
}
