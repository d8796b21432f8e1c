//! Values users write in a policy: `1s`, `64KiB`, `100/1m`, `{ env: NAME }`. This is the bottom layer and
//! imports nothing of ours.
//!
//! Each type parses from exactly one notation, prints in that notation, and refuses everything else with a
//! message that says what was expected, by example. [`digits`] writes numbers where a formatter would take too long.

pub mod choice;
pub mod digits;
pub mod duration;
pub mod nearest;
pub mod problem;
pub mod rate;
pub mod secret;
pub mod size;
pub mod text;
pub mod yaml;

pub use choice::OneOrMany;
pub use duration::{Duration, DurationOrZero};
pub use problem::Problem;
pub use rate::Rate;
pub use secret::{Secret, SecretString};
pub use size::Size;
pub use text::Malformed;
