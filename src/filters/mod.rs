//! Filters: what a route does to a request and its response.
//!
//! A filter is small and pure. It sees an [`Exchange`] and gives a [`Verdict`]; it writes no response, counts no
//! metric and logs nothing, for the [chain](chain) does that once for all of them. Adding one touches its own
//! module, one line in [`table`], one integration test; its page in the reference is generated from its `Spec`.

pub mod api_key;
pub mod authorize;
pub mod basic_auth;
pub mod cache;
mod caller;
pub mod chain;
pub mod compress;
pub mod cors;
mod credentials;
pub mod error_pages;
pub mod exchange;
mod fields;
pub mod forward_auth;
pub mod group;
pub mod header_edits;
pub mod http_signature;
pub mod ip_access;
pub mod jwt;
mod media_type;
pub mod mtls;
pub mod oauth2_introspection;
mod oauth_server;
pub mod oidc_login;
pub mod rate_limit;
mod remote;
mod representation;
pub mod request_headers;
pub mod request_limits;
pub mod response_body;
pub mod response_headers;
pub mod table;
pub mod template;
mod token;
pub mod token_exchange;
pub mod verdict;
pub mod waf;
pub mod webhook_signature;

#[cfg(test)]
mod testing;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderName;
use pingora::http::ResponseHeader;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

pub use caller::{Caller, Proof, TokenText};
use chain::Link;
pub use exchange::{Arriving, Beginning, Exchange, Facts, Hold, Job, Origin, Reading, Slots};
pub use fields::Fields;
pub use verdict::{Refusal, Reply, Step, Verdict};

use crate::auth::keys::Keyring;
use crate::auth::{Issuer, Issuers};
use crate::cache::Shared;
pub use crate::expr::policy::{Condition, Expression, Expressions};
use crate::http::path::Rules;
use crate::outbound::Outbound;
use crate::state::State;
use crate::telemetry::metrics::Metrics;
use crate::values::Problem;
use crate::values::text::quoted;

/// One decision or transformation on the way of a request and its response.
///
/// A filter is shared by all requests of its route, so what belongs to one request goes into its slot
/// ([`Exchange::slot`]).
pub trait Filter: Send + Sync {
    /// The phases this filter takes part in. A chain asks once, when it is built.
    fn phases(&self) -> Phases;

    /// The request headers by which this filter tells upstreams who calls. A client's own are removed from every request,
    /// also on routes without the filter.
    fn vouches_for(&self) -> &[HeaderName] {
        &[]
    }

    /// Whether it cannot do with a part of an answer. It takes `Range` off requests itself; here it says so for those that it
    /// does not see, because the cache answers them.
    fn wants_whole(&self) -> bool {
        false
    }

    /// The filters in it, if it is made of others. What they tell of themselves (headers, parameters, cookies) the chain asks
    /// them.
    fn members(&self) -> &[Link] {
        &[]
    }

    /// The request headers by which this filter is given credentials. No log shows their values.
    fn secret_headers(&self) -> Vec<&HeaderName> {
        Vec::new()
    }

    /// The query parameters by which this filter is given credentials. No log shows their values, also where the filter
    /// was not asked.
    fn secret_parameters(&self) -> Vec<&str> {
        Vec::new()
    }

    /// The name of a cookie that is between browsers and this filter alone. It and its parts (`NAME.2`) go to no upstream,
    /// also on routes without the filter.
    fn secret_cookie(&self) -> Option<&str> {
        None
    }

    /// The paths that this filter answers itself. Some route with it must take them.
    fn answers(&self) -> &[Box<str>] {
        &[]
    }

    /// The request's head, before anything is sent upstream. Edits of `exchange.request` reach the upstream.
    fn on_request<'a>(&'a self, _exchange: &'a mut Exchange<'_>) -> Step<'a> {
        Step::NEXT
    }

    /// A piece of the request body, as it passes, to be looked at: each piece is shown once, also where it is sent to a
    /// second backend. `end` marks the last call. [`Exchange::hold_body`] has pieces wait until they were seen.
    fn on_request_body(
        &self,
        _exchange: &mut Exchange<'_>,
        _body: &mut Option<Bytes>,
        _end: bool,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    /// The response's head, whoever made it ([`Exchange::origin`]): also refusals of other filters pass here, so a
    /// filter must expect an empty slot.
    fn on_response(
        &self,
        _exchange: &mut Exchange<'_>,
        _response: &mut ResponseHeader,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    /// A piece of the response body, as it passes. `end` marks the last call.
    fn on_response_body(
        &self,
        _exchange: &mut Exchange<'_>,
        _body: &mut Option<Bytes>,
        _end: bool,
    ) -> Result<(), Refusal> {
        Ok(())
    }
}

/// What an operator writes after `- kind:`, and how it becomes a [`Filter`].
pub trait Spec: DeserializeOwned + JsonSchema {
    /// The name in the policy, e.g. `ip_access`. It is also the label in metrics and logs.
    const KIND: &'static str;
    /// Whether it can refuse. Only such a filter may run in `mode: shadow`.
    const DECIDES: bool;
    /// Of a filter that finds out who calls, by the head of a request alone: the reason with which it refuses a client that
    /// has shown nothing to go by. Such a filter may stand in `any_of` and `all_of`.
    const NOTHING_SHOWN: Option<&'static str> = None;
    /// Whether it lets in by who asks, or by what is answered. It must have seen a request before the cache answers it.
    const LETS_IN: bool = Self::NOTHING_SHOWN.is_some();

    /// Turns what was written into a filter that cannot be wrong, or says what is wrong with it.
    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem>;
}

/// Where in the policy a filter stands; what it may keep beyond a reload.
pub struct Site<'a> {
    /// The route's name, unique in a policy.
    pub route: &'a str,
    /// How many filters of the same kind come before it on the route.
    pub ordinal: usize,
    /// Whether it only says what it would have done.
    pub shadow: bool,
    /// What outlives snapshots.
    pub state: &'a State,
    /// Compiles expressions.
    pub expressions: Expressions<'a>,
    /// What we ourselves ask of others.
    pub outbound: &'a Arc<Outbound>,
    /// The API keys of consumers; `None` if the policy knows of no consumers and no store.
    pub ring: Option<&'a Arc<Keyring>>,
    /// Who issues tokens, and what is remembered of them.
    pub issuers: &'a Issuers,
    /// How paths are normalised.
    pub paths: Rules,
    /// What firewalls have in common.
    pub waf: &'a waf::Common,
    /// How large the cache is.
    pub cache: &'a cache::Store,
    /// All upstreams of the policy, by name.
    pub upstreams: &'a [&'a str],
    /// Tells apart the policies of routes, by all that goes into one.
    pub fingerprint: &'a [u8; 32],
    /// Whether a filter before this one finds out who calls.
    pub identifies: bool,
    /// What is counted.
    pub metrics: &'a Arc<Metrics>,
    /// Relative paths in the policy start from here.
    pub base: &'a Path,
}

impl Site<'_> {
    /// The issuer of this name, which stands at `at`.
    ///
    /// # Errors
    /// When there is none.
    pub fn issuer(&self, at: &str, name: &str) -> Result<Arc<Issuer>, Problem> {
        self.issuers.named(name).cloned().ok_or_else(|| {
            let known: Vec<_> = self.issuers.names().collect();
            let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
            Problem::new(at, format_args!("no issuer {} in `issuers`: {known}", quoted(name)))
        })
    }

    /// The cache that all routes share, as the policy before left it.
    #[must_use]
    pub fn shared_cache(&self) -> Arc<Shared> {
        cache::shared(self.state, self.cache, self.metrics)
    }
}

/// A set of phases.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Phases(u8);

impl Phases {
    /// [`Filter::on_request`].
    pub const REQUEST: Self = Self(1);
    /// [`Filter::on_request_body`].
    pub const REQUEST_BODY: Self = Self(2);
    /// [`Filter::on_response`].
    pub const RESPONSE: Self = Self(4);
    /// [`Filter::on_response_body`].
    pub const RESPONSE_BODY: Self = Self(8);

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
