//! Voyage's embeddings.

use tollgate_wire::{Failure, RawBody};

use crate::{
    dialects::rerank,
    params::CallParams,
    provider::{OPENAI_COMPATIBLE, Provider, Quirks, Supported},
    target::Target,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "voyage",
    title: "Voyage",
    base_url: "https://api.voyageai.com/v1",
    base_env: &["VOYAGE_API_BASE"],
    key_env: &["VOYAGE_API_KEY", "VOYAGE_AI_API_KEY", "VOYAGE_AI_TOKEN"],
    chat: None,
    quirks: Quirks {
        supported: Supported::Only(&[]), vectors_take: Some(&["dimensions", "encoding_format"]),
        rename: &[("dimensions", "output_dimension")],
        request: Some(no_word_for_floats),
        notes: &["`encoding_format: float` is left out"],
        ..Quirks::NONE
    },
    rerank: Some(&rerank::VOYAGE),
    ..OPENAI_COMPATIBLE
};

/// Numbers are what comes without a word; `float` is none that Voyage knows.
fn no_word_for_floats(body: &mut RawBody, _target: &Target, _call: &CallParams) -> Result<(), Failure> {
    if body.typed::<String>("encoding_format").as_deref() == Some("float") {
        body.remove("encoding_format");
    }
    Ok(())
}
