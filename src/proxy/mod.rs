//! A request's way through the process: the guarded connection it comes by, the phases it passes, and the one place
//! each where failures become answers and where all of it is logged and counted.

mod alarm;
mod arrival;
mod body;
mod caching;
mod claims;
mod connection;
mod context;
mod entrance;
mod forward;
mod gateway;
mod guard;
mod ledger;
mod pace;
mod reply;
mod rescue;
mod response;
mod upstream;
mod wire;

pub use connection::{Activity, CLIENT_TOO_SLOW, Connection, Fault};
pub use gateway::{Gateway, proxy};
pub use guard::Guard;
pub use wire::{Remains, Socket, Wire};
