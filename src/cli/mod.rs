//! The command line: one module a command. Exit 64 for a wrong policy or wrong arguments, 1 for a failed start.

mod cache;
mod check;
mod keys;
mod run;
mod schema;
mod waf;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueHint};

/// The policy or the arguments are wrong (`EX_USAGE`).
const EXIT_WRONG: u8 = 64;

const RUN_HELP: &str = "\
Signals:
  HUP   read the policy again; a wrong one changes nothing
  USR1  open log files anew, after they were rotated away
  USR2  start the installed binary with --upgrade; it takes over without a lost request
  TERM  stop accepting, let open requests end (at most server.drain), then exit; twice: at once
  QUIT  ignored: without a successor it would be an outage

Exit codes: 0 ended as asked, 1 could not start, 64 the policy or the arguments are wrong

Examples:
  edgeward run conf/quickstart.yaml
  edgeward run /etc/edgeward/policy.yaml --upgrade";

const CHECK_HELP: &str = "\
Exit codes: 0 good, 64 wrong (everything that is wrong is on standard error, or with --json on standard output)

Examples:
  edgeward check policy.yaml
  edgeward check policy.yaml && systemctl reload edgeward
  edgeward check policy.yaml --json | jq -r '.[] | \"\\(.file):\\(.line): \\(.message)\"'";

const SCHEMA_HELP: &str = "\
Examples:
  edgeward schema > policy.schema.json
  edgeward schema --markdown > reference.md

In a policy, as its first line, for editors with the YAML language server:
  # yaml-language-server: $schema=policy.schema.json";

const WAF_TEST_HELP: &str = "\
Exit codes: 0 all passed, 1 some failed or cannot be read, 64 the rules or the arguments are wrong

Examples:
  edgeward waf test --rules rules.conf --tests tests
  edgeward waf test --rules starter --tests filters/waf/starter/tests.yaml
  edgeward waf test --rules /usr/share/modsecurity-crs --tests coreruleset/tests/regression/tests --json | jq .failed";

const WAF_EXPLAIN_HELP: &str = "\
The request is saved as it is sent: POST /path HTTP/1.1, headers, an empty line, a body. Conditions (`when`) are not asked.

Exit codes: 0 it passes, 1 it would be refused, 64 the policy, the request or the arguments are wrong

Examples:
  edgeward waf explain policy.yaml request.http
  edgeward waf explain policy.yaml - --route shop --json";

const COMPLETIONS_HELP: &str = "\
Examples:
  edgeward completions bash > /etc/bash_completion.d/edgeward
  edgeward completions zsh > ~/.zfunc/_edgeward
  edgeward completions fish > ~/.config/fish/completions/edgeward.fish";

/// An edge proxy for APIs: one binary, one YAML policy.
#[derive(Parser)]
#[command(name = "edgeward", version, about, propagate_version = true)]
#[command(after_help = "Start here: edgeward run conf/quickstart.yaml")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve what the policy says, until a signal or a successor ends it.
    #[command(after_help = RUN_HELP)]
    Run {
        /// The policy's file.
        #[arg(value_hint = ValueHint::FilePath)]
        policy: PathBuf,
        /// Take over from the process that runs with the same runtime directory. If this one cannot serve, that one
        /// goes on as if nothing had happened.
        #[arg(long)]
        upgrade: bool,
    },
    /// Tell everything that is wrong with a policy, without running it.
    #[command(after_help = CHECK_HELP)]
    Check {
        /// The policy's file.
        #[arg(value_hint = ValueHint::FilePath)]
        policy: PathBuf,
        /// Print the errors as a JSON list of `file`, `line`, `column`, `path` and `message`.
        #[arg(long)]
        json: bool,
    },
    /// Tell a running edgeward what to forget.
    Cache {
        #[command(subcommand)]
        command: cache::Cache,
    },
    /// Make, rotate, list, retire and prune API keys.
    #[command(after_help = keys::HELP)]
    Keys {
        #[command(subcommand)]
        command: keys::Keys,
    },
    /// Print the JSON Schema of policies, for editors.
    #[command(after_help = SCHEMA_HELP)]
    Schema {
        /// Print the reference as Markdown instead.
        #[arg(long)]
        markdown: bool,
    },
    /// Work on rules of the web application firewall.
    #[command(subcommand)]
    Waf(WafCommand),
    /// Print the version and what it was built with.
    Version,
    /// Print a completion script for a shell.
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Subcommand)]
enum WafCommand {
    /// Run rules over their tests, those of go-ftw's format or of a pack, and tell what passed by rule.
    #[command(after_help = WAF_TEST_HELP)]
    Test {
        /// Rules, in their order: the directory of the Core Rule Set, packs and files in YAML, files in SecLang, directories
        /// of `*.conf`; `starter` is the pack that is part of the program.
        #[arg(long, required = true, num_args = 1.., value_hint = ValueHint::AnyPath)]
        rules: Vec<PathBuf>,
        /// Where the tests are: a file, or every `*.yaml` and `*.yml` below a directory.
        #[arg(long, value_hint = ValueHint::AnyPath)]
        tests: PathBuf,
        /// Print one JSON object: how many `passed`, `failed` and were `skipped`, both first by id under `rules`, and
        /// `failures` with `rule`, `test`, `stage` or `name`, `why`, `file`.
        #[arg(long)]
        json: bool,
        /// The paranoia level whose rules block. Default: 4 for tests of the Core Rule Set, which are for all levels, and 1
        /// for tests of a pack, whose rules are all tested in any case.
        #[arg(long, value_parser = clap::value_parser!(u8).range(1..=4))]
        paranoia: Option<u8>,
    },
    /// Tell what the firewall of a policy makes of a saved request, why, and how to let it pass.
    #[command(after_help = WAF_EXPLAIN_HELP)]
    Explain {
        /// The policy's file.
        #[arg(value_hint = ValueHint::FilePath)]
        policy: PathBuf,
        /// The request's file; `-` for standard input.
        #[arg(value_hint = ValueHint::FilePath)]
        request: PathBuf,
        /// The route, by its name. Default: the one that takes the request.
        #[arg(long)]
        route: Option<String>,
        /// Print the findings as a JSON list, one for each filter that found something.
        #[arg(long)]
        json: bool,
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
        Command::Waf(WafCommand::Test { rules, tests, json, paranoia }) => {
            return waf::test(&rules, &tests, json, paranoia);
        }
        Command::Cache { command } => return cache::cache(command),
        Command::Waf(WafCommand::Explain { policy, request, route, json }) => {
            return waf::explain(&policy, &request, route.as_deref(), json);
        }
        Command::Keys { command } => return keys::keys(command),
        Command::Schema { markdown } => print(&if markdown { schema::markdown() } else { schema::json() }),
        Command::Version => print(&version()),
        Command::Completions { shell } => print(&completions(shell)),
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

fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "edgeward", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The first line is what `--version` says, and the revision where it is known.
fn version() -> String {
    let revision = match crate::REVISION {
        "" => String::new(),
        revision => format!(" ({revision})"),
    };
    format!("edgeward {}{revision}\ntls: BoringSSL\npingora: 0.9.1\n", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests;
