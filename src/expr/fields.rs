//! The fields of Edgeward's expressions: Cloudflare's names where Cloudflare has the field, and our own.
//!
//! Names, types and meanings are what users rely on; a field that a request has not is missing in it.

use std::fmt;

use super::scheme::Keys::{Dotted, Exact, Folded};
use super::scheme::Kind::{Bool, Bytes, Int, Ip, Json};
use super::scheme::Phase::{RequestHead, Response};
use super::scheme::Type::{Array, ArrayMap, Map, One};
use super::scheme::{Field, Phase, Scheme, Type};

/// All fields that Edgeward knows.
pub static SCHEME: Scheme<Name> = Scheme::new(&FIELDS);

const fn field(id: Name, name: &'static str, ty: Type, known: Phase, doc: &'static str) -> Field<Name> {
    Field { id, name, ty, known, doc }
}

/// A field, by which [`Values`](super::Values) is asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Name {
    /// `auth.method`
    AuthMethod,
    /// `auth.subject`
    AuthSubject,
    /// `basic_auth.user`
    BasicAuthUser,
    /// `consumer.key_id`
    ConsumerKeyId,
    /// `consumer.name`
    ConsumerName,
    /// `consumer.scopes`
    ConsumerScopes,
    /// `consumer.tags`
    ConsumerTags,
    /// `http.cookie`
    HttpCookie,
    /// `http.host`
    HttpHost,
    /// `http.referer`
    HttpReferer,
    /// `http.request.cookies`
    RequestCookies,
    /// `http.request.full_uri`
    RequestFullUri,
    /// `http.request.headers`
    RequestHeaders,
    /// `http.request.headers.names`
    RequestHeadersNames,
    /// `http.request.headers.values`
    RequestHeadersValues,
    /// `http.request.method`
    RequestMethod,
    /// `http.request.scheme`
    RequestScheme,
    /// `http.request.timestamp.sec`
    RequestTimestampSec,
    /// `http.request.uri`
    RequestUri,
    /// `http.request.uri.args`
    RequestUriArgs,
    /// `http.request.uri.args.names`
    RequestUriArgsNames,
    /// `http.request.uri.args.values`
    RequestUriArgsValues,
    /// `http.request.uri.path`
    RequestUriPath,
    /// `http.request.uri.path.extension`
    RequestUriPathExtension,
    /// `http.request.uri.query`
    RequestUriQuery,
    /// `http.request.version`
    RequestVersion,
    /// `http.response.code`
    ResponseCode,
    /// `http.response.content_type.media_type`
    ResponseContentType,
    /// `http.response.headers`
    ResponseHeaders,
    /// `http.response.headers.names`
    ResponseHeadersNames,
    /// `http.response.headers.values`
    ResponseHeadersValues,
    /// `http.user_agent`
    HttpUserAgent,
    /// `http.x_forwarded_for`
    HttpXForwardedFor,
    /// `ip.src`
    IpSrc,
    /// `ip.src.is_loopback`
    IpSrcIsLoopback,
    /// `jwt.aud`
    JwtAud,
    /// `jwt.claims`
    JwtClaims,
    /// `jwt.client_id`
    JwtClientId,
    /// `jwt.iss`
    JwtIss,
    /// `jwt.scopes`
    JwtScopes,
    /// `jwt.sub`
    JwtSub,
    /// `listener.address`
    ListenerAddress,
    /// `path`
    Path,
    /// `request.id`
    RequestId,
    /// `route.name`
    RouteName,
    /// `ssl`
    Ssl,
    /// `tls.cipher`
    TlsCipher,
    /// `tls.client.fingerprint`
    TlsClientFingerprint,
    /// `tls.client.issuer`
    TlsClientIssuer,
    /// `tls.client.san`
    TlsClientSan,
    /// `tls.client.serial`
    TlsClientSerial,
    /// `tls.client.subject`
    TlsClientSubject,
    /// `tls.client.verified`
    TlsClientVerified,
    /// `tls.sni`
    TlsSni,
    /// `tls.version`
    TlsVersion,
}

impl Name {
    /// The filters that find it out; none where it needs none.
    #[must_use]
    pub const fn found_by(self) -> &'static [&'static str] {
        match self {
            Self::BasicAuthUser => &["basic_auth"],
            Self::ConsumerKeyId | Self::ConsumerName | Self::ConsumerScopes | Self::ConsumerTags => {
                &["api_key"]
            }
            Self::JwtAud
            | Self::JwtClaims
            | Self::JwtClientId
            | Self::JwtIss
            | Self::JwtScopes
            | Self::JwtSub => &["jwt", "oauth2_introspection", "oidc_login"],
            _ => &[],
        }
    }
}

impl fmt::Display for Name {
    /// As expressions name it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = FIELDS.iter().find(|field| field.id == *self);
        formatter.write_str(field.map_or("", |field| field.name))
    }
}

/// By name.
const FIELDS: [Field<Name>; 55] = [
    field(
        Name::AuthMethod,
        "auth.method",
        One(Bytes),
        RequestHead,
        "By which filter the caller proved who it is: `jwt`, `api_key`, `basic_auth`, `mtls`.",
    ),
    field(
        Name::AuthSubject,
        "auth.subject",
        One(Bytes),
        RequestHead,
        "Who calls, whichever filter found out.",
    ),
    field(Name::BasicAuthUser, "basic_auth.user", One(Bytes), RequestHead, "User that `basic_auth` let in."),
    field(
        Name::ConsumerKeyId,
        "consumer.key_id",
        One(Bytes),
        RequestHead,
        "Identifier of the API key, never the key itself.",
    ),
    field(
        Name::ConsumerName,
        "consumer.name",
        One(Bytes),
        RequestHead,
        "Consumer that the API key belongs to.",
    ),
    field(Name::ConsumerScopes, "consumer.scopes", Array(Bytes), RequestHead, "Scopes of the API key."),
    field(Name::ConsumerTags, "consumer.tags", Array(Bytes), RequestHead, "Tags of the consumer."),
    field(Name::HttpCookie, "http.cookie", One(Bytes), RequestHead, "The `Cookie` field, as sent."),
    field(
        Name::HttpHost,
        "http.host",
        One(Bytes),
        RequestHead,
        "Host that the request is for, in lower case and without port.",
    ),
    field(Name::HttpReferer, "http.referer", One(Bytes), RequestHead, "The `Referer` field, as sent."),
    field(
        Name::RequestCookies,
        "http.request.cookies",
        ArrayMap(Exact, Bytes),
        RequestHead,
        "Cookies by name, as sent.",
    ),
    field(
        Name::RequestFullUri,
        "http.request.full_uri",
        One(Bytes),
        RequestHead,
        "Scheme, host, path and query: `https://api.example.com/orders?page=2`.",
    ),
    field(
        Name::RequestHeaders,
        "http.request.headers",
        ArrayMap(Folded, Bytes),
        RequestHead,
        "Header fields by name, whatever the case of it, each with the values of all its lines.",
    ),
    field(
        Name::RequestHeadersNames,
        "http.request.headers.names",
        Array(Bytes),
        RequestHead,
        "Names of all header fields, in lower case, one for each line.",
    ),
    field(
        Name::RequestHeadersValues,
        "http.request.headers.values",
        Array(Bytes),
        RequestHead,
        "Values of all header fields, in the order of their names.",
    ),
    field(
        Name::RequestMethod,
        "http.request.method",
        One(Bytes),
        RequestHead,
        "Method, in the case it was sent: `GET`.",
    ),
    field(
        Name::RequestScheme,
        "http.request.scheme",
        One(Bytes),
        RequestHead,
        "`https` or `http`, as the client spoke it to us.",
    ),
    field(
        Name::RequestTimestampSec,
        "http.request.timestamp.sec",
        One(Int),
        RequestHead,
        "When the head of the request was complete, in seconds since 1970.",
    ),
    field(Name::RequestUri, "http.request.uri", One(Bytes), RequestHead, "Path and query: `/orders?page=2`."),
    field(
        Name::RequestUriArgs,
        "http.request.uri.args",
        ArrayMap(Exact, Bytes),
        RequestHead,
        "Parameters of the query by name, names and values as sent; `url_decode` decodes them.",
    ),
    field(
        Name::RequestUriArgsNames,
        "http.request.uri.args.names",
        Array(Bytes),
        RequestHead,
        "Names of all parameters of the query, as sent.",
    ),
    field(
        Name::RequestUriArgsValues,
        "http.request.uri.args.values",
        Array(Bytes),
        RequestHead,
        "Values of all parameters of the query, in the order of their names.",
    ),
    field(
        Name::RequestUriPath,
        "http.request.uri.path",
        One(Bytes),
        RequestHead,
        "Path, normalised: the same one that routing sees.",
    ),
    field(
        Name::RequestUriPathExtension,
        "http.request.uri.path.extension",
        One(Bytes),
        RequestHead,
        "What follows the last dot of the last segment of the path, in lower case: `json`. Missing where there is no dot.",
    ),
    field(
        Name::RequestUriQuery,
        "http.request.uri.query",
        One(Bytes),
        RequestHead,
        "Query without its `?`; empty where there is none.",
    ),
    field(
        Name::RequestVersion,
        "http.request.version",
        One(Bytes),
        RequestHead,
        "Version of the protocol: `HTTP/1.1`, `HTTP/2`.",
    ),
    field(Name::ResponseCode, "http.response.code", One(Int), Response, "Status of the response."),
    field(
        Name::ResponseContentType,
        "http.response.content_type.media_type",
        One(Bytes),
        Response,
        "Media type of the response in lower case, without parameters: `application/json`.",
    ),
    field(
        Name::ResponseHeaders,
        "http.response.headers",
        ArrayMap(Folded, Bytes),
        Response,
        "Header fields of the response, as `http.request.headers`.",
    ),
    field(
        Name::ResponseHeadersNames,
        "http.response.headers.names",
        Array(Bytes),
        Response,
        "Names of all header fields of the response, in lower case, one for each line.",
    ),
    field(
        Name::ResponseHeadersValues,
        "http.response.headers.values",
        Array(Bytes),
        Response,
        "Values of all header fields of the response, in the order of their names.",
    ),
    field(
        Name::HttpUserAgent,
        "http.user_agent",
        One(Bytes),
        RequestHead,
        "The `User-Agent` field, as sent.",
    ),
    field(
        Name::HttpXForwardedFor,
        "http.x_forwarded_for",
        One(Bytes),
        RequestHead,
        "The `X-Forwarded-For` field, as sent: a claim of the client. `ip.src` is what trusted hops say.",
    ),
    field(
        Name::IpSrc,
        "ip.src",
        One(Ip),
        RequestHead,
        "The client's address, after trusted hops were taken off.",
    ),
    field(
        Name::IpSrcIsLoopback,
        "ip.src.is_loopback",
        One(Bool),
        RequestHead,
        "Whether `ip.src` is an address of this host itself (`127.0.0.0/8`, `::1`).",
    ),
    field(Name::JwtAud, "jwt.aud", Array(Bytes), RequestHead, "Audiences of the token, one or many."),
    field(
        Name::JwtClaims,
        "jwt.claims",
        Map(Dotted, Json),
        RequestHead,
        "All claims of the verified token: `jwt.claims[\"groups\"]`.",
    ),
    field(
        Name::JwtClientId,
        "jwt.client_id",
        One(Bytes),
        RequestHead,
        "Client that the token was issued to (RFC 9068).",
    ),
    field(Name::JwtIss, "jwt.iss", One(Bytes), RequestHead, "Issuer of the verified token."),
    field(
        Name::JwtScopes,
        "jwt.scopes",
        Array(Bytes),
        RequestHead,
        "Scopes of the token, each a whole word.",
    ),
    field(Name::JwtSub, "jwt.sub", One(Bytes), RequestHead, "Subject of the verified token."),
    field(
        Name::ListenerAddress,
        "listener.address",
        One(Bytes),
        RequestHead,
        "Address of the listener, as the policy writes it: `0.0.0.0:443`.",
    ),
    field(
        Name::Path,
        "path",
        Map(Dotted, Bytes),
        RequestHead,
        "Segments of the path that the route's template names: `path.order` of `/orders/{order}`.",
    ),
    field(
        Name::RequestId,
        "request.id",
        One(Bytes),
        RequestHead,
        "Identifies the request in logs and answers.",
    ),
    field(Name::RouteName, "route.name", One(Bytes), RequestHead, "Name of the route that the request took."),
    field(Name::Ssl, "ssl", One(Bool), RequestHead, "Whether the client speaks TLS to us."),
    field(Name::TlsCipher, "tls.cipher", One(Bytes), RequestHead, "Cipher suite, as OpenSSL names it."),
    field(
        Name::TlsClientFingerprint,
        "tls.client.fingerprint",
        One(Bytes),
        RequestHead,
        "SHA-256 of the client's certificate, in lower-case hexadecimal.",
    ),
    field(
        Name::TlsClientIssuer,
        "tls.client.issuer",
        One(Bytes),
        RequestHead,
        "Issuer of the client's certificate, as RFC 2253 writes it.",
    ),
    field(
        Name::TlsClientSan,
        "tls.client.san",
        Array(Bytes),
        RequestHead,
        "Names of the client's certificate: DNS names, URIs and mail addresses.",
    ),
    field(
        Name::TlsClientSerial,
        "tls.client.serial",
        One(Bytes),
        RequestHead,
        "Serial number of the client's certificate, in lower-case hexadecimal.",
    ),
    field(
        Name::TlsClientSubject,
        "tls.client.subject",
        One(Bytes),
        RequestHead,
        "Subject of the client's certificate, as RFC 2253 writes it: `CN=billing,O=Example`.",
    ),
    field(
        Name::TlsClientVerified,
        "tls.client.verified",
        One(Bool),
        RequestHead,
        "Whether the client showed a certificate that was verified. Never missing.",
    ),
    field(
        Name::TlsSni,
        "tls.sni",
        One(Bytes),
        RequestHead,
        "Name that the client asked for in the handshake, in lower case.",
    ),
    field(Name::TlsVersion, "tls.version", One(Bytes), RequestHead, "Version of TLS: `TLSv1.2`, `TLSv1.3`."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_stands_at_its_place_with_a_name_of_its_own() {
        for (place, field) in FIELDS.iter().enumerate() {
            assert_eq!(field.id as usize, place, "{}", field.name);
            assert!(!field.doc.is_empty() && field.doc.ends_with('.'), "{}", field.name);
        }
        assert!(FIELDS.is_sorted_by(|one, other| one.name < other.name));
    }

    #[test]
    fn names_are_words_with_dots_between() {
        let word = |word: &str| {
            !word.is_empty()
                && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
        };
        for field in &FIELDS {
            assert!(field.name.split('.').all(word), "{}", field.name);
        }
    }
}
