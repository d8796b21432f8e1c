//! Conditional requests: those of clients, answered from what is stored, and our own, which ask the origin whether what
//! is stored still holds (RFC 9110 §13, RFC 9111 §4.3).
//!
//! A client's conditions are never sent on together with ours. The origin is asked about the stored response alone, so
//! a 304 can only be about that one, and the client's conditions are answered from the result (§4.3.2).

use std::time::SystemTime;

use http::header::{
    AGE, CONNECTION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE,
    ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::freshness::is_failure;
use super::scalars::{EntityTag, date, entity_tags};
use crate::http::fields::{Direction, is_hop_by_hop, nominated_names};

/// Whether a request must go to the origin as it is: `If-Match` and `If-Unmodified-Since` are about the origin's state,
/// not about what is stored (RFC 9110 §13.1.1, RFC 9111 §4.3.2).
#[must_use]
pub fn is_for_the_origin(request: &HeaderMap) -> bool {
    request.contains_key(IF_MATCH) || request.contains_key(IF_UNMODIFIED_SINCE)
}

/// Whether a client has what is stored already, so that it gets a 304 (RFC 9111 §4.3.2). `status`, `fields` and
/// `received_at` are those of the stored response; conditions do not apply to errors and redirects (RFC 9110 §13.2.1).
#[must_use]
pub fn is_not_modified(
    request: &HeaderMap,
    status: StatusCode,
    fields: &HeaderMap,
    received_at: SystemTime,
) -> bool {
    if !status.is_success() {
        return false;
    }
    if request.contains_key(IF_NONE_MATCH) {
        // A date beside it counts for nothing (RFC 9110 §13.1.3).
        return has_tag(request, fields);
    }
    let mut since = request.get_all(IF_MODIFIED_SINCE).iter();
    let (Some(since), None) = (since.next().and_then(date), since.next()) else { return false };
    let modified = fields.get(LAST_MODIFIED).and_then(date);
    // "SHOULD use the response's Date field value" where there is no Last-Modified (RFC 9111 §4.3.2).
    modified.or_else(|| fields.get(DATE).and_then(date)).unwrap_or(received_at) <= since
}

fn has_tag(request: &HeaderMap, fields: &HeaderMap) -> bool {
    let stored = tag(fields);
    request.get_all(IF_NONE_MATCH).iter().any(|line| {
        let line = line.as_bytes();
        line == b"*" || stored.is_some_and(|stored| entity_tags(line).any(|tag| tag.is_weakly(&stored)))
    })
}

fn tag(fields: &HeaderMap) -> Option<EntityTag<'_>> {
    fields.get(ETAG).and_then(|tag| EntityTag::new(tag.as_bytes()))
}

/// Fields about content that a 304 does not have (RFC 9110 §15.4.5).
const OF_CONTENT: [HeaderName; 5] =
    [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE];

/// Leaves in a response's fields what its 304 has. `Last-Modified` stays only where there is no entity tag to go by.
pub fn reduce_to_not_modified(fields: &mut HeaderMap) {
    remove_content_fields(fields);
    if fields.contains_key(ETAG) {
        fields.remove(LAST_MODIFIED);
    }
}

/// Takes out of a response's fields what is about its content.
pub fn remove_content_fields(fields: &mut HeaderMap) {
    for name in &OF_CONTENT {
        fields.remove(name);
    }
}

/// Takes out of a request what would get less than a whole response: conditions and ranges. What the client asked by
/// them is answered from what comes.
pub fn make_unconditional(request: &mut HeaderMap) {
    for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE] {
        request.remove(name);
    }
    make_whole(request);
}

/// Takes out of a request what would get a part. Conditions stay: where nothing is stored they are likely meant for another
/// server (RFC 9111 §4.3.2).
pub fn make_whole(request: &mut HeaderMap) {
    for name in [IF_RANGE, RANGE] {
        request.remove(name);
    }
}

/// Turns a request into one that asks whether a stored response with these fields still holds (RFC 9111 §4.3.1).
/// Whether it could: without a validator the request is left unconditional.
pub fn make_conditional(request: &mut HeaderMap, fields: &HeaderMap) -> bool {
    make_unconditional(request);
    let tag = fields.get(ETAG).filter(|_| tag(fields).is_some());
    let modified = fields.get(LAST_MODIFIED).filter(|modified| date(modified).is_some());
    for (name, value) in [(IF_NONE_MATCH, tag), (IF_MODIFIED_SINCE, modified)] {
        if let Some(value) = value {
            request.insert(name, value.clone());
        }
    }
    tag.is_some() || modified.is_some()
}

/// What the answer to a validating request means for the stored response (RFC 9111 §4.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It still holds: [`freshened`] gives its new fields.
    Confirmed,
    /// The 304 is about another response. The stored one does not hold; ask again without conditions.
    Mismatch,
    /// The origin failed: see [`super::Freshness::stands_in_for_an_error`].
    Failed,
    /// The answer takes its place.
    Replaced,
}

/// Judges an answer with this status and these fields; `stored` are the fields of the response that was asked about.
#[must_use]
pub fn outcome(status: StatusCode, answer: &HeaderMap, stored: &HeaderMap) -> Outcome {
    match status {
        StatusCode::NOT_MODIFIED if is_about(answer, stored) => Outcome::Confirmed,
        StatusCode::NOT_MODIFIED => Outcome::Mismatch,
        status if is_failure(status) => Outcome::Failed,
        _ => Outcome::Replaced,
    }
}

/// Whether a 304 is about the response with the fields `stored` (RFC 9111 §4.3.4): a strong validator must be the same
/// strong one, a weak one must correspond. One without validators can only be about what we asked for, since nothing
/// else was asked for.
fn is_about(answer: &HeaderMap, stored: &HeaderMap) -> bool {
    if let Some(received) = tag(answer) {
        return tag(stored).is_some_and(|stored| {
            if received.is_weak() { received.is_weakly(&stored) } else { received.is_strongly(&stored) }
        });
    }
    match (answer.get(LAST_MODIFIED), stored.get(LAST_MODIFIED)) {
        (Some(received), Some(stored)) => received == stored || date(received) == date(stored),
        (Some(_), None) => false,
        (None, _) => true,
    }
}

/// The fields of a stored response after a 304, or a HEAD that agrees (RFC 9111 §3.2): those of `answer` take the place
/// of those of their names. Read directives, lifetime and age from these as if the response had just come, and store it
/// by [`super::store::stored_fields`].
///
/// `Content-Length`, `Content-Encoding` and `Content-Range` stay: they tell how the stored bytes are to be read, and those
/// have not changed. A `Date` or `Age` of before says nothing about now.
#[must_use]
pub fn freshened(stored: &HeaderMap, answer: &HeaderMap) -> HeaderMap {
    let mut fields = stored.clone();
    fields.remove(DATE);
    fields.remove(AGE);
    let of_the_bytes = [CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_RANGE];
    let of_the_hop = |name: &HeaderName| {
        let name = name.as_str().as_bytes();
        let nominated = answer.get_all(CONNECTION).iter().map(HeaderValue::as_bytes);
        is_hop_by_hop(name, Direction::Response)
            || nominated_names(nominated).any(|nominated| nominated.eq_ignore_ascii_case(name))
    };
    for name in answer.keys().filter(|name| !of_the_bytes.contains(name) && !of_the_hop(name)) {
        fields.remove(name);
        for value in answer.get_all(name) {
            fields.append(name.clone(), value.clone());
        }
    }
    fields
}

/// Whether a 200 to a HEAD speaks of the same representation as the stored response to a GET (RFC 9111 §4.3.5). If so,
/// its fields are [`freshened`]; if not, it is stale from now on.
#[must_use]
pub fn head_agrees(answer: &HeaderMap, stored: &HeaderMap, stored_length: u64) -> bool {
    let same = |name: &HeaderName| answer.get(name).is_none_or(|value| stored.get(name) == Some(value));
    let length = answer.get(CONTENT_LENGTH).map(|length| std::str::from_utf8(length.as_bytes()));
    let same_length =
        length.is_none_or(|length| length.is_ok_and(|length| length.parse() == Ok(stored_length)));
    same(&ETAG) && same(&LAST_MODIFIED) && same_length
}

#[cfg(test)]
mod tests;
