//! The bodies that cost the rules most, as far as a search found them: none takes longer than its budget.
//!
//! The search made bodies of 128 KiB of all kinds (forms, JSON, multipart, XML, broken ones) from words of the rules and
//! of their tests, signs, random bytes and escapes, in one value or in thousands, and bred those that took longest. What
//! it came to is a few shapes, of which these are clean copies.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use edgeward::filters::waf::files::Disk;
use edgeward::waf::seclang::{self, Unsupported};
use edgeward::waf::{Clock, Engine, Exhausted, Limits, Mode, Options, Verdict, ir};

/// Bytes of each body.
const BYTES: usize = 128 << 10;
/// What a request may cost by default.
const BUDGET: Duration = Duration::from_millis(20);
/// What it may cost over that: a tenth. Without optimisation the longest thing that is not interrupted, reading 128 KiB as
/// HTML once, takes ten times as long.
const OVER: Duration = Duration::from_millis(if cfg!(debug_assertions) { 40 } else { 2 });
/// Looks at the clock, which go by the work that is done: the same on each machine. The costliest body came to 4,300.
const LOOKS: u64 = 10_000;

#[test]
fn no_body_costs_more_than_its_budget() {
    let Some(crs) = super::crs() else { return };
    for level in [1, 4] {
        let limited = engine(&crs, level, BUDGET, Arc::new(OfThread));
        let counting = Arc::new(Counting(AtomicU64::new(0)));
        let unlimited = engine(&crs, level, Duration::from_secs(1), counting.clone());
        for (name, content_type, body) in bodies() {
            let timed = || {
                let began_ns = OfThread.monotonic_ns();
                let verdict = run(&limited, content_type, &body);
                (Duration::from_nanos(OfThread.monotonic_ns() - began_ns), verdict)
            };
            let (took, verdict) = (0..2).map(|_| timed()).min_by_key(|(took, _)| *took).unwrap();
            assert!(took <= BUDGET + OVER, "PL{level} {name}: {took:?}");
            let known =
                [Verdict::Pass, Verdict::Exhausted(Exhausted::Time), Verdict::Exhausted(Exhausted::Values)];
            assert!(known.contains(&verdict), "PL{level} {name}: {verdict:?}");
            let before = counting.0.load(Ordering::Relaxed);
            run(&unlimited, content_type, &body);
            let looks = counting.0.load(Ordering::Relaxed) - before;
            println!("PL{level} {name}: {took:?}, {looks} looks");
            assert!(looks < LOOKS, "PL{level} {name}: {looks}");
        }
    }
}

type Body = (&'static str, &'static str, Vec<u8>);

fn bodies() -> Vec<Body> {
    const FORM: &str = "application/x-www-form-urlencoded";
    const JSON: &str = "application/json";
    let mut random = fastrand::Rng::with_seed(4);
    let mut printable = |count: usize| -> Vec<u8> { (0..count).map(|_| random.u8(b' '..=b'~')).collect() };
    let signs = printable(BYTES);
    let form = |text: &[u8]| -> Vec<u8> {
        text.iter().map(|byte| if b"&+%".contains(byte) { b'#' } else { *byte }).collect()
    };
    let quoted = |text: &[u8]| serde_json::to_string(&String::from_utf8_lossy(text)).unwrap();
    let list = |texts: Vec<String>| format!("[{}]", texts.join(",")).into_bytes();
    let escape = |text: String, byte: &u8| text + &format!("\\u{byte:04x}");
    let escapes = |text: &[u8]| text.iter().fold(String::new(), escape);
    let mut words = fastrand::Rng::with_seed(5);
    let near: String = (0..BYTES / 6).map(|_| NEAR[words.usize(..NEAR.len())]).collect();
    let mut states = fastrand::Rng::with_seed(6);
    let mut of =
        |bytes: &[u8]| -> Vec<u8> { (0..BYTES).map(|_| bytes[states.usize(..bytes.len())]).collect() };
    let cut = |mut body: Vec<u8>| {
        body.truncate(BYTES - 40);
        body
    };
    let mut all = vec![
        ("signs in one field", FORM, cut([b"a=", &form(&signs)[..]].concat())),
        (
            "signs in a thousand fields",
            FORM,
            form(&signs).chunks(120).flat_map(|part| [b"&", part].concat()).collect(),
        ),
        ("signs in thousands of strings", JSON, list(signs.chunks(24).take(3_900).map(quoted).collect())),
        (
            "escapes in thousands of strings",
            JSON,
            list(signs.chunks(4).take(3_900).map(|part| quoted(escapes(part).as_bytes())).collect()),
        ),
        ("words of attacks in one field", FORM, cut([b"a=", near.as_bytes()].concat())),
        (
            "words of attacks in thousands of strings",
            JSON,
            list(near.as_bytes().chunks(28).take(3_900).map(quoted).collect()),
        ),
        ("quotes and brackets", FORM, cut([b"a=", &of(b"'\"()`a1 ")[..]].concat())),
        ("tags that do not end", FORM, cut([b"a=", &of(b"<a =/x'")[..]].concat())),
        ("few letters", FORM, cut([b"a=", &of(b"ab ")[..]].concat())),
        ("nothing but percent", FORM, cut([b"a=", &of(b"%%2u05")[..]].concat())),
        (
            "bytes",
            "multipart/form-data; boundary=b",
            [
                b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n",
                &cut(of(&(0..=255).collect::<Vec<u8>>()))[..],
                b"\r\n--b--\r\n",
            ]
            .concat(),
        ),
    ];
    all.push(("signs in attributes", "text/xml", attributes(&signs)));
    all
}

fn attributes(text: &[u8]) -> Vec<u8> {
    let elements = text.chunks(60).take(1_900).enumerate().map(|(at, part)| {
        let harmless = |byte: &u8| if b"<&\"".contains(byte) { ';' } else { char::from(*byte) };
        format!("<a b{at}=\"{}\"/>", part.iter().map(harmless).collect::<String>())
    });
    [&b"<r>"[..], elements.collect::<Vec<_>>().concat().as_bytes(), b"</r>"].concat()
}

/// Words that patterns begin with, cut short or put together wrongly.
const NEAR: [&str; 24] = [
    "selec ",
    "union al",
    " or 1",
    "'or'",
    "<scrip",
    "onerro",
    "javascrip:",
    "../..",
    "/etc/pass",
    "${jnd",
    "$(ca",
    ";l",
    "wge ",
    "cur ",
    "eval (",
    "base64_decod(",
    "php:/",
    "sleep ",
    "waitfor dela",
    "&#x3",
    "\\u003",
    "char(",
    "0x4",
    "--",
];

fn run(engine: &Arc<Engine>, content_type: &str, body: &[u8]) -> Verdict {
    let mut transaction = engine.begin("id");
    transaction.connection(([192, 0, 2, 7], 4_000).into(), ([192, 0, 2, 1], 443).into());
    transaction.request(b"POST", b"/a", b"HTTP/1.1");
    for (name, value) in
        [("Host", "shop.example.com"), ("User-Agent", "curl/8.5.0"), ("Content-Type", content_type)]
    {
        transaction.request_header(name.as_bytes(), value.as_bytes());
    }
    assert_eq!(transaction.request_headers(), Verdict::Pass);
    transaction.request_body(body);
    transaction.request_body_end()
}

fn engine(crs: &Path, level: u32, budget: Duration, clock: Arc<dyn Clock>) -> Arc<Engine> {
    let text = format!(
        "SecAction \"id:900990,phase:1,pass,t:none,nolog,setvar:tx.crs_setup_version=4280,\
        setvar:tx.blocking_paranoia_level={level}\"\nInclude {}/rules/*.conf\n",
        crs.display()
    );
    let loaded = seclang::load(&Disk::default(), ("test", &text), Unsupported::Refuse).unwrap();
    let time_ns = u64::try_from(budget.as_nanos()).unwrap();
    let options = Options {
        mode: Mode::Filtered,
        limits: Limits { time_ns, request_body_bytes: 1 << 20, ..Limits::default() },
        clock,
        state: Some(ir::EngineState::DetectionOnly),
        unsupported: Unsupported::Refuse,
    };
    Engine::compile(&loaded.program, options).unwrap().0
}

/// The time that this thread ran: whatever else a machine does, it is what a body costs.
struct OfThread;

impl Clock for OfThread {
    fn monotonic_ns(&self) -> u64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap()
    }

    fn unix_ms(&self) -> u64 {
        1_700_000_000_000
    }
}

/// Moves on by a nanosecond with each look.
struct Counting(AtomicU64);

impl Clock for Counting {
    fn monotonic_ns(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    fn unix_ms(&self) -> u64 {
        1_700_000_000_000
    }
}
