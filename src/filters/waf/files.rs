//! Which files rules are read from, and what was read, so that a reload sees whether any of it has changed. The starter pack
//! is in the program itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::waf::seclang::Loader;

/// What [`Disk`] calls the starter pack.
const STARTER: &str = "<starter>/rules.yaml";
const STARTER_RULES: &str = include_str!("../../../filters/waf/starter/rules.yaml");
/// The rules in the directory of a pack.
const OF_PACK: &str = "rules.yaml";
/// Largest file of rules or data.
const LARGEST_BYTES: u64 = 16 << 20;
/// What a directory of the Core Rule Set has.
const OF_CRS: &str = "REQUEST-901-INITIALIZATION.conf";
/// Its settings, which come before all rules.
const SETUP: [&str; 2] = ["crs-setup.conf", "crs-setup.conf.example"];

/// Where the Core Rule Set's plugins are, beside its rules or its settings, and which of them come before the rules.
const PLUGINS: &str = "plugins";
const PLUGINS_BEFORE: [&str; 2] = ["*-config.conf", "*-before.conf"];
const PLUGINS_AFTER: &str = "*-after.conf";
/// Exclusions, which a distribution keeps beside the settings.
const EXCLUSIONS: [&str; 2] =
    ["REQUEST-900-EXCLUSION-RULES-BEFORE-CRS.conf", "RESPONSE-999-EXCLUSION-RULES-AFTER-CRS.conf"];

/// Where rules are, in the order in which they are read.
#[derive(Debug, Default)]
pub struct Sources {
    /// The Core Rule Set's settings.
    pub setup: Option<PathBuf>,
    /// Files of SecLang and packs, and directories of which every `*.conf` is read.
    pub rules: Vec<PathBuf>,
    /// Those that are the Core Rule Set.
    pub crs: Vec<PathBuf>,
}

impl Sources {
    /// Adds the starter pack.
    pub fn add_starter(&mut self) {
        self.rules.push(STARTER.into());
    }

    /// Adds a file; a directory of files; a pack, by its directory; or the Core Rule Set, by its directory or the `rules`
    /// below it. Its settings are looked for there, too, and plugins and exclusions there and beside the settings. No file
    /// is added twice.
    ///
    /// # Errors
    /// When there is no such file or directory, or nothing to read in it.
    pub fn add(&mut self, path: &Path) -> io::Result<()> {
        let path = fs::canonicalize(path)?;
        if !path.is_dir() {
            if path.file_name().is_some_and(|name| SETUP.iter().any(|setup| name == *setup)) {
                self.setup = Some(path);
            } else {
                self.push(path);
            }
            return Ok(());
        }
        let pack = path.join(OF_PACK);
        if pack.is_file() {
            self.push(pack);
            return Ok(());
        }
        let below = path.join("rules");
        let directory = if below.join(OF_CRS).is_file() { below } else { path };
        if directory.join(OF_CRS).is_file() {
            return self.add_crs(directory);
        }
        if files(&directory, "*.conf")?.is_empty() {
            return Err(io::Error::other("no rules are there: expected rules.yaml, or files called *.conf"));
        }
        self.push(directory);
        Ok(())
    }

    fn add_crs(&mut self, directory: PathBuf) -> io::Result<()> {
        let above = directory.parent().unwrap_or(&directory).to_owned();
        let setups = [&above, &directory].into_iter().flat_map(|place| SETUP.map(|name| place.join(name)));
        let own = setups.into_iter().find(|setup| setup.is_file());
        self.setup = self.setup.take().or(own);
        let mut places = vec![directory.clone()];
        places.extend(directory.ends_with("rules").then_some(above));
        let beside = self.setup.as_deref().and_then(Path::parent).map(Path::to_owned);
        places.extend(beside.filter(|beside| !places.contains(beside)));
        let [first, last] = EXCLUSIONS;
        for pattern in PLUGINS_BEFORE {
            self.push_plugins(&places, pattern)?;
        }
        self.push_exclusions(&places, first)?;
        self.crs.push(directory.clone());
        self.push(directory);
        self.push_exclusions(&places, last)?;
        self.push_plugins(&places, PLUGINS_AFTER)
    }

    fn push_plugins(&mut self, places: &[PathBuf], pattern: &str) -> io::Result<()> {
        for place in places.iter().map(|place| place.join(PLUGINS)).filter(|place| place.is_dir()) {
            for path in files(&place, pattern)? {
                self.push(fs::canonicalize(path)?);
            }
        }
        Ok(())
    }

    /// Those in the directory of the rules, which comes first, are read with these.
    fn push_exclusions(&mut self, places: &[PathBuf], name: &str) -> io::Result<()> {
        for path in places.iter().skip(1).map(|place| place.join(name)).filter(|path| path.is_file()) {
            self.push(fs::canonicalize(path)?);
        }
        Ok(())
    }

    fn push(&mut self, path: PathBuf) {
        if !self.rules.contains(&path) {
            self.rules.push(path);
        }
    }
}

/// Reads rules from disk and remembers what they were.
#[derive(Debug, Default)]
pub struct Disk(Mutex<Seen>);

/// What was read: files with a hash of their contents, and patterns with what they stood for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    files: BTreeMap<String, u64>,
    patterns: BTreeMap<String, Vec<String>>,
}

impl Disk {
    /// What was read.
    pub fn seen(self) -> Seen {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Whether reading all of it again would give the same.
    pub fn is_current(&self) -> bool {
        let same = |(path, hash): (&String, &u64)| read(path).is_ok_and(|bytes| fingerprint(&bytes) == *hash);
        let as_before =
            |(pattern, paths): (&String, &Vec<String>)| expand(pattern).is_ok_and(|now| now == *paths);
        self.patterns.iter().all(as_before) && self.files.iter().all(same)
    }
}

impl Loader for Disk {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        if path == STARTER {
            return Ok(STARTER_RULES.into());
        }
        let bytes = read(path)?;
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.files.insert(path.to_owned(), fingerprint(&bytes));
        Ok(bytes)
    }

    fn expand(&self, pattern: &str) -> io::Result<Vec<String>> {
        let paths = expand(pattern)?;
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.patterns.insert(pattern.to_owned(), paths.clone());
        Ok(paths)
    }
}

/// The files of a directory that a pattern stands for, sorted.
fn files(directory: &Path, pattern: &str) -> io::Result<Vec<String>> {
    let directory = directory.to_str().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    expand(&format!("{directory}/{pattern}"))
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 16 MiB"));
    }
    Ok(bytes)
}

/// `*` stands for anything in the last part of a path.
fn expand(pattern: &str) -> io::Result<Vec<String>> {
    let (directory, name) = pattern.rsplit_once('/').unwrap_or((".", pattern));
    if !name.contains('*') {
        return Ok(vec![pattern.to_owned()]);
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let found = entry?.file_name();
        if let Some(found) = found.to_str().filter(|found| stands_for(name, found)) {
            paths.push(format!("{directory}/{found}"));
        }
    }
    paths.sort();
    Ok(paths)
}

fn stands_for(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

/// Enough to see an edit; nobody gains by making two files alike.
fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.data", false),
            ("REQUEST-9*-*.conf", "REQUEST-901-INIT.conf", true),
            ("REQUEST-9*-*.conf", "RESPONSE-950-A.conf", false),
            ("a.conf", "a.conf", true),
            ("a.conf", "a.conf2", false),
        ] {
            assert_eq!(stands_for(pattern, name), expected, "{pattern} {name}");
        }
    }

    /// A directory with these empty files, which is gone in the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str, names: &[&str]) -> Self {
            let folder = std::env::temp_dir().join(format!("edgeward-waf-{test}-{}", std::process::id()));
            for path in names.iter().map(|name| folder.join(name)) {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            Self(fs::canonicalize(folder).unwrap())
        }

        fn names(&self, sources: &Sources) -> Vec<String> {
            let name = |path: &PathBuf| path.strip_prefix(&self.0).unwrap().display().to_string();
            sources.setup.iter().chain(&sources.rules).map(name).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _gone = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn plugins_and_exclusions_stand_around_the_core_rule_set() {
        let folder = Folder::new(
            "plugins",
            &[
                "crs/rules/REQUEST-901-INITIALIZATION.conf",
                "crs/rules/REQUEST-900-EXCLUSION-RULES-BEFORE-CRS.conf",
                "crs/plugins/b-before.conf",
                "crs/plugins/a-config.conf",
                "crs/plugins/a-after.conf",
                "crs/plugins/a.lua",
                "etc/crs-setup.conf",
                "etc/REQUEST-900-EXCLUSION-RULES-BEFORE-CRS.conf",
                "etc/RESPONSE-999-EXCLUSION-RULES-AFTER-CRS.conf",
                "etc/plugins/c-before.conf",
            ],
        );
        let mut sources = Sources::default();
        sources.add(&folder.0.join("etc/crs-setup.conf")).unwrap();
        sources.add(&folder.0.join("crs")).unwrap();
        sources.add(&folder.0.join("etc/RESPONSE-999-EXCLUSION-RULES-AFTER-CRS.conf")).unwrap();
        let expected = [
            "etc/crs-setup.conf",
            "crs/plugins/a-config.conf",
            "crs/plugins/b-before.conf",
            "etc/plugins/c-before.conf",
            "etc/REQUEST-900-EXCLUSION-RULES-BEFORE-CRS.conf",
            "crs/rules",
            "etc/RESPONSE-999-EXCLUSION-RULES-AFTER-CRS.conf",
            "crs/plugins/a-after.conf",
        ];
        assert_eq!(folder.names(&sources), expected);
    }

    #[test]
    fn an_edit_and_a_new_file_are_seen() {
        let folder = std::env::temp_dir().join(format!("edgeward-waf-files-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("a.conf").display().to_string();
        fs::write(&file, "# one").unwrap();
        let look = || {
            let disk = Disk::default();
            let paths = disk.expand(&format!("{}/*.conf", folder.display())).unwrap();
            let _texts: Vec<_> = paths.iter().map(|path| disk.read(path).unwrap()).collect();
            disk.seen()
        };
        let seen = look();
        assert!(seen.is_current());
        fs::write(&file, "# two").unwrap();
        assert!(!seen.is_current());
        let seen = look();
        assert!(seen.is_current());
        fs::write(folder.join("b.conf"), "").unwrap();
        assert!(!seen.is_current());
        fs::remove_dir_all(&folder).unwrap();
    }
}
