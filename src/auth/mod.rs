//! Who calls, and how they prove it: the engines behind the authentication filters. They do no I/O and own no clock;
//! whoever fetches keys or answers clients is elsewhere.

pub mod client_cert;
pub mod jose;
pub mod keys;
pub mod signature;
