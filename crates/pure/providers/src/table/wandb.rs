//! Weights & Biases Inference.

use crate::{
    dialects::openai,
    provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "wandb",
    title: "Wandb",
    base_url: "https://api.inference.wandb.ai/v1",
    base_env: &["WANDB_API_BASE"],
    key_env: &["WANDB_API_KEY"],
    completions: Some(&openai::COMPLETIONS),
    quirks: Quirks { rename: MAX_TOKENS_ONLY, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
