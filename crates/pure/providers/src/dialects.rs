//! The dialects: pure functions, one folder each.

pub mod anthropic;
pub mod anthropic_complete;
pub mod azure;
pub mod azure_claude;
pub mod cohere;
pub mod openai;
pub mod openai_responses;
pub mod rerank;
pub mod sap;
pub mod snowflake;
pub mod watsonx;
