//! Meta's Llama API.

use serde_json::Value;
use tollgate_wire::{Failure, RawBody};

use crate::{
    params::CallParams,
    provider::{StreamUsage, OPENAI_COMPATIBLE, Provider, Quirks},
    target::Target,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "meta_llama",
    title: "Meta_llama",
    base_url: "https://api.llama.com/compat/v1",
    base_env: &["LLAMA_API_BASE"],
    key_env: &["LLAMA_API_KEY"],
    quirks: Quirks { stream_usage: StreamUsage::Ask,
        request: Some(only_schemas),
        notes: &["of the formats only JSON schemas are sent"],
        ..Quirks::NONE
    },
    completions: Some(&crate::dialects::openai::COMPLETIONS),
    ..OPENAI_COMPATIBLE
};

/// Any other format is an error there, though it asks for less.
fn only_schemas(body: &mut RawBody, _target: &Target, _call: &CallParams) -> Result<(), Failure> {
    let format = body.typed::<Value>("response_format");
    if format.is_some_and(|format| format.get("type").is_none_or(|kind| kind != "json_schema")) {
        body.remove("response_format");
    }
    Ok(())
}
