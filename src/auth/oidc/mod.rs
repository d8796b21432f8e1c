//! People log in by a browser at an issuer: the authorization code flow (`OpenID` Connect Core §3.1) with PKCE (RFC 7636),
//! and the session that comes of it.
//!
//! Always holds (RFC 9700 is the checklist):
//!
//! * A code is taken from the browser alone that began the attempt, for its state, its redirect URI and its issuer, within
//!   ten minutes; its `verifier` and `nonce` never leave that browser's sealed cookie but to the issuer.
//! * Nobody is logged in but by an ID token of the issuer, to this client, with this attempt's nonce.
//! * A session's name is made by the login, so that nobody plants one; what is in it can be read and changed by nobody.
//! * Browsers are sent to the issuer's own endpoints and to paths of their own host, and nowhere else.
//! * A refresh token is used once, however many requests find it due.
//!
//! Not here: back-channel and front-channel logout. Both need sessions that the process can find by the issuer's name for
//! them; these are kept by browsers. A session that ends at the issuer ends here with its next refresh.

mod answer;
mod attempt;
mod cookies;
mod fault;
mod id_token;
mod party;
mod provider;
mod seal;
mod session;
mod sessions;
mod tokens;

pub use answer::Answer;
pub use attempt::own_path;
pub use cookies::{Names, Present, TooLarge};
pub use fault::Fault;
pub use id_token::{Expected, IdFault, IdTokens, Nonce};
pub use party::{Failed, Guest, Look, Party, Sent, Settings};
pub use provider::{Observer, Provider};
pub use seal::{Opened, Random, Seals};
pub use session::{Lives, Session};
pub use sessions::{Renewal, Sessions};

#[cfg(test)]
mod tests;
