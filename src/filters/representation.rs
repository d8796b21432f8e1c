//! What a response's head says of the bytes of its body, made true again by filters that change them.

use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Version};
use pingora::http::{RequestHeader, ResponseHeader};

/// Says of bytes that are not known beforehand; ranges would be of the old ones.
const OF_THE_BYTES: [HeaderName; 5] = [
    ACCEPT_RANGES,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// The bytes may be others than those that the head was made for.
pub(super) fn bytes_change(response: &mut ResponseHeader) {
    for name in &OF_THE_BYTES {
        response.remove_header(name);
    }
}

/// So may their number.
pub(super) fn length_changes(request: &RequestHeader, response: &mut ResponseHeader) {
    bytes_change(response);
    response.remove_header(&CONTENT_LENGTH);
    let bodiless = request.method == http::Method::HEAD || response.status == http::StatusCode::NOT_MODIFIED;
    if request.version == Version::HTTP_11 && !bodiless {
        response.set_version(Version::HTTP_11);
        _ = response.insert_header(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}
