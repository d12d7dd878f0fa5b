//! The dialects: pure functions, one folder each.

mod aws;

pub mod anthropic;
pub mod anthropic_complete;
pub mod azure;
pub mod bedrock;
pub mod cohere;
pub mod gemini;
pub mod openai;
pub mod openai_responses;
pub mod rerank;
pub mod sagemaker;
pub mod snowflake;
pub mod vertex;
pub mod watsonx;
