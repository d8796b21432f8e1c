//! The one table of filters. Adding a filter adds one line.

use super::{
    Spec, api_key, authorize, basic_auth, cache, compress, cors, error_pages, forward_auth, http_signature,
    ip_access, jwt, mtls, oauth2_introspection, oidc_login, rate_limit, request_headers, request_limits,
    response_body, response_headers, token_exchange, waf, webhook_signature,
};

/// Does something with the `Spec` type behind a kind's name.
pub trait Visitor {
    /// What it makes.
    type Output;
    /// Called with the type that belongs to the name.
    fn visit<S: Spec>(self) -> Self::Output;
}

macro_rules! table {
    ($($module:ident),* $(,)?) => {
        /// Every kind's name, in the order of the documentation.
        pub const KINDS: &[&str] = &[$($module::Spec::KIND),*];

        /// Calls the visitor with the `Spec` of `kind`; `None` where there is no such kind.
        pub fn visit<V: Visitor>(kind: &str, visitor: V) -> Option<V::Output> {
            $(if kind == $module::Spec::KIND { return Some(visitor.visit::<$module::Spec>()); })*
            None
        }
    };
}

table![
    ip_access,
    basic_auth,
    api_key,
    jwt,
    oidc_login,
    mtls,
    http_signature,
    webhook_signature,
    oauth2_introspection,
    forward_auth,
    token_exchange,
    authorize,
    cors,
    rate_limit,
    request_limits,
    waf,
    cache,
    request_headers,
    response_headers,
    response_body,
    compress,
    error_pages,
];
