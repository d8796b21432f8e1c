//! Servers that filters ask: how they are reached. Nobody may read along unless the operator accepted the danger.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::Site;
use crate::http::fetch::Fetch;
use crate::http::url::Url;
use crate::outbound::{Client, Terms};
use crate::tls::{self, ClientSpec};
use crate::values::Problem;

/// Questions under way at a time, of one filter: each may stand for a request that waits.
const AT_ONCE: NonZeroUsize = NonZeroUsize::new(256).expect("it is not zero");
/// Questions that may wait for one of these to end. One more fails at once.
const WAITING: usize = 1024;

/// How a server is reached, as a policy says it.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub url: &'a Url,
    /// The key that names the URL.
    pub at: &'a str,
    pub tls: Option<&'a ClientSpec>,
    pub danger_http: bool,
}

/// A client for questions to that server.
pub(super) fn client(site: &Site<'_>, way: Way<'_>) -> Result<Arc<dyn Fetch>, Problem> {
    let Way { url, at, tls, danger_http } = way;
    if !url.is_secure() && tls.is_some() {
        return Err(Problem::new("tls", format_args!("means nothing where `{at}` is not https")));
    }
    if !url.is_secure() && !url.is_loopback() && !danger_http {
        let message = "expected https: whoever sits between reads all that is asked, and answers as they like. \
                       Where nobody can, write `danger_http: true`";
        return Err(Problem::new(at, message));
    }
    let default = ClientSpec::default();
    let spec = tls.unwrap_or(&default);
    let under_tls = |problem: Problem| problem.under("tls");
    let loaded = tls::Client::load(spec, site.base);
    let loaded = loaded
        .map_err(|problems| problems.into_iter().next().unwrap_or_else(|| Problem::whole("is of no use")))
        .map_err(under_tls)?;
    if url.is_secure() {
        loaded.check_host(url.host()).map_err(under_tls)?;
    }
    let terms = Terms { at_once: AT_ONCE, waiting: WAITING, ..Terms::new(loaded) };
    Ok(Arc::new(Client::new(site.outbound, terms)))
}
