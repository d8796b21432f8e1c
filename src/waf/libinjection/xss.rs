//! Scripts in HTML: a value read in the places of a page that it may be put into.

mod html5;
mod names;

use memchr::{memchr, memchr2};

use html5::{Html5, Kind, State};
use names::{Danger, danger_of_attribute, is_dangerous_tag, is_dangerous_url, is_name};

/// Where a value may be put: in text, in a tag, or in the value of an attribute in either quotes.
const CONTEXTS: [State; 5] =
    [State::Data, State::BeforeName, State::Quoted(b'\''), State::Quoted(b'"'), State::Quoted(b'`')];

/// Whether a page with this value in it may run a script from it.
#[must_use]
pub fn is_xss(value: &[u8]) -> bool {
    is_xss_while(value, &mut || true)
}

/// As [`is_xss`], which reads a value up to five times; before each of them `go_on` is asked. If it says no, nothing
/// more is found.
pub fn is_xss_while(value: &[u8], go_on: &mut impl FnMut() -> bool) -> bool {
    // A tag, comment or declaration needs `<`, and an attribute that does something needs a value.
    if memchr2(b'<', b'=', value).is_none() {
        return false;
    }
    CONTEXTS.iter().any(|context| match context {
        State::Quoted(quote) if memchr(*quote, value).is_none() => false,
        _ => go_on() && is_xss_in(value, *context),
    })
}

fn is_xss_in(value: &[u8], context: State) -> bool {
    let mut html = Html5::new(value, context);
    let mut attribute = None;
    while let Some((kind, text)) = html.next() {
        let named = attribute.take();
        let found = match kind {
            Kind::Doctype => true,
            Kind::TagOpen => is_dangerous_tag(text),
            Kind::Comment => is_dangerous_comment(text),
            Kind::AttributeValue => named.is_some_and(|name| is_dangerous_value(name, text)),
            Kind::AttributeName => {
                attribute = Some(text);
                false
            }
            Kind::Other => false,
        };
        if found {
            return true;
        }
    }
    false
}

fn is_dangerous_value(attribute: &[u8], value: &[u8]) -> bool {
    match danger_of_attribute(attribute) {
        None => false,
        Some(Danger::Always) => true,
        Some(Danger::Url) => is_dangerous_url(value),
        Some(Danger::Name) => danger_of_attribute(value).is_some(),
    }
}

/// Comments that Internet Explorer reads: it ends tags at a backtick and knows conditions and imports.
fn is_dangerous_comment(text: &[u8]) -> bool {
    let starts = |start: &[u8]| text.get(..start.len()).is_some_and(|text| text.eq_ignore_ascii_case(start));
    memchr(b'`', text).is_some()
        || (text.len() > 3 && (starts(b"[if") || starts(b"xml")))
        || text.get(..6).is_some_and(|text| is_name(b"IMPORT", text) || is_name(b"ENTITY", text))
}

#[cfg(test)]
mod tests;
