//! `OpenAI`, and any server that speaks like it (`openai/<model>` with `api_base`).

use crate::{
    codec::ProviderDialect,
    dialects::{openai, openai_responses},
    provider::{OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
    target::Target,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "openai",
    title: "OpenAI",
    base_url: "https://api.openai.com/v1",
    base_env: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
    key_env: &["OPENAI_API_KEY"],
    also: openai::FURTHER,
    chat_by_model: Some(other_words),
    // Thoughts of earlier turns can be returned there, which clients such as Claude Code do.
    messages: Some(&openai_responses::RESPONSES),
    quirks: Quirks {
        supported: Supported::ByModel(openai::openai_takes),
        stream_usage: StreamUsage::Ask,
        notes: &[
            "`openai/responses/<model>` is served by the Responses API, which has no `stop`, `n`, `seed`, `logit_bias` and penalties",
        ],
        ..Quirks::NONE
    },
    responses: Some(crate::dialects::openai_responses::PATH),
    ..OPENAI_COMPATIBLE
};

/// Models of the Responses API, and those that only complete text.
fn other_words(target: &Target) -> Option<&'static dyn ProviderDialect> {
    let completes = (target.facts.mode == "completion").then_some(&openai::COMPLETIONS as &dyn ProviderDialect);
    openai_responses::of_model(target).or(completes)
}
