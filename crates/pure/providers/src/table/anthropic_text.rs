//! Anthropic's text completion of 2023, for whoever asks for it by name.

use super::anthropic;
use crate::{
    dialects::anthropic_complete,
    provider::{Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "anthropic_text",
    chat: Some(&anthropic_complete::COMPLETE),
    chat_by_model: None,
    quirks: Quirks { supported: Supported::Only(anthropic_complete::TAKES), ..anthropic::PROVIDER.quirks },
    ..anthropic::PROVIDER
};
