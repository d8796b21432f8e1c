//! A pack of rules that nobody checked: read, and compiled if it is right. What is wrong with it has a place. Nothing panics,
//! nothing takes long.

#![no_main]

use std::io;
use std::sync::Arc;

use edgeward::waf::seclang::{self, Loader, Unsupported};
use edgeward::waf::{Clock, Engine, Limits, Mode, Options};
use libfuzzer_sys::fuzz_target;

/// The pack, and one file of data, whatever its name.
struct Files<'a>(&'a [u8]);

struct Stopped;

impl Loader for Files<'_> {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        Ok(if path == "fuzz.yaml" { self.0.to_vec() } else { b"# data\n127.0.0.1\nalpha\n".to_vec() })
    }

    fn expand(&self, pattern: &str) -> io::Result<Vec<String>> {
        Ok(vec![pattern.to_owned()])
    }
}

impl Clock for Stopped {
    fn monotonic_ns(&self) -> u64 {
        0
    }

    fn unix_ms(&self) -> u64 {
        0
    }
}

fuzz_target!(|text: &[u8]| {
    let program = match seclang::load(&Files(text), ("fuzz", "Include fuzz.yaml"), Unsupported::Refuse) {
        Ok(loaded) => loaded.program,
        Err(faults) => {
            return assert!(!faults.is_empty() && faults.iter().all(|fault| !fault.what.is_empty()));
        }
    };
    let options = Options {
        mode: Mode::Filtered,
        limits: Limits::default(),
        clock: Arc::new(Stopped),
        state: None,
        unsupported: Unsupported::LeaveOut,
    };
    let Ok((engine, _)) = Engine::compile(&program, options) else { return };
    let mut transaction = engine.begin("fuzz");
    transaction.request(b"POST", b"/a/b.php?q=%3Cscript%3E&r=1", b"HTTP/1.1");
    transaction.request_header(b"Content-Type", b"application/x-www-form-urlencoded");
    transaction.request_headers();
    transaction.request_body(b"a=1&b=or+1=1");
    transaction.request_body_end();
    transaction.logging();
});
