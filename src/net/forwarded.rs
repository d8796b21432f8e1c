//! Who the client is when trusted proxies stand in between, and what to tell the next hop.
//!
//! A forwarding header is a list that every hop appends to, so only its right end is worth anything: it was
//! written by the peer, which is trusted or not; the element before it by the hop that element names; and so
//! on. The walk goes from the right and ends at the first address that is not trusted, at the first element
//! that is not an address, or after [`MAX_HOPS`]. What is left of that point may be the client's own
//! invention and is not looked at.

mod node;

use std::{fmt::Write as _, net::IpAddr};

use ::http::HeaderValue;

use super::ip_set::IpSet;
use crate::http::fields;

/// Elements looked at. Real chains have fewer than ten; more is an attack or a loop.
pub const MAX_HOPS: usize = 64;

/// Which header carries the chain. One is chosen per listener: believing whichever is there would let a
/// client pick the one its proxy does not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `X-Forwarded-For: 192.0.2.1, 2001:db8::1, [2001:db8::1]:443`.
    XForwardedFor,
    /// `Forwarded: for=192.0.2.1, for="[2001:db8::1]:443";proto=https` (RFC 7239).
    Forwarded,
}

/// The outcome of the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The address to hold responsible; IPv4-mapped addresses come out as IPv4.
    pub address: IpAddr,
    /// How many elements of the header were believed.
    pub hops: usize,
    pub end: End,
}

/// Why the walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At the peer itself or at an address that is not trusted: the usual case.
    Untrusted,
    /// Every hop named is trusted: the client is the left-most, inside the own network.
    Exhausted,
    /// At an element that is malformed, obfuscated or `unknown`; the client is the last hop before it.
    Unreadable,
    /// After [`MAX_HOPS`] elements; the client is the last of them.
    TooManyHops,
}

/// Finds the client.
///
/// `peer` is the connection's other end (or the PROXY protocol's source). `values` are the header's values in
/// the order received, several lines or one. Allocates nothing; an untrusted peer costs one lookup.
pub fn client<I>(peer: IpAddr, trusted: &IpSet, values: I, style: Style) -> Client
where
    I: IntoIterator<Item: AsRef<[u8]>, IntoIter: DoubleEndedIterator>,
{
    let mut client = Client { address: peer.to_canonical(), hops: 0, end: End::Untrusted };
    if !trusted.contains(client.address) {
        return client;
    }
    for value in values.into_iter().rev() {
        let mut rest = Some(value.as_ref());
        while let Some(list) = rest {
            if client.hops == MAX_HOPS {
                return Client { end: End::TooManyHops, ..client };
            }
            let (before, element) = match style {
                Style::XForwardedFor => node::last_plain(list),
                Style::Forwarded => node::last_quoted(list),
            };
            let address = match style {
                Style::XForwardedFor => node::address(element),
                Style::Forwarded => node::forwarded_for(element),
            };
            let Some(address) = address else {
                return Client { end: End::Unreadable, ..client };
            };
            client.address = address.to_canonical();
            client.hops += 1;
            if !trusted.contains(client.address) {
                return client;
            }
            rest = before;
        }
    }
    Client { end: End::Exhausted, ..client }
}

/// The outgoing `X-Forwarded-For`: what is passed on of the incoming values, then the peer.
///
/// Give no values when the peer is not trusted, so that a client cannot write into the chain.
pub fn x_forwarded_for<'a>(existing: impl IntoIterator<Item = &'a HeaderValue>, peer: IpAddr) -> HeaderValue {
    let mut line = Vec::with_capacity(48);
    for value in existing {
        if !value.is_empty() {
            line.extend_from_slice(value.as_bytes());
            line.extend_from_slice(b", ");
        }
    }
    line.extend_from_slice(peer.to_canonical().to_string().as_bytes());
    // Valid values, a comma and an address always make a valid value; were it not so, nothing false is said.
    HeaderValue::from_bytes(&line).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

/// One `Forwarded` element as this hop writes it (RFC 7239 §4), such as
/// `for=192.0.2.1;by="[2001:db8::1]";proto=https;host="api.example.com:8443"`.
///
/// `host` is the `Host` or `:authority` received; it is quoted and escaped as needed.
#[must_use]
pub fn forwarded_element(client: IpAddr, by: Option<IpAddr>, proto: &str, host: Option<&str>) -> String {
    let mut element = String::with_capacity(96);
    write_node(&mut element, "for", client);
    if let Some(by) = by {
        element.push(';');
        write_node(&mut element, "by", by);
    }
    element.push_str(";proto=");
    write_value(&mut element, proto);
    if let Some(host) = host {
        element.push_str(";host=");
        write_value(&mut element, host);
    }
    element
}

fn write_node(out: &mut String, name: &str, address: IpAddr) {
    // Writing to a string cannot fail.
    let _ = match address.to_canonical() {
        IpAddr::V4(address) => write!(out, "{name}={address}"),
        IpAddr::V6(address) => write!(out, "{name}=\"[{address}]\""),
    };
}

/// A token as it is, anything else as a quoted string (RFC 9110 §5.6.4) without what no quoted string may
/// hold.
fn write_value(out: &mut String, value: &str) {
    if fields::is_token(value.as_bytes()) {
        out.push_str(value);
        return;
    }
    out.push('"');
    for character in value.chars().filter(|character| !character.is_control()) {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
}

#[cfg(test)]
mod tests;
