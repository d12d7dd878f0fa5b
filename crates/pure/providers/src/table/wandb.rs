//! Weights & Biases Inference.

use crate::{dialects::openai, provider::{OPENAI_COMPATIBLE, Provider}};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "wandb",
    title: "Wandb",
    base_url: "https://api.inference.wandb.ai/v1",
    base_env: &["WANDB_API_BASE"],
    key_env: &["WANDB_API_KEY"],
    completions: Some(&openai::COMPLETIONS),
    ..OPENAI_COMPATIBLE
};
