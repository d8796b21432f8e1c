//! The command line: one module a command. Exit 64 for a wrong policy or wrong arguments, 1 for a failed start.

mod check;
mod run;
mod schema;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// The policy or the arguments are wrong (`EX_USAGE`).
const EXIT_WRONG: u8 = 64;

/// An edge proxy for APIs: one binary, one YAML policy.
#[derive(Parser)]
#[command(name = "edgeward", version, about, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve what the policy says.
    ///
    /// SIGHUP reloads the policy, SIGUSR1 reopens log files, SIGUSR2 starts a successor that takes over without a lost
    /// request, SIGTERM stops after open requests have ended.
    #[command(after_help = "Examples:\n  edgeward run conf/quickstart.yaml\n  edgeward run /etc/edgeward/policy.yaml --upgrade")]
    Run {
        /// The policy's file.
        policy: PathBuf,
        /// Take over from the process that runs with the same runtime directory.
        #[arg(long)]
        upgrade: bool,
    },
    /// Tell everything that is wrong with a policy, without running it.
    #[command(after_help = "Examples:\n  edgeward check conf/quickstart.yaml && systemctl reload edgeward")]
    Check {
        /// The policy's file.
        policy: PathBuf,
        /// Print the errors as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of policies, for editors.
    #[command(after_help = "Examples:\n  edgeward schema > policy.schema.json\n  edgeward schema --markdown > reference.md")]
    Schema {
        /// Print the reference as Markdown instead.
        #[arg(long)]
        markdown: bool,
    },
    /// Print the version and what it was built with.
    Version,
    /// Print a completion script for a shell.
    #[command(after_help = "Examples:\n  edgeward completions bash > /etc/bash_completion.d/edgeward")]
    Completions {
        /// bash, elvish, fish, powershell or zsh.
        shell: clap_complete::Shell,
    },
}

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors to clap's exit code; a broken pipe is nobody's concern.
            drop(error.print());
            return if error.use_stderr() { ExitCode::from(EXIT_WRONG) } else { ExitCode::SUCCESS };
        }
    };
    let done = match arguments.command {
        Command::Run { policy, upgrade } => return run::run(policy, upgrade),
        Command::Check { policy, json } => return check::check(&policy, json),
        Command::Schema { markdown } => print(&if markdown { schema::markdown() } else { schema::json() }),
        Command::Version => print(&version()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "edgeward", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn print(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    std::io::stdout().write_all(text.as_bytes())
}

fn version() -> String {
    format!("edgeward {}\ntls: BoringSSL\npingora: 0.9.1\n", env!("CARGO_PKG_VERSION"))
}
