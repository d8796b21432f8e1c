//! Why a probe failed, in words short and few enough for logs.

use std::time::Duration;

use http::HeaderName;
use pingora_core::{BError, ErrorType};

/// Why a backend is not fit for requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// There is no connection, or it did not hold.
    #[error("{0}")]
    Transport(&'static str),
    #[error("status {0}")]
    Status(u16),
    #[error("header {0} is not as expected")]
    Header(HeaderName),
    #[error("the body is not as expected")]
    Body,
    #[error("the backend speaks HTTP/1.1 alone")]
    NotHttp2,
    #[error("grpc-status {0}")]
    GrpcStatus(String),
    #[error("the service is not serving (status {0})")]
    NotServing(u64),
    #[error("the answer is malformed")]
    Malformed,
}

impl From<BError> for Failure {
    fn from(error: BError) -> Self {
        Self::Transport(match error.etype() {
            ErrorType::ConnectRefused => "connection refused",
            ErrorType::ConnectTimedout => "no connection in time",
            ErrorType::ConnectNoRoute => "no route to it",
            ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError => {
                "the connection was lost"
            }
            ErrorType::InvalidCert => "its certificate does not verify",
            ErrorType::TLSHandshakeFailure | ErrorType::TLSHandshakeTimedout => "no TLS handshake",
            other => other.as_str(),
        })
    }
}
