//! The state directory: where what must survive a restart is kept.

use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Where it is when neither policy nor environment say.
const DEFAULT: &str = "/var/lib/edgeward";

/// Settles where it is: the policy's `server.state_directory`, else `$STATE_DIRECTORY` (the first, if systemd made
/// several), else `/var/lib/edgeward`. Touches nothing.
#[must_use]
pub fn resolve(configured: Option<&Path>) -> PathBuf {
    resolve_in(configured, std::env::var_os("STATE_DIRECTORY").as_deref())
}

fn resolve_in(configured: Option<&Path>, variable: Option<&OsStr>) -> PathBuf {
    let first = |list: &OsStr| std::env::split_paths(list).find(|path| !path.as_os_str().is_empty());
    let told = variable.and_then(first);
    configured.map(Path::to_owned).or(told).unwrap_or_else(|| DEFAULT.into())
}

/// Makes it, for its user alone, unless it is there.
///
/// # Errors
/// When it cannot be made.
pub fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_comes_before_the_environment_and_that_before_the_default() {
        let resolved = |configured: Option<&str>, variable: Option<&str>| {
            resolve_in(configured.map(Path::new), variable.map(OsStr::new)).display().to_string()
        };
        assert_eq!(resolved(Some("/srv/x"), Some("/var/lib/a")), "/srv/x");
        assert_eq!(resolved(None, Some("/var/lib/a:/var/lib/b")), "/var/lib/a");
        assert_eq!(resolved(None, Some("")), "/var/lib/edgeward");
        assert_eq!(resolved(None, None), "/var/lib/edgeward");
    }
}
