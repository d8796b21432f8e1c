//! `Edgeward-Cache-Control` and `CDN-Cache-Control`: what an origin tells this cache and no other (RFC 9213).
//!
//! They are structured fields: one syntax error, and the whole field counts for nothing. The first of the list that is
//! valid and not empty decides alone.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, Dictionary, ListEntry};

use super::{Directive, ResponseDirectives};
use crate::http::structured::{Limits, read as read_structured};

/// To caches that work for an origin.
pub const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");
/// To this one.
pub const EDGEWARD_CACHE_CONTROL: HeaderName = HeaderName::from_static("edgeward-cache-control");

/// The most applicable first (RFC 9213 §2.2).
const TARGETS: [HeaderName; 2] = [EDGEWARD_CACHE_CONTROL, CDN_CACHE_CONTROL];

/// A field of all directives there are has 20 parts.
const LIMITS: Limits = Limits { bytes: 4096, parts: 128 };

pub(super) fn read(response: &HeaderMap) -> Option<ResponseDirectives> {
    TARGETS.iter().find_map(|target| {
        let lines = response.get_all(target).iter().map(HeaderValue::as_bytes);
        let members: Dictionary = read_structured(lines, LIMITS).ok()??;
        (!members.is_empty()).then(|| directives(&members))
    })
}

fn directives(members: &Dictionary) -> ResponseDirectives {
    let mut directives = ResponseDirectives { targeted: true, ..ResponseDirectives::default() };
    for (name, member) in members {
        let name = Cow::Borrowed(name.as_str().as_bytes());
        let argument = match member {
            ListEntry::Item(item) => match &item.bare_item {
                BareItem::Boolean(true) => None,
                // `no-store=?0` is not what RFC 9213 §2.1 lets anyone write; it says no.
                BareItem::Boolean(false) => continue,
                BareItem::Integer(seconds) if is_number(&name) => {
                    Some(Cow::Owned(seconds.to_string().into_bytes()))
                }
                BareItem::String(fields) if !is_number(&name) => {
                    Some(Cow::Borrowed(fields.as_str().as_bytes()))
                }
                // A value of another type is not consumed (RFC 9213 §2.1): it is no number, and names no fields.
                _ => Some(Cow::Borrowed(b"".as_slice())),
            },
            ListEntry::InnerList(_) => Some(Cow::Borrowed(b"".as_slice())),
        };
        directives.apply(&Directive { name, argument });
    }
    directives
}

/// Whether the directive's value is an integer, so that `max-age="60"` says nothing.
fn is_number(name: &[u8]) -> bool {
    matches!(name, b"max-age" | b"s-maxage" | b"stale-while-revalidate" | b"stale-if-error")
}
