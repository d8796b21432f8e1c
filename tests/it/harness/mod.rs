//! What the tests are made of. A test reads:
//!
//! ```ignore
//! let origin = Origin::start(|_| Reply::text("hello"));
//! let edge = Edge::policy(POLICY).with("origin", origin.address()).start();
//! let answer = edge.client("listen").get("/hello");
//! assert_eq!((answer.status, answer.text()), (200, "hello".to_owned()));
//! assert_eq!(origin.only().header("host"), Some("localhost"));
//! ```
//!
//! All traffic stays on 127.0.0.1, every wait has a deadline, and what a test started ends with it.

pub mod certs;
pub mod client;
pub mod edge;
pub mod folder;
pub mod h2_client;
pub mod h2_origin;
pub mod issuer;
pub mod load;
pub mod logs;
pub mod message;
pub mod metrics;
pub mod nginx;
pub mod origin;
pub mod poll;
pub mod provider;
pub mod redis;
pub mod relay;
pub mod tls;
pub mod tools;

pub use certs::{Authority, Issued, Leaf};
pub use client::{Client, Fault};
pub use edge::{Edge, Setup};
pub use folder::Folder;
pub use h2_client::{H2Client, H2Response};
pub use h2_origin::{H2Origin, H2Reply};
pub use issuer::{Signer, TokenIssuer};
pub use load::under_load;
pub use message::{Response, STRICT};
pub use metrics::Metrics;
pub use nginx::Nginx;
pub use origin::{Origin, Reply, Seen};
pub use poll::{DEADLINE, eventually, soon};
pub use provider::Provider;
pub use redis::Redis;
pub use relay::Relay;
pub use tls::Visitor;
