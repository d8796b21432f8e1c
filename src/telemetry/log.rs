//! The operational log: what the process has to say about itself, through the `log` facade.
//!
//! Each record becomes one line: a JSON object (`time`, `level`, `target`, `message`, then the record's own fields), or
//! on a terminal a short text. Lines go through a [`LineWriter`], so that logging never waits for a disk; control
//! characters are escaped in both shapes. A record that repeats is held back by the [sampler](Sampler), and the next
//! line like it says how many were (`suppressed`), so strangers who cause errors cannot fill the disk.

use std::cell::Cell;
use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use log::kv::{self, VisitSource, VisitValue};
use log::{Level, Record};

pub use filter::{Filter, FilterError};
use sampler::{Sampler, Verdict};

use super::json::{self, JsonLine};
use super::timestamp;
use super::writer::{self, Destination, LineWriter};

mod filter;
mod sampler;

/// Longest message or field value, in bytes; the rest is cut.
const TEXT_LIMIT_BYTES: usize = 8192;
/// Most fields of one record; the rest is left out.
const FIELDS_LIMIT: usize = 32;
/// How long [`log::Log::flush`] waits.
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);
/// The target of what the log has to say about itself.
const OWN_TARGET: &str = "edgeward::telemetry::log";

/// The shape of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// Time of day (UTC), level, target, message and `key=value` pairs, for people.
    Human,
}

/// What the log is made with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which records are written.
    pub filter: Filter,
    /// The shape of lines; `None` chooses [`Format::Human`] on a terminal and [`Format::Json`] elsewhere.
    pub format: Option<Format>,
    /// Where lines go.
    pub destination: Destination,
}

impl Default for Settings {
    /// From level `info` on, to the standard error.
    fn default() -> Self {
        Self { filter: Filter::default(), format: None, destination: Destination::Stderr }
    }
}

/// Why the log cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The destination cannot be opened.
    #[error("cannot start the log")]
    Open(#[from] writer::OpenError),
    /// The process has a logger already.
    #[error("a logger is installed already")]
    Installed(#[from] log::SetLoggerError),
}

/// Installs the log for the whole process, once. The writer returned reopens and flushes it; keep it to the end.
///
/// # Errors
/// When the destination cannot be opened, or a logger is installed already.
pub fn init(settings: Settings) -> Result<Arc<LineWriter>, InitError> {
    let terminal = match settings.destination {
        Destination::Stdout => io::stdout().is_terminal(),
        Destination::Stderr => io::stderr().is_terminal(),
        Destination::File(_) => false,
    };
    let format = settings.format.unwrap_or(if terminal { Format::Human } else { Format::Json });
    let writer = Arc::new(LineWriter::open(&writer::Settings::new(settings.destination))?);
    let most_verbose = settings.filter.most_verbose();
    let logger = Logger { core: Core::new(settings.filter, format), writer: writer.clone() };
    log::set_boxed_logger(Box::new(logger))?;
    log::set_max_level(most_verbose);
    Ok(writer)
}

/// What the `log` macros call.
struct Logger {
    core: Core,
    writer: Arc<LineWriter>,
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        self.core.filter.enabled(metadata.target(), metadata.level())
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let now_ms = timestamp::unix_ms(SystemTime::now());
        self.append(|out| self.core.render(record, now_ms, out));
        self.append(|out| self.core.render_forgotten(now_ms, out));
        if record.level() == Level::Error {
            // The last words of a process about to die are the ones that matter.
            self.writer.nudge();
        }
    }

    fn flush(&self) {
        // There is nowhere left to report a log that cannot be written.
        _ = self.writer.flush(FLUSH_PATIENCE);
    }
}

impl Logger {
    /// Hands on the line that `render` makes, if it makes one.
    fn append(&self, render: impl FnOnce(&mut Vec<u8>) -> bool) {
        thread_local! {
            static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
        }
        // Taken, not borrowed: a value may log while it is printed, and then finds an empty buffer of its own.
        let mut line = BUFFER.take();
        line.clear();
        if render(&mut line) {
            self.writer.append(&line);
        }
        BUFFER.set(line);
    }
}

/// Decides what is printed and how. Knows neither the clock nor the destination.
struct Core {
    filter: Filter,
    format: Format,
    sampler: Sampler,
}

impl Core {
    fn new(filter: Filter, format: Format) -> Self {
        Self { filter, format, sampler: Sampler::new() }
    }

    /// Appends the line of a record, without a line end. False, and nothing appended, if the record is held back.
    fn render(&self, record: &Record<'_>, now_ms: u64, out: &mut Vec<u8>) -> bool {
        match self.sampler.judge(record, now_ms) {
            Verdict::HoldBack => return false,
            Verdict::Print { suppressed } => self.print(record, suppressed, now_ms, out),
        }
        true
    }

    /// Appends a line about records held back whose like has not come again, if there are any.
    fn render_forgotten(&self, now_ms: u64, out: &mut Vec<u8>) -> bool {
        let suppressed = self.sampler.take_forgotten(now_ms);
        if suppressed > 0 {
            let message = format_args!("repeated messages were held back");
            let record = Record::builder().level(Level::Warn).target(OWN_TARGET).args(message).build();
            self.print(&record, suppressed, now_ms, out);
        }
        suppressed > 0
    }

    fn print(&self, record: &Record<'_>, suppressed: u64, now_ms: u64, out: &mut Vec<u8>) {
        match self.format {
            Format::Json => print_json(record, suppressed, now_ms, out),
            Format::Human => print_human(record, suppressed, now_ms, out),
        }
    }
}

fn print_json(record: &Record<'_>, suppressed: u64, now_ms: u64, out: &mut Vec<u8>) {
    let mut line = JsonLine::new(out);
    line.time("time", now_ms).str("level", level_name(record.level())).str("target", record.target());
    line.display("message", *record.args(), TEXT_LIMIT_BYTES);
    visit_fields(record, |key, value| match key {
        // A record cannot overwrite what the log itself says.
        "time" | "level" | "target" | "message" | "suppressed" => {
            push_value(line.escaped_key(&format!("{key}_")), value);
        }
        _ => push_value(line.escaped_key(key), value),
    });
    if suppressed > 0 {
        line.u64("suppressed", suppressed);
    }
    line.finish();
}

fn print_human(record: &Record<'_>, suppressed: u64, now_ms: u64, out: &mut Vec<u8>) {
    timestamp::push_time_of_day(out, now_ms);
    out.extend_from_slice(format!(" {:5} ", record.level()).as_bytes());
    json::push_escaped(out, record.target());
    out.extend_from_slice(b": ");
    json::push_display_bare(out, *record.args(), TEXT_LIMIT_BYTES);
    visit_fields(record, |key, value| {
        out.push(b' ');
        json::push_escaped(out, key);
        out.push(b'=');
        push_value(out, value);
    });
    if suppressed > 0 {
        out.extend_from_slice(format!(" suppressed={suppressed}").as_bytes());
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// Calls `each` for every field of the record up to the limit.
fn visit_fields(record: &Record<'_>, each: impl FnMut(&str, &kv::Value<'_>)) {
    struct Visitor<F> {
        each: F,
        left: usize,
    }
    impl<'kvs, F: FnMut(&str, &kv::Value<'_>)> VisitSource<'kvs> for Visitor<F> {
        fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
            self.left = self.left.checked_sub(1).ok_or_else(|| kv::Error::msg("too many fields"))?;
            (self.each)(key.as_str(), &value);
            Ok(())
        }
    }
    // The only error is the visitor's own, and it has done its work.
    _ = record.key_values().visit(&mut Visitor { each, left: FIELDS_LIMIT });
}

/// Appends a field's value as JSON: numbers, booleans and null as such, everything else as the string it prints.
fn push_value(out: &mut Vec<u8>, value: &kv::Value<'_>) {
    struct Visitor<'a>(&'a mut Vec<u8>);
    impl Visitor<'_> {
        // The visitor's methods all end with this, so it has their return type.
        #[allow(clippy::unnecessary_wraps)]
        fn bare(&mut self, value: fmt::Arguments<'_>) -> Result<(), kv::Error> {
            json::push_display_bare(self.0, value, TEXT_LIMIT_BYTES);
            Ok(())
        }
    }
    impl VisitValue<'_> for Visitor<'_> {
        fn visit_any(&mut self, value: kv::Value<'_>) -> Result<(), kv::Error> {
            json::push_display(self.0, format_args!("{value}"), TEXT_LIMIT_BYTES);
            Ok(())
        }

        fn visit_null(&mut self) -> Result<(), kv::Error> {
            self.bare(format_args!("null"))
        }

        fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
            self.bare(format_args!("{value}"))
        }

        fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
            self.bare(format_args!("{value}"))
        }

        fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
            // JSON has neither infinities nor NaN.
            if value.is_finite() { self.bare(format_args!("{value}")) } else { self.visit_null() }
        }

        fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
            self.bare(format_args!("{value}"))
        }
    }
    // The visitor has no errors of its own.
    _ = value.visit(Visitor(out));
}

#[cfg(test)]
mod tests;
