//! What the Core Rule Set costs a request, on one core: `cargo bench --bench waf [PART]`.
//!
//! All five phases of one request and a small answer, with nothing of the proxy around them. The rules are those of
//! `../shared/crs`, or of Debian's `modsecurity-crs`. Repeated requests are what a service gets, so what was
//! seen before is known; a body's first time is at most 1.1 times as long.
//!
//! Where libmodsecurity is installed (`apt-get install libmodsecurity-dev`), it gets the same rules and requests.

#![allow(clippy::expect_used, clippy::panic, reason = "a part that fails to do its work panics")]
#![allow(clippy::format_push_string, reason = "shorter, and what is prepared is not timed")]

mod timing;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use edgeward::filters::waf::files::Disk;
use edgeward::waf::seclang::{self, Unsupported};
use edgeward::waf::{Clock, Engine, Mode, Options, Verdict, ir};
use timing::time;

const RULES: [&str; 2] = ["../shared/crs/rules", "/usr/share/modsecurity-crs/rules"];
const FORM: &str = "application/x-www-form-urlencoded";
const WORDS: &str = "The quick brown fox jumps over a lazy dog while our customers order fresh coffee, tea and biscuits \
    for their office in Lisbon. Delivery takes two days; please ring twice. Thank you very much for choosing us again. ";

struct Request {
    name: &'static str,
    target: &'static str,
    content_type: &'static str,
    body: String,
    attack: bool,
}

fn main() {
    // `cargo bench` passes `--bench`.
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let Some(rules) = RULES.into_iter().find(|rules| Path::new(rules).is_dir()) else {
        println!("skipped: no Core Rule Set at {}", RULES.join(" or "));
        return;
    };
    println!("rules: {rules}");
    let rules = Path::new(rules).canonicalize().expect("rules have a path");
    timing::heading();
    let other = Other::new();
    for level in [1, 4] {
        let text = rules_text(&rules, level);
        let engine = engine(&text);
        for request in requests() {
            let name = format!("PL{level} {}", request.name);
            if wanted.as_ref().is_none_or(|wanted| name.contains(wanted.as_str())) {
                let found = run(&engine, &request);
                assert!(found == request.attack || level > 1, "{name}: {found}");
                let own_ns = time(&name, || run(&engine, &request));
                if let Some(other_ns) = other.as_ref().map(|other| other.time(&text, &request)) {
                    println!(
                        "{:<44} {other_ns:>7.0} ns   {:.0} times",
                        "  libmodsecurity",
                        other_ns / own_ns
                    );
                }
            }
        }
    }
}

fn requests() -> [Request; 9] {
    let post =
        |name, content_type, body| Request { name, target: "/orders", content_type, body, attack: false };
    let get = |name, target, attack| Request { name, target, content_type: "", body: String::new(), attack };
    let text: String = WORDS.chars().cycle().take(64 << 10).collect();
    let fields = (0..600).map(|field| format!("field{field}=some+ordinary+words+about+coffee+beans+{field}+and+tea+from+Lisbon+or+Porto+please+ring+twice&"));
    let parts = (0..400).map(|part| format!("--b\r\nContent-Disposition: form-data; name=\"field{part}\"\r\n\r\nsome ordinary words about coffee beans {part} and tea\r\n"));
    let elements = (0..800).map(|row| {
        format!("<item id=\"{row}\"><name>Coffee beans {row}</name><note>deliver before noon</note></item>")
    });
    [
        get("small GET", "/products/42?page=2", false),
        get(
            "GET with an attack",
            "/login?id=1'%20OR%20'1'='1'%20UNION%20SELECT%20name%20FROM%20users--&q=%3Cscript%3Ealert(1)%3C/script%3E",
            true,
        ),
        post("JSON of 2 KiB", "application/json", json(2 << 10)),
        post("JSON of 64 KiB", "application/json", json(64 << 10)),
        post("JSON of one field of 64 KiB", "application/json", format!("{{\"text\":\"{text}\"}}")),
        post(
            "form of one field of 64 KiB",
            FORM,
            format!("text={}", text.replace(' ', "+").replace(';', "%3B")),
        ),
        post("form of 64 KiB", FORM, fields.collect()),
        post(
            "multipart of 64 KiB",
            "multipart/form-data; boundary=b",
            parts.chain(["--b--\r\n".to_owned()]).collect(),
        ),
        post("XML of 64 KiB", "text/xml", format!("<order>{}</order>", elements.collect::<String>())),
    ]
}

/// An order of that many bytes.
fn json(bytes: usize) -> String {
    let mut text = String::from("{\"customer\":\"Ana Silva\",\"email\":\"ana@example.com\",\"items\":[");
    for item in 0.. {
        if text.len() + 50 >= bytes {
            break;
        }
        let comma = if item > 0 { "," } else { "" };
        let (sku, quantity, price) = (item * 37, item % 7, item * 3);
        text += &format!(
            "{comma}{{\"id\":{item},\"sku\":\"SKU-{sku:05}\",\"name\":\"Coffee beans {item}\",\"quantity\":{quantity},\
            \"price\":{price}.99,\"tags\":[\"new\",\"sale\"],\"note\":\"please deliver before noon\"}}"
        );
    }
    text + "]}"
}

/// Whether anything of it matched.
fn run(engine: &Arc<Engine>, request: &Request) -> bool {
    let mut transaction = engine.begin("id");
    transaction.connection(([192, 0, 2, 7], 4_000).into(), ([192, 0, 2, 1], 443).into());
    let method: &[u8] = if request.body.is_empty() { b"GET" } else { b"POST" };
    transaction.request(method, request.target.as_bytes(), b"HTTP/1.1");
    for (name, value) in [("Host", "shop.example.com"), ("User-Agent", "curl/8.5.0"), ("Accept", "*/*")] {
        transaction.request_header(name.as_bytes(), value.as_bytes());
    }
    if !request.body.is_empty() {
        transaction.request_header(b"Content-Type", request.content_type.as_bytes());
        transaction.request_header(b"Content-Length", request.body.len().to_string().as_bytes());
    }
    let mut verdicts = vec![transaction.request_headers()];
    transaction.request_body(request.body.as_bytes());
    verdicts.push(transaction.request_body_end());
    transaction.response(b"HTTP/1.1", 200);
    transaction.response_header(b"Content-Type", b"application/json");
    verdicts.push(transaction.response_headers());
    transaction.response_body(b"{}");
    verdicts.push(transaction.response_body_end());
    transaction.logging();
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Pass), "{}: {verdicts:?}", request.name);
    transaction.matches().iter().any(|found| found.log)
}

fn rules_text(rules: &Path, level: u32) -> String {
    let rules = rules.display();
    format!(
        "SecDefaultAction \"phase:1,log,auditlog,pass\"\nSecDefaultAction \"phase:2,log,auditlog,pass\"\n\
        SecAction \"id:900990,phase:1,pass,t:none,nolog,setvar:tx.crs_setup_version=400,\
        setvar:tx.blocking_paranoia_level={level},setvar:tx.paranoia_level={level}\"\nInclude {rules}/*.conf\n"
    )
}

fn engine(text: &str) -> Arc<Engine> {
    let loaded = seclang::load(&Disk::default(), ("bench", text), Unsupported::LeaveOut);
    let options = Options {
        mode: Mode::Filtered,
        limits: edgeward::waf::Limits { time_ns: 1_000_000_000, ..Default::default() },
        clock: Arc::new(Monotonic(Instant::now())),
        state: Some(ir::EngineState::DetectionOnly),
        unsupported: Unsupported::LeaveOut,
    };
    let program = loaded.expect("rules can be read").program;
    Engine::compile(&program, options).expect("rules compile").0
}

/// libmodsecurity, in a process of its own.
struct Other(PathBuf);

impl Drop for Other {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What our engine does unasked, and its recommended rules say.
const RECOMMENDED: &str = r#"
SecRuleEngine DetectionOnly
SecRequestBodyAccess On
SecResponseBodyAccess On
SecResponseBodyMimeType text/plain text/html text/xml application/json
SecRule REQUEST_HEADERS:Content-Type "^(?:application|text)/xml" "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "^application/json" "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
"#;

impl Other {
    fn new() -> Option<Self> {
        let own = Self(std::env::temp_dir().join(format!("edgeward-bench-{}", std::process::id())));
        std::fs::create_dir(&own.0).expect("a directory can be made");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/libmodsecurity.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-o"]).arg(own.0.join("run")).args([source, "-lmodsecurity"]);
        let compiled = compiler.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        if !compiled {
            println!("libmodsecurity: left out, for libmodsecurity-dev or a C compiler is not there");
        }
        compiled.then_some(own)
    }

    /// Nanoseconds of a request.
    fn time(&self, rules: &str, request: &Request) -> f64 {
        let [run, all, body] = ["run", "rules", "body"].map(|name| self.0.join(name));
        std::fs::write(&all, format!("{RECOMMENDED}{rules}")).expect("rules can be written");
        std::fs::write(&body, &request.body).expect("a body can be written");
        let done = Command::new(run).arg(all).args([request.target, request.content_type]).arg(body).output();
        let done = done.expect("libmodsecurity runs");
        let printed = String::from_utf8_lossy(&done.stdout);
        printed.trim().parse().unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&done.stderr)))
    }
}

struct Monotonic(Instant);

impl Clock for Monotonic {
    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn unix_ms(&self) -> u64 {
        1_700_000_000_000
    }
}
