//! The dialects: pure functions, one folder each.

pub mod azure;
pub mod openai;
