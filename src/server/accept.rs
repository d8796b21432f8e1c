//! From a listening socket to guarded streams: who may connect, for whom it speaks, and TLS.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use pingora_core::protocols::{Ssl, Stream};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::Shared;
use super::serve::serve;
use super::sockets::Listener;
use crate::http::problem::{CONTENT_TYPE, Problem, phrase};
use crate::net::proxy_protocol::{self, Parsed};
use crate::net::{IpSet, ListenAddress};
use crate::policy::Door;
use crate::proxy::{CLIENT_TOO_SLOW, Connection, Guard, Remains, Socket, Wire};
use crate::telemetry::metrics::{CloseReason, HandshakeFailure};
use crate::tls::{HandshakeError, Reason, TlsFacts};

/// How long accepting rests when there are no descriptors left: others must end first.
const EXHAUSTED_REST: Duration = Duration::from_millis(100);

/// Accepts on one socket until the task is aborted. A connection that was accepted has a task of its own before that
/// can happen: nothing may be awaited in between.
pub async fn accept(listener: Listener, address: ListenAddress, shared: Arc<Shared>) {
    loop {
        match next(&listener).await {
            Ok((socket, peer)) => {
                let snapshot = shared.snapshot.load();
                // The listener may have left the policy a moment ago.
                let Some(door) = snapshot.door(&address).cloned() else { continue };
                let Some(open) = shared.open(snapshot.process.max_connections) else {
                    door.metrics.accepted();
                    door.metrics.closed(CloseReason::Refused);
                    continue;
                };
                let shared = shared.clone();
                tokio::spawn(async move {
                    let _open = open;
                    door.metrics.accepted();
                    let reason = connection(&shared, &door, socket, peer).await;
                    door.metrics.closed(reason);
                });
            }
            Err(error) if is_exhausted(&error) => {
                log::error!(error:% = error; "cannot accept");
                tokio::time::sleep(EXHAUSTED_REST).await;
            }
            // The client was gone before it was accepted.
            Err(error) => log::debug!(error:% = error; "cannot accept"),
        }
    }
}

/// The next client; one that came by a Unix socket has no address.
pub async fn next(listener: &Listener) -> io::Result<(Socket, Option<SocketAddr>)> {
    match listener {
        Listener::Tcp(tcp) => tcp.accept().await.map(|(tcp, peer)| (Socket::Tcp(tcp), Some(peer))),
        Listener::Unix(unix) => unix.accept().await.map(|(unix, _)| (Socket::Unix(unix), None)),
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// Serves one connection, and says why it ended.
async fn connection(
    shared: &Arc<Shared>,
    door: &Arc<Door>,
    socket: Socket,
    peer: Option<SocketAddr>,
) -> CloseReason {
    let mut closing = shared.closing();
    let arrived = tokio::select! {
        biased;
        // In a box, for a connection that idles has arrived and needs none of this any more.
        arrived = Box::pin(arrive(door, socket, peer)) => arrived,
        _ = closing.wait_for(|closing| *closing) => return CloseReason::Shutdown,
    };
    let (stream, connection, remains) = match arrived {
        Ok(arrived) => arrived,
        Err(reason) => return reason,
    };
    serve(&shared.proxy, stream, door.h2c, &door.limits, &shared.draining(), &mut closing).await;
    if connection.fault().is_some_and(|fault| fault.reason == CLIENT_TOO_SLOW) {
        remains.reset();
    } else {
        remains.close(connection.is_unread()).await;
    }
    match connection.fault() {
        Some(fault) if fault.status == 408 => CloseReason::Timeout,
        Some(_) => CloseReason::Protocol,
        None if *shared.draining().borrow() => CloseReason::Shutdown,
        None => CloseReason::Done,
    }
}

/// What comes before the first byte of HTTP.
async fn arrive(
    door: &Arc<Door>,
    socket: Socket,
    peer: Option<SocketAddr>,
) -> Result<(Stream, Arc<Connection>, Arc<Remains>), CloseReason> {
    let within = door.limits.handshake_timeout;
    let peer_ip = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip().to_canonical());
    let (socket, unread, client_ip) = match &door.proxy_protocol {
        None => (socket, Vec::new(), peer_ip),
        Some(trusted) => {
            let introduced = tokio::time::timeout(within, introduced(socket, peer_ip, trusted));
            introduced.await.map_err(|_| CloseReason::Timeout)??
        }
    };
    if let Socket::Tcp(tcp) = &socket {
        // A connection that cannot be tuned is served all the same.
        drop(tcp.set_nodelay(true));
    }
    let wire = Wire::new(socket, unread);
    let remains = wire.remains();
    let Some(acceptor) = &door.tls else {
        let connection = Connection::new(door.clone(), peer_ip, client_ip, None);
        return Ok((Box::new(Guard::new(wire, connection.clone())), connection, remains));
    };
    let stream = match acceptor.accept(wire.with_read_ahead(), within).await {
        Ok(stream) => stream,
        Err(error) => {
            if error.reason == Reason::PlainHttp {
                remains.say(&told_to_use_tls()).await;
            }
            return Err(failed(door, client_ip, &error));
        }
    };
    let digest = stream.get_ssl_digest();
    let facts = digest.and_then(|digest| digest.extension.get::<TlsFacts>().cloned()).map(Arc::new);
    let connection = Connection::new(door.clone(), peer_ip, client_ip, facts);
    Ok((Box::new(Guard::new(stream, connection.clone())), connection, remains))
}

/// What a client hears that speaks plain HTTP where TLS is spoken. There is no request that it could be the answer to, so it
/// has no id and stands in no access log; the handshake counts as failed.
fn told_to_use_tls() -> Vec<u8> {
    let problem = Problem {
        status: StatusCode::BAD_REQUEST,
        reason: "plain_http",
        request_id: None,
        detail: Some("this port speaks HTTPS"),
        instance: None,
    };
    let body = problem.to_json();
    let head = format!(
        "HTTP/1.1 400 {}\r\ncontent-type: {CONTENT_TYPE}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        phrase(problem.status),
        body.len()
    );
    [head.into_bytes(), body].concat()
}

fn failed(door: &Door, client_ip: IpAddr, error: &HandshakeError) -> CloseReason {
    let (failure, reason) = match error.reason {
        Reason::Timeout => (HandshakeFailure::Timeout, CloseReason::Timeout),
        Reason::Closed => (HandshakeFailure::Closed, CloseReason::Client),
        Reason::PlainHttp
        | Reason::NotTls
        | Reason::NoSharedCipher
        | Reason::ProtocolVersion
        | Reason::NoApplicationProtocol => (HandshakeFailure::Protocol, CloseReason::Protocol),
        Reason::ClientAlert => (HandshakeFailure::ClientAlert, CloseReason::Client),
        Reason::ClientCertificateRequired
        | Reason::UnknownCa
        | Reason::ClientCertificateExpired
        | Reason::ClientCertificateRevoked
        | Reason::ClientCertificateInvalid
        | Reason::RevocationUnknown => (HandshakeFailure::ClientCertificate, CloseReason::Protocol),
        Reason::Other => (HandshakeFailure::Other, CloseReason::Protocol),
    };
    log::debug!(listener = &*door.name, client_ip:%, reason = error.reason.label(), error = error.detail.as_str(); "handshake failed");
    door.metrics.handshake_failed(failure);
    reason
}

/// Reads the PROXY header that a trusted peer must send first.
async fn introduced(
    socket: Socket,
    peer_ip: IpAddr,
    trusted: &IpSet,
) -> Result<(Socket, Vec<u8>, IpAddr), CloseReason> {
    let Socket::Tcp(mut tcp) = socket else { return Ok((socket, Vec::new(), peer_ip)) };
    if !trusted.contains(peer_ip) {
        return Err(CloseReason::Refused);
    }
    let mut buffer = Vec::with_capacity(proxy_protocol::V1_MAX_BYTES);
    loop {
        match proxy_protocol::parse(&buffer) {
            Parsed::Complete { header, consumed } => {
                let client = header.source().map_or(peer_ip, |source| source.ip().to_canonical());
                let unread = buffer.get(consumed..).unwrap_or_default().to_vec();
                return Ok((Socket::Tcp(tcp), unread, client));
            }
            Parsed::Invalid(_) => return Err(CloseReason::Protocol),
            Parsed::Incomplete { .. } => read_more(&mut tcp, &mut buffer).await?,
        }
    }
}

async fn read_more(tcp: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(), CloseReason> {
    match tcp.read_buf(buffer).await {
        Ok(0) => Err(CloseReason::Client),
        Ok(_) => Ok(()),
        Err(_) => Err(CloseReason::Broken),
    }
}
