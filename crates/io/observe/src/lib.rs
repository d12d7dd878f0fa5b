//! What happened: one record per attempt, one per call, and the log lines written from them.

pub mod logs;
mod record;

pub use record::{AttemptRecord, CallRecord, Certainty, Outcome, log_call};
