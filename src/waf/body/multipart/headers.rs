//! The header lines of a part.

use memchr::memchr;

use super::super::output::span;
use super::super::{Fault, Sink, Text};
use super::{Flag, Parser};

/// Bytes of one header, unfolded; as in ModSecurity.
const MOST_BYTES: usize = 4096;

/// Headers of one part; browsers send three.
const MOST_LINES: usize = 32;

/// The header lines of one part, unfolded.
pub(super) struct Headers {
    lines: [Text; MOST_LINES],
    count: usize,
    /// Which of them is `Content-Disposition`.
    disposition: Option<usize>,
}

impl Headers {
    pub(super) fn lines(&self) -> &[Text] {
        self.lines.get(..self.count).unwrap_or_default()
    }

    pub(super) fn disposition(&self) -> Option<Text> {
        self.lines().get(self.disposition?).copied()
    }
}

impl<S: Sink + ?Sized> Parser<'_, '_, S> {
    /// Reads the headers from `start` on, up to the line at `end` at most; returns them with where the content
    /// starts.
    pub(super) fn headers(&mut self, start: usize, end: usize) -> Result<(Headers, usize), Fault> {
        let mut headers = Headers { lines: [Text::EMPTY; MOST_LINES], count: 0, disposition: None };
        let mut at = start;
        while at < end {
            let rest = self.output.input.get(at..end).unwrap_or_default();
            let Some(newline) = memchr(b'\n', rest) else { break };
            let line = rest.get(..newline).unwrap_or_default();
            let (line, ending) =
                line.strip_suffix(b"\r").map_or((line, Flag::LfLine), |line| (line, Flag::CrlfLine));
            self.report.flags.set(ending);
            let line_start = at;
            at += newline + 1;
            if line.is_empty() {
                return Ok((headers, at));
            }
            self.header(line, line_start, &mut headers)?;
        }
        self.wrong("multipart: headers of a part without end", start);
        Ok((headers, end))
    }

    fn header(&mut self, line: &[u8], at: usize, headers: &mut Headers) -> Result<(), Fault> {
        if line.contains(&0) || line.contains(&b'\r') {
            self.wrong("multipart: control character in a part's header", at);
        }
        if line.len() > MOST_BYTES {
            self.wrong("multipart: a part's header is too long", at);
        }
        if line.first().copied().is_some_and(is_space) {
            return self.folded(line, at, headers);
        }
        let Some(name) = memchr(b':', line).and_then(|colon| line.get(..colon)) else {
            self.wrong("multipart: a part's header without a colon", at);
            self.keep(headers, at, line.len());
            return Ok(());
        };
        if name.is_empty() {
            self.wrong("multipart: a part's header without a name", at);
        }
        if headers.lines().iter().any(|line| self.is_named(*line, name)) {
            self.wrong("multipart: repeated header in a part", at);
        } else if name.eq_ignore_ascii_case(b"content-disposition") {
            headers.disposition = Some(headers.count);
        }
        self.keep(headers, at, line.len());
        Ok(())
    }

    fn keep(&mut self, headers: &mut Headers, at: usize, length: usize) {
        match headers.lines.get_mut(headers.count) {
            Some(line) => {
                *line = span(at, at + length);
                headers.count += 1;
            }
            None => self.wrong("multipart: too many headers in a part", at),
        }
    }

    pub(super) fn is_named(&self, line: Text, name: &[u8]) -> bool {
        let line = self.output.text(line);
        line.get(name.len()) == Some(&b':')
            && line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
    }

    /// Appends a continuation to the header before it, which goes to the arena with the first one. Nothing else is
    /// written there in between, so the header can grow in its place.
    fn folded(&mut self, line: &[u8], at: usize, headers: &mut Headers) -> Result<(), Fault> {
        self.report.flags.set(Flag::HeaderFolding);
        let blank = line.iter().position(|byte| !is_space(*byte)).unwrap_or(line.len());
        let (prefix, rest) = line.split_at_checked(blank).unwrap_or_default();
        if !prefix.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
            self.report.flags.set(Flag::InvalidHeaderFolding);
        }
        let Some(previous) = headers.count.checked_sub(1).and_then(|last| headers.lines.get_mut(last)) else {
            self.wrong("multipart: a part's first header is folded", at);
            self.keep(headers, at, line.len());
            return Ok(());
        };
        let begin = match *previous {
            Text::Arena(start, _) => start as usize,
            Text::Input(start, end) => {
                let begin = self.output.arena.bytes.len();
                let header = self.output.input.get(start as usize..end as usize).unwrap_or_default();
                self.output.arena.bytes.extend_from_slice(header);
                begin
            }
        };
        self.output.arena.bytes.push(b' ');
        self.output.arena.bytes.extend_from_slice(rest);
        *previous = self.output.since(begin)?;
        if previous.len() > MOST_BYTES {
            self.wrong("multipart: a part's header is too long", at);
        }
        Ok(())
    }
}

/// What starts a continuation: RFC 5322 knows space and tab, some parsers all white space.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0xb | 0xc | b'\r')
}
