//! What an operator writes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::filters::oauth_server::OAuthClient;
use crate::values::{Duration, Secret};

/// Lets in people who log in by a browser at an issuer (`OpenID` Connect, authorization code flow with PKCE), and keeps them
/// logged in by an encrypted cookie.
///
/// Whoever goes to a page without a session is sent to the issuer (302) and comes back to that page; any other request gets
/// 401 `oidc_login_required`, which a page's script can act on. While the issuer is down nobody logs in (503
/// `oidc_unavailable`), and who is logged in stays so until their access token ends. Browsers speak https, or are on this
/// machine: the cookies are `__Host-` cookies.
///
/// Routes that share a login write the same filter, best as a chain. Put `authorize` behind it to ask who may do what:
/// `jwt.claims["groups"]` are those of the ID token.
///
/// ```yaml
/// - oidc_login:
///     issuer: corp
///     client: { id: edge, secret: { env: OIDC_CLIENT_SECRET } }
///     session: { secrets: [{ env: SESSION_SECRET }] }
///     to_headers: { x-user: sub, x-email: email }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "oidc_login")]
pub struct Spec {
    /// Where people log in, by its name in `issuers`. Its `issuer` is a URL, at which its metadata is found.
    pub issuer: String,
    /// Who we are to the issuer. Without `secret` and `private_key` it is a public client, which PKCE alone protects.
    pub client: OAuthClient,
    /// How people stay logged in.
    pub session: SessionSpec,
    /// The path to which the issuer sends browsers back; register it there, with the host before it. A route that runs this
    /// filter must take it. Default: `/oauth2/callback`.
    #[serde(default = "redirect_path")]
    pub redirect_path: String,
    /// The path that logs out, by GET or POST, though not from another site. Default: `/logout`.
    #[serde(default = "logout_path")]
    pub logout_path: String,
    /// The path to which a browser goes when it is logged out; register it at the issuer, too. A page of this filter's routes
    /// would begin the next login. Default: `/`.
    #[serde(default = "root")]
    pub after_logout: String,
    /// Whether logging out ends the session at the issuer as well, where it says how. Default: `true`.
    #[serde(default = "yes")]
    pub logout_at_issuer: bool,
    /// What is asked for besides `openid`. A refresh token, which some issuers give for `offline_access` alone, keeps people
    /// logged in and finds out when they were locked out. Default: `[profile, email]`.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// How long ago the user may have proved who they are; longer ago, the issuer asks again. Default: as the issuer likes.
    pub max_age: Option<Duration>,
    /// More parameters of the authorization request. Example: `{ prompt: select_account, ui_locales: de }`.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// What browsers call this host, where a proxy before this one changes `Host`. Default: https and what the request says.
    /// Example: `https://app.example.com`.
    pub origin: Option<String>,
    /// Request headers that tell the upstream what the ID token says; whatever clients send under these names is removed, on
    /// every route. As `to_headers` of `jwt`. Example: `{ x-user: sub, x-email: email }`.
    #[serde(default)]
    pub to_headers: BTreeMap<String, String>,
    /// Whether the upstream gets the access token, as `Authorization: Bearer …`. It makes the session larger, and no longer
    /// than the token is good, unless there is a refresh token. Default: `false`.
    #[serde(default)]
    pub forward_access_token: bool,
}

/// How people stay logged in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LoginSession")]
pub struct SessionSpec {
    /// What cookies are encrypted with: at least 32 characters each, made with `openssl rand -base64 32`. The first encrypts,
    /// all decrypt: to change it, put a new one before the old, and take the old away a `lifetime` later. All processes that
    /// serve the same people have the same.
    pub secrets: Vec<Secret>,
    /// How long a session lasts without a request, to within a tenth. Default: `1h`.
    pub idle: Option<Duration>,
    /// How long it lasts in all. Default: `12h`.
    pub lifetime: Option<Duration>,
    /// What its cookie is called, behind `__Host-`: letters, digits, `-` and `_`. Two logins on one host need two names.
    /// Default: `edgeward`.
    #[serde(default = "cookie")]
    pub cookie: String,
}

fn redirect_path() -> String {
    "/oauth2/callback".to_owned()
}

fn logout_path() -> String {
    "/logout".to_owned()
}

fn root() -> String {
    "/".to_owned()
}

fn cookie() -> String {
    "edgeward".to_owned()
}

fn scopes() -> Vec<String> {
    ["profile", "email"].map(str::to_owned).into()
}

const fn yes() -> bool {
    true
}
