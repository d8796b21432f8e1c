//! JSON (RFC 8259) with fields masked, removed, or all removed but some, while it streams by.
//!
//! A machine that reads a byte at a time and keeps a bounded stack: what it passes on is valid JSON if what comes is, and
//! what is not JSON ends it. A value goes out as it comes; only a member's name waits for the first byte of its value.
//!
//! Names are compared decoded, so that `"p\u0061ssword"` is `password`; a name written twice is treated alike both times.

mod path;
mod value;

use std::sync::Arc;

use thiserror::Error;

pub use self::path::{NotAPath, Path, Rules, TooMany};
use self::value::{Scalar, Step, Text};

/// Containers within containers.
pub const DEEPEST: usize = 64;
/// Longest name of a member, in bytes as written.
pub const LONGEST_NAME: usize = 1024;
/// White space before a value that is passed on, in bytes; more means nothing.
const SPACE: usize = 256;

/// Why a text cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// It is not JSON.
    #[error("not JSON")]
    Malformed,
    /// It has more than [`DEEPEST`] containers within each other.
    #[error("JSON that is nested too deeply")]
    Deep,
    /// It has a member's name of more than [`LONGEST_NAME`] bytes.
    #[error("JSON with too long a name")]
    Name,
    /// It ends before it is complete.
    #[error("JSON that is cut short")]
    Truncated,
}

/// What was done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Values that were masked.
    pub masked: u64,
    /// Values that were removed.
    pub removed: u64,
}

/// JSON on its way through the rules.
pub struct Rewriter {
    rules: Arc<Rules>,
    /// Whether one document may follow another: JSON lines.
    many: bool,
    state: State,
    stack: Vec<Level>,
    /// What is before a value, until it is known whether that goes on.
    held: Vec<u8>,
    /// The name of the member that comes, as written.
    name: Vec<u8>,
    /// Of the value that is read.
    fate: Fate,
    done: Done,
}

/// A container that is open.
#[derive(Debug, Clone, Copy)]
struct Level {
    object: bool,
    /// Whether something of it has been passed on.
    begun: bool,
    fate: Fate,
}

/// What becomes of a value.
#[derive(Debug, Clone, Copy, Default)]
struct Fate {
    /// The rules whose paths lead here or further, as bits.
    live: u64,
    /// Whether it is in what is allowed.
    open: bool,
    masked: bool,
    removed: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// A byte order mark may come: so many bytes of it have.
    Mark(usize),
    /// Before a document.
    Start,
    /// After one.
    End,
    /// Before a member or the end of an object; before a member.
    First,
    Member,
    /// In its name.
    Name(Text),
    /// Before its colon.
    Colon,
    /// Before a value; or, in an array, its end.
    Value,
    Element,
    Scalar(Scalar),
    /// After a value in a container.
    Next,
}

const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

impl Rewriter {
    /// A machine for one text. `many` documents may follow each other in it.
    #[must_use]
    pub fn new(rules: Arc<Rules>, many: bool) -> Self {
        Self {
            rules,
            many,
            state: State::Mark(0),
            stack: Vec::new(),
            held: Vec::new(),
            name: Vec::new(),
            fate: Fate::default(),
            done: Done::default(),
        }
    }

    /// What was done so far.
    #[must_use]
    pub const fn done(&self) -> Done {
        self.done
    }

    /// Takes a piece, and appends to `out` what becomes of it.
    ///
    /// # Errors
    /// Where it is not JSON. What was before that is in `out`; how many bytes of the piece that is comes with the fault.
    pub fn write(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), (Fault, usize)> {
        let mut at = 0;
        while let Some(byte) = piece.get(at).copied() {
            self.step(byte, out).map_err(|fault| (fault, at))?;
            at += 1;
            if let State::Scalar(Scalar::Text(Text::Plain)) = self.state {
                // Most of what comes is this, so it is taken in one go.
                let rest = piece.get(at..).unwrap_or_default();
                let plain = rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..b' ')).count();
                self.pass_text(rest.get(..plain).unwrap_or_default(), out);
                at += plain;
            }
        }
        Ok(())
    }

    /// Says that the text has ended. A text of nothing is complete.
    ///
    /// # Errors
    /// Where it is not complete.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if let (State::Scalar(Scalar::Number(number)), true) = (self.state, self.stack.is_empty()) {
            number.is_complete().then_some(()).ok_or(Fault::Truncated)?;
            self.end_value();
        }
        match self.state {
            State::End | State::Start | State::Mark(0) => {
                out.append(&mut self.held);
                Ok(())
            }
            _ => Err(Fault::Truncated),
        }
    }

    /// Gives out what waits, for somebody who passes on the rest as it comes.
    pub fn give_up(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self.state {
            State::Mark(seen) if MARK.get(seen) == Some(&byte) => {
                out.push(byte);
                self.state = if seen == 2 { State::Start } else { State::Mark(seen + 1) };
                Ok(())
            }
            State::Mark(1 | 2) => Err(Fault::Malformed),
            State::Scalar(scalar) => self.scalar(scalar, byte, out),
            State::Name(text) => self.name(text, byte, out),
            _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => {
                self.space(byte, out);
                Ok(())
            }
            State::End if !self.many => Err(Fault::Malformed),
            State::First | State::Member if byte == b'"' => {
                self.name.clear();
                self.hold(byte, out);
                self.state = State::Name(Text::Plain);
                Ok(())
            }
            State::First if byte == b'}' => self.close(byte, out),
            State::Colon if byte == b':' => {
                self.hold(byte, out);
                self.state = State::Value;
                Ok(())
            }
            State::Element if byte == b']' => self.close(byte, out),
            State::Mark(_) | State::Start | State::End | State::Value | State::Element => {
                self.value(byte, out)
            }
            State::Next => self.next(byte, out),
            State::First | State::Member | State::Colon => Err(Fault::Malformed),
        }
    }

    /// White space between things.
    fn space(&mut self, byte: u8, out: &mut Vec<u8>) {
        if matches!(self.state, State::Next | State::End | State::Start | State::Mark(_)) {
            self.pass_space(byte, out);
        } else if self.held.len() < SPACE + LONGEST_NAME || !self.rules.removes() {
            self.hold(byte, out);
        }
    }

    fn pass_space(&self, byte: u8, out: &mut Vec<u8>) {
        if !self.stack.last().is_some_and(|level| level.fate.removed) {
            out.push(byte);
        }
    }

    /// A byte before a value whose fate is not known. Where nothing is ever removed, nothing waits.
    fn hold(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.rules.removes() { self.held.push(byte) } else { out.push(byte) }
    }

    fn name(&mut self, text: Text, byte: u8, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.hold(byte, out);
        match text.step(byte) {
            Step::On(Scalar::Text(text), _) => {
                self.name.push(byte);
                self.state = State::Name(text);
                if self.name.len() > LONGEST_NAME { Err(Fault::Name) } else { Ok(()) }
            }
            Step::Last(_) => {
                self.state = State::Colon;
                Ok(())
            }
            _ => Err(Fault::Malformed),
        }
    }

    /// The first byte of a value.
    fn value(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Fault> {
        let container = matches!(byte, b'{' | b'[');
        let scalar = if container { None } else { Some(Scalar::begin(byte).ok_or(Fault::Malformed)?) };
        self.fate = self.decide(container)?;
        if !self.fate.removed {
            self.announce(out);
        }
        self.held.clear();
        let Some(scalar) = scalar else { return self.open(byte, out) };
        self.pass(if self.fate.masked { scalar.hide_first(byte) } else { byte }, out);
        self.state = State::Scalar(scalar);
        Ok(())
    }

    /// What becomes of the value that comes.
    fn decide(&mut self, container: bool) -> Result<Fate, Fault> {
        let Some(level) = self.stack.last() else {
            let fate = self.rules.root(container);
            self.done.masked += u64::from(fate.masked);
            return Ok(fate);
        };
        if level.fate.removed {
            return Ok(level.fate);
        }
        let depth = self.stack.len();
        let above = level.fate;
        let name = if level.object { Some(value::decode(&self.name).ok_or(Fault::Malformed)?) } else { None };
        let fate = self.rules.below(above, depth, name.as_deref(), container);
        self.done.removed += u64::from(fate.removed);
        self.done.masked += u64::from(fate.masked && !fate.removed && !container);
        Ok(fate)
    }

    /// Writes what is before a value that goes on.
    fn announce(&mut self, out: &mut Vec<u8>) {
        if let Some(level) = self.stack.last_mut() {
            if level.begun && self.rules.removes() {
                out.push(b',');
            }
            level.begun = true;
        }
        out.append(&mut self.held);
    }

    fn open(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.stack.len() >= DEEPEST {
            return Err(Fault::Deep);
        }
        let object = byte == b'{';
        self.pass(byte, out);
        self.stack.push(Level { object, begun: false, fate: self.fate });
        self.state = if object { State::First } else { State::Element };
        Ok(())
    }

    fn close(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Some(level) = self.stack.pop() else { return Err(Fault::Malformed) };
        if level.object != (byte == b'}') {
            return Err(Fault::Malformed);
        }
        self.fate = level.fate;
        // White space in a container of which nothing came, or whose last member was removed.
        if !level.fate.removed {
            out.append(&mut self.held);
        }
        self.held.clear();
        self.pass(byte, out);
        self.end_value();
        Ok(())
    }

    /// After a value in a container.
    fn next(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Some(level) = self.stack.last() else { return Err(Fault::Malformed) };
        match byte {
            b',' => {
                self.state = if level.object { State::Member } else { State::Value };
                if !self.rules.removes() {
                    out.push(byte);
                }
                Ok(())
            }
            b'}' | b']' => self.close(byte, out),
            _ => Err(Fault::Malformed),
        }
    }

    fn scalar(&mut self, scalar: Scalar, byte: u8, out: &mut Vec<u8>) -> Result<(), Fault> {
        match scalar.step(byte) {
            Step::On(next, hidden) => {
                self.pass(if self.fate.masked { hidden } else { byte }, out);
                self.state = State::Scalar(next);
                Ok(())
            }
            Step::Last(hidden) => {
                self.pass(if self.fate.masked { hidden } else { byte }, out);
                self.end_value();
                Ok(())
            }
            // A number ends with what is not part of it.
            Step::Before => {
                self.end_value();
                self.step(byte, out)
            }
            Step::Wrong => Err(Fault::Malformed),
        }
    }

    const fn end_value(&mut self) {
        self.state = if self.stack.is_empty() { State::End } else { State::Next };
    }

    /// Passes on a byte of the value that is read.
    fn pass(&self, byte: u8, out: &mut Vec<u8>) {
        if !self.fate.removed {
            out.push(byte);
        }
    }

    /// Passes on what is within a string.
    fn pass_text(&self, text: &[u8], out: &mut Vec<u8>) {
        match self.fate {
            Fate { removed: true, .. } => {}
            Fate { masked: true, .. } => out.resize(out.len() + text.len(), b'*'),
            _ => out.extend_from_slice(text),
        }
    }
}

#[cfg(test)]
mod tests;
