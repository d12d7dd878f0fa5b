//! The dialects: pure functions, one folder each.

mod aws;
mod open_block;
mod renamed;

pub(crate) mod text_answer;

pub mod ai21_complete;
pub mod anthropic;
pub mod anthropic_complete;
pub mod azure;
pub mod azure_claude;
pub mod bedrock;
pub mod cohere;
pub mod custom;
pub mod deepseek_claude;
pub mod gemini;
pub mod huggingface;
pub mod nlp_cloud;
pub mod ollama;
pub mod openai;
pub mod openai_responses;
pub mod palm;
pub mod petals;
pub mod predibase;
pub mod prompt;
pub mod replicate;
pub mod rerank;
pub mod sagemaker;
pub mod sap;
pub mod snowflake;
pub mod triton;
pub mod vertex;
pub mod watsonx;
