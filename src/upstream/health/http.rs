//! Whether a request gets the expected answer: status, headers, body.

use bytes::BytesMut;
use http::{HeaderName, HeaderValue, Method, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::upstreams::peer::HttpPeer;
use regex::bytes::Regex;

use super::Failure;

/// The part of a body that is read and matched.
const MOST_BODY: usize = 64 * 1024;
pub(super) const USER_AGENT: &str = "edgeward-health-check";

/// An HTTP check that cannot be wrong.
pub(super) struct Probe {
    pub(super) method: Method,
    pub(super) path: String,
    /// In place of the backend's address.
    pub(super) host: Option<HeaderValue>,
    /// Empty: any 2xx.
    pub(super) status: Vec<u16>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Option<Regex>,
}

impl Probe {
    pub(super) async fn probe(
        &self,
        connector: &Connector,
        peer: &HttpPeer,
        authority: &str,
    ) -> Result<(), Failure> {
        let (mut session, _) = connector.get_http_session(peer).await?;
        session.write_request_header(Box::new(self.request(authority)?)).await?;
        session.finish_request_body().await?;
        session.read_response_header().await?;
        self.judge(session.response_header().ok_or(Failure::Malformed)?)?;
        let body = read(&mut session).await?;
        match &self.body {
            Some(expected) if !expected.is_match(&body) => Err(Failure::Body),
            _ => Ok(()),
        }
    }

    fn request(&self, authority: &str) -> Result<RequestHeader, Failure> {
        let mut request = RequestHeader::build(self.method.clone(), self.path.as_bytes(), None)?;
        match &self.host {
            Some(host) => request.insert_header(header::HOST, host)?,
            None => request.insert_header(header::HOST, authority)?,
        }
        request.insert_header(header::USER_AGENT, USER_AGENT)?;
        request.insert_header(header::ACCEPT, "*/*")?;
        Ok(request)
    }

    fn judge(&self, response: &ResponseHeader) -> Result<(), Failure> {
        let status = response.status;
        let expected = match self.status.as_slice() {
            [] => status.is_success(),
            list => list.contains(&status.as_u16()),
        };
        if !expected {
            return Err(Failure::Status(status.as_u16()));
        }
        let differs = |name: &HeaderName, value: &HeaderValue| {
            !response.headers.get_all(name).iter().any(|found| found == value)
        };
        match self.headers.iter().find(|(name, value)| differs(name, value)) {
            Some((name, _)) => Err(Failure::Header(name.clone())),
            None => Ok(()),
        }
    }
}

/// The first part of the body. It is read also where nothing is expected of it: a backend that cannot finish
/// its answer is not well, and one that meets a closed connection would log an error for each probe.
async fn read(session: &mut HttpSession) -> Result<BytesMut, Failure> {
    let mut body = BytesMut::new();
    while let Some(piece) = session.read_response_body().await? {
        body.extend_from_slice(piece.get(..MOST_BODY.saturating_sub(body.len())).unwrap_or(&piece));
        if body.len() >= MOST_BODY {
            break;
        }
    }
    Ok(body)
}
