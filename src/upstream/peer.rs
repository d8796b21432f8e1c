//! What Pingora connects to: a peer for each backend, made once and cloned for each try.
//!
//! Pingora waits for ever unless told otherwise, so every timeout is always set. HTTP/2 pings stay off: gRPC
//! servers close connections that ping more often than every five minutes. TCP keep-alive finds dead
//! connections instead.

use std::time::Duration;

use pingora_core::protocols::TcpKeepalive;
use pingora_core::protocols::l4::socket::SocketAddr as Endpoint;
use pingora_core::protocols::tls::ALPN;
use pingora_core::upstreams::peer::{HttpPeer, PeerOptions, Scheme};

use super::spec::{Connections, Protocol, Timeouts};
use crate::tls::Client;

/// What the peers of an upstream have in common.
pub(super) struct Template {
    pub(super) protocol: Protocol,
    pub(super) timeouts: Timeouts,
    pub(super) connections: Connections,
    pub(super) tls: Option<Client>,
}

impl Template {
    /// The peer at `endpoint`, which the policy calls `host`.
    pub(super) fn peer(&self, endpoint: Endpoint, host: &str) -> HttpPeer {
        let mut peer = HttpPeer {
            _address: endpoint,
            scheme: Scheme::from_tls_bool(self.tls.is_some()),
            sni: String::new(),
            proxy: None,
            client_cert_key: None,
            // Pingora remembers by pool key which peers fall back to HTTP/1.1, so protocols must not share
            // one.
            group_key: self.protocol as u64,
            options: self.options(),
        };
        if let Some(tls) = &self.tls {
            tls.apply(&mut peer, host);
        }
        peer
    }

    fn options(&self) -> PeerOptions {
        let mut options = PeerOptions::new();
        // The total includes TLS; the other one would be another timer for the same wait.
        options.total_connection_timeout = Some(*self.timeouts.connect);
        options.read_timeout = Some(*self.timeouts.read);
        options.write_timeout = Some(*self.timeouts.write);
        options.idle_timeout = Some(*self.timeouts.idle);
        options.max_h2_streams = self.connections.max_h2_streams.get();
        options.tcp_keepalive = Some(keepalive());
        options.alpn = match (self.protocol, &self.tls) {
            (Protocol::Http2 | Protocol::Grpc, _) => ALPN::H2,
            (Protocol::Auto, Some(_)) => ALPN::H2H1,
            (Protocol::Auto, None) | (Protocol::Http1, _) => ALPN::H1,
        };
        options
    }
}

/// A dead connection is noticed within a minute.
const fn keepalive() -> TcpKeepalive {
    TcpKeepalive {
        idle: Duration::from_secs(30),
        interval: Duration::from_secs(10),
        count: 3,
        user_timeout: Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pingora_core::upstreams::peer::{H1UpgradePolicy, Peer};

    use super::*;
    use crate::tls::ClientSpec;

    fn template(protocol: Protocol, tls: Option<ClientSpec>) -> Template {
        let timeouts = "{ connect: 1s, read: 2s, write: 3s, idle: 4s }";
        Template {
            protocol,
            timeouts: serde_yaml::from_str(timeouts).unwrap(),
            connections: serde_yaml::from_str("{ max_h2_streams: 7 }").unwrap(),
            tls: tls.map(|spec| Client::load(&spec, Path::new("/")).unwrap()),
        }
    }

    fn peer(protocol: Protocol, tls: Option<ClientSpec>) -> HttpPeer {
        let endpoint = Endpoint::Inet("10.0.0.1:8443".parse().unwrap());
        template(protocol, tls).peer(endpoint, "orders.internal")
    }

    #[test]
    fn has_every_timeout_and_limit_of_the_policy() {
        let options = peer(Protocol::Http1, None).options;
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(options.total_connection_timeout, seconds(1));
        assert_eq!(options.read_timeout, seconds(2));
        assert_eq!(options.write_timeout, seconds(3));
        assert_eq!(options.idle_timeout, seconds(4));
        assert_eq!(options.max_h2_streams, 7);
        assert!(options.tcp_keepalive.is_some());
    }

    #[test]
    fn waits_within_bounds_by_default() {
        let template = Template {
            timeouts: Timeouts::default(),
            connections: Connections::default(),
            ..template(Protocol::Http1, None)
        };
        let options = template.options();
        assert_eq!(options.total_connection_timeout, Some(Duration::from_secs(2)));
        assert_eq!(options.read_timeout, Some(Duration::from_secs(30)));
        assert_eq!(options.write_timeout, Some(Duration::from_secs(30)));
        assert_eq!(options.idle_timeout, Some(Duration::from_secs(60)));
        assert_eq!(options.max_h2_streams, 100);
    }

    #[test]
    fn speaks_what_the_policy_says() {
        assert!(matches!(peer(Protocol::Http1, None).options.alpn, ALPN::H1));
        assert!(matches!(peer(Protocol::Http2, None).options.alpn, ALPN::H2));
        assert!(matches!(peer(Protocol::Grpc, None).options.alpn, ALPN::H2));
        let tls = || Some(ClientSpec::default());
        assert!(matches!(peer(Protocol::Auto, tls()).options.alpn, ALPN::H2H1));
        assert!(matches!(peer(Protocol::Auto, None).options.alpn, ALPN::H1), "nothing to negotiate with");
        assert!(matches!(peer(Protocol::Http1, tls()).options.alpn, ALPN::H1));
    }

    #[test]
    fn protocols_and_authorities_share_no_connections() {
        let hashes = [
            peer(Protocol::Http1, None).reuse_hash(),
            peer(Protocol::Http2, None).reuse_hash(),
            peer(Protocol::Http2, Some(ClientSpec::default())).reuse_hash(),
        ];
        assert_ne!(hashes[0], hashes[1]);
        assert_ne!(hashes[1], hashes[2]);
        assert_eq!(hashes[0], peer(Protocol::Http1, None).reuse_hash());
    }

    #[test]
    fn uses_tls_only_where_the_policy_says_so_and_then_verifies() {
        assert!(!peer(Protocol::Http1, None).is_tls());
        let peer = peer(Protocol::Http1, Some(ClientSpec::default()));
        assert!(peer.is_tls() && peer.verify_cert() && peer.verify_hostname());
        assert_eq!(peer.sni(), "orders.internal");
    }

    #[test]
    fn lets_websocket_upgrades_through_and_no_others() {
        let policy = peer(Protocol::Http1, None).options.http_upstream_request_policy;
        assert_eq!(policy.h1_upgrade, H1UpgradePolicy::WebSocketOnly);
        assert!(policy.strip_hop_by_hop && policy.strip_connection_nominated);
    }
}
