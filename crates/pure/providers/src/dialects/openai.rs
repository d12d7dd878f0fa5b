//! `OpenAI`'s dialects, from both sides: as clients speak them to us, as we speak them to providers.

mod chat;
mod completions;
mod document;
pub mod embeddings;
mod failure;
mod front;
mod front_completions;
pub mod front_embeddings;
pub mod front_images;
pub mod front_rerank;
mod json_tool;
pub(crate) mod merge;
mod message;
pub(crate) mod messages;
mod mould;
mod normalise;
mod outgoing;
mod own_id;
mod plain;
mod reasoning;
mod splice;
mod stream;
mod usage;
mod writer;

pub use chat::CHAT;
pub(crate) use chat::{wrapped_request, write_request};
pub use completions::COMPLETIONS;
pub use document::answer as document;
pub use failure::{failure, kind_of};
pub use front::CHAT_CLIENT;
pub use front_completions::COMPLETIONS_CLIENT;
pub use outgoing::finish as finish_request;
pub(crate) use own_id::OwnId;
pub use reasoning::{
    compatible_takes, is_gpt5, is_o_series, reasoning_rules, takes as openai_takes, thinking_takes, tools_by_model,
};
pub(crate) use reasoning::{names_gpt5, names_o_series};
pub use splice::{SplicedStream, answer as spliced_answer};
pub use usage::{read as read_usage, stated_nanos, write as write_usage};
pub use writer::error_body;

use crate::translate::Operation;

/// What `OpenAI` and Azure do beside chat and vectors, with the paths.
pub const FURTHER: &[(Operation, &str)] = &[
    (Operation::Moderations, "/moderations"),
    (Operation::Images, "/images/generations"),
    (Operation::ImageEdits, "/images/edits"),
    (Operation::ImageVariations, "/images/variations"),
    (Operation::Transcriptions, "/audio/transcriptions"),
    (Operation::Translations, "/audio/translations"),
    (Operation::Speech, "/audio/speech"),
];
