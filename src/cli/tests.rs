//! What the command line promises: names, examples that parse, and completions that know them.

use clap_complete::Shell;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn names_that_others_rely_on_are_kept() {
    for line in [
        "run policy.yaml",
        "run policy.yaml --upgrade",
        "check policy.yaml",
        "check --json policy.yaml",
        "keys new partner-a --store keys.yaml --expires 90d --scope a --scope b --tag t",
        "keys rotate partner-a --overlap 30d --policy policy.yaml",
        "keys list --store keys.yaml --json",
        "keys retire k1 --store keys.yaml --force",
        "keys prune --store keys.yaml --state-directory state",
        "cache purge --policy policy.yaml --url https://a/b --tag a --tag b --soft",
        "cache purge --policy policy.yaml --prefix https://a/ --all",
        "schema",
        "schema --markdown",
        "waf test --rules crs --tests tests",
        "waf test --rules a.conf b.conf --tests tests --json --paranoia 1",
        "waf explain policy.yaml request.http",
        "waf explain policy.yaml - --route shop --json",
        "version",
        "completions bash",
    ] {
        let words = std::iter::once("edgeward").chain(line.split(' '));
        assert!(Arguments::try_parse_from(words).is_ok(), "{line}");
    }
    for line in [
        "",
        "run",
        "run a b",
        "check",
        "serve policy.yaml",
        "completions cmd.exe",
        "waf",
        "waf test --rules a",
        "waf explain policy.yaml",
        "keys",
        "keys new a",
        "keys new --store k",
        "keys rotate a --store k",
        "keys list --store a --policy b",
        "keys retire a --store k --force --unused-for 1d",
        "keys new a/\" --store k",
    ] {
        let words = std::iter::once("edgeward").chain(line.split_terminator(' '));
        assert!(Arguments::try_parse_from(words).is_err(), "{line}");
    }
}

#[test]
fn every_example_in_a_help_text_parses() {
    let mut seen = 0;
    let of_keys =
        [keys::HELP, keys::NEW_HELP, keys::ROTATE_HELP, keys::LIST_HELP, keys::RETIRE_HELP, keys::PRUNE_HELP];
    for help in [RUN_HELP, CHECK_HELP, SCHEMA_HELP, WAF_TEST_HELP, WAF_EXPLAIN_HELP, COMPLETIONS_HELP]
        .iter()
        .chain(&of_keys)
    {
        let examples = help.lines().filter_map(|line| line.strip_prefix("  edgeward "));
        for example in examples {
            let words = example.split(['>', '|', '&']).next().unwrap_or_default().split_whitespace();
            let parsed = Arguments::try_parse_from(std::iter::once("edgeward").chain(words));
            assert!(parsed.is_ok(), "{example}");
            seen += 1;
        }
    }
    assert!(seen >= 10);
}

#[test]
fn completions_of_every_shell_know_the_commands() {
    for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
        let script = completions(shell);
        assert!(script.contains("completions") && script.contains("upgrade"), "{shell}");
    }
}

#[test]
fn the_version_names_the_program_and_its_tls_library() {
    let version = version();
    assert!(version.starts_with(&format!("edgeward {}", env!("CARGO_PKG_VERSION"))));
    assert!(version.lines().any(|line| line == "tls: BoringSSL"));
}
