//! Programs from outside: a missing one skips its test with a printed reason, but fails where `CI=true`.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Whether a program is there.
///
/// # Panics
/// When it is not, and this is a CI run.
pub fn has(program: &str) -> bool {
    let found =
        Command::new("sh").args(["-c", &format!("PATH=$PATH:/usr/sbin:/sbin command -v {program}")]).output();
    if found.is_ok_and(|found| found.status.success()) {
        return true;
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{program} is not installed, and CI must not skip a test"
    );
    eprintln!("skipped: {program} is not installed");
    false
}

/// Runs a program with an input, and waits for its end.
pub fn run(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    // A program need not read its input.
    drop(child.stdin.take().unwrap().write_all(input));
    child.wait_with_output().unwrap()
}

/// Runs curl, and says what it wrote.
///
/// # Panics
/// When it fails.
pub fn curl(arguments: &[&str]) -> String {
    let common = ["--silent", "--show-error", "--max-time", "30", "--noproxy", "*"];
    let output = run("curl", &[&common, arguments].concat(), b"");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {arguments:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

/// The built program.
pub fn edgeward(arguments: &[&str]) -> Output {
    run(env!("CARGO_BIN_EXE_edgeward"), arguments, b"")
}

/// The built program, with a variable in its environment.
pub fn edgeward_with(variable: (&str, &str), arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_edgeward")).env(variable.0, variable.1).args(arguments).output().unwrap()
}
