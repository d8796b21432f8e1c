//! What the process tells the people who run it: the operational log, the access log and the metrics. Nothing here
//! decides anything about a request, and nothing here makes one wait.

pub mod access_log;
pub mod json;
pub mod log;
pub mod logs;
pub mod metrics;
pub mod timestamp;
pub mod writer;
