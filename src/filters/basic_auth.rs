//! HTTP Basic authentication (RFC 7617) against htpasswd lines with bcrypt or argon2id hashes.
//!
//! Passwords are checked off the request threads, a bounded number at a time (`verifier`). An unknown user takes as
//! long as a known one, and both are refused alike. The header that tells the upstream who came in is taken away from
//! every request before anything is decided, so a client cannot bring it along.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

mod credentials;
mod hash;
mod users;
mod verifier;

use credentials::Presented;
use users::Users;
use verifier::{Outcome, Verifier};

use super::credentials::realm;
use super::header_edits::{Head, editable};
use super::{Caller, Exchange, Filter, Phases, Refusal, Site, Step, Verdict};
use crate::values::Problem;

const KIND: &str = "basic_auth";

/// Lets in who knows a name and a password. Refuses with 401 `basic_auth_missing` (no credentials), 401
/// `basic_auth_invalid` (malformed or wrong ones) and 503 `basic_auth_busy` (too many passwords are being checked).
///
/// A right password is remembered for five minutes, a wrong one for five seconds; never the password itself. A user
/// removed from the file is out with the next reload. Against guessing, put `rate_limit` before it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// An htpasswd file: `name:hash` a line, `#` starts a comment line. Hashes are bcrypt (`htpasswd -B`, cost at most
    /// 14) or argon2id (at most 256 MiB); md5, sha1, crypt and plain passwords are errors. Relative to the policy.
    /// Either this or `users`. Example: `/etc/edgeward/htpasswd`.
    #[serde(default)]
    pub users_file: Option<PathBuf>,
    /// The same lines in the policy itself. Either this or `users_file`.
    /// Example: `["alice:$2y$10$…"]`.
    #[serde(default)]
    pub users: Option<Vec<String>>,
    /// What browsers show when they ask for the password, in ASCII. Default: `Restricted`. Example: `Orders API`.
    #[serde(default = "default_realm")]
    pub realm: String,
    /// A header that tells the upstream the name of the user. Whatever a client sends under that name is removed.
    /// Default: none. Example: `x-user`.
    #[serde(default)]
    pub forward_user_as: Option<String>,
    /// Whether `Authorization` is removed before the request goes upstream. Default: `true`. Example: `false`.
    #[serde(default = "default_hide_credentials")]
    pub hide_credentials: bool,
}

fn default_realm() -> String {
    "Restricted".to_owned()
}

const fn default_hide_credentials() -> bool {
    true
}

impl super::Spec for Spec {
    const KIND: &'static str = KIND;
    const DECIDES: bool = true;
    const NOTHING_SHOWN: Option<&'static str> = Some("basic_auth_missing");

    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        let verifier = Verifier::of_process().map_err(Problem::whole)?;
        Ok(Box::new(self.build(site.base, verifier)?))
    }
}

impl Spec {
    fn build(&self, base: &Path, verifier: Arc<Verifier>) -> Result<BasicAuth, Problem> {
        let users = match (&self.users_file, &self.users) {
            (Some(file), None) => Users::from_file(&base.join(file))?,
            (None, Some(lines)) => Users::from_lines(lines)?,
            (None, None) => return Err(Problem::whole("no users: name them in users_file or users")),
            (Some(_), Some(_)) => return Err(Problem::new("users", "either users_file or users, not both")),
        };
        let forward_user_as = self.forward_user_as.as_deref().map(forwarding).transpose();
        Ok(BasicAuth {
            users,
            verifier,
            challenge: challenge(&self.realm).map_err(|message| Problem::new("realm", message))?,
            forward_user_as: forward_user_as.map_err(|message| Problem::new("forward_user_as", message))?,
            hide_credentials: self.hide_credentials,
        })
    }
}

struct BasicAuth {
    users: Users,
    verifier: Arc<Verifier>,
    challenge: HeaderValue,
    forward_user_as: Option<HeaderName>,
    hide_credentials: bool,
}

impl Filter for BasicAuth {
    fn phases(&self) -> Phases {
        Phases::REQUEST
    }

    fn vouches_for(&self) -> &[HeaderName] {
        self.forward_user_as.as_slice()
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        let (name, password) = match Presented::of(&exchange.request.headers) {
            Presented::Nothing => return self.unauthorized("basic_auth_missing").into(),
            Presented::Malformed => return self.unauthorized("basic_auth_invalid").into(),
            Presented::Credentials { name, password } => (name, password),
        };
        let known = self.users.find(&name);
        // Picked for known users as well, so that not even this much time tells them apart.
        let decoy = self.users.decoy(self.verifier.ticket(&[&name]).number());
        let hash = known.map_or(decoy, |user| &user.hash);
        let is_known = known.is_some();
        let listed = if is_known { "known" } else { "unknown" };
        let ticket = self.verifier.ticket(&[&name, &password, hash.text(), listed]);
        let now_ns = exchange.facts.received_ns;
        let admitted = known.map(|user| &user.name);
        if let Some(outcome) = self.verifier.remembered(&ticket, now_ns) {
            return Step::Now(self.conclude(exchange, outcome, admitted));
        }
        let hash = Arc::clone(hash);
        // The password is checked first, so that an unknown user takes no less time.
        let check = move || hash.verify(&password) & is_known;
        Step::Later(Box::pin(async move {
            let outcome = Arc::clone(&self.verifier).check(ticket, now_ns, check).await;
            self.conclude(exchange, outcome, admitted)
        }))
    }
}

impl BasicAuth {
    /// Turns the outcome of a check into a verdict. Nobody is admitted without a name.
    fn conclude(&self, exchange: &mut Exchange<'_>, outcome: Outcome, user: Option<&HeaderValue>) -> Verdict {
        match (outcome, user) {
            (Outcome::Accepted, Some(name)) => {
                if self.hide_credentials {
                    exchange.request.remove(&AUTHORIZATION);
                }
                if let Some(header) = &self.forward_user_as {
                    exchange.request.insert(header, name.clone());
                }
                exchange.identify(Caller::named(KIND, String::from_utf8_lossy(name.as_bytes())));
                Verdict::Next
            }
            (Outcome::Busy, _) => {
                let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "basic_auth_busy");
                Verdict::Refuse(Box::new(refusal.header(RETRY_AFTER, HeaderValue::from_static("1"))))
            }
            _ => Verdict::Refuse(Box::new(self.unauthorized("basic_auth_invalid"))),
        }
    }

    fn unauthorized(&self, reason: &'static str) -> Refusal {
        Refusal::new(StatusCode::UNAUTHORIZED, reason).header(WWW_AUTHENTICATE, self.challenge.clone())
    }
}

fn forwarding(name: &str) -> Result<HeaderName, String> {
    match editable(name)? {
        AUTHORIZATION => {
            Err("authorization holds the credentials: name another header, such as x-user".to_owned())
        }
        header => Ok(header),
    }
}

/// `Basic realm="…", charset="UTF-8"`.
fn challenge(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::try_from(format!("Basic {}, charset=\"UTF-8\"", realm(text)?))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
