//! What a browser says of its own request: who it thinks we are, and whether somebody looks at the answer.

use http::Method;
use http::header::{ACCEPT, HOST};

use crate::filters::Exchange;
use crate::http::fields::list;
use crate::http::url::Url;

/// Whether a browser goes to a page, so that it can be sent elsewhere: by `Sec-Fetch-Mode` (W3C Fetch Metadata), which no
/// script can set; in browsers without it, by a GET for HTML.
pub(super) fn is_navigation(exchange: &Exchange<'_>) -> bool {
    if ![Method::GET, Method::HEAD].contains(&exchange.request.method) {
        return false;
    }
    match exchange.header("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => accepts_html(exchange) && exchange.header("x-requested-with").is_none(),
    }
}

fn accepts_html(exchange: &Exchange<'_>) -> bool {
    let is_html = |range: &[u8]| {
        range
            .split(|byte| *byte == b';')
            .next()
            .is_some_and(|range| range.trim_ascii().eq_ignore_ascii_case(b"text/html"))
    };
    exchange.request.headers.get_all(ACCEPT).iter().flat_map(|line| list(line.as_bytes())).any(is_html)
}

/// What the browser calls us: `https://app.example.com`. Cookies come by https alone, so that is what it speaks, whoever
/// ends TLS before us; but to this very machine, which browsers trust without.
pub(super) fn origin(exchange: &Exchange<'_>, written: Option<&str>) -> Option<String> {
    if let Some(origin) = written {
        return Some(origin.to_owned());
    }
    let host = exchange.request.headers.get(HOST)?.to_str().ok()?;
    let plain: Url = format!("http://{host}").parse().ok()?;
    if plain.as_str().len() != "http://".len() + host.len() || plain.target() != "/" {
        return None;
    }
    let scheme = if exchange.facts.scheme == "http" && plain.is_loopback() { "http" } else { "https" };
    Some(format!("{scheme}://{}", host.to_ascii_lowercase()))
}
