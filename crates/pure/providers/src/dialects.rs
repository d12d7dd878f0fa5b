//! The dialects: pure functions, one folder each.

pub mod anthropic;
pub mod anthropic_complete;
pub mod azure;
pub mod gemini;
pub mod openai;
pub mod openai_responses;
pub mod palm;
pub mod snowflake;
pub mod vertex;
