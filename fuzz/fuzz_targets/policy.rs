//! Whatever stands in a policy, it is read and compiled, or everything that is wrong is told, each with a place that
//! is in the text. Nothing is opened but the files it names, and these in a directory of their own.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use edgeward::config::Document;
use edgeward::policy::{Materials, compile};
use libfuzzer_sys::fuzz_target;

/// Where relative paths in a policy lead. Nothing is written there.
static DIRECTORY: LazyLock<String> = LazyLock::new(|| {
    let directory = std::env::temp_dir().join(format!("edgeward-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory of our own");
    directory.join("policy.yaml").display().to_string()
});

static MATERIALS: LazyLock<Materials> = LazyLock::new(|| Materials::dry().expect("metrics"));

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    // A file that never ends (`/dev/zero`) or waits (a pipe) is the operator's own doing, and not looked for here.
    if text.contains("/dev") || text.contains("/proc") {
        return;
    }
    let lines = data.len() + 1;
    let diagnostics = match Document::parse(&*DIRECTORY, data) {
        Ok(document) => match compile(&document, &MATERIALS, None) {
            Ok(snapshot) => {
                assert!(!snapshot.doors.is_empty(), "a policy without a listener does nothing");
                return;
            }
            Err(diagnostics) => diagnostics,
        },
        Err(diagnostics) => diagnostics,
    };
    assert!(!diagnostics.is_empty(), "refused without a reason");
    for diagnostic in &diagnostics {
        assert!(!diagnostic.message.is_empty(), "{diagnostic}");
        // A store of keys is a file of its own, and has mistakes of its own.
        let in_policy = Path::new(&diagnostic.file) == Path::new(&*DIRECTORY);
        assert!(!in_policy || diagnostic.line <= lines, "{diagnostic}");
    }
    // What is told on a terminal moves nothing on it.
    assert!(diagnostics.to_string().chars().all(|character| character == '\n' || !character.is_control()));
});
