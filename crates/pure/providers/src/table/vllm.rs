//! A vLLM server on this machine; `LiteLLM` ran the library in its own process, which is no job for a gateway.

use crate::provider::{KeyNeed, OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "vllm",
    title: "Vllm",
    base_url: "http://localhost:8000/v1",
    base_env: &["VLLM_API_BASE"],
    key_env: &["VLLM_API_KEY"],
    key: KeyNeed::Optional,
    quirks: super::hosted_vllm::QUIRKS,
    responses: Some(crate::dialects::openai_responses::PATH),
    ..OPENAI_COMPATIBLE
};
