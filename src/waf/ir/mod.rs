//! Rules as all front ends write them down and the compiler reads them: nothing here knows of SecLang's spelling.
//!
//! Everything is owned and typed; a [`Program`] that exists has been checked except for what needs the whole of it
//! (identifiers that are unique, markers that exist), which the compiler does.

mod action;
mod operator;
mod template;
mod variable;

use std::fmt;
use std::sync::Arc;

pub use action::{Action, Control, Disruptive, Meta, RuleSet, SetVariable, Severity, Switch, Update};
pub use operator::{Number, Operator, Pattern};
pub use template::{Piece, Template};
pub use variable::{Selector, Target, Variable};

use super::transform::Transformation;
use crate::http::media_type::{EVENT_STREAM, is_of_grpc};

/// Where something was written, for messages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The file's name as the loader knows it.
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.file, self.line)
    }
}

/// When a rule runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// 1: the request's head is known.
    RequestHeaders = 1,
    /// 2: its body is, too.
    RequestBody = 2,
    /// 3: the response's head is known.
    ResponseHeaders = 3,
    /// 4: its body is, too.
    ResponseBody = 4,
    /// 5: all is over; nothing can be refused any more.
    Logging = 5,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Self; 5] =
        [Self::RequestHeaders, Self::RequestBody, Self::ResponseHeaders, Self::ResponseBody, Self::Logging];

    /// From 0, for tables.
    pub(crate) const fn index(self) -> usize {
        self as usize - 1
    }
}

/// A test and what follows from it. The first link of a chain, or a later one.
#[derive(Debug, Clone)]
pub struct Link {
    /// Where it was written.
    pub at: Location,
    /// What is tested. Empty: nothing, the test holds (`SecAction`).
    pub targets: Vec<Target>,
    /// The test.
    pub operator: Operator,
    /// Whether the test holds where the operator does not match.
    pub negated: bool,
    /// Applied to each value before the test, in this order.
    pub transformations: Vec<Transformation>,
    /// Test the value before and after each transformation that changed it.
    pub multi_match: bool,
    /// Keep what the operator found in `TX.0` to `TX.9`.
    pub capture: bool,
    /// What is done for each value that passes the test, in this order, whether or not the chain goes on to match; a
    /// [`Action::Control`] once, if all of it does.
    pub actions: Vec<Action>,
}

/// A chain of one or more links; it matches if all of them do.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Who it is and what is done when it matches.
    pub meta: Meta,
    /// At least one.
    pub links: Vec<Link>,
}

/// One thing in a program, in order.
#[derive(Debug, Clone)]
pub enum Step {
    /// A rule.
    Rule(Box<Rule>),
    /// A place to skip to, by its name.
    Marker(Box<str>),
}

/// Whether rules run, and whether they refuse.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EngineState {
    /// They run and refuse.
    #[default]
    On,
    /// They do not run.
    Off,
    /// They run, and nothing is refused.
    DetectionOnly,
}

/// What a rule set says beside its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a directive of its own")]
pub struct Settings {
    /// `SecRuleEngine`, if it was written.
    pub engine: Option<EngineState>,
    /// `SecRequestBodyAccess`. Default: on.
    pub request_body: bool,
    /// `SecResponseBodyAccess`. Default: on.
    pub response_body: bool,
    /// `SecResponseBodyMimeType`: which responses' bodies are read, in lower case without parameters.
    pub response_types: Vec<Box<str>>,
    /// `SecRequestBodyLimit` in bytes.
    pub request_body_bytes: Option<usize>,
    /// `SecRequestBodyLimitAction ProcessPartial`: a body that is longer is inspected as far as it goes.
    pub request_body_partial: bool,
    /// `SecResponseBodyLimit` in bytes.
    pub response_body_bytes: Option<usize>,
    /// `SecResponseBodyLimitAction ProcessPartial`. Default: true.
    pub response_body_partial: bool,
    /// `SecArgumentsLimit`: how many arguments.
    pub arguments: Option<usize>,
    /// `SecRequestBodyJsonDepthLimit`.
    pub json_depth: Option<usize>,
    /// `SecArgumentSeparator`. Default: `&`.
    pub argument_separator: u8,
    /// `SecWebAppId`.
    pub web_app: Box<str>,
    /// `SecRequestBodyNoFilesLimit` in bytes: of a body that is no upload, this is the limit.
    pub request_body_no_files_bytes: Option<usize>,
    /// `SecUploadFileLimit`: files of one upload.
    pub files: Option<usize>,
    /// `SecCollectionTimeout`: how long a collection is kept without use, in seconds. Default: an hour.
    pub collection_seconds: u64,
}

impl Settings {
    /// Adds a type of responses whose bodies are read.
    ///
    /// # Errors
    /// When such a response goes on for as long as both sides like: it cannot wait until it is examined.
    pub fn add_response_type(&mut self, kind: &str) -> Result<(), String> {
        let kind = kind.to_ascii_lowercase();
        if kind == EVENT_STREAM || is_of_grpc(kind.as_bytes()) {
            return Err(format!("responses of the type {kind} are sent as they come: none is examined"));
        }
        if !self.response_types.iter().any(|known| **known == *kind) {
            self.response_types.push(kind.into());
        }
        Ok(())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            engine: None,
            request_body: true,
            response_body: true,
            response_types: ["text/plain", "text/html", "text/xml"].map(Into::into).into(),
            request_body_bytes: None,
            request_body_partial: false,
            response_body_bytes: None,
            response_body_partial: true,
            arguments: None,
            json_depth: None,
            argument_separator: b'&',
            web_app: "default".into(),
            request_body_no_files_bytes: None,
            files: None,
            collection_seconds: 3_600,
        }
    }
}

/// All rules of an engine, in order, and what was said beside them.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// Rules and markers.
    pub steps: Vec<Step>,
    /// Everything else.
    pub settings: Settings,
}
