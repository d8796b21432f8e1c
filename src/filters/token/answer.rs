//! What clients are told: challenges (RFC 6750 section 3, RFC 9449 section 7.1) and statuses.

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use super::dpop::NONCE;
use crate::auth::jose::Algorithms;
use crate::auth::jose::fault::{Answer, Fault};
use crate::auth::jose::possession::Scheme;
use crate::filters::{Refusal, credentials};
use crate::values::Problem;

/// By which schemes a route lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::filters) enum Schemes {
    Bearer,
    Dpop,
    Both,
}

/// The answers of one filter.
#[derive(Debug)]
pub(in crate::filters) struct Answers {
    schemes: Schemes,
    /// `realm="…"`
    realm: Box<str>,
    /// `algs="…"`
    algorithms: Box<str>,
    /// `, scope="…"`, or nothing.
    scope: Box<str>,
    /// For who comes with no token.
    challenges: Vec<HeaderValue>,
}

impl Answers {
    pub(in crate::filters) fn compile(
        realm: &str,
        schemes: Schemes,
        algorithms: Algorithms,
        scopes: &[String],
        any_scope: &[String],
    ) -> Result<Self, Problem> {
        let realm = credentials::realm(realm).map_err(|message| Problem::new("realm", message))?;
        let scopes: Vec<_> = scopes.iter().chain(any_scope).map(String::as_str).collect();
        let mut answers = Self {
            schemes,
            realm: realm.into(),
            algorithms: format!("algs=\"{}\"", algorithms.names().collect::<Vec<_>>().join(" ")).into(),
            scope: if scopes.is_empty() {
                "".into()
            } else {
                format!(", scope=\"{}\"", scopes.join(" ")).into()
            },
            challenges: Vec::new(),
        };
        let of = |scheme| answers.challenge(scheme, "");
        answers.challenges = match schemes {
            Schemes::Bearer => vec![of(Scheme::Bearer)],
            Schemes::Dpop => vec![of(Scheme::Dpop)],
            Schemes::Both => vec![of(Scheme::Dpop), of(Scheme::Bearer)],
        };
        Ok(answers)
    }

    /// There is no token: a challenge without an error (RFC 6750 section 3.1).
    pub(in crate::filters) fn missing(&self) -> Refusal {
        let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "token_missing");
        self.challenges
            .iter()
            .fold(refusal, |refusal, challenge| refusal.header(WWW_AUTHENTICATE, challenge.clone()))
    }

    /// There is more than one.
    pub(in crate::filters) fn repeated(&self) -> Refusal {
        let error = ", error=\"invalid_request\", error_description=\"more than one token\"";
        let scheme = if self.schemes == Schemes::Dpop { Scheme::Dpop } else { Scheme::Bearer };
        Refusal::new(StatusCode::BAD_REQUEST, "token_repeated")
            .header(WWW_AUTHENTICATE, self.challenge(scheme, error))
    }

    /// Something is wrong with the token or its proof. `nonce` is asked where the client needs one.
    pub(in crate::filters) fn fault(
        &self,
        fault: Fault,
        came_by: Scheme,
        nonce: impl FnOnce() -> Option<HeaderValue>,
    ) -> Refusal {
        let answer = fault.answer();
        let Some(code) = answer.error_code() else { return unavailable(fault.reason()) };
        let status = if answer == Answer::InsufficientScope {
            StatusCode::FORBIDDEN
        } else {
            StatusCode::UNAUTHORIZED
        };
        let scheme = match (answer, self.schemes, fault) {
            (Answer::InvalidProof | Answer::UseNonce, ..)
            | (_, Schemes::Dpop, _)
            | (_, _, Fault::BoundTokenAsBearer) => Scheme::Dpop,
            _ => came_by,
        };
        let scope = if answer == Answer::InsufficientScope { &*self.scope } else { "" };
        let said = fault.reason().replace('_', " ");
        let error = format!(", error=\"{code}\", error_description=\"{said}\"{scope}");
        let refusal =
            Refusal::new(status, fault.reason()).header(WWW_AUTHENTICATE, self.challenge(scheme, &error));
        match nonce().filter(|_| answer == Answer::UseNonce) {
            Some(nonce) => refusal.header(NONCE, nonce),
            None => refusal,
        }
    }

    fn challenge(&self, scheme: Scheme, error: &str) -> HeaderValue {
        let realm = &self.realm;
        let text = match scheme {
            Scheme::Bearer => format!("Bearer {realm}{error}"),
            Scheme::Dpop => format!("DPoP {realm}{error}, {}", self.algorithms),
        };
        // All of it is printable ASCII.
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
    }
}

/// Nobody can tell now.
pub(in crate::filters) fn unavailable(reason: &'static str) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason).header(RETRY_AFTER, HeaderValue::from_static("5"))
}
