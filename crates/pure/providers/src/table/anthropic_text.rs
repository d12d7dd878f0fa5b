//! Anthropic's text completion of 2023, for whoever asks for it by name.

use super::anthropic;
use crate::{
    dialects::anthropic_complete,
    provider::{Prefill, Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "anthropic_text",
    chat: Some(&anthropic_complete::COMPLETE),
    chat_by_model: None,
    // Older than the models that go on with an answer.
    quirks: Quirks {
        supported: Supported::Only(anthropic_complete::TAKES),
        prefill: Prefill::None,
        ..anthropic::PROVIDER.quirks
    },
    ..anthropic::PROVIDER
};
