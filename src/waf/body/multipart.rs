//! `multipart/form-data` (RFC 7578), read as strictly as ModSecurity 2 reads it, with its flags.
//!
//! A part with a file name is a file, any other a field; a part with an empty one is a field, as in ModSecurity 3,
//! because servers differ in what they make of it. What some take for a field is one beside being a file: a part with
//! `filename*` alone (PHP), and one without a type of its own, or an empty one (formidable), unless it holds a NUL, as files do that are
//! no text: clients in Python send those without a type. Values are as sent: neither a charset nor a transfer encoding is
//! decoded (the Core Rule Set refuses both by their headers, which are handed over).
//!
//! A part that cannot be read makes the whole body faulty, but the parts after it are still handed over, and so is
//! its own content: a rule that looks at values sees all of them.

mod boundary;
mod disposition;
mod flags;
mod headers;

use memchr::memchr;

use self::boundary::{Delimiters, boundary, unmatched};
use self::disposition::Disposition;
pub use self::flags::{Flag, Flags};
use super::output::{Output, malformed, span};
use super::{Arena, Fault, Kind, Limit, Limits, Sink, Text};

/// What is known of a body besides its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What is odd about it.
    pub flags: Flags,
    /// `MULTIPART_UNMATCHED_BOUNDARY`: 0 none, 1 something that looks like a boundary after the last one, 2 only
    /// before.
    pub unmatched_boundary: u8,
    /// Parts that are files, those past the limit included.
    pub files: usize,
    /// Bytes of all files together (`FILES_COMBINED_SIZE`).
    pub files_bytes: u64,
    /// The first fault, if there is one.
    pub outcome: Result<(), Fault>,
}

/// Hands over the parts of `body`, whose request has this `Content-Type`. No bytes are no fault.
///
/// A file is a [`Kind::File`], [`Kind::FileSize`] and [`Kind::FileContent`]; with both `filename` and `filename*`, a
/// [`Kind::File`] for each. A field is a [`Kind::Argument`], and so is what some take for one. Before them come
/// [`Kind::PartName`],
/// [`Kind::PartFilename`] and [`Kind::PartHeader`].
pub fn parse<S: Sink + ?Sized>(
    content_type: &[u8],
    body: &[u8],
    arena: &mut Arena,
    limits: &Limits,
    sink: &mut S,
) -> Report {
    let mut report =
        Report { flags: Flags::default(), unmatched_boundary: 0, files: 0, files_bytes: 0, outcome: Ok(()) };
    if body.is_empty() {
        return report;
    }
    let read = Output::new(body, arena, limits, sink).and_then(|output| {
        let boundary = boundary(content_type, &mut report.flags)?;
        let mut dashed = [b'-'; boundary::LONGEST_BYTES + 2];
        let length = boundary.len() + 2;
        dashed.iter_mut().skip(2).zip(boundary).for_each(|(to, from)| *to = *from);
        let dashed = dashed.get(..length).unwrap_or_default();
        let mut last = None;
        let read = Parser { output, report: &mut report }.body(dashed, &mut last);
        report.unmatched_boundary = unmatched(body, dashed, last).unwrap_or_else(|fault| {
            report.outcome = report.outcome.and(Err(fault));
            1
        });
        read
    });
    report.outcome = report.outcome.and(read);
    if matches!(report.outcome, Err(Fault::Malformed { .. })) {
        report.flags.set(Flag::Error);
    }
    report
}

struct Parser<'p, 'o, S: ?Sized> {
    output: Output<'o, S>,
    report: &'p mut Report,
}

impl<S: Sink + ?Sized> Parser<'_, '_, S> {
    /// Goes through the parts. Only what makes it impossible to go on is an error here.
    fn body(&mut self, dashed: &[u8], last: &mut Option<usize>) -> Result<(), Fault> {
        let body = self.output.input;
        let mut delimiters = Delimiters::new(body, dashed);
        let Some(mut delimiter) = delimiters.next(&mut self.report.flags)? else {
            return Err(malformed("multipart: no boundary in the body", 0));
        };
        if delimiter.start > 0 {
            self.report.flags.set(Flag::DataBefore);
        }
        while !delimiter.last {
            *last = Some(delimiter.start);
            let start = delimiter.end;
            match delimiters.next(&mut self.report.flags) {
                Ok(Some(next)) => {
                    self.part(start, next.start)?;
                    delimiter = next;
                }
                Ok(None) => {
                    self.part(start, body.len())?;
                    return Err(malformed("multipart: final boundary missing", body.len()));
                }
                Err(fault) => {
                    // What follows the odd line may be another part to some parsers; here it is the rest of this one.
                    self.part(start, body.len())?;
                    return Err(fault);
                }
            }
        }
        *last = Some(delimiter.start);
        if delimiter.end < body.len() {
            self.report.flags.set(Flag::DataAfter);
        }
        Ok(())
    }

    /// Notes that the body is faulty, and goes on.
    fn wrong(&mut self, what: &'static str, at: usize) {
        self.report.outcome = self.report.outcome.and(Err(malformed(what, at)));
    }

    /// The part between `start` and the line at `end`, which is a boundary or the end of the body.
    fn part(&mut self, start: usize, end: usize) -> Result<(), Fault> {
        let (headers, content) = self.headers(start, end)?;
        let found = match headers.disposition() {
            Some(header) => {
                let mut line = std::mem::take(&mut self.output.arena.side);
                line.clear();
                line.extend_from_slice(self.output.text(header));
                let found = disposition::parse(&line, header, &mut self.output, &mut self.report.flags);
                self.output.arena.side = line;
                found?
            }
            None => Disposition::missing(),
        };
        if let Some(what) = found.wrong {
            self.wrong(what, start);
        }
        if found.name.is_none() {
            self.report.flags.set(Flag::InvalidPart);
        }
        let name = found.name.unwrap_or(Text::EMPTY);
        for line in headers.lines() {
            self.output.item(Kind::PartHeader, name, *line)?;
        }
        let content = self.content(content, end);
        let is_file = |filename: &Text| !filename.is_empty();
        let (plain, extended) = (found.filename.filter(is_file), found.extended_filename.filter(is_file));
        let Some(filename) = plain.or(extended) else {
            return self.output.item(Kind::Argument, name, content);
        };
        self.file(name, [Some(filename), plain.and(extended)], content)?;
        let is_typed = headers.lines().iter().any(|line| self.says_type(*line));
        if plain.is_none() || !is_typed && memchr(0, self.output.text(content)).is_none() {
            self.output.item(Kind::Argument, name, content)?;
        }
        Ok(())
    }

    /// Whether a header is the part's type, and not an empty one.
    fn says_type(&self, line: Text) -> bool {
        let name = b"content-type";
        let value = self.output.text(line).get(name.len() + 1..).unwrap_or_default();
        self.is_named(line, name) && !value.trim_ascii().is_empty()
    }

    /// The content of a part without the line end that belongs to the boundary.
    fn content(&mut self, start: usize, end: usize) -> Text {
        let content = self.output.input.get(start..end).unwrap_or_default();
        let is_last = end == self.output.input.len();
        let length = match content {
            _ if is_last => content.len(),
            [content @ .., b'\r', b'\n'] => content.len(),
            [content @ .., b'\n'] => {
                self.report.flags.set(Flag::LfLine);
                content.len()
            }
            _ => content.len(),
        };
        span(start, start + length)
    }

    fn file(&mut self, name: Text, filenames: [Option<Text>; 2], content: Text) -> Result<(), Fault> {
        self.report.files += 1;
        self.report.files_bytes += content.len() as u64;
        if self.report.files > self.output.limits.files {
            self.report.flags.set(Flag::FileLimitExceeded);
            self.report.outcome = self.report.outcome.and(Err(Limit::Files.into()));
            return Ok(());
        }
        for filename in filenames.into_iter().flatten() {
            self.output.item(Kind::File, name, filename)?;
        }
        let size = self.output.decimal(content.len())?;
        self.output.item(Kind::FileSize, name, size)?;
        self.output.item(Kind::FileContent, name, content)
    }
}

#[cfg(test)]
mod tests;
