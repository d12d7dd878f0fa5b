//! What happened: one record per attempt, one per call, and the log lines written from them.

mod call_line;
pub mod logs;
mod record;

pub use call_line::log_call;
pub use record::{AttemptRecord, CallRecord, Certainty, Hedge, Outcome};
