//! Compiling a filter in a test, from a spec written as JSON.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde_json::Value;

use super::{Expressions, Filter, Site, Spec};
use crate::expr::Lists;
use crate::outbound::Outbound;
use crate::state::{Clock, State};
use crate::upstream::resolve::{Answer, Lookup};
use crate::values::Problem;

static NO_LISTS: Lists = Lists::new();
/// Compiles expressions that refer to no list.
pub const EXPRESSIONS: Expressions<'static> = Expressions { lists: &NO_LISTS, finders: None };

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

/// A state in which nothing is counted yet.
pub fn state() -> State {
    State::new(Clock::system())
}

/// Compiles the first filter of its kind on the route `orders`.
pub fn try_compile<S: Spec>(spec: Value, state: &State, base: &Path) -> Result<Box<dyn Filter>, Problem> {
    let spec: S = serde_json::from_value(spec).unwrap();
    spec.compile(&Site {
        route: "orders",
        ordinal: 0,
        state,
        expressions: EXPRESSIONS,
        outbound: &outbound(),
        base,
    })
}

/// The same with a state of its own; the spec must be right.
pub fn compile<S: Spec>(spec: Value) -> Box<dyn Filter> {
    try_compile::<S>(spec, &state(), Path::new("/")).unwrap_or_else(|problem| panic!("{problem}"))
}

/// What is wrong with the spec, in place and words.
pub fn compile_error<S: Spec>(spec: Value) -> String {
    match try_compile::<S>(spec, &state(), Path::new("/")) {
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
