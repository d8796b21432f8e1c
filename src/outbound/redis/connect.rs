//! One connection: the stream, by Pingora's connector with our terms of TLS, and the login on it.

use std::net::SocketAddr;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::protocols::Stream;
use pingora_core::protocols::l4::socket::SocketAddr as Endpoint;
use pingora_core::upstreams::peer::HttpPeer;
use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, ErrorKind, ProtocolVersion, RedisConnectionInfo, RedisError, RedisResult, cmd,
};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::{Address, Failure, Terms};
use crate::http::fetch;
use crate::outbound::{MOST_ADDRESSES, Outbound, connect as connect_first, peer};

/// A connection; clones share it, and it ends with the last of them.
#[derive(Clone)]
pub(super) struct Connection {
    inner: MultiplexedConnection,
    _driver: Arc<Driver>,
}

/// Moves bytes between the socket and those who ask.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why there is no answer, and whether the connection is of no more use.
pub(super) struct Broken {
    pub failure: Failure,
    pub fatal: bool,
}

impl Connection {
    /// Asks something; at the end of `time` there is no answer.
    pub async fn within<'a, T, F>(
        &'a mut self,
        time: Duration,
        ask: impl FnOnce(&'a mut MultiplexedConnection) -> F,
    ) -> Result<T, Broken>
    where
        F: Future<Output = RedisResult<T>>,
    {
        match timeout(time, ask(&mut self.inner)).await {
            Ok(answer) => answer.map_err(|error| broken(&error)),
            Err(_) => Err(Broken { failure: Failure::Timeout(time), fatal: true }),
        }
    }
}

/// Connects and logs in, in the time that the terms give. With `pushes`, what the server announces goes there, in RESP 3.
pub(super) async fn connect(
    outbound: &Outbound,
    terms: &Terms,
    pushes: Option<Arc<dyn AsyncPushSender>>,
) -> Result<Connection, Failure> {
    let connecting = async {
        let stream = stream(outbound, terms).await?;
        let mut config = AsyncConnectionConfig::new().set_response_timeout(None);
        let mut info = RedisConnectionInfo::default().set_db(terms.database.into()).set_skip_set_lib_name();
        if let Some(pushes) = pushes {
            config = config.set_push_sender(pushes);
            info = info.set_protocol(ProtocolVersion::RESP3);
        }
        if let Some(username) = &terms.username {
            info = info.set_username(username);
        }
        if let Some(password) = &terms.password {
            info = info.set_password(password.expose());
        }
        let connected = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (inner, driver) = connected.map_err(|error| Failure::Connect(told(&error)))?;
        let driver = Arc::new(Driver(tokio::spawn(driver).abort_handle()));
        let mut connection = Connection { inner, _driver: driver };
        // One that takes connections and says nothing is as good as none, and a login that is missing is told here.
        let ping = cmd("PING").query_async::<()>(&mut connection.inner).await;
        ping.map_err(|error| Failure::Connect(told(&error)))?;
        Ok(connection)
    };
    let late = || Failure::Connect(format!("no connection within {:?}", terms.connect_within));
    timeout(terms.connect_within, connecting).await.unwrap_or_else(|_| Err(late()))
}

async fn stream(outbound: &Outbound, terms: &Terms) -> Result<Stream, Failure> {
    let peers = peers(outbound, terms).await?;
    let connected = connect_first(outbound.connector(), &peers).await;
    connected.map(|(stream, _)| stream).map_err(|failure| match failure {
        fetch::Failure::Connect(why) => Failure::Connect(why),
        other => Failure::Connect(other.to_string()),
    })
}

/// Where it is, one peer for each address worth trying.
async fn peers(outbound: &Outbound, terms: &Terms) -> Result<Vec<HttpPeer>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Connect(error.to_string());
    // Kept by us, not by Pingora's pool.
    let idle = Duration::ZERO;
    match &terms.address {
        Address::Unix(path) => {
            let socket = UnixAddr::from_pathname(path).map_err(|error| failed(&error))?;
            Ok(vec![peer(Endpoint::Unix(socket), None, terms.connect_within, idle)])
        }
        Address::Tcp { secure, host, port } => {
            let addresses = outbound.names.addresses(host).await.map_err(|error| failed(&error))?;
            let tls = secure.then_some((&terms.tls, &**host));
            let endpoint = |ip| Endpoint::Inet(SocketAddr::new(ip, *port));
            let peer = |ip: &std::net::IpAddr| peer(endpoint(*ip), tls, terms.connect_within, idle);
            Ok(addresses.iter().take(MOST_ADDRESSES).map(peer).collect())
        }
    }
}

/// What the library says, in our words.
fn broken(error: &RedisError) -> Broken {
    // A server that became a replica, as after a failover, will not be the right one again soon.
    let moved = matches!(error.code(), Some("READONLY" | "MASTERDOWN"));
    let lost = error.is_connection_dropped() || error.is_io_error() || error.is_unrecoverable_error();
    let failure = if lost && !moved { Failure::Lost(told(error)) } else { Failure::Refused(told(error)) };
    Broken { failure, fatal: lost || moved }
}

fn told(error: &RedisError) -> String {
    match (error.kind(), error.detail()) {
        (ErrorKind::AuthenticationFailed, _) => "the login was refused: wrong user or password".to_owned(),
        _ => error.to_string(),
    }
}
