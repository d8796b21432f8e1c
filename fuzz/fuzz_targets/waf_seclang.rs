//! Rules from text that nobody checked: read, and compiled if they are right. Nothing panics, nothing takes long.

#![no_main]

use std::io;
use std::sync::Arc;

use edgeward::waf::seclang::{self, Loader, Unsupported};
use edgeward::waf::{Clock, Engine, Limits, Mode, Options};
use libfuzzer_sys::fuzz_target;

/// One file of data, whatever its name.
struct Nothing;

impl Loader for Nothing {
    fn read(&self, _path: &str) -> io::Result<Vec<u8>> {
        Ok(b"# data\n127.0.0.1\nalpha\n".to_vec())
    }

    fn expand(&self, pattern: &str) -> io::Result<Vec<String>> {
        Ok(vec![pattern.to_owned()])
    }
}

impl Clock for Nothing {
    fn monotonic_ns(&self) -> u64 {
        0
    }

    fn unix_ms(&self) -> u64 {
        0
    }
}

fuzz_target!(|text: &str| {
    let Ok(loaded) = seclang::load(&Nothing, ("fuzz", text), Unsupported::LeaveOut) else { return };
    let options = Options {
        mode: Mode::Filtered,
        limits: Limits::default(),
        clock: Arc::new(Nothing),
        state: None,
        unsupported: Unsupported::LeaveOut,
    };
    let Ok((engine, _)) = Engine::compile(&loaded.program, options) else { return };
    let mut transaction = engine.begin("fuzz");
    transaction.request(b"POST", b"/a/b.php?q=%3Cscript%3E&r=1", b"HTTP/1.1");
    transaction.request_header(b"Content-Type", b"application/x-www-form-urlencoded");
    transaction.request_headers();
    transaction.request_body(b"a=1&b=or+1=1");
    transaction.request_body_end();
    transaction.logging();
});
