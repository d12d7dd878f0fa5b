//! NVIDIA's Triton inference server.

use crate::{
    dialects::triton,
    provider::{KeyNeed, OPENAI_COMPATIBLE, Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "triton",
    title: "Triton",
    base_env: &["TRITON_API_BASE"],
    key_env: &["TRITON_API_KEY"],
    key: KeyNeed::Optional,
    chat: Some(&triton::CHAT),
    completions: Some(&triton::COMPLETE),
    embeddings: None,
    embed: Some(&triton::embed::EMBED),
    quirks: Quirks {
        supported: Supported::Only(triton::TAKES),
        vectors_take: Some(&[]),
        notes: &[
            "`api_base` is the whole address of the model's `generate` or `infer`; a stream is asked for at `generate_stream`",
        ],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
