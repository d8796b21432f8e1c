//! What is logged of requests and of the process, and where to.

use std::sync::Arc;

use super::Compiler;
use crate::config::Path;
use crate::config::spec::{self, AccessLogTarget};
use crate::policy::route::Route;
use crate::telemetry::access_log::{AccessLog, Selection};
use crate::telemetry::log::Filter;
use crate::telemetry::writer::Destination;

impl Compiler<'_> {
    /// The level takes effect at start alone, but must be good at any time.
    pub(super) fn log_level(&mut self, spec: &spec::Log) {
        if let Err(error) = spec.level.parse::<Filter>() {
            self.issue(Path::root().key("log").key("level"), error);
        }
    }

    pub(super) fn access_log(&mut self, spec: &spec::AccessLog) -> Option<AccessLog> {
        let at = Path::root().key("access_log");
        let destination = match &spec.to {
            AccessLogTarget::Off => return None,
            AccessLogTarget::Stdout => Destination::Stdout,
            AccessLogTarget::File(path) => Destination::File(self.base.join(path)),
        };
        let writer = match self.materials.logs.open(destination) {
            Ok(writer) => writer,
            Err(error) => {
                let why = std::error::Error::source(&error).map(|why| format!(": {why}")).unwrap_or_default();
                self.issue(at.key("to"), format_args!("{error}{why}"));
                return None;
            }
        };
        let selection = Selection {
            fields: spec.fields.clone().unwrap_or_else(|| Selection::default().fields),
            request_headers: spec.request_headers.clone(),
            response_headers: spec.response_headers.clone(),
        };
        match AccessLog::compile(&selection, writer) {
            Ok(log) => Some(log),
            Err(errors) => {
                for wrong in errors {
                    self.issue(at.join(&Path::parse(&wrong.at)), wrong.error);
                }
                None
            }
        }
    }

    /// What holds credentials on one route is logged on none.
    pub(super) fn check_logged_headers(
        &mut self,
        spec: &spec::AccessLog,
        routes: &[Arc<Route>],
        unrouted: &Arc<Route>,
    ) {
        let at = Path::root().key("access_log").key("request_headers");
        for (index, name) in spec.request_headers.iter().enumerate() {
            let holds = |route: &&Arc<Route>| {
                route.chain.secret_headers().any(|secret| name.eq_ignore_ascii_case(secret.as_str()))
            };
            if let Some(route) = routes.iter().chain([unrouted]).find(holds) {
                let message = format!("{name} holds credentials on the route {}", route.name);
                self.issue(at.index(index), message);
            }
        }
    }
}
