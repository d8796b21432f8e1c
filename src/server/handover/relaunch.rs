//! How a running process starts its own successor, as on SIGUSR2: the same command with `--upgrade`, from whatever
//! binary has the name by then.
//!
//! The successor is a child, so it stays in the service's control group, with its sandbox, user and credentials.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const UPGRADE: &str = "--upgrade";
/// Variables that name this process. The successor must not find them: it would think they are meant for another,
/// and not feed the watchdog.
const OURS: [&str; 4] = ["WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// The command line of this process.
#[derive(Clone, Debug)]
pub struct Relaunch {
    program: PathBuf,
    arguments: Vec<OsString>,
    directory: PathBuf,
}

impl Relaunch {
    /// Remembers how this process was started. To be called first thing: later the working directory may be another,
    /// and the file of the binary replaced.
    ///
    /// # Errors
    /// When the working directory or the binary cannot be found.
    pub fn capture() -> io::Result<Self> {
        let mut arguments = std::env::args_os();
        let directory = std::env::current_dir()?;
        let name = arguments.next().map(PathBuf::from).unwrap_or_default();
        // The name as typed rather than `/proc/self/exe`: a link to the current version is followed anew.
        let program =
            if name.components().count() > 1 { directory.join(name) } else { std::env::current_exe()? };
        Ok(Self::new(&program, arguments, &directory))
    }

    /// A command line with `arguments` after the program's name, run in `directory`.
    #[must_use]
    pub fn new(program: &Path, arguments: impl IntoIterator<Item = OsString>, directory: &Path) -> Self {
        let mut arguments: Vec<OsString> = arguments.into_iter().collect();
        if !arguments.iter().any(|argument| argument == UPGRADE) {
            arguments.push(UPGRADE.into());
        }
        Self { program: program.to_owned(), arguments, directory: directory.to_owned() }
    }

    /// The command that starts the successor. It inherits standard output and error; its exit is to be waited for, or
    /// a failed one stays a zombie.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.directory).stdin(Stdio::null());
        for name in OURS {
            command.env_remove(name);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(arguments: &[&str]) -> Command {
        let arguments = arguments.iter().map(OsString::from);
        Relaunch::new(Path::new("/usr/bin/edgeward"), arguments, Path::new("/")).command()
    }

    #[test]
    fn asks_for_an_upgrade_once() {
        let once: Vec<_> = command(&["run", "a.yaml"]).get_args().map(OsString::from).collect();
        let twice: Vec<_> = command(&["run", "a.yaml", "--upgrade"]).get_args().map(OsString::from).collect();
        assert_eq!(once, ["run", "a.yaml", "--upgrade"]);
        assert_eq!(once, twice);
    }

    #[test]
    fn hides_what_names_the_predecessor() {
        let command = command(&["run", "a.yaml"]);
        let removed: Vec<_> =
            command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        assert_eq!(removed, ["LISTEN_FDNAMES", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_PID"]);
    }

    #[test]
    fn a_relative_name_is_found_from_where_it_was_typed() {
        let captured = Relaunch::capture().unwrap();
        assert!(captured.program.is_absolute());
        assert!(captured.program.exists());
    }
}
