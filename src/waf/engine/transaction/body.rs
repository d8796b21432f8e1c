//! The request's body: what it is read as, and what is odd about it.

use super::{Transaction, only};
use crate::waf::body::content_type::Processor;
use crate::waf::body::multipart::{self, Flag};
use crate::waf::body::{Fault, Kind, json, wide, xml};
use crate::waf::engine::values::{Base, Source, Span};
use crate::waf::engine::{Exhausted, Verdict};
use crate::waf::ir::{EngineState, Phase, Variable};
use crate::waf::meter::byte_ns;

/// What is 0 unless a multipart body is odd.
pub(super) const MULTIPART: &[Variable] = &[
    Variable::MultipartBoundaryQuoted,
    Variable::MultipartBoundaryWhitespace,
    Variable::MultipartCrlfLfLines,
    Variable::MultipartDataAfter,
    Variable::MultipartDataBefore,
    Variable::MultipartFileLimitExceeded,
    Variable::MultipartHeaderFolding,
    Variable::MultipartInvalidHeaderFolding,
    Variable::MultipartInvalidPart,
    Variable::MultipartInvalidQuoting,
    Variable::MultipartLfLine,
    Variable::MultipartMissingSemicolon,
    Variable::MultipartStrictError,
    Variable::MultipartUnmatchedBoundary,
];

const FLAGS: [(Flag, Variable); 11] = [
    (Flag::BoundaryQuoted, Variable::MultipartBoundaryQuoted),
    (Flag::BoundaryWhitespace, Variable::MultipartBoundaryWhitespace),
    (Flag::DataBefore, Variable::MultipartDataBefore),
    (Flag::DataAfter, Variable::MultipartDataAfter),
    (Flag::HeaderFolding, Variable::MultipartHeaderFolding),
    (Flag::LfLine, Variable::MultipartLfLine),
    (Flag::MissingSemicolon, Variable::MultipartMissingSemicolon),
    (Flag::InvalidQuoting, Variable::MultipartInvalidQuoting),
    (Flag::InvalidPart, Variable::MultipartInvalidPart),
    (Flag::InvalidHeaderFolding, Variable::MultipartInvalidHeaderFolding),
    (Flag::FileLimitExceeded, Variable::MultipartFileLimitExceeded),
];

/// What is no fault but of a limit.
pub(super) fn only_limits(fault: Fault) -> Result<(), Fault> {
    match fault {
        Fault::Limit(_) => Err(fault),
        Fault::Malformed { .. } => Ok(()),
    }
}

impl Transaction {
    /// Whether a body of this request is to be given to [`Self::request_body`].
    pub fn wants_request_body(&self) -> bool {
        self.state.read_request_body && self.state.engine != EngineState::Off
    }

    /// A part of the request's body, decoded from whatever it is compressed with. False if it is longer than is looked at.
    pub fn request_body(&mut self, part: &[u8]) -> bool {
        let most = self.most_body_bytes();
        let body = &mut self.state.values.request_body;
        let room = most.saturating_sub(body.len());
        body.extend_from_slice(part.get(..room).unwrap_or(part));
        let fits = part.len() <= room;
        if !fits {
            self.request_body_is_cut();
            if !self.engine.settings.request_body_partial {
                self.state.exhausted.get_or_insert(Exhausted::BodyBytes);
            }
        }
        fits
    }

    /// Says that what was given is not all of the body. That it ends where no body may end is no fault of it then.
    pub fn request_body_is_cut(&mut self) {
        self.state.values.set_text(Variable::InboundDataError, b"1");
    }

    fn body_is_cut(&self) -> bool {
        let values = &self.state.values;
        values.single(Variable::InboundDataError).is_some_and(|error| values.text(error) == b"1")
    }

    /// How much of the body is looked at: of one that is no upload, it may be less.
    fn most_body_bytes(&self) -> usize {
        let most = self.engine.limits.request_body_bytes;
        let is_upload = self.state.processor == Some(Processor::Multipart);
        let without_files = self.engine.settings.request_body_no_files_bytes.filter(|_| !is_upload);
        without_files.map_or(most, |least| least.min(most))
    }

    /// Phase 2, with or without a body.
    pub fn request_body_end(&mut self) -> Verdict {
        let length = self.state.values.request_body.len();
        if length > 0 && self.wants_request_body() {
            self.state.values.set_number(Variable::RequestBodyLength, length);
            // All parsers take less than that.
            self.state.meter.spend(length * byte_ns::TOKENS);
            self.read_body();
        }
        self.phase(Phase::RequestBody)
    }

    fn read_body(&mut self) {
        let body = self.state.values.whole(Source::RequestBody);
        let (first, processor) = (self.state.values.len(), self.state.processor);
        let read = match processor {
            Some(Processor::UrlEncoded) => {
                self.arguments(body, Base::ArgPost);
                Ok(())
            }
            Some(Processor::Json) => self.json(body, false),
            Some(Processor::GraphQl) => self.query(body, Base::ArgPost),
            Some(Processor::Xml) => self.xml(body),
            Some(Processor::Multipart) => self.multipart(body),
            None => Ok(()),
        };
        // A rule that looks at REQUEST_BODY looks for what names and values do not show, such as `"a":`. Of XML, names are
        // no values, and files are for no rule to look at as a whole.
        let is_kept = !matches!(processor, Some(Processor::Xml | Processor::Multipart));
        if is_kept || self.state.force_body {
            self.state.values.set(Variable::RequestBody, body);
        }
        let is_known = processor.is_some_and(|known| known != Processor::UrlEncoded);
        let read = if is_known { read } else { read.and(self.read_by_its_look(body)) };
        let read = read.and(self.documents(first)).and(self.queries_of_members(first)).and(self.one_type());
        self.count_arguments();
        match read {
            Err(Fault::Malformed { .. }) if self.body_is_cut() => {}
            Err(fault) => self.fault_of_body(fault),
            Ok(()) => {}
        }
    }

    /// Reads what its type does not say, as those backends do that do not ask for a type: JSON and XML, in whatever
    /// encoding. What they could not read is no fault, for it need not be either.
    fn read_by_its_look(&mut self, body: Span) -> Result<(), Fault> {
        let body = self.in_utf8(body);
        let text = self.state.values.text(body);
        let first = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start().first();
        match first {
            Some(b'<') => match self.xml(body) {
                // It says that it is XML, and of what it says beyond that nothing was seen.
                Err(fault @ Fault::Malformed { what: xml::UNKNOWN_ENCODING, .. }) => Err(fault),
                read => read.or_else(only_limits),
            },
            Some(b'"') => self.json(body, true).or_else(only_limits),
            _ if json::loose::begins(text) => match self.json(body, true) {
                Err(Fault::Malformed { .. }) if json::loose::is_text(self.state.values.text(body)) => {
                    self.strings(body, Base::ArgPost, b"json")
                }
                read => read.or_else(only_limits),
            },
            _ => Ok(()),
        }
    }

    /// The body as rules can read it.
    fn in_utf8(&mut self, body: Span) -> Span {
        let text = self.state.values.text(body);
        let Some(decoded) = wide::decoded(text) else { return body };
        self.state.meter.spend(text.len() * byte_ns::TRANSFORM);
        let decoded = decoded.trim_start_matches('\u{feff}');
        // What encoding it was in is true no more.
        let declared = decoded.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>"));
        self.state.values.keep(declared.map_or(decoded, |(_, rest)| rest).as_bytes())
    }

    /// Strings of what is nearly JSON.
    pub(super) fn strings(&mut self, text: Span, base: Base, name: &[u8]) -> Result<(), Fault> {
        let limits = self.limits();
        self.state.values.parse(text, only(Kind::Argument, base), |input, arena, mut sink| {
            json::loose::parse(input, name, arena, &limits, &mut sink)
        })
    }

    /// Of two types, backends differ in which they go by.
    fn one_type(&self) -> Result<(), Fault> {
        if self.content_types().nth(1).is_none() {
            return Ok(());
        }
        Err(Fault::Malformed { what: "more than one content-type", at: 0 })
    }

    fn content_types(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        let values = &self.state.values;
        let headers = values.of(Base::RequestHeader).iter().filter_map(|at| values.named(*at));
        let types = headers.filter(|header| values.text(header.name).eq_ignore_ascii_case(b"content-type"));
        types.map(|header| values.text(header.value))
    }

    /// Too much of it is for the caller to judge, and no fault of the body.
    fn fault_of_body(&mut self, fault: Fault) {
        if let Fault::Limit(_) = fault {
            self.state.exhausted.get_or_insert(Exhausted::Values);
            return;
        }
        let values = &mut self.state.values;
        let message = values.keep(fault.to_string().as_bytes());
        let one = values.keep(b"1");
        values.set(Variable::ReqbodyError, one);
        values.set(Variable::ReqbodyProcessorError, one);
        values.set(Variable::ReqbodyErrorMsg, message);
        values.set(Variable::ReqbodyProcessorErrorMsg, message);
    }

    /// Members of one document or of many, and what is in those that are GraphQL.
    fn json(&mut self, body: Span, many: bool) -> Result<(), Fault> {
        let limits = self.limits();
        let first = self.state.values.len();
        let values = &mut self.state.values;
        let read = values.parse(body, only(Kind::Argument, Base::ArgPost), |input, arena, mut sink| {
            let parse = if many { json::parse_many } else { json::parse };
            parse(input, arena, &limits, &mut sink)
        });
        self.queries_of_members(first)?;
        read
    }

    fn xml(&mut self, body: Span) -> Result<(), Fault> {
        let limits = self.limits();
        let base = |kind| match kind {
            Kind::XmlText => Some(Base::XmlText),
            Kind::XmlAttribute => Some(Base::XmlAttribute),
            _ => None,
        };
        self.state
            .values
            .parse(body, base, |input, arena, mut sink| xml::parse(input, arena, &limits, &mut sink))
    }

    fn multipart(&mut self, body: Span) -> Result<(), Fault> {
        let kind = self.content_types().next_back().unwrap_or_default().to_vec();
        let limits = self.limits();
        let base = |kind| match kind {
            Kind::Argument => Some(Base::ArgPost),
            Kind::File => Some(Base::File),
            Kind::FileSize => Some(Base::FileSize),
            Kind::FileContent => Some(Base::FileContent),
            Kind::PartHeader => Some(Base::PartHeader),
            Kind::PartName => Some(Base::PartName),
            Kind::PartFilename => Some(Base::PartFilename),
            _ => None,
        };
        let report = self.state.values.parse(body, base, |input, arena, mut sink| {
            multipart::parse(&kind, input, arena, &limits, &mut sink)
        });
        let is_cut = self.body_is_cut();
        let values = &mut self.state.values;
        let one = values.keep(b"1");
        for (flag, variable) in FLAGS {
            if report.flags.has(flag) {
                values.set(variable, one);
            }
        }
        if report.flags.mixed_lines() {
            values.set(Variable::MultipartCrlfLfLines, one);
        }
        // A boundary that is missing is in what was cut off.
        if !is_cut {
            if report.flags.strict_error() {
                values.set(Variable::MultipartStrictError, one);
            }
            let unmatched = usize::from(report.unmatched_boundary);
            values.set_number(Variable::MultipartUnmatchedBoundary, unmatched);
        }
        values.set_number(
            Variable::FilesCombinedSize,
            usize::try_from(report.files_bytes).unwrap_or(usize::MAX),
        );
        report.outcome
    }
}

#[cfg(test)]
mod tests;
