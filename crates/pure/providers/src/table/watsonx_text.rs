//! IBM watsonx.ai's text generation, for whoever asks for it by name.

use super::watsonx;
use crate::{
    dialects,
    provider::{Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "watsonx_text",
    chat: Some(&dialects::watsonx::TEXT),
    quirks: Quirks {
        supported: Supported::Only(dialects::watsonx::TEXT_TAKES),
        request: None,
        notes: &["the conversation becomes one prompt in the form of Granite, Llama 3 or Mistral, or plain text"],
        ..watsonx::PROVIDER.quirks
    },
    ..watsonx::PROVIDER
};
