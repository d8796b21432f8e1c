//! Whether a connection can be made, TLS included where the upstream uses it.

use pingora_core::connectors::TransportConnector;
use pingora_core::upstreams::peer::HttpPeer;

use super::Failure;

pub(super) async fn probe(connector: &TransportConnector, peer: &HttpPeer) -> Result<(), Failure> {
    connector.new_stream(peer).await?;
    Ok(())
}
