//! The dialects: pure functions, one folder each.

pub mod anthropic;
pub mod anthropic_complete;
mod aws;
pub mod azure;
pub mod bedrock;
pub mod openai;
pub mod openai_responses;
pub mod sagemaker;
pub mod snowflake;
