//! Jina's embeddings.

use tollgate_wire::{Failure, RawBody};

use crate::{
    dialects::{openai::messages, rerank},
    params::CallParams,
    provider::{OPENAI_COMPATIBLE, Provider, Quirks, Supported},
    target::Target,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "jina_ai",
    title: "Jina_ai",
    base_url: "https://api.jina.ai/v1",
    base_env: &["JINA_AI_API_BASE"],
    key_env: &["JINA_AI_API_KEY", "JINA_API_KEY", "JINA_AI_TOKEN"],
    chat: None,
    quirks: Quirks { vectors_take: Some(&["dimensions"]), supported: Supported::Only(&[]), request: Some(as_list), notes: &["a single `input` becomes a list"], ..Quirks::NONE },
    rerank: Some(&rerank::JINA),
    ..OPENAI_COMPATIBLE
};

fn as_list(body: &mut RawBody, _target: &Target, _call: &CallParams) -> Result<(), Failure> {
    messages::list_input(body);
    Ok(())
}
