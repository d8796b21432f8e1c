use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A directory of a test's own, gone with it.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("edgeward-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn runtime(&self) -> RuntimeDirectory {
        RuntimeDirectory::at(&self.0).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn resolved(configured: Option<&str>, environment: &[(&str, &str)]) -> String {
    let lookup = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, v)| v.into());
    resolve(configured.map(Path::new), lookup).display().to_string()
}

#[test]
fn the_policy_comes_before_the_environment_and_that_before_the_default() {
    let systemd = ("RUNTIME_DIRECTORY", "/run/a:/run/b");
    let user = ("XDG_RUNTIME_DIR", "/run/user/7");
    assert_eq!(resolved(Some("/srv/x"), &[systemd, user]), "/srv/x");
    assert_eq!(resolved(None, &[systemd, user]), "/run/a");
    assert_eq!(resolved(None, &[user]), "/run/user/7/edgeward");
    assert_eq!(resolved(None, &[("RUNTIME_DIRECTORY", ""), ("XDG_RUNTIME_DIR", "")]), "/run/edgeward");
}

#[test]
fn creates_a_missing_directory_for_its_user_alone() {
    let scratch = Scratch::new();
    let directory = RuntimeDirectory::at(&scratch.join("run")).unwrap();
    assert_eq!(fs::metadata(directory.path()).unwrap().mode() & 0o777, 0o700);
    assert!(RuntimeDirectory::at(&scratch.join("run")).is_ok());
}

#[test]
fn refuses_a_directory_that_others_may_write_to() {
    let scratch = Scratch::new();
    for (mode, good) in [(0o700, true), (0o755, true), (0o770, false), (0o1777, false)] {
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(mode)).unwrap();
        let opened = RuntimeDirectory::at(scratch.path());
        assert_eq!(opened.is_ok(), good, "{mode:o}");
        assert!(good || matches!(opened, Err(RuntimeDirectoryError::Writable { .. })));
    }
}

#[test]
fn refuses_a_directory_of_another_user() {
    assert!(check("/run/a".into(), 7, 0o40700, 7).is_ok());
    let error = check("/run/a".into(), 8, 0o40700, 7).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the runtime directory /run/a belongs to uid 8, this process runs as uid 7; `server.runtime_directory` may name another"
    );
}

#[test]
fn refuses_what_is_no_directory_or_has_no_parent() {
    let scratch = Scratch::new();
    fs::write(scratch.join("file"), "").unwrap();
    let file = RuntimeDirectory::at(&scratch.join("file"));
    assert!(matches!(file, Err(RuntimeDirectoryError::NotADirectory(_))));
    let orphan = RuntimeDirectory::at(&scratch.join("no/where"));
    assert!(matches!(orphan, Err(RuntimeDirectoryError::Io { what: "create", .. })));
}

#[test]
fn follows_a_link_of_its_own_user() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.join("real")).unwrap();
    std::os::unix::fs::symlink(scratch.join("real"), scratch.join("link")).unwrap();
    fs::set_permissions(scratch.join("real"), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(RuntimeDirectory::at(&scratch.join("link")).is_ok());
    fs::set_permissions(scratch.join("real"), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(RuntimeDirectory::at(&scratch.join("link")).is_err());
}

#[test]
fn a_pid_file_is_removed_by_the_process_it_names_alone() {
    let scratch = Scratch::new();
    let directory = scratch.runtime();
    directory.write_pid(41).unwrap();
    directory.write_pid(42).unwrap();
    directory.remove_pid(41).unwrap();
    assert_eq!(fs::read_to_string(directory.pid_file()).unwrap(), "42\n");
    directory.remove_pid(42).unwrap();
    assert!(!directory.pid_file().exists());
    directory.remove_pid(42).unwrap();
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn only_one_process_at_a_time_takes_the_directory() {
    let scratch = Scratch::new();
    let directory = scratch.runtime();
    let first = directory.lock().unwrap();
    assert!(first.is_some());
    assert!(directory.lock().unwrap().is_none());
    drop(first);
    assert!(directory.lock().unwrap().is_some());
}
