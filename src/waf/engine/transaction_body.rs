//! The request's body: what it is read as, and what is odd about it.

use super::transaction::{Transaction, only};
use super::values::{Base, Source, Span};
use super::{Exhausted, Verdict};
use crate::waf::body::multipart::{self, Flag};
use crate::waf::body::{Fault, Kind, json, xml};
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
            self.state.values.set_text(Variable::InboundDataError, b"1");
            if !self.engine.settings.request_body_partial {
                self.state.exhausted.get_or_insert(Exhausted::BodyBytes);
            }
        }
        fits
    }

    /// How much of the body is looked at: of one that is no upload, it may be less.
    fn most_body_bytes(&self) -> usize {
        let most = self.engine.limits.request_body_bytes;
        let is_upload = self.state.body_processor.as_deref() == Some("MULTIPART");
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
        let processor = self.state.body_processor.clone();
        let mut keep = self.state.force_body;
        let read = match processor.as_deref() {
            Some("URLENCODED") => {
                keep = true;
                self.arguments(body, Base::ArgPost);
                Ok(())
            }
            // A rule that looks at REQUEST_BODY looks for what names and values do not show, such as `"a":`.
            Some("JSON") => {
                keep = true;
                self.json(body)
            }
            Some("GRAPHQL") => {
                keep = true;
                self.query(body, Base::ArgPost)
            }
            // Of XML, names are no values, and files are for no rule to look at as a whole.
            Some("XML") => self.xml(body),
            Some("MULTIPART") => self.multipart(body),
            Some(other) if !other.is_empty() => {
                keep = true;
                Err(Fault::Malformed { what: "no processor of this name is known", at: 0 })
            }
            _ => {
                keep = true;
                Ok(())
            }
        };
        if keep {
            self.state.values.set(Variable::RequestBody, body);
        }
        self.count_arguments();
        if let Err(fault) = read {
            self.fault_of_body(fault);
        }
    }

    fn fault_of_body(&mut self, fault: Fault) {
        if let Fault::Limit(_) = fault {
            self.state.exhausted.get_or_insert(Exhausted::Values);
        }
        let values = &mut self.state.values;
        let message = values.keep(fault.to_string().as_bytes());
        let one = values.keep(b"1");
        values.set(Variable::ReqbodyError, one);
        values.set(Variable::ReqbodyProcessorError, one);
        values.set(Variable::ReqbodyErrorMsg, message);
        values.set(Variable::ReqbodyProcessorErrorMsg, message);
    }

    /// Members, and what is in those that are GraphQL.
    fn json(&mut self, body: Span) -> Result<(), Fault> {
        let limits = self.limits();
        let first = self.state.values.len();
        let values = &mut self.state.values;
        let read = values.parse(body, only(Kind::Argument, Base::ArgPost), |input, arena, mut sink| {
            json::parse(input, arena, &limits, &mut sink)
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
        let values = &self.state.values;
        let mut headers = values.of(Base::RequestHeader).iter().filter_map(|at| values.named(*at));
        let is_type = |name: &[u8]| name.eq_ignore_ascii_case(b"content-type");
        let kind = headers.rfind(|header| is_type(values.text(header.name)));
        let kind = kind.map_or(Vec::new(), |header| values.text(header.value).to_vec());
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
        if report.flags.strict_error() {
            values.set(Variable::MultipartStrictError, one);
        }
        values.set_number(Variable::MultipartUnmatchedBoundary, usize::from(report.unmatched_boundary));
        values.set_number(
            Variable::FilesCombinedSize,
            usize::try_from(report.files_bytes).unwrap_or(usize::MAX),
        );
        report.outcome
    }
}
