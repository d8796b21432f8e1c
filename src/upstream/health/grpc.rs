//! The gRPC health protocol (`grpc.health.v1.Health/Check`): one unary call over HTTP/2, with two messages so
//! small that they are written and read here by hand.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, header};
use pingora::http::RequestHeader;
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::protocols::http::v2::client::Http2Session;
use pingora_core::protocols::tls::ALPN;
use pingora_core::upstreams::peer::HttpPeer;

use super::Failure;
use super::http::USER_AGENT;

const PATH: &[u8] = b"/grpc.health.v1.Health/Check";
/// More than any answer needs.
const MOST_BODY: usize = 4096;
/// `HealthCheckResponse.ServingStatus.SERVING`.
const SERVING: u64 = 1;
/// Compressed flag and length before each message.
const PREFIX: usize = 5;

/// A gRPC check that cannot be wrong.
pub(super) struct Probe {
    /// The request's body.
    message: Bytes,
}

impl Probe {
    /// Asks for one service; the empty name means the server as a whole.
    pub(super) fn new(service: &str) -> Self {
        let mut field = BytesMut::new();
        if !service.is_empty() {
            // Field 1, length-delimited: `string service`.
            field.put_u8(0x0a);
            put_varint(&mut field, service.len() as u64);
            field.put_slice(service.as_bytes());
        }
        let mut message = BytesMut::new();
        message.put_u8(0);
        message.put_u32(u32::try_from(field.len()).unwrap_or(u32::MAX));
        message.put(field);
        Self { message: message.freeze() }
    }

    pub(super) async fn probe(
        &self,
        connector: &Connector,
        mut peer: HttpPeer,
        authority: &str,
    ) -> Result<(), Failure> {
        peer.options.alpn = ALPN::H2;
        let (session, _) = connector.get_http_session(&peer).await?;
        let HttpSession::H2(mut session) = session else { return Err(Failure::NotHttp2) };
        session.write_request_header(Box::new(request(authority)?), false)?;
        session.write_request_body(self.message.clone(), true).await?;
        session.read_response_header().await?;
        let response = session.response_header().ok_or(Failure::Malformed)?;
        if response.status != 200 {
            return Err(Failure::Status(response.status.as_u16()));
        }
        // An error without a message comes in the headers alone.
        grpc_status(&response.headers)?;
        let body = read(&mut session).await?;
        if let Some(trailers) = session.read_trailers().await? {
            grpc_status(&trailers)?;
        }
        match status(&body).ok_or(Failure::Malformed)? {
            SERVING => Ok(()),
            other => Err(Failure::NotServing(other)),
        }
    }
}

fn request(authority: &str) -> Result<RequestHeader, Failure> {
    let mut request = RequestHeader::build("POST", PATH, None)?;
    request.insert_header(header::HOST, authority)?;
    request.insert_header(header::CONTENT_TYPE, "application/grpc")?;
    request.insert_header(header::TE, "trailers")?;
    request.insert_header(header::USER_AGENT, USER_AGENT)?;
    Ok(request)
}

async fn read(session: &mut Http2Session) -> Result<BytesMut, Failure> {
    let mut body = BytesMut::new();
    while let Some(piece) = session.read_response_body().await? {
        if body.len() + piece.len() > MOST_BODY {
            return Err(Failure::Malformed);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn grpc_status(headers: &HeaderMap) -> Result<(), Failure> {
    match headers.get("grpc-status") {
        Some(status) if status != "0" => {
            Err(Failure::GrpcStatus(String::from_utf8_lossy(status.as_bytes()).into_owned()))
        }
        _ => Ok(()),
    }
}

/// The `status` of a `HealthCheckResponse` in its frame; `None` where it is malformed. Unknown fields are
/// skipped, an absent status is 0 (`UNKNOWN`).
fn status(frame: &[u8]) -> Option<u64> {
    let (prefix, rest) = frame.split_at_checked(PREFIX)?;
    let (flag, length) = prefix.split_first()?;
    let length = usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()?;
    let mut message = rest.get(..length).filter(|_| *flag == 0)?;
    let mut status = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let skipped = match tag & 7 {
            0 => {
                let value = varint(&mut message)?;
                if tag >> 3 == 1 {
                    status = value;
                }
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        message = message.get(skipped..)?;
    }
    Some(status)
}

fn put_varint(buffer: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        buffer.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    buffer.put_u8((value & 0x7f) as u8);
}

/// Takes a varint of at most ten bytes off the front.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_request_as_protobuf_does() {
        assert_eq!(&Probe::new("").message[..], [0, 0, 0, 0, 0]);
        assert_eq!(&Probe::new("ab").message[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = Probe::new(&"a".repeat(300));
        assert_eq!(long.message[..8], [0, 0, 0, 0x01, 0x2f, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn reads_the_status() {
        assert_eq!(status(&[0, 0, 0, 0, 2, 0x08, 1]), Some(1));
        assert_eq!(status(&[0, 0, 0, 0, 3, 0x08, 0x80, 1]), Some(128));
        assert_eq!(status(&[0, 0, 0, 0, 0]), Some(0));
    }

    #[test]
    fn skips_fields_it_does_not_know() {
        let fields = [0x12, 1, b'x', 0x1d, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8, 0x28, 7, 0x08, 2];
        let mut frame = vec![0, 0, 0, 0, u8::try_from(fields.len()).unwrap()];
        frame.extend(fields);
        assert_eq!(status(&frame), Some(2));
    }

    #[test]
    fn refuses_what_is_no_message() {
        for frame in [
            &[][..],
            &[0, 0, 0, 0],
            &[1, 0, 0, 0, 2, 0x08, 1],
            &[0, 0, 0, 0, 3, 0x08, 1],
            &[0, 0, 0, 0, 1, 0x08],
            &[0, 0, 0, 0, 2, 0x12, 9],
            &[0, 0, 0, 0, 1, 0x0b],
            &[0, 0, 0, 0, 11, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            assert_eq!(status(frame), None, "{frame:?}");
        }
    }
}
