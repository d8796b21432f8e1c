//! Compiling a filter in a test, from a spec written as JSON.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde_json::Value;

use super::{Expressions, Filter, Site, Spec, cache, waf};
use crate::auth::{Issuers, Memory};
use crate::expr::Lists;
use crate::http::path::Rules;
use crate::outbound::Outbound;
use crate::state::{Clock, State};
use crate::telemetry::metrics::{Build, Metrics};
use crate::upstream::resolve::{Answer, Lookup};
use crate::values::Problem;

static NO_LISTS: Lists = Lists::new();
/// Compiles expressions that refer to no list.
pub const EXPRESSIONS: Expressions<'static> = Expressions { lists: &NO_LISTS, finders: None, segments: None };

/// A way out that leads nowhere.
pub fn outbound() -> Arc<Outbound> {
    struct Nobody;

    #[async_trait::async_trait]
    impl Lookup for Nobody {
        async fn addresses(&self, _: &str) -> Result<Answer, String> {
            Err("there is nobody".into())
        }
    }

    Outbound::new(Arc::new(Nobody), Clock::system())
}

/// No issuers.
pub fn issuers() -> Issuers {
    Issuers::new(Arc::new(Memory::new(Clock::system()).unwrap()))
}

/// What surrounds filters: nothing counted yet, nobody to ask.
pub struct Ground {
    pub state: State,
    pub outbound: Arc<Outbound>,
    pub issuers: Issuers,
    pub waf: waf::Common,
    pub cache: cache::Store,
    pub metrics: Arc<Metrics>,
}

impl Ground {
    pub fn new() -> Self {
        let build = Build { version: "0", revision: "", tls: "" };
        Self {
            state: State::new(Clock::system()),
            outbound: outbound(),
            issuers: issuers(),
            waf: waf::Common::default(),
            cache: cache::Store::default(),
            metrics: Arc::new(Metrics::new(build).unwrap()),
        }
    }

    /// The place of the first filter of its kind on the route `orders`.
    pub fn site(&self) -> Site<'_> {
        Site {
            route: "orders",
            ordinal: 0,
            shadow: false,
            state: &self.state,
            expressions: EXPRESSIONS,
            outbound: &self.outbound,
            issuers: &self.issuers,
            ring: None,
            paths: Rules::default(),
            waf: &self.waf,
            cache: &self.cache,
            upstreams: &["app", "parents"],
            fingerprint: &[0; 32],
            identifies: false,
            metrics: &self.metrics,
            base: Path::new("/"),
        }
    }

    /// Compiles the first filter of its kind on the route `orders`, where paths start at `base`.
    pub fn try_compile<S: Spec>(&self, spec: Value, base: &Path) -> Result<Box<dyn Filter>, Problem> {
        let spec: S = serde_json::from_value(spec).unwrap();
        spec.compile(&Site { base, ..self.site() })
    }
}

/// The same, on ground of its own.
pub fn try_compile<S: Spec>(spec: Value, base: &Path) -> Result<Box<dyn Filter>, Problem> {
    Ground::new().try_compile::<S>(spec, base)
}

/// The same; the spec must be right.
pub fn compile<S: Spec>(spec: Value) -> Box<dyn Filter> {
    try_compile::<S>(spec, Path::new("/")).unwrap_or_else(|problem| panic!("{problem}"))
}

/// What is wrong with the spec, in place and words.
pub fn compile_error<S: Spec>(spec: Value) -> String {
    match try_compile::<S>(spec, Path::new("/")) {
        Ok(_) => panic!("compiled"),
        Err(problem) => problem.to_string(),
    }
}

/// Why the spec cannot even be read.
pub fn read_error<S: Spec>(spec: Value) -> String {
    match serde_json::from_value::<S>(spec) {
        Ok(_) => panic!("read"),
        Err(error) => error.to_string(),
    }
}

/// Polls to the end; gives the output and how many polls it took.
pub fn run<F: Future>(future: F) -> (F::Output, u32) {
    let mut future = pin!(future);
    for polls in 1..100 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return (output, polls);
        }
    }
    panic!("never ready");
}
