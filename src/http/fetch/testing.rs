//! A fake for tests: answers as a script says, and remembers what it was asked.

use std::sync::Mutex;

use super::*;

type Script = dyn Fn(&Request) -> Result<Response, Failure> + Send + Sync;

/// Answers each request at once.
pub(crate) struct Scripted {
    script: Mutex<Box<Script>>,
    asked: Mutex<Vec<Request>>,
}

impl Scripted {
    pub(crate) fn new(
        script: impl Fn(&Request) -> Result<Response, Failure> + Send + Sync + 'static,
    ) -> Self {
        Self { script: Mutex::new(Box::new(script)), asked: Mutex::default() }
    }

    /// From now on it answers otherwise.
    pub(crate) fn answers(
        &self,
        script: impl Fn(&Request) -> Result<Response, Failure> + Send + Sync + 'static,
    ) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

impl Fetch for Scripted {
    fn fetch(&self, request: Request) -> Fetching<'_> {
        let answer = (self.script.lock().unwrap())(&request);
        self.asked.lock().unwrap().push(request);
        Box::pin(std::future::ready(answer))
    }
}

/// An answer with these fields.
pub(crate) fn answer(status: u16, fields: &[(&str, &str)], body: &str) -> Response {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    Response { status: status.try_into().unwrap(), headers, body: body.to_owned().into() }
}
