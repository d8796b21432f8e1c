//! Who was let in not long ago, and what makes two requests the same.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::{Cache, about};
use crate::auth::forward::{self, Answer, Shared, Trouble};
use crate::auth::jose::Thumbprint;
use crate::auth::{Answers, digest};
use crate::expr::Phase;
use crate::filters::{Beginning, Exchange, Expression, Fields, Site};
use crate::state::Clock;
use crate::state::flights::Landing;
use crate::values::Problem;

/// Longest list of expressions for one key.
const MOST_EXPRESSIONS: usize = 16;

pub(super) struct Memory {
    ttl: Duration,
    clock: Clock,
    answers: Arc<Answers>,
    /// The digest of what sets this filter apart from others that ask.
    settings: Thumbprint,
    /// What counts besides what the server is shown. `None`: all that it is told.
    expressions: Option<Box<[Expression]>>,
}

impl Memory {
    /// `asked` is where and how the server is asked, `shown` the names of the headers that it is shown.
    pub(super) fn compile(
        spec: &Cache,
        asked: &[&str],
        shown: &[HeaderName],
        site: &Site<'_>,
    ) -> Result<Self, Problem> {
        let sources = spec.key.as_deref().unwrap_or_default();
        if sources.len() > MOST_EXPRESSIONS {
            return Err(Problem::new(
                "cache.key",
                format_args!("expected at most {MOST_EXPRESSIONS} expressions"),
            ));
        }
        let compile = |(index, source): (usize, &String)| {
            site.expressions.expression(&format!("cache.key[{index}]"), source, Phase::RequestHead)
        };
        let expressions = sources.iter().enumerate().map(compile).collect::<Result<Box<[_]>, _>>()?;
        let parts = asked.iter().map(|text| text.as_bytes());
        let parts = parts.chain([&b"shown"[..]]).chain(shown.iter().map(|name| name.as_str().as_bytes()));
        let parts = parts.chain([&b"key"[..]]).chain(sources.iter().map(String::as_bytes));
        Ok(Self {
            ttl: *spec.ttl,
            clock: site.state.clock.clone(),
            answers: Arc::clone(&site.issuers.memory().answers),
            settings: digest(parts),
            expressions: spec.key.is_some().then_some(expressions),
        })
    }

    /// What this request has in common with those that are the same. `None` where that cannot be said.
    pub(super) fn key(
        &self,
        exchange: &Exchange<'_>,
        shown: &[HeaderName],
        body: &Beginning,
    ) -> Option<Thumbprint> {
        let mut parts: Vec<Vec<u8>> = vec![self.settings.as_bytes().to_vec()];
        for name in shown {
            let values = exchange.request.headers.get_all(name).iter().map(HeaderValue::as_bytes);
            // Each with its name, for there may be none or several.
            parts.extend(values.map(|value| [name.as_str().as_bytes(), b":", value].concat()));
        }
        match &self.expressions {
            None => {
                let about = about(exchange);
                let ip = about.client_ip.to_canonical().to_string();
                let whole = [about.method.as_str(), about.scheme, about.target, &ip];
                parts.push(about.authority.to_vec());
                parts.extend(whole.map(|text| text.as_bytes().to_vec()));
            }
            Some(expressions) => {
                let fields = Fields::of_request(exchange);
                for expression in expressions {
                    parts.push(expression.text(&fields).ok()?.into_owned());
                }
            }
        }
        let whole: &[u8] = if body.whole { b"whole" } else { b"partial" };
        Some(digest(parts.iter().map(Vec::as_slice).chain([whole, &body.bytes])))
    }

    pub(super) fn recall(&self, key: &Thumbprint, now_ns: u64) -> Option<Shared> {
        self.answers.verdicts.recall(key, now_ns)
    }

    pub(super) async fn fetch(
        &self,
        key: &Thumbprint,
        now_ns: u64,
        ask: impl Future<Output = Landing<Shared>>,
    ) -> Shared {
        self.answers.verdicts.fetch(key, now_ns, ask).await
    }

    pub(super) fn landing(&self, answer: &Result<Answer, Trouble>) -> Landing<Shared> {
        forward::landing(answer, self.ttl, &self.clock)
    }
}
