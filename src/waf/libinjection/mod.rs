//! Is this value SQL injection, or HTML that runs a script? What `@detectSQLi` and `@detectXSS` ask.
//!
//! A port, written anew, of [libinjection](https://github.com/libinjection/libinjection) 3.10 by Nick Galbreath and
//! contributors, whose word, fingerprint and event tables it uses (BSD licence: `LICENSES/libinjection.txt`). Values are read
//! the way a database or a browser would read them, so nothing has to be escaped or decoded twice to be seen:
//! * [`is_sqli`] cuts the value into SQL tokens, folds what says nothing (`1+1` is a number), and looks the first
//!   five kinds up in a list of fingerprints of attacks: as it stands, as the rest of a `'…'` and as that of a `"…"`.
//! * [`is_xss`] cuts the value into HTML tokens, as text and as an attribute's value of each quoting.
//!
//! What always holds: time is linear in the value, nothing is allocated, tokens are slices of the value.
//!
//! # Where it differs from the C code
//! * An entity whose code is above 255 (`&#330;`) is not cut to its low byte in URLs: no browser does.
//! * A byte 255 where an attribute or its value should start does not end the reading: there, it hides all that follows.
//! * Nothing past the end of the value is read: `&#` and an event's name at the end are compared as far as they go.

mod sqli;
mod xss;

pub use sqli::{Fingerprint, is_sqli, is_sqli_while};
pub use xss::{is_xss, is_xss_while};
