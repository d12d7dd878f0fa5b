//! The dialects: pure functions, one folder each.

pub mod ai21_complete;
pub mod anthropic;
pub mod anthropic_complete;
pub mod azure;
pub mod custom;
pub mod huggingface;
pub mod nlp_cloud;
pub mod ollama;
pub mod openai;
pub mod openai_responses;
pub mod petals;
pub mod predibase;
pub mod prompt;
pub mod replicate;
pub mod snowflake;
pub(crate) mod text_answer;
pub mod triton;
