//! From what an operator wrote to a filter that cannot be wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use super::spec::{SessionSpec, Spec};
use super::{KIND, LOGIN_REQUIRED, OidcLogin};
use crate::auth::Issuer;
use crate::auth::oidc::{IdTokens, Lives, Names, Observer, Party, Provider, Seals, Settings, own_path};
use crate::filters::oauth_server::client;
use crate::filters::token::place::Place;
use crate::filters::token::told::Told;
use crate::filters::{Filter, Site};
use crate::http::path::{Rules, normalise};
use crate::http::url::Url;
use crate::values::{Problem, SecretString};

/// Parameters of the authorization request that are not the operator's to say.
const OURS: [&str; 14] = [
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "max_age",
    "request",
    "request_uri",
    "registration",
];
const MOST_PARAMETERS: usize = 32;
const MOST_NAME_BYTES: usize = 64;
const IDLE: Duration = Duration::from_secs(60 * 60);
const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

impl crate::filters::Spec for Spec {
    const KIND: &'static str = KIND;
    const DECIDES: bool = true;
    const NOTHING_SHOWN: Option<&'static str> = Some(LOGIN_REQUIRED);

    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        let issuer = site.issuer("issuer", &self.issuer)?;
        let provider = provider(&issuer, site)?;
        let lives = lives(&self.session)?;
        let names = Names::new(cookie_name(&self.session.cookie)?);
        let challenge = format!("Cookie realm=\"{}\", cookie-name=\"{}\"", site.route, names.session());
        let redirect_path = path("redirect_path", &self.redirect_path, site.paths)?;
        let logout_path = path("logout_path", &self.logout_path, site.paths)?;
        if redirect_path == logout_path {
            return Err(Problem::new("logout_path", "is the `redirect_path`, too"));
        }
        let told = Told::compile(&self.to_headers, &Place::Cookie(names.session().into()))?;
        let settings = Settings {
            client: client(site, &self.client).map_err(|problem| problem.under("client"))?,
            scopes: scopes(&self.scopes)?,
            extra: parameters(&self.parameters)?,
            max_age: self.max_age.map(|time| time.as_secs()),
            callback: redirect_path.to_owned(),
            names,
            seals: seals(&self.session, site)?,
            lives,
            forwards: self.forward_access_token,
            random: Box::new(boring::rand::rand_bytes),
        };
        let id_tokens = IdTokens::new(issuer, &self.client.id);
        let sessions = Arc::clone(&site.issuers.memory().sessions);
        Ok(Box::new(OidcLogin {
            paths: [redirect_path.into(), logout_path.into()],
            after_logout: own("after_logout", &self.after_logout)?.into(),
            logout_at_issuer: self.logout_at_issuer,
            origin: self.origin.as_deref().map(origin).transpose()?.map(Into::into),
            told,
            forwards: self.forward_access_token,
            // A route's name may have quotes and letters that no header takes.
            challenge: HeaderValue::try_from(challenge).unwrap_or(HeaderValue::from_static("Cookie")),
            party: Arc::new(Party::new(settings, provider, id_tokens, sessions)),
        }))
    }
}

fn provider(issuer: &Arc<Issuer>, site: &Site<'_>) -> Result<Provider, Problem> {
    let wrong = |message: &str| Problem::new("issuer", message);
    let reach = issuer
        .reach()
        .ok_or_else(|| wrong("has a `secret` in place of public keys: nobody logs in there"))?;
    let [url] = issuer.verifier().rules.issuers.as_slice() else {
        return Err(wrong("has more than one name"));
    };
    let url: Url = url.parse().map_err(|error| wrong(&format!("its `issuer` is no URL: {error}")))?;
    if url.has_query() {
        return Err(wrong("its `issuer` has a query, so nobody knows where its metadata is"));
    }
    if !url.is_secure() && !url.is_loopback() && !reach.danger_http {
        return Err(wrong("its `issuer` is not https: whoever sits between logs in as anybody"));
    }
    let told = Arc::new(Log { issuer: issuer.name().into(), route: site.route.into() });
    Ok(Provider::new(url, Arc::clone(&reach.fetch), told, site.state.clock.clone()))
}

/// Tells the operator what an issuer does wrong, or what is wrong with us in its eyes.
struct Log {
    issuer: Box<str>,
    route: Box<str>,
}

impl Observer for Log {
    fn failed(&self, what: &'static str, why: &str) {
        log::warn!(issuer = &*self.issuer, route = &*self.route, what, why; "somebody could not log in");
    }
}

fn seals(spec: &SessionSpec, site: &Site<'_>) -> Result<Seals, Problem> {
    let mut secrets = Vec::new();
    for (index, secret) in spec.secrets.iter().enumerate() {
        let at = || format!("session.secrets[{index}]");
        secrets.push(secret.resolve(site.base).map_err(|error| Problem::new(at(), error))?);
    }
    Seals::new(secrets.iter().map(SecretString::expose)).map_err(|problem| problem.under("session.secrets"))
}

fn lives(spec: &SessionSpec) -> Result<Lives, Problem> {
    let whole = spec.lifetime.map_or(LIFETIME, |time| *time);
    let idle = spec.idle.map_or(IDLE.min(whole), |time| *time);
    if idle > whole {
        return Err(Problem::new("session.idle", "is longer than the session's `lifetime`"));
    }
    if idle.as_secs() == 0 {
        return Err(Problem::new("session.idle", "expected a second at least"));
    }
    Ok(Lives { idle: idle.as_secs(), whole: whole.as_secs() })
}

fn cookie_name(name: &str) -> Result<&str, Problem> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (1..=MOST_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_letter) && !name.starts_with("__") {
        return Ok(name);
    }
    Err(Problem::new(
        "session.cookie",
        "expected 1 to 64 letters, digits, `-` and `_`; `__Host-` is put before them",
    ))
}

fn scopes(more: &[String]) -> Result<String, Problem> {
    let is_scope = |scope: &str| {
        !scope.is_empty() && scope.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'))
    };
    if let Some(index) = more.iter().position(|scope| !is_scope(scope)) {
        return Err(Problem::new(
            format!("scopes[{index}]"),
            "expected one scope such as email, without spaces",
        ));
    }
    let more = more.iter().map(String::as_str).filter(|scope| *scope != "openid");
    Ok(["openid"].into_iter().chain(more).collect::<Vec<_>>().join(" "))
}

fn parameters(more: &BTreeMap<String, String>) -> Result<Vec<(String, String)>, Problem> {
    if more.len() > MOST_PARAMETERS {
        return Err(Problem::new("parameters", format_args!("expected at most {MOST_PARAMETERS}")));
    }
    if let Some(name) = more.keys().find(|name| name.is_empty() || OURS.contains(&name.as_str())) {
        return Err(Problem::new(format!("parameters[{name:?}]"), "is said by the filter itself"));
    }
    Ok(more.clone().into_iter().collect())
}

/// A path as requests have it: one that is normal, without a query.
fn path<'a>(at: &str, path: &'a str, rules: Rules) -> Result<&'a str, Problem> {
    match normalise(path.as_bytes(), &rules) {
        Ok(normal) if normal.query().is_none() && normal.path() == path && path != "/" => Ok(path),
        _ => Err(Problem::new(at, "expected a path such as /oauth2/callback, without a query")),
    }
}

/// A path of this host, perhaps with a query.
fn own<'a>(at: &str, path: &'a str) -> Result<&'a str, Problem> {
    if own_path(path) == path {
        return Ok(path);
    }
    Err(Problem::new(at, "expected a path of this host, such as /goodbye"))
}

fn origin(text: &str) -> Result<&str, Problem> {
    let wrong =
        || Problem::new("origin", "expected https:// and a host, without a path: https://app.example.com");
    let url: Url = text.parse().map_err(|_| wrong())?;
    let bare = text.split_once("://").is_some_and(|(scheme, rest)| {
        scheme.bytes().all(|byte| byte.is_ascii_lowercase()) && !rest.contains(['/', '?'])
    });
    let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    if bare && is_lower && (url.is_secure() || url.is_loopback()) { Ok(text) } else { Err(wrong()) }
}
