//! API keys and the consumers they belong to: the engine behind the `api_key` filter and `edgeward keys`.
//!
//! ```text
//! document ──compile──▶ directory ──check──▶ admitted or refused ──▶ usage ──▶ notices, facts
//!     ▲                                                                │
//!     └── lifecycle: new, rotate, retire, prune  ◀── is it in use? ────┘
//! ```
//!
//! A key is shown once, when it is made. Kept, logged and listed are its id and its SHA-256, from which nobody comes
//! back to the key. Several keys of a consumer are valid at a time, so a rotation refuses nobody: old keys are
//! `deprecated`, told so in headers and notices, counted, and refused only at their end.
//!
//! Clock and randomness are arguments. Files are touched by functions that say so in their names, and by [`file`].

pub mod check;
pub mod digest;
pub mod directory;
pub mod document;
pub mod facts;
pub mod file;
pub mod format;
pub mod headers;
pub mod lifecycle;
pub mod moment;
pub mod names;
pub mod notice;
pub mod ring;
pub mod usage;

pub use check::{Admitted, Reason, Refusal, Standing};
pub use digest::Digest;
pub use directory::{Consumer, Directory, Fault, Key, Source};
pub use document::{ConsumerSpec, Document, Encoding};
pub use format::KeyText;
pub use moment::Moment;
pub use names::{ConsumerName, KeyId};
pub use notice::Notices;
pub use ring::Keyring;
pub use usage::{Records, Usage};

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
