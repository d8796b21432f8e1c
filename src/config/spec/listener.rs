//! A listener: where clients connect, what they speak, what they may cost.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Limits;
use crate::net::ListenAddress;
use crate::tls;

/// One address that takes connections.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// `0.0.0.0:443`, `[::]:443`, or `unix:/run/edgeward/api.sock`.
    pub address: ListenAddress,
    /// `https`: every request is answered with a permanent redirect to the same address under https.
    pub redirect: Option<Redirect>,
    /// Certificates and everything else about TLS. Without it, the listener speaks cleartext.
    pub tls: Option<tls::ServerSpec>,
    /// HTTP/2 without TLS, with prior knowledge (RFC 9113 section 3.3). Default `false`.
    #[serde(default)]
    pub h2c: bool,
    /// The load balancer in front tells the client's address by the PROXY protocol, version 1 or 2.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Limits of this listener in place of the policy's.
    pub limits: Option<Limits>,
}

/// Where a redirecting listener sends its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Redirect {
    /// To https on port 443, or where the policy speaks TLS on other ports alone, on the first of these.
    Https,
}

/// The PROXY protocol, by which a load balancer tells whom it speaks for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyProtocol {
    /// Networks that must, and alone may, send the PROXY header. Others are closed at once.
    #[schemars(with = "Vec<String>")]
    pub trusted: Vec<IpNet>,
}
