//! One request and its response, phase by phase, as the caller learns of them.

mod body;
mod documents;

use std::net::SocketAddr;
use std::sync::Arc;

use super::run::Runner;
use super::state::State;
use super::values::{Base, Source, Span, Values};
use super::{Engine, Exhausted, Interruption, Match, Verdict};
use crate::values::digits::{push, push_ip};
use crate::waf::body::content_type::ContentType;
use crate::waf::body::{Fault, Kind, Limits, cookie, urlencoded};
use crate::waf::ir::{EngineState, Phase, Variable};

/// One request and its response. Feed it in order; each phase ends with a call that returns a [`Verdict`].
#[derive(Debug)]
pub struct Transaction {
    engine: Arc<Engine>,
    state: Box<State>,
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.engine.states.give(std::mem::take(&mut self.state));
    }
}

impl Transaction {
    pub(super) fn new(engine: Arc<Engine>, mut state: Box<State>, unique_id: &str) -> Self {
        state.reset(&engine.plan);
        state.engine = engine.settings.engine.unwrap_or_default();
        state.read_request_body = engine.settings.request_body;
        state.read_response_body = engine.settings.response_body;
        state.meter.begin(&engine.clock, engine.limits.time_ns);
        state.started_ms = engine.clock.unix_ms();
        let values = &mut state.values;
        values.set_text(Variable::UniqueId, unique_id.as_bytes());
        values.set_text(Variable::WebAppId, engine.settings.web_app.as_bytes());
        for variable in [
            Variable::ReqbodyProcessor,
            Variable::ReqbodyErrorMsg,
            Variable::ReqbodyProcessorErrorMsg,
            Variable::QueryString,
        ] {
            values.set_text(variable, b"");
        }
        let zero = values.keep(b"0");
        for variable in [
            Variable::ReqbodyError,
            Variable::ReqbodyProcessorError,
            Variable::UrlencodedError,
            Variable::InboundDataError,
            Variable::OutboundDataError,
            Variable::ArgsCombinedSize,
            Variable::FilesCombinedSize,
            Variable::RequestBodyLength,
            Variable::MscPcreLimitsExceeded,
        ]
        .iter()
        .chain(body::MULTIPART)
        {
            values.set(*variable, zero);
        }
        Self { engine, state }
    }

    /// Says who talks to whom.
    pub fn connection(&mut self, client: SocketAddr, server: SocketAddr) {
        let values = &mut self.state.values;
        let address = values.keep_written(|head| push_ip(head, client.ip().to_canonical()));
        values.set(Variable::RemoteAddr, address);
        values.set(Variable::RemoteHost, address);
        values.set_number(Variable::RemotePort, usize::from(client.port()));
        let own = values.keep_written(|head| push_ip(head, server.ip().to_canonical()));
        values.set(Variable::ServerAddr, own);
        values.set_number(Variable::ServerPort, usize::from(server.port()));
    }

    /// The request's line: method, target as it was sent, protocol, e.g. `GET`, `/a?b=c`, `HTTP/1.1`.
    pub fn request(&mut self, method: &[u8], target: &[u8], protocol: &[u8]) {
        let values = &mut self.state.values;
        let line = values.keep(method);
        values.keep(b" ");
        let raw = values.keep(target);
        values.keep(b" ");
        let version = values.keep(protocol);
        values.set(Variable::RequestLine, line.to(version));
        values.set(Variable::RequestMethod, line);
        values.set(Variable::RequestUriRaw, raw);
        values.set(Variable::RequestProtocol, version);
        let (from, query) = split_target(target);
        let path_end = query.map_or(target.len(), |query| query - 1);
        let (path, rest) = target
            .get(from..)
            .and_then(|uri| uri.split_at_checked(path_end.saturating_sub(from)))
            .unwrap_or_default();
        let (uri, path, base) = match decoded(path) {
            None => (Values::part(raw, from, target.len()), Values::part(raw, from, path_end), base_of(path)),
            // As in ModSecurity 2, whose rules for paths would be passed by otherwise with `/%61dmin`.
            Some(decoded) => {
                let uri = values.keep(&[&decoded, rest].concat());
                (uri, Values::part(uri, 0, decoded.len()), base_of(&decoded))
            }
        };
        values.set(Variable::RequestUri, uri);
        values.set(Variable::RequestFilename, path);
        values.set(Variable::PathInfo, path);
        values.set(Variable::RequestBasename, Values::part(path, base, path.len()));
        let Some(query) = query else { return };
        let query = Values::part(raw, query, target.len());
        values.set(Variable::QueryString, query);
        self.arguments(query, Base::ArgGet);
        let read = self.query_of_query_string().and(self.documents(0));
        self.fault_of_head(read.err());
        self.count_arguments();
    }

    /// One header line of the request, in the order they came.
    pub fn request_header(&mut self, name: &[u8], value: &[u8]) {
        if !self.room() {
            return;
        }
        self.state.add(Base::RequestHeader, name, value);
        if name.eq_ignore_ascii_case(b"cookie") {
            let line = self.state.values.keep(value);
            let (limits, first) = (self.limits(), self.state.values.len());
            let read = self.state.values.parse(
                line,
                only(Kind::Cookie, Base::RequestCookie),
                |input, arena, mut sink| cookie::parse(input, arena, &limits, &mut sink),
            );
            let read = read.and(self.documents(first));
            self.fault_of_head(read.err());
        } else if name.eq_ignore_ascii_case(b"content-type") {
            self.content_type(value);
        } else if name.eq_ignore_ascii_case(b"host")
            && self.state.values.single(Variable::ServerName).is_none()
        {
            let host = value
                .iter()
                .rposition(|byte| *byte == b':')
                .filter(|at| value.get(at + 1..).is_some_and(|port| port.iter().all(u8::is_ascii_digit)));
            let host = host.and_then(|at| value.get(..at)).unwrap_or(value);
            self.state.values.set_text(Variable::ServerName, host);
        } else if name.eq_ignore_ascii_case(b"authorization") {
            let scheme = value.split(|byte| *byte == b' ').next().unwrap_or_default();
            self.state.values.set_text(Variable::AuthType, scheme);
        }
    }

    /// Phase 1.
    pub fn request_headers(&mut self) -> Verdict {
        self.phase(Phase::RequestHeaders)
    }

    /// Phase 3 follows: the response's protocol and status.
    pub fn response(&mut self, protocol: &[u8], status: u16) {
        let values = &mut self.state.values;
        let protocol = values.keep(protocol);
        values.keep(b" ");
        let status = values.keep_written(|head| push(head, status.into()));
        values.set(Variable::ResponseProtocol, protocol);
        values.set(Variable::ResponseStatus, status);
        values.set(Variable::StatusLine, protocol.to(status));
    }

    /// One header line of the response.
    pub fn response_header(&mut self, name: &[u8], value: &[u8]) {
        if !self.room() {
            return;
        }
        self.state.add(Base::ResponseHeader, name, value);
        if name.eq_ignore_ascii_case(b"content-type") {
            let kind = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            self.state.values.set_text(Variable::ResponseContentType, kind);
        }
    }

    /// Phase 3.
    pub fn response_headers(&mut self) -> Verdict {
        self.phase(Phase::ResponseHeaders)
    }

    /// Whether a body of this response is to be given to [`Self::response_body`].
    pub fn wants_response_body(&self) -> bool {
        let State { values, read_response_body, engine, .. } = &*self.state;
        let kind = values.single(Variable::ResponseContentType).map(|kind| values.text(kind));
        let types = &self.engine.settings.response_types;
        *read_response_body
            && *engine != EngineState::Off
            && kind.is_some_and(|kind| types.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(kind)))
    }

    /// A part of the response's body, decoded from whatever it is compressed with.
    pub fn response_body(&mut self, part: &[u8]) {
        let most = self.engine.limits.response_body_bytes;
        let body = &mut self.state.values.response_body;
        let room = most.saturating_sub(body.len());
        body.extend_from_slice(part.get(..room).unwrap_or(part));
        if part.len() > room {
            self.state.values.set_text(Variable::OutboundDataError, b"1");
            if !self.engine.settings.response_body_partial {
                self.state.exhausted.get_or_insert(Exhausted::BodyBytes);
            }
        }
    }

    /// Phase 4.
    pub fn response_body_end(&mut self) -> Verdict {
        let whole = self.state.values.whole(Source::ResponseBody);
        let length = self.state.values.response_body.len();
        self.state.values.set(Variable::ResponseBody, whole);
        self.state.values.set_number(Variable::ResponseContentLength, length);
        self.phase(Phase::ResponseBody)
    }

    /// Phase 5, after all else.
    pub fn logging(&mut self) {
        // What ran out before does not keep the log from being written.
        if self.state.exhausted.take() == Some(Exhausted::Time) {
            let State { findings, values, .. } = &mut *self.state;
            findings.look_no_more(values);
        }
        self.state.meter.leave_some();
        self.phase(Phase::Logging);
    }

    /// Rules that matched so far and say so, at most 500.
    pub fn matches(&self) -> &[Match] {
        &self.state.matches
    }

    /// The first rule that refused, or would have.
    pub fn interruption(&self) -> Option<&Interruption> {
        self.state.interruption.as_ref()
    }

    /// Whether this request goes to the audit log, if a rule said so.
    pub fn audit(&self) -> Option<bool> {
        self.state.audit
    }

    /// Whether a rule said that nobody is to see the value of this variable, e.g. `ARGS:card`.
    pub fn conceals(&self, variable: &str) -> bool {
        self.state.conceals(variable.as_bytes())
    }

    /// A variable of `TX`, e.g. `blocking_inbound_anomaly_score`, whose name is in lower case.
    pub fn tx(&self, name: &str) -> Option<&[u8]> {
        let at = self.state.tx.find(&self.engine.plan, name.as_bytes())?;
        self.state.tx.value(at)
    }

    fn phase(&mut self, phase: Phase) -> Verdict {
        if self.state.engine == EngineState::Off {
            return Verdict::Pass;
        }
        let engine = &*self.engine;
        let mut scratch = engine.scratch.take();
        self.state.exchange(&mut scratch);
        self.state.caches.meter = std::mem::take(&mut self.state.meter);
        let mut runner = Runner { plan: &engine.plan, lasting: &engine.lasting, state: &mut self.state };
        if let Some(filter) = &engine.filter {
            runner.look(filter);
        }
        runner.phase(phase);
        // Sees that time ran out within the last rule, too.
        runner.spend(0);
        self.state.meter = std::mem::take(&mut self.state.caches.meter);
        self.state.meter.pause();
        self.state.exchange(&mut scratch);
        engine.scratch.give(scratch);
        match (&self.state.interruption, self.state.exhausted) {
            (Some(interruption), _) if interruption.enforced => {
                Verdict::Refuse(interruption.disruption.clone())
            }
            (_, Some(limit)) => Verdict::Exhausted(limit),
            _ => Verdict::Pass,
        }
    }

    fn limits(&self) -> Limits {
        let limits = &self.engine.limits;
        let settings = &self.engine.settings;
        let bytes = limits.request_body_bytes.max(64 << 10);
        let items = limits.values.saturating_sub(self.state.values.len());
        Limits {
            items: settings.arguments.map_or(items, |most| most.min(items)),
            name_bytes: bytes,
            value_bytes: bytes,
            arena_bytes: bytes.saturating_mul(4),
            depth: settings.json_depth.map_or(limits.depth, |most| most.min(limits.depth)),
            files: settings.files.map_or(limits.files, |most| most.min(limits.files)),
        }
    }

    fn room(&mut self) -> bool {
        let full = self.state.values.len() >= self.engine.limits.values;
        if full {
            self.state.exhausted.get_or_insert(Exhausted::Values);
        }
        !full
    }

    fn fault_of_head(&mut self, fault: Option<Fault>) {
        if let Some(Fault::Limit(_)) = fault {
            self.state.exhausted.get_or_insert(Exhausted::Values);
        }
    }

    /// Arguments in the form that queries have.
    fn arguments(&mut self, span: Span, base: Base) {
        let limits = self.limits();
        let separator = self.engine.settings.argument_separator;
        let read = self.state.values.parse(span, only(Kind::Argument, base), |input, arena, mut sink| {
            urlencoded::parse(input, separator, arena, &limits, &mut sink)
        });
        match read {
            Ok(0) => {}
            Ok(_) => self.state.values.set_text(Variable::UrlencodedError, b"1"),
            Err(fault) => self.fault_of_head(Some(fault)),
        }
    }

    fn count_arguments(&mut self) {
        let values = &self.state.values;
        let arguments = values.of(Base::ArgGet).iter().chain(values.of(Base::ArgPost));
        let sizes =
            arguments.filter_map(|at| values.named(*at)).map(|named| named.name.len() + named.value.len());
        let size = sizes.sum();
        self.state.values.set_number(Variable::ArgsCombinedSize, size);
    }

    /// What the body will be read as. ModSecurity itself knows forms; its recommended rules add JSON and XML.
    fn content_type(&mut self, value: &[u8]) {
        if let Some(processor) = ContentType::parse(value).processor() {
            self.state.read_as(processor);
        }
    }
}

/// Where the path starts, past the scheme and host of an absolute target, and the query, if there is one.
fn split_target(target: &[u8]) -> (usize, Option<usize>) {
    let query = memchr::memchr(b'?', target).map(|mark| mark + 1);
    let head = query.and_then(|query| target.get(..query - 1)).unwrap_or(target);
    let path = match memchr::memmem::find(head, b"://") {
        Some(scheme) if !head.starts_with(b"/") => {
            let authority = head.get(scheme + 3..).unwrap_or_default();
            memchr::memchr(b'/', authority).map_or(head.len(), |slash| scheme + 3 + slash)
        }
        _ => 0,
    };
    (path, query)
}

/// The path with its escapes decoded once, if it has any. What is no escape stays.
fn decoded(path: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr(b'%', path)?;
    Some(percent_encoding::percent_decode(path).collect())
}

fn base_of(path: &[u8]) -> usize {
    path.iter().rposition(|byte| matches!(byte, b'/' | b'\\')).map_or(0, |slash| slash + 1)
}

/// Items of one kind, for one collection.
fn only(kind: Kind, base: Base) -> impl Fn(Kind) -> Option<Base> {
    move |found| (found == kind).then_some(base)
}
