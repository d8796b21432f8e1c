//! A request through an engine with the prefilter and through one without: both must come to the same.
//!
//! The rules are a small set with every kind of test, pipeline and target; with `EDGEWARD_FUZZ_RULES=FILE` those of a
//! file, such as one that includes the Core Rule Set. The input is a request: a line, headers, an empty line, a body.

#![no_main]

use std::sync::{Arc, LazyLock};

use edgeward::filters::waf::files::Disk;
use edgeward::waf::ir::EngineState;
use edgeward::waf::seclang::{self, Unsupported};
use edgeward::waf::{Clock, Engine, Limits, Mode, Options, Transaction};
use libfuzzer_sys::fuzz_target;

const RULES: &str = include_str!("../rules/waf.conf");

/// Stands still, so that no budget ends one run and not the other.
struct Stopped;

impl Clock for Stopped {
    fn monotonic_ns(&self) -> u64 {
        0
    }

    fn unix_ms(&self) -> u64 {
        0
    }
}

fn engine(mode: Mode) -> Arc<Engine> {
    let text = match std::env::var("EDGEWARD_FUZZ_RULES") {
        Ok(path) => std::fs::read_to_string(path).expect("the rules are readable"),
        Err(_) => RULES.to_owned(),
    };
    let loaded = seclang::load(&Disk::default(), ("rules", &text), Unsupported::LeaveOut)
        .expect("the rules are right");
    let options = Options {
        mode,
        limits: Limits::default(),
        clock: Arc::new(Stopped),
        state: Some(EngineState::DetectionOnly),
        unsupported: Unsupported::LeaveOut,
    };
    Engine::compile(&loaded.program, options).expect("the rules compile").0
}

static ENGINES: LazyLock<[Arc<Engine>; 2]> = LazyLock::new(|| [Mode::Naive, Mode::Filtered].map(engine));

fn run(engine: &Arc<Engine>, input: &[u8]) -> Transaction {
    let end = input.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((input, &[][..]), |end| (&input[..end], &input[end + 2..]));
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut words = lines.next().unwrap_or_default().splitn(3, |byte| *byte == b' ');
    let mut word = || words.next().unwrap_or_default();
    let mut transaction = engine.begin("fuzz");
    transaction.connection(([192, 0, 2, 7], 4_000).into(), ([192, 0, 2, 1], 80).into());
    transaction.request(word(), word(), word());
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        transaction.request_header(&line[..colon], line.get(colon + 1..).unwrap_or_default().trim_ascii());
    }
    transaction.request_headers();
    transaction.request_body(body);
    transaction.request_body_end();
    transaction.response(b"HTTP/1.1", 200);
    transaction.response_header(b"Content-Type", b"text/html");
    transaction.response_headers();
    transaction.response_body(body);
    transaction.response_body_end();
    transaction.logging();
    transaction
}

fuzz_target!(|input: &[u8]| {
    let [naive, filtered] = &*ENGINES;
    let (naive, filtered) = (run(naive, input), run(filtered, input));
    assert_eq!(naive.matches(), filtered.matches());
    assert_eq!(naive.interruption(), filtered.interruption());
    for name in ["score", "0", "1", "2", "blocking_inbound_anomaly_score", "detection_inbound_anomaly_score"]
    {
        assert_eq!(naive.tx(name), filtered.tx(name), "{name}");
    }
});
